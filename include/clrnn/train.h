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
    int plot;           // 1 yes, 0 no, -1 where gnuplot is installed
    bool no_watch;
    bool profile; // at the end, log the time of each launch at INFO, grouped by op
    clrnn_progress_fn *progress;
    void *progress_user;
    const volatile sig_atomic_t *stop; // non-zero (Ctrl-C): write a checkpoint, return CLRNN_INTERRUPTED
    // Devices beside the one given: each computes some of the config's shards, with a thread. They have their
    // own logs back when clrnn_train returns; until then only the first error of all is logged.
    struct clrnn_device *const *further;
    size_t further_count; // at most 63
};

/** What predictions without a model are worth on a series: of real targets the last value, the season before
 * (`season` in the data) and a line through the window, of classes the commonest. */
struct clrnn_naive_result {
    const char *name;           // "last value", "seasonal", "linear", "commonest class"; static
    double mae, rmse, accuracy; // as those of an evaluation; NaN: no value
};
/** Those of a set; none where its samples are not cut from a series. */
struct clrnn_naive {
    uint32_t count;
    struct clrnn_naive_result result[3];
};

/** The result of a run, also in summary.json. NaN: no value. */
struct clrnn_train_result {
    char folder[4096]; // the run folder
    uint64_t epochs, steps, best_epoch, parameters, peak_device_bytes;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // of the last epoch
    double seconds, ms_per_step_median, samples_per_s, build_seconds;
    bool chained;             // the last full batch ran as chains of launches
    struct clrnn_naive naive; // of the validation set, else of the training set
};

/** How many tables of large CSV files are kept in the cache folder, and their bytes. CLRNN_ERR_DISK: the
 * folder cannot be read, or no place for a cache is known; CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_tables_info(const struct clrnn_log *log, size_t *tables, uint64_t *bytes);
/** Removes them; how many and their bytes. Errors: as clrnn_tables_info. */
CLRNN_API enum clrnn_status clrnn_tables_clear(const struct clrnn_log *log, size_t *tables, uint64_t *bytes);

/** Which checkpoint of a run folder is meant. */
enum clrnn_checkpoint_choice {
    CLRNN_CHECKPOINT_USUAL, // the best one where the run stops early, else the last
    CLRNN_CHECKPOINT_LAST,
    CLRNN_CHECKPOINT_BEST // with the lowest validation loss (without data.valid: training loss)
};

/** The model file that a path means: of a run folder last.safetensors or best.safetensors, else the path
 * itself. Logs one line (CLRNN_LOG_INFO) that says which was taken where the two are of different epochs, and
 * the loss of both.
 *
 *  Owner   the caller: free(*file).
 *  Errors  CLRNN_ERR_DATA: not a run folder, or it lacks the file; CLRNN_ERR_ARG: a choice for what is no
 * folder; CLRNN_ERR_MEMORY. *file is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_run_checkpoint(const struct clrnn_log *log, const char *path,
                                                 enum clrnn_checkpoint_choice choice, char **file);

/** Fails where an output that is to be written at `path` would replace a file of a run: CLRNN_ERR_ARG. */
CLRNN_API enum clrnn_status clrnn_run_check_output(const struct clrnn_log *log, const char *path);

/** Reads the config of a run folder that is to be resumed and applies assignments like clrnn_config_read.
 *  Completes a replacement of the run that a killed process left unfinished. Errors: as clrnn_config_read;
 *  CLRNN_ERR_DATA: not a run folder; CLRNN_ERR_ARG: another process writes to it; CLRNN_ERR_DISK. */
CLRNN_API enum clrnn_status clrnn_run_config(const struct clrnn_log *log, const char *run, size_t set_count,
                                             const char *const *set, struct clrnn_config **config);

/**
 * Trains as the config says and writes the run folder: config.yaml, metrics.jsonl, last.safetensors,
 * best.safetensors, summary.json, pictures. With `resume` continues the run there, bit for bit as if it had
 * never stopped; `config` may then be NULL, or differ in train.epochs, train.log_every and
 * train.early_stopping.
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

/** A process among those that mpirun or Slurm has started to train together. */
struct clrnn_rank {
    uint32_t own, count;  // its number, how many; 0 and 1 where it is alone
    uint32_t local;       // its number among those on its host
    struct clrnn_log log; // to be used from now on: of other ranks than 0 it shows no message
};
/** How many processes MPI's launcher says it has started with this one; 0 where there is no launcher. */
CLRNN_API unsigned clrnn_rank_launched(void);
/** Joins the other processes, if MPI's launcher has started this one; starts MPI unless it runs. From then on
 * clrnn_train, which all must call, shares the config's shards among them: rank 0 writes files and calls
 * `progress`. Errors: CLRNN_ERR_ARG where the launcher is that of another MPI, or the library has none;
 * CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_join(const struct clrnn_log *log, struct clrnn_rank *rank);
/** To be called by all ranks before clrnn_train with how each fared: returns the same status on all, that of
 * the first rank that has failed, and rank 0 logs its error. */
