// SPDX-License-Identifier: MIT
// Ops of an embedding: y[r] = weight[x[r]]. A negative token marks padding and gives zeros. In backward, row
// padding_idx of the weights gets gradient 0, if padding_idx >= 0.
#ifndef CLRNN_SRC_OPS_EMBEDDING_H
#define CLRNN_SRC_OPS_EMBEDDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_EMBEDDING_OPS(X) \
    X(EMBEDDING_FWD, embedding, embedding_fwd) X(EMBEDDING_BWD, embedding, embedding_bwd)
// clang-format on

enum {
    EMBEDDING_X,      // I32 [rows]
    EMBEDDING_WEIGHT, // [V, C]
};
enum { EMBEDDING_Y }; // [rows, C]
enum { EMBEDDING_BWD_X, EMBEDDING_BWD_DY };
enum { EMBEDDING_DWEIGHT };

struct clrnn_embedding_attributes { // C = embedding_dim
    uint32_t V;
    int32_t padding_idx; // -1: none
};

#endif
