// SPDX-License-Identifier: MIT
// The values that a sweep tries.
#ifndef CLRNN_SRC_SEARCH_VARY_H
#define CLRNN_SRC_SEARCH_VARY_H

#include "clrnn/search.h"

/** One option --vary: a config key with a range or a list of values. */
struct clrnn_vary {
    char *key;
    size_t count; // number of values in the list; 0: the key has a range
    char **item;  // [count]
    double low, high;
    bool log,  // of a range: draw on a logarithmic scale
        whole; // of a range: draw whole numbers only
};

/** Parses "KEY=LOW..HIGH[:log]" or "KEY=A,B,C". The caller frees the contents of *vary with clrnn_vary_finish, also
 * after an error. Errors: CLRNN_ERR_ARG, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_vary_parse(const struct clrnn_log *log, const char *text, struct clrnn_vary *vary);
/** Checks that the config accepts both ends of the range, or each value of the list, as the key's value. Sets
 * vary->whole if both ends of a range are whole numbers and the key takes no fractions. Errors: as
 * clrnn_config_read. */
enum clrnn_status clrnn_vary_check(const struct clrnn_log *log, const struct clrnn_sweep_params *params,
                                   struct clrnn_vary *vary);
void clrnn_vary_finish(struct clrnn_vary *vary);

/** Reads the config file params->config. Applies the assignments ("KEY=VALUE") of params->set, and after them the
 * `count` assignments of the array `set`. Errors: as clrnn_config_read. */
enum clrnn_status clrnn_vary_config(const struct clrnn_log *log, const struct clrnn_sweep_params *params, size_t count,
                                    char *const *set, struct clrnn_config **config);

/** Returns the number of trials: `most`, or the number of combinations of values if all keys have lists and there are
 * fewer combinations than `most`. *all becomes the number of combinations, counted up to 2^20, or 0 if a key has a
 * range. */
uint32_t clrnn_vary_trials(const struct clrnn_vary *vary, size_t count, uint32_t most, uint32_t *all);
/** Draws value[trial][i], the value of key vary[i] as text, for each of `trials` trials; the caller frees the texts. A
 * range is divided into `trials` equal intervals, and each trial gets a value from a different interval. A combination
 * of list values repeats only after all combinations have occurred. If there are fewer trials than combinations, the
 * values of each list occur about equally often. CLRNN_ERR_MEMORY: some texts are then NULL. */
enum clrnn_status clrnn_vary_draw(const struct clrnn_log *log, const struct clrnn_vary *vary, size_t count,
                                  uint64_t seed, uint32_t trials, char **const *value);

#endif
