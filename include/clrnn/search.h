// SPDX-License-Identifier: MIT
// Searching for good config values: a learning rate by a range test and short trainings, values of any keys by
// successive halving.
#ifndef CLRNN_SEARCH_H
#define CLRNN_SEARCH_H

#include <signal.h>

#include "clrnn/config.h"
#include "clrnn/device.h"

CLRNN_BEGIN

// ---------------------------------------------------------------- learning rate

/** A step of the range test. */
struct clrnn_lr_point {
    double lr, loss, smoothed; // loss: loss of the step's batch; smoothed: moving average of the losses
};

/** A short training at one learning rate. */
struct clrnn_lr_trial {
    double lr;
    // validation loss at the end; without validation data the training loss of the last epoch; not finite: the training
    // diverged
    double loss;
};

/** How to search. All fields zero: as `clrnn lr-find` does without options, but without a picture. */
struct clrnn_lr_params {
    const char *out;      // folder for the results; NULL: runs/<config's name>-lr-find-<date>-<time>
    const char *init;     // safetensors file of initial weights, or NULL
    double from, to;      // first and last learning rate of the range test; 0: 1e-7 and 10
    uint32_t range_steps; // limit of steps of the range test; 0: 160
    uint32_t steps;       // approximate limit for the steps of each short training; 0: 1000
    bool no_trials;       // run only the range test, and derive the suggestion from its curve
    int plot;             // draw lr-find.svg: 1: yes, 0: no, -1: if gnuplot is installed
    void (*progress)(void *user, const char *what); // called before each part: "short training at lr 0.01"; or NULL
    void *progress_user;
    const volatile sig_atomic_t *stop; // *stop not 0: end with CLRNN_INTERRUPTED
};

/** The curve of the range test, the short trainings, and the learning rates derived from them. NaN: no value. Freed
 * with clrnn_lr_finish. */
struct clrnn_lr_result {
    char folder[4096]; // holds lr-find.json and lr-find.svg
    char key[64];      // the config key of the learning rate: "train.optimizer.adam.lr"
    double suggestion; // the learning rate to use; NaN: the loss falls nowhere
    double best_trial; // lr of the best trial, judged by the mean of its loss and of its neighbours' losses
    double steepest;   // lr where the smoothed loss falls fastest over the logarithm of lr
    double lowest;     // lr where the smoothed loss is lowest
    double diverged;   // lr where the test ended, since the loss was 4 times its lowest or not finite
    double classic;    // lr by the usual rule: the smaller of `steepest` and a tenth of `lowest`
    size_t curve_count, trial_count;
    struct clrnn_lr_point *curve;
    struct clrnn_lr_trial *trial; // sorted by lr
    bool valid;                   // the short trainings are judged by the validation set
    uint32_t epochs, steps;       // length of a short training; a single epoch may be shortened
};

/**
 * Finds a learning rate for a config. A range test (Smith, arXiv:1506.01186) raises the rate from step to step; its
 * loss curve shows which rates are worth a short training. Each short training is the training of `clrnn train` with
 * one rate (same initial weights, batches and scheduler). Its length is a fifth of the config's epochs, but at least
 * five epochs (all epochs, if the config has fewer), and at most about params->steps steps. Writes lr-find.json and
 * lr-find.svg into the folder.
 *
 * Owner   the caller frees the contents of `result` with clrnn_lr_finish, also after an error.
 * Errors  as clrnn_train; CLRNN_ERR_ARG: the folder has other files, or `from` is not below `to`;
 *         CLRNN_FAILED: no suggestion.
 * Source  doc/search.md
 */
