// SPDX-License-Identifier: MIT
// Output of clrnn compare and clrnn devices as text and JSON.
#ifndef CLRNN_TOOLS_COMPARE_H
#define CLRNN_TOOLS_COMPARE_H

#include <jansson.h>

#include "tools/cli.h"

json_t *compare_selftest_json(const struct clrnn_selftest_result *result);

void compare_print(const struct clrnn_compare_result *r);
/** Prints the changes since the earlier run whose JSON file is at `path`. */
void compare_print_changes(const char *path, const struct clrnn_compare_result *r,
                           const struct clrnn_baseline_result *changes);

/** Makes JSON of the whole comparison; `changes` may be NULL. Returns NULL if memory is exhausted. */
json_t *compare_json(const struct clrnn_compare_result *r, const struct clrnn_baseline_result *changes);

#endif
