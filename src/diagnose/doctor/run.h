// SPDX-License-Identifier: MIT
// The doctor's look at the model itself: what probes and the short training share.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_RUN_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_RUN_H

#include "diagnose/doctor/doctor.h"
#include "train/session.h"

/** Units of one op: how many sit at their ends, how many relus never switch on. */
struct clrnn_activity_units {
    char layer[48];   // "lstm", "rnn.l1", "3"
    double saturated; // share of values; NaN: the op has no ends
    double dead;      // share of units; NaN: no relu
};

/** What one pass in train mode shows. */
struct clrnn_activity {
    double loss, norm;              // of the batch; total gradient norm
    double *layer_norm;             // [config.layer_count] of their parameters' gradients
    size_t first_layer, last_layer; // with weights; config layers
    double first_norm, last_norm;   // of their gradients
    uint32_t T;
    double *time; // [T] gradient of the first recurrent layer's input by step; NULL: none
    size_t unit_count;
    struct clrnn_activity_units unit[64];
    size_t worst_saturated, worst_dead; // unit_count: none
};

struct clrnn_examination {
    struct clrnn_doctor *d;
    struct clrnn_data_sets data; // the doctor's
    uint32_t train_rows, valid_rows;
    uint32_t *rows;                 // [S] a fixed random order of the training rows
    uint32_t probe_rows, eval_rows; // of a batch of the probe; of one that is evaluated
    bool drop_last;                 // as configured, or because batchnorm cannot take the last batch
    double chance;                  // loss of the best constant answer
    double expected;                // loss of an answer that prefers nothing

    struct clrnn_session *session; // of the short training
    struct clrnn_session *probe;   // its model over the first of `rows`, tensors kept: GRADIENT passes
    struct clrnn_activity start, end;
    double initial_loss, initial_norm;

    bool no_gradient; // not one parameter has one
    bool overfits;    // learnt one batch by heart
    uint32_t overfit_steps, overfit_rows;
    double overfit_first, overfit_lowest, overfit_last, overfit_floor;
    bool overfit_still; // the loss did not fall any more at the end
};

/** A session on the training set with the model of params.model or one made from the config. T is always the
 * data's. */
enum clrnn_status clrnn_doctor_session(struct clrnn_examination *v, struct clrnn_device *device,
                                       struct clrnn_session_params params, struct clrnn_session **session);
/** A session's only batch once more. */
enum clrnn_status clrnn_doctor_again(struct clrnn_session *session, enum clrnn_mode mode,
                                     struct clrnn_session_record *record);
/** The gradient of a model's entry in fresh memory: free() it. */
enum clrnn_status clrnn_doctor_read_grad(struct clrnn_model *model, size_t entry, double **gradient);
/** Gradients by layer and time, saturated and dead units, on the probe's first batch. */
enum clrnn_status clrnn_activity_measure(struct clrnn_examination *v, struct clrnn_activity *a);
void clrnn_activity_finish(struct clrnn_activity *a);

/** How far outputs of rows move in eval mode when others share their batch. */
struct clrnn_leak {
    uint32_t rows, others;
    double most, scale; // the largest move; the largest output
};

/** The parameter whose gradient on the device differs most from the reference's in double. */
struct clrnn_gradient_error {
    const char *param, *device;
    double error;                   // of the gradient's norm
    double device_value, ref_value; // of the element that differs most,
    double slope;                   //   and what finite differences give for it; NaN: not asked
    uint32_t N, T;
};

// What the checks make of numbers: no device is asked.
void clrnn_doctor_check_initial_loss(struct clrnn_examination *v);
void clrnn_doctor_check_leak(struct clrnn_examination *v, const struct clrnn_leak *leak);
/** most [m->entry_count]: the largest gradient of each; sets v->no_gradient. */
void clrnn_doctor_check_zero_gradient(struct clrnn_examination *v, const struct clrnn_model *m,
                                      const double *most);
void clrnn_doctor_check_gradient_error(struct clrnn_examination *v, const struct clrnn_gradient_error *error);

/** Device against double, on a small batch. */
enum clrnn_status clrnn_doctor_check_gradient(struct clrnn_examination *v);

/** Stage 2 and stage 3. */
enum clrnn_status clrnn_doctor_probe(struct clrnn_examination *v);
enum clrnn_status clrnn_doctor_overfit(struct clrnn_examination *v);
/** Its finding; `harmless`: a note only. */
void clrnn_doctor_report_overfit(struct clrnn_examination *v, bool harmless);
enum clrnn_status clrnn_doctor_train(struct clrnn_examination *v);
/** Pictures into params.plot. */
enum clrnn_status clrnn_doctor_plot(const struct clrnn_examination *v);

#endif
