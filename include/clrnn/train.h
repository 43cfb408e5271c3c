// SPDX-License-Identifier: MIT
// Training runs with their folders, evaluation and prediction on data sets, benchmarking and tuning.
#ifndef CLRNN_TRAIN_H
#define CLRNN_TRAIN_H

#include <signal.h>

#include <stdio.h>

#include "clrnn/state.h"

CLRNN_BEGIN

/** The progress of a run, which the callback receives after batches and after epochs. */
struct clrnn_progress {
    bool epoch_end;                  // an epoch has ended, so train_loss to valid_r2 are set
    uint32_t epoch, epochs;          // number of this epoch, from 1; number of epochs of the run
    uint32_t batch, batches;         // batches done in this epoch; batches in a whole epoch
    uint64_t samples, samples_total; // samples done in this epoch; samples in a whole epoch
    uint64_t step;                   // training steps since the run's start
    double loss;                     // of the last batch whose loss was read back from the device
    double lr;                       // learning rate of the last step
    double samples_per_s, seconds_left;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // NaN: there is none
    double train_mae, valid_mae, valid_rmse, valid_r2;             // NaN unless targets are real; NaN for quantile
    double grad_norm, seconds; // norm of the last step's gradients; duration of this epoch so far
    bool best;                 // this epoch's weights became best.safetensors
    const char *metrics;       // this epoch's line of metrics.jsonl, a JSON object; NULL: not the end of an epoch
};
/** A callback that is called in the training thread, between steps; `progress` is valid only during the
 * call. */
typedef void clrnn_progress_fn(void *user, const struct clrnn_progress *progress);

/** Parameters of a training run; read only during the call. All fields but `config` zero: as `clrnn train` does without
 * options, but without pictures. */
struct clrnn_train_params {
    const struct clrnn_config *config;
    const char *out;    // run folder; NULL: runs/<config's name>-<date>-<time>
    const char *init;   // safetensors file of initial weights, or NULL
    bool init_partial;  // load the tensors of `init` (NULL: of train.init) that match; warn about the others
    const char *resume; // run folder whose run is to be resumed, or NULL
    int plot;           // draw pictures: 1: yes, 0: no, -1: if gnuplot is installed
    bool no_watch;      // do not warn if the model does not learn
    bool profile;       // at the end, log the time of each launch at INFO, grouped by op
    clrnn_progress_fn *progress;
    void *progress_user;
    const volatile sig_atomic_t *stop; // *stop not 0: write a checkpoint and return CLRNN_INTERRUPTED
    // More devices to train on: each computes some of the config's shards in a thread of its own. Until clrnn_train
    // returns, the logs of these devices are replaced, and of all devices' errors only the first one is logged.
    struct clrnn_device *const *further;
    size_t further_count; // at most 63
};

/** How well a naive prediction, which needs no model, does on a time series. The naive predictions of real targets are
 * the last value of the window, the value one season earlier (key `season` of the data), and a straight line fitted to
 * the window. The naive prediction of classes is the most common class. */
struct clrnn_naive_result {
    const char *name;           // "last value", "seasonal", "linear", "commonest class"; static
    double mae, rmse, accuracy; // defined as in struct clrnn_eval_result; NaN: no value
};
/** The naive predictions of a data set; count is 0 if the samples are not windows of a time series. */
struct clrnn_naive {
    uint32_t count;
    struct clrnn_naive_result result[3];
};

/** The result of a run, which the run also writes to summary.json. NaN: no value. */
struct clrnn_train_result {
    char folder[4096]; // the run folder
    uint64_t epochs, steps, best_epoch, parameters, peak_device_bytes;
    double train_loss, train_accuracy, valid_loss, valid_accuracy; // after the last epoch
    double seconds, ms_per_step_median, samples_per_s, build_seconds;
    bool chained;             // the last full batch ran as chains: many launches compiled into one kernel
    struct clrnn_naive naive; // on the validation set, or on the training set if there is no validation set
};

/** Sets *tables to the number of tables that the cache folder contains, and *bytes to their size. A table is the parsed
 * content of a large CSV file. CLRNN_ERR_DISK: the folder cannot be read, or no place for a cache is known;
 * CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_tables_info(const struct clrnn_log *log, size_t *tables, uint64_t *bytes);
/** Removes these tables. Sets *tables to the number of tables removed, and *bytes to their size. Errors: as
 * clrnn_tables_info; CLRNN_ERR_DISK also if a table cannot be removed. */
