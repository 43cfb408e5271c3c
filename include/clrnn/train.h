// SPDX-License-Identifier: MIT
// Training runs, evaluation and prediction over whole data sets, and the folder that a run leaves.
#ifndef CLRNN_TRAIN_H
#define CLRNN_TRAIN_H

#include <signal.h>

#include "clrnn/model.h"

CLRNN_BEGIN

/** Where a run stands; passed to the progress callback after batches and epochs. */
struct clrnn_progress {
    bool epoch_end;                  // an epoch's line: train_loss to valid_r2 hold
    uint32_t epoch, epochs;          // from 1
    uint32_t batch, batches;         // done in this epoch
    uint64_t samples, samples_total; // in this epoch
    uint64_t step;                   // since the run's start
    double loss;                     // of the last batch read
    double lr;                       // of the last step
    double samples_per_s, seconds_left;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // NaN where there is none
    double train_mae, valid_mae, valid_rmse, valid_r2;             // mse only, else NaN
    double grad_norm, seconds;                                     // of the last step; of this epoch
    bool best;                                                     // this epoch became best.safetensors
};
/** Called in the thread that trains, between steps; `progress` is valid during the call only. */
typedef void clrnn_progress_fn(void *user, const struct clrnn_progress *progress);

/** What a training run is asked to do. Zeroed: as `clrnn train` with a config and no options, but without
 *  pictures. All is read during the call only. */
struct clrnn_train_params {
    const struct clrnn_config *config;
    const char *out;  // run folder; NULL: runs/<config's name>-<date>-<time>
    const char *init; // safetensors to start from, or NULL
    bool init_partial;
    const char *resume; // run folder to go on with, or NULL
    int plot;           // 1 yes, 0 no, -1 where gnuplot is installed
    bool no_watch;
    bool profile; // at the end, log the time of each launch at INFO, grouped by op
    clrnn_progress_fn *progress;
    void *progress_user;
    const volatile sig_atomic_t *stop; // set to non-zero (Ctrl-C): checkpoint, CLRNN_INTERRUPTED
};

/** What a run came to; also in summary.json. NaN where there is none. */
struct clrnn_train_result {
    char folder[4096]; // the run folder
    uint64_t epochs, steps, best_epoch, parameters, peak_device_bytes;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // of the last epoch
    double seconds, ms_per_step_median, samples_per_s, build_seconds;
    bool chained; // the last whole batch ran as chains of launches
};

/** Reads the config of a run folder that `resume` goes on with, and changes it as clrnn_config_read does;
 * ends what a process that was killed began there. Errors: clrnn_config_read's; CLRNN_ERR_DATA: it is no run
 *  folder; CLRNN_ERR_ARG: another process writes to it; CLRNN_ERR_DISK. */
CLRNN_API enum clrnn_status clrnn_run_config(const struct clrnn_log *log, const char *run, size_t set_count,
                                             const char *const *set, struct clrnn_config **config);

/**
 * Trains as the config says and writes the run folder: config.yaml, metrics.jsonl, last.safetensors,
 * best.safetensors, summary.json, pictures. With `resume` goes on with the run there, bit for bit as if it
 * had never stopped; `config` may then be NULL, or differ in train.epochs, train.log_every and
 * train.early_stopping.
 *
 * `result`  filled, as far as the run came, in any case; may be NULL.
 * Errors    CLRNN_ERR_CONFIG, CLRNN_ERR_DATA, CLRNN_ERR_ARG (another process writes to the folder),
 *           CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_BUILD, CLRNN_ERR_DEVICE. CLRNN_INTERRUPTED: *stop was
 *           set; the checkpoint is written. No file is ever half-written.
 *           CLRNN_FAILED: the last epoch's training loss is NaN.
 * Source    doc/config.md, doc/maths.md
 */
CLRNN_API enum clrnn_status clrnn_train(struct clrnn_device *device, const struct clrnn_train_params *params,
                                        struct clrnn_train_result *result);

/**
 * What a data set looks like, from its files' headers: what clrnn_model_create needs for a plain state dict.
 *
 * `config`  what the data are for; its folder counts where `source` has relative paths.
 * Errors    CLRNN_ERR_DATA: no such file, or one that cannot be read. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_source_shape(const struct clrnn_log *log, const struct clrnn_config *config,
                                               const struct clrnn_source *source,
                                               struct clrnn_data_shape *shape);

/** How one class was told from the others. */
struct clrnn_class_result {
    uint64_t support;             // samples (steps) of the class
    double precision, recall, f1; // NaN where undefined
};
/** Loss, accuracy and per-class figures of a model on a data set. */
struct clrnn_eval_result {
    uint64_t samples, counted; // counted: without ignored labels; steps where there is a label for each
    double loss, accuracy;     // accuracy NaN for mse
    double mae, rmse, r2;      // mse, else NaN
    double roc_auc;            // two classes, else NaN
    uint32_t classes;
    uint64_t *confusion;                  // [classes, classes], row: truth; free with clrnn_eval_finish
    struct clrnn_class_result *per_class; // [classes]
};

/**
 * Evaluates a model in eval mode on a data set, batch by batch.
 *
 * `source`  x, y and lengths, or csv and label, or synthetic; paths are relative to the working directory.
 * Owner     the caller finishes `result` with clrnn_eval_finish, also after an error.
 * Errors    CLRNN_ERR_ARG: no targets. CLRNN_ERR_DATA: the data do not fit the model, or their first bad row.
 *           CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source    doc/maths.md, "Figures of an evaluation"
 */
