// SPDX-License-Identifier: MIT
// Embedding: y[r] = weight[x[r]]; a negative token (padding) gives zeros. In backward padding_idx (>= 0) gets
// gradient 0.
#ifndef CLRNN_SRC_OPS_EMBEDDING_H
#define CLRNN_SRC_OPS_EMBEDDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(KIND, stem, name)
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
