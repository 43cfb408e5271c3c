// SPDX-License-Identifier: MIT
// Reads safetensors files by memory mapping, and writes them atomically. The header is JSON (jansson).
#ifndef CLRNN_SRC_FORMATS_SAFETENSORS_H
#define CLRNN_SRC_FORMATS_SAFETENSORS_H

#include "base/file.h"
#include "base/log.h"
#include "formats/dtype.h"

#define CLRNN_SAFETENSORS_MAX_DIMS 8

/** A tensor of a file. */
struct clrnn_safetensor {
    char *name;
    enum clrnn_dtype dtype;
    unsigned ndim;
    size_t shape[CLRNN_SAFETENSORS_MAX_DIMS];
    size_t count;     // number of elements: product of shape
    const void *data; // in the mapped file
};

/** An entry of the metadata, a map from text to text in the header. */
struct clrnn_safetensors_text {
    char *key, *value;
};

/** A mapped file. */
struct clrnn_safetensors {
    char *path;
    size_t count;
    struct clrnn_safetensor *tensor; // [count], in the order of the header
    size_t metadata_count;
    struct clrnn_safetensors_text *metadata; // [metadata_count] entries of "__metadata__", sorted by key
    struct clrnn_map map_;                   // private
    struct clrnn_safetensor **by_name_;      // private: [count] the tensors, sorted by name
};

/** Opens a file and checks the header's length, its JSON and the dtypes. The tensors' offsets must be within the file
 * and match the shapes. The tensors must not overlap, and must leave no gap. Errors: CLRNN_ERR_DATA,
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_safetensors_open(const struct clrnn_log *log, const char *path,
                                         struct clrnn_safetensors **file);
/** Checks that the file has not become shorter since it was opened. CLRNN_ERR_DATA: it has become shorter, so data that
 * were read from the file are invalid. */
enum clrnn_status clrnn_safetensors_check(const struct clrnn_log *log, const struct clrnn_safetensors *file);
void clrnn_safetensors_close(struct clrnn_safetensors **file);
/** Return the tensor of this name, and the metadata text of this key; NULL if the file has none. */
const struct clrnn_safetensor *clrnn_safetensors_find(const struct clrnn_safetensors *file, const char *name);
const char *clrnn_safetensors_metadata(const struct clrnn_safetensors *file, const char *key);

/** A file to be written. clrnn_safetensors_add adds a tensor: it copies name and shape, but the data must stay valid
 * until the file is written. clrnn_safetensors_add_metadata adds a copied text. clrnn_safetensors_write then writes the
 * file, with the tensors in the order in which they were added. The first tensor's data start at a multiple of 8 bytes.
 * Errors: CLRNN_ERR_MEMORY, CLRNN_ERR_DISK. */
struct clrnn_safetensors_writer;
enum clrnn_status clrnn_safetensors_writer_create(const struct clrnn_log *log,
                                                  struct clrnn_safetensors_writer **writer);
enum clrnn_status clrnn_safetensors_add(struct clrnn_safetensors_writer *writer, const char *name,
                                        enum clrnn_dtype dtype, unsigned ndim, const size_t *shape, const void *data);
enum clrnn_status clrnn_safetensors_add_metadata(struct clrnn_safetensors_writer *writer, const char *key,
                                                 const char *value);
enum clrnn_status clrnn_safetensors_write(struct clrnn_safetensors_writer *writer, const char *path);
void clrnn_safetensors_writer_destroy(struct clrnn_safetensors_writer **writer);

#endif
