// SPDX-License-Identifier: MIT
// The trace of a short training, and the checks of it.
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
    uint64_t wanted; // steps that the config asks for
    uint64_t epochs; // complete epochs that were trained
    double until;    // when the time limit ends, on clrnn_clock
    double seconds;  // duration of the training
    bool finite, timed_out, complete;
    bool may_rest;                // ctc: the loss may rest on a plateau where all answers are blank
    double *loss, *norm, *weight; // [steps] of each step; weight: its samples
    uint32_t window_count;
    double *window;              // mean loss of epochs, or of tenths of the run
    struct clrnn_session *valid; // on the first validation rows, or NULL
    size_t valid_count, valid_capacity;
    double *valid_loss, *valid_quality;

    size_t update_count, update_early;         // measured updates: how many; how many in the first steps
    double update_median[64], update_most[64]; // over tensors, of |change| / |weight|

    double blank_steps;          // ctc: share of the steps that answer blank after training; NaN: not known
    double sgd_lr, sgd_momentum; // sgd values that do better; 0: none tried or found
    double train_mode;           // loss after training, in train mode
    struct clrnn_doctor_score trained, blank,
        shuffled; // after training, in eval mode: as is; inputs replaced by their mean; time shuffled
    struct clrnn_linear_result linear;
    double real_loss,
        random_loss; // losses with real and shuffled labels after the same number of steps; NaN: not tried
    uint32_t random_steps;
    struct clrnn_trial
        plain; // compared with shuffled_rows if both have other findings' changes; ran false: d->asked is
    struct clrnn_trial shuffled_rows; // the same training with shuffled rows; ran false: not tried
    struct clrnn_trial
        scaled;              // with normalised targets; ran false: not tried, or not far better than without
    struct clrnn_trial mean; // pooled over all steps, not the last; ran false: not tried, or no better
    double naive;            // R2 of the best input's last value on validation rows; NaN: not known
    uint32_t naive_feature;
    bool naive_equal; // the repeated value always equals the target
};

// ---------------------------------------------------------------- outcome.c: summary of the trace

/** Lowest and median loss of the windows. */
double clrnn_trace_lowest(const struct clrnn_trace *c);
double clrnn_trace_median(const struct clrnn_trace *c);
/** Whether time ran out while the loss was still falling or, for ctc, possibly before it began to fall. */
bool clrnn_trace_still_falling(const struct clrnn_trace *c);
/** Whether the loss stays above `share` of the best constant answer's, or became infinite or NaN. */
bool clrnn_trace_stuck(const struct clrnn_examination *v, const struct clrnn_trace *c, double share);
/** Prints "300 of the run's 8825 steps" into text; returns it. */
const char *clrnn_trace_span(const struct clrnn_trace *c, char text[64]);
/** Best accuracy (regression: R2) on the validation rows. */
double clrnn_trace_best_quality(const struct clrnn_trace *c);
bool clrnn_trace_linear_is_better(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether the whole run ended better than chance on the validation rows, and no worse than a linear model.
 */
bool clrnn_trace_generalises(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether labels may be random, so that the training with shuffled labels should be run. */
bool clrnn_trace_wants_shuffled(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether shuffled labels were learnt as well as the real ones. */
bool clrnn_trace_looks_random(const struct clrnn_examination *v, const struct clrnn_trace *c);
/** Whether training went so well that overfitting one batch need not be tried. */
bool clrnn_trace_went_well(const struct clrnn_examination *v, const struct clrnn_trace *c);

// ---------------------------------------------------------------- the findings, in this order

void clrnn_doctor_check_trace(struct clrnn_examination *v, struct clrnn_trace *c);
void clrnn_doctor_check_majority(struct clrnn_examination *v, const struct clrnn_trace *c);
void clrnn_doctor_check_answers(struct clrnn_examination *v, struct clrnn_trace *c);
void clrnn_doctor_check_quality(struct clrnn_examination *v, struct clrnn_trace *c);
/** ctc: finds `blank_steps`; part of clrnn_doctor_check_quality. */
enum clrnn_status clrnn_ctc_find_blanks(struct clrnn_examination *v, struct clrnn_trace *c);
void clrnn_ctc_judge_blanks(struct clrnn_examination *v, const struct clrnn_trace *c);
/** Runs the trials that the findings on answers need: shuffled rows if rows are sorted, a larger lr for sgd,
 * normalised targets, and the mean over steps. Also computes `naive`. */
enum clrnn_status clrnn_doctor_compare_answers(struct clrnn_examination *v, struct clrnn_trace *c);

#endif
