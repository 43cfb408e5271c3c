// SPDX-License-Identifier: MIT
// Writing the body of a generated function: its operations, and where each result is stored.
#ifndef CLRNN_SRC_EXPORT_C_EMIT_H
#define CLRNN_SRC_EXPORT_C_EMIT_H

#include "export/c_code.h"

#define CLRNN_C_VALUE 48 // capacity in characters for a C expression that names a value
// capacity in local arrays: 16 * 16 for CLRNN_DEEPEST nested concats of CLRNN_MOST_BRANCHES branches each, and 32 more
#define CLRNN_C_LOCALS 288u

/** What a generated function reads besides its own arrays. */
enum clrnn_c_reads {
    CLRNN_C_READS_X = 1 << 0,
    CLRNN_C_READS_WHOLE = 1 << 1, // the input at all time steps, not only at the current one
    CLRNN_C_READS_STATE = 1 << 2,
    CLRNN_C_READS_T = 1 << 3,
    CLRNN_C_READS_I = 1 << 4, // not an input: the function needs a loop counter i
};

/** A function that is being written. */
struct clrnn_c_emit {
    struct clrnn_c_code *code;
    bool writes;                 // false: dry run, which only finds out the arrays and parameters needed
    size_t pass;                 // pass that the function runs; SIZE_MAX: the operations after the pools
    bool back;                   // the pass runs backward in time
    uint32_t offset;             // first feature that the current operation writes in this direction
    unsigned reads;              // enum clrnn_c_reads
    bool *steps_read;            // [passes.bases]: the function needs the number of steps of this base
    char (*text)[CLRNN_C_VALUE]; // [program.count]: C expression for an operation's result
    bool *rows;                  // [program.count]: the function accesses the current step's row of the result's buffer
    unsigned *held;              // [program.count]: i + 1: local array i holds the result; 0: no local array does
    unsigned locals;
    struct {
        uint32_t width;
        size_t until; // index of the last operation that reads the array; 0: it is free
    } local[CLRNN_C_LOCALS];
};

/** Writes as clrnn_c_put does, or nothing in a dry run (emit->writes is false). */
void clrnn_c_emit(struct clrnn_c_emit *emit, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Writes the operations that emit->pass runs. */
void clrnn_c_put_body(struct clrnn_c_emit *emit);
/** Writes a call that applies the activation `op` to `width` values of array `from`, with results in array `to`. */
void clrnn_c_put_pointwise(struct clrnn_c_emit *emit, const struct clrnn_export_op *op, const char *to,
                           const char *from, uint32_t width);
/** Whether operation `op` is a pool whose result is the state h of the cell before it. Such a pool needs no memory of
 * its own. */
bool clrnn_c_pools_state(const struct clrnn_export_program *program, size_t op);

#endif
