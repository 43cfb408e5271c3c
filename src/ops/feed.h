// SPDX-License-Identifier: MIT
// A batch picked out of a data set that lies on the device in the order of the file, (S, T_data, C).
#ifndef CLRNN_SRC_OPS_FEED_H
#define CLRNN_SRC_OPS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_FEED_OPS(X) \
    X(FEED, feed, feed)
// clang-format on

// x is normalised as (x - mean) / std where FEED_MEAN is there, and set to 0 in padding; tokens in padding
// become -1; targets in padding too (class: INT32_MIN "no target", real: 0).
enum {
    FEED_X,       // REAL [S, T_data, C], or I32 [S, T_data] tokens
    FEED_Y,       // I32 or REAL [S] or [S, T_data]; NONE in prediction
    FEED_LENGTHS, // I32 [S] or NONE
    FEED_INDEX,   // U32 [N]: which samples
    FEED_MEAN,    // REAL [C] or NONE
    FEED_STD,     // REAL [C] or NONE
};
enum {
    FEED_OUT_X,       // REAL [T, N, C] or I32 [T, N]
    FEED_OUT_Y,       // [N] or [T, N], type as FEED_Y
    FEED_OUT_LENGTHS, // I32 [N]
};

struct clrnn_feed_attributes {
    uint32_t S, T_data;
    bool tokens, target_real, target_steps, target;
};

#endif
