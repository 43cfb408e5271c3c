// SPDX-License-Identifier: MIT
// Dropout: element e = r * C + c is kept where u(e) >= p and then divided by 1 - p; u from Philox, stream
// RANDOM_DROPOUT, a = step (COUNTER_STEP), b = the op's `stream`. Backward draws the same mask again.
#ifndef CLRNN_SRC_OPS_DROPOUT_H
#define CLRNN_SRC_OPS_DROPOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_DROPOUT_OPS(X) \
    X(DROPOUT_FWD, dropout, dropout_fwd) X(DROPOUT_BWD, dropout, dropout_bwd)
// clang-format on

enum {
    DROPOUT_X,       // [rows, C]; backward: dy
    DROPOUT_COUNTER, // U32 [COUNTER_FIELDS]
};
enum { DROPOUT_Y }; // backward: dx

struct clrnn_dropout_attributes {
    bool variational; // one mask [N, C] for all steps
    bool part; // the samples are N of a batch of COUNTER_SAMPLES, from COUNTER_SAMPLE on, and get its mask
    double p;
    uint32_t stream;
};

#endif
