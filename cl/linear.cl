// SPDX-License-Identifier: MIT
// Linear layers. linear_bias completes the product that a matrix multiply has computed. linear_fwd and linear_bwd
// compute whole layers with few outputs, without a separate multiply. Only linear_bwd uses the define OUTPUTS, the
// number of outputs O.
//
// Shapes: x, dx [rows, C]; weight, dweight [O, C]; y, dy [rows, O]; bias, dbias [O].
#include "reduce.h"

#ifndef OUTPUTS
#define OUTPUTS 1
#endif

// Adds the bias (may be NULL) to y, which holds x weight^T, and sets padding to zero.
kernel void linear_bias(global real *y, global const int *lengths, global const real *bias, uint rows, uint N,
                        uint O, uint chunk)
{
    const size_t count = (size_t)rows * O, last = min(count, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)e / O, start = (uint)(e - (size_t)r * O);
        const uint stop = (uint)min((size_t)O, start + (last - e));
        const bool valid = row_valid(lengths, N, r);
        global real *row = y + (size_t)r * O;

        for (uint o = start; o < stop; o += WIDTH) {
            realv v = 0.0f;

            if (valid)
                v = load(row + o, stop - o);
            if (valid && bias != 0)
                v += load(bias + o, stop - o);
            store(v, row + o, stop - o);
        }
        e += stop - start;
    }
}

// Computes the whole forward pass of a layer with few outputs. A team of LANES work-items (reduce.h) computes `chunk`
// rows.
kernel void linear_fwd(global const real *x, global const int *lengths, global const real *weight,
                       global const real *bias, global real *y, uint rows, uint N, uint C, uint O, uint chunk,
                       local real *scratch)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const bool valid = row_valid(lengths, N, r);

        for (uint o = 0; o < O; o++) {
            global const real *a = x + (size_t)r * C, *b = weight + (size_t)o * C;
            realv sum = 0.0f;
            real total;

            if (valid)
                for (uint c = LANE * WIDTH; c < C; c += LANES * WIDTH)
                    sum = fma(load(a + c, C - c), load(b + c, C - c), sum);
            total = LANE_SUM(sum_of(sum), scratch);
            if (LANE == 0)
                y[(size_t)r * O + o] = !valid ? 0.0f : bias != 0 ? total + bias[o] : total;
        }
    }
}

// Computes `chunk` numbers of dx, from number item * chunk on.
static inline void input_gradient(global const real *dy, global const int *lengths, global const real *weight,
                                  global real *dx, uint rows, uint N, uint C, uint chunk, uint item)
{
    const size_t count = (size_t)rows * C, last = min(count, ((size_t)item + 1) * chunk);

    for (size_t e = (size_t)item * chunk; e < last;) {
        const uint r = (uint)e / C, start = (uint)(e - (size_t)r * C);
        const uint stop = (uint)min((size_t)C, start + (last - e));
        const bool valid = row_valid(lengths, N, r);

        for (uint c = start; c < stop; c += WIDTH) {
            realv sum = 0.0f;

            if (valid)
                for (uint o = 0; o < OUTPUTS; o++)
                    sum = fma((realv)(dy[(size_t)r * OUTPUTS + o]), load(weight + (size_t)o * C + c, stop - c), sum);
            store(sum, dx + (size_t)r * C + c, stop - c);
        }
        e += stop - start;
    }
}

static inline void bias_gradient(global const int *lengths, global const real *dy, global real *out,
                                 uint first, uint last, uint N)
{
    for (uint o = 0; o < OUTPUTS; o++) {
        real sum = 0.0f;

        for (uint r = first; r < last;) {
            real part = 0.0f;

            for (const uint stop = min(last, r + RUN); r < stop; r++)
                if (row_valid(lengths, N, r))
                    part += dy[(size_t)r * OUTPUTS + o];
            sum += part;
        }
        out[o] = sum;
    }
}

// For one block of rows, computes columns [c, c + WIDTH) of dweight [blocks, OUTPUTS, C] and, if c is 0, dbias
// [blocks, OUTPUTS]. Both may be NULL.
static inline void weight_gradient(global const real *x, global const int *lengths, global const real *dy,
                                   global real *dweight, global real *dbias, uint rows, uint N, uint C, uint c,
                                   uint block, uint block_rows)
{
    const uint first = block * block_rows, last = min(rows, first + block_rows);
    total sum[OUTPUTS];

    if (c >= C || first >= rows)
        return;
    for (uint o = 0; o < OUTPUTS; o++)
        sum[o] = total_zero();
    for (uint r = first; r < last;) {
        for (const uint stop = min(last, r + RUN); r < stop; r++) {
            realv v;

            if (!row_valid(lengths, N, r))
                continue;
            v = load(x + (size_t)r * C + c, C - c);
            for (uint o = 0; o < OUTPUTS; o++)
                sum[o].part = fma((realv)(dy[(size_t)r * OUTPUTS + o]), v, sum[o].part);
        }
        for (uint o = 0; o < OUTPUTS; o++)
            sum[o] = total_run(sum[o]);
    }
    for (uint o = 0; o < OUTPUTS && dweight != 0; o++)
        store(sum[o].sum, dweight + ((size_t)block * OUTPUTS + o) * C + c, C - c);
    if (c == 0 && dbias != 0)
        bias_gradient(lengths, dy, dbias + (size_t)block * OUTPUTS, first, last, N);
}

// Computes the whole backward pass of a layer with few outputs. The first dx_items work-items compute dx. If dx is
// NULL, dx_items must be 0. The other work-items compute dweight and dbias, each of which may be NULL. There are
// `columns` of these work-items for each block of rows.
kernel void linear_bwd(global const real *x, global const int *lengths, global const real *weight,
                       global const real *dy, global real *dx, global real *dweight, global real *dbias, uint rows,
                       uint N, uint C, uint dx_items, uint chunk, uint columns, uint block_rows)
{
    const uint item = get_global_id(0);

    if (item < dx_items)
        input_gradient(dy, lengths, weight, dx, rows, N, C, chunk, item);
    else if (dweight != 0 || dbias != 0)
        weight_gradient(x, lengths, dy, dweight, dbias, rows, N, C, (item - dx_items) % columns * WIDTH,
                        (item - dx_items) / columns, block_rows);
}
