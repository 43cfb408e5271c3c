// SPDX-License-Identifier: MIT
// Helpers of the fuzz targets: inputs as files in memory, and a log that checks that errors are sentences.
#ifndef CLRNN_TESTS_FUZZ_FUZZ_H
#define CLRNN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Aborts, for a sanitizer or a debugger to show where, unless `what` holds. */
#define FUZZ_CHECK(what) ((what) ? (void)0 : abort())

/** Counts errors; fuzz_check_status: a failure has logged one sentence, a success none. */
extern const struct clrnn_log fuzz_log;
void fuzz_start(void);
void fuzz_check_status(enum clrnn_status status);

/** The path of a file in memory that holds these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

/** Alike, of a safetensors file: bytes that begin with '{' are its header, up to a NUL, and its data behind
 * that. */
const char *fuzz_safetensors(const uint8_t *data, size_t size);

/** The same bytes as a text in fresh memory. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