CLRNN_API enum clrnn_status clrnn_tables_clear(const struct clrnn_log *log, size_t *tables, uint64_t *bytes);

/** Which checkpoint of a run folder to choose. */
enum clrnn_checkpoint_choice {
    CLRNN_CHECKPOINT_USUAL, // BEST if the run's config has early stopping, else LAST
    CLRNN_CHECKPOINT_LAST,
    CLRNN_CHECKPOINT_BEST // the epoch with the lowest validation loss, or training loss without validation
};

/** Sets *file to the path of a model file. If `path` is a run folder, the model file is its last.safetensors or
 * best.safetensors; otherwise *file is a copy of `path`. If the two files are of different epochs, one message at
 * CLRNN_LOG_INFO names the chosen file and the losses of both.
 *
 * Owner   the caller: free(*file).
 * Errors  CLRNN_ERR_DATA: the folder is no run folder, or has no such file; CLRNN_ERR_ARG: `choice` is LAST
 *         or BEST, but `path` is no folder; CLRNN_ERR_MEMORY. *file is NULL after an error.
 */
CLRNN_API enum clrnn_status clrnn_run_checkpoint(const struct clrnn_log *log, const char *path,
                                                 enum clrnn_checkpoint_choice choice, char **file);

/** Checks a path to which output will be written. CLRNN_ERR_ARG: the output would replace a file of a run. */
CLRNN_API enum clrnn_status clrnn_run_check_output(const struct clrnn_log *log, const char *path);

/** Reads the config of the run folder `run` before the run is resumed, and applies assignments as clrnn_config_read
 * does. If a process was killed while it replaced the run by a new run, the function first completes the replacement.
 * Errors: as clrnn_config_read; CLRNN_ERR_DATA: `run` is no run folder; CLRNN_ERR_ARG: another process writes to the
 * folder; CLRNN_ERR_DISK. */
CLRNN_API enum clrnn_status clrnn_run_config(const struct clrnn_log *log, const char *run, size_t set_count,
                                             const char *const *set, struct clrnn_config **config);

/**
 * Trains as the config says and writes the run folder: config.yaml, metrics.jsonl, last.safetensors, best.safetensors,
 * summary.json, pictures. With params->resume, continues the run in that folder with the same bits as if the run had
 * never stopped. params->config may then be NULL, or differ from the run's config in paths of files and in the keys
 * epochs, log_every, tensorboard, checkpoint_minutes, recompute and early_stopping of train.
 *
 * `result`  receives the results up to the end of the run, or up to an error; may be NULL.
 * Errors    CLRNN_ERR_CONFIG, CLRNN_ERR_DATA, CLRNN_ERR_ARG (another process writes to the folder),
 *           CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, CLRNN_ERR_BUILD, CLRNN_ERR_DEVICE. CLRNN_INTERRUPTED: *stop was
 *           set; the checkpoint is written. Files are written atomically.
 *           CLRNN_FAILED: the last epoch's training loss is NaN.
 * Source    doc/config.md, doc/maths.md
 */
CLRNN_API enum clrnn_status clrnn_train(struct clrnn_device *device, const struct clrnn_train_params *params,
                                        struct clrnn_train_result *result);

/** This process as a rank: one of the processes that mpirun or Slurm started to train together. */
struct clrnn_rank {
    uint32_t own, count;  // this rank's number, and the number of ranks; 0 and 1 for a single process
    uint32_t local;       // this rank's number among the ranks on its host
    struct clrnn_log log; // the log to use from now on; on ranks other than 0 it shows no messages
};
/** Returns the number of processes that MPI's launcher says it started, this one included; 0: no launcher. */
CLRNN_API unsigned clrnn_rank_launched(void);
/** Joins the other ranks if MPI's launcher started this process, and starts MPI unless MPI runs already. After that,
 * every call of clrnn_train must be made by all ranks. clrnn_train then divides the config's shards among the ranks;
 * only rank 0 writes files and calls `progress`. Errors: CLRNN_ERR_ARG: the
 * launcher and the library use different MPI implementations, or the library was built without MPI;
 * CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_join(const struct clrnn_log *log, struct clrnn_rank *rank);
/** Makes the ranks agree on a status before clrnn_train. Each rank passes its own status. All ranks return the same
 * status: CLRNN_OK if no rank has failed, otherwise the status of the failed rank with the lowest number, whose error
 * rank 0 logs. All ranks must call the function. */
