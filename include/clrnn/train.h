// SPDX-License-Identifier: MIT
// Training runs with their folders, evaluation and prediction on data sets, benchmarking and tuning.
#ifndef CLRNN_TRAIN_H
#define CLRNN_TRAIN_H

#include <signal.h>

#include <stdio.h>

#include "clrnn/state.h"

CLRNN_BEGIN

/** Progress of a run; passed to the callback after batches and epochs. */
struct clrnn_progress {
    bool epoch_end;                  // an epoch has ended: train_loss to valid_r2 are set
    uint32_t epoch, epochs;          // number of this epoch, from 1, and of all epochs
    uint32_t batch, batches;         // batches done in this epoch, and in a whole epoch
    uint64_t samples, samples_total; // samples done in this epoch, and in a whole epoch
    uint64_t step;                   // training steps since the run's start
    double loss;                     // of the last batch whose loss was read back from the device
    double lr;                       // learning rate of the last step
    double samples_per_s, seconds_left;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // NaN: there is none
    double train_mae, valid_mae, valid_rmse, valid_r2;             // for real targets but quantile, else NaN
    double grad_norm, seconds; // norm of the last step's gradients; duration of this epoch so far
    bool best;                 // this epoch's weights became best.safetensors
    const char *metrics; // this epoch's line of metrics.jsonl, a JSON object; NULL: not the end of an epoch
};
/** Called in the training thread, between steps; `progress` is valid only during the call. */
typedef void clrnn_progress_fn(void *user, const struct clrnn_progress *progress);

/** Parameters of a training run. Zeroed: like `clrnn train` with a config and no options, but without
 * pictures. Read only during the call. */
struct clrnn_train_params {
    const struct clrnn_config *config;
    const char *out;  // run folder; NULL: runs/<config's name>-<date>-<time>
    const char *init; // safetensors to start from, or NULL
    bool init_partial;
    const char *resume; // run folder to resume, or NULL
    int plot;           // 1: yes, 0: no, -1: if gnuplot is installed
    bool no_watch;      // do not warn of a run that does not learn
    bool profile;       // at the end, log the time of each launch at INFO, grouped by op
    clrnn_progress_fn *progress;
    void *progress_user;
    const volatile sig_atomic_t *stop; // non-zero (Ctrl-C): write a checkpoint, return CLRNN_INTERRUPTED
    // More devices: each computes some of the config's shards in a thread of its own. Until clrnn_train
    // returns, their logs are replaced so that only the first error of all devices is logged.
    struct clrnn_device *const *further;
    size_t further_count; // at most 63
};

/** How well a naive prediction, made without a model, does on a time series. For real targets: last value,
 * the value a season before (`season` in the data), a line through the window. For classes: the commonest. */
struct clrnn_naive_result {
    const char *name;           // "last value", "seasonal", "linear", "commonest class"; static
    double mae, rmse, accuracy; // defined as in struct clrnn_eval_result; NaN: no value
};
/** The naive predictions of a data set; count 0 if its samples are not cut from a time series. */
struct clrnn_naive {
    uint32_t count;
    struct clrnn_naive_result result[3];
};

/** The result of a run, also in summary.json. NaN: no value. */
struct clrnn_train_result {
    char folder[4096]; // the run folder
    uint64_t epochs, steps, best_epoch, parameters, peak_device_bytes;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // after the last epoch
    double seconds, ms_per_step_median, samples_per_s, build_seconds;
    bool chained;             // the last full batch ran as chains: launches compiled into one kernel
    struct clrnn_naive naive; // on the validation set, else on the training set
};

/** Counts the tables of large CSV files that are kept in the cache folder, and their bytes. CLRNN_ERR_DISK:
 * the folder cannot be read, or no place for a cache is known; CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_tables_info(const struct clrnn_log *log, size_t *tables, uint64_t *bytes);
/** Removes these tables, and gives how many there were and their bytes. Errors: as clrnn_tables_info. */
CLRNN_API enum clrnn_status clrnn_tables_clear(const struct clrnn_log *log, size_t *tables, uint64_t *bytes);

