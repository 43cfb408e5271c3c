// SPDX-License-Identifier: MIT
// Event files of TensorBoard: records with checksums, each appended by one write, so that the file that a
// killed process leaves can be read.
#ifndef CLRNN_SRC_FORMATS_TFEVENTS_H
#define CLRNN_SRC_FORMATS_TFEVENTS_H

#include "base/log.h"

struct clrnn_tfevents;

/** Opens a file for appending, and creates it if it is missing. From an existing file it first removes events
 * after step `steps`, and all from the first damaged record on. *fresh: no event is left, the file begins
 * anew.
 *
 * Owner   the caller: clrnn_tfevents_close.
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. *events is then NULL. */
enum clrnn_status clrnn_tfevents_open(const struct clrnn_log *log, const char *path, uint64_t steps,
                                      struct clrnn_tfevents **events, bool *fresh);
void clrnn_tfevents_close(struct clrnn_tfevents **events);

/** Append an event: a number; a histogram of values, left out if one is not finite; a text in Markdown; a
 * picture, the `size` bytes of a PNG file, left out if they are no PNG. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tfevents_scalar(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                        double value);
enum clrnn_status clrnn_tfevents_histogram(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                           size_t count, const double *values);
enum clrnn_status clrnn_tfevents_text(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                      const char *text);
enum clrnn_status clrnn_tfevents_picture(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                         const uint8_t *png, size_t size);

#endif
