// SPDX-License-Identifier: MIT
// One time step of a recurrent layer after its matrix multiplies, forward and backward, an item per hidden
// unit; and the bias gradients. Serves every device; formulas in doc/maths.md, "RNN".
//
// Defines: H, D; CELL 0 rnn, 1 lstm, 2 gru; RELU (rnn); BIAS; LENGTHS. Row r = t * N + n.
//
// pre      [D, rows, ld]: pre-activations without bias in, activations out. rnn: y itself (ld D*H). gru:
//          columns r, z, n hold the input's part (r and z the hidden state's too), column block 3 W_hn h.
// cell     [D, T, N, H] or, with cell_step 0, [D, N, H] (nobody needs the past in inference).
// Padding  y, cell and gradients are written as 0 there, so that multiplies over all rows stay clean and
//          the reverse direction, which meets padding first, starts from a zero state.

#include "common.h"

#if CELL == 0
#define GATES 1
#define RESERVE 1
#elif CELL == 1
#define GATES 4
#define RESERVE 4
#else
#define GATES 3
#define RESERVE 4
#endif

kernel void rnn_step_fwd(global real *pre, global const real *bias_ih0, global const real *bias_hh0,
                         global const real *bias_ih1, global const real *bias_hh1, global real *cell,
                         global real *y, global const int *lengths, uint T, uint N, uint step, uint ld,
                         uint pre_direction, uint cell_step)
{
    const size_t j = get_global_id(0), n = get_global_id(1), d = get_global_id(2);
    if (j >= H || n >= N || d >= D)
        return;

    const size_t t = d ? T - 1 - step : step, r = t * N + n;
    global real *a = pre + d * pre_direction + r * ld + j;
    global real *h = y + r * D * H + d * H + j;
#if CELL == 1
    const size_t cells = cell_step ? T : 1;
    global real *c = cell + (d * cells * N + n) * H + j;
#endif
#if LENGTHS
    if ((int)t >= lengths[n]) {
        *h = 0.0f;
#if CELL == 1
        c[t * cell_step] = 0.0f;
#endif
        return;
    }
#endif
#if BIAS
    global const real *bi = (d ? bias_ih1 : bias_ih0) + j, *bh = (d ? bias_hh1 : bias_hh0) + j;
#endif
#if CELL == 0
    real s = a[0];
#if BIAS
    s += bi[0] + bh[0];
#endif
#if RELU
    *h = s < 0.0f ? 0.0f : s;
#else
    *h = tanh(s);
#endif
#elif CELL == 1
    real si = a[0], sf = a[H], sg = a[2 * H], so = a[3 * H];
#if BIAS
    si += bi[0] + bh[0];
    sf += bi[H] + bh[H];
    sg += bi[2 * H] + bh[2 * H];
    so += bi[3 * H] + bh[3 * H];
#endif
    const real i = sigmoid(si), f = sigmoid(sf), g = tanh(sg), o = sigmoid(so);
    const real before = step == 0 ? 0.0f : d ? c[(t + 1) * cell_step] : c[(t - 1) * cell_step];
    const real now = f * before + i * g;
    a[0] = i;
    a[H] = f;
    a[2 * H] = g;
    a[3 * H] = o;
    c[t * cell_step] = now;
    *h = o * tanh(now);
#else
    real sr = a[0], sz = a[H], sn = a[2 * H], hn = step == 0 ? 0.0f : a[3 * H];
#if BIAS
    sr += bi[0] + bh[0];
    sz += bi[H] + bh[H];
    sn += bi[2 * H];
    hn += bh[2 * H];
#endif
    const real q = sigmoid(sr), z = sigmoid(sz), m = tanh(sn + q * hn);
    const size_t next = (size_t)N * D * H;
    const real before = step == 0 ? 0.0f : d ? h[next] : *(h - next);
    a[0] = q;
    a[H] = z;
    a[2 * H] = m;
    a[3 * H] = hn;
    *h = m + z * (before - m);
#endif
}

