// SPDX-License-Identifier: MIT
// Kernels for recurrent layers with layer normalisation, a projection or dropout of the hidden state. They compute what
// remains of a time step after its matrix multiplies, forward and backward, and sums for the gradients. Formulas:
// doc/maths.md.
//
// Defines: CELL and RELU as in rnn_cell.h; NORM, whether the layer has layer_norm; WIDTH and LANES as in reduce.h. A
// team of LANES work-items computes a row of the batch. All loops over H give a hidden unit to the same lane. So a lane
// reads only what it has written itself, and no barrier is needed between the loops.
//
// A launch computes one direction d. Direction 1 goes backward in time. Row r = t * N + n. G is the number of gates. In
// padding h, cell and gradients become 0. Biases and lengths may be NULL.
//   input    [D, rows, G*H]: W_ih x; NORM replaces it by its normalised values
//   product  [D, rows, G*H]: W_hh h; NORM replaces it by its normalised values
//   stats    [D, rows, 4]: 1 / deviation of `input`, 1 / deviation of `product`, mean of the cell, 1 / deviation of the
//            cell
//   gates    [D, rows, 4*H]: activations of the gates; gru: r, z, n and W_hn h + b_hn
//   cell     [D, rows, H]
//   begin    [N, G*H]: W_hh h0 of direction d, which replaces `product` in a sample's first step; NULL: h0 is zero
//   state    [D, N, H]: the initial state c0 (lstm) or h0 (gru); NULL: the initial state is zero
//
// A sequence of `whole` steps may be processed in parts. Buffers then have T steps: those of the part and, where the
// sequence continues, one step before and one step after the part. States are read from these neighbouring steps. Step
// t of the buffers is step t + offset of dy and lengths.
#include "random.h"
#include "reduce.h"
#include "rnn_cell.h"
#include "slots.h"

#define EPS 1e-5f
#define FOR_LANE(c, C) for (uint c = LANE * WIDTH; c < (C); c += LANES * WIDTH)

// Checks whether t is the step of sample n that direction d visits first. Direction 1 begins at the last valid step.
static inline bool takes_first(global const int *lengths, uint d, uint n, uint t, uint T)
{
    return t == (d ? (lengths ? (uint)lengths[n] : T) - 1 : 0);
}

// Computes the mean and *scale = 1 / sqrt(variance + EPS) of a row of C numbers.
static inline void moments(global const real *a, uint C, local real *scratch, real *mean, real *scale)
{
    realv part = 0.0f;
    real sum;

    FOR_LANE(c, C) part += load(a + c, C - c);
    *mean = LANE_SUM(sum_of(part), scratch) / (real)C;
    part = 0.0f;
    FOR_LANE(c, C)
    {
        const realv d = load_or(a + c, C - c, *mean) - *mean;

        part += d * d;
    }
    sum = LANE_SUM(sum_of(part), scratch);
    *scale = 1.0f / sqrt(sum / (real)C + EPS);
}