CLRNN_API enum clrnn_status clrnn_eval(struct clrnn_model *model, const struct clrnn_source *source,
                                       struct clrnn_eval_result *result);
/** Frees what the result holds; a second call does nothing. */
CLRNN_API void clrnn_eval_finish(struct clrnn_eval_result *result);

/** What is predicted: what the last layer puts out, probabilities, or the likeliest class. */
enum clrnn_predict_kind { CLRNN_PREDICT_LOGITS, CLRNN_PREDICT_PROBS, CLRNN_PREDICT_CLASSES };

/**
 * Streams predictions for `source` (y is not needed) into the file `out`, .npy or .csv by its name, in the
 * memory of one batch.
 *
 * Shapes  .npy: (N, outputs) or per step (N, T, outputs) float32, zeros in padding; classes (N) or (N, T)
 *         int64, -1 in padding. .csv: a row for each sample or valid step.
 * Errors  CLRNN_ERR_ARG: another kind of file, or probabilities of an mse model. CLRNN_ERR_DATA,
 *         CLRNN_ERR_DISK (`out` is then as it was), CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_predict(struct clrnn_model *model, const struct clrnn_source *source,
                                          enum clrnn_predict_kind kind, const char *out);

/** Milliseconds of one thing, measured over `reps` windows of several repetitions each. */
struct clrnn_timing {
    double median, min, max;
    uint32_t reps;
};

/** How long to measure. Zeroed: the defaults. */
struct clrnn_bench_params {
    double seconds;   // to spend on each of training and inference; 0: 2
    uint32_t warm_up; // steps before the first window; 0: 10
};

/** Times of a warm training step and inference, and the work that they do. */
struct clrnn_bench_result {
    uint32_t batch, steps, features; // N, T, C of the batch
    struct clrnn_timing train_ms;    // forward, backward and update of one batch
    struct clrnn_timing infer_ms;    // one batch in eval mode
    double samples_per_s;            // training
    double flops, bytes;             // of a training step, by the plan's counts
    double gflops, gb_per_s;         // these over the median
    double infer_flops, infer_gflops;
    double host_ms_per_step;                     // processor time of the calling thread in a training step
    uint64_t launches_per_step, queued_per_step; // queued: commands, of which one may hold many launches
    uint64_t peak_device_bytes;
    double first_step_s; // from the call to the end of the first training step
};

/** Measures one training step and one inference of a config's batch on its training data, warm. */
CLRNN_API enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                                        const struct clrnn_bench_params *params,
                                        struct clrnn_bench_result *result);

/**
 * What a training step (or with `predict` an inference) of one batch of the config's training data consists
 * of: each op with its tensors, FLOPs and bytes, and the launches that carry it out on the device. Runs
 * nothing.
 *
 * Owner   *text, for people or as JSON, is the caller's to free().
 * Errors  as clrnn_train; *text is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_plan_text(struct clrnn_device *device, const struct clrnn_config *config,
                                            bool predict, bool json, char **text);

/** What to tune, and for how long. Zeroed: the default device, 120 s. */
struct clrnn_tune_params {
    const char *select; // as in clrnn_device_params
    double seconds;     // no measurement is begun after these; 0: 120
    uint32_t settings;  // of CLBlast, tried at most in this call; 0: any number
    bool restart;       // forget what was measured before
    const volatile sig_atomic_t *stop;
};

/** A choice between ways to carry out an op, and what tuning measured: milliseconds of the whole op, NaN
 * where there was no time. */
struct clrnn_tuned_choice {
    char key[160];              // the op, its sizes, and what is chosen
    char standard[24], use[24]; // what is taken without tuning, and with it
    double standard_ms, use_ms;
};

/** What tuning came to. Finish it with clrnn_tune_finish. */
struct clrnn_tune_result {
    char *file; // that remembers it
    size_t multiply_count, choice_count;
    struct clrnn_tuned_multiply *multiply;
    struct clrnn_tuned_choice *choice;
};

/**
 * Measures, for a config's training step and inference, matrix multiplies by CLBlast and by our kernels and
 * the choices between ways to carry out an op; what is fastest is remembered in the user's cache for this
 * device and driver, and used by devices opened later. To be called in a process that has done no multiply by
 * CLBlast.
 *
 * `config`  NULL: layers of common sizes.
 * Owner     the caller finishes `result`, also after an error.
 * Errors    as clrnn_train; CLRNN_ERR_ARG on ref; CLRNN_ERR_DISK: the file.
 */
CLRNN_API enum clrnn_status clrnn_tune(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_tune_params *params,
                                       struct clrnn_tune_result *result);
/** Frees what the result holds; a second call does nothing. */
CLRNN_API void clrnn_tune_finish(struct clrnn_tune_result *result);

/** Which data set to make up. Zeroed: the seed's. */
struct clrnn_synth_params {
    const char *task; // NULL or "seed", "adding", "parity", "copy-first"
    uint32_t samples, test_samples, steps, features, classes; // 0: the seed's 22644, 5661, 1, 2474, 2
    uint64_t seed;
};

/**
 * Makes up a data set in the seed's shape, or a classic task over T steps: X_train.npy, y_train.npy,
 * X_test.npy and y_test.npy in `folder`, which is made where it is missing. The same seed gives the same
 * bytes.
 *
 * Errors  CLRNN_ERR_ARG: no such task, or sizes that it does not allow. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_synth(const struct clrnn_log *log, const struct clrnn_synth_params *params,
                                        const char *folder);

CLRNN_END

#endif
