// SPDX-License-Identifier: MIT
// Arguments of the recurrent kernels, declared once for host and kernels. No field may have the name of a function in a
// .cl file, because chains rename those functions.
#ifndef CLRNN_CL_RNN_ARGS_H
#define CLRNN_CL_RNN_ARGS_H

struct rnn_args {
    unsigned int T, N, C, H, D;     // C is 0 in rnn_forward if an earlier launch multiplied the input
    unsigned int save;              // whether backward will read gates and cell
    unsigned int first, last;       // this launch takes steps [first, last), counted in processing order
    // A sequence of `whole` steps can be processed in parts. Gates, cell and y then have the T steps of a part only:
    // step t there is step t + offset of other tensors. They also hold steps before `first`, as their state is read.
    unsigned int whole, offset;
    unsigned int direction;             // the first direction in this launch
    unsigned int item_rows, item_tiles; // batch rows, and tiles of hidden units, per work-item
};

struct recurrent_args { // arguments of a launch of cl/recurrent.cl, which takes one step
    unsigned int T, N, H, P, D;       // P: size of h, which differs from H with a projection
    unsigned int whole, offset;       // as in rnn_args
    unsigned int direction, step;     // step: counted in processing order
    unsigned int h_first, h_ld;       // forward: h of row r is at h_first + r * h_ld
    unsigned int carry_first;         // backward: carry of sample n is at carry_first + n * H
};

#endif
