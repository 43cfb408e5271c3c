// SPDX-License-Identifier: MIT
// Pooling over time, [T, N, C] to [N, C].
#ifndef CLRNN_SRC_OPS_POOL_H
#define CLRNN_SRC_OPS_POOL_H

#include "clrnn/config.h"

// X(KIND, stem, name)
// clang-format off
#define CLRNN_POOL_OPS(X) \
    X(POOL_FWD, pool, pool_fwd) X(POOL_BWD, pool, pool_bwd)
// clang-format on

// y of sample n. LAST: x at step lengths[n] - 1 (without lengths T - 1). FINAL: the first C/D features of
// that step and the reverse direction's of step 0. MEAN, MAX: over valid steps; MAX takes the first maximum.
enum { POOL_X, POOL_LENGTHS };
enum {
    POOL_Y,
    POOL_ARGMAX, // I32 [N, C] step taken, MAX only
};
enum { POOL_BWD_LENGTHS, POOL_BWD_ARGMAX, POOL_BWD_DY };
enum { POOL_DX };

struct clrnn_pool_attributes {
    enum clrnn_pool_over over;
    uint32_t D;
};

#endif
