// SPDX-License-Identifier: MIT
// Internals of the doctor's stages 2 and 3, which run the model: probes and a short training.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_RUN_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_RUN_H

#include "diagnose/doctor/doctor.h"
#include "train/session.h"

/** Saturated and dead units of one op: units whose output is at an end of tanh or of a sigmoid, and relu units whose
 * output is always 0. */
struct clrnn_activity_units {
    char layer[48];   // "lstm", "rnn.l1", "3"
    double saturated; // fraction of values that are saturated; NaN: the op cannot saturate
    double dead;      // fraction of units that are always 0; NaN: the op has no relu
};

/** Measurements of one forward and backward pass in train mode. */
struct clrnn_activity {
    double loss,        // loss of the batch
        norm;           // norm of the whole gradient
    double *layer_norm; // [config.layer_count] gradient norm of each layer's parameters
    size_t first_layer, // index of the first config layer with weights; SIZE_MAX: none
        last_layer;     // index of the last config layer with weights; SIZE_MAX: none
    double first_norm,  // gradient norm of the layer first_layer
        last_norm;      // gradient norm of the layer last_layer
    uint32_t T;
    double *time; // [T] norm of the gradient of the first recurrent layer's input, by time step; NULL: none
    size_t unit_count;
    struct clrnn_activity_units unit[64];
    const struct clrnn_activity_units *worst_saturated, *worst_dead; // elements of `unit`; NULL: none
};

/** The state of stages 2 and 3. */
struct clrnn_examination {
    struct clrnn_doctor *d;
    struct clrnn_data_sets data; // the doctor's data sets
    uint32_t train_rows, valid_rows;
    uint32_t *rows;      // [S] the training rows in a random order that depends only on the seed
    uint32_t probe_rows, // batch size of the probe
        eval_rows;       // batch size of evaluations
    bool drop_last;      // train.drop_last, or true because batchnorm cannot run the last batch
    double chance;       // loss of the best constant answer (constant.h)
    double floor;        // lowest loss possible with the smoothed or soft labels; 0: labels are neither
    double expected;     // loss of uniform predictions; regression: loss if all predictions are 0

    struct clrnn_session *session; // of the short training
    // shares the model of `session`; runs passes in CLRNN_MODE_GRADIENT over the first of `rows`, and keeps all tensors
    // readable
    struct clrnn_session *probe;
    struct clrnn_activity start, end;  // measured before and after the short training
    double initial_loss, initial_norm; // loss and gradient norm in the measurement `start`

    bool no_gradient;  // no parameter has a gradient
    bool batch_is_off; // no parameter has a gradient on the batch to overfit, but other batches have one
    bool overfits;     // one batch was overfitted
    uint32_t overfit_steps, overfit_rows;
    // losses on that batch
    double overfit_first, // first loss
        overfit_lowest,   // lowest loss
        overfit_last,     // last loss
        overfit_floor;    // lowest loss possible with smoothed or soft labels
    bool overfit_still;   // the loss had stopped falling at the end
};

/** Opens a session on params.set (NULL: the training set) with params.model (NULL: a model made from the config).
 * Batches are never shortened to their longest sample: they have the data's T. */
enum clrnn_status clrnn_doctor_session(struct clrnn_examination *v, struct clrnn_device *device,
                                       struct clrnn_session_params params, struct clrnn_session **session);
/** Runs a pass over the first batch of a session, from the start of epoch 0. */
enum clrnn_status clrnn_doctor_again(struct clrnn_session *session, enum clrnn_mode mode,
                                     struct clrnn_session_record *record);
/** Reads the gradient of model->entry[entry] into *gradient, which the caller frees. */
enum clrnn_status clrnn_doctor_read_grad(struct clrnn_model *model, size_t entry, double **gradient);
/** Measures gradients by layer and by time step, and saturated and dead units, on the probe's first batch. */
enum clrnn_status clrnn_activity_measure(struct clrnn_examination *v, struct clrnn_activity *a);
/** Returns a->time[0], the gradient norm at the first time step, divided by the largest of all steps. NaN: not
 * measured. */
double clrnn_activity_fading(const struct clrnn_activity *a);
void clrnn_activity_finish(struct clrnn_activity *a);

/** How much the outputs of rows change in eval mode if other rows are in their batch. */
struct clrnn_leak {
    uint32_t rows, // number of rows compared
        others;    // number of other rows in their batch
    double most,   // largest change of an output
        scale;     // largest |output|
};

/** The parameter whose gradient on the device differs most from the gradient that the reference computes in double. */
struct clrnn_gradient_error {
    const char *param, *device;
    double error;                   // norm of the difference, divided by the gradient's norm
    double device_value, ref_value; // gradients of the element that differs most
    double slope;                   // gradient of that element by finite differences; NaN: not computed
    uint32_t N, T;                  // samples and time steps of the batch
};

// The checks from here to clrnn_doctor_check_gradient_error judge given measurements and use no device.
void clrnn_doctor_check_initial_loss(struct clrnn_examination *v);
/** Lowers two kinds of findings to notes if the short training nevertheless reached a low loss `trained`. One is a
 * first loss that exceeds the expected loss by a factor of less than 5. The other is a warning about padding in front
 * of tokens without lengths. */
void clrnn_doctor_excuse(struct clrnn_examination *v, double trained);
void clrnn_doctor_check_leak(struct clrnn_examination *v, const struct clrnn_leak *leak);
/** Reports parameters whose gradient is always 0. most [m->entry_count]: largest |gradient| of each parameter. Sets
 * v->no_gradient and v->batch_is_off. */
void clrnn_doctor_check_zero_gradient(struct clrnn_examination *v, const struct clrnn_model *m, const double *most);
void clrnn_doctor_check_gradient_error(struct clrnn_examination *v, const struct clrnn_gradient_error *error);

/** Compares the gradients of the device with those of the reference on a small batch. */
enum clrnn_status clrnn_doctor_check_gradient(struct clrnn_examination *v);

/** For bce: sets v->expected and, if a sample has several labels, also v->chance. */
void clrnn_doctor_label_baseline(struct clrnn_examination *v);

/** Sets *floor to the lowest loss that is possible on a set: above 0 with smoothed or soft labels (soft: of bce and
 * between 0 and 1), else 0. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_doctor_label_floor(const struct clrnn_examination *v, const struct clrnn_dataset *set,
                                           double *floor);
/** Returns the loss that lies the fraction `share` of the way from the lowest possible loss v->floor to that of the
 * best constant answer. */
double clrnn_doctor_loss_at(const struct clrnn_examination *v, double share);

/** Run the two parts of stage 2: the probe, and overfitting one batch. */
enum clrnn_status clrnn_doctor_probe(struct clrnn_examination *v);
enum clrnn_status clrnn_doctor_overfit(struct clrnn_examination *v);
/** Reports if the model failed to overfit one batch; if `harmless`, only as a note. */
void clrnn_doctor_report_overfit(struct clrnn_examination *v, bool harmless);
/** Runs stage 3, the short training. */
enum clrnn_status clrnn_doctor_train(struct clrnn_examination *v);
/** Reports relu units that are never on. `high`: the loss stays high, so that the finding is a warning instead of a
 * note. `steps`: number of steps of the short training; 0: there was none. */
void clrnn_doctor_check_dead(struct clrnn_examination *v, bool high, uint32_t steps);
/** Draws the pictures into the folder params.plot. */
enum clrnn_status clrnn_doctor_plot(const struct clrnn_examination *v);

#endif
