// SPDX-License-Identifier: MIT
// Arguments of the recurrent kernels, declared once for host and kernels. No field may have the name of a function in a
// .cl file: a chain renames those functions by #define (src/device/list/chain_source.c).
#ifndef CLRNN_CL_RNN_ARGS_H
#define CLRNN_CL_RNN_ARGS_H

struct rnn_args {
    unsigned int T, N, C, H, D; // C is 0 in rnn_forward if an earlier launch has multiplied the input by its weights
    unsigned int save;          // whether gates and cell are stored, because backward will read them
    // The launch computes steps [first, last) of T. Steps are counted in the order in which the launch visits them:
    // direction 1 goes backward in time, and a backward pass goes against the order of its forward pass.
    unsigned int first, last;
    // A sequence of `whole` steps can be processed in parts. Gates, cell and y then have only T steps: those of a part
    // and, where the sequence continues, one step before and one step after the part. The states and gradients of these
    // neighbouring steps are read. Step t of gates, cell and y is step t + offset of the other tensors. Without parts,
    // T is whole and offset 0.
    unsigned int whole, offset;
    unsigned int direction; // the first direction that the launch computes
    unsigned int item_rows, // rows of the batch per work-item
        item_tiles;         // tiles of hidden units per work-item
};

// Arguments of the kernels of cl/recurrent.cl. A launch computes one time step of one direction.
struct recurrent_args {
    unsigned int T, N, H, P, D;   // P: size of h, which is not H if the layer has a projection
    unsigned int whole, offset;   // as in rnn_args
    unsigned int direction, step; // step: counted as rnn_args.first
    unsigned int h_first, h_ld;   // forward: h of row r is at h_first + r * h_ld
    unsigned int carry_first;     // backward: carry of sample n is at carry_first + n * H
};

#endif