CLRNN_API enum clrnn_status clrnn_rank_agree(enum clrnn_status status);
/** For work that the ranks on one host divide among themselves: sets *count to the number of ranks on this host that
 * pass the same text, and *own to this rank's number among these ranks, from 0. All ranks must
 * call the function. Errors: CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_share(const char *text, uint32_t *own, uint32_t *count);
/** A connection between two processes. */
struct clrnn_network {
    double bytes_per_s; // in each direction; 0: there is no connection
    double latency_s;   // time that a message of one byte takes, in one direction
};
/** Measures the connection between the first and the last rank. A single process has no connection. All ranks must call
 * the function. Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
CLRNN_API enum clrnn_status clrnn_rank_network(const struct clrnn_log *log, struct clrnn_network *network);
/** Ends the work with the other ranks, and ends MPI if clrnn_rank_join started MPI. */
CLRNN_API void clrnn_rank_leave(void);

/** Reads the shape of a data set, for clrnn_model_create; shape->outputs becomes 0.
 *
 * `config`  the config that the data are for.
 * `source`  the data set. Its paths are relative to the working directory; with own, to the config's folder.
 * Errors    CLRNN_ERR_DATA: a file does not exist or cannot be read. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_source_shape(const struct clrnn_log *log, const struct clrnn_config *config,
                                               const struct clrnn_source *source, struct clrnn_data_shape *shape);

/** Describes the data sets of a config as clRNN reads them. For each set the text has the file, rows, columns
 * (smallest, mean and largest value, number of missing cells), classes, lengths and first samples, and for time series
 * also the results of naive predictions.
 *
 * Owner   the caller frees *text, plain text or JSON, with free().
 * Errors  as clrnn_train if data cannot be read; *text is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_data_text(const struct clrnn_log *log, const struct clrnn_config *config, bool json,
                                            char **text);

/** Precision, recall and F1 of one class. */
struct clrnn_class_result {
    uint64_t support;             // number of samples (or of time steps) that have the class
    double precision, recall, f1; // NaN where undefined
};
/** Errors of one output of real targets. */
struct clrnn_output_result {
    double mae, rmse, r2; // r2 NaN where the targets do not vary
};

/** The result of an evaluation; free its contents with clrnn_eval_finish. */
struct clrnn_eval_result {
    uint64_t samples, counted; // counted: number of targets in the loss, without padding and ignored targets
    double loss, accuracy;     // accuracy and the next four: NaN for real targets
    double balanced_accuracy, macro_f1, roc_auc, pr_auc;
    double mae, rmse, r2;                 // for real targets: means over the outputs; NaN for quantile
    double cer,                           // ctc: edits per label
        wer;                              // ctc: fraction of samples with at least one edit
    uint32_t classes;                     // number of classes or, if a sample can have several labels, number of labels
    uint64_t *confusion;                  // [true class, predicted class]; several labels, or over 1000 classes: NULL
    struct clrnn_class_result *per_class; // [classes]
    uint32_t outputs;
    struct clrnn_output_result *per_output; // [outputs], for real targets
    struct clrnn_naive naive;
};

/** Makes clrnn_eval, clrnn_predict and related functions run batches of `model` on several devices. The devices take
 * batches in turn. Devices of the same kind give the same results as one device.
 *
 * `others`  [count] copies of the model on other devices. Their weights are used as they are. The array and
 *           the models must live until `model` is destroyed or until the next call of this function. count 0:
 *           only the device of `model` is used.
 * Errors    CLRNN_ERR_ARG: a model of `others` has another size, or is on the same device as `model`.
 */
CLRNN_API enum clrnn_status clrnn_model_share(struct clrnn_model *model, struct clrnn_model *const *others,
                                              size_t count);

