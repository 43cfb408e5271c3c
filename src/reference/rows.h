// SPDX-License-Identifier: MIT
// Helpers of the reference ops: padding, vectors times matrices, and logsumexp.
#ifndef CLRNN_SRC_REFERENCE_ROWS_H
#define CLRNN_SRC_REFERENCE_ROWS_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "reference/reference.h"

/** Returns the number of valid steps of sample n, at most T; T if lengths is NULL. */
static inline size_t ref_steps(const int32_t *lengths, size_t n, uint32_t T)
{
    if (!lengths || lengths[n] > (int64_t)T)
        return T;
    return lengths[n] < 0 ? 0 : (size_t)lengths[n];
}

/** Returns the number of valid steps of sample n in the op's input. */
static inline size_t ref_length(const struct clrnn_op *op, const int32_t *lengths, size_t n)
{
    return ref_steps(lengths, n, op->T);
}

/** Checks whether row r = t * N + n is valid, not padding. */
static inline bool ref_valid(const struct clrnn_op *op, const int32_t *lengths, size_t r)
{
    return r / op->N < ref_length(op, lengths, r % op->N);
}

static inline size_t ref_rows(const struct clrnn_op *op)
{
    return (size_t)op->T * op->N;
}

static inline void ref_zero(double *a, size_t count)
{
    if (a)
        memset(a, 0, count * sizeof(*a));
}

/** y [O] += w [O, K] x [K]. */
static inline void ref_matrix_vector(double *y, const double *w, const double *x, size_t O, size_t K)
{
    for (size_t o = 0; o < O; o++, w += K) {
        double sum[4] = {0, 0, 0, 0}; // four independent sums: one alone is limited by the latency of an addition
        size_t k = 0;

        for (; k + 4 <= K; k += 4)
            for (size_t i = 0; i < 4; i++)
                sum[i] += w[k + i] * x[k + i];
        for (; k < K; k++)
            sum[0] += w[k] * x[k];
        y[o] += (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

/** dx [K] += w [O, K]^T dy [O]. */
static inline void ref_matrix_vector_back(double *dx, const double *w, const double *dy, size_t O, size_t K)
{
    for (size_t o = 0; o < O; o++, w += K)
        for (size_t k = 0; k < K; k++)
            dx[k] += dy[o] * w[k];
}

/** dw [O, K] += dy [O] x [K]^T. */
static inline void ref_outer(double *dw, const double *dy, const double *x, size_t O, size_t K)
{
    for (size_t o = 0; o < O; o++, dw += K)
        for (size_t k = 0; k < K; k++)
            dw[k] += dy[o] * x[k];
}

/** The logsumexp of a row of x, L = ln(sum of e^x) = top + log_sum. It is stored as two numbers, because adding a large
 * `top` would round log_sum away. */
struct ref_logsumexp {
    // top: the largest x.
    // log_sum: ln(sum of e^(x - top)).
    double top, log_sum;
};

/** Returns the logsumexp of x [C]. */
static inline struct ref_logsumexp ref_logsumexp(const double *x, size_t C)
{
    struct ref_logsumexp total = {C ? x[0] : 0, 0};
    double sum = 0;

    for (size_t c = 1; c < C; c++)
        total.top = x[c] > total.top ? x[c] : total.top;
    for (size_t c = 0; c < C; c++)
        sum += exp(x[c] - total.top);
    total.log_sum = log(sum);
    return total;
}

/** Returns the log-softmax of an element x, x - L. total: L, the logsumexp of the row. */
static inline double ref_log_softmax(double x, struct ref_logsumexp total)
{
    return (x - total.top) - total.log_sum;
}

/** Returns where the W numbers of a direction and of sample n begin in a state [D, N, W]; NULL if `state` is NULL. */
static inline double *ref_state(const struct clrnn_op *op, void *state, size_t direction, size_t n, size_t W)
{
    return state ? (double *)state + (direction * op->N + n) * W : NULL;
}

/** Copies W numbers from `from` to `to`, or zeros if `from` is NULL. Does nothing if `to` is NULL. */
static inline void ref_take(double *to, const double *from, size_t W)
{
    if (to && from)
        memcpy(to, from, W * sizeof(*to));
    else
        ref_zero(to, W);
}

/** Returns the row of step k of sample n. k counts the sample's `length` steps, from 0, in the order in which the
 * direction visits them; direction 1 goes backward in time. */
static inline size_t ref_step_row(const struct clrnn_op *op, size_t direction, size_t length, size_t k, size_t n)
{
    return (direction ? length - 1 - k : k) * op->N + n;
}

/** Returns the number of rows of a recurrent op's weights: its number of gates times H. */
static inline size_t ref_gates(const struct clrnn_op *op)
{
    return op->rnn.H * (op->rnn.cell == CLRNN_CELL_RNN ? 1u : op->rnn.cell == CLRNN_CELL_GRU ? 3u : 4u);
}

static inline double ref_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

/** Computes a step of a hidden unit, and returns the new h of the unit (lstm: the new c).
 * a: what the input adds to the pre-activations, one number for each gate, H numbers apart.
 * b: what the hidden state adds to the pre-activations, laid out like a.
 * before: h of the unit in the previous step (lstm: c).
 * g: receives the activations of the gates, H numbers apart (lstm: i, f, g, o; gru: r, z, n, W_hn h + b_hn; rnn: not
 * written). */
static inline double ref_cell(const struct clrnn_op *op, const double *a, const double *b, double before, double *g)
{
    const size_t H = op->rnn.H;

    if (op->rnn.cell == CLRNN_CELL_RNN)
        return op->rnn.relu ? (a[0] + b[0] < 0 ? 0 : a[0] + b[0]) : tanh(a[0] + b[0]);
    g[0] = ref_sigmoid(a[0] + b[0]);
    g[H] = ref_sigmoid(a[H] + b[H]);
    if (op->rnn.cell == CLRNN_CELL_LSTM) {
        g[2 * H] = tanh(a[2 * H] + b[2 * H]);
        g[3 * H] = ref_sigmoid(a[3 * H] + b[3 * H]);
        return g[H] * before + g[0] * g[2 * H];
    }
    g[3 * H] = b[2 * H];
    g[2 * H] = tanh(a[2 * H] + g[0] * g[3 * H]);
    return (1 - g[H]) * g[2 * H] + g[H] * before;
}

static inline void ref_add(double *a, const double *b, size_t count)
{
    for (size_t i = 0; i < count; i++)
        a[i] += b[i];
}

#endif
