// SPDX-License-Identifier: MIT
// A comparison of devices inside: the run that they share, what each leaves, and how they are held together.
#ifndef CLRNN_SRC_VERIFY_COMPARE_H
#define CLRNN_SRC_VERIFY_COMPARE_H

#include "base/child.h"
#include "clrnn/diagnose.h"
#include "train/session.h"

#define COMPARE_NOISE_RUNS 4u

/** What a child leaves behind, in shared memory: as far as it came. */
struct clrnn_compare_block {
    struct clrnn_child_report report;
    size_t size;                    // of all, in bytes
    volatile uint32_t steps;        // done
    volatile bool finished;         // the final loss is there
    uint32_t leaves;                // first step beyond its bound, from 1; 0: none
    double *curve, *logits, *grads; // behind the struct: [steps], [logit_capacity], [grad_count]
    uint32_t logit_count;
    double final_loss, final_accuracy;
    double first_s, step_s; // of the first step with all its building; of the others, median
    struct clrnn_timing step_ms;
    double samples_per_s, flops, bytes;
    struct clrnn_peak peak;
    char unmeasured[256]; // why a speed is missing
    uint64_t launches, peak_bytes;
    bool blamed; // an op was found
    char blamed_op[64], blamed_tensor[64], blame[400];
};

/** The run, the same for every device. */
struct clrnn_compare {
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const struct clrnn_compare_params *params;
    struct clrnn_data_sets data;
    struct clrnn_dataset *judged; // what final loss and accuracy are taken over
    uint32_t steps;
    size_t logit_capacity, grad_count;
    size_t *grad_first; // [param_count] where each parameter's gradient begins in `grads`
    struct clrnn_compare_result *result;

    struct clrnn_compare_block *ref, *noise[COMPARE_NOISE_RUNS];
    double final_bound; // of the final loss
    char *caches;       // a folder for kernel caches while builds are measured, or NULL
};

// ---------------------------------------------------------------- judge.c: held together

/** |value - reference| over the larger of |reference| and `floor`; 0 where both are NaN or the same infinity.
 */
double clrnn_compare_deviation(double value, double reference, double floor);
/** The floor of losses: below it they are held together absolutely. */
#define COMPARE_LOSS_FLOOR 0.01

/** The bounds of the curve and the final loss, once the reference and its disturbed runs are there. */
void clrnn_compare_find_bounds(struct clrnn_compare *c);
/** The first step whose loss is beyond its bound, from 1; 0: none. */
uint32_t clrnn_compare_find_leaving(const struct clrnn_compare *c, const struct clrnn_compare_block *b);
/** Whether logits and gradients of the first step are within their bounds. */
bool clrnn_compare_first_step_agrees(const struct clrnn_compare *c, const struct clrnn_compare_block *b);
/** What a block holds, and how far it is from the reference, into a row. */
void clrnn_compare_take(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                        struct clrnn_compare_row *row);
/** The row's verdict; `ending`: how its child ended. */
void clrnn_compare_judge(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                         const char *ending, struct clrnn_compare_row *row);

// ---------------------------------------------------------------- run.c: the run in a child

/** A model at the start of the run, on ref with the float32 values that devices start from. */
enum clrnn_status clrnn_compare_open(const struct clrnn_compare *c, struct clrnn_device *device,
                                     struct clrnn_session **session);
/** The whole run; `disturb` 0, or on ref a number of its own for each disturbed run. */
enum clrnn_status clrnn_compare_run(const struct clrnn_compare *c, struct clrnn_device *device,
                                    uint32_t disturb, struct clrnn_compare_block *block);
/** Only the first two steps: for the time of building. */
enum clrnn_status clrnn_compare_run_start(const struct clrnn_compare *c, struct clrnn_device *device,
                                          struct clrnn_compare_block *block);

// ---------------------------------------------------------------- blame.c

/** Repeats the run up to the step (from 1) that left its bound and runs that one op by op against the
 *  reference, fed with what the device itself had; `step` 0: the forward pass over the judged samples. */
enum clrnn_status clrnn_compare_blame(const struct clrnn_compare *c, struct clrnn_device *device,
                                      uint32_t step, struct clrnn_compare_block *block);

#endif