CLRNN_API enum clrnn_status clrnn_rank_agree(enum clrnn_status status);
/** To be called by all ranks: this rank's number among those of its host that pass the same text, and how
 * many they are. For what a host has once and its ranks divide. Errors: CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_share(const char *text, uint32_t *own, uint32_t *count);
/** A connection between two processes. */
struct clrnn_network {
    double bytes_per_s; // in each direction; 0: there is none
    double latency_s;   // of a message
};
/** To be called by all ranks: measures the connection between the first and the last of them; none where this
 * one is alone. Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_network(const struct clrnn_log *log, struct clrnn_network *network);
/** Leaves the others; ends MPI if clrnn_rank_join has started it. */
CLRNN_API void clrnn_rank_leave(void);

/** Reads the shape of a data set from its files' headers, for clrnn_model_create.
 *
 * `config`  the config that the data are for; relative paths in `source` are relative to its folder.
 * Errors    CLRNN_ERR_DATA: no such file, or a file that cannot be read. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_source_shape(const struct clrnn_log *log, const struct clrnn_config *config,
                                               const struct clrnn_source *source,
                                               struct clrnn_data_shape *shape);

/** Describes what is read from a config's data: of each set its file, rows, columns with least, mean and
 * largest value and missing cells, classes, lengths, the first samples, and of series the naive predictions.
 *
 * Owner   *text, plain text or JSON, is freed by the caller with free().
 * Errors  as clrnn_train where data cannot be read; *text is then NULL.
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
    uint64_t samples, counted; // counted: without ignored labels; steps if each step has a label
    double loss, accuracy;     // of classes and labels, as the next four; NaN for real targets
    double balanced_accuracy, macro_f1, roc_auc, pr_auc;
    double mae, rmse, r2;                 // of real targets, mean over the outputs; NaN for quantile
    double cer, wer;                      // of ctc: edits by label, share of samples with an edit
    uint32_t classes;                     // several labels: labels
    uint64_t *confusion;                  // [classes, classes], row: truth; several labels: NULL
    struct clrnn_class_result *per_class; // [classes]
    uint32_t outputs;
    struct clrnn_output_result *per_output; // [outputs] of real targets
    struct clrnn_naive naive;
};

/** Has clrnn_eval, clrnn_predict and their kind run the batches of `model` on other devices, too, which take
 * them in turn; the results are those of one device, as far as the devices are of one kind.
 *
 * `others`  the same model on other devices, with the values it had there; must outlive `model`, or the next
 * call, as the array must. `count` 0: on its own device alone, as at first. Errors    CLRNN_ERR_ARG: not the
 * same model, or on the same device.
 */
CLRNN_API enum clrnn_status clrnn_model_share(struct clrnn_model *model, struct clrnn_model *const *others,
                                              size_t count);

/**
 * Evaluates a model in eval mode on a data set, batch by batch.
 *
 * `source`  x, y and lengths, or csv and label, or synthetic, or arrays, or own; paths are relative to the
 *           working directory, those of the model's own data to its config.
 * Owner     the caller frees the contents of `result` with clrnn_eval_finish, also after an error.
 * Errors    CLRNN_ERR_ARG: no targets, or `own` and the model has no data of its own to test on.
 *           CLRNN_ERR_DATA: the data do not fit the model, or their first bad row.
 *           CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source    doc/maths.md, "Figures of an evaluation"
 */
