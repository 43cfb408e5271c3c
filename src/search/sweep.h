// SPDX-License-Identifier: MIT
// Internals of a sweep.
#ifndef CLRNN_SRC_SEARCH_SWEEP_H
#define CLRNN_SRC_SEARCH_SWEEP_H

#include <jansson.h>

#include "search/vary.h"

struct clrnn_sweep {
    const struct clrnn_log *log;
    const struct clrnn_sweep_params *params; // a copy in which zeros are replaced by defaults
    const struct clrnn_config *config;       // the config before a trial's values are applied
    struct clrnn_vary *vary;                 // [result->key_count] range or list of each varied key
    struct clrnn_sweep_result *result;
    json_t *identity; // parameters that a later call must share to continue the sweep
};

// ---------------------------------------------------------------- sweep_run.c

/** Trains the trials with the indices trial [count] until each has trained result->budget[rung] epochs in total, each
 * in a child process. A rung is a stage of successive halving (clrnn_sweep). Fills in each trial's metric, or the
 * reason why it failed, and writes sweep.json after each trial. CLRNN_INTERRUPTED: params->stop was set. */
enum clrnn_status clrnn_sweep_rung(struct clrnn_sweep *s, size_t rung, const size_t *trial, size_t count);

// ---------------------------------------------------------------- sweep_file.c

/** Builds s->identity. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_sweep_identify(struct clrnn_sweep *s);
/** Loads the results of an earlier call from sweep.json in the sweep's folder, if that file exists. CLRNN_ERR_ARG: the
 * file is of a sweep with other parameters; CLRNN_ERR_DATA: the file cannot be read. */
enum clrnn_status clrnn_sweep_load(struct clrnn_sweep *s);
/** Writes sweep.json. `finished`: all trials are done, so the best trial is written, too. */
enum clrnn_status clrnn_sweep_save(const struct clrnn_sweep *s, bool finished);
/** Writes sweep.csv, with the trials in the order of s->result->trial. */
enum clrnn_status clrnn_sweep_table(const struct clrnn_sweep *s);

// ---------------------------------------------------------------- sweep_epochs.c

/** Reads metrics.jsonl of trial `number`. For each epoch from 1 to `epochs` in the file, calls `visit` with the value
 * of `metric`, which is NaN if the file has null or no value there. */
enum clrnn_status clrnn_sweep_epochs(const struct clrnn_sweep *s, uint32_t number, const char *metric, uint32_t epochs,
                                     void (*visit)(void *user, uint32_t epoch, double value), void *user);
/** Returns the path of a trial's folder; the caller frees it. Returns NULL if there is no memory. */
char *clrnn_sweep_trial_folder(const struct clrnn_sweep *s, uint32_t number);
/** Draws sweep.svg if a picture is wanted. A failure is logged as a warning and is no error. */
void clrnn_sweep_draw(const struct clrnn_sweep *s);

#endif