/** Which checkpoint of a run folder is meant. */
enum clrnn_checkpoint_choice {
    CLRNN_CHECKPOINT_USUAL, // BEST if the run's config has early stopping, else LAST
    CLRNN_CHECKPOINT_LAST,
    CLRNN_CHECKPOINT_BEST // the epoch with the lowest validation loss (without data.valid: training loss)
};

/** Gives the model file that `path` means: last.safetensors or best.safetensors in a run folder, else `path`
 * itself. If the two files are of different epochs, one line at CLRNN_LOG_INFO says which was taken, and the
 * loss of both.
 *
 * Owner   the caller: free(*file).
 * Errors  CLRNN_ERR_DATA: not a run folder, or it lacks the file; CLRNN_ERR_ARG: LAST or BEST, but `path` is
 *         no folder; CLRNN_ERR_MEMORY. *file is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_run_checkpoint(const struct clrnn_log *log, const char *path,
                                                 enum clrnn_checkpoint_choice choice, char **file);

/** Checks a path before output is written to it. CLRNN_ERR_ARG: the output would replace a file of a run. */
CLRNN_API enum clrnn_status clrnn_run_check_output(const struct clrnn_log *log, const char *path);

/** Reads the config of the run folder `run` before it is resumed, and applies assignments as
 * clrnn_config_read does. If a killed process left a replacement of the run unfinished, it is completed
 * first. Errors: as clrnn_config_read; CLRNN_ERR_DATA: not a run folder; CLRNN_ERR_ARG: another process
 * writes to it; CLRNN_ERR_DISK. */
CLRNN_API enum clrnn_status clrnn_run_config(const struct clrnn_log *log, const char *run, size_t set_count,
                                             const char *const *set, struct clrnn_config **config);

/**
 * Trains as the config says and writes the run folder: config.yaml, metrics.jsonl, last.safetensors,
 * best.safetensors, summary.json, pictures. With `resume` it continues the run in that folder, bit for bit as
 * if the run had never stopped; `config` may then be NULL, or differ from the run's config in train.epochs,
 * train.log_every and train.early_stopping.
 *
 * `result`  filled as far as the run got, also after an error; may be NULL.
 * Errors    CLRNN_ERR_CONFIG, CLRNN_ERR_DATA, CLRNN_ERR_ARG (another process writes to the folder),
 *           CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_BUILD, CLRNN_ERR_DEVICE. CLRNN_INTERRUPTED: *stop was
 *           set; the checkpoint is written. Files are written atomically.
 *           CLRNN_FAILED: the last epoch's training loss is NaN.
 * Source    doc/config.md, doc/maths.md
 */
CLRNN_API enum clrnn_status clrnn_train(struct clrnn_device *device, const struct clrnn_train_params *params,
                                        struct clrnn_train_result *result);

/** This process as one of the ranks that mpirun or Slurm started to train together. */
struct clrnn_rank {
    uint32_t own, count;  // this rank's number, and the number of ranks; 0 and 1 for a process alone
    uint32_t local;       // this rank's number among the ranks on its host
    struct clrnn_log log; // the log to use from now on; on ranks other than 0 it shows no messages
};
/** The number of processes, this one included, that MPI's launcher says it started; 0: no launcher. */
CLRNN_API unsigned clrnn_rank_launched(void);
/** Joins the other ranks if MPI's launcher started this process, and starts MPI unless it runs already. From
 * then on all ranks must call clrnn_train, which divides the config's shards among them; only rank 0 writes
 * files and calls `progress`. Errors: CLRNN_ERR_ARG: the launcher belongs to another MPI than the library's,
 * or the library has none; CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_join(const struct clrnn_log *log, struct clrnn_rank *rank);
/** Makes the ranks agree on a status before clrnn_train; each rank passes its own. Returns the same status on
 * all: that of the first rank that has failed, whose error rank 0 logs. All ranks must call it. */
