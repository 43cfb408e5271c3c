// SPDX-License-Identifier: MIT
// Generating the C source of a program: constants, helpers, cells, state and functions. NAME below is the model's name
// in the generated code (c_text.h).
#ifndef CLRNN_SRC_EXPORT_C_CODE_H
#define CLRNN_SRC_EXPORT_C_CODE_H

#include "export/c_passes.h"
#include "export/c_text.h"

/** Helper functions that generated code can call; only helpers in use are written. */
enum clrnn_c_helper {
    CLRNN_C_COPY = 1 << 0,
    CLRNN_C_ZERO = 1 << 1,
    CLRNN_C_MULTIPLY = 1 << 2,
    CLRNN_C_AFFINE = 1 << 3,
    CLRNN_C_LAYERNORM = 1 << 4,
    CLRNN_C_TANH1 = 1 << 5, // tanh of one value, which the cells use; CLRNN_C_TANH takes an array
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
    CLRNN_C_FILL = 1 << 16,
    CLRNN_C_SUM = 1 << 17,
    CLRNN_C_GROUPNORM = 1 << 18,
    CLRNN_C_LEAKY_RELU = 1 << 19,
    CLRNN_C_ELU = 1 << 20,
    CLRNN_C_GELU = 1 << 21,
    CLRNN_C_GELU_TANH = 1 << 22,
    CLRNN_C_SILU = 1 << 23,
    CLRNN_C_SOFTPLUS = 1 << 24,
    CLRNN_C_WINDOW = 1 << 25,
    CLRNN_C_WINDOW_LARGEST = 1 << 26,
    CLRNN_C_WINDOW_MEAN = 1 << 27,
    CLRNN_C_ATTEND = 1 << 28,
};

/** The generated code, and what a dry run, which writes nothing (c_text.h), determined about it. */
struct clrnn_c_code {
    struct clrnn_c_text text;
    struct clrnn_export_program program;
    struct clrnn_c_passes passes;
    bool int8;
    unsigned helpers; // bits of enum clrnn_c_helper: the helpers in use
    // columns of the widest weight matrix; with int8 weights, at most so many inputs are quantised at once
    uint32_t widest;
    size_t cell_bytes;     // largest total size of the local arrays of a cell function
    size_t pass_bytes;     // largest total size of the local arrays of a pass function
    size_t state_bytes;    // size of NAME_state
    unsigned finish_reads; // what NAME_finish reads: bits of enum clrnn_c_reads
};

/** Writes the constants (weights) of every operation. Errors: CLRNN_ERR_CONFIG: an operation cannot be exported to C;
 * CLRNN_ERR_DATA, CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_c_constants(struct clrnn_c_code *code);
/** Writes the helper functions in `code->helpers`. */
void clrnn_c_helpers(struct clrnn_c_code *code);
/** Writes a call that computes `y += W x`, where W [rows, cols] is the matrix NAME_<op>_<weight>. */
void clrnn_c_multiply(struct clrnn_c_code *code, const char *y, size_t op, const char *weight, const char *x,
                      size_t rows, size_t cols);
/** Writes the function of each recurrent cell, one for each direction. */
void clrnn_c_cells(struct clrnn_c_code *code);
/** Writes the struct NAME_state. */
void clrnn_c_state(struct clrnn_c_code *code);
/** Writes a function for each pass, NAME_finish for the operations after the pools, NAME_reset, NAME_predict and
 * NAME_step. Error: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_c_functions(struct clrnn_c_code *code);

/** Returns the operation that normalises the input, or NULL if there is none. */
const struct clrnn_export_op *clrnn_c_normalize(const struct clrnn_export_program *program);
/** Returns the C type of an element of the model's input: int32_t for tokens, else float. */
const char *clrnn_c_input_type(const struct clrnn_c_code *code);
/** Returns the number of steps of NAME_predict's output for T input steps; 1 if there is one output for a sequence. */
int64_t clrnn_c_output_steps(const struct clrnn_c_code *code, int64_t T);

/** Returns the largest int16 value to which an input may be quantised: a sum of `cols` products of such values and int8
 * weights must fit int32. */
double clrnn_c_levels(uint32_t cols);

#endif
