// SPDX-License-Identifier: MIT
// How exported C code iterates over time: passes, each of which runs its operations at every step.
#ifndef CLRNN_SRC_EXPORT_C_PASSES_H
#define CLRNN_SRC_EXPORT_C_PASSES_H

#include "export/program.h"

/** A number of steps: base 0 is T; others are what windows leave of a parent, (n + more) / stride + 1. */
struct clrnn_c_base {
    size_t parent;
    int64_t more;
    uint32_t stride;
};

/** A loop over the steps of a base. */
struct clrnn_c_pass {
    size_t base;
    uint32_t direction; // 1: backward in time
    bool once;          // only the last step counts
    bool *runs;         // [program.count]: which operations it runs at each step
    bool *steps_read;   // [bases]: the numbers of steps that its function is told
    unsigned reads;     // what else, enum clrnn_c_reads
};

/** How an operation is carried out. */
struct clrnn_c_place {
    size_t base;       // of its result
    size_t pass, back; // the pass that gives its result; back: that of the backward direction, or `pass`
    size_t half;       // i + 1: it treats one half of the features in each of level i's two passes
    bool again;        // cheap: it runs in every pass that reads its result
    bool buffered;     // its result is kept for all steps
    size_t buffer;     // in which buffer
};

/** Memory for a value of every step. */
struct clrnn_c_buffer {
    size_t base, last; // last: the last pass that reads it
    uint32_t width;
};

struct clrnn_c_passes {
    struct clrnn_c_place *place; // [program.count]
    struct clrnn_c_pass *pass;
    struct clrnn_c_base *base;
    struct clrnn_c_buffer *buffer;
    size_t count, bases, buffers;
    uint32_t steps; // T that flatten fixes, or 0
    bool causal;    // one pass and no buffer: it can go on step by step
};

/** Reorders operations for C: those after the last recurrent level that treat each step separately are
 * moved behind a `last` pool, so that they run only once. */
void clrnn_c_order(struct clrnn_export_program *program);

/** Divides the operations that read a time axis into passes. A bidirectional level runs in two. Owner: the
 * caller, clrnn_c_passes_finish, also after an error. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_c_divide(const struct clrnn_export_program *program, struct clrnn_c_passes *passes);
void clrnn_c_passes_finish(struct clrnn_c_passes *passes);

/** Steps of a base for T input steps; below 1: T is too short. */
int64_t clrnn_c_base_steps(const struct clrnn_c_passes *passes, size_t base, int64_t T);
/** Whether an operation of the program after `op` reads its result. */
bool clrnn_c_reads(const struct clrnn_export_program *program, size_t op, size_t reader);

#endif
