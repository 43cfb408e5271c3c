// SPDX-License-Identifier: MIT
// Diagnosing a model that does not learn: overfit one batch, grow the model part by part, report findings with
// evidence. Also the self-test of devices and the comparison of devices.
#ifndef CLRNN_DIAGNOSE_H
#define CLRNN_DIAGNOSE_H

#include <signal.h>

#include "clrnn/config.h"
#include "clrnn/device.h"
#include "clrnn/train.h"

CLRNN_BEGIN

// ---------------------------------------------------------------- overfit

/** What to overfit, and for how long. All fields zero: one training batch, 1000 steps, loss 0.01. */
struct clrnn_overfit_params {
    const char *init; // safetensors file of initial weights, or NULL
    uint32_t samples; // number of samples to overfit; 0: one training batch
    uint32_t steps;   // limit of training steps; 0: 1000
    // Loss to reach. 0: the lowest possible loss (`floor` of the result) plus a margin. The margin is 5 % of the floor
    // or 0.01 (mse: 0.01 of the targets' variance; l1 and quantile: of their standard deviation), whichever is more. If
    // layers before the loss raise the floor, the default is the 0.01 alone.
    double target;
    bool plain;                        // train without dropout and scheduler
    const volatile sig_atomic_t *stop; // *stop not 0: end with CLRNN_INTERRUPTED
};

/** The result of overfitting one batch. Freed with clrnn_overfit_finish. */
struct clrnn_overfit_result {
    bool reached;                                        // the loss fell below the target
    uint32_t samples, steps;                             // steps: number of steps that were trained
    double first_loss, lowest_loss, last_loss, accuracy; // accuracy: NaN for real targets
    double target, floor;                                // floor: the lowest loss that any weights can reach
    const char *floor_reason;                            // why the floor is above 0, or NULL; static
    bool cannot;       // layers before the loss keep the loss well above 0: no weights reach the target
    bool falling;      // the target was not reached, but the loss was still falling
    const char *ended; // why training ended before the step limit without success, or NULL; static
    size_t curve_count;
    double *curve; // loss of each step; clrnn_overfit_finish frees it
    double grad_norm_first, last_lr;
    uint32_t classes; // number of different classes in the batch; 0 for real targets
};

/** Trains on one batch until the loss is below the target. Returns CLRNN_OK whether or not the target was reached (see
 * `reached`). Errors: as clrnn_train. */
