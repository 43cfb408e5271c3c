// SPDX-License-Identifier: MIT
// The values that a sweep tries.
#ifndef CLRNN_SRC_SEARCH_VARY_H
#define CLRNN_SRC_SEARCH_VARY_H

#include "clrnn/search.h"

/** One --vary: a key with a range or a list. */
struct clrnn_vary {
    char *key;
    size_t count; // values in the list; 0: a range
    char **item;  // [count]
    double low, high;
    bool log, whole; // range: logarithmic; of whole numbers
};

/** Parses "KEY=LOW..HIGH[:log]" or "KEY=A,B,C". CLRNN_ERR_ARG, CLRNN_ERR_MEMORY; clrnn_vary_finish frees the
 * contents, also after an error. */
enum clrnn_status clrnn_vary_parse(const struct clrnn_log *log, const char *text, struct clrnn_vary *vary);
/** Reads the config with both ends of the range, or with each value of the list, and finds out whether a
 * range is of whole numbers. Errors: as clrnn_config_read. */
enum clrnn_status clrnn_vary_check(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                                   struct clrnn_vary *vary);
void clrnn_vary_finish(struct clrnn_vary *vary);

/** Reads params->config with params->set and `count` further assignments. */
enum clrnn_status clrnn_vary_config(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                                    size_t count, char *const *set, struct clrnn_config **config);

/** Returns the number of trials: `most`, or the number of combinations if all keys have lists and these have
 * fewer. *all: the number of combinations, counted up to 2^20; 0: a key has a range. */
uint32_t clrnn_vary_trials(const struct clrnn_vary *vary, size_t count, uint32_t most, uint32_t *all);
/** Draws value[trial][i] for each of `trials` trials. A range is cut into `trials` equal parts, and each
 * trial gets a value from another part. Combinations of lists repeat only after all have occurred; with fewer
 * trials the values of each list occur about equally often. CLRNN_ERR_MEMORY: some are NULL then. */
enum clrnn_status clrnn_vary_draw(const struct clrnn_log *log, const struct clrnn_vary *vary, size_t count,
                                  uint64_t seed, uint32_t trials, char **const *value);

#endif
