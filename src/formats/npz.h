// SPDX-License-Identifier: MIT
// Arrays inside .npz files, named FILE.npz:NAME.
#ifndef CLRNN_SRC_FORMATS_NPZ_H
#define CLRNN_SRC_FORMATS_NPZ_H

#include "formats/npy.h"

/** Returns the NAME in a path FILE.npz:NAME; NULL if the path names a whole file. */
const char *clrnn_npz_member(const char *path);

/** Opens the array that a path FILE.npz:NAME names. The array is unpacked into a temporary file, which is removed at
 * once but stays mapped. Errors: as clrnn_npy_open; CLRNN_ERR_DISK: the temporary file cannot be written. */
enum clrnn_status clrnn_npz_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy);

#endif