CLRNN_API enum clrnn_status clrnn_rank_agree(enum clrnn_status status);
/** Counts the ranks on this host that pass the same text (*count), and gives this rank's number among them
 * (*own), for work that the ranks of a host divide. All ranks must call it. Errors: CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_share(const char *text, uint32_t *own, uint32_t *count);
/** A connection between two processes. */
struct clrnn_network {
    double bytes_per_s; // in each direction; 0: there is no connection
    double latency_s;   // of a message
};
/** Measures the connection between the first and the last rank; a process alone has none. All ranks must call
 * it. Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_network(const struct clrnn_log *log, struct clrnn_network *network);
/** Leaves the other ranks, and ends MPI if clrnn_rank_join started it. */
CLRNN_API void clrnn_rank_leave(void);

/** Reads the shape of a data set from its files' headers, for clrnn_model_create.
 *
 * `config`  the config that the data are for; relative paths in `source` are relative to its folder.
 * Errors    CLRNN_ERR_DATA: no such file, or a file that cannot be read. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_source_shape(const struct clrnn_log *log, const struct clrnn_config *config,
                                               const struct clrnn_source *source,
                                               struct clrnn_data_shape *shape);

/** Describes the data sets of a config as they are read: for each its file, rows, columns (least, mean and
 * largest value, missing cells), classes, lengths and first samples, and for series the naive predictions.
 *
 * Owner   the caller frees *text, plain text or JSON, with free().
 * Errors  as clrnn_train if data cannot be read; *text is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_data_text(const struct clrnn_log *log, const struct clrnn_config *config,
                                            bool json, char **text);

/** Precision, recall and F1 of one class. */
struct clrnn_class_result {
    uint64_t support;             // samples (steps) of the class
    double precision, recall, f1; // NaN where undefined
};
/** Errors of one output of real targets. */
struct clrnn_output_result {
    double mae, rmse, r2; // r2 NaN where the targets do not vary
};

/** The result of an evaluation; free its contents with clrnn_eval_finish. */
struct clrnn_eval_result {
    uint64_t samples, counted; // counted: labels in the loss (ignore_index left out), of samples or of steps
    double loss, accuracy;     // accuracy to pr_auc: for classes and labels; NaN for real targets
    double balanced_accuracy, macro_f1, roc_auc, pr_auc;
    double mae, rmse, r2;                 // for real targets: means over the outputs; NaN for quantile
    double cer, wer;                      // for ctc: edits per label; share of samples with an edit
    uint32_t classes;                     // number of classes, or of labels if a sample can have several
    uint64_t *confusion;                  // [classes, classes], row: true class; several labels: NULL
    struct clrnn_class_result *per_class; // [classes]
    uint32_t outputs;
    struct clrnn_output_result *per_output; // [outputs], for real targets
    struct clrnn_naive naive;
};

/** Makes clrnn_eval, clrnn_predict and related functions run batches of `model` on other devices too; devices
 * take batches in turn. Devices of one kind give the same results as one device.
 *
 * `others`  [count] the same model on other devices; its values there are used as they are. The array and the
 *           models must live until `model` is destroyed or the next call. count 0: its own device alone.
 * Errors    CLRNN_ERR_ARG: a model of `others` is not the same, or on the same device.
 */
CLRNN_API enum clrnn_status clrnn_model_share(struct clrnn_model *model, struct clrnn_model *const *others,
                                              size_t count);

/**
 * Evaluates a model in eval mode on a data set, batch by batch.
 *
 * `source`  x, y and lengths, or csv and label, or synthetic, or arrays, or own; paths are relative to the
 *           working directory, paths of the model's own data to the folder of its config.
 * Owner     the caller frees the contents of `result` with clrnn_eval_finish, also after an error.
 * Errors    CLRNN_ERR_ARG: no targets, or `own` although the model has no data of its own to test on.
 *           CLRNN_ERR_DATA: the data do not fit the model, or a row is bad (the message names the first).
 *           CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source    doc/maths.md, "Figures of an evaluation"
 */
