// SPDX-License-Identifier: MIT
// Helpers of the fuzz targets: inputs as files in memory, and a log that checks that errors are sentences.
#ifndef CLRNN_TESTS_FUZZ_FUZZ_H
#define CLRNN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Aborts unless `what` is true. A sanitizer or debugger then shows where. */
#define FUZZ_CHECK(what) ((what) ? (void)0 : abort())

/** A log that counts errors. fuzz_start resets the count. fuzz_check_status aborts unless the count is 0 after a
 * success and 1 after a failure. */
extern const struct clrnn_log fuzz_log;
void fuzz_start(void);
void fuzz_check_status(enum clrnn_status status);

/** Writes these bytes to a file in memory and returns its path. The file is valid until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

/** As fuzz_file, for a safetensors file. An input that begins with '{' is a header that ends at the first NUL, followed
 * by data. The length of the header is put before the header. */
const char *fuzz_safetensors(const uint8_t *data, size_t size);

/** Returns the same bytes as a text in new memory, to be freed. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
