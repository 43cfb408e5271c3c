// SPDX-License-Identifier: MIT
// Ops of windows over time: the maximum or mean of each window, and the lengths of the resulting sequences.
#ifndef CLRNN_SRC_OPS_WINDOW_H
#define CLRNN_SRC_OPS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_WINDOW_OPS(X) \
    X(WINDOW_FWD, window, window_fwd) X(WINDOW_BWD, window, window_bwd) X(WINDOW_LENGTHS, window, window_lengths)
// clang-format on

// The output has T_out time steps, one for each window. Window t consists of the steps
// t * stride + k * dilation - padding of its sample, for 0 <= k < kernel.
enum {
    WINDOW_X,           // [T, N, C]
    WINDOW_OLD_LENGTHS, // of x
    WINDOW_NEW_LENGTHS, // of y
};
enum {
    WINDOW_Y,
    WINDOW_ARGMAX, // I32 [T_out, N, C]: the step with the maximum, -1 in padding. Only for the maximum;
                   // CLRNN_NONE in inference
};
enum { WINDOW_BWD_OLD_LENGTHS, WINDOW_BWD_NEW_LENGTHS, WINDOW_BWD_ARGMAX, WINDOW_BWD_DY };
enum { WINDOW_DX };

// WINDOW_LENGTHS computes new [N] from old [N]. A sample's new length is the number of windows in old length + 2 *
// padding steps, at most T_out.
enum { LENGTHS_OLD };
enum { LENGTHS_NEW };

struct clrnn_window_attributes {
    uint32_t T_out;
    uint32_t kernel, stride, dilation, padding;
    // mean: y is the mean of a window, otherwise its maximum.
    // count_padding: the mean divides by `kernel`, otherwise by the number of the window's steps inside the sample.
    bool mean, count_padding;
};

#endif
