// SPDX-License-Identifier: MIT
// Searching for good values of the config: a learning rate by a range test and short trainings; values of any
// keys by successive halving.
#ifndef CLRNN_SEARCH_H
#define CLRNN_SEARCH_H

#include <signal.h>

#include "clrnn/config.h"
#include "clrnn/device.h"

CLRNN_BEGIN

// ---------------------------------------------------------------- learning rate

/** A step of the range test. */
struct clrnn_lr_point {
    double lr, loss, smoothed; // loss of the step's batch; moving average of the losses so far
};

/** A short training at one learning rate. */
struct clrnn_lr_trial {
    double lr;
    double loss; // after it: of the validation set, else of its last epoch; NaN or infinite: it diverged
};

/** What to examine. Zeroed: like `clrnn lr-find` with a config and no options, but without a picture. */
struct clrnn_lr_params {
    const char *out;      // folder of the results; NULL: runs/<config's name>-lr-find-<date>-<time>
    const char *init;     // safetensors to start from, or NULL
    double from, to;      // of the range test; 0: 1e-7, 10
    uint32_t range_steps; // of the range test, at most; 0: 160
    uint32_t steps;       // of each short training, about, at most; 0: 1000
    bool no_trials;       // only the range test and what its curve suggests
    int plot;             // 1 yes, 0 no, -1 where gnuplot is installed
    void (*progress)(void *user, const char *what); // before each part: "short training at lr 0.01"
    void *progress_user;
    const volatile sig_atomic_t *stop; // non-zero: end with CLRNN_INTERRUPTED
};

/** The curve, the trainings and what they suggest. NaN: no value. Freed with clrnn_lr_finish. */
struct clrnn_lr_result {
    char folder[4096]; // with lr-find.json and lr-find.svg
    char key[64];      // that holds the learning rate: "train.optimizer.adam.lr"
    double suggestion; // NaN: the loss falls nowhere
    double best_trial; // lr of the trial that has the lowest loss together with its neighbours
    double steepest;   // where the smoothed loss falls fastest over the logarithm of lr
    double lowest;     // where it is lowest
    double diverged;   // where the test ended because the loss had grown fourfold or was not finite
    double classic;    // the usual rule: steepest, but not above a tenth of lowest
    size_t curve_count, trial_count;
    struct clrnn_lr_point *curve;
    struct clrnn_lr_trial *trial; // by lr
    bool valid;                   // the trainings are judged by the validation set
    uint32_t epochs, steps;       // of a short training; fewer steps than an epoch: a part of it
};

/**
 * Finds a learning rate for a config. A range test (Smith, arXiv:1506.01186) raises it from step to step;
 * its curve says where trainings are worth while. Each of these is that of `clrnn train` with this learning
 * rate and a fifth of the epochs, but five where there are so many: same weights, batches and scheduler.
 * Writes lr-find.json and lr-find.svg into the folder.
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
    const char *config; // a file; with `set` as in clrnn_config_read
    size_t set_count;
    const char *const *set;
    size_t vary_count;
    const char *const *vary; // "KEY=LOW..HIGH", "KEY=LOW..HIGH:log" or "KEY=A,B,C"
    uint32_t trials;         // at most; 0: 20
    uint32_t jobs;           // trainings at a time, each in a process of its own; 0: 1
    uint32_t reduction;      // of these many trials one goes on to the next rung; 0: 3
    uint64_t seed;           // of the values that are drawn
    const char *budget;      // epochs of the rungs, "3,10,30"; NULL: from trials, reduction and train.epochs
    const char *metric;      // "valid_accuracy"; NULL: what early stopping monitors, else the loss
    const char *out;         // folder of the sweep; NULL: runs/<config's name>-sweep-<date>-<time>
    const char *init;        // safetensors that every trial starts from, or NULL
    const char *device, *gemm; // of every trial, as in clrnn_device_params
    bool no_tune;
    int plot;                                       // 1 yes, 0 no, -1 where gnuplot is installed
    void (*progress)(void *user, const char *what); // after each training: "trial 3: valid_loss 0.41"
    void *progress_user;
    const volatile sig_atomic_t *stop; // non-zero: end with CLRNN_INTERRUPTED; the same call goes on
};

/** A trial. Its folder "trial-007" in that of the sweep is the run folder of `clrnn train` with these values.
 */
struct clrnn_sweep_trial {
    uint32_t number; // from 1
    char **value;    // [key_count], as --set takes them
    uint32_t rungs;  // that it has passed
    double *rung;    // [rung_count] the metric at the end of each; NaN: not reached
    uint32_t epochs; // of the last rung that it has passed, 0: none
    double metric;   // there; NaN: none
    char *reason;    // why it has failed, or NULL
};

/** All trials, best first: those of later rungs before those of earlier ones. Freed with clrnn_sweep_finish.
 */
struct clrnn_sweep_result {
    char folder[4096]; // with sweep.json, sweep.csv, sweep.svg
    char metric[64];
    bool highest; // is best
    size_t key_count, rung_count, trial_count;
    char **key;       // [key_count]
    uint32_t *budget; // [rung_count] epochs
    struct clrnn_sweep_trial *trial;
};

/**
 * Tries values of a config's keys by successive halving (Jamieson and Talwalkar, arXiv:1502.07943): all
 * trials are trained for the epochs of the first rung, the best of them go on to the next one. A trial gives
 * bit for bit what a run with its values gives. A sweep that was interrupted or killed goes on where it was
 * when it is called again with the same parameters and folder.
 *
 * The trainings are child processes by fork: the calling process must not have opened a device, nor listed
 * them.
 *
 * Owner   the caller frees the contents of `result` with clrnn_sweep_finish, also after an error.
 * Errors  CLRNN_ERR_ARG: a range that is none, or a folder with other files or another sweep;
 *         CLRNN_ERR_CONFIG: as clrnn_config_read; CLRNN_ERR_DATA, CLRNN_ERR_DISK; of the device: as
 *         clrnn_device_open. A trial that fails by itself is no error; CLRNN_FAILED: all do.
 * Source  doc/search.md
 */
CLRNN_API enum clrnn_status clrnn_sweep(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                                        struct clrnn_sweep_result *result);
/** Frees the contents of the result; a second call does nothing. */
CLRNN_API void clrnn_sweep_finish(struct clrnn_sweep_result *result);

CLRNN_END

#endif
