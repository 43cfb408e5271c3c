// SPDX-License-Identifier: MIT
// Building an ONNX graph and writing it, by protobuf-c with ONNX's own schema (third_party/onnx).
//
// Functions that create something return it, or NULL after an error. They accept NULL for the result of a
// failed one; the first error is kept and returned by clrnn_onnx_write. Names and values are copied.
#ifndef CLRNN_SRC_FORMATS_ONNX_H
#define CLRNN_SRC_FORMATS_ONNX_H

#include "base/log.h"

/** Opset and version of the format that files are written for (ONNX 1.12). */
enum { CLRNN_ONNX_OPSET = 17, CLRNN_ONNX_IR = 8 };

/** Types of elements, with ONNX's numbers. */
enum clrnn_onnx_type {
    CLRNN_ONNX_FLOAT = 1,
    CLRNN_ONNX_INT32 = 6,
    CLRNN_ONNX_INT64 = 7,
    CLRNN_ONNX_BOOL = 9
};

struct clrnn_onnx;

/** The caller frees *onnx with clrnn_onnx_destroy. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_onnx_create(const struct clrnn_log *log, const char *graph_name,
                                    struct clrnn_onnx **onnx);
void clrnn_onnx_destroy(struct clrnn_onnx **onnx);

/** Adds an input or output of the graph. A dimension is a number, or variable if `dim_names` has a name for
 * it. */
const char *clrnn_onnx_input(struct clrnn_onnx *onnx, const char *name, enum clrnn_onnx_type type,
                             unsigned ndim, const int64_t *dims, const char *const *dim_names);
void clrnn_onnx_output(struct clrnn_onnx *onnx, const char *name, enum clrnn_onnx_type type, unsigned ndim,
                       const int64_t *dims, const char *const *dim_names);

/** Adds a constant. A name is generated if `name` is NULL. */
const char *clrnn_onnx_floats(struct clrnn_onnx *onnx, const char *name, unsigned ndim, const int64_t *dims,
                              const double *values);
const char *clrnn_onnx_scalar(struct clrnn_onnx *onnx, double value);
const char *clrnn_onnx_integer(struct clrnn_onnx *onnx, int64_t value);
const char *clrnn_onnx_integers(struct clrnn_onnx *onnx, unsigned count, const int64_t *values);

/** Appends a node and returns its first output. The inputs follow `op`, ended by NULL ("" is an omitted
 * input). Use CLRNN_ONNX_NODE, which adds the NULL. */
const char *clrnn_onnx_node(struct clrnn_onnx *onnx, const char *op, ...) __attribute__((sentinel));
#define CLRNN_ONNX_NODE(onnx, ...) clrnn_onnx_node(onnx, __VA_ARGS__, (const char *)NULL)

/** Appends a Squeeze or Unsqueeze, which removes or inserts a dimension at `axis`. */
const char *clrnn_onnx_squeeze(struct clrnn_onnx *onnx, const char *x, int64_t axis);
const char *clrnn_onnx_unsqueeze(struct clrnn_onnx *onnx, const char *x, int64_t axis);

/** Gives the last node one more output and returns its name. */
const char *clrnn_onnx_more(struct clrnn_onnx *onnx);
/** Renames the first output of the last node, for an output of the graph. */
void clrnn_onnx_rename(struct clrnn_onnx *onnx, const char *name);
/** Sets an attribute of the last node. */
void clrnn_onnx_set_integer(struct clrnn_onnx *onnx, const char *key, int64_t value);
void clrnn_onnx_set_integers(struct clrnn_onnx *onnx, const char *key, size_t count, const int64_t *values);
void clrnn_onnx_set_float(struct clrnn_onnx *onnx, const char *key, double value);
void clrnn_onnx_set_string(struct clrnn_onnx *onnx, const char *key, const char *value);
/** Sets an attribute of the last node to a list of `count` equal strings. */
void clrnn_onnx_set_strings(struct clrnn_onnx *onnx, const char *key, size_t count, const char *value);

/** Begins the body of a node that runs a graph for each step, such as Scan: inputs, outputs and nodes added
 * from here on belong to the body, which also reads the values of the graph around it. Constants always
 * belong to the outer graph. Bodies do not nest. */
void clrnn_onnx_begin_body(struct clrnn_onnx *onnx, const char *name);
/** Adds an input of the body, with a new name that begins with `stem`. */
const char *clrnn_onnx_body_input(struct clrnn_onnx *onnx, const char *stem, enum clrnn_onnx_type type,
                                  unsigned ndim, const int64_t *dims, const char *const *dim_names);
/** Ends the body. clrnn_onnx_set_body makes it the attribute `key` of the last node. */
void clrnn_onnx_end_body(struct clrnn_onnx *onnx);
void clrnn_onnx_set_body(struct clrnn_onnx *onnx, const char *key);

/** Adds an entry to the model's metadata. */
void clrnn_onnx_metadata(struct clrnn_onnx *onnx, const char *key, const char *value);

/** Writes the file atomically. CLRNN_ERR_MEMORY, CLRNN_ERR_DISK; CLRNN_ERR_CONFIG: above the 2 GiB that the
 * format can hold. */
enum clrnn_status clrnn_onnx_write(struct clrnn_onnx *onnx, const char *path);

#endif