// Computes one step forward. hidden: receives y or, if the layer has a projection (proj_size), the hidden state, which
// weight_hr then projects to y.
kernel void recurrent_step_fwd(struct recurrent_args args, global real *input, global real *product,
                               global real *stats, global const real *bias_ih, global const real *bias_hh,
                               global const real *gamma_ih, global const real *gamma_hh,
                               global const real *gamma_c, global const real *beta_c, global real *gates,
                               global real *cell, global real *hidden, global const int *lengths,
                               global const real *begin, global const real *state, local real *scratch)
{
    const uint T = args.T, N = args.N, H = args.H, d = args.direction, step = args.step, whole = args.whole,
               offset = args.offset, first = args.h_first, ld = args.h_ld, n = TEAM;
    if (n >= N)
        return;

    const uint t = d ? T - 1 - step : step, r = t * N + n, before = d ? r + N : r - N, time = t + offset;
    const size_t row = (size_t)d * T * N + r;
    global real *h = hidden + first + (size_t)r * ld, *past = hidden + first + (size_t)before * ld;
    global real *c = cell + row * H, *c_past = cell + ((size_t)d * T * N + before) * H;
    global real *a = input + row * GATES * H, *b = product + row * GATES * H, *gate = gates + row * 4 * H;
    global real *stat = stats + row * 4;
    real mean_a = 0.0f, mean_b = 0.0f, mean_c = 0.0f, scale_a = 1.0f, scale_b = 1.0f, scale_c = 1.0f;
    const bool initial = takes_first(lengths, d, n, time, whole), given = begin && initial;
    const bool multiplied = given || step > 0;
    global const real *past_product = given ? begin + (size_t)n * GATES * H : b;
    global const real *past_state = state && initial ? state + ((size_t)d * N + n) * H : state;
    const realv zero = 0.0f;

    if (lengths && (int)time >= lengths[n]) {
        FOR_LANE(j, H)
        {
            store_units(zero, h, j, H);
#if CELL == CELL_LSTM
            store_units(zero, c, j, H);
#endif
        }
        return;
    }
#if NORM
    moments(a, GATES * H, scratch, &mean_a, &scale_a);
    if (multiplied)
        moments(past_product, GATES * H, scratch, &mean_b, &scale_b);
#endif
    FOR_LANE(j, H)
    {
        realv p[4], q[4];

        for (uint g = 0; g < GATES; g++) {
            p[g] = load_units(a + g * H, j, H);
            q[g] = multiplied ? load_units(past_product + g * H, j, H) : zero;
#if NORM
            p[g] = (p[g] - mean_a) * scale_a;
            q[g] = (q[g] - mean_b) * scale_b;
            store_units(p[g], a + g * H, j, H);
            store_units(q[g], b + g * H, j, H);
            p[g] *= load_units(gamma_ih + g * H, j, H);
            q[g] *= load_units(gamma_hh + g * H, j, H);
#endif
            if (bias_ih) {
                p[g] += load_units(bias_ih + g * H, j, H);
                q[g] += load_units(bias_hh + g * H, j, H);
            }
        }
#if CELL == CELL_RNN
        store_units(rnn_activation(p[0] + q[0]), h, j, H);
#elif CELL == CELL_LSTM
        for (uint g = 0; g < 4; g++)
            p[g] += q[g];
        store_units(lstm_cell(p, state && initial ? load_units(past_state, j, H)
                                 : step > 0       ? load_units(c_past, j, H)
                                                  : zero),
                    c, j, H);
#else
        p[0] += q[0];
        p[1] += q[1];
        p[3] = q[2];
        store_units(gru_cell(p, state && initial ? load_units(past_state, j, H)
                                : step > 0       ? load_units(past, j, H)
                                                 : zero),
                    h, j, H);
#endif
#if CELL != CELL_RNN
        for (uint g = 0; g < 4; g++)
            store_units(p[g], gate + g * H, j, H);
#endif
    }
#if CELL == CELL_LSTM
#if NORM
    moments(c, H, scratch, &mean_c, &scale_c);
#endif
    FOR_LANE(j, H)
    {
        realv v = load_units(c, j, H);

#if NORM
        v = FMA((v - mean_c) * scale_c, load_units(gamma_c, j, H), load_units(beta_c, j, H));
#endif
        store_units(load_units(gate + 3 * H, j, H) * tanh_vec(v), h, j, H);
    }
#endif
    if (LANE == 0) {
        stat[0] = scale_a;
        stat[1] = scale_b;
        stat[2] = mean_c;
        stat[3] = scale_c;
    }
}

// Computes a row of dh [P], the gradient of h at step t of sample n. The row is the sum of:
// - dy
// - `through` [N, P], the gradient that the next step passes back through its multiply by the recurrent weights. With
//   dropout, `through` is multiplied by the mask [N, P].
// - for gru: `carry` [N, P], the gradient that the next step passes back without this multiply
static inline void join_row(struct recurrent_args args, uint t, uint n, global const real *dy,
                            global const real *through, global const real *mask, global const real *carry,
                            global real *dh)
{
    const uint P = args.P;
    const size_t row = (size_t)n * P;

    FOR_LANE(j, P)
    {
        realv sum = load_units(dy + (((size_t)(t + args.offset) * args.N + n) * args.D + args.direction) * P, j, P);

        if (args.step > 0) {
            const realv back = load_units(through + row, j, P);

            sum += mask ? load_units(mask + row, j, P) * back : back;
#if CELL == CELL_GRU
            sum += load_units(carry + args.carry_first + row, j, P);
#endif
        }
        store_units(sum, dh, j, P);
    }
}

