// SPDX-License-Identifier: MIT
// How exported C code iterates over time: in passes. A pass is a loop over time that runs some of the operations at
// every step.
#ifndef CLRNN_SRC_EXPORT_C_PASSES_H
#define CLRNN_SRC_EXPORT_C_PASSES_H

#include "export/program.h"

/** A number of time steps. Base 0 is T, the steps of the input. Any other base is the number of windows over the steps
 * of base `parent`: (n + more) / stride + 1 for a parent of n steps. */
struct clrnn_c_base {
    size_t parent;
    int64_t more; // steps of padding minus the steps that one window spans
    uint32_t stride;
};

/** A loop over the steps of a base. */
struct clrnn_c_pass {
    size_t base;
    uint32_t direction; // 1: backward in time
    bool once;          // only the last time step is needed, so the loop runs once
    bool *runs;         // [program.count]: true: the pass runs this operation at each step
    bool *steps_read;   // [bases]: true: the pass's function takes the number of steps of this base as a
                        // parameter
    unsigned reads;     // what else the pass's function reads: bits of enum clrnn_c_reads
};

/** Where an operation runs and where its result goes. */
struct clrnn_c_place {
    size_t base;   // base of the result
    size_t pass,   // the pass that computes the result
        back;      // the pass of the backward direction; without one the same as `pass`
    size_t half;   // i + 1: the operation runs in both passes of the bidirectional level op[i], on half of the
                   // features in each; 0: it does not
    bool again;    // the operation is cheap, so every pass that reads its result computes it again
    bool buffered; // the result is kept for all steps
    size_t buffer; // index of the buffer that keeps the result
};

/** A static array [steps of base, width] of the generated code, which keeps the results of an operation for all steps.
 * Operations whose results are not needed at the same time can share a buffer. */
struct clrnn_c_buffer {
    size_t base, // the base of the results
        last;    // the last pass that reads the buffer; SIZE_MAX: it is read after all passes
    uint32_t width;
};

struct clrnn_c_passes {
    struct clrnn_c_place *place; // [program.count]
    struct clrnn_c_pass *pass;
    struct clrnn_c_base *base;
    struct clrnn_c_buffer *buffer;
    size_t count, bases, buffers;
    uint32_t steps; // the only T that a model with a flatten layer accepts; 0: any T
    bool causal;    // there is at most one pass, no buffer and no window, so NAME_step can predict step by step
};

/** Moves each `last` pool in front of the linear layers and cheap operations (activations, norms) that directly precede
 * it. These then run once, for the last step, instead of at every step. */
void clrnn_c_order(struct clrnn_export_program *program);

/** Divides the operations that read a time axis into passes. A bidirectional level runs in two passes. The caller
 * releases `passes` with clrnn_c_passes_finish, also after an error. Error: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_c_divide(const struct clrnn_export_program *program, struct clrnn_c_passes *passes);
void clrnn_c_passes_finish(struct clrnn_c_passes *passes);

/** Returns the number of steps of a base for T input steps. A result below 1 means that T is too short. */
int64_t clrnn_c_base_steps(const struct clrnn_c_passes *passes, size_t base, int64_t T);
/** Whether operation `reader` reads the result of operation `op`. */
bool clrnn_c_reads(const struct clrnn_export_program *program, size_t op, size_t reader);

#endif
