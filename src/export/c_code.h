// SPDX-License-Identifier: MIT
// Generating the C functions of a program.
#ifndef CLRNN_SRC_EXPORT_C_CODE_H
#define CLRNN_SRC_EXPORT_C_CODE_H

#include "export/c_passes.h"
#include "export/c_text.h"

/** Helper functions that generated code calls; only those in use are written. */
enum clrnn_c_helper {
    CLRNN_C_COPY = 1 << 0,
    CLRNN_C_ZERO = 1 << 1,
    CLRNN_C_MULTIPLY = 1 << 2,
    CLRNN_C_AFFINE = 1 << 3,
    CLRNN_C_LAYERNORM = 1 << 4,
    CLRNN_C_TANH1 = 1 << 5, // of one value; the cells use it
    CLRNN_C_SIGMOID1 = 1 << 6,
    CLRNN_C_RELU = 1 << 7,
    CLRNN_C_TANH = 1 << 8,
    CLRNN_C_SIGMOID = 1 << 9,
    CLRNN_C_ROUND = 1 << 10,
    CLRNN_C_SOFTMAX = 1 << 11,
    CLRNN_C_LOG_SOFTMAX = 1 << 12,
    CLRNN_C_EMBED = 1 << 13,
    CLRNN_C_ADD = 1 << 14,
    CLRNN_C_LARGEST = 1 << 15,
};

/** The generated code and what is known about it. */
struct clrnn_c_code {
    struct clrnn_c_text text;
    struct clrnn_export_program program;
    struct clrnn_c_passes passes;
    bool int8;
    unsigned helpers;
    uint32_t widest;     // columns of the widest matrix: the number of inputs that int8 quantises at a time
    size_t cell_bytes;   // of the largest recurrent cell's local arrays
    size_t pass_bytes;   // of the largest pass's local arrays
    size_t state_bytes;  // of NAME_state
    size_t static_bytes; // a step of the sequence buffers
};

/** Constants of every operation. CLRNN_ERR_DATA, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_c_constants(struct clrnn_c_code *code);
/** The helper functions in `code->helpers`. */
void clrnn_c_helpers(struct clrnn_c_code *code);
/** `y += W x` as a call: matrix NAME_<op>_<weight>. */
void clrnn_c_multiply(struct clrnn_c_code *code, const char *y, size_t op, const char *weight, const char *x,
                      size_t rows, size_t cols);
/** A function for each recurrent cell. */
void clrnn_c_cells(struct clrnn_c_code *code);
/** The members of NAME_state. */
void clrnn_c_state(struct clrnn_c_code *code);
/** Writes a function for each pass, NAME_finish for what follows the pool, NAME_reset, NAME_predict and
 * NAME_step. */
void clrnn_c_functions(struct clrnn_c_code *code);

/** The largest int16 level of an int8 matrix's inputs: sums of `cols` products must fit int32. */
double clrnn_c_levels(uint32_t cols);

#endif
