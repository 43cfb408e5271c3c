// SPDX-License-Identifier: MIT
// The folder of a run: metrics, the resolved config, the summary, pictures.
#ifndef CLRNN_SRC_TRAIN_RUN_FOLDER_H
#define CLRNN_SRC_TRAIN_RUN_FOLDER_H

#include "clrnn/train.h"
#include "formats/tfevents.h"
#include "train/dataset.h"

/** The values in an epoch's line of metrics.jsonl. NaN (no value) is written as null. */
struct clrnn_epoch_row {
    uint64_t epoch, step; // counted from 1
    double train_loss, train_accuracy, valid_loss, valid_accuracy;
    double lr, grad_norm, seconds, samples_per_s;
    double train_mae, valid_mae, valid_rmse, valid_r2; // NaN unless the loss is a regression
};

struct clrnn_run_folder {
    const struct clrnn_log *log;
    char *path;
    char *files;     // folder that the run writes into: `path` or, until it is published, a folder inside `path`
    int lock;        // file descriptor of the locked marker file; -1: not open
    int metrics;     // file descriptor of metrics.jsonl; -1: not open
    bool regression; // epochs' lines also have the metrics of regression
    bool warned;     // a warning about a number that is not finite was logged
    char *line;      // the last epoch's line of metrics.jsonl; NULL: no epoch has ended yet
    size_t count;
    struct clrnn_epoch_row *row; // [count] all epochs so far, including those before a resume
};

/** Reads a line of metrics.jsonl into *row, whose epoch is 0 for the line of a step. Returns whether the line is
 * complete and not newer than a checkpoint of `epochs` whole epochs and `steps` steps. */
bool clrnn_metrics_line(const char *line, size_t length, uint64_t epochs, uint64_t steps, struct clrnn_epoch_row *row);

/** Identifies the data of a run. A resumed run must have the same identity. */
struct clrnn_data_identity {
    uint32_t train_samples, valid_samples; // valid_samples 0: no validation set
    char train[33], valid[33];             // fingerprints of the sets; "" if there is no such set
};

/** Checks whether a new run of this config may be written to the folder. The folder must be new, empty or the folder of
 * a run (run_folder_open.c defines which folders are), and the run must not replace files that it reads. Errors:
 * CLRNN_ERR_ARG if the run may not be written there. */
enum clrnn_status clrnn_run_folder_check(const struct clrnn_log *log, const char *path,
                                         const struct clrnn_config *config);
/** Creates the folder and locks it. If `path` is NULL, the folder is runs/<name>-<date>-<time>. Errors: CLRNN_ERR_DISK;
 * CLRNN_ERR_ARG if another process writes there, or if the folder holds files that are not a run's. */
enum clrnn_status clrnn_run_folder_create(const struct clrnn_log *log, const char *path,
                                          const struct clrnn_config *config, struct clrnn_run_folder *folder);
/** Locks an existing run folder. Errors: CLRNN_ERR_DATA if it is not a run folder; CLRNN_ERR_ARG if another process
 * writes there; CLRNN_ERR_DISK. */
enum clrnn_status clrnn_run_folder_open(const struct clrnn_log *log, const char *path, struct clrnn_run_folder *folder);
/** clrnn_run_folder_begin begins a new run in a locked folder. If the folder holds an earlier run with a checkpoint,
 * the new run's files replace it only in clrnn_run_folder_publish. Otherwise begin removes the earlier run's files, and
 * publish does nothing. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_run_folder_begin(struct clrnn_run_folder *folder);
enum clrnn_status clrnn_run_folder_publish(struct clrnn_run_folder *folder);
/** Whether the folder still holds an earlier run, which clrnn_run_folder_publish will replace. */
bool clrnn_run_folder_has_earlier(const struct clrnn_run_folder *folder);
/** Continues the run of a locked folder. Removes lines of metrics.jsonl that are newer than the checkpoint of `epochs`
 * whole epochs and `steps` steps. */
