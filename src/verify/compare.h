// SPDX-License-Identifier: MIT
// Internals of `clrnn compare`: the training run that every device repeats, each device's results, and the verdict on
// each device.
#ifndef CLRNN_SRC_VERIFY_COMPARE_H
#define CLRNN_SRC_VERIFY_COMPARE_H

#include "base/child.h"
#include "clrnn/diagnose.h"
#include "train/session.h"

#define COMPARE_NOISE_RUNS 4u

/** The results of a child process, in memory that it shares with its parent. If the child crashed, they are complete
 * only up to the crash. */
struct clrnn_compare_block {
    struct clrnn_child_report report;
    size_t size;             // in bytes, with the arrays
    volatile uint32_t steps; // steps done
    volatile bool finished;  // the final loss was computed
    uint32_t leaves;         // first step (from 1) whose loss deviates by more than its bound; 0: none
    // losses [steps], and logits [logit_capacity] and gradients [grad_count] of the first step; these arrays follow the
    // struct in the same memory
    double *curve, *logits, *grads;
    uint32_t logit_count;
    double final_loss, final_accuracy;
    double first_s, // seconds of the first step, which builds programs
        step_s;     // median seconds of the other steps
    struct clrnn_timing step_ms;
    double samples_per_s, flops, bytes;
    struct clrnn_peak peak;
    char unmeasured[256]; // why a speed could not be measured, or ""
    uint64_t launches, peak_bytes;
    bool blamed; // the op to blame was found
    char blamed_op[64], blamed_tensor[64], blame[400];
};

/** The training run to compare, the same on every device, and its results. */
struct clrnn_compare {
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const struct clrnn_compare_params *params;
    struct clrnn_data_sets data;
    struct clrnn_dataset *judged; // samples for the final loss and accuracy
    uint32_t steps;
    size_t logit_capacity, grad_count;
    size_t *grad_first; // [param_count] where each parameter's gradient begins in `grads`
    struct clrnn_compare_result *result;

    // results of the run on the reference, and of its runs with perturbed op outputs
    struct clrnn_compare_block *ref, *noise[COMPARE_NOISE_RUNS];
    double final_bound; // largest deviation of the final loss that rounding explains
    char *caches;       // folder for program caches while builds are measured, or NULL
};

// ---------------------------------------------------------------- judge.c: the verdict

/** Returns |value - reference| / max(|reference|, floor). Returns 0 if both are NaN or the same infinity. Otherwise
 * returns infinity if one of them is not finite. */
double clrnn_compare_deviation(double value, double reference, double floor);
/** The `floor` for losses: for smaller losses, the difference is divided by this number. */
#define COMPARE_LOSS_FLOOR 0.01

/** Computes the bound of each step's loss and of the final loss, from the perturbed runs of the reference. */
void clrnn_compare_find_bounds(struct clrnn_compare *c);
/** Returns the first step (from 1) whose loss deviates from the reference by more than its bound; 0: none. */
uint32_t clrnn_compare_find_leaving(const struct clrnn_compare *c, const struct clrnn_compare_block *b);
/** Whether logits and gradients of the first step are within their bounds. */
bool clrnn_compare_first_step_agrees(const struct clrnn_compare *c, const struct clrnn_compare_block *b);
/** Copies the results in `b` and their deviations from the reference into a row of the result. */
void clrnn_compare_take(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                        struct clrnn_compare_row *row);
/** Sets the row's verdict and reason. `ending`: how the device's child process ended, by clrnn_child_wait. */
void clrnn_compare_judge(const struct clrnn_compare *c, const struct clrnn_compare_block *b, const char *ending,
                         struct clrnn_compare_row *row);

// ---------------------------------------------------------------- run.c: the run in a child

/** Opens a training session. On ref, rounds the initial parameters to float32, as devices store them. */
enum clrnn_status clrnn_compare_open(const struct clrnn_compare *c, struct clrnn_device *device,
                                     struct clrnn_session **session);
/** Runs all steps and the evaluation, and measures the speed of a device other than ref. `disturb`: on ref, the number
 * (from 1) of the run with perturbed op outputs; 0: nothing is perturbed. */
enum clrnn_status clrnn_compare_run(const struct clrnn_compare *c, struct clrnn_device *device, uint32_t disturb,
                                    struct clrnn_compare_block *block);
/** Runs only the first two steps, to measure the time that building programs takes. */
enum clrnn_status clrnn_compare_run_start(const struct clrnn_compare *c, struct clrnn_device *device,
                                          struct clrnn_compare_block *block);

// ---------------------------------------------------------------- blame.c

/** Finds the first op that computes wrong numbers. Repeats the run up to `step` (from 1), the step that exceeded a
 * bound. Runs each op of that step on the device and, with the same inputs, on the reference, and compares the outputs.
 * `step` 0: examines the forward pass over the judged samples instead of a training step. */
enum clrnn_status clrnn_compare_blame(const struct clrnn_compare *c, struct clrnn_device *device, uint32_t step,
                                      struct clrnn_compare_block *block);

#endif
