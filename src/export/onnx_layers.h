// SPDX-License-Identifier: MIT
// The operations of a program as nodes of an ONNX graph.
#ifndef CLRNN_SRC_EXPORT_ONNX_LAYERS_H
#define CLRNN_SRC_EXPORT_ONNX_LAYERS_H

#include "export/program.h"
#include "formats/onnx.h"

/** The graph so far. Values with a time axis are [T, N, C], as recurrent nodes require; after the pool
 * [N, C]. */
struct clrnn_onnx_build {
    struct clrnn_onnx *onnx;
    struct clrnn_export_program program;
    bool states;         // h and c are inputs and outputs
    const char *x;       // the value that the next operation reads
    const char *lengths; // int64 [N], or NULL: every sample has T steps
    const char *mask;    // bool [T, N, 1]: the valid steps; NULL without lengths
    const char *h_last;  // [D, N, H] after the last step of the last cell
    const char *h, *c;   // states of the current recurrent layer
    const char *h_out, *c_out;
};

/** Adds the inputs x and lengths, and what masks padding; build->x is then [T, N, C] or tokens [T, N]. */
void clrnn_onnx_add_inputs(struct clrnn_onnx_build *build, bool lengths);

/** Adds every operation. CLRNN_ERR_CONFIG, CLRNN_ERR_DATA, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_onnx_add_operations(struct clrnn_onnx_build *build);

/** A recurrent level, onnx_cells.c. Errors as above. */
enum clrnn_status clrnn_onnx_add_cell(struct clrnn_onnx_build *build, const struct clrnn_export_op *op);

/** Adds the output: [N, T, outputs] with zeros in padding, or [N, outputs]. */
void clrnn_onnx_add_output(struct clrnn_onnx_build *build);

#endif
