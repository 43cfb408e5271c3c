// SPDX-License-Identifier: MIT
// How exported C code iterates over time: passes, each of which runs its operations at every step.
#ifndef CLRNN_SRC_EXPORT_C_PASSES_H
#define CLRNN_SRC_EXPORT_C_PASSES_H

#include "export/program.h"

/** Where a pass puts a step's result. */
enum clrnn_c_sink { CLRNN_C_TO_OUT, CLRNN_C_TO_SEQUENCE, CLRNN_C_TO_POOL };

/** Operations [first, end) at every step, without a buffer between them. A bidirectional level is two
 * passes, one for each direction. */
struct clrnn_c_pass {
    size_t first, end;
    int from, to;       // sequence buffers 0 and 1; from -1: the input
    bool state;         // its function takes NAME_state
    uint32_t direction; // of the bidirectional level in it; 1 runs backward in time
    bool once;          // only the last step counts
    enum clrnn_c_sink sink;
    uint32_t width;       // features of `from`
    uint32_t row, offset; // of the sink: features of a row, and offset of this pass's features
};

struct clrnn_c_passes {
    struct clrnn_c_pass *pass;
    size_t count;
    uint32_t sequence[2]; // features of the sequence buffers; 0: not used
};

/** Reorders operations for C: those after the last recurrent level that treat each step separately are
 * moved behind a `last` pool, so that they run only once. */
void clrnn_c_order(struct clrnn_export_program *program);

/** Divides the operations up to the pool into passes. Owner: the caller, free(passes->pass).
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_c_divide(const struct clrnn_export_program *program, struct clrnn_c_passes *passes);

#endif
