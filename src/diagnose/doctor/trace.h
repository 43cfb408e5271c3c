// SPDX-License-Identifier: MIT
// The trace of a short training (what it showed step by step), and the checks that judge the trace.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_TRACE_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_TRACE_H

#include "base/random.h"
#include "diagnose/doctor/linear.h"
#include "diagnose/doctor/run.h"

/** A model's result on a set in eval mode. */
struct clrnn_doctor_score {
    double loss, quality; // quality: accuracy; regression: R2
};

struct clrnn_trace {
    uint32_t steps, capacity;
    uint64_t wanted; // training steps of the config's whole run
    uint64_t epochs; // complete epochs that were trained
    double until;    // when the time limit ends, on clrnn_clock
    double seconds;  // duration of the training
    bool finite,     // the loss stayed finite
        timed_out,   // time ran out
        complete;    // all `wanted` steps were trained
    bool may_rest;   // ctc: the loss may stay on a plateau while the net predicts only blanks
    double *loss,    // [steps] loss of each step
        *norm,       // [steps] gradient norm of each step
        *weight;     // [steps] number of samples of each step; 0: all labels were ignored
    uint32_t window_count;
    bool by_epoch;               // the windows are epochs
    double *window;              // [window_count] mean loss of each epoch, or of each tenth of the run
    struct clrnn_session *valid; // evaluates the first 4096 validation rows; NULL: there is no validation set
    size_t valid_count, valid_capacity;
    double *valid_loss, // [valid_count] loss of each evaluation
        *valid_quality; // [valid_count] accuracy or R2 of each evaluation

    size_t update_count, // number of steps whose update was measured
        update_early;    // number of these that are among the first steps
    // [update_count] |change| / |weight| of the matrices in a measured step
    double update_median[64], // median over the matrices
        update_most[64];      // maximum over the matrices

    double blank_steps; // ctc: share of steps at which the trained net predicts blank; NaN: not known
    // sgd: values that train better than the config's; 0: none were tried or found
    double sgd_lr, sgd_momentum;
    double train_mode; // loss after training, in train mode
    // results after training, in eval mode
    struct clrnn_doctor_score trained, // on the data as they are
        blank,                         // with inputs replaced by their mean
        shuffled;                      // with the time steps of each row shuffled
    struct clrnn_linear_result linear;
    // mean losses of two trainings over the last quarter of random_steps steps; NaN: not tried, or time ran out
    double real_loss,      // on real labels
        random_loss;       // on shuffled labels
    uint32_t random_steps; // number of steps of the training on shuffled labels
    // The same training with the changes of other findings. If `ran` is true, shuffled_rows has these changes, too, and
    // is compared with this training. If `ran` is false, shuffled_rows is compared with d->asked.
    struct clrnn_trial plain;
    struct clrnn_trial shuffled_rows; // the same training with shuffled rows; if `ran` is false: not tried
    // the same training with normalised targets; if `ran` is false: not tried, or not far better
    struct clrnn_trial scaled;
    // the same training with pools that take the mean over time; if `ran` is false: not tried, or no better
    struct clrnn_trial mean;
    double naive; // R2 (mean over the targets) if the prediction repeats the best input's last value; NaN: not known
    uint32_t naive_feature; // index of that input; with several targets, of the best input for the last target
    bool naive_equal;       // the repeated value always equals the target
};

// ---------------------------------------------------------------- outcome.c: summary of the trace

/** Return the lowest and the median loss of c->window. */
double clrnn_trace_lowest(const struct clrnn_trace *c);
double clrnn_trace_median(const struct clrnn_trace *c);
/** Whether the training ended before the config's whole run, with the loss still falling. For ctc: whether the training
 * ended before the whole run, since the loss may not have begun to fall. */
bool clrnn_trace_still_falling(const struct clrnn_trace *c);
/** Whether the loss stayed above `share` * v->chance (the best constant answer) and falls no longer. Also true if the
 * loss is infinite or NaN. */
bool clrnn_trace_stuck(const struct clrnn_examination *v, const struct clrnn_trace *c, double share);
/** Prints "300 of the run's 8825 steps" into text; returns text. */
const char *clrnn_trace_span(const struct clrnn_trace *c, char text[64]);
/** Returns the best accuracy (regression: R2) of all evaluations on the validation rows. */
double clrnn_trace_best_quality(const struct clrnn_trace *c);
bool clrnn_trace_linear_is_better(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether the config's whole run was trained, and the model is good on the validation rows. There it must be better
 * than a constant answer by more than chance, and no worse than a linear model. The training loss must be below that of
 * a constant answer. False if no linear model was fitted. */
bool clrnn_trace_generalises(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether the labels may be random. If so, a training with shuffled labels should be run for comparison. */
bool clrnn_trace_wants_shuffled(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether a training with shuffled labels learnt them as well as the real labels were learnt. */
bool clrnn_trace_looks_random(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether training went so well that it is harmless if the model failed to overfit one batch. */
bool clrnn_trace_went_well(const struct clrnn_examination *v, const struct clrnn_trace *c);

// ---------------------------------------------------------------- the checks, in the order in which they run

void clrnn_doctor_check_trace(struct clrnn_examination *v, struct clrnn_trace *c);
void clrnn_doctor_check_majority(struct clrnn_examination *v, const struct clrnn_trace *c);
void clrnn_doctor_check_answers(struct clrnn_examination *v, struct clrnn_trace *c);
void clrnn_doctor_check_quality(struct clrnn_examination *v, struct clrnn_trace *c);
/** For ctc: sets c->blank_steps. */
enum clrnn_status clrnn_ctc_find_blanks(struct clrnn_examination *v, struct clrnn_trace *c);
void clrnn_ctc_judge_blanks(struct clrnn_examination *v, const struct clrnn_trace *c);
/** Runs the short trainings whose results the checks above judge. One has shuffled rows, if the rows are sorted. The
 * others have a larger lr for sgd, normalised targets, or a pool that takes the mean over all time steps. Each is run
 * only if it may help. Also sets c->naive, c->naive_feature and c->naive_equal. */
enum clrnn_status clrnn_doctor_compare_answers(struct clrnn_examination *v, struct clrnn_trace *c);

#endif
