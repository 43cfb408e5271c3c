// SPDX-License-Identifier: MIT
// safetensors files: memory-mapped for reading, written atomically. The header is JSON (jansson).
#ifndef CLRNN_SRC_FORMATS_SAFETENSORS_H
#define CLRNN_SRC_FORMATS_SAFETENSORS_H

#include "base/file.h"
#include "base/log.h"
#include "formats/dtype.h"

#define CLRNN_SAFETENSORS_MAX_DIMS 8

struct clrnn_safetensor {
    char *name;
    enum clrnn_dtype dtype;
    unsigned ndim;
    size_t shape[CLRNN_SAFETENSORS_MAX_DIMS];
    size_t count;
    const void *data; // in the mapped file; when writing, owned by the caller
};

struct clrnn_safetensors_text {
    char *key, *value;
};

struct clrnn_safetensors {
    char *path;
    size_t count;
    struct clrnn_safetensor *tensor; // in the order of the header
    size_t metadata_count;           // "__metadata__", sorted by key
    struct clrnn_safetensors_text *metadata;
    struct clrnn_map map_;              // private
    struct clrnn_safetensor **by_name_; // private: the tensors, sorted
};

/** Opens a file and checks the header length, the JSON, the dtypes, and that offsets are within the file, do
 *  not overlap, leave no gap and match the shapes. CLRNN_ERR_DATA. */
enum clrnn_status clrnn_safetensors_open(const struct clrnn_log *log, const char *path,
                                         struct clrnn_safetensors **file);
/** CLRNN_ERR_DATA if the file became shorter after it was opened: data read from it is then invalid. */
enum clrnn_status clrnn_safetensors_check(const struct clrnn_log *log, const struct clrnn_safetensors *file);
void clrnn_safetensors_close(struct clrnn_safetensors **file);
const struct clrnn_safetensor *clrnn_safetensors_find(const struct clrnn_safetensors *file, const char *name);
const char *clrnn_safetensors_metadata(const struct clrnn_safetensors *file, const char *key);

/** Collects tensors (name and shape are copied; data must stay valid until written) and metadata (copied),
 * then writes the file: data 8-byte aligned, in the order added. CLRNN_ERR_MEMORY, CLRNN_ERR_DISK. */
struct clrnn_safetensors_writer;
enum clrnn_status clrnn_safetensors_writer_create(const struct clrnn_log *log,
                                                  struct clrnn_safetensors_writer **writer);
enum clrnn_status clrnn_safetensors_add(struct clrnn_safetensors_writer *writer, const char *name,
                                        enum clrnn_dtype dtype, unsigned ndim, const size_t *shape,
                                        const void *data);
enum clrnn_status clrnn_safetensors_add_metadata(struct clrnn_safetensors_writer *writer, const char *key,
                                                 const char *value);
enum clrnn_status clrnn_safetensors_write(struct clrnn_safetensors_writer *writer, const char *path);
void clrnn_safetensors_writer_destroy(struct clrnn_safetensors_writer **writer);

#endif
