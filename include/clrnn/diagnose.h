// SPDX-License-Identifier: MIT
// Diagnosing a model that does not learn: overfit one batch, grow the model part by part, report findings
// with evidence. Also the self-test of devices and the comparison of devices.
#ifndef CLRNN_DIAGNOSE_H
#define CLRNN_DIAGNOSE_H

#include <signal.h>

#include "clrnn/config.h"
#include "clrnn/device.h"
#include "clrnn/train.h"

CLRNN_BEGIN

// ---------------------------------------------------------------- overfit

/** What to overfit, and for how long. Zeroed: one training batch, 1000 steps, loss 0.01. */
struct clrnn_overfit_params {
    const char *init; // safetensors to start from, or NULL
    uint32_t samples; // 0: one training batch
    uint32_t steps;   // most training steps; 0: 1000
    double target;    // loss to reach; 0: 0.01 (mse: 0.01 of the targets' variance), or just above the floor
    bool plain;       // train without dropout and scheduler
    const volatile sig_atomic_t *stop;
};

/** The result of overfitting one batch. Freed with clrnn_overfit_finish. */
struct clrnn_overfit_result {
    bool reached;
    uint32_t samples, steps;                             // steps: how many were done
    double first_loss, lowest_loss, last_loss, accuracy; // accuracy: NaN for mse
    double target, floor;                                // floor: the lowest value that the loss can have
    const char *floor_reason;                            // why the floor is above 0, or NULL; static
    bool cannot;       // the layers before the loss keep the loss above any low target
    bool falling;      // the target was not reached, but the loss was still falling
    const char *ended; // why training ended before `steps` without reaching the target, or NULL; static
    size_t curve_count;
    double *curve; // loss of each step; clrnn_overfit_finish frees it
    double grad_norm_first, last_lr;
    uint32_t classes; // different labels in the batch; 0 for mse
};

/** Trains on one batch until the loss is below the target. Returns CLRNN_OK whether or not the target was
 * reached (see `reached`). Errors: as clrnn_train. */