// gates [D, rows, RESERVE*H]: activations in (rnn: nothing), gradients of the pre-activations out, gru: of
// r, z, n and of W_hn h + b_hn. through [D, N, H]: the gradient that reaches h from the step after; gru
// leaves there what bypasses the multiply. carry [D, N, H]: the same for the cell (lstm). step counts from
// the last one that forward took.
kernel void rnn_step_bwd(global real *gates, global const real *y, global const real *cell,
                         global const real *dy, global real *through, global real *carry,
                         global const int *lengths, uint T, uint N, uint step)
{
    const size_t j = get_global_id(0), n = get_global_id(1), d = get_global_id(2);
    if (j >= H || n >= N || d >= D)
        return;

    const size_t t = d ? step : T - 1 - step, r = t * N + n;
    global real *a = gates + ((d * T * N + r) * RESERVE) * H + j;
    const size_t state = (d * N + n) * H + j, out = r * D * H + d * H + j;
#if LENGTHS
    if ((int)t >= lengths[n]) {
        for (int k = 0; k < RESERVE; k++)
            a[k * H] = 0.0f;
        through[state] = 0.0f;
#if CELL == 1
        carry[state] = 0.0f;
#endif
        return;
    }
#endif
    const real dh = step == 0 ? dy[out] : dy[out] + through[state];
#if CELL == 0
    const real h = y[out];
#if RELU
    a[0] = h > 0.0f ? dh : 0.0f;
#else
    a[0] = dh * (1.0f - h * h);
#endif
#elif CELL == 1
    const real i = a[0], f = a[H], g = a[2 * H], o = a[3 * H];
    global const real *c = cell + (d * T * N + r) * H + j;
    const size_t next = (size_t)N * H;
    const real before = step + 1 == T ? 0.0f : d ? c[next] : *(c - next);
    const real now = tanh(c[0]);
    const real dc = (step == 0 ? 0.0f : carry[state]) + dh * o * (1.0f - now * now);
    a[0] = dc * g * i * (1.0f - i);
    a[H] = dc * before * f * (1.0f - f);
    a[2 * H] = dc * i * (1.0f - g * g);
    a[3 * H] = dh * now * o * (1.0f - o);
    carry[state] = dc * f;
#else
    const real q = a[0], z = a[H], m = a[2 * H], hn = a[3 * H];
    const size_t next = (size_t)N * D * H;
    const real before = step + 1 == T ? 0.0f : d ? y[out + next] : y[out - next];
    const real dn = dh * (1.0f - z) * (1.0f - m * m);
    a[0] = dn * hn * q * (1.0f - q);
    a[H] = dh * (before - m) * z * (1.0f - z);
    a[2 * H] = dn;
    a[3 * H] = dn * q;
    through[state] = dh * z;
#endif
}

// partial [chunks, D, RESERVE*H]: column sums of the gate gradients over `share` rows each.
kernel void rnn_bias_partial(global const real *gates, global real *partial, uint rows, uint share,
                             uint chunks)
{
    const size_t j = get_global_id(0), k = get_global_id(1), d = get_global_id(2);
    if (j >= RESERVE * H || k >= chunks || d >= D)
        return;

    const size_t first = k * share, last = min(first + share, (size_t)rows);
    real sum = 0.0f;
    for (size_t r = first; r < last; r++)
        sum += gates[(d * rows + r) * RESERVE * H + j];
    partial[(k * D + d) * RESERVE * H + j] = sum;
}

// Sums the partial ones of one direction in their order. db_ih or db_hh may be NULL.
kernel void rnn_bias_sum(global const real *partial, global real *db_ih, global real *db_hh, uint chunks,
                         uint direction)
{
    const size_t j = get_global_id(0);
    if (j >= GATES * H)
        return;

    global const real *p = partial + (size_t)direction * RESERVE * H;
    // gru: the hidden side's n stands in column block 3
    const size_t hidden = CELL == 2 && j >= 2 * H ? j + H : j;
    real ih = 0.0f, hh = 0.0f;
    for (size_t k = 0; k < chunks; k++) {
        ih += p[k * D * RESERVE * H + j];
        hh += p[k * D * RESERVE * H + hidden];
    }
    if (db_ih)
        db_ih[j] = ih;
    if (db_hh)
        db_hh[j] = hh;
}
