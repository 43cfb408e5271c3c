// SPDX-License-Identifier: MIT
// Output of clrnn compare and clrnn devices: text and JSON.
#ifndef CLRNN_TOOLS_COMPARE_H
#define CLRNN_TOOLS_COMPARE_H

#include <jansson.h>

#include "tools/cli.h"

json_t *compare_selftest_json(const struct clrnn_selftest_result *result);

void compare_print(const struct clrnn_compare_result *r);
/** Prints the changes against the earlier run whose JSON is at `path`. */
void compare_print_changes(const char *path, const struct clrnn_compare_result *r,
                           const struct clrnn_baseline_result *changes);

/** The whole comparison as JSON; `changes` may be NULL. Returns NULL if there is no memory. */
json_t *compare_json(const struct clrnn_compare_result *r, const struct clrnn_baseline_result *changes);

#endif
