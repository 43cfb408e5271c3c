// SPDX-License-Identifier: MIT
// A model as a list of operations, from which exporters write their format.
#ifndef CLRNN_SRC_EXPORT_PROGRAM_H
#define CLRNN_SRC_EXPORT_PROGRAM_H

#include "model/network.h"

/** Kinds of operations. A stack of recurrent layers is one CELL for each level; dropout is left out. */
enum clrnn_export_kind {
    CLRNN_EXPORT_NORMALIZE, // (x - input.mean) / input.std
    CLRNN_EXPORT_EMBEDDING,
    CLRNN_EXPORT_CELL,
    CLRNN_EXPORT_LINEAR,
    CLRNN_EXPORT_BATCHNORM,
    CLRNN_EXPORT_LAYERNORM,
    CLRNN_EXPORT_RELU,
    CLRNN_EXPORT_TANH,
    CLRNN_EXPORT_SIGMOID,
    CLRNN_EXPORT_ROUND,
    CLRNN_EXPORT_SOFTMAX,
    CLRNN_EXPORT_LOG_SOFTMAX,
    CLRNN_EXPORT_POOL,
    CLRNN_EXPORT_RESTORE, // y * target.std + target.mean
};

struct clrnn_export_op {
    enum clrnn_export_kind kind;
    const struct clrnn_layer *layer; // NULL: NORMALIZE, RESTORE
    size_t index;                    // of the layer
    uint32_t in, out;                // features; EMBEDDING: in is 0
    uint32_t level, D;               // CELL
    size_t entry;                    // its first row of the model's table
    bool steps;                      // reads a time axis
};

struct clrnn_export_program {
    struct clrnn_model *model;
    struct clrnn_export_op *op;
    size_t count,
        pool;    // pool: index of the first POOL, which removes the time axis; `count` if there is none
    bool causal; // no bidirectional layer reads the time axis
};

/** Makes the list. Owner: the caller, clrnn_export_program_finish, also after an error.
 *
 * CLRNN_ERR_CONFIG: a kind of layer that no exporter knows. CLRNN_ERR_DATA: normalisation is missing.
 * CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_export_program_init(struct clrnn_export_program *program, struct clrnn_model *model);
void clrnn_export_program_finish(struct clrnn_export_program *program);

/** CLRNN_ERR_CONFIG: "config.yaml:7: layers[2] (batchnorm): cannot be exported to C: WHY". */
enum clrnn_status clrnn_export_refuse(const struct clrnn_model *model, size_t layer, const char *format,
                                      const char *why);

/** Reads row `entry` of the model's table into new memory (free). NULL: the error is in *status. */
double *clrnn_export_read(struct clrnn_model *model, size_t entry, enum clrnn_status *status);

/** The cell's table rows for direction d: weight_ih, weight_hh and, if the layer has biases, bias_ih,
 * bias_hh. */
size_t clrnn_export_cell_entry(const struct clrnn_export_op *op, uint32_t d);

/** Reads what BATCHNORM with running statistics, NORMALIZE or RESTORE computes, y = (x - mean) * factor +
 * shift, as three arrays of `op->out` values in one allocation (free). NULL: see clrnn_export_read.
 */
double *clrnn_export_read_affine(struct clrnn_model *model, const struct clrnn_export_op *op,
                                 enum clrnn_status *status);

#endif
