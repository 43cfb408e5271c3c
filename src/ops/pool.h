// SPDX-License-Identifier: MIT
// Ops of pooling over time, [T, N, C] to [N, C].
#ifndef CLRNN_SRC_OPS_POOL_H
#define CLRNN_SRC_OPS_POOL_H

#include "clrnn/config.h"

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_POOL_OPS(X) \
    X(POOL_FWD, pool, pool_fwd) X(POOL_BWD, pool, pool_bwd)
// clang-format on

// How y of sample n is computed. LAST: x at step lengths[n] - 1, or T - 1 without lengths. FINAL: the first
// C / D features at that step and, with two directions, the other features at step 0. MEAN, MAX: over the valid steps.
// If several steps have the maximum, the first of them is taken.
enum { POOL_X, POOL_LENGTHS };
enum {
    POOL_Y,
    POOL_ARGMAX, // I32 [N, C]: the step with the maximum; MAX only
};
enum { POOL_BWD_LENGTHS, POOL_BWD_ARGMAX, POOL_BWD_DY };
enum { POOL_DX };

struct clrnn_pool_attributes {
    enum clrnn_pool_over over;
    uint32_t D;
};

#endif
