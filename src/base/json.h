// SPDX-License-Identifier: MIT
// Reads and writes JSON with jansson. jansson does not say whether an allocation failed. These functions do: they
// report a failed allocation as lack of memory, not as a syntax error.
#ifndef CLRNN_SRC_BASE_JSON_H
#define CLRNN_SRC_BASE_JSON_H

#include <jansson.h>

#include "base/log.h"

/** Whether an allocation by jansson has failed in this thread since the last call of this function. A JSON value that
 * was built in between may then lack members. */
bool clrnn_json_out_of_memory(void);
/** Records that an allocation for a JSON value has failed; clrnn_json_out_of_memory then returns true. */
void clrnn_json_lacks_memory(void);

/** Returns the text of json_dumps, which the caller frees. Returns NULL if `value` is NULL, or if
 * clrnn_json_out_of_memory is true afterwards: an allocation failed in json_dumps or while `value` was
 * built, so parts of the text would be missing. */
char *clrnn_json_dumps(const json_t *value, size_t flags);

/** Parses `size` bytes of JSON. `name` is the text's name in messages. *value is NULL after an error.
 * CLRNN_ERR_DATA: invalid JSON. This error is not logged, but *error (`error` may be NULL) describes it.
 * CLRNN_ERR_MEMORY: memory ran out. This error is logged. */
enum clrnn_status clrnn_json_parse(const struct clrnn_log *log, const char *name, const void *text, size_t size,
                                   size_t flags, json_error_t *error, json_t **value);

/** Parses a regular file of JSON. Errors: CLRNN_ERR_DATA, CLRNN_ERR_MEMORY. Both are logged. */
enum clrnn_status clrnn_json_read(const struct clrnn_log *log, const char *path, json_t **value);

#endif
