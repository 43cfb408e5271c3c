// SPDX-License-Identifier: MIT
// Reading JSON, and telling a shortage of memory, which jansson hides, from a syntax error.
#ifndef CLRNN_SRC_BASE_JSON_H
#define CLRNN_SRC_BASE_JSON_H

#include <jansson.h>

#include "base/log.h"

/** Whether an allocation of jansson's has failed in this thread since the last call. A value that was built
 *  meanwhile may lack members. */
bool clrnn_json_out_of_memory(void);
/** Records that an allocation for a value has failed. */
void clrnn_json_lacks_memory(void);

/** Calls json_dumps. Returns NULL if `value` is NULL, and if memory ran out there or in this thread since its
 * last clrnn_json_out_of_memory, while it built `value`: json_dumps itself would then leave texts out. */
char *clrnn_json_dumps(const json_t *value, size_t flags);

/** Parses `size` bytes that come from `name`; *value is NULL on failure. CLRNN_ERR_DATA: not logged, *error
 *  (may be NULL) says what is wrong. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_json_parse(const struct clrnn_log *log, const char *name, const void *text,
                                   size_t size, size_t flags, json_error_t *error, json_t **value);

/** Parses a regular file. CLRNN_ERR_DATA, CLRNN_ERR_MEMORY, both logged. */
enum clrnn_status clrnn_json_read(const struct clrnn_log *log, const char *path, json_t **value);

#endif
