// SPDX-License-Identifier: MIT
// Event files of TensorBoard: records with checksums, each appended by one write, so that what a killed
// process leaves is readable.
#ifndef CLRNN_SRC_FORMATS_TFEVENTS_H
#define CLRNN_SRC_FORMATS_TFEVENTS_H

#include "base/log.h"

struct clrnn_tfevents;

/** Opens a file for appending, and makes it where it is missing. Of an existing file it first removes events
 * after `steps` and what is damaged; *fresh: nothing is left, the file begins anew.
 *
 * Owner   the caller: clrnn_tfevents_close.
 * Errors  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. *events is then NULL.
 */
enum clrnn_status clrnn_tfevents_open(const struct clrnn_log *log, const char *path, uint64_t steps,
                                      struct clrnn_tfevents **events, bool *fresh);
void clrnn_tfevents_close(struct clrnn_tfevents **events);

/** Append an event: a number; how values are distributed, which is left out where one is not finite; a text
 * in Markdown; a picture, a PNG file of `size` bytes. What is no PNG is left out. CLRNN_ERR_DISK,
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_tfevents_scalar(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                        double value);
enum clrnn_status clrnn_tfevents_histogram(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                           size_t count, const double *values);
enum clrnn_status clrnn_tfevents_text(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                      const char *text);
enum clrnn_status clrnn_tfevents_picture(struct clrnn_tfevents *events, uint64_t step, const char *tag,
                                         const uint8_t *png, size_t size);

#endif