CLRNN_API enum clrnn_status clrnn_lr_find(struct clrnn_device *device, const struct clrnn_config *config,
                                          const struct clrnn_lr_params *params, struct clrnn_lr_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_lr_finish(struct clrnn_lr_result *result);

// ---------------------------------------------------------------- sweep

/** What to vary, and how. A field of zero: as `clrnn sweep` without this option, but without a picture. */
struct clrnn_sweep_params {
    const char *config; // path of the config file; `set` changes it as in clrnn_config_read
    size_t set_count;
    const char *const *set;
    size_t vary_count;
    const char *const *vary;   // "KEY=LOW..HIGH", "KEY=LOW..HIGH:log" or "KEY=A,B,C"
    uint32_t trials;           // limit of trials; 0: 20
    uint32_t jobs;             // trainings that run at the same time, each in its own process; 0: 1
    uint32_t reduction;        // one of `reduction` trials goes on to the next rung (see clrnn_sweep); 0: 3
    uint64_t seed;             // seed of the random choice of the trials' values
    const char *budget;        // epochs of the rungs, "3,10,30"; NULL: from trials, reduction and train.epochs
    const char *metric;        // "valid_accuracy"; NULL: what early stopping monitors, else the loss
    const char *out;           // folder of the sweep; NULL: runs/<config's name>-sweep-<date>-<time>
    const char *init;          // safetensors file of every trial's initial weights, or NULL
    const char *device, *gemm; // for every trial, as in clrnn_device_params
    bool no_tune;
    int plot; // draw sweep.svg: 1: yes, 0: no, -1: if gnuplot is installed
    // called before each rung and after each training: "trial 3: valid_loss 0.41 after 10 epochs"; may be NULL
    void (*progress)(void *user, const char *what);
    void *progress_user;
    const volatile sig_atomic_t *stop; // *stop not 0: end with CLRNN_INTERRUPTED; the same call later resumes
};

/** A trial: a training with one choice of values. Its folder ("trial-007" in the sweep's folder) is a run folder, as
 * `clrnn train` writes it. */
struct clrnn_sweep_trial {
    uint32_t number; // from 1
    char **value;    // [key_count] values of the keys, as --set takes them
    uint32_t rungs;  // number of rungs that the trial has completed
    double *rung;    // [rung_count] the metric at the end of each rung; NaN: the trial did not reach the rung
    uint32_t epochs; // epochs of the last completed rung, though early stopping may have ended it earlier; 0: none
    double metric;   // the metric at the end of this last rung; NaN: none
    char *reason;    // why the trial failed, or NULL
};

/** The result of a sweep. Freed with clrnn_sweep_finish. */
struct clrnn_sweep_result {
    char folder[4096]; // holds sweep.json, sweep.csv and sweep.svg
    char metric[64];
    bool highest; // true: the highest metric is best; false: the lowest
    size_t key_count, rung_count, trial_count;
    char **key;       // [key_count]
    uint32_t *budget; // [rung_count] epochs of each rung, counted from the start of a trial
    // [trial_count] best first; trials with more rungs before other trials, and failed trials last
    struct clrnn_sweep_trial *trial;
};

/**
 * Tries values of a config's keys by successive halving (Jamieson and Talwalkar, arXiv:1502.07943). Training is divided
 * into stages, called rungs. All trials are trained for the epochs of the first rung, and after each rung only the best
 * trials go on to the next one. A trial gives the same bits as `clrnn train` with the same values. After an
 * interruption, the same call with the same parameters and folder continues the sweep.
 *
 * Trainings run in child processes made by fork, so the calling process must not have opened or
 * listed devices.
 *
 * Owner   the caller frees the contents of `result` with clrnn_sweep_finish, also after an error.
 * Errors  CLRNN_ERR_ARG: a range in `vary` is invalid, or the folder has other files or another sweep;
 *         CLRNN_ERR_CONFIG: as clrnn_config_read; CLRNN_ERR_DATA, CLRNN_ERR_DISK; as clrnn_device_open.
 *         CLRNN_FAILED: all trials failed; a single failed trial is no error.
 * Source  doc/search.md
 */
CLRNN_API enum clrnn_status clrnn_sweep(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                                        struct clrnn_sweep_result *result);
/** Frees the contents of the result; does nothing in a second call or if `result` is NULL. */
CLRNN_API void clrnn_sweep_finish(struct clrnn_sweep_result *result);

CLRNN_END

#endif
