// SPDX-License-Identifier: MIT
// Maximum and mean of windows over time, and the lengths that windows leave.
#ifndef CLRNN_SRC_OPS_WINDOW_H
#define CLRNN_SRC_OPS_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_WINDOW_OPS(X) \
    X(WINDOW_FWD, window, window_fwd) X(WINDOW_BWD, window, window_bwd) X(WINDOW_LENGTHS, window, window_lengths)
// clang-format on

// Window t of [T_out, N, C] has the steps t stride + k dilation - padding of its sample, k < kernel.
enum {
    WINDOW_X,           // [T, N, C]
    WINDOW_OLD_LENGTHS, // of x
    WINDOW_NEW_LENGTHS, // of y
};
enum {
    WINDOW_Y,
    WINDOW_ARGMAX, // I32 [T_out, N, C]: the step taken, -1 in padding; maximum only, NONE in inference
};
enum { WINDOW_BWD_OLD_LENGTHS, WINDOW_BWD_NEW_LENGTHS, WINDOW_BWD_ARGMAX, WINDOW_BWD_DY };
enum { WINDOW_DX };

// WINDOW_LENGTHS: new [N] = number of windows in (old [N] + 2 padding) steps, at most T_out
enum { LENGTHS_OLD };
enum { LENGTHS_NEW };

struct clrnn_window_attributes {
    uint32_t T_out;
    uint32_t kernel, stride, dilation, padding;
    bool mean,
        count_padding; // mean, else maximum; count_padding: the mean divides by `kernel`, not the steps in it
};

#endif
