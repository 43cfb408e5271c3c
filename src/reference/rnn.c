// SPDX-License-Identifier: MIT
// One recurrent layer, sample by sample and step by step; doc/maths.md, "Recurrent layers".
#include <math.h>

#include "reference/rows.h"

// The weights of one direction, or their gradients.
struct weights {
    double *ih, *hh, *bias_ih, *bias_hh;
};

// The intermediate results for one sample in one direction. Index k counts the steps in the order in which the
// direction visits them; direction 1 goes backward in time. h and c have the state before step k at index k, and the
// state after step k at index k + 1. A gate has two pre-activations, one from the input and one from h. Its activation
// is that of their sum; gate n of gru first multiplies the one from h by gate r.
struct trace {
    double *h, *c;             // [T + 1, H]
    double *gate;              // [T, 4H]: activations; gru: r, z, n, W_hn h + b_hn
    double *input, *recurrent; // [G * H]: a step's two pre-activations; in backward their gradients
    double *dh, *dc;           // [H]
};

static bool trace_init(const struct clrnn_op *op, struct trace *s)
{
    const size_t T = op->T, H = op->rnn.H;
    double *memory = calloc(2 * (T + 1) * H + 4 * T * H + 8 * H + 2 * H, sizeof(*memory));

    if (!memory)
        return false;
    s->h = memory;
    s->c = s->h + (T + 1) * H;
    s->gate = s->c + (T + 1) * H;
    s->input = s->gate + 4 * T * H;
    s->recurrent = s->input + 4 * H;
    s->dh = s->recurrent + 4 * H;
    s->dc = s->dh + H;
    return true;
}

static void trace_finish(struct trace *s)
{
    free(s->h);
}

static struct weights weights_at(void *const slot[], size_t first, size_t direction)
{
    slot += first + 4 * direction;
    return (struct weights){slot[0], slot[1], slot[2], slot[3]};
}

static void step_fwd(const struct clrnn_op *op, struct trace *s, size_t k)
{
    const size_t H = op->rnn.H;
    const double *a = s->input, *b = s->recurrent, *h = s->h + k * H, *c = s->c + k * H;
    double *gate = s->gate + 4 * k * H, *h_next = s->h + (k + 1) * H, *c_next = s->c + (k + 1) * H;

    for (size_t j = 0; j < H; j++) {
        if (op->rnn.cell == CLRNN_CELL_LSTM) {
            c_next[j] = ref_cell(op, a + j, b + j, c[j], gate + j);
            h_next[j] = gate[3 * H + j] * tanh(c_next[j]);
        } else {
            h_next[j] = ref_cell(op, a + j, b + j, h[j], gate + j);
        }
    }
}

// Runs all steps of one sample forward, from the initial state h0, c0 (NULL: it is zero).
static void run_fwd(const struct clrnn_op *op, const double *x, struct weights w, const double *h0, const double *c0,
                    size_t direction, size_t n, size_t length, struct trace *s)
{
    const size_t C = op->C, H = op->rnn.H, GH = ref_gates(op);

    ref_take(s->h, h0, H);
    ref_take(s->c, c0, H);
    for (size_t k = 0; k < length; k++) {
        ref_zero(s->input, GH);
        ref_zero(s->recurrent, GH);
        if (w.bias_ih)
            ref_add(s->input, w.bias_ih, GH);
        if (w.bias_hh)
            ref_add(s->recurrent, w.bias_hh, GH);
        ref_matrix_vector(s->input, w.ih, x + ref_step_row(op, direction, length, k, n) * C, GH, C);
        ref_matrix_vector(s->recurrent, w.hh, s->h + k * H, GH, H);
        step_fwd(op, s, k);
    }
}

// Computes the backward pass of step k. On entry s->dh is the gradient of h and (lstm) s->dc the gradient of c. Writes
// the gradients of the two parts of the pre-activations to s->input and s->recurrent. On return s->dc is the gradient
// of the previous c, and s->dh the part of the gradient of the previous h that does not go through weight_hh (0 except
// for gru).
static void step_bwd(const struct clrnn_op *op, struct trace *s, size_t k)
{
    const size_t H = op->rnn.H;
    const double *h = s->h + k * H, *c = s->c + k * H;
    const double *gate = s->gate + 4 * k * H, *h_next = s->h + (k + 1) * H, *c_next = s->c + (k + 1) * H;

    for (size_t j = 0; j < H; j++) {
        const double *g = gate + j, dh = s->dh[j];
        double *da = s->input + j, *db = s->recurrent + j;

        switch (op->rnn.cell) {
        case CLRNN_CELL_RNN:
            da[0] = op->rnn.relu ? (h_next[j] > 0 ? dh : 0) : dh * (1 - h_next[j] * h_next[j]);
            db[0] = da[0];
            s->dh[j] = 0;
            break;
        case CLRNN_CELL_LSTM: {
            const double i = g[0], f = g[H], m = g[2 * H], o = g[3 * H], t = tanh(c_next[j]);
            const double dc = s->dc[j] + dh * o * (1 - t * t);

            da[0] = dc * m * i * (1 - i);
            da[H] = dc * c[j] * f * (1 - f);
            da[2 * H] = dc * i * (1 - m * m);
            da[3 * H] = dh * t * o * (1 - o);
            for (size_t q = 0; q < 4; q++)
                db[q * H] = da[q * H];
            s->dc[j] = dc * f;
            s->dh[j] = 0;
            break;
        }
        case CLRNN_CELL_GRU: {
            const double r = g[0], z = g[H], m = g[2 * H], hm = g[3 * H];
            const double dm = dh * (1 - z) * (1 - m * m);

            da[0] = db[0] = dm * hm * r * (1 - r);
            da[H] = db[H] = dh * (h[j] - m) * z * (1 - z);
            da[2 * H] = dm;
            db[2 * H] = dm * r;
            s->dh[j] = dh * z;
            break;
        }
        }
    }
}