// Computes dh [D, rows, P] for all rows of a step. A later launch multiplies dh by the weights of the projection.
kernel void recurrent_join(struct recurrent_args args, global const real *dy, global const real *through,
                           global const real *mask, global const real *carry, global real *dh,
                           global const int *lengths)
{
    const uint T = args.T, N = args.N, P = args.P, d = args.direction, n = TEAM;
    if (n >= N)
        return;

    const uint t = d ? args.step : T - 1 - args.step;
    global real *to = dh + ((size_t)d * T * N + t * N + n) * P;

    if (!lengths || (int)(t + args.offset) < lengths[n])
        join_row(args, t, n, dy, through, mask, carry, to);
    else
        FOR_LANE(j, P) store_units((realv)(0.0f), to, j, P);
}

// Computes one step backward. "Next" and "previous" step are meant in the order of the forward pass.
//   dh       [N, H]: the gradient of h before the projection. If dy is not NULL, the layer has no projection and dh is
//            computed here.
//   carry    [N, H]: on entry the gradient that the next step passes back to the cell (gru: to h, see join_row). On
//            return the gradient for the previous step or, after the last launch, for the initial state.
//   carried  [D, N, H]: gradient of the final cell, or NULL
//   da       [D, rows, G*H]: gradients of the input's part of the pre-activations
//   db       [D, rows, G*H]: gradients of the hidden state's part of the pre-activations
// With NORM:
//   ga       [D, rows, G*H]: gradients of W_ih x
//   gb       [D, rows, G*H]: gradients of W_hh h
//   dc       [D, rows, H]: gradient of gamma_c * normalised cell + beta_c
//   cell     on return the normalised cell, for the gradient of gamma_c
kernel void recurrent_step_bwd(struct recurrent_args args, global const real *input, global const real *product,
                               global const real *stats, global const real *gamma_ih,
                               global const real *gamma_hh, global const real *gamma_c,
                               global const real *beta_c, global const real *gates, global real *cell,
                               global const real *y, global const int *lengths, global const real *dy,
                               global const real *through, global const real *mask, global real *dh,
                               global real *carry, global real *da, global real *db, global real *ga,
                               global real *gb, global real *dc, global const real *state,
                               global const real *carried, local real *scratch)
{
    const uint T = args.T, N = args.N, H = args.H, D = args.D, d = args.direction, step = args.step,
               whole = args.whole, offset = args.offset, n = TEAM;
    if (n >= N)
        return;

    const uint t = d ? step : T - 1 - step, r = t * N + n, before = d ? r + N : r - N, time = t + offset;
    const bool start = step + 1 == T; // forward computed this step first
    const size_t row = (size_t)d * T * N + r, at = row * GATES * H;
    global const real *gate = gates + row * 4 * H, *stat = stats + row * 4;
    global real *above = dh + (size_t)n * H;
    global real *c = cell + row * H, *c_past = cell + ((size_t)d * T * N + before) * H;
    global real *pass = carry + args.carry_first + (size_t)n * H;
    global const real *past_state = state + ((size_t)d * N + n) * H, *last = carried + ((size_t)d * N + n) * H;
    const bool initial = state && takes_first(lengths, d, n, time, whole);
    const realv zero = 0.0f;

    if (lengths && (int)time >= lengths[n]) {
        FOR_LANE(j, H)
        {
            for (uint g = 0; g < GATES; g++) {
                store_units(zero, da + at + g * H, j, H);
                store_units(zero, db + at + g * H, j, H);
#if NORM
                store_units(zero, ga + at + g * H, j, H);
                store_units(zero, gb + at + g * H, j, H);
#endif
            }
#if NORM && CELL == CELL_LSTM
            store_units(zero, dc + row * H, j, H);
#endif
#if CELL != CELL_RNN
            if (step == 0)
                store_units(CELL == CELL_LSTM && carried ? load_units(last, j, H) : zero, pass, j, H);
#endif
        }
        return;
    }
    if (dy)
        join_row(args, t, n, dy, through, mask, carry, above);
#if NORM && CELL == CELL_LSTM
    const real mean_c = stat[2], scale_c = stat[3];
    realv sum = 0.0f, sum_c = 0.0f;

    FOR_LANE(j, H)
    {
        const realv hat = (load_units(c, j, H) - mean_c) * scale_c, gamma = load_units(gamma_c, j, H);
        const realv u = tanh_vec(FMA(hat, gamma, load_units(beta_c, j, H)));
        const realv g = load_units(above, j, H) * load_units(gate + 3 * H, j, H) * (1.0f - u * u);

        store_units(g, dc + row * H, j, H);
        sum += g * gamma;
        sum_c += g * gamma * hat;
    }
    const real mean_g = LANE_SUM(sum_of(sum), scratch) / (real)H, mean_gc = LANE_SUM(sum_of(sum_c), scratch) / (real)H;
#endif
#if NORM
    realv part_a = 0.0f, part_b = 0.0f, part_ax = 0.0f, part_bx = 0.0f;
#endif
    FOR_LANE(j, H)
    {
        realv a[4], g4[4];
        const realv top = load_units(above, j, H);

#if CELL == CELL_RNN
        g4[0] = rnn_gradient(top, load_units(y + ((size_t)r * D + d) * H, j, H));
#else
        for (uint g = 0; g < 4; g++)
            a[g] = load_units(gate + g * H, j, H);
#if CELL == CELL_GRU
        store_units(gru_gradient(top, initial ? load_units(past_state, j, H)
                                      : start ? zero
                                              : load_units(y + ((size_t)before * D + d) * H, j, H),
                                 a, g4),
                    pass, j, H);
#else
        const realv past = initial ? load_units(past_state, j, H) : start ? zero : load_units(c_past, j, H);
        const realv after = step > 0 ? load_units(pass, j, H) : carried ? load_units(last, j, H) : zero;
#if NORM
        const realv hat = (load_units(c, j, H) - mean_c) * scale_c, gamma = load_units(gamma_c, j, H);
        const realv u = tanh_vec(FMA(hat, gamma, load_units(beta_c, j, H)));
        const realv now =
            after + scale_c * ((load_units(dc + row * H, j, H) * gamma - mean_g) - hat * mean_gc);

        g4[0] = now * a[2] * a[0] * (1.0f - a[0]);
        g4[1] = now * past * a[1] * (1.0f - a[1]);
        g4[2] = now * a[0] * (1.0f - a[2] * a[2]);
        g4[3] = top * u * a[3] * (1.0f - a[3]);
        store_units(now * a[1], pass, j, H);
        store_units(hat, c, j, H);
#else
        store_units(lstm_gradient(top, after, tanh_vec(load_units(c, j, H)), past, a, g4), pass, j, H);
#endif
#endif
#endif
        for (uint g = 0; g < GATES; g++) {
            const realv left = g4[g], right = CELL == CELL_GRU && g == 2 ? g4[3] : g4[g];

            store_units(left, da + at + g * H, j, H);
            store_units(right, db + at + g * H, j, H);
#if NORM
            const realv p = left * load_units(gamma_ih + g * H, j, H), q = right * load_units(gamma_hh + g * H, j, H);

            part_a += p;
            part_b += q;
            part_ax += p * load_units(input + at + g * H, j, H);
            part_bx += q * load_units(product + at + g * H, j, H);
#endif
        }
    }
#if NORM
    const real C = (real)(GATES * H);
    const real mean_a = LANE_SUM(sum_of(part_a), scratch) / C, mean_ax = LANE_SUM(sum_of(part_ax), scratch) / C;
    const real mean_b = LANE_SUM(sum_of(part_b), scratch) / C, mean_bx = LANE_SUM(sum_of(part_bx), scratch) / C;

    FOR_LANE(j, H)
    {
        for (uint g = 0; g < GATES; g++) {
            const realv p = load_units(da + at + g * H, j, H) * load_units(gamma_ih + g * H, j, H);
            const realv q = load_units(db + at + g * H, j, H) * load_units(gamma_hh + g * H, j, H);

            store_units(stat[0] * ((p - mean_a) - load_units(input + at + g * H, j, H) * mean_ax), ga + at + g * H,
                        j, H);
            store_units(stat[1] * ((q - mean_b) - load_units(product + at + g * H, j, H) * mean_bx),
                        gb + at + g * H, j, H);
        }
    }
#endif
}

