// SPDX-License-Identifier: MIT
// The environment variables CLRNN_...: whether what they hold can be used.
#ifndef CLRNN_SRC_BASE_ENVIRONMENT_H
#define CLRNN_SRC_BASE_ENVIRONMENT_H

#include "base/log.h"

/** CLRNN_ERR_ARG if one of the variables of doc/environment.md holds what it cannot: its name, what was found
 * and what is expected. A variable that is empty counts as not set. */
enum clrnn_status clrnn_environment_check(const struct clrnn_log *log);

/** A variable's value, NULL where it is not set or empty. */
const char *clrnn_environment(const char *name);

/** A whole number of bytes in a variable, else `standard`. */
uint64_t clrnn_environment_bytes(const char *name, uint64_t standard);

#endif
