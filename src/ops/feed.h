// SPDX-License-Identifier: MIT
// Op that gathers a batch from a data set on the device. The data set has the file's layout, [S, T_data, C].
#ifndef CLRNN_SRC_OPS_FEED_H
#define CLRNN_SRC_OPS_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_FEED_OPS(X) \
    X(FEED, feed, feed)
// clang-format on

// With FEED_MEAN, x becomes (x - mean) / std. Padding is set: x to 0, tokens to -1, class targets to INT32_MIN ("no
// target"), real targets to 0. With FEED_COUNTER, the batch begins at step COUNTER_FIRST of the samples (train.bptt),
// and the lengths that the op writes are the numbers of steps left from there on, from 0 to T.
enum {
    FEED_X,         // REAL [S, T_data, C], or I32 [S, T_data] tokens
    FEED_Y,         // I32 or REAL [S, targets] or [S, T_data or own_steps_data, targets]; CLRNN_NONE in prediction
    FEED_LENGTHS,   // I32 [S], or CLRNN_NONE
    FEED_INDEX,     // U32 [N]: indices of the batch's samples in the data set
    FEED_MEAN,      // REAL [C], or CLRNN_NONE
    FEED_STD,       // REAL [C], or CLRNN_NONE
    FEED_WEIGHT,    // REAL [S] weights of samples, or CLRNN_NONE
    FEED_Y_LENGTHS, // I32 [S] lengths of targets (ctc), or CLRNN_NONE
    FEED_COUNTER,   // U32 [COUNTER_FIELDS], or CLRNN_NONE: the batch begins at step 0
};
enum {
    FEED_OUT_X,         // REAL [T, N, C] or I32 [T, N]
    FEED_OUT_Y,         // [N, targets] or [T or own_steps, N, targets], type as FEED_Y
    FEED_OUT_LENGTHS,   // I32 [N]
    FEED_OUT_WEIGHT,    // REAL [N]
    FEED_OUT_Y_LENGTHS, // I32 [N]
};

struct clrnn_feed_attributes {
    uint32_t S, T_data, targets; // targets: how many numbers y has for a sample, or for a step of it
    bool tokens, target_real, target_steps, target;
    // If not 0, the number of steps of y differs from that of x: y has own_steps steps in the batch and own_steps_data
    // in the data set. These steps are copied unchanged.
    uint32_t own_steps, own_steps_data;
};

#endif
