// SPDX-License-Identifier: MIT
// The state with which a recurrent layer begins: what it had at the end of the run before, or zero. A copy,
// since the layer overwrites the original when it ends, and backward still reads it.
#ifndef CLRNN_SRC_OPS_STATE_H
#define CLRNN_SRC_OPS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_STATE_OPS(X) \
    X(STATE, state, state)
// clang-format on

enum {
    STATE_FROM,    // [N, C], or more rows
    STATE_COUNTER, // U32 [COUNTER_FIELDS]: COUNTER_CARRY says whether to copy, not to clear
};
enum { STATE_TO }; // [N, C]

struct clrnn_state_attributes {
    bool none; // unused: the op's N and C are enough
};

#endif
