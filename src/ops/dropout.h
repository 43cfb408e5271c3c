// SPDX-License-Identifier: MIT
// Ops of dropout. Element e = r * C + c is divided by 1 - p if u(e) >= p; otherwise it becomes 0. u(e) is a random
// number of the Philox generator (base/random.h): its stream is RANDOM_DROPOUT, a is the training step (COUNTER_STEP),
// b is the op's attribute `stream` below. Backward draws the same mask again.
#ifndef CLRNN_SRC_OPS_DROPOUT_H
#define CLRNN_SRC_OPS_DROPOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
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
    // The N samples are a part of a larger batch, which has COUNTER_SAMPLES samples. The first of the N is sample
    // COUNTER_SAMPLE of that batch. The op uses their part of that batch's mask.
    bool part;
    double p;
    uint32_t stream; // the op's number among the model's dropouts: it selects the random numbers
};

#endif
