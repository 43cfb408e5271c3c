// SPDX-License-Identifier: MIT
// Ops of dropout. Element e = r * C + c is kept and divided by 1 - p if u(e) >= p, else it becomes 0. u comes from the
// Philox generator with stream RANDOM_DROPOUT, a = training step (COUNTER_STEP), b = the attribute `stream`
// (cl/slots.h). Backward draws the same mask again.
#ifndef CLRNN_SRC_OPS_DROPOUT_H
#define CLRNN_SRC_OPS_DROPOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name); op.h makes enum values and declarations of them.
// clang-format off
#define CLRNN_DROPOUT_OPS(X) \
    X(DROPOUT_FWD, dropout, dropout_fwd) X(DROPOUT_BWD, dropout, dropout_bwd)
// clang-format on

enum {
    DROPOUT_X,       // [rows, C]; in backward dy
    DROPOUT_COUNTER, // U32 [COUNTER_FIELDS]
};
enum { DROPOUT_Y }; // in backward dx

struct clrnn_dropout_attributes {
    bool variational; // one mask [N, C] for all time steps
    // The N samples are a part of a batch of COUNTER_SAMPLES samples and begin at its sample COUNTER_SAMPLE. They get
    // their part of the mask of that batch.
    bool part;
    double p;
    uint32_t stream; // the op's number among the model's dropouts: it selects the random numbers
};

#endif
