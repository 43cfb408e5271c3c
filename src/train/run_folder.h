// SPDX-License-Identifier: MIT
// The folder of a run: metrics, the resolved config, the summary, pictures.
#ifndef CLRNN_SRC_TRAIN_RUN_FOLDER_H
#define CLRNN_SRC_TRAIN_RUN_FOLDER_H

#include "clrnn/train.h"
#include "formats/tfevents.h"
#include "train/dataset.h"

/** An epoch's line of metrics.jsonl; NaN (no value) is written as null. */
struct clrnn_epoch_row {
    uint64_t epoch, step; // counted from 1
    double train_loss, train_accuracy, valid_loss, valid_accuracy;
    double lr, grad_norm, seconds, samples_per_s;
    double train_mae, valid_mae, valid_rmse, valid_r2; // NaN unless the loss is a regression
};

struct clrnn_run_folder {
    const struct clrnn_log *log;
    char *path;
    char *files;     // where the run writes: `path` or, until publish, a folder inside it
    int lock;        // file descriptor of the locked marker file; -1: none
    int metrics;     // file descriptor of metrics.jsonl; -1: none
    bool regression; // lines have the metrics of regression
    bool warned;     // a number that is not finite has been reported
    char *line;      // the last epoch's line of metrics.jsonl; NULL: none yet
    size_t count;
    struct clrnn_epoch_row *row; // [count] all epochs so far, those before a resume included
};

/** Whether a line of metrics.jsonl is older than a checkpoint of `epochs` whole epochs and `steps` steps.
 * Fills in the line's values; epoch is 0 for the line of a step. Returns false for an incomplete line. */
bool clrnn_metrics_line(const char *line, size_t length, uint64_t epochs, uint64_t steps,
                        struct clrnn_epoch_row *row);

/** Identifies the data of a run; a resumed run must have the same. */
struct clrnn_data_identity {
    uint32_t train_samples, valid_samples; // valid_samples 0: no validation set
    char train[33], valid[33];             // fingerprints; "" if there is no such set
};

/** Checks whether a new run of this config may be written to the folder: the folder must be new, empty or a
 * run folder (run_folder_open.c defines that), and the run must not replace files that it reads.
 * CLRNN_ERR_ARG. */
enum clrnn_status clrnn_run_folder_check(const struct clrnn_log *log, const char *path,
                                         const struct clrnn_config *config);
/** Creates the folder (`path` NULL: runs/<name>-<date>-<time>) and locks it. CLRNN_ERR_DISK; CLRNN_ERR_ARG:
 * another process writes there, or it holds files that are not a run's. */
enum clrnn_status clrnn_run_folder_create(const struct clrnn_log *log, const char *path,
                                          const struct clrnn_config *config, struct clrnn_run_folder *folder);
/** Locks an existing run folder. CLRNN_ERR_DATA: not a run folder; CLRNN_ERR_DISK, CLRNN_ERR_ARG. */
enum clrnn_status clrnn_run_folder_open(const struct clrnn_log *log, const char *path,
                                        struct clrnn_run_folder *folder);
/** Begins a new run in a locked folder. An earlier run with a checkpoint is kept until
 * clrnn_run_folder_publish; without such a run publish does nothing. CLRNN_ERR_DISK. */
enum clrnn_status clrnn_run_folder_begin(struct clrnn_run_folder *folder);
enum clrnn_status clrnn_run_folder_publish(struct clrnn_run_folder *folder);
/** Continues the run of a locked folder. Removes metrics that are later than the checkpoint of `epochs` whole
 * epochs and `steps` steps. */
enum clrnn_status clrnn_run_folder_resume(struct clrnn_run_folder *folder, uint64_t epochs, uint64_t steps);
/** Opens metrics.jsonl for appending; used by begin and resume. */
enum clrnn_status clrnn_run_folder_open_metrics(struct clrnn_run_folder *folder);
/** Closes and unlocks the folder. If the run was not published, the earlier run is unchanged. */
void clrnn_run_folder_finish(struct clrnn_run_folder *folder);

/** Write config.yaml, with absolute data paths, and data.json. */
enum clrnn_status clrnn_run_folder_config(const struct clrnn_run_folder *folder,
                                          const struct clrnn_config *config);
enum clrnn_status clrnn_run_folder_identity(const struct clrnn_run_folder *folder,
                                            const struct clrnn_data_identity *identity);
/** CLRNN_ERR_CONFIG if the data differ from those in the folder's data.json. */
enum clrnn_status clrnn_run_folder_same_data(const struct clrnn_run_folder *folder,
                                             const struct clrnn_data_identity *identity);

/** Append a line to metrics.jsonl with a single write. `counts`: some label of the step counts; without one
 * its loss is 0 / 0, which gives no warning. CLRNN_ERR_DISK. */
enum clrnn_status clrnn_run_folder_step(struct clrnn_run_folder *folder, uint64_t step, double loss,
                                        bool counts, double lr);
/** `more`: text of further fields, such as ", \"valid_macro_f1\": 0.5", or "". */
enum clrnn_status clrnn_run_folder_epoch(struct clrnn_run_folder *folder, const struct clrnn_epoch_row *row,
                                         const char *more);
/** Syncs metrics.jsonl to the disk. */
enum clrnn_status clrnn_run_folder_sync(struct clrnn_run_folder *folder);

/** `config`: the path of the config, or NULL. */
enum clrnn_status clrnn_run_folder_summary(const struct clrnn_run_folder *folder, const char *config,
                                           const struct clrnn_device_info *device,
                                           const struct clrnn_train_result *result);

/** Reads the speeds from the summary.json of a finished run, for a resume that has nothing left to do. */
void clrnn_run_folder_former(const struct clrnn_run_folder *folder, struct clrnn_train_result *result);

#define CLRNN_MOST_CLASSES_DRAWN 60u // most classes that confusion.svg shows
#define CLRNN_CLASS_CHARACTERS 20u   // characters shown of a class's name in a picture
/** Confusion matrix [classes, classes]: rows are true classes, columns predicted ones. */
struct clrnn_picture_counts {
    uint32_t classes;
    const uint64_t *count;           // NULL: not counted
    const struct clrnn_texts *names; // of the classes, or NULL
};
/** Draws loss.svg, metrics.svg, classes.svg and confusion.svg with gnuplot, and appends them to `events`,
 * unless NULL, as pictures of the last epoch. `plot` as in clrnn_train_params. A failure of gnuplot is not an
 * error. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY: an event cannot be appended. */
enum clrnn_status clrnn_plot(const struct clrnn_run_folder *folder, const struct clrnn_dataset *train,
                             const struct clrnn_picture_counts *confusion, struct clrnn_tfevents *events,
                             int plot);

/** Whether a run's schedule depends on train.epochs, so that it cannot be resumed with more epochs. */
bool clrnn_epochs_shape_lr(const struct clrnn_config *config);
/** Compares the config of a checkpoint with the one for resuming: logs the changes, and returns
 * CLRNN_ERR_CONFIG for a change that is not allowed in a resumed run. Data paths are not compared.
 */
enum clrnn_status clrnn_resume_check(const struct clrnn_log *log, const char *folder,
                                     const struct clrnn_config *before, const struct clrnn_config *now);
#endif
