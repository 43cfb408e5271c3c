// SPDX-License-Identifier: MIT
// Builds an ONNX graph and writes it to a file, by protobuf-c with ONNX's own schema (third_party/onnx).
//
// Functions that add a value to the graph return the value's name, or NULL after an error. Callers need not check for
// NULL: every function accepts such a NULL as an argument, and clrnn_onnx_write returns the first error. Names and
// values that are passed are copied.
#ifndef CLRNN_SRC_FORMATS_ONNX_H
#define CLRNN_SRC_FORMATS_ONNX_H

#include "base/log.h"

/** The opset and the version of the file format (IR) in which files are written: those of ONNX 1.12. */
enum { CLRNN_ONNX_OPSET = 17, CLRNN_ONNX_IR = 8 };

/** Element types, with the numbers that ONNX gives them. */
enum clrnn_onnx_type { CLRNN_ONNX_FLOAT = 1, CLRNN_ONNX_INT32 = 6, CLRNN_ONNX_INT64 = 7, CLRNN_ONNX_BOOL = 9 };

struct clrnn_onnx;

/** Creates an empty graph, which the caller frees with clrnn_onnx_destroy. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_onnx_create(const struct clrnn_log *log, const char *graph_name, struct clrnn_onnx **onnx);
void clrnn_onnx_destroy(struct clrnn_onnx **onnx);

/** Add an input or output of the graph. dims [ndim] are its dimensions. If `dim_names` is not NULL, a dimension with a
 * name in dim_names [ndim] is variable; its number in `dims` is then ignored. */
const char *clrnn_onnx_input(struct clrnn_onnx *onnx, const char *name, enum clrnn_onnx_type type, unsigned ndim,
                             const int64_t *dims, const char *const *dim_names);
void clrnn_onnx_output(struct clrnn_onnx *onnx, const char *name, enum clrnn_onnx_type type, unsigned ndim,
                       const int64_t *dims, const char *const *dim_names);

/** Add a constant, and return its name: a tensor of floats, one float, one int64, or a vector of int64. Only the tensor
 * of floats can have a name from the caller. If `name` is NULL, and for the others, a name is generated. */
const char *clrnn_onnx_floats(struct clrnn_onnx *onnx, const char *name, unsigned ndim, const int64_t *dims,
                              const double *values);
const char *clrnn_onnx_scalar(struct clrnn_onnx *onnx, double value);
const char *clrnn_onnx_integer(struct clrnn_onnx *onnx, int64_t value);
const char *clrnn_onnx_integers(struct clrnn_onnx *onnx, unsigned count, const int64_t *values);

/** Appends a node (an operation) and returns the name of its first output. The names of the inputs follow `op`, ended
 * by NULL; the name "" stands for an omitted input. Use the macro CLRNN_ONNX_NODE, which adds
 * the NULL. */
const char *clrnn_onnx_node(struct clrnn_onnx *onnx, const char *op, ...) __attribute__((sentinel));
#define CLRNN_ONNX_NODE(onnx, ...) clrnn_onnx_node(onnx, __VA_ARGS__, (const char *)NULL)

/** Append a Squeeze or Unsqueeze node, which removes or inserts a dimension at `axis`. */
const char *clrnn_onnx_squeeze(struct clrnn_onnx *onnx, const char *x, int64_t axis);
const char *clrnn_onnx_unsqueeze(struct clrnn_onnx *onnx, const char *x, int64_t axis);

/** Adds one more output to the node appended last, and returns the output's name. */
const char *clrnn_onnx_more(struct clrnn_onnx *onnx);
/** Renames the first output of the node appended last, to make it an output of the graph. */
void clrnn_onnx_rename(struct clrnn_onnx *onnx, const char *name);
/** Set the attribute `key` of the node appended last. */
void clrnn_onnx_set_integer(struct clrnn_onnx *onnx, const char *key, int64_t value);
void clrnn_onnx_set_integers(struct clrnn_onnx *onnx, const char *key, size_t count, const int64_t *values);
void clrnn_onnx_set_float(struct clrnn_onnx *onnx, const char *key, double value);
void clrnn_onnx_set_string(struct clrnn_onnx *onnx, const char *key, const char *value);
/** Sets the attribute `key` of the node appended last to a list of `count` strings, each equal to `value`. */
void clrnn_onnx_set_strings(struct clrnn_onnx *onnx, const char *key, size_t count, const char *value);

/** Begins a body: the inner graph of a node that runs this graph for each time step, such as Scan. Inputs, outputs and
 * nodes that are added before clrnn_onnx_end_body belong to the body. The body can also read values of the outer graph.
 * Constants always belong to the outer graph. A body cannot contain a body. */
void clrnn_onnx_begin_body(struct clrnn_onnx *onnx, const char *name);
/** Adds an input of the body, and returns its generated name, which begins with `stem`. */
const char *clrnn_onnx_body_input(struct clrnn_onnx *onnx, const char *stem, enum clrnn_onnx_type type, unsigned ndim,
                                  const int64_t *dims, const char *const *dim_names);
/** Ends the body. clrnn_onnx_set_body makes the latest body the attribute `key` of the node appended last. */
void clrnn_onnx_end_body(struct clrnn_onnx *onnx);
void clrnn_onnx_set_body(struct clrnn_onnx *onnx, const char *key);

/** Adds an entry to the model's metadata. */
void clrnn_onnx_metadata(struct clrnn_onnx *onnx, const char *key, const char *value);

/** Writes the graph to a file, atomically. Errors: CLRNN_ERR_MEMORY: memory ran out here or in an earlier
 * function; CLRNN_ERR_DISK; CLRNN_ERR_CONFIG: the file would be larger than the format's limit of 2 GiB. */
enum clrnn_status clrnn_onnx_write(struct clrnn_onnx *onnx, const char *path);

#endif