// How many rows ahead recurrent_sums prefetches: rows are so far apart that the hardware prefetcher does not fetch
// them.
#define SUMS_AHEAD 16u

// Sums g and g * x over the valid rows of each block of rows. Writes the sums of g to dbias, those of g * x to dgain
// [blocks, C]. Both may be NULL.
//   start    row of g and x [.., C] at which the blocks begin
//   rows     number of rows that the blocks divide
//   row      number of row `start` in the sequence
//   begun    index in dbias and dgain of the launch's first block
//   reverse  whether the first block has the last rows, not the first ones
kernel void recurrent_sums(global const real *g, global const real *x, global const int *lengths,
                           global real *dbias, global real *dgain, uint start, uint rows, uint row, uint N, uint C,
                           uint block_rows, uint begun, uint reverse)
{
    const uint c = get_global_id(0) * WIDTH, block = get_global_id(1), begin = block * block_rows;
    const uint end = min(rows, begin + block_rows), first = reverse ? rows - end : begin;
    const uint last = reverse ? rows - begin : end;
    total bias_sum = total_zero(), gain_sum = total_zero();

    if (c >= C || begin >= rows)
        return;
    for (uint r = first; r < last; bias_sum = total_run(bias_sum), gain_sum = total_run(gain_sum))
        for (const uint stop = min(last, r + RUN); r < stop; r++)
            if (row_valid(lengths, N, row + r)) {
                const size_t at = ((size_t)start + r) * C + c, ahead = at + (size_t)min(SUMS_AHEAD, last - 1 - r) * C;
                const realv v = load(g + at, C - c);

                PREFETCH(g + ahead);
                if (dgain)
                    PREFETCH(x + ahead);
                bias_sum = total_add(bias_sum, v);
                if (dgain)
                    gain_sum = total_add(gain_sum, v * load(x + at, C - c));
            }
    if (dbias)
        store(bias_sum.sum, dbias + (size_t)(begun + block) * C + c, C - c);
    if (dgain)
        store(gain_sum.sum, dgain + (size_t)(begun + block) * C + c, C - c);
}