enum clrnn_status clrnn_run_folder_resume(struct clrnn_run_folder *folder, uint64_t epochs, uint64_t steps);
/** Opens metrics.jsonl for appending. Used by clrnn_run_folder_begin and clrnn_run_folder_resume. */
enum clrnn_status clrnn_run_folder_open_metrics(struct clrnn_run_folder *folder);
/** Closes and unlocks the folder. If a new run was not published, its files are removed and the earlier run stays as it
 * was. */
void clrnn_run_folder_finish(struct clrnn_run_folder *folder);

/** Write config.yaml, with absolute data paths, and data.json. */
enum clrnn_status clrnn_run_folder_config(const struct clrnn_run_folder *folder, const struct clrnn_config *config);
enum clrnn_status clrnn_run_folder_identity(const struct clrnn_run_folder *folder,
                                            const struct clrnn_data_identity *identity);
/** Compares the data with the folder's data.json. Errors: CLRNN_ERR_CONFIG if they differ. If data.json cannot be read,
 * only logs a warning. */
enum clrnn_status clrnn_run_folder_same_data(const struct clrnn_run_folder *folder,
                                             const struct clrnn_data_identity *identity);

/** Appends a step's line to metrics.jsonl with a single write. `counts`: at least one label of the step counts in the
 * loss. Otherwise the loss is 0 / 0, which is not warned about. Errors: CLRNN_ERR_DISK. */
enum clrnn_status clrnn_run_folder_step(struct clrnn_run_folder *folder, uint64_t step, double loss, bool counts,
                                        double lr);
/** Appends an epoch's line to metrics.jsonl with a single write. `counts`: at least one target of the epoch counts in
 * the training loss. `more`: text of further fields, such as ", \"valid_macro_f1\": 0.5", or "". */
enum clrnn_status clrnn_run_folder_epoch(struct clrnn_run_folder *folder, const struct clrnn_epoch_row *row,
                                         bool counts, const char *more);
/** Syncs metrics.jsonl to the disk. */
enum clrnn_status clrnn_run_folder_sync(struct clrnn_run_folder *folder);

/** Writes summary.json. `config`: the path of the config, or NULL. */
enum clrnn_status clrnn_run_folder_summary(const struct clrnn_run_folder *folder, const char *config,
                                           const struct clrnn_device_info *device,
                                           const struct clrnn_train_result *result);

/** Reads the speeds, and whether steps ran as chains, from the summary.json of a finished run into *result. Used if a
 * resumed run has nothing left to do. */
void clrnn_run_folder_former(const struct clrnn_run_folder *folder, struct clrnn_train_result *result);

#define CLRNN_MOST_CLASSES_DRAWN 60u // most classes that confusion.svg shows
#define CLRNN_CLASS_CHARACTERS 20u   // characters shown of a class's name in a picture
/** A confusion matrix [classes, classes]. Rows are true classes, columns are predicted classes. */
struct clrnn_picture_counts {
    uint32_t classes;
    const uint64_t *count;           // NULL: there is no matrix
    const struct clrnn_texts *names; // names of the classes, or NULL
};
/** Draws loss.svg, metrics.svg, classes.svg and confusion.svg with gnuplot. If `events` is not NULL, also appends the
 * pictures to `events` for the last epoch. `plot` is as in struct clrnn_train_params. A failure of gnuplot is not an
 * error. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY: an event cannot be appended. */
enum clrnn_status clrnn_plot(const struct clrnn_run_folder *folder, const struct clrnn_dataset *train,
                             const struct clrnn_picture_counts *confusion, struct clrnn_tfevents *events, int plot);

/** Checks whether the learning-rate schedule of a run depends on train.epochs. Such a run cannot be resumed with
 * other train.epochs. */
bool clrnn_epochs_shape_lr(const struct clrnn_config *config);
/** Compares `before`, the config of a checkpoint, with `now`, the config given for resuming. Logs changes that are
 * allowed. Returns CLRNN_ERR_CONFIG if there are others. Paths of data and of train.init are not compared. */
enum clrnn_status clrnn_resume_check(const struct clrnn_log *log, const char *folder, const struct clrnn_config *before,
                                     const struct clrnn_config *now);
#endif