// Runs all steps of one sample backward. s->dh and s->dc: on entry the gradients of the state after the last step, on
// return the gradients of the state before the first step. Adds to the gradients dw and dx.
static void run_bwd(const struct clrnn_op *op, const double *x, const double *dy, struct weights w, size_t direction,
                    size_t n, size_t length, struct trace *s, struct weights dw, double *dx)
{
    const size_t C = op->C, H = op->rnn.H, GH = ref_gates(op), width = op->rnn.D * H;

    for (size_t k = length; k-- > 0;) {
        const size_t r = ref_step_row(op, direction, length, k, n);

        if (dy)
            ref_add(s->dh, dy + r * width + direction * H, H);
        step_bwd(op, s, k);
        if (dw.ih)
            ref_outer(dw.ih, s->input, x + r * C, GH, C);
        if (dw.hh)
            ref_outer(dw.hh, s->recurrent, s->h + k * H, GH, H);
        if (dw.bias_ih)
            ref_add(dw.bias_ih, s->input, GH);
        if (dw.bias_hh)
            ref_add(dw.bias_hh, s->recurrent, GH);
        if (dx)
            ref_matrix_vector_back(dx + r * C, w.ih, s->input, GH, C);
        ref_matrix_vector_back(s->dh, w.hh, s->recurrent, GH, H);
    }
}

static bool rnn_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t H = op->rnn.H, width = op->rnn.D * H;
    double *y = out[RNN_Y];
    struct trace s;

    if (!trace_init(op, &s))
        return false;
    ref_zero(y, ref_rows(op) * width);
    for (size_t d = 0; d < op->rnn.D; d++)
        for (size_t n = 0; n < op->N; n++) {
            const size_t length = ref_length(op, in[RNN_LENGTHS], n);

            run_fwd(op, in[RNN_X], weights_at(in, RNN_WEIGHT_IH, d), ref_state(op, in[RNN_H0], d, n, H),
                    ref_state(op, in[RNN_C0], d, n, H), d, n, length, &s);
            ref_take(ref_state(op, out[RNN_HN], d, n, H), s.h + length * H, H);
            ref_take(ref_state(op, out[RNN_CN], d, n, H), s.c + length * H, H);
            for (size_t k = 0; k < length; k++)
                memcpy(y + ref_step_row(op, d, length, k, n) * width + d * H, s.h + (k + 1) * H, H * sizeof(*y));
        }
    trace_finish(&s);
    return true;
}

static bool rnn_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t C = op->C, H = op->rnn.H, GH = ref_gates(op);
    struct trace s;

    if (!trace_init(op, &s))
        return false;
    ref_zero(out[RNN_DX], ref_rows(op) * C);
    for (size_t d = 0; d < op->rnn.D; d++) {
        const struct weights w = weights_at(in, RNN_BWD_WEIGHT_IH, d), dw = weights_at(out, RNN_DWEIGHT_IH, d);

        ref_zero(dw.ih, GH * C);
        ref_zero(dw.hh, GH * H);
        ref_zero(dw.bias_ih, GH);
        ref_zero(dw.bias_hh, GH);
        for (size_t n = 0; n < op->N; n++) {
            const size_t length = ref_length(op, in[RNN_BWD_LENGTHS], n);

            run_fwd(op, in[RNN_BWD_X], w, ref_state(op, in[RNN_BWD_H0], d, n, H),
                    ref_state(op, in[RNN_BWD_C0], d, n, H), d, n, length, &s);
            ref_take(s.dh, ref_state(op, in[RNN_BWD_DHN], d, n, H), H);
            ref_take(s.dc, ref_state(op, in[RNN_BWD_DCN], d, n, H), H);
            run_bwd(op, in[RNN_BWD_X], in[RNN_BWD_DY], w, d, n, length, &s, dw, out[RNN_DX]);
            ref_take(ref_state(op, out[RNN_DH0], d, n, H), s.dh, H);
            ref_take(ref_state(op, out[RNN_DC0], d, n, H), s.dc, H);
        }
    }
    trace_finish(&s);
    return true;
}

// The error bounds of forward allow for two dot products and up to five activations in each step. Each activation has
// an error of up to 5 units in the last place, and every step depends on the previous step. The bounds of backward are
// twice as large, and allow for weight gradients that are summed over rows.
const struct clrnn_reference clrnn_rnn_fwd_reference = {
    rnn_fwd, {{RNN_Y, 8, TERMS_CELL, OF_TENSOR}, {ANY_SLOT, 0, TERMS_ONE, INTERNAL}}};
const struct clrnn_reference clrnn_rnn_bwd_reference = {rnn_bwd, {{ANY_SLOT, 16, TERMS_CELL_ROWS, OF_TENSOR}}};
