// SPDX-License-Identifier: MIT
// Arrays inside .npz files, named FILE.npz:NAME.
#ifndef CLRNN_SRC_FORMATS_NPZ_H
#define CLRNN_SRC_FORMATS_NPZ_H

#include "formats/npy.h"

/** The NAME in a path FILE.npz:NAME; NULL: the path names a file. */
const char *clrnn_npz_member(const char *path);

/** Opens an array of an .npz file by unpacking it into a temporary file, which is removed at once but stays
 * mapped. Errors: as clrnn_npy_open; CLRNN_ERR_DISK. */
enum clrnn_status clrnn_npz_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy);

#endif
