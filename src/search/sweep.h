// SPDX-License-Identifier: MIT
// Internals of a sweep.
#ifndef CLRNN_SRC_SEARCH_SWEEP_H
#define CLRNN_SRC_SEARCH_SWEEP_H

#include <jansson.h>

#include "search/vary.h"

struct clrnn_sweep {
    const struct clrnn_log *log;
    const struct clrnn_sweep_params *params; // with zeros replaced by defaults
    const struct clrnn_config *config;       // without a trial's values
    struct clrnn_vary *vary;                 // [result->key_count]
    bool best_epoch;                         // a trial is judged by its best epoch, not by its last
    struct clrnn_sweep_result *result;
    json_t *identity; // parameters that a later call must share to continue the sweep
};

// ---------------------------------------------------------------- sweep_run.c

/** Trains the `count` trials with the indices `trial` up to the rung, each in a child process. Fills in their
 * metric or reason, and saves after each. */
enum clrnn_status clrnn_sweep_rung(struct clrnn_sweep *s, size_t rung, const size_t *trial, size_t count);

// ---------------------------------------------------------------- sweep_file.c

/** Fills in `identity`. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_sweep_identify(struct clrnn_sweep *s);
/** Loads the results of an earlier call from the folder. CLRNN_ERR_ARG: it holds another sweep;
 * CLRNN_ERR_DATA: its sweep.json cannot be read. */
enum clrnn_status clrnn_sweep_load(struct clrnn_sweep *s);
/** Writes sweep.json. */
enum clrnn_status clrnn_sweep_save(const struct clrnn_sweep *s, bool finished);
/** Writes sweep.csv, with the trials in the order of the result. */
enum clrnn_status clrnn_sweep_table(const struct clrnn_sweep *s);

// ---------------------------------------------------------------- sweep_epochs.c

/** Calls `visit` with the metric of each epoch up to `epochs` in a trial's metrics.jsonl; NaN: null there. */
enum clrnn_status clrnn_sweep_epochs(const struct clrnn_sweep *s, uint32_t number, const char *metric,
                                     uint32_t epochs, void (*visit)(void *user, uint32_t epoch, double value),
                                     void *user);
/** The path of a trial's folder, to be freed. NULL: no memory. */
char *clrnn_sweep_trial_folder(const struct clrnn_sweep *s, uint32_t number);
/** Draws sweep.svg. A failure is not an error. */
void clrnn_sweep_draw(const struct clrnn_sweep *s);

#endif