CLRNN_API enum clrnn_status clrnn_eval(struct clrnn_model *model, const struct clrnn_source *source,
                                       struct clrnn_eval_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_eval_finish(struct clrnn_eval_result *result);

/** What to predict: the output of the last layer, probabilities, or the most likely class. */
enum clrnn_predict_kind { CLRNN_PREDICT_LOGITS, CLRNN_PREDICT_PROBS, CLRNN_PREDICT_CLASSES };

/** Writes predictions for `source` (y is not needed) to the file `out`, .npy or .csv by its extension (CSV
 * onto pipes and devices without one), with the memory of one batch.
 *
 * Shapes  .npy: (N, outputs) or per step (N, T, outputs) float32, zeros in padding; classes (N) or (N, T)
 *         int64, -1 in padding. .csv: a row for each sample or valid step.
 * Errors  CLRNN_ERR_ARG: another extension, or probabilities of an mse model. CLRNN_ERR_DATA,
 *         CLRNN_ERR_DISK (`out` is then unchanged), CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_predict(struct clrnn_model *model, const struct clrnn_source *source,
                                          enum clrnn_predict_kind kind, const char *out);

/** Predicts a stream step by step: reads a line of CSV with the C features of a step (of a model of tokens
 * one token) from `in`, and writes a line with the prediction after it to `out`, which it flushes, until `in`
 * ends. Empty lines are passed over, and a first line without any number, a header. `state` goes on from
 * where it is.
 *
 * Errors  CLRNN_ERR_DATA: a line that does not fit, and which; those before it are answered. CLRNN_ERR_ARG:
 *         probabilities or classes of a model that predicts values. CLRNN_ERR_DISK: `out` cannot be written.
 *         CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_predict_stream(struct clrnn_model *model, struct clrnn_state *state,
                                                 enum clrnn_predict_kind kind, FILE *in, FILE *out);

/** As clrnn_predict, into memory.
 *
 * `out`   float, classes int64_t; shaped as the array that clrnn_predict writes.
 * `count` numbers that `out` has room for.
 * Errors  as clrnn_predict; CLRNN_ERR_ARG: `count` is not the number of predictions.
 */
CLRNN_API enum clrnn_status clrnn_predict_array(struct clrnn_model *model, const struct clrnn_source *source,
                                                enum clrnn_predict_kind kind, void *out, size_t count);

/** Writes the label sequences that a model trained with ctc finds in each sample.
 *
 * `beam`  prefixes that a beam search keeps at each step; 0: greedy, the likeliest class of each step, equal
 * neighbours merged and blanks dropped. Shapes  .npy: integers (N, longest), -1 after the end; .csv: a row
 * for each label: sample, position, class. Errors  as clrnn_predict; CLRNN_ERR_ARG: the model was not trained
 * with ctc.
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
    double seconds;   // to spend on each of training and inference; 0: 2
    uint32_t warm_up; // steps before the first window; 0: 10
    // Devices beside the one given, with logs of their own: each takes some of the config's shards of a
    // training step, and every so many-th batch of inference.
    struct clrnn_device *const *further;
    size_t further_count; // at most 63
};

/** Times and work of a training step and an inference after warm-up, of all devices together. */
struct clrnn_bench_result {
    uint32_t batch, steps, features; // N, T, C of the batch
    struct clrnn_timing train_ms;    // forward, backward and update of one batch
    struct clrnn_timing infer_ms;    // one batch in eval mode; of n devices the time of a batch on each, by n
    double samples_per_s;            // training
    double flops, bytes;             // of a training step, as the plan counts them
    double gflops, gb_per_s;         // these over the median
    double infer_flops, infer_gflops;
    double host_ms_per_step;                     // processor time of the calling thread in a training step
    uint64_t launches_per_step, queued_per_step; // queued: commands, of which one may hold many launches
    uint64_t peak_device_bytes;                  // of the device that holds most
    double first_step_s;                         // from the call to the end of the first training step
};

/** Measures a training step and an inference of one batch of the config's training data, after warm-up. The
 * step is that of clrnn_train: by shards where the config has some. Errors: as clrnn_train. */
CLRNN_API enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                                        const struct clrnn_bench_params *params,
                                        struct clrnn_bench_result *result);

/** What to say of a plan. */
struct clrnn_plan_text_params {
    bool predict;                 // of an inference instead of a training step
    bool json;                    // instead of plain text
    struct clrnn_network network; // with train.shards: between the ranks whose speed is wanted
};

/** Describes a training step or an inference of one batch of the config's training data: each op with its
 * tensors, FLOPs and bytes, and its launches on the device; with train.shards also the buckets of gradients.
 * Runs nothing unless there is a network: then a shard, a few times, for the expected speed of several ranks.
 *
 * Owner   *text, plain text or JSON, is freed by the caller with free().
 * Errors  as clrnn_train; *text is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_plan_text(struct clrnn_device *device, const struct clrnn_config *config,
                                            const struct clrnn_plan_text_params *params, char **text);

/** What to tune, and for how long. Zeroed: the default device, 120 s. */
struct clrnn_tune_params {
    const char *select; // as in clrnn_device_params
    double seconds;     // start no measurement after this time; 0: 120
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
    char *file;      // in which it is stored
    char device[24]; // the device's spec (clrnn_device_spec)
    size_t multiply_count, choice_count;
    struct clrnn_tuned_multiply *multiply;
    struct clrnn_tuned_choice *choice;
};

/** Autotunes a config's training step and inference: measures matrix multiplies with CLBlast and with clRNN's
 * kernels, and the variants of ops. The fastest are stored in the user's cache for this device and driver,
 * and used by devices opened later. Call it in a process that has not used CLBlast yet.
 *
 * `config`  NULL: layers of common sizes.
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
    uint32_t samples, test_samples, steps, features, classes; // 0: the seed's 22644, 5661, 1, 2474, 2
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
