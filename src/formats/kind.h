// SPDX-License-Identifier: MIT
// Recognises the kind of a file by its first bytes, for the message about a file of the wrong kind.
#ifndef CLRNN_SRC_FORMATS_KIND_H
#define CLRNN_SRC_FORMATS_KIND_H

#include <stddef.h>

/** Returns a static clause that says what the file is and how to convert it: "it is a zip archive, as .npz, ...".
 * Returns "" if the first bytes of the file, `bytes` [size], are not known. */
const char *clrnn_file_kind(const unsigned char *bytes, size_t size);

#endif