/**
 * Evaluates a model in eval mode on a data set, batch by batch.
 *
 * `source`  the data set: x, y and lengths, or csv and label, or synthetic, or arrays, or own. Paths are
 *           relative to the working directory; with own, paths are relative to the folder of the model's
 *           config.
 * Owner     the caller frees the contents of `result` with clrnn_eval_finish, also after an error.
 * Errors    CLRNN_ERR_ARG: there are no targets, or own is set and the model's config has no data to test on.
 *           CLRNN_ERR_DATA: the data do not fit the model, or a row is bad (the message names the row).
 *           CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 * Source    doc/maths.md, "Figures of an evaluation"
 */
CLRNN_API enum clrnn_status clrnn_eval(struct clrnn_model *model, const struct clrnn_source *source,
                                       struct clrnn_eval_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_eval_finish(struct clrnn_eval_result *result);

/** What to predict: the output of the last layer, probabilities, or the most likely class. */
enum clrnn_predict_kind { CLRNN_PREDICT_LOGITS, CLRNN_PREDICT_PROBS, CLRNN_PREDICT_CLASSES };

/** Writes predictions for `source`, which needs no y, to the file `out`. The extension .npy or .csv sets the file
 * format; pipes and device files without an extension get CSV. Needs memory for one batch only.
 *
 * Shapes  .npy: (N, outputs) or per step (N, T_out, outputs) float32, zeros in padding; classes (N) or
 *         (N, T_out) int64, -1 in padding; several labels: one class for each output. T_out is as in struct
 *         clrnn_batch. .csv: a row for each sample or valid step.
 * Errors  CLRNN_ERR_ARG: another extension, or probabilities or classes of a model with real targets.
 *         CLRNN_ERR_DATA, CLRNN_ERR_DISK (`out` is then unchanged), CLRNN_ERR_BUILD, CLRNN_ERR_MEMORY,
 *         CLRNN_ERR_DEVICE.
 */
CLRNN_API enum clrnn_status clrnn_predict(struct clrnn_model *model, const struct clrnn_source *source,
                                          enum clrnn_predict_kind kind, const char *out);

/** Predicts time step by time step until `in` ends. Reads from `in` one line of CSV with the C features of a step (or
 * one token), writes to `out` one line with the prediction after this step, and flushes `out`. Empty lines are skipped.
 * A first line without any number is a header: if the model was trained on a CSV file, each feature is read from the
 * column with its name, and other columns are ignored. The sequence continues from `state`.
 *
 * Errors  CLRNN_ERR_DATA: a line does not fit (the message names the line); the predictions for earlier lines
 *         have been written. CLRNN_ERR_ARG: probabilities or classes of a model with real targets.
 *         CLRNN_ERR_DISK: `out` cannot be written. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
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

/** Writes to the file `out` the label sequence that a model trained with ctc finds in each sample.
 *
 * `beam`  number of prefixes that a beam search keeps at each step; 0: greedy decoding, which takes the
 *         most likely class of each step, merges equal neighbours and drops blanks.
 * Shapes  .npy: integers (N, longest sequence), -1 after the end of a sequence; .csv: one row for each label,
 *         with sample, position and class.
 * Errors  as clrnn_predict; CLRNN_ERR_ARG: the model was not trained with ctc.
 */
CLRNN_API enum clrnn_status clrnn_predict_labels(struct clrnn_model *model, const struct clrnn_source *source,
                                                 uint32_t beam, const char *out);

/** A time in milliseconds, measured `reps` times. Each measurement is the mean time of several runs in succession. */
struct clrnn_timing {
    double median, min, max;
    uint32_t reps;
};

/** How long to measure. All fields zero: the defaults. */
struct clrnn_bench_params {
    double seconds;   // time to measure training, and the same time to measure inference; 0: 2
    uint32_t warm_up; // steps before the first measurement; 0: 10
    // More devices, with logs of their own. In a training step each device computes some of the config's shards; in
    // inference the devices take batches in turn.
    struct clrnn_device *const *further;
    size_t further_count; // at most 63
};

/** Times and work of a training step and of an inference after warm-up, for all devices together. */
struct clrnn_bench_result {
    uint32_t batch, steps, features; // N, T, C of the batch
    struct clrnn_timing train_ms;    // forward, backward and update of one batch or, with train.bptt, of one piece
    struct clrnn_timing infer_ms;    // one batch in eval mode; n devices: time of a batch on each, divided by n
    double samples_per_s;            // in training; counts whole samples, also with train.bptt
    double flops, bytes;             // of a training step, as `clrnn plan` counts them
    double gflops, gb_per_s;         // flops and bytes, divided by the median of train_ms
    double infer_flops, infer_gflops;
    double host_ms_per_step;                     // CPU time of the calling thread in a training step
    uint64_t launches_per_step, queued_per_step; // queued: OpenCL commands; one may run many launches
    uint64_t peak_device_bytes;                  // on the device that uses the most memory
    double first_step_s;                         // from the call to the end of the first training step
};

/** Measures a training step and an inference on one batch of the config's training data, after warm-up. The step is the
 * same as in clrnn_train; with train.shards, it runs in shards. Errors: as clrnn_train. */
CLRNN_API enum clrnn_status clrnn_bench(struct clrnn_device *device, const struct clrnn_config *config,
                                        const struct clrnn_bench_params *params, struct clrnn_bench_result *result);

/** Which plan to describe, and how. */
struct clrnn_plan_text_params {
    bool predict;                 // the plan of an inference instead of a training step
    bool json;                    // JSON instead of plain text
    struct clrnn_network network; // with train.shards: the connection of ranks whose speed is estimated
};

/** Describes a training step or an inference on one batch of the config's training data: each op with its tensors,
 * FLOPs and bytes, and its launches on the device; with train.shards also the buckets of gradients. Runs nothing on the
 * device unless params->network has a connection. In that case one shard runs a few times, to estimate the speed of
 * several ranks.
 *
 * Owner   the caller frees *text, plain text or JSON, with free().
 * Errors  as clrnn_train; *text is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_plan_text(struct clrnn_device *device, const struct clrnn_config *config,
                                            const struct clrnn_plan_text_params *params, char **text);

/** What to tune, and for how long. All fields zero: the default device, 120 s. */
struct clrnn_tune_params {
    const char *select;                // as in clrnn_device_params
    double seconds;                    // no measurement starts after this time; 0: 120
    uint32_t settings;                 // limit of CLBlast settings to try in this call; 0: no limit
    bool restart;                      // discard earlier measurements
    const volatile sig_atomic_t *stop; // *stop not 0: end after the present measurement
};

/** A choice between variants of an op (ways in which a device can compute the op), and the milliseconds that tuning
 * measured for them; NaN: not measured. */
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

/** Autotunes a config's training step and inference: measures matrix multiplies with CLBlast and with clRNN's kernels,
 * and the variants of ops. The fastest choices are stored in the user's cache for this device and driver; devices
 * opened later use them. Call it in a process that has not used CLBlast yet.
 *
 * `config`  the config to tune for; NULL: layers of common sizes.
 * Owner     the caller frees the contents of `result` with clrnn_tune_finish, also after an error.
 * Errors    as clrnn_train; CLRNN_ERR_ARG on ref; CLRNN_ERR_DISK: the file cannot be written.
 */
CLRNN_API enum clrnn_status clrnn_tune(const struct clrnn_log *log, const struct clrnn_config *config,
                                       const struct clrnn_tune_params *params, struct clrnn_tune_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_tune_finish(struct clrnn_tune_result *result);

/** Which synthetic data set to create. All fields zero: task "seed". */
struct clrnn_synth_params {
    const char *task; // NULL or "seed", "adding", "parity", "copy-first"
    uint32_t samples, // training samples; 0: 22644
        test_samples, // test samples; 0: 5661
        steps,        // 0: 1 for "seed", 50 for the other tasks
        features,     // 0: 2474 for "seed", else the number that the task has
        classes;      // 0: 2
    uint64_t seed;
};

/** Creates a synthetic data set: random features, some of which depend on the class (task "seed"), or a classic
 * sequence task over T steps. Writes X_train.npy, y_train.npy, X_test.npy and y_test.npy into `folder`, which is
 * created if missing. The same params->seed gives the same bytes.
 *
 * Errors  CLRNN_ERR_ARG: there is no such task, the task does not allow the sizes, or the folder has files of
 *         these names that clrnn_synth did not write. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_synth(const struct clrnn_log *log, const struct clrnn_synth_params *params,
                                        const char *folder);

CLRNN_END

#endif
