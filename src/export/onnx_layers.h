// SPDX-License-Identifier: MIT
// Adds the operations of a program to an ONNX graph. Tensors are named by strings that the graph owns.
#ifndef CLRNN_SRC_EXPORT_ONNX_LAYERS_H
#define CLRNN_SRC_EXPORT_ONNX_LAYERS_H

#include "export/program.h"
#include "formats/onnx.h"

/** A value of the graph, with the names of its tensors. A value with a time axis has x [T, N, C], which is the layout
 * that ONNX's recurrent nodes require. Without a time axis, x is [N, C]. */
struct clrnn_onnx_value {
    const char *x;
    const char *lengths; // int64 [N], or NULL: every sample has T steps
    const char *mask;    // bool [T, N, 1]: true for valid steps; NULL: there are no lengths
    const char *h_last;  // after a cell: the cell's final states h [D, N, P]
};

/** The graph that is being built. */
struct clrnn_onnx_build {
    struct clrnn_onnx *onnx;
    struct clrnn_export_program program;
    bool states;                    // h and c are inputs and outputs of the graph
    struct clrnn_onnx_value now;    // the current operation's input, then its result
    struct clrnn_onnx_value *value; // [program.count + 1]: value[0]: the input; value[i + 1]: the result of op[i]
    const char *h, *c;              // names of the inputs with the initial states of the current recurrent layer
    const char *h_out, *c_out;      // names of the final states of this layer's levels so far
};

/** Adds the input x and, if `lengths`, the input `lengths` and the mask of padding. `steps`: T, if the graph accepts
 * only one T; 0: any T. */
void clrnn_onnx_add_inputs(struct clrnn_onnx_build *build, bool lengths, uint32_t steps);
/** Adds every operation. Errors: CLRNN_ERR_DATA: a parameter is not finite; CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_onnx_add_operations(struct clrnn_onnx_build *build);
/** Adds the output: [N, T, outputs] with zeros in padding, or [N, outputs]. */
void clrnn_onnx_add_output(struct clrnn_onnx_build *build);

/** Each of these four functions adds one kind of operation and replaces build->now with the result. Errors: as
 * clrnn_onnx_add_operations. */
enum clrnn_status clrnn_onnx_add_cell(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
enum clrnn_status clrnn_onnx_add_windows(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
enum clrnn_status clrnn_onnx_add_attention(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
void clrnn_onnx_add_pool(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);
/** Add nodes and return the name of the result: clrnn_onnx_flatten turns x [T, N, C] into [N, T * C];
 * clrnn_onnx_activation applies the activation `op` to x. */
const char *clrnn_onnx_flatten(struct clrnn_onnx *onnx, const struct clrnn_export_op *op, const char *x);
const char *clrnn_onnx_activation(struct clrnn_onnx *onnx, const struct clrnn_export_op *op, const char *x);
/** Adds a cell with layer_norm or proj_size, for which ONNX has no node, as a Scan (ONNX's loop over time). h [1, N, P]
 * and c [1, N, H] name the initial states; "" stands for zeros. Sets *c_last to the name of an LSTM's final c
 * [1, N, H], or to NULL. */
enum clrnn_status clrnn_onnx_add_scan(struct clrnn_onnx_build *build, const struct clrnn_export_op *op, const char *h,
                                      const char *c, const char **c_last);

/** Adds the parameter model->entry[entry] as a constant; `transposed`: as its transpose, for the right operand of a
 * MatMul. */
enum clrnn_status clrnn_onnx_add_parameter(struct clrnn_onnx_build *build, size_t entry, bool transposed,
                                           const char **name);
/** Adds a constant [C] of ones. */
enum clrnn_status clrnn_onnx_add_ones(struct clrnn_onnx_build *build, int64_t C, const char **name);

/** Adds nodes that give the tensor 0, 1, ..., n - 1, where n is the size of x along `axis`. */
const char *clrnn_onnx_count_up(struct clrnn_onnx *onnx, const char *x, int64_t axis);
/** Adds nodes that give the size of dimension `axis` of x, as a tensor [1]. */
const char *clrnn_onnx_size_of(struct clrnn_onnx *onnx, const char *x, int64_t axis);
const char *clrnn_onnx_cast(struct clrnn_onnx *onnx, const char *x, enum clrnn_onnx_type type);
const char *clrnn_onnx_sum_over(struct clrnn_onnx *onnx, const char *x, unsigned axes, bool keep);
/** Adds `op`, such as ReduceMean or ReduceMax, over the first `axes` axes. */
const char *clrnn_onnx_reduce(struct clrnn_onnx *onnx, const char *op, const char *x, unsigned axes, bool keep);
/** Adds the concatenation of a and b along `axis`. */
const char *clrnn_onnx_concat(struct clrnn_onnx *onnx, const char *a, const char *b, int64_t axis);
/** Adds LayerNormalization over the features. `bias` "": no bias. */
const char *clrnn_onnx_normalise(struct clrnn_onnx *onnx, const char *x, const char *weight, const char *bias,
                                 double eps);
const char *clrnn_onnx_transpose(struct clrnn_onnx *onnx, const char *x, unsigned ndim, const int64_t *perm);
/** Adds a node that replaces the padding in x by `fill`, if build->now has a mask. Returns x itself if there is no
 * mask. */
const char *clrnn_onnx_fill(struct clrnn_onnx_build *build, const char *x, double fill);
/** Adds nodes that give the mask, bool [T, N, 1]: true for the first lengths[n] steps of x [T, N, ...]. */
const char *clrnn_onnx_mask(struct clrnn_onnx *onnx, const char *x, const char *lengths);

#endif
