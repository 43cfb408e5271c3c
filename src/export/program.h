// SPDX-License-Identifier: MIT
// A model as a list of operations, from which the C and ONNX exporters write their formats.
#ifndef CLRNN_SRC_EXPORT_PROGRAM_H
#define CLRNN_SRC_EXPORT_PROGRAM_H

#include "model/nest.h"
#include "model/network.h"

/** Kinds of operations besides enum clrnn_layer_kind. */
enum {
    CLRNN_EXPORT_CELL = CLRNN_LAYER_KINDS, // a level of a recurrent layer
    CLRNN_EXPORT_NORMALIZE,                // (x - input.mean) / input.std
    CLRNN_EXPORT_RESTORE,                  // y * target.std + target.mean
};

/** An operation: a layer in eval mode. A recurrent layer is one CELL for each of its num_layers levels; dropout is left
 * out. A residual (x + f(x)) and a concat come after the operations inside them. */
struct clrnn_export_op {
    int kind;                           // enum clrnn_layer_kind, or one of the above
    const struct clrnn_layer *layer;    // NULL for NORMALIZE and RESTORE
    size_t index;                       // index of the layer in the config
    uint32_t in, out;                   // numbers of input and output features; `in` is 0 for EMBEDDING
    uint32_t level,                     // of a CELL: its level, from 0 to num_layers - 1
        D;                              // directions of a CELL; of a POOL: those of the CELL directly before it; else 1
    size_t entry;                       // index in model->entry of its first parameter
    bool steps;                         // the operation's input has a time axis
    size_t source[CLRNN_MOST_BRANCHES]; // numbers of the values that the operation reads. 0: the program's
                                        // input; i + 1: the result of op[i]
    uint32_t sources;                   // number of entries of `source`
};

/** A list of operations in which each one reads the input or results of earlier ones. */
struct clrnn_export_program {
    struct clrnn_model *model;
    struct clrnn_export_op *op;
    size_t count;
    size_t output; // the value that is the model's output, numbered as in `source`
};

/** Indices in model->entry of the parameters of a cell for one direction. 0: the cell has no such parameter (except
 * `ih`, which every cell has). */
struct clrnn_export_cell {
    size_t ih, hh, bias_ih, bias_hh, hr, gamma_ih, gamma_hh, gamma_c, beta_c;
};

/** Makes the list of operations. The caller releases it with clrnn_export_program_finish, also after an error.
 *
 * Errors: CLRNN_ERR_DATA: the config has `normalize: standard` or `normalize_targets: standard`, and the model has no
 * mean and deviation for it; CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_export_program_init(struct clrnn_export_program *program, struct clrnn_model *model);
void clrnn_export_program_finish(struct clrnn_export_program *program);

/** Logs "config.yaml:7: layers[2] (batchnorm): cannot be exported to C: WHY" and returns CLRNN_ERR_CONFIG. */
enum clrnn_status clrnn_export_refuse(const struct clrnn_model *model, size_t layer, const char *format,
                                      const char *why);

/** Reads the parameter model->entry[entry] into new memory, which the caller frees with free(). Returns NULL after an
 * error and stores the error in *status. */
double *clrnn_export_read(struct clrnn_model *model, size_t entry, enum clrnn_status *status);

/** Returns the indices in model->entry of the parameters of a CELL for direction d (0: forward, 1:
 * backward). */
struct clrnn_export_cell clrnn_export_cell_entries(const struct clrnn_export_op *op, uint32_t d);

/** Whether a value (numbered as in `source`) has a time axis, which pools and flatten remove. */
bool clrnn_export_has_steps(const struct clrnn_export_program *program, size_t value);

/** Whether the operation slides windows over time (a convolution, or a max or average pool of windows). */
bool clrnn_export_has_windows(const struct clrnn_export_op *op);

/** Reads the constants of a BATCHNORM with running statistics, a NORMALIZE or a RESTORE. Each of these computes
 * y = (x - mean) * factor + shift. Returns `op->out` means, then as many factors, then as many shifts, in one block
 * that the caller frees with free(). Returns NULL after an error and stores the error in *status. */
double *clrnn_export_read_affine(struct clrnn_model *model, const struct clrnn_export_op *op,
                                 enum clrnn_status *status);

#endif
