// SPDX-License-Identifier: MIT
// Reads NumPy .npy files of versions 1 to 3 by memory mapping, and writes them piece by piece.
#ifndef CLRNN_SRC_FORMATS_NPY_H
#define CLRNN_SRC_FORMATS_NPY_H

#include "base/file.h"
#include "base/log.h"
#include "formats/dtype.h"

#define CLRNN_NPY_MAX_DIMS 8

/** A mapped file, or an array in memory. Element indices in the functions below are in C order, even if the file is in
 * Fortran order. */
struct clrnn_npy {
    char *path;
    enum clrnn_dtype dtype;
    unsigned ndim;
    size_t shape[CLRNN_NPY_MAX_DIMS];
    size_t count;       // product of shape; 1 for a scalar
    bool fortran_order; // the elements are stored in Fortran order; always false for ndim below 2
    const unsigned char *data;
    struct clrnn_map map_; // private; empty if `data` is an array of the caller
};

/** Opens a file and checks its magic number, version, header and size. The elements must be little endian and have a
 * dtype of dtype.h. The product of the shape must not overflow.
 *
 * Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_DATA, with the path and what is wrong. For big-endian, object and structured
 * arrays the message says which of these the file has. */
enum clrnn_status clrnn_npy_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy);
/** Like clrnn_npy_open, but the file is called `name` in messages. */
enum clrnn_status clrnn_npy_open_as(const struct clrnn_log *log, const char *path, const char *name,
                                    struct clrnn_npy **npy);
/** Like clrnn_npy_open, but for an array in memory, in C order; messages have `name` in place of the path. The data are
 * not copied. Errors: CLRNN_ERR_MEMORY; CLRNN_ERR_DATA: the dtype is not supported, there are more than 8 dimensions,
 * or the product of the shape overflows. */
enum clrnn_status clrnn_npy_over(const struct clrnn_log *log, const char *name, const char *dtype, unsigned ndim,
                                 const size_t *shape, const void *data, struct clrnn_npy **npy);
void clrnn_npy_close(struct clrnn_npy **npy);

/** Read `count` elements from element `first` on, in C order, and convert them to the type of `out`. The values are not
 * checked. For int64, floats are truncated, and a value out of range becomes the nearest int64. */
void clrnn_npy_read_f32(const struct clrnn_npy *npy, size_t first, size_t count, float *out);
void clrnn_npy_read_f64(const struct clrnn_npy *npy, size_t first, size_t count, double *out);
void clrnn_npy_read_i64(const struct clrnn_npy *npy, size_t first, size_t count, int64_t *out);

/** Checks that the file has not become shorter since it was opened. CLRNN_ERR_DATA: it has become shorter, so data that
 * were read from the file are invalid. */
enum clrnn_status clrnn_npy_check(const struct clrnn_log *log, const struct clrnn_npy *npy);

/** Returns the elements in place if they are aligned float32 in C order, else NULL. */
const float *clrnn_npy_f32(const struct clrnn_npy *npy);

/** Prints "float32 (64, 1, 2474)" into `text`, for messages; returns `text`. */
const char *clrnn_npy_describe(const struct clrnn_npy *npy, char *text, size_t size);

/** Writes a version-1 file in C order, atomically as clrnn_out does. clrnn_npy_create sets the shape, and
 * clrnn_npy_append adds elements. clrnn_npy_commit returns CLRNN_ERR_DISK unless all elements of the shape were
 * added. */
struct clrnn_npy_writer;
enum clrnn_status clrnn_npy_create(const struct clrnn_log *log, const char *path, enum clrnn_dtype dtype, unsigned ndim,
                                   const size_t *shape, struct clrnn_npy_writer **writer);
enum clrnn_status clrnn_npy_append(struct clrnn_npy_writer *writer, const void *elements, size_t count);
enum clrnn_status clrnn_npy_commit(struct clrnn_npy_writer **writer);
void clrnn_npy_abort(struct clrnn_npy_writer **writer);

#endif
