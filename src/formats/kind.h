// SPDX-License-Identifier: MIT
// Recognises by its first bytes a file of the wrong kind.
#ifndef CLRNN_SRC_FORMATS_KIND_H
#define CLRNN_SRC_FORMATS_KIND_H

#include <stddef.h>

/** Returns a static clause that says what the file is and what to do: "it is a zip archive, as .npz files
 * are: ..."; "" for unknown bytes. */
const char *clrnn_file_kind(const unsigned char *bytes, size_t size);

#endif
