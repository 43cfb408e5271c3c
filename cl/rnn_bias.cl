// SPDX-License-Identifier: MIT
// The bias gradients of a recurrent layer, on any device. They are a program of their own, because layers that run
// cl/rnn_forward.cl or cl/rnn_group_forward.cl need nothing else from cl/rnn.cl.
//
// Defines: CELL; RELU (rnn); WIDTH columns in a vector.
#include "rnn_cell.h"

// Writes partial [D, blocks, columns], from block `first` of direction `direction` on: column sums over blocks of
// block_rows rows, counted from the direction's first step, of gates [D, stride, columns], rows [start, start + rows).
kernel void rnn_bias_partial(global const real *gates, global real *partial, uint start, uint rows, uint stride,
                             uint columns, uint block_rows, uint blocks, uint first, uint direction, uint D)
{
    const uint j = get_global_id(0) * WIDTH, block = get_global_id(1), begin = block * block_rows;
    const size_t d = get_global_id(2) + direction;
    if (j >= columns || begin >= rows || d >= D)
        return;

    const uint end = min(begin + block_rows, rows), r_first = d ? rows - end : begin, r_end = d ? rows - begin : end;
    realv sum = 0.0f;

    for (uint r = r_first; r < r_end; r++)
        sum += load_units(gates + (d * stride + start + r) * columns, j, columns);
    store_units(sum, partial + (d * blocks + first + block) * columns, j, columns);
}

// Sums partial [D, blocks, RESERVE*H] over the blocks, in order. Outputs may be NULL.
kernel void rnn_bias_sum(global const real *partial, global real *db_ih0, global real *db_hh0,
                         global real *db_ih1, global real *db_hh1, uint H, uint blocks, uint D)
{
    // `gate` is a constant if GATES is 1, because Intel's CPU runtime compiles an id that can only be 0 wrongly.
    const uint j = get_global_id(0) * WIDTH, gate = GATES == 1 ? 0 : get_global_id(1);
    const size_t d = get_global_id(2);
    if (j >= H || gate >= GATES || d >= D)
        return;

    // gru: column block 3 has the gradient of W_hn h + b_hn, the hidden state's part of gate n
    const uint hidden = CELL == CELL_GRU && gate == 2 ? 3 : gate;
    global const real *p = partial + d * blocks * RESERVE * H;
    global real *db_ih = d ? db_ih1 : db_ih0, *db_hh = d ? db_hh1 : db_hh0;
    realv ih = 0.0f, hh = 0.0f;

    for (uint b = 0; b < blocks; b++, p += RESERVE * H) {
        ih += load_units(p + gate * H, j, H);
        hh += load_units(p + hidden * H, j, H);
    }
    if (db_ih)
        store_units(ih, db_ih + gate * H, j, H);
    if (db_hh)
        store_units(hh, db_hh + gate * H, j, H);
}
