// SPDX-License-Identifier: MIT
// What remains of a time step of a recurrent layer after its matrix multiplies, forward and backward, on any device.
// Formulas: doc/maths.md.
//
// Defines: CELL and RELU as in rnn_cell.h; WIDTH, hidden units in a vector. On GPUs WIDTH is 1 and a work-item computes
// one unit of one row. On CPUs a work-item computes whole rows. If the global size is smaller than the number of rows
// or units, a work-item computes several.
//
// Row r = t * N + n. There are D directions; direction 1 goes backward in time. Biases and lengths may be NULL.
//   y      [T, N, D*H]
//   pre    [D, T, N, RESERVE*H] (rnn: pre is y): on entry pre-activations without bias; on return, if `save`,
//          activations. gru: on entry, column blocks r and z have both parts of the pre-activations, block n has the
//          input's part, and block 3 has W_hn h.
//   cell   [D, T, N, H]; if not `save`, [D, N, H]
//   start  [D, N, GATES*H]: h0 W_hh^T, which is added to the pre-activations of a sample's first step; NULL: h0 is zero
//   past   [D, N, H]: the initial state c0 (lstm) or h0 (gru); NULL: the initial state is zero
//
// In padding y, cell and the gate gradients are 0. So padding adds nothing to multiplies over all rows, and direction
// 1, which visits padding before the valid steps, starts from a zero state.
#include "rnn_cell.h"

#define FOR_UNITS(j, H) for (uint j = get_global_id(0) * WIDTH; j < (H); j += get_global_size(0) * WIDTH)
#define FOR_ROWS_OF_BATCH(n, N) for (size_t n = get_global_id(1); n < (N); n += get_global_size(1))

// Checks whether t is the step of sample n that direction d visits first. Direction 1 begins at the last valid step.
static inline bool is_first(global const int *lengths, size_t d, size_t n, size_t t, uint T)
{
    return t == (d ? (lengths ? (size_t)lengths[n] : (size_t)T) - 1 : 0);
}

kernel void rnn_step_fwd(struct rnn_args args, global real *pre, global const real *bias_ih0,
                         global const real *bias_hh0, global const real *bias_ih1, global const real *bias_hh1,
                         global real *cell, global real *y, global const int *lengths, global const real *start,
                         global const real *past)
{
    const uint T = args.T, N = args.N, H = args.H, D = args.D, save = args.save, step = args.first;
    const size_t d = get_global_id(2) + args.direction;
    if (d >= D)
        return;

    global const real *ih = d ? bias_ih1 : bias_ih0, *hh = d ? bias_hh1 : bias_hh0;
    const size_t t = d ? T - 1 - step : step, time = t + args.offset, ld = D * H;
    const realv zero = 0.0f;

    FOR_ROWS_OF_BATCH(n, N)
    {
        const size_t row = t * N + n;
        global real *h = y + row * ld + d * H;
        const bool padding = lengths && (int)time >= lengths[n], first = is_first(lengths, d, n, time, args.whole);
        global const real *product = start + (d * N + n) * GATES * H, *state = past + (d * N + n) * H;

        FOR_UNITS(j, H)
        {
#if CELL == CELL_RNN
            realv s = load_units(h, j, H);
            if (start && first)
                s += load_units(product, j, H);
            if (ih)
                s += load_units(ih, j, H) + load_units(hh, j, H);
            store_units(padding ? zero : rnn_activation(s), h, j, H);
#else
            const size_t before = d ? row + N : row - N;
            global real *gates = pre + (d * T * N + row) * 4 * H;
            realv a[4];

            for (int g = 0; g < 4; g++)
                a[g] = CELL == CELL_GRU && g == 3 && step == 0 ? zero : load_units(gates + g * H, j, H);
            for (int g = 0; ih && g < 4; g++) {
                if (CELL == CELL_LSTM || g < 3)
                    a[g] += load_units(ih + g * H, j, H);
                if (CELL == CELL_LSTM || g != 2)
                    a[g] += load_units(hh + min(g, (int)GATES - 1) * H, j, H);
            }
            for (int g = 0; start && first && g < 4; g++)
                if (CELL == CELL_LSTM || g != 2)
                    a[g] += load_units(product + min(g, (int)GATES - 1) * H, j, H);
#if CELL == CELL_LSTM
            // if not `save`, there is one cell for each row of the batch, which each step overwrites
            global real *c = cell + (d * (save ? T : 1) * N + (save ? row : n)) * H;
            global real *c_before = cell + (d * (save ? T : 1) * N + (save ? before : n)) * H;
            const realv now = lstm_cell(a, past && first ? load_units(state, j, H)
                                           : step == 0   ? zero
                                                         : load_units(c_before, j, H));

            store_units(padding ? zero : now, c, j, H);
            store_units(padding ? zero : a[3] * tanh_vec(now), h, j, H);
#else
            const realv now = gru_cell(a, past && first ? load_units(state, j, H)
                                          : step == 0   ? zero
                                                        : load_units(y + before * ld + d * H, j, H));

            store_units(padding ? zero : now, h, j, H);
#endif
            for (int g = 0; save && g < 4; g++)
                store_units(a[g], gates + g * H, j, H);
#endif
        }
    }
}

