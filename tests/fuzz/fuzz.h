// SPDX-License-Identifier: MIT
// Helpers of the fuzz targets: inputs as files in memory, and a log that checks that errors are sentences.
#ifndef CLRNN_TESTS_FUZZ_FUZZ_H
#define CLRNN_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Aborts unless `what` is true, so that a sanitizer or debugger shows where. */
#define FUZZ_CHECK(what) ((what) ? (void)0 : abort())

/** Counts errors; fuzz_check_status: a failure has logged one sentence, a success none. */
extern const struct clrnn_log fuzz_log;
void fuzz_start(void);
void fuzz_check_status(enum clrnn_status status);

/** The path of a file in memory that holds these bytes, until the next call. */
const char *fuzz_file(const uint8_t *data, size_t size);

/** The same for a safetensors file: input that begins with '{' is its header, up to a NUL, followed by
 * its data. */
const char *fuzz_safetensors(const uint8_t *data, size_t size);

/** The same bytes as a text in fresh memory. */
char *fuzz_text(const uint8_t *data, size_t size);

#endif
