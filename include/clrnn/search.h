// SPDX-License-Identifier: MIT
// Searching for good config values: a learning rate by a range test and short trainings, values of any keys
// by successive halving.
#ifndef CLRNN_SEARCH_H
#define CLRNN_SEARCH_H

#include <signal.h>

#include "clrnn/config.h"
#include "clrnn/device.h"

CLRNN_BEGIN

// ---------------------------------------------------------------- learning rate

/** A step of the range test. */
struct clrnn_lr_point {
    double lr, loss, smoothed; // loss: of the step's batch; smoothed: moving average of the losses so far
};

/** A short training at one learning rate. */
struct clrnn_lr_trial {
    double lr;
    double loss; // validation loss after it, else training loss of its last epoch; not finite: it diverged
};

/** What to examine. Zeroed: like `clrnn lr-find` with a config and no options, but without a picture. */
struct clrnn_lr_params {
    const char *out;      // folder of the results; NULL: runs/<config's name>-lr-find-<date>-<time>
    const char *init;     // safetensors to start from, or NULL
    double from, to;      // first and last learning rate of the range test; 0: 1e-7, 10
    uint32_t range_steps; // most steps of the range test; 0: 160
    uint32_t steps;       // most steps of each short training, about; 0: 1000
    bool no_trials;       // run only the range test, and suggest by its curve
    int plot;             // 1: yes, 0: no, -1: if gnuplot is installed
    void (*progress)(void *user, const char *what); // called before each part: "short training at lr 0.01"
    void *progress_user;
    const volatile sig_atomic_t *stop; // non-zero: end with CLRNN_INTERRUPTED
};

/** The curve of the range test, the short trainings, and the learning rates that they suggest. NaN: no value.
 * Freed with clrnn_lr_finish. */
struct clrnn_lr_result {
    char folder[4096]; // holds lr-find.json and lr-find.svg
    char key[64];      // the config key of the learning rate: "train.optimizer.adam.lr"
    double suggestion; // the learning rate to use; NaN: the loss falls nowhere
    double best_trial; // lr of the trial whose loss, averaged with its neighbours', is lowest
    double steepest;   // lr where the smoothed loss falls fastest over the logarithm of lr
    double lowest;     // lr where the smoothed loss is lowest
    double diverged;   // lr where the test ended because the loss had grown fourfold or was not finite
    double classic;    // lr by the usual rule: `steepest`, but not above a tenth of `lowest`
    size_t curve_count, trial_count;
    struct clrnn_lr_point *curve;
    struct clrnn_lr_trial *trial; // sorted by lr
    bool valid;                   // the trainings are judged by the validation set
    uint32_t epochs, steps;       // of a short training; if `epochs` is 1, it may end before the epoch does
};

/**
 * Finds a learning rate for a config. A range test (Smith, arXiv:1506.01186) raises the rate from step to
 * step; its curve shows which rates are worth a short training. Each short training is `clrnn train` with one
 * rate (same weights, batches and scheduler) for a fifth of the epochs, but at least five of them if the
 * config has five. Writes lr-find.json and lr-find.svg into the folder.
 *
 * Owner   the caller frees the contents of `result` with clrnn_lr_finish, also after an error.
 * Errors  as clrnn_train; CLRNN_ERR_ARG: the folder holds other files; CLRNN_FAILED: no suggestion.
 * Source  doc/search.md
 */
CLRNN_API enum clrnn_status clrnn_lr_find(struct clrnn_device *device, const struct clrnn_config *config,
                                          const struct clrnn_lr_params *params,
                                          struct clrnn_lr_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_lr_finish(struct clrnn_lr_result *result);

// ---------------------------------------------------------------- sweep

/** What to vary, and how. Zeroed fields: like `clrnn sweep` without the option, but without a picture. */
struct clrnn_sweep_params {
    const char *config; // path of the config file; `set` changes it as in clrnn_config_read
    size_t set_count;
    const char *const *set;
    size_t vary_count;
    const char *const *vary; // "KEY=LOW..HIGH", "KEY=LOW..HIGH:log" or "KEY=A,B,C"
    uint32_t trials;         // most trials; 0: 20
    uint32_t jobs;           // trainings at a time, each in a process of its own; 0: 1
    uint32_t reduction;      // one trial in `reduction` goes on to the next rung; 0: 3
    uint64_t seed;           // seed by which the trials' values are drawn
    const char *budget;      // epochs of the rungs, "3,10,30"; NULL: from trials, reduction and train.epochs
    const char *metric;      // "valid_accuracy"; NULL: what early stopping monitors, else the loss
    const char *out;         // folder of the sweep; NULL: runs/<config's name>-sweep-<date>-<time>
    const char *init;        // safetensors that every trial starts from, or NULL
    const char *device, *gemm; // for every trial, as in clrnn_device_params
    bool no_tune;
    int plot;                                       // 1: yes, 0: no, -1: if gnuplot is installed
    void (*progress)(void *user, const char *what); // called after each training: "trial 3: valid_loss 0.41"
    void *progress_user;
    const volatile sig_atomic_t *stop; // non-zero: end with CLRNN_INTERRUPTED; the same call then resumes
};

/** A trial. Its folder ("trial-007" in the sweep's folder) is a run folder, as `clrnn train` writes it. */
struct clrnn_sweep_trial {
    uint32_t number; // from 1
    char **value;    // [key_count] values of the keys, as --set takes them
    uint32_t rungs;  // number of rungs that it has passed
    double *rung;    // [rung_count] the metric at the end of each rung; NaN: not reached
    uint32_t epochs; // epochs of the last rung that it has passed; 0: none
    double metric;   // the metric at the end of that rung; NaN: none
    char *reason;    // why the trial failed, or NULL
};

/** All trials, best first: trials that reached later rungs come before others. Freed with clrnn_sweep_finish.
 */
struct clrnn_sweep_result {
    char folder[4096]; // holds sweep.json, sweep.csv and sweep.svg
    char metric[64];
    bool highest; // the highest metric is best, not the lowest
    size_t key_count, rung_count, trial_count;
    char **key;       // [key_count]
    uint32_t *budget; // [rung_count] epochs
    struct clrnn_sweep_trial *trial;
};

/**
 * Tries values of a config's keys by successive halving (Jamieson and Talwalkar, arXiv:1502.07943): all
 * trials are trained for the epochs of the first rung, and the best of them go on to the next rung. A trial
 * gives the same bits as a run with its values. After an interruption, the same call with the same parameters
 * and folder continues the sweep.
 *
 * Trainings run in child processes made by fork, so the calling process must not have opened or listed
 * devices.
 *
 * Owner   the caller frees the contents of `result` with clrnn_sweep_finish, also after an error.
 * Errors  CLRNN_ERR_ARG: an invalid range in `vary`, or a folder with other files or another sweep;
 *         CLRNN_ERR_CONFIG: as clrnn_config_read; CLRNN_ERR_DATA, CLRNN_ERR_DISK; for the device as
 *         clrnn_device_open. A single trial that fails is no error; CLRNN_FAILED: all trials failed.
 * Source  doc/search.md
 */
CLRNN_API enum clrnn_status clrnn_sweep(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                                        struct clrnn_sweep_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_sweep_finish(struct clrnn_sweep_result *result);

CLRNN_END

#endif
