// SPDX-License-Identifier: MIT
// NumPy .npy files, versions 1 to 3: memory-mapped for reading, streamed for writing.
#ifndef CLRNN_SRC_FORMATS_NPY_H
#define CLRNN_SRC_FORMATS_NPY_H

#include "base/file.h"
#include "base/log.h"
#include "formats/dtype.h"

#define CLRNN_NPY_MAX_DIMS 8

/** A mapped file, or an array in memory. Indices below count elements in C order, also if the file is in
 * Fortran order. */
struct clrnn_npy {
    char *path;
    enum clrnn_dtype dtype;
    unsigned ndim;
    size_t shape[CLRNN_NPY_MAX_DIMS];
    size_t count;       // product of shape; 1 for a scalar
    bool fortran_order; // order of the stored elements, for ndim > 1
    const unsigned char *data;
    struct clrnn_map map_; // private; empty: the data are the caller's
};

/** Opens and checks a file: magic, version, header, little endian, a dtype of dtype.h, no overflow of the
 * shape's product, and the exact file size. Errors: CLRNN_ERR_DATA with the path and what is wrong.
 * Big-endian, object and structured arrays are refused by name.
 */
enum clrnn_status clrnn_npy_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy);
/** Like clrnn_npy_open; messages call the file `name`. */
enum clrnn_status clrnn_npy_open_as(const struct clrnn_log *log, const char *path, const char *name,
                                    struct clrnn_npy **npy);
/** Like clrnn_npy_open, for an array in memory in C order; `name` stands for the path in messages. The data
 * are not copied. CLRNN_ERR_DATA: a dtype that is not supported, or more than 8 dimensions. */
enum clrnn_status clrnn_npy_over(const struct clrnn_log *log, const char *name, const char *dtype,
                                 unsigned ndim, const size_t *shape, const void *data,
                                 struct clrnn_npy **npy);
void clrnn_npy_close(struct clrnn_npy **npy);

/** Reads elements first to first + count - 1 in C order, converted to the type of `out`. NaN and
 *  ranges are not checked; reading floats as int64 truncates, and values outside int64 saturate. */
void clrnn_npy_read_f32(const struct clrnn_npy *npy, size_t first, size_t count, float *out);
void clrnn_npy_read_f64(const struct clrnn_npy *npy, size_t first, size_t count, double *out);
void clrnn_npy_read_i64(const struct clrnn_npy *npy, size_t first, size_t count, int64_t *out);

/** CLRNN_ERR_DATA if the file became shorter after it was opened: data read from it is then invalid. */
enum clrnn_status clrnn_npy_check(const struct clrnn_log *log, const struct clrnn_npy *npy);

/** The mapped elements if the file holds aligned float32 in C order, else NULL. */
const float *clrnn_npy_f32(const struct clrnn_npy *npy);

/** Prints "float32 (64, 1, 2474)" into `text`, for messages; returns `text`. */
const char *clrnn_npy_describe(const struct clrnn_npy *npy, char *text, size_t size);

/** Writes a version-1 file in C order, atomically as clrnn_out does. The shape is given at creation; commit
 *  fails with CLRNN_ERR_DISK unless exactly that many elements were appended. */
struct clrnn_npy_writer;
enum clrnn_status clrnn_npy_create(const struct clrnn_log *log, const char *path, enum clrnn_dtype dtype,
                                   unsigned ndim, const size_t *shape, struct clrnn_npy_writer **writer);
enum clrnn_status clrnn_npy_append(struct clrnn_npy_writer *writer, const void *elements, size_t count);
enum clrnn_status clrnn_npy_commit(struct clrnn_npy_writer **writer);
void clrnn_npy_abort(struct clrnn_npy_writer **writer);

#endif