CLRNN_API enum clrnn_status clrnn_eval(struct clrnn_model *model, const struct clrnn_source *source,
                                       struct clrnn_eval_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_eval_finish(struct clrnn_eval_result *result);

/** What to predict: the output of the last layer, probabilities, or the most likely class. */
enum clrnn_predict_kind { CLRNN_PREDICT_LOGITS, CLRNN_PREDICT_PROBS, CLRNN_PREDICT_CLASSES };

/** Writes predictions for `source` (y is not needed) to the file `out`, as .npy or .csv by its extension; to
 * pipes and devices without one as CSV. Needs memory for one batch only.
 *
 * Shapes  .npy: (N, outputs) or per step (N, T, outputs) float32, zeros in padding; classes (N) or (N, T)
 *         int64, -1 in padding. .csv: a row for each sample or valid step.
 * Errors  CLRNN_ERR_ARG: another extension, or probabilities of an mse model. CLRNN_ERR_DATA,
 *         CLRNN_ERR_DISK (`out` is then unchanged), CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_predict(struct clrnn_model *model, const struct clrnn_source *source,
                                          enum clrnn_predict_kind kind, const char *out);

/** Predicts a stream step by step until `in` ends: reads a line of CSV with the C features of a step (or one
 * token) from `in`, and writes a line with the prediction after that step to `out`, which it flushes. Empty
 * lines and a header (a first line without any number) are skipped. The sequence continues from `state`.
 *
 * Errors  CLRNN_ERR_DATA: a line does not fit (the message names it); earlier lines have been answered.
 *         CLRNN_ERR_ARG: probabilities or classes of a model that predicts values. CLRNN_ERR_DISK: `out`
 *         cannot be written. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_predict_stream(struct clrnn_model *model, struct clrnn_state *state,
                                                 enum clrnn_predict_kind kind, FILE *in, FILE *out);

/** Predicts as clrnn_predict does, but into memory.
 *
 * `out`   array of float, or of int64_t for classes, in the shape that clrnn_predict writes as .npy.
 * `count` number of elements of `out`.
 * Errors  as clrnn_predict; CLRNN_ERR_ARG: `count` is not the number of predictions.
 */
CLRNN_API enum clrnn_status clrnn_predict_array(struct clrnn_model *model, const struct clrnn_source *source,
                                                enum clrnn_predict_kind kind, void *out, size_t count);

/** Writes the label sequence that a model trained with ctc finds in each sample.
 *
 * `beam`  number of prefixes that a beam search keeps at each step; 0: greedy decoding, which takes the
 *         likeliest class of each step, merges equal neighbours and drops blanks.
 * Shapes  .npy: integers (N, longest), -1 after the end; .csv: for each label a row sample, position, class.
 * Errors  as clrnn_predict; CLRNN_ERR_ARG: the model was not trained with ctc.
 */
CLRNN_API enum clrnn_status clrnn_predict_labels(struct clrnn_model *model, const struct clrnn_source *source,
                                                 uint32_t beam, const char *out);

/** A time in milliseconds, measured over `reps` windows of several repetitions each. */
struct clrnn_timing {
    double median, min, max;
    uint32_t reps;
};

/** How long to measure. Zeroed: the defaults. */
struct clrnn_bench_params {
    double seconds;   // time for training, and again for inference; 0: 2
    uint32_t warm_up; // steps before the first window; 0: 10
    // More devices, with logs of their own. Each computes some of the config's shards in a training step; in
    // inference the devices take batches in turn.
    struct clrnn_device *const *further;
    size_t further_count; // at most 63
};

/** Times and work of a training step and of an inference after warm-up, for all devices together. */
struct clrnn_bench_result {
    uint32_t batch, steps, features; // N, T, C of the batch
    struct clrnn_timing train_ms;    // forward, backward and update of one batch
    struct clrnn_timing infer_ms;    // one batch in eval mode; n devices: time of one batch on each, over n
    double samples_per_s;            // in training
    double flops, bytes;             // of a training step, as the plan counts them
    double gflops, gb_per_s;         // flops and bytes over the median of train_ms
    double infer_flops, infer_gflops;
    double host_ms_per_step;                     // processor time of the calling thread in a training step
    uint64_t launches_per_step, queued_per_step; // queued: commands, each of which may hold many launches
    uint64_t peak_device_bytes;                  // on the device that holds most
    double first_step_s;                         // from the call to the end of the first training step
};

/** Measures a training step and an inference on one batch of the config's training data, after warm-up. The
 * step is the same as in clrnn_train, by shards if the config has train.shards. Errors: as clrnn_train. */
CLRNN_API enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                                        const struct clrnn_bench_params *params,
                                        struct clrnn_bench_result *result);