// Computes one step backward. Steps are counted from the step that forward computed last; "next" and "previous" step
// are meant in the order of the forward pass.
//   gates    [D, T, N, RESERVE*H]: on entry activations (not read for rnn); on return gradients of the pre-activations
//            (gru: of r, z, n and of W_hn h + b_hn)
//   through  [D, N, H]: on entry the gradient of h that the next step passes back. For gru, on return a part of the
//            gradient of the previous h: the part that does not go through the multiply by the recurrent weights. The
//            next launch, a multiply, adds the rest.
//   carry    [D, N, H]. lstm: on entry the gradient of the cell that the next step passes back; on return the gradient
//            of the previous cell. After the last step, that is the gradient of c0.
//            gru: on return a copy of `through`, except in padding, where carry stays as it is. After the last step,
//            that is a part of the gradient of h0. NULL: no copy.
//   carried  [D, N, H]: the gradient of the final cell (lstm), or NULL
kernel void rnn_step_bwd(struct rnn_args args, global real *gates, global const real *y,
                         global const real *cell, global const real *dy, global real *through, global real *carry,
                         global const int *lengths, global const real *past, global const real *carried)
{
    const uint T = args.T, N = args.N, H = args.H, D = args.D, step = args.first;
    const size_t d = get_global_id(2) + args.direction;
    if (d >= D)
        return;

    const size_t t = d ? step : T - 1 - step, time = t + args.offset, ld = D * H;
    const realv zero = 0.0f;

    FOR_ROWS_OF_BATCH(n, N)
    {
        const size_t row = t * N + n, state = (d * N + n) * H;
        const bool padding = lengths && (int)time >= lengths[n];
        const bool initial = past && is_first(lengths, d, n, time, args.whole); // whether forward read `past` here

        FOR_UNITS(j, H)
        {
            global real *gate = gates + (d * T * N + row) * RESERVE * H;
            realv dh = load_units(dy + (time * N + n) * ld + d * H, j, H), da[RESERVE];

            if (step > 0)
                dh += load_units(through + state, j, H);
#if CELL == CELL_RNN
            da[0] = rnn_gradient(dh, load_units(y + row * ld + d * H, j, H));
#else
            const bool last = step + 1 == T; // forward computed this step first
            const size_t row_before = d ? row + N : row - N;
            realv a[RESERVE];

            for (uint g = 0; g < RESERVE; g++)
                a[g] = load_units(gate + g * H, j, H);
#if CELL == CELL_LSTM
            const realv dc = step > 0  ? load_units(carry + state, j, H)
                             : carried ? load_units(carried + state, j, H)
                                       : zero;
            const realv c = load_units(cell + (d * T * N + row) * H, j, H);
            const realv before = initial ? load_units(past + state, j, H)
                                 : last  ? zero
                                         : load_units(cell + (d * T * N + row_before) * H, j, H);
            const realv pass = lstm_gradient(dh, dc, tanh_vec(c), before, a, da);

            store_units(padding ? dc : pass, carry + state, j, H);
#else
            const realv before = initial ? load_units(past + state, j, H)
                                 : last  ? zero
                                         : load_units(y + row_before * ld + d * H, j, H);
            const realv pass = gru_gradient(dh, before, a, da);

            store_units(padding ? zero : pass, through + state, j, H);
            if (carry && !padding)
                store_units(pass, carry + state, j, H);
#endif
#endif
            for (uint g = 0; g < RESERVE; g++)
                store_units(padding ? zero : da[g], gate + g * H, j, H);
        }
    }
}

