// SPDX-License-Identifier: MIT
// NumPy's .npy files, versions 1 to 3: mapped for reading, streamed for writing.
#ifndef CLRNN_SRC_FORMATS_NPY_H
#define CLRNN_SRC_FORMATS_NPY_H

#include "base/log.h"
#include "formats/dtype.h"

#define CLRNN_NPY_MAX_DIMS 8

/** A mapped file. Indices below count elements in C order whatever the file's order is. */
struct clrnn_npy {
    char *path;
    enum clrnn_dtype dtype;
    unsigned ndim;
    size_t shape[CLRNN_NPY_MAX_DIMS];
    size_t count;       // product of shape; 1 for a scalar
    bool fortran_order; // as stored, for ndim > 1
    const unsigned char *data;
    void *map_; // private
};

/**
 * Opens and checks a file: magic, version, header, little endian, dtype among those of dtype.h, no
 * product of the shape overflows, the file holds exactly that many bytes. CLRNN_ERR_DATA with path and
 * facts. Big-endian, object and structured arrays are refused by name.
 */
enum clrnn_status clrnn_npy_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy);
void clrnn_npy_close(struct clrnn_npy **npy);

/** Elements first..first+count-1 in C order, converted. Nothing is checked for NaN or range here; an
 *  integer read of a float array truncates, one of a value outside int64 saturates. */
void clrnn_npy_read_f32(const struct clrnn_npy *npy, size_t first, size_t count, float *out);
void clrnn_npy_read_f64(const struct clrnn_npy *npy, size_t first, size_t count, double *out);
void clrnn_npy_read_i64(const struct clrnn_npy *npy, size_t first, size_t count, int64_t *out);

/** CLRNN_ERR_DATA where the file has become shorter since it was opened; what was read then is worth nothing.
 */
enum clrnn_status clrnn_npy_check(const struct clrnn_log *log, const struct clrnn_npy *npy);

/** The elements themselves where the file holds aligned float32 in C order, else NULL. */
const float *clrnn_npy_f32(const struct clrnn_npy *npy);

/** "float32 (64, 1, 2474)" into a buffer, for messages; returns it. */
const char *clrnn_npy_describe(const struct clrnn_npy *npy, char *text, size_t size);

/** A version-1 file in C order, made as clrnn_out does. The shape is known from the start; commit fails
 *  with CLRNN_ERR_DISK unless exactly its elements were appended. */
struct clrnn_npy_writer;
enum clrnn_status clrnn_npy_create(const struct clrnn_log *log, const char *path, enum clrnn_dtype dtype,
                                   unsigned ndim, const size_t *shape, struct clrnn_npy_writer **writer);
enum clrnn_status clrnn_npy_append(struct clrnn_npy_writer *writer, const void *elements, size_t count);
enum clrnn_status clrnn_npy_commit(struct clrnn_npy_writer **writer);
void clrnn_npy_abort(struct clrnn_npy_writer **writer);

#endif