CLRNN_API enum clrnn_status clrnn_overfit(struct clrnn_device *device, const struct clrnn_config *config,
                                          const struct clrnn_overfit_params *params,
                                          struct clrnn_overfit_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_overfit_finish(struct clrnn_overfit_result *result);

// ---------------------------------------------------------------- grow

/** A stage of the ladder from a linear model to the config itself. */
struct clrnn_grow_stage {
    char *name;        // "+ bidirectional"
    char *description; // the layers in short: "birnn 64 x 2, batchnorm, linear 2"
    bool overfits;
    uint32_t overfit_steps;
    double overfit_loss;
    double train_loss, valid_loss, train_accuracy, valid_accuracy; // after the short training; NaN: none
    bool learns;                                                   // both in overfitting and in training
    bool breaks; // the stage before learns, this one does not; later stages omit what this one adds
};

/** How long to train each stage. Zeroed: the defaults. */
struct clrnn_grow_params {
    const char *init;
    uint32_t steps;       // training steps to overfit one batch at each stage; 0: 500
    uint32_t train_steps; // training steps of the short training at each stage; 0: 300
    void (*progress)(void *user, const struct clrnn_grow_stage *stage); // called after each stage; or NULL
    void *progress_user;
    const volatile sig_atomic_t *stop;
};

/** The stages that were trained. Freed with clrnn_grow_finish. */
struct clrnn_grow_result {
    size_t count;
    struct clrnn_grow_stage *stage;
    int first_broken; // index of the first stage that breaks learning; -1: none, or the config learns
    char *cause;      // one sentence about that stage; NULL: no stage breaks learning
};

/** Trains the config's model part by part, starting from a linear model, and names the part that breaks
 * learning. Returns CLRNN_OK whether or not a part does.
 *
 * Owner   the caller frees the contents of `result` with clrnn_grow_finish, also after an error.
 * Errors  as clrnn_train; CLRNN_INTERRUPTED: *stop was set.
 */
CLRNN_API enum clrnn_status clrnn_grow(struct clrnn_device *device, const struct clrnn_config *config,
                                       const struct clrnn_grow_params *params,
                                       struct clrnn_grow_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_grow_finish(struct clrnn_grow_result *result);

// ---------------------------------------------------------------- doctor

/** Severity of a finding. ERROR: the model cannot learn. WARNING: it learns badly. NOTE: worth knowing. */
enum clrnn_severity { CLRNN_SEVERITY_ERROR, CLRNN_SEVERITY_WARNING, CLRNN_SEVERITY_NOTE };

/** A row of the table of all findings; its strings are static. */
struct clrnn_finding_info {
    const char *id;               // "softmax-before-cross-entropy"
    enum clrnn_severity severity; // the highest severity that it is reported with
    const char *meaning, *cost, *remedy;
    const char *page; // documentation under doc/: "config.md#trainloss"
};

/** Returns the table of all findings and its number of rows in *count; static. */
CLRNN_API const struct clrnn_finding_info *clrnn_findings(size_t *count);

/** What changed when a finding's remedy was tried. NOTHING: a trial with the remedy ran to its end, was
 * no better and still learns badly, so that the finding does not explain the trouble. */
enum clrnn_tried { CLRNN_TRIED_NOT, CLRNN_TRIED_HELPS, CLRNN_TRIED_NOTHING, CLRNN_TRIED_WORSE };

/** One finding; its strings are owned by the result. */
struct clrnn_finding {
    const char *id; // id of its row in clrnn_findings(); static
    enum clrnn_severity severity;
    char *where;              // "model.layers[5] (softmax), config.yaml:9"
    char *evidence;           // numbers from this model and data
    char *cost;               // what the fault costs if it stays
    char *remedy;             // a config change that can be pasted, or advice
    char *set;                // a certain remedy as --set assignments and deletions, one per line; NULL: none
    const char *follows_from; // id of the finding in this result that explains this one; NULL: it is a cause
    enum clrnn_tried outcome;
    char *tried; // what changed when the remedy was tried, or why it was not tried; "": nothing to try
};

/** What the doctor examines. Zeroed: as much as fits into 45 seconds. */
struct clrnn_doctor_params {
    const char *init;
    const char *plot;   // folder for pictures of gradient norms by time step and layer, or NULL
    const char *report; // HTML file to write, or NULL
    bool static_only;   // --static: config and data only
    bool no_train;      // skip the short training
    double seconds;     // aim to end after this time; 0: 45
    const volatile sig_atomic_t *stop;
};

/** The doctor's findings. Freed with clrnn_doctor_finish. */
struct clrnn_doctor_result {
    size_t count;
    struct clrnn_finding
        *finding;  // gravest causes first; after each cause come the findings that follow from it
    char *first;   // what to do first, one sentence; "": nothing need be done
    char *verdict; // one sentence
    char *fixed;   // the config with the certain remedies applied, as YAML; NULL: none
};

/** Examines the config, the data and, with probes and a short training, the model. Faults of the model become
 * findings. Errors: only what prevents the examination, such as a missing data file or a failing device. */
CLRNN_API enum clrnn_status clrnn_doctor(struct clrnn_device *device, const struct clrnn_config *config,
                                         const struct clrnn_doctor_params *params,
                                         struct clrnn_doctor_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_doctor_finish(struct clrnn_doctor_result *result);

// ---------------------------------------------------------------- self-test

/** The self-test of one op: all its kernels, on several shapes. */
struct clrnn_selftest_op {
    char op[24]; // "rnn_fwd"
    uint32_t cases, wrong;
    double error;    // largest difference from the reference, divided by the tensor's largest magnitude
    double share;    // largest difference, divided by the bound of float32 rounding; above 1 it is wrong
    char fault[400]; // a sentence about the first fault, or ""
};

/** Capacity of `op` in struct clrnn_selftest_result. */
#define CLRNN_SELFTEST_OPS 64
/** The result of a self-test, op by op. Nothing in it needs freeing. */
struct clrnn_selftest_result {
    bool ok;
    bool shortened; // time ran out before the larger sizes: the device is slow
    uint32_t op_count;
    struct clrnn_selftest_op op[CLRNN_SELFTEST_OPS];
    double seconds;
};

/** How long to test. Zeroed: ten seconds, no progress. */
struct clrnn_selftest_params {
    double seconds;                              // limit for sizes above the smallest; 0: 10
    void (*doing)(void *user, const char *what); // called before each case; or NULL
    void *doing_user;
    const volatile sig_atomic_t *stop;
};

/** Compares every family of kernels (forward, backward, optimisers, random numbers) with the double-precision
 * reference at small and irregular sizes. Wrong numbers are reported in the result and are no error. Errors:
 * those of a device that fails. */
CLRNN_API enum clrnn_status clrnn_selftest(struct clrnn_device *device,
                                           const struct clrnn_selftest_params *params,
                                           struct clrnn_selftest_result *result);

/** The verdict on a device. */
enum clrnn_verdict {
    CLRNN_VERDICT_NONE, // not tested
    CLRNN_VERDICT_OK,
    CLRNN_VERDICT_WRONG,  // it computes wrong numbers
    CLRNN_VERDICT_BROKEN, // it fails, crashes or hangs
};

/** The name of a verdict: "ok", "wrong" or "broken"; static. NULL: not tested. */
CLRNN_API const char *clrnn_verdict_word(enum clrnn_verdict verdict);

/** A device's self-test, run in a child process. */
struct clrnn_device_test {
    enum clrnn_verdict verdict;
    char reason[400];                    // a sentence that explains WRONG or BROKEN
    struct clrnn_selftest_result result; // as far as the test got
};

/** Which devices to test, and how. Zeroed: all devices, with the defaults. */
struct clrnn_devices_params {
    const char *select; // test only this device; NULL: all
    bool no_test;
    double timeout_s; // a test that reports no progress for this time hangs; 0: 120
    double seconds;   // as in clrnn_selftest_params
    const volatile sig_atomic_t *stop;
    void (*progress)(void *user, const struct clrnn_device_info *device); // called before each test; or NULL
    void *progress_user;
};

/** Lists all devices and tests each in a child process, so that a crash or hang becomes a verdict. Call it in
 * a process that has opened no OpenCL device. (*tests)[i] is the test of list entry i; the caller frees the
 * array with free(). *row (row may be NULL): index of the entry that `select` matches, or the list's count.
 */
CLRNN_API enum clrnn_status clrnn_devices_test(const struct clrnn_log *log,
                                               const struct clrnn_devices_params *params,
                                               struct clrnn_device_list **list,
                                               struct clrnn_device_test **tests, size_t *row);

// ---------------------------------------------------------------- compare

/** How far a device's values are from the reference's, relative to the largest value, and the bound that
 * rounding explains. */
struct clrnn_deviation {
    double error, bound;
};

/** One device's results. NaN or 0: the device did not get so far. */
struct clrnn_compare_row {
    char spec[24], name[160], platform[160], driver[160], opencl[160];
    bool is_ref;
    enum clrnn_verdict verdict;    // verdict on the device from all results; OK for ref
    char reason[512];              // a sentence that explains WRONG or BROKEN
    struct clrnn_device_test test; // its self-test

    struct clrnn_deviation loss, logits, *gradient; // in the first step; gradient [param_count]
    size_t worst_gradient;                          // index of the gradient with the largest error / bound
    uint32_t steps;                                 // training steps done
    double *curve;                                  // [steps of the result] loss of each step
    uint32_t leaves; // first step (from 1) whose loss is beyond its bound; 0: none
    char blamed_op[64],
        blamed_tensor[64]; // first op and tensor that differ in that step: "linear_fwd fc7", "fc7 y"; or ""
    char blame[400];       // the evidence, or why there is none
    double final_loss, final_accuracy;
    struct clrnn_deviation final; // of final_loss

    double build_cold_s, build_warm_s;
    struct clrnn_timing step_ms; // of a training step; a measured window has several steps
    double samples_per_s, flops, bytes, gflops, gb_per_s;
    struct clrnn_peak peak;
    char unmeasured[256]; // a sentence: why speed or peak is NaN; "": nothing failed. Not part of `verdict`
    uint64_t launches_per_step, peak_device_bytes;
};

/** What to compare. Zeroed: every usable device, 20 steps. */
struct clrnn_compare_params {
    size_t device_count;
    const char *const *device; // [device_count] SPECs; device_count 0: every device that can be used
    const char *init;          // safetensors to start from, or NULL
    uint32_t steps;            // training steps; 0: 20
    bool no_speed;             // compare numbers only
    bool no_test;              // run no self-tests
    double timeout_s;          // a device that reports no progress for this time hangs; 0: 120
    const char *gemm;          // as in clrnn_device_params
    bool no_tune;
    const volatile sig_atomic_t *stop;
    void (*progress)(void *user, const char *what); // called before each part of the work; or NULL
    void *progress_user;
};

/** The result of a comparison. Freed with clrnn_compare_finish. */
struct clrnn_compare_result {
    uint32_t steps, batch, judged; // judged: number of samples that the final loss is computed on
    bool judged_valid;             // those samples are of the validation set
    bool speed;                    // speed was measured
    uint32_t noise_runs;           // runs of the reference with perturbed inputs, which give the bounds
    size_t param_count;
    char (*param)[80]; // [param_count] names of the trained parameters
    double *bound;     // [steps] bound of |loss - reference| / max(|reference|, 0.01)
    double *deviation; // [row_count, steps] for each row the difference that `bound` limits
    size_t row_count;
    struct clrnn_compare_row *row; // [row_count], ref last
    bool agree;
    char config_key[33]; // a hash of the config, in hexadecimal
};

/** Runs the same training on several devices and on ref, each in a child process, and compares the results;
 * doc/devices.md describes what is measured and how bounds are found. Call it in a process that has opened no
 * OpenCL device. Returns CLRNN_OK whether or not the devices agree. Errors: those of config, data and SPECs.
 */
CLRNN_API enum clrnn_status clrnn_compare(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_compare_params *params,
                                          struct clrnn_compare_result *result);
/** Draws compare-loss.svg and, if speed was measured, compare-speed.svg into `folder`. CLRNN_ERR_DISK: also
 * if gnuplot is not installed. CLRNN_ERR_ARG: files of these names exist that clRNN did not draw. */
CLRNN_API enum clrnn_status clrnn_compare_plot(const struct clrnn_log *log,
                                               const struct clrnn_compare_result *result, const char *folder);

/** A difference between a device's results and those of an earlier comparison. */
struct clrnn_baseline_change {
    size_t row;     // index into `row` of the comparison's result
    char text[512]; // "SLOWER: 2.100 ms a step, then 1.400 (1.50 times)"
};

/** What changed since an earlier comparison. Freed with clrnn_baseline_finish. */
struct clrnn_baseline_result {
    bool same_run; // both comparisons have the same config and steps; otherwise losses are not compared
    size_t count;
    struct clrnn_baseline_change *change; // [count], in the order of rows
};

/** Compares a result with an earlier one: verdicts, drivers, losses and, where both measured it, speed.
 *
 * path    the JSON file that `clrnn compare --json` wrote.
 * result  NULL: the file is only read and checked, as before a long run; `changes` may then be NULL.
 * Owner   the caller frees the contents of `changes` with clrnn_baseline_finish.
 * Errors  CLRNN_ERR_DATA: the file holds no comparison; CLRNN_ERR_DISK: it cannot be read; CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_compare_baseline(const struct clrnn_log *log, const char *path,
                                                   const struct clrnn_compare_result *result,
                                                   struct clrnn_baseline_result *changes);
/** Frees the contents; a second call does nothing. */
CLRNN_API void clrnn_baseline_finish(struct clrnn_baseline_result *changes);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_compare_finish(struct clrnn_compare_result *result);

CLRNN_END

#endif
