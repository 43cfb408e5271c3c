// SPDX-License-Identifier: MIT
// Writes event files of TensorBoard: records with checksums. Each record is appended by a single write, so the file can
// be read even if the process was killed.
#ifndef CLRNN_SRC_FORMATS_TFEVENTS_H
#define CLRNN_SRC_FORMATS_TFEVENTS_H

#include "base/log.h"

struct clrnn_tfevents;

/** Opens a file for appending, and creates the file if it is missing. From an existing file, the function first removes
 * the events after step `steps`, and everything from the first damaged record on. If no event is left, the file begins
 * anew, and *fresh becomes true; otherwise *fresh becomes false.
 *
 * Owner   the caller: clrnn_tfevents_close.
 * Errors  CLRNN_ERR_DATA: an existing file cannot be read; CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. *events is then NULL. */
enum clrnn_status clrnn_tfevents_open(const struct clrnn_log *log, const char *path, uint64_t steps,
                                      struct clrnn_tfevents **events, bool *fresh);
void clrnn_tfevents_close(struct clrnn_tfevents **events);

/** Append an event of training step `step`: a number; a histogram of values [count]; a text in Markdown; or
 * a picture, the `size` bytes of a PNG file. No event is written for a histogram without values, a histogram with a
 * value that is not finite, or a picture that is no PNG file. Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tfevents_scalar(struct clrnn_tfevents *events, uint64_t step, const char *tag, double value);
enum clrnn_status clrnn_tfevents_histogram(struct clrnn_tfevents *events, uint64_t step, const char *tag, size_t count,
                                           const double *values);
enum clrnn_status clrnn_tfevents_text(struct clrnn_tfevents *events, uint64_t step, const char *tag, const char *text);
enum clrnn_status clrnn_tfevents_picture(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                         const uint8_t *png, size_t size);

#endif
