// SPDX-License-Identifier: MIT
// Op that makes a recurrent layer's initial state: a copy of the state at the end of the previous run of the plan, or
// zeros. It is a copy because the layer overwrites the original with its final state, while backward still reads the
// initial state.
#ifndef CLRNN_SRC_OPS_STATE_H
#define CLRNN_SRC_OPS_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_STATE_OPS(X) \
    X(STATE, state, state)
// clang-format on

enum {
    STATE_FROM,    // [N, C], or with more rows, which are not read
    STATE_COUNTER, // U32 [COUNTER_FIELDS]: COUNTER_CARRY says whether to copy (not 0) or to write zeros (0)
};
enum { STATE_TO }; // [N, C]

struct clrnn_state_attributes {
    bool none; // unused; C does not allow an empty struct. The op needs no attributes besides N and C
};

#endif
