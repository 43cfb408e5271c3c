// SPDX-License-Identifier: MIT
// Arguments of the recurrent kernels, declared once for the host and for them. Chains rename what .cl files define: no
// field is named as a function there.
#ifndef CLRNN_CL_RNN_ARGS_H
#define CLRNN_CL_RNN_ARGS_H

struct rnn_args {
    unsigned int T, N, C, H, D;     // C is 0 in rnn_forward if the input's multiply was a launch before
    unsigned int save;              // whether backward will read gates and cell
    unsigned int first, last;       // steps of this launch, counted in the order in which they are taken
    // Steps of the sequence; T are those of gates, cell and y, of which step t is step t + offset of the others. The
    // same, and 0, unless a sequence is taken in parts. Steps before `first` are there then, for the state.
    unsigned int whole, offset;
    unsigned int direction;             // the first of those in this launch
    unsigned int item_rows, item_tiles; // batch rows, and tiles of hidden units, per work-item
};

struct recurrent_args { // of a launch of cl/recurrent.cl for one step
    unsigned int T, N, H, P, D;       // P: size of h, which differs from H with a projection
    unsigned int whole, offset;       // as in rnn_args
    unsigned int direction, step;     // the step is counted in the order in which steps are taken
    unsigned int h_first, h_ld;       // forward: h of row r is at h_first + r * h_ld
    unsigned int carry_first;         // backward: carry of sample n is at carry_first + n * H
};

#endif