// ---------------------------------------------------------------- initial and final states

// Loops over the W numbers of a row. On CPUs a work-item computes the whole row (global size 1 in dimension 0), on GPUs
// one number of the row.
#define FOR_ROW(j, W) for (uint j = get_global_id(0); j < (W); j += get_global_size(0))

// Writes final states to out [D, N, W]: for sample n (id 1) and direction d (id 2) the state of the step that d visits
// last. A sample without steps gets `initial` [D, N, W] (NULL: zero).
//
// In `from`, row r of direction d begins at r * ld + d * ld_direction. Only steps [begin, begin + steps) of the
// sequence are in `from`; the first of them is step `low` of `from`. A sample is skipped if its last step is not in
// `from`.
kernel void rnn_final(global const real *from, global const int *lengths, global const real *initial,
                      global real *out, uint T, uint N, uint W, uint D, uint ld, uint ld_direction, uint begin,
                      uint steps, uint low)
{
    const size_t n = get_global_id(1), d = get_global_id(2);
    if (n >= N || d >= D)
        return;

    const size_t length = lengths ? (size_t)lengths[n] : (size_t)T, t = d || length == 0 ? 0 : length - 1;
    if (t < begin || t - begin >= steps)
        return;

    global const real *row = from + ((t - begin + low) * N + n) * ld + d * ld_direction;

    if (length == 0)
        row = initial ? initial + (d * N + n) * W : initial;
    FOR_ROW(j, W) out[(d * N + n) * W + j] = row ? row[j] : 0.0f;
}

// Writes dy (NULL: zero) to out [T, N, D*W], with zeros in padding. Adds final [D, N, W], the gradient of the final
// state, to the row of each sample's last step in the order of the direction. id 1: row; id 2: direction.
kernel void rnn_join_final(global const real *dy, global const real *final, global const int *lengths,
                           global real *out, uint T, uint N, uint W, uint D)
{
    const size_t row = get_global_id(1), d = get_global_id(2), t = row / N, n = row % N, at = (row * D + d) * W;
    if (t >= T || d >= D)
        return;

    const size_t length = lengths ? (size_t)lengths[n] : (size_t)T;
    const bool given = t < length && dy, last = t == (d ? 0 : length - 1);

    FOR_ROW(j, W)
    {
        real sum = given ? dy[at + j] : 0.0f;

        if (last)
            sum += final[(d * N + n) * W + j];
        out[at + j] = sum;
    }
}

// Copies a row of `from` to out [N, W] for each sample (id 1): the row of the sample's first step in the order of
// direction d. from [rows, W] begins at element `offset` of its buffer.
kernel void rnn_first(global const real *from, global const int *lengths, global real *out, uint T, uint N, uint W,
                      uint d, uint offset)
{
    const size_t n = get_global_id(1);
    if (n >= N)
        return;

    const size_t t = d ? (lengths ? (size_t)lengths[n] : (size_t)T) - 1 : 0;

    FOR_ROW(j, W) out[n * W + j] = from[offset + (t * N + n) * W + j];
}