// Draws the dropout mask [count], P numbers for each sample, each 0 or `scale`. The first sample is sample
// COUNTER_SAMPLE of the whole batch. A work-item computes four numbers of the mask. Their random words may begin in one
// block of random_block and end in the next.
kernel void recurrent_mask(global const uint *counter, global real *mask, uint count, uint P, uint stream,
                           uint threshold, real scale)
{
    const uint first = get_global_id(0) * 4;
    if (first >= count)
        return;

    const uint start = counter[COUNTER_SAMPLE] * P + first, shift = start & 3;
    const uint4 word = random_block(counter[COUNTER_SEED_LO], counter[COUNTER_SEED_HI], RANDOM_DROPOUT,
                                    counter[COUNTER_STEP], stream, start / 4) >> 8;
    const uint4 next = random_block(counter[COUNTER_SEED_LO], counter[COUNTER_SEED_HI], RANDOM_DROPOUT,
                                    counter[COUNTER_STEP], stream, start / 4 + 1) >> 8;
    const uint words[8] = {word.x, word.y, word.z, word.w, next.x, next.y, next.z, next.w};

    for (uint i = 0; i < 4 && first + i < count; i++)
        mask[first + i] = words[shift + i] >= threshold ? scale : 0.0f;
}

// Computes out [rows, P] = mask [N, P] * rows of y. The rows begin at element `first` of y and are ld elements apart.
kernel void recurrent_drop(global const real *y, global const real *mask, global real *out, uint first, uint rows,
                           uint N, uint P, uint ld)
{
    const uint r = TEAM;
    if (r >= rows)
        return;

    global const real *kept = mask + (size_t)(r % N) * P, *from = y + first + (size_t)r * ld;

    FOR_LANE(j, P) store_units(load_units(kept, j, P) * load_units(from, j, P), out + (size_t)r * P, j, P);
}

// Computes the gradient of h0: `through`, with dropout multiplied by the mask. Writes the gradient to dh0 [N, P] or, if
// `add`, adds it to dh0. dh0 begins at element `first` of its buffer.
kernel void recurrent_initial(global const real *through, global const real *mask, global real *dh0, uint count,
                              uint first, uint add)
{
    const uint i = get_global_id(0);
    if (i >= count)
        return;

    const real v = mask ? mask[i] * through[i] : through[i];
    dh0[first + i] = add ? dh0[first + i] + v : v;
}
