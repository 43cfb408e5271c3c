// SPDX-License-Identifier: MIT
// Internals of the doctor's stages 2 and 3, which run the model: probes and a short training.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_RUN_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_RUN_H

#include "diagnose/doctor/doctor.h"
#include "train/session.h"

/** Saturated and dead units of one op. */
struct clrnn_activity_units {
    char layer[48];   // "lstm", "rnn.l1", "3"
    double saturated; // fraction of values; NaN: the op cannot saturate
    double dead;      // fraction of units that are always 0; NaN: no relu
};

/** Measurements of one pass in train mode. */
struct clrnn_activity {
    double loss, norm;              // loss of the batch; norm of the whole gradient
    double *layer_norm;             // [config.layer_count] gradient norm of each layer's parameters
    size_t first_layer, last_layer; // first and last config layer with weights
    double first_norm, last_norm;   // gradient norms of these two layers
    uint32_t T;
    double *time; // [T] gradient norm of the first recurrent layer's input by step; NULL: none
    size_t unit_count;
    struct clrnn_activity_units unit[64];
    const struct clrnn_activity_units *worst_saturated, *worst_dead; // of `unit`; NULL: none
};

struct clrnn_examination {
    struct clrnn_doctor *d;
    struct clrnn_data_sets data; // the doctor's data sets
    uint32_t train_rows, valid_rows;
    uint32_t *rows;                 // [S] a fixed random order of the training rows
    uint32_t probe_rows, eval_rows; // batch size of the probe; of evaluation
    bool drop_last;                 // as configured, or because batchnorm cannot run the last batch
    double chance;                  // loss of the best constant answer
    double expected;                // loss of uniform predictions; regression: of the answer 0

    struct clrnn_session *session; // of the short training
    struct clrnn_session
        *probe; // shares the model of `session`; runs GRADIENT passes over the first of `rows`, keeps tensors
    struct clrnn_activity start, end;
    double initial_loss, initial_norm;

    bool no_gradient;  // no parameter has a gradient
    bool batch_is_off; // no parameter has a gradient on the batch to overfit, only on others
    bool overfits;     // one batch was overfitted
    uint32_t overfit_steps, overfit_rows;
    double overfit_first, overfit_lowest, overfit_last, overfit_floor;
    bool overfit_still; // the loss had stopped falling at the end
};

/** Opens a session on params.set (NULL: the training set) with params.model (NULL: a model made from the
 * config). Batches always have the data's T. */
enum clrnn_status clrnn_doctor_session(struct clrnn_examination *v, struct clrnn_device *device,
                                       struct clrnn_session_params params, struct clrnn_session **session);
/** Runs a session's only batch again. */
enum clrnn_status clrnn_doctor_again(struct clrnn_session *session, enum clrnn_mode mode,
                                     struct clrnn_session_record *record);
/** Reads the gradient of a model's entry into *gradient, to be freed by the caller. */
enum clrnn_status clrnn_doctor_read_grad(struct clrnn_model *model, size_t entry, double **gradient);
/** Measures gradients by layer and by time step, and saturated and dead units, on the probe's first batch. */
enum clrnn_status clrnn_activity_measure(struct clrnn_examination *v, struct clrnn_activity *a);
/** The input gradient of the first time step, divided by the largest of any step; NaN: not measured. */
double clrnn_activity_fading(const struct clrnn_activity *a);
void clrnn_activity_finish(struct clrnn_activity *a);

/** The change of a row's outputs in eval mode due to other rows in its batch. */
struct clrnn_leak {
    uint32_t rows, others;
    double most, scale; // the largest change; the largest output
};

/** The parameter whose gradient on the device differs most from the reference's in double. */
struct clrnn_gradient_error {
    const char *param, *device;
    double error;                   // norm of the difference, divided by the gradient's norm
    double device_value, ref_value; // of the element that differs most
    double slope;                   // gradient of that element by finite differences; NaN: not computed
    uint32_t N, T;
};

// The next checks judge given measurements; they use no device.
void clrnn_doctor_check_initial_loss(struct clrnn_examination *v);
/** Lowers two findings to notes if the training loss `trained` came down all the same: that the first loss
 * was somewhat off, and that padding stands in front in data without lengths. */
void clrnn_doctor_excuse(struct clrnn_examination *v, double trained);
void clrnn_doctor_check_leak(struct clrnn_examination *v, const struct clrnn_leak *leak);
/** most [m->entry_count]: largest |gradient| of each parameter. Sets v->no_gradient and v->batch_is_off. */
void clrnn_doctor_check_zero_gradient(struct clrnn_examination *v, const struct clrnn_model *m,
                                      const double *most);
void clrnn_doctor_check_gradient_error(struct clrnn_examination *v, const struct clrnn_gradient_error *error);

/** Compares the device's gradients with the reference's on a small batch. */
enum clrnn_status clrnn_doctor_check_gradient(struct clrnn_examination *v);

/** bce: sets v->expected, and if a sample has several labels also v->chance. */
void clrnn_doctor_label_baseline(struct clrnn_examination *v);
/** Sets v->chance and v->expected for real targets: the best constant answer, and the answer 0. */
enum clrnn_status clrnn_doctor_target_baseline(struct clrnn_examination *v);

/** Stage 2 (probe, overfit) and stage 3 (train). */
enum clrnn_status clrnn_doctor_probe(struct clrnn_examination *v);
enum clrnn_status clrnn_doctor_overfit(struct clrnn_examination *v);
/** Reports a failed overfit; `harmless`: only as a note. */
void clrnn_doctor_report_overfit(struct clrnn_examination *v, bool harmless);
enum clrnn_status clrnn_doctor_train(struct clrnn_examination *v);
/** Reports relu units that are never on. high: the loss stays high. steps: of the short training, 0: none. */
void clrnn_doctor_check_dead(struct clrnn_examination *v, bool high, uint32_t steps);
/** Draws the pictures into the folder params.plot. */
enum clrnn_status clrnn_doctor_plot(const struct clrnn_examination *v);

#endif
