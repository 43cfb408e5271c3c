// SPDX-License-Identifier: MIT
// The folder that a run leaves: metrics line by line, the config as resolved, the summary, pictures.
#ifndef CLRNN_SRC_TRAIN_RUN_FOLDER_H
#define CLRNN_SRC_TRAIN_RUN_FOLDER_H

#include "clrnn/train.h"
#include "train/dataset.h"

/** An epoch's line of metrics.jsonl; NaN where there is none (written as null). */
struct clrnn_epoch_row {
    uint64_t epoch, step; // from 1
    double train_loss, train_accuracy, valid_loss, valid_accuracy;
    double lr, grad_norm, seconds, samples_per_s;
    double train_mae, valid_mae, valid_rmse, valid_r2; // mse only
};

struct clrnn_run_folder {
    const struct clrnn_log *log;
    char *path;
    char *files;     // where the run's files are written: `path`, or a folder in it until it is published
    int lock;        // file descriptor of the mark, locked; -1: none
    int metrics;     // file descriptor; -1: none
    bool regression; // lines have the fields of mse
    bool warned;     // of a number that is not finite
    size_t count;
    struct clrnn_epoch_row *row; // every epoch so far, those before a resume included
};

/** Whether a checkpoint after `epochs` and `steps` knows of a line of metrics.jsonl; fills in what the line
 * has, epoch 0 for that of a step. A torn line is no JSON. */
bool clrnn_metrics_line(const char *line, size_t length, uint64_t epochs, uint64_t steps,
                        struct clrnn_epoch_row *row);

/** What the data were, beside the checkpoint: a resumed run must find the same. */
struct clrnn_data_identity {
    uint32_t train_samples, valid_samples; // 0: no validation
    char train[33], valid[33];             // fingerprints, "" where there is none
};

/** Whether a fresh run of this config may be written to the folder: it is new, empty or a run's
 * (run_folder_open.c has what counts as one), and the run would replace nothing that it reads. `init`: as in
 *  clrnn_train_params. CLRNN_ERR_ARG. */
enum clrnn_status clrnn_run_folder_check(const struct clrnn_log *log, const char *path,
                                         const struct clrnn_config *config, const char *init);
/** Makes the folder (NULL `path`: runs/<name>-<date>-<time>) and takes it for this process. CLRNN_ERR_DISK;
 *  CLRNN_ERR_ARG: another process writes there, or it holds other things than a run. */
enum clrnn_status clrnn_run_folder_create(const struct clrnn_log *log, const char *path, const char *name,
                                          struct clrnn_run_folder *folder);
/** Takes an existing run's folder for this process. CLRNN_ERR_DATA: it is none; CLRNN_ERR_DISK,
 * CLRNN_ERR_ARG. */
enum clrnn_status clrnn_run_folder_open(const struct clrnn_log *log, const char *path,
                                        struct clrnn_run_folder *folder);
/** Begins a fresh run in a folder that was taken. An earlier run there that has a checkpoint stays until
 *  publish, which does nothing where there was none. CLRNN_ERR_DISK. */
enum clrnn_status clrnn_run_folder_begin(struct clrnn_run_folder *folder);
enum clrnn_status clrnn_run_folder_publish(struct clrnn_run_folder *folder);
/** Goes on with the run of a folder that was taken; keeps of its metrics what a checkpoint after `epochs`
 * whole epochs and `steps` steps knows of. */
enum clrnn_status clrnn_run_folder_resume(struct clrnn_run_folder *folder, uint64_t epochs, uint64_t steps);
/** Opens metrics.jsonl to append to it; what begin and resume do. */
enum clrnn_status clrnn_run_folder_open_metrics(struct clrnn_run_folder *folder);
/** Ends it; a run that was not published leaves the earlier one as it was. */
void clrnn_run_folder_finish(struct clrnn_run_folder *folder);

/** config.yaml, its data paths made absolute so that it can be read from there; data.json. */
enum clrnn_status clrnn_run_folder_config(const struct clrnn_run_folder *folder,
                                          const struct clrnn_config *config);
enum clrnn_status clrnn_run_folder_identity(const struct clrnn_run_folder *folder,
                                            const struct clrnn_data_identity *identity);
/** CLRNN_ERR_CONFIG where the data differ from those that the folder's data.json names. */
enum clrnn_status clrnn_run_folder_same_data(const struct clrnn_run_folder *folder,
                                             const struct clrnn_data_identity *identity);

/** Lines of metrics.jsonl: a single write each. CLRNN_ERR_DISK. */
enum clrnn_status clrnn_run_folder_step(struct clrnn_run_folder *folder, uint64_t step, double loss,
                                        double lr);
enum clrnn_status clrnn_run_folder_epoch(struct clrnn_run_folder *folder, const struct clrnn_epoch_row *row);
/** Puts what was written so far onto the disk. */
enum clrnn_status clrnn_run_folder_sync(struct clrnn_run_folder *folder);

enum clrnn_status clrnn_run_folder_summary(const struct clrnn_run_folder *folder,
                                           const struct clrnn_device_info *device,
                                           const struct clrnn_train_result *result);

/** The speeds that a finished run's summary.json holds, for a resume that has nothing left to do. */
void clrnn_run_folder_former(const struct clrnn_run_folder *folder, struct clrnn_train_result *result);

/** loss.svg and classes.svg by gnuplot. `plot` as in clrnn_train_params; never fails a run. */
void clrnn_plot(const struct clrnn_run_folder *folder, const struct clrnn_dataset *train, int plot);

/**
 * Compares the config of a checkpoint with the one that a run is to go on with: logs what changed, and
 * refuses (CLRNN_ERR_CONFIG) what would make another run of it. Paths of data are not compared.
 */
enum clrnn_status clrnn_resume_check(const struct clrnn_log *log, const char *folder,
                                     const struct clrnn_config *before, const struct clrnn_config *now);
#endif
