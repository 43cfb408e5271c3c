// SPDX-License-Identifier: MIT
// Writing the body of a generated function: operations, and where their results are.
#ifndef CLRNN_SRC_EXPORT_C_EMIT_H
#define CLRNN_SRC_EXPORT_C_EMIT_H

#include "export/c_code.h"

#define CLRNN_C_VALUE 48    // characters of an expression that names a value
#define CLRNN_C_LOCALS 288u // arrays: every branch of the deepest nesting holds one

/** What a function reads besides its own arrays. */
enum clrnn_c_reads {
    CLRNN_C_READS_X = 1 << 0,
    CLRNN_C_READS_WHOLE = 1 << 1, // the input of all steps
    CLRNN_C_READS_STATE = 1 << 2,
    CLRNN_C_READS_T = 1 << 3,
    CLRNN_C_READS_I = 1 << 4, // a counter
};

/** A function that is being written. */
struct clrnn_c_emit {
    struct clrnn_c_code *code;
    bool writes;                 // false: only finds out which arrays and parameters it needs
    size_t pass;                 // SIZE_MAX: what follows the pools
    bool back;                   // the pass runs backward in time
    uint32_t offset;             // where the current operation's features begin: those of one direction
    unsigned reads;              // enum clrnn_c_reads
    bool *steps_read;            // [passes.bases]
    char (*text)[CLRNN_C_VALUE]; // [program.count]: where a result is
    bool *rows;                  // [program.count]: it reads or writes the result's row of a buffer
    unsigned *held;              // [program.count]: i + 1 where local array i holds it
    unsigned locals;
    struct {
        uint32_t width;
        size_t until; // the last operation that reads it; 0: free
    } local[CLRNN_C_LOCALS];
};

/** clrnn_c_put, where the function is written. */
void clrnn_c_emit(struct clrnn_c_emit *emit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Writes the operations of emit->pass. */
void clrnn_c_put_body(struct clrnn_c_emit *emit);
/** An activation of `width` values. */
void clrnn_c_put_pointwise(struct clrnn_c_emit *emit, const struct clrnn_export_op *op, const char *to,
                           const char *from, uint32_t width);
/** Whether the pool's result is the state of a cell, so that no other value need be kept. */
bool clrnn_c_pools_state(const struct clrnn_export_program *program, size_t op);

#endif
