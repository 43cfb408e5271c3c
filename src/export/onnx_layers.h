// SPDX-License-Identifier: MIT
// The operations of a program as nodes of an ONNX graph.
#ifndef CLRNN_SRC_EXPORT_ONNX_LAYERS_H
#define CLRNN_SRC_EXPORT_ONNX_LAYERS_H

#include "export/program.h"
#include "formats/onnx.h"

/** A value of the graph. With a time axis it is [T, N, C], as recurrent nodes require, otherwise [N, C]. */
struct clrnn_onnx_value {
    const char *x;
    const char *lengths; // int64 [N], or NULL: every sample has T steps
    const char *mask;    // bool [T, N, 1]: true for valid steps; NULL: there are no lengths
    const char *h_last;  // after a cell: its final states h [D, N, P]
};

/** The graph so far. */
struct clrnn_onnx_build {
    struct clrnn_onnx *onnx;
    struct clrnn_export_program program;
    bool states;                    // h and c are inputs and outputs of the graph
    struct clrnn_onnx_value now;    // input of the current operation, which replaces it by its result
    struct clrnn_onnx_value *value; // [program.count + 1]: 0: input, i + 1: result of op[i]; from calloc
    const char *h, *c;              // states of the current recurrent layer
    const char *h_out, *c_out;
};

/** Adds the inputs x and, if `lengths`, lengths with the mask of padding. `steps`: T; 0: T is free. */
void clrnn_onnx_add_inputs(struct clrnn_onnx_build *build, bool lengths, uint32_t steps);
/** Adds every operation. CLRNN_ERR_CONFIG, CLRNN_ERR_DATA, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_onnx_add_operations(struct clrnn_onnx_build *build);
/** Adds the output: [N, T, outputs] with zeros in padding, or [N, outputs]. */
void clrnn_onnx_add_output(struct clrnn_onnx_build *build);

/** Each adds one kind of operation and replaces build->now. Errors: as clrnn_onnx_add_operations. */
enum clrnn_status clrnn_onnx_add_cell(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
enum clrnn_status clrnn_onnx_add_windows(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
enum clrnn_status clrnn_onnx_add_attention(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
void clrnn_onnx_add_pool(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
/** Adds nodes that turn x [T, N, C] into [N, T * C], and nodes for the activation `op` of x. */
const char *clrnn_onnx_flatten(struct clrnn_onnx *onnx, const struct clrnn_export_op *op, const char *x);
const char *clrnn_onnx_activation(struct clrnn_onnx *onnx, const struct clrnn_export_op *op, const char *x);
/** Adds as a Scan a cell with layer_norm or proj_size, for which ONNX has no node. h [1, N, P] and c [1, N,
 * H] are the initial states; "": zeros. *c_last: the final c, in the same shape. */
enum clrnn_status clrnn_onnx_add_scan(struct clrnn_onnx_build *build, const struct clrnn_export_op *op,
                                      const char *h, const char *c, const char **c_last);

/** Adds a row of the parameter table as a constant; `transposed` for a multiply's right operand. */
enum clrnn_status clrnn_onnx_add_parameter(struct clrnn_onnx_build *build, size_t entry, bool transposed,
                                           const char **name);
/** Adds a constant [C] of ones. */
enum clrnn_status clrnn_onnx_add_ones(struct clrnn_onnx_build *build, int64_t C, const char **name);

/** Adds nodes that give the tensor 0, 1, ..., n - 1, where n is the size of x along `axis`. */
const char *clrnn_onnx_count_up(struct clrnn_onnx *onnx, const char *x, int64_t axis);
/** The size of dimension `axis` of x, as a tensor [1]. */
const char *clrnn_onnx_size_of(struct clrnn_onnx *onnx, const char *x, int64_t axis);
const char *clrnn_onnx_cast(struct clrnn_onnx *onnx, const char *x, enum clrnn_onnx_type type);
const char *clrnn_onnx_sum_over(struct clrnn_onnx *onnx, const char *x, unsigned axes, bool keep);
/** Adds `op`, such as ReduceMean or ReduceMax, over the first `axes` axes. */
const char *clrnn_onnx_reduce(struct clrnn_onnx *onnx, const char *op, const char *x, unsigned axes,
                              bool keep);
/** Adds the concatenation of a and b along `axis`. */
const char *clrnn_onnx_concat(struct clrnn_onnx *onnx, const char *a, const char *b, int64_t axis);
/** Adds LayerNormalization over the features. bias "": none. */
const char *clrnn_onnx_normalise(struct clrnn_onnx *onnx, const char *x, const char *weight, const char *bias,
                                 double eps);
const char *clrnn_onnx_transpose(struct clrnn_onnx *onnx, const char *x, unsigned ndim, const int64_t *perm);
/** x with the padding of build->now replaced by `fill`; x itself if there are no lengths. */
const char *clrnn_onnx_fill(struct clrnn_onnx_build *build, const char *x, double fill);
/** The mask bool [T, N, 1] that is true for the first lengths[n] steps of x [T, N, ...]. */
const char *clrnn_onnx_mask(struct clrnn_onnx *onnx, const char *x, const char *lengths);

#endif
