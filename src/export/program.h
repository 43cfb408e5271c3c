// SPDX-License-Identifier: MIT
// A model as a list of operations, from which exporters write their format.
#ifndef CLRNN_SRC_EXPORT_PROGRAM_H
#define CLRNN_SRC_EXPORT_PROGRAM_H

#include "model/nest.h"
#include "model/network.h"

/** What an operation does that no layer does. */
enum {
    CLRNN_EXPORT_CELL = CLRNN_LAYER_KINDS, // a level of a recurrent layer
    CLRNN_EXPORT_NORMALIZE,                // (x - input.mean) / input.std
    CLRNN_EXPORT_RESTORE,                  // y * target.std + target.mean
};

/** What a layer does. A stack of recurrent layers is one CELL for each level; dropout is left out. A residual
 * comes after the operations inside it and adds x and f(x), a concat after those of its branches. */
struct clrnn_export_op {
    int kind;                           // enum clrnn_layer_kind, or one of the above
    const struct clrnn_layer *layer;    // NULL: NORMALIZE, RESTORE
    size_t index;                       // of the layer
    uint32_t in, out;                   // features; EMBEDDING: in is 0
    uint32_t level, D;                  // CELL
    size_t entry;                       // its first row of the model's table
    bool steps;                         // reads a time axis
    size_t source[CLRNN_MOST_BRANCHES]; // the values it reads: 0 is the input, i + 1 the result of op[i]
    uint32_t sources;
};

/** Operations in an order in which each one reads earlier results; the last one gives the output. */
struct clrnn_export_program {
    struct clrnn_model *model;
    struct clrnn_export_op *op;
    size_t count;
    size_t output; // the value that is the output
};

/** A cell's rows of the model's table for one direction; 0: it has no such row. */
struct clrnn_export_cell {
    size_t ih, hh, bias_ih, bias_hh, hr, gamma_ih, gamma_hh, gamma_c, beta_c;
};

/** Makes the list. Owner: the caller, clrnn_export_program_finish, also after an error.
 *
 * CLRNN_ERR_DATA: normalisation is missing. CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_export_program_init(struct clrnn_export_program *program, struct clrnn_model *model);
void clrnn_export_program_finish(struct clrnn_export_program *program);

/** CLRNN_ERR_CONFIG: "config.yaml:7: layers[2] (batchnorm): cannot be exported to C: WHY". */
enum clrnn_status clrnn_export_refuse(const struct clrnn_model *model, size_t layer, const char *format,
                                      const char *why);

/** Reads row `entry` of the model's table into new memory (free). NULL: the error is in *status. */
double *clrnn_export_read(struct clrnn_model *model, size_t entry, enum clrnn_status *status);

/** The rows of a CELL for direction d. Rows of a cell never have number 0 but for `ih`. */
struct clrnn_export_cell clrnn_export_cell_entries(const struct clrnn_export_op *op, uint32_t d);

/** Whether a value has a time axis: no operation before it took it away. */
bool clrnn_export_has_steps(const struct clrnn_export_program *program, size_t value);

/** Whether the operation slides windows over time. */
bool clrnn_export_has_windows(const struct clrnn_export_op *op);

/** Reads what BATCHNORM with running statistics, NORMALIZE or RESTORE computes, y = (x - mean) * factor +
 * shift, as three arrays of `op->out` values in one allocation (free). NULL: see clrnn_export_read.
 */
double *clrnn_export_read_affine(struct clrnn_model *model, const struct clrnn_export_op *op,
                                 enum clrnn_status *status);

#endif
