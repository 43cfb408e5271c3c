// SPDX-License-Identifier: MIT
// Internals of the comparison of devices: the common run, each device's results, and the verdict.
#ifndef CLRNN_SRC_VERIFY_COMPARE_H
#define CLRNN_SRC_VERIFY_COMPARE_H

#include "base/child.h"
#include "clrnn/diagnose.h"
#include "train/session.h"

#define COMPARE_NOISE_RUNS 4u

/** A child's results in shared memory, as far as it got. */
struct clrnn_compare_block {
    struct clrnn_child_report report;
    size_t size;                    // in bytes, with the arrays
    volatile uint32_t steps;        // steps done
    volatile bool finished;         // the final loss was computed
    uint32_t leaves;                // first step whose loss exceeds its bound, from 1; 0: none
    double *curve, *logits, *grads; // after the struct: [steps], [logit_capacity], [grad_count]
    uint32_t logit_count;
    double final_loss, final_accuracy;
    double first_s, step_s; // of the first step with program builds; median of the others
    struct clrnn_timing step_ms;
    double samples_per_s, flops, bytes;
    struct clrnn_peak peak;
    char unmeasured[256]; // why a speed is missing
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

    struct clrnn_compare_block *ref, *noise[COMPARE_NOISE_RUNS];
    double final_bound; // maximum deviation of the final loss
    char *caches;       // folder for program caches while builds are measured, or NULL
};

// ---------------------------------------------------------------- judge.c: the verdict

/** |value - reference| / max(|reference|, floor); 0 if both are NaN or the same infinity. */
double clrnn_compare_deviation(double value, double reference, double floor);
/** The `floor` for losses: smaller losses are compared by absolute difference. */
#define COMPARE_LOSS_FLOOR 0.01

/** Computes the bounds of the curve and the final loss from the runs of the reference. */
void clrnn_compare_find_bounds(struct clrnn_compare *c);
/** Returns the first step whose loss is beyond its bound, from 1; 0: none. */
uint32_t clrnn_compare_find_leaving(const struct clrnn_compare *c, const struct clrnn_compare_block *b);
/** Whether logits and gradients of the first step are within their bounds. */
bool clrnn_compare_first_step_agrees(const struct clrnn_compare *c, const struct clrnn_compare_block *b);
/** Copies a block's results and their deviation from the reference into a row. */
void clrnn_compare_take(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                        struct clrnn_compare_row *row);
/** Sets the row's verdict; `ending`: how its child ended (clrnn_child_wait). */
void clrnn_compare_judge(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                         const char *ending, struct clrnn_compare_row *row);

// ---------------------------------------------------------------- run.c: the run in a child

/** Opens a session at the start of the run; on ref, initial parameters are rounded to float32 as on devices.
 */
enum clrnn_status clrnn_compare_open(const struct clrnn_compare *c, struct clrnn_device *device,
                                     struct clrnn_session **session);
/** Runs all steps. `disturb`: on ref the number, from 1, of the run with perturbed op outputs; 0: none. */
enum clrnn_status clrnn_compare_run(const struct clrnn_compare *c, struct clrnn_device *device,
                                    uint32_t disturb, struct clrnn_compare_block *block);
/** Runs only the first two steps, to measure the build time. */
enum clrnn_status clrnn_compare_run_start(const struct clrnn_compare *c, struct clrnn_device *device,
                                          struct clrnn_compare_block *block);

// ---------------------------------------------------------------- blame.c

/** Finds the op to blame: repeats the run up to `step` (from 1), which exceeded its bound, and compares each
 * op of that step with the reference on the device's own inputs. `step` 0: the forward pass over the judged
 * samples. */
enum clrnn_status clrnn_compare_blame(const struct clrnn_compare *c, struct clrnn_device *device,
                                      uint32_t step, struct clrnn_compare_block *block);

#endif
