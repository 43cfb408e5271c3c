// SPDX-License-Identifier: MIT
// How exported C code iterates over time: in passes, loops over time that run some operations at every step.
#ifndef CLRNN_SRC_EXPORT_C_PASSES_H
#define CLRNN_SRC_EXPORT_C_PASSES_H

#include "export/program.h"

/** A number of time steps. Base 0 is T; others: (n + more) / stride + 1 windows over n steps of `parent`. */
struct clrnn_c_base {
    size_t parent;
    int64_t more;
    uint32_t stride;
};

/** A loop over the steps of a base. */
struct clrnn_c_pass {
    size_t base;
    uint32_t direction; // 1: backward in time
    bool once;          // only the last time step is needed, so that the loop runs once
    bool *runs;         // [program.count]: which operations it runs at each step
    bool *steps_read;   // [bases]: which numbers of steps its function takes as parameters
    unsigned reads;     // what else its function reads, enum clrnn_c_reads
};

/** Where an operation runs and where its result goes. */
struct clrnn_c_place {
    size_t base;       // base of the result
    size_t pass, back; // the pass that computes it; back: the pass of the backward direction, or `pass`
    size_t half;       // i + 1: it runs in both passes of level i, on half of the features in each
    bool again;        // it is cheap, and runs in every pass that reads its result
    bool buffered;     // its result is kept for all steps
    size_t buffer;     // index of the buffer that keeps it
};

/** A static array [steps of base, width] that keeps the results of an operation for all steps. */
struct clrnn_c_buffer {
    size_t base, last; // last: the last pass that reads the buffer
    uint32_t width;
};

struct clrnn_c_passes {
    struct clrnn_c_place *place; // [program.count]
    struct clrnn_c_pass *pass;
    struct clrnn_c_base *base;
    struct clrnn_c_buffer *buffer;
    size_t count, bases, buffers;
    uint32_t steps; // T, if flatten fixes it, or 0
    bool causal;    // there is one pass and no buffer, so that NAME_step can predict step by step
};

/** Moves each `last` pool in front of the cheap and linear operations that precede it in a chain, so that
 * these run once for the last step, not at every step. */
void clrnn_c_order(struct clrnn_export_program *program);

/** Divides the operations that read a time axis into passes; a bidirectional level runs in two of them.
 * Owner: the caller, clrnn_c_passes_finish, also after an error. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_c_divide(const struct clrnn_export_program *program, struct clrnn_c_passes *passes);
void clrnn_c_passes_finish(struct clrnn_c_passes *passes);

/** Number of steps of a base for T input steps; below 1: T is too short. */
int64_t clrnn_c_base_steps(const struct clrnn_c_passes *passes, size_t base, int64_t T);
/** Whether operation `reader` reads the result of operation `op`. */
bool clrnn_c_reads(const struct clrnn_export_program *program, size_t op, size_t reader);

#endif
