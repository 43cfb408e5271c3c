// SPDX-License-Identifier: MIT
// Gathers a batch from a data set that is on the device in the file's layout, [S, T_data, C].
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

// With FEED_MEAN, x becomes (x - mean) / std. Padding is set: x to 0, tokens to -1, class targets to
// INT32_MIN ("no target"), real targets to 0. With FEED_COUNTER, lengths are the numbers of steps that are
// left from COUNTER_FIRST on, at least 0.
enum {
    FEED_X,         // REAL [S, T_data, C], or I32 [S, T_data] tokens
    FEED_Y,         // I32 or REAL [S, targets] or [S, T_data or own_steps_data, targets]; NONE in prediction
    FEED_LENGTHS,   // I32 [S] or NONE
    FEED_INDEX,     // U32 [N]: which samples
    FEED_MEAN,      // REAL [C] or NONE
    FEED_STD,       // REAL [C] or NONE
    FEED_WEIGHT,    // REAL [S] weights of samples, or NONE
    FEED_Y_LENGTHS, // I32 [S] lengths of targets (ctc), or NONE
    FEED_COUNTER,   // U32 [COUNTER_FIELDS]: the batch begins at step COUNTER_FIRST of the samples; NONE: at 0
};
enum {
    FEED_OUT_X,         // REAL [T, N, C] or I32 [T, N]
    FEED_OUT_Y,         // [N, targets] or [T or own_steps, N, targets], type as FEED_Y
    FEED_OUT_LENGTHS,   // I32 [N]
    FEED_OUT_WEIGHT,    // REAL [N]
    FEED_OUT_Y_LENGTHS, // I32 [N]
};

struct clrnn_feed_attributes {
    uint32_t S, T_data, targets; // targets: numbers that a sample or step has in y
    bool tokens, target_real, target_steps, target;
    // Not 0: y has steps of its own, this many in the batch and in the data; they are copied unchanged.
    uint32_t own_steps, own_steps_data;
};

#endif