CLRNN_API enum clrnn_status clrnn_overfit(struct clrnn_device *device, const struct clrnn_config *config,
                                          const struct clrnn_overfit_params *params,
                                          struct clrnn_overfit_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_overfit_finish(struct clrnn_overfit_result *result);

// ---------------------------------------------------------------- grow

/** A stage of clrnn_grow. The first stage is a linear model; each later stage adds one part of the config, up to the
 * config's own model. */
struct clrnn_grow_stage {
    char *name;        // the part that the stage adds: "+ bidirectional"
    char *description; // the layers in short: "birnn 64 x 2, batchnorm, linear 2"
    bool overfits;     // the model reached the target loss on one batch
    uint32_t overfit_steps;
    double overfit_loss;
    double train_loss, valid_loss, train_accuracy, valid_accuracy; // after the short training; NaN: none
    bool learns; // the model learns both when it overfits one batch and in the short training
    // This stage does not learn, but the last earlier stage that does not break learning does. Later stages leave out
    // the part that this stage adds.
    bool breaks;
};

/** How long to train each stage. All fields zero: the defaults. */
struct clrnn_grow_params {
    const char *init;     // safetensors file of initial weights for the full config, or NULL
    uint32_t steps;       // training steps to overfit one batch at each stage; 0: 500
    uint32_t train_steps; // training steps of the short training at each stage (3 times as many if in doubt); 0: 300
    // called after each stage; may be NULL
    void (*progress)(void *user, const struct clrnn_grow_stage *stage);
    void *progress_user;
    const volatile sig_atomic_t *stop;
};

/** The stages that were trained. Freed with clrnn_grow_finish. */
struct clrnn_grow_result {
    size_t count;
    struct clrnn_grow_stage *stage;
    int first_broken; // index of the first stage that breaks learning; 0: no single one does; -1: the config learns
    char *cause;      // one sentence on why this stage breaks learning; NULL: the config learns
};

/** Trains the config's model part by part, starting from a linear model, and names the part that breaks learning.
 * Returns CLRNN_OK whether or not a part breaks learning.
 *
 * Owner   the caller frees the contents of `result` with clrnn_grow_finish, also after an error.
 * Errors  as clrnn_train; CLRNN_INTERRUPTED: *stop was set.
 */
CLRNN_API enum clrnn_status clrnn_grow(struct clrnn_device *device, const struct clrnn_config *config,
                                       const struct clrnn_grow_params *params, struct clrnn_grow_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_grow_finish(struct clrnn_grow_result *result);

// ---------------------------------------------------------------- doctor

/** Severity of a finding. ERROR: the model cannot learn. WARNING: the model learns badly. NOTE: a remark. */
enum clrnn_severity { CLRNN_SEVERITY_ERROR, CLRNN_SEVERITY_WARNING, CLRNN_SEVERITY_NOTE };

/** A row of the table of all findings; its strings are static. */
struct clrnn_finding_info {
    const char *id;               // "softmax-before-cross-entropy"
    enum clrnn_severity severity; // the highest severity with which this finding is reported
    const char *meaning, *cost, *remedy;
    const char *page; // page of the documentation, in the folder doc/: "config.md#trainloss"
};

/** Returns the static table of all findings, and sets *count to its number of rows. */
CLRNN_API const struct clrnn_finding_info *clrnn_findings(size_t *count);

/** What happened when a finding's remedy was tried in a short training. NOT: the remedy was not tried, or the trial
 * proved nothing. HELPS and WORSE: training got better or worse. NOTHING: the training ran to its end, was no better
 * than without the remedy and still learns badly; the finding is therefore not the cause of the trouble. */
enum clrnn_tried { CLRNN_TRIED_NOT, CLRNN_TRIED_HELPS, CLRNN_TRIED_NOTHING, CLRNN_TRIED_WORSE };

/** One finding; its strings are owned by the result. */
struct clrnn_finding {
    const char *id; // id of its row in clrnn_findings(); static
    enum clrnn_severity severity;
    char *where;              // "model.layers[5] (softmax), config.yaml:9"
    char *evidence;           // numbers from this model and data
    char *cost;               // what happens if the fault stays
    char *remedy;             // a config change that can be pasted, or advice
    char *set;                // a remedy that surely works: --set assignments and deletions, one per line; NULL: none
    const char *follows_from; // id of the finding of this result that causes this one; NULL: no finding does
    enum clrnn_tried outcome;
    char *tried; // what changed when the remedy was tried, or why it was not tried; "": no remedy to try
};

/** What the doctor examines. All fields zero: everything, in about 45 seconds. */
struct clrnn_doctor_params {
    const char *init;   // safetensors file of initial weights, or NULL
    const char *plot;   // folder for pictures of gradient norms by time step and by layer, or NULL
    const char *report; // HTML file to write, or NULL
    bool static_only;   // --static: examine config and data only, do not run the model
    bool no_train;      // skip the short training
    double seconds;     // time after which the examination should end; 0: 45
    const volatile sig_atomic_t *stop;
};

/** The doctor's findings. Freed with clrnn_doctor_finish. */
struct clrnn_doctor_result {
    size_t count;
    struct clrnn_finding *finding; // gravest causes first; after each cause come the findings that follow from it
    char *first;                   // one sentence that says what to do first; "": there is nothing to do
    char *verdict;                 // one sentence that sums up the findings
    char *fixed;                   // YAML of the config with every `set` applied; NULL: no finding has a `set`
};

/** Examines the config, the data and, with probes and a short training, the model. Faults of the config, the data or
 * the model are not errors but findings. Errors: only what prevents the examination, such as a missing data file or a
 * failing device. */
CLRNN_API enum clrnn_status clrnn_doctor(struct clrnn_device *device, const struct clrnn_config *config,
                                         const struct clrnn_doctor_params *params, struct clrnn_doctor_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_doctor_finish(struct clrnn_doctor_result *result);

// ---------------------------------------------------------------- self-test

/** The result of the self-test of one op (operation, such as rnn_fwd): all its kernels, on several shapes. */
struct clrnn_selftest_op {
    char op[24];           // "rnn_fwd"
    uint32_t cases, wrong; // number of cases tested, and of cases with wrong results
    double error;          // largest difference from the reference, divided by the tensor's largest magnitude
    double share;          // largest ratio of a difference to what float32 rounding explains; above 1: wrong
    char fault[400];       // a sentence about the first fault, or ""
};

/** Capacity of `op` in struct clrnn_selftest_result. */
#define CLRNN_SELFTEST_OPS 64
/** The result of a self-test, op by op. Nothing in it needs freeing. */
struct clrnn_selftest_result {
    bool ok;        // no case is wrong
    bool shortened; // the time limit ended the test before all larger sizes were tested
    uint32_t op_count;
    struct clrnn_selftest_op op[CLRNN_SELFTEST_OPS];
    double seconds;
};

/** How long to test. All fields zero: ten seconds, no callback. */
struct clrnn_selftest_params {
    double seconds;                              // only cases of the smallest size start after this time; 0: 10
    void (*doing)(void *user, const char *what); // called before each case; may be NULL
    void *doing_user;
    const volatile sig_atomic_t *stop;
};

/** Compares every family of kernels (forward, backward, optimisers, random numbers) with the double-precision reference
 * at small and irregular sizes. `params` NULL: all fields zero. Wrong numbers are reported in the result and are no
 * error. Errors: CLRNN_ERR_ARG on ref; the errors of a device that fails; CLRNN_INTERRUPTED: *stop was set. */
CLRNN_API enum clrnn_status clrnn_selftest(struct clrnn_device *device, const struct clrnn_selftest_params *params,
                                           struct clrnn_selftest_result *result);

/** The verdict on a device. */
enum clrnn_verdict {
    CLRNN_VERDICT_NONE, // not tested
    CLRNN_VERDICT_OK,
    CLRNN_VERDICT_WRONG,  // the device computes wrong numbers
    CLRNN_VERDICT_BROKEN, // the device fails, crashes or hangs
};

/** Returns the name of a verdict, "ok", "wrong" or "broken"; static. NULL for CLRNN_VERDICT_NONE. */
CLRNN_API const char *clrnn_verdict_word(enum clrnn_verdict verdict);

/** The outcome of a device's self-test, which ran in a child process. */
struct clrnn_device_test {
    enum clrnn_verdict verdict;
    char reason[400];                    // a sentence that explains WRONG or BROKEN
    struct clrnn_selftest_result result; // the results up to the point that the test reached
};

/** Which devices to test, and how. All fields zero: all devices, with the defaults. */
struct clrnn_devices_params {
    const char *select; // test only this device; NULL: all
    bool no_test;       // list the devices, but do not test them
    double timeout_s;   // a test that reports no progress for so many seconds counts as hanging; 0: 120
    double seconds;     // as in clrnn_selftest_params
    const volatile sig_atomic_t *stop;
    // called before each test; may be NULL
    void (*progress)(void *user, const struct clrnn_device_info *device);
    void *progress_user;
};

/** Lists all devices and tests each in a child process. A crash or hang of the child becomes a verdict. Call this
 * function in a process that has opened no OpenCL device. (*tests)[i] is the test of list entry i; the caller frees the
 * array with free(). Sets *row (row may be NULL) to the index of the entry that params->select matches, or to the
 * list's count if `select` is NULL. */
CLRNN_API enum clrnn_status clrnn_devices_test(const struct clrnn_log *log, const struct clrnn_devices_params *params,
                                               struct clrnn_device_list **list, struct clrnn_device_test **tests,
                                               size_t *row);

// ---------------------------------------------------------------- compare

/** error: the largest difference between a device's values and the reference's, relative to the largest value. bound:
 * the largest such difference that rounding explains. */
struct clrnn_deviation {
    double error, bound;
};

/** One device's results. NaN or 0: the device did not get as far as this result. */
struct clrnn_compare_row {
    char spec[24], name[160], platform[160], driver[160], opencl[160];
    bool is_ref;
    enum clrnn_verdict verdict;    // verdict on the device from all results; OK for ref
    char reason[512];              // a sentence that explains WRONG or BROKEN
    struct clrnn_device_test test; // its self-test

    // deviations of the first training step; gradient [param_count]
    struct clrnn_deviation loss, logits, *gradient;
    size_t worst_gradient; // index of the gradient with the largest error / bound
    uint32_t steps;        // training steps done
    double *curve;         // [steps of the result] loss of each step
    uint32_t leaves;       // first step (from 1) whose loss differs by more than its bound; 0: none
    // If the loss or the first step deviates, the first step that deviates is run again op by op. If only the final
    // loss deviates, the final evaluation is run again.
    char blamed_op[64],    // the first op with a wrong result, "linear_fwd fc7"; or ""
        blamed_tensor[64]; // the tensor that has the wrong result, "fc7 y"; or ""
    char blame[400];       // the evidence against the op, or why no op was found
    double final_loss, final_accuracy;
    struct clrnn_deviation final; // of final_loss

    double build_cold_s,         // by how much the first step takes longer than the second, with empty kernel caches
        build_warm_s;            // the same with filled kernel caches
    struct clrnn_timing step_ms; // time of a training step; each measured window has several steps
    double samples_per_s, flops, bytes, gflops, gb_per_s;
    struct clrnn_peak peak;
    char unmeasured[256]; // a sentence: why speed or peak is NaN; "": nothing failed. No effect on `verdict`
    uint64_t launches_per_step, peak_device_bytes;
};

/** What to compare. All fields zero: every usable device, 20 steps. */
struct clrnn_compare_params {
    size_t device_count;
    const char *const *device; // [device_count] devices, as in clrnn_device_params; 0: all that can be used
    const char *init;          // safetensors file of initial weights, or NULL
    uint32_t steps;            // training steps; 0: 20
    bool no_speed;             // compare numbers only
    bool no_test;              // run no self-tests
    double timeout_s;          // seconds without progress after which a device counts as hanging; 0: 120
    const char *gemm;          // as in clrnn_device_params
    bool no_tune;
    const volatile sig_atomic_t *stop;
    void (*progress)(void *user, const char *what); // called before each part of the work; may be NULL
    void *progress_user;
};

/** The result of a comparison. Freed with clrnn_compare_finish. */
struct clrnn_compare_result {
    uint32_t steps, batch, judged; // judged: number of samples from which the final loss is computed
    bool judged_valid;             // these samples are of the validation set
    bool speed;                    // speed was measured
    uint32_t noise_runs;           // runs of the reference with perturbed op outputs, which give the bounds
    size_t param_count;
    char (*param)[80]; // [param_count] names of the trained parameters
    double *bound;     // [steps] bound of |loss - r| / max(|r|, 0.01), where r is the reference's loss
    double *deviation; // [row_count, steps] |loss - r| / max(|r|, 0.01) of each device
    size_t row_count;
    struct clrnn_compare_row *row; // [row_count], ref last
    bool agree;                    // every device's verdict is OK
    char config_key[33];           // a hash of the config, in hexadecimal
};

/** Runs the same training on several devices and on ref, each in a child process, and compares the results;
 * doc/devices.md describes what is measured and how bounds are found. Call it in a process that has opened no OpenCL
 * device. `params` NULL: all fields zero. Returns CLRNN_OK whether or not the devices agree. Errors: for the config,
 * the data or the choice of devices. */
CLRNN_API enum clrnn_status clrnn_compare(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_compare_params *params,
                                          struct clrnn_compare_result *result);
/** Draws compare-loss.svg and, if speed was measured, compare-speed.svg into `folder`. CLRNN_ERR_DISK: also if gnuplot
 * is not installed. CLRNN_ERR_ARG: a file of one of these names exists that clRNN did not draw. */
CLRNN_API enum clrnn_status clrnn_compare_plot(const struct clrnn_log *log, const struct clrnn_compare_result *result,
                                               const char *folder);

/** A difference between a device's results and its results in an earlier comparison. */
struct clrnn_baseline_change {
    size_t row;     // index into `row` of the comparison's result
    char text[512]; // "SLOWER: 2.100 ms a step, earlier 1.400 (1.50 times)"
};

/** What changed since an earlier comparison. Freed with clrnn_baseline_finish. */
struct clrnn_baseline_result {
    bool same_run; // both comparisons have the same config and steps; otherwise losses are not compared
    size_t count;
    struct clrnn_baseline_change *change; // [count], in the order of rows
};

/** Compares a result with an earlier one: verdicts, drivers, losses and, if both measured speed, speed.
 *
 * path    the JSON file that `clrnn compare --json` wrote.
 * result  NULL: the file is only read and checked, for use before a long run; `changes` may then be NULL.
 * Owner   the caller frees the contents of `changes` with clrnn_baseline_finish.
 * Errors  CLRNN_ERR_DATA: the file cannot be read, or is no comparison; CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_compare_baseline(const struct clrnn_log *log, const char *path,
                                                   const struct clrnn_compare_result *result,
                                                   struct clrnn_baseline_result *changes);
/** Frees the contents of `changes`; does nothing in a second call or if `changes` is NULL. */
CLRNN_API void clrnn_baseline_finish(struct clrnn_baseline_result *changes);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_compare_finish(struct clrnn_compare_result *result);

CLRNN_END

#endif