/** Which plan to describe, and how. */
struct clrnn_plan_text_params {
    bool predict;                 // the plan of an inference instead of a training step
    bool json;                    // JSON instead of plain text
    struct clrnn_network network; // with train.shards: connection between ranks, to estimate their speed
};

/** Describes a training step or an inference on one batch of the config's training data: each op with its
 * tensors, FLOPs and bytes, and its launches on the device; with train.shards also the buckets of gradients.
 * Runs nothing on the device unless a network is given: then it runs a shard a few times to estimate the
 * speed of several ranks.
 *
 * Owner   the caller frees *text, plain text or JSON, with free().
 * Errors  as clrnn_train; *text is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_plan_text(struct clrnn_device *device, const struct clrnn_config *config,
                                            const struct clrnn_plan_text_params *params, char **text);

/** What to tune, and for how long. Zeroed: the default device, 120 s. */
struct clrnn_tune_params {
    const char *select; // as in clrnn_device_params
    double seconds;     // no measurement starts after this time; 0: 120
    uint32_t settings;  // most CLBlast settings to try in this call; 0: no limit
    bool restart;       // discard earlier measurements
    const volatile sig_atomic_t *stop;
};

/** A choice between variants of an op, and the time of the op in milliseconds as tuning measured it; NaN: not
 * measured. */
struct clrnn_tuned_choice {
    char key[160];              // the op, its sizes, and the name of the choice
    char standard[24], use[24]; // the variant without and with tuning
    double standard_ms, use_ms;
};

/** The result of tuning. Freed with clrnn_tune_finish. */
struct clrnn_tune_result {
    char *file;      // path of the file in the cache that holds the result
    char device[24]; // the device's spec (clrnn_device_spec)
    size_t multiply_count, choice_count;
    struct clrnn_tuned_multiply *multiply;
    struct clrnn_tuned_choice *choice;
};

/** Autotunes a config's training step and inference: measures matrix multiplies with CLBlast and with clRNN's
 * kernels, and the variants of ops. The fastest choices are stored in the user's cache for this device and
 * driver; devices opened later use them. Call it in a process that has not used CLBlast yet.
 *
 * `config`  the config to tune for; NULL: layers of common sizes.
 * Owner     the caller frees the contents of `result` with clrnn_tune_finish, also after an error.
 * Errors    as clrnn_train; CLRNN_ERR_ARG on ref; CLRNN_ERR_DISK: the file cannot be written.
 */
CLRNN_API enum clrnn_status clrnn_tune(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_tune_params *params,
                                       struct clrnn_tune_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_tune_finish(struct clrnn_tune_result *result);

/** Which synthetic data set to make. Zeroed: task "seed". */
struct clrnn_synth_params {
    const char *task; // NULL or "seed", "adding", "parity", "copy-first"
    uint32_t samples, test_samples, steps, features, classes; // 0: as "seed", 22644, 5661, 1, 2474, 2
    uint64_t seed;
};

/** Makes a synthetic data set in the shape of the "seed" data, or a classic task over T steps: X_train.npy,
 * y_train.npy, X_test.npy and y_test.npy in `folder`, which is created if missing. The same seed gives the
 * same bytes.
 *
 * Errors  CLRNN_ERR_ARG: no such task, or sizes that it does not allow. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_synth(const struct clrnn_log *log, const struct clrnn_synth_params *params,
                                        const char *folder);

CLRNN_END

#endif
