// SPDX-License-Identifier: MIT
// The bias gradients of a recurrent layer, on any device. These kernels have a file of their own, so that cl/rnn.cl
// need not be compiled for layers whose time steps run in cl/rnn_forward.cl or cl/rnn_group_forward.cl.
//
// Defines: CELL and RELU as in rnn_cell.h; WIDTH, columns in a vector.
#include "rnn_cell.h"

// Sums the columns of gates [D, stride, columns] over blocks of block_rows rows. The blocks divide rows
// [start, start + rows) of each direction, from direction `direction` on. Writes the sums to partial
// [D, blocks, columns]; the launch's first block is block `first`. Blocks are counted from the step that the direction
// visits first.
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

// Adds up partial [D, blocks, RESERVE*H] over the blocks, in ascending order. Outputs may be NULL.
kernel void rnn_bias_sum(global const real *partial, global real *db_ih0, global real *db_hh0,
                         global real *db_ih1, global real *db_hh1, uint H, uint blocks, uint D)
{
    // If GATES is 1, `gate` is a constant: Intel's CPU runtime miscompiles an id that can only be 0.
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
