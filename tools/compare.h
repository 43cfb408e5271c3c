// SPDX-License-Identifier: MIT
// Output of clrnn compare and clrnn devices: text, JSON, and the comparison with an earlier run.
#ifndef CLRNN_TOOLS_COMPARE_H
#define CLRNN_TOOLS_COMPARE_H

#include <jansson.h>

#include "tools/cli.h"

/** "ok", "wrong", "broken"; NULL: not tested. */
const char *compare_verdict(enum clrnn_verdict verdict);
json_t *compare_selftest_json(const struct clrnn_selftest_result *result);

void compare_print(const struct clrnn_compare_result *r);

/** All of it; `baseline` (taken over) or NULL. NULL: no memory. */
json_t *compare_json(const struct clrnn_config *config, const struct clrnn_compare_result *r,
                     json_t *baseline);
enum clrnn_status compare_write_json(const struct cli *cli, const char *path, const json_t *json);

/** Reads the JSON of an earlier run. CLRNN_ERR_DATA. */
enum clrnn_status compare_baseline_read(const struct cli *cli, const char *path, json_t **then);
/** Compares a run with an earlier one; returns the changes, also printed if `print`. NULL: no memory. */
json_t *compare_baseline(const char *path, const json_t *then, const struct clrnn_config *config,
                         const struct clrnn_compare_result *r, bool print);

#endif
