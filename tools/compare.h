// SPDX-License-Identifier: MIT
// What clrnn compare and clrnn devices show of a device: as text, JSON, pictures, and beside an earlier run.
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

/** Holds a run against the JSON of an earlier one: prints what changed, gives it as JSON. */
enum clrnn_status compare_baseline(const struct cli *cli, const char *path, const struct clrnn_config *config,
                                   const struct clrnn_compare_result *r, json_t **changes);

/** compare-loss.svg and compare-speed.svg in `folder`. */
enum clrnn_status compare_plot(const struct cli *cli, const char *folder,
                               const struct clrnn_compare_result *r);

#endif
