// SPDX-License-Identifier: MIT
// Reads the environment variables CLRNN_..., and checks that their values are valid.
#ifndef CLRNN_SRC_BASE_ENVIRONMENT_H
#define CLRNN_SRC_BASE_ENVIRONMENT_H

#include "base/log.h"

/** Checks the values of the variables CLRNN_... that the library reads (doc/environment.md). CLRNN_ERR_ARG: a value is
 * invalid; the message has the variable's name, its value and what is expected. An empty variable counts as not set. */
enum clrnn_status clrnn_environment_check(const struct clrnn_log *log);

/** Returns the value of a variable; NULL if the variable is not set or is empty. */
const char *clrnn_environment(const char *name);

/** Returns a variable's value as a number of bytes; `standard` if the value is no whole number or not set. */
uint64_t clrnn_environment_bytes(const char *name, uint64_t standard);

#endif
