// SPDX-License-Identifier: MIT
// The environment variables CLRNN_...: their values, and whether these are valid.
#ifndef CLRNN_SRC_BASE_ENVIRONMENT_H
#define CLRNN_SRC_BASE_ENVIRONMENT_H

#include "base/log.h"

/** CLRNN_ERR_ARG if a variable of doc/environment.md has an invalid value; the message has its name, the
 * value and what is expected. An empty variable counts as not set. */
enum clrnn_status clrnn_environment_check(const struct clrnn_log *log);

/** A variable's value, NULL where it is not set or empty. */
const char *clrnn_environment(const char *name);

/** The whole number of bytes in a variable; `standard` if it holds none. */
uint64_t clrnn_environment_bytes(const char *name, uint64_t standard);

#endif
