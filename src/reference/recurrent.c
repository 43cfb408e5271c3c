// SPDX-License-Identifier: MIT
// A recurrent layer with layer normalisation, a projection or dropout of its hidden state, sample by sample and step by
// step; doc/maths.md, "proj_size, recurrent_dropout, layer_norm".
#include <math.h>

#include "base/random.h"
#include "reference/rows.h"

#define EPS 1e-5

// The weights of one direction, or their gradients, in the order of the slots from RECURRENT_WEIGHT_IH on.
struct weights {
    double *ih, *hh, *bias_ih, *bias_hh, *hr, *gamma_ih, *gamma_hh, *gamma_c, *beta_c;
};

// The intermediate results for one sample in one direction. Index k counts the steps in the order in which the
// direction visits them; direction 1 goes backward in time. h and c have at index k the state before step k, and at
// index k + 1 the state after step k. A gate has two pre-activations, da from the input and db from h. Its activation
// is that of their sum; gate n of gru first multiplies db by gate r.
struct trace {
    double *memory;
    double *h, *c;                         // [T + 1, P], [T + 1, H]
    double *gate;                          // [T, 4H]: activations; gru: r, z, n, W_hn h + b_hn
    double *input, *hidden;                // [T, G*H]: W_ih x and W_hh h, normalised if layer_norm
    double *ih_scale, *hh_scale, *c_scale; // [T]: 1 / deviation
    // c_hat [T, H]: normalised cell.
    // wide [T, H]: h before the projection.
    double *c_hat, *wide;
    // mask [P]: dropout mask of the sample.
    // masked [P]: h times the mask.
    double *mask, *masked;
    double *da, *db;         // [G*H]: a step's two pre-activations; in backward their gradients
    double *dh, *dc, *dwide; // [P], [H], [H]
};

static double *take(double **at, size_t count)
{
    *at += count;
    return *at - count;
}

static bool trace_init(const struct clrnn_op *op, struct trace *s)
{
    const size_t T = op->T, H = op->rnn.H, P = op->recurrent.P, GH = ref_gates(op);
    double *at = calloc((T + 1) * (P + H) + T * (4 * H + 2 * GH + 3 + 2 * H) + 3 * P + 2 * GH + 2 * H, sizeof(*at));

    s->memory = at;
    if (!at)
        return false;
    s->h = take(&at, (T + 1) * P);
    s->c = take(&at, (T + 1) * H);
    s->gate = take(&at, T * 4 * H);
    s->input = take(&at, T * GH);
    s->hidden = take(&at, T * GH);
    s->ih_scale = take(&at, T);
    s->hh_scale = take(&at, T);
    s->c_scale = take(&at, T);
    s->c_hat = take(&at, T * H);
    s->wide = take(&at, T * H);
    s->mask = take(&at, P);
    s->masked = take(&at, P);
    s->da = take(&at, GH);
    s->db = take(&at, GH);
    s->dh = take(&at, P);
    s->dc = take(&at, H);
    s->dwide = take(&at, H);
    return true;
}

static struct weights weights_at(void *const slot[], size_t first, size_t direction)
{
    slot += first + RECURRENT_WEIGHTS * direction;
    return (struct weights){slot[0], slot[1], slot[2], slot[3], slot[4], slot[5], slot[6], slot[7], slot[8]};
}

static void draw_mask(const struct clrnn_op *op, const uint32_t *counter, size_t direction, size_t n, double *mask)
{
    const size_t P = op->recurrent.P;
    const double p = op->recurrent.p;
    struct clrnn_random random = {.stream = RANDOM_DROPOUT, .b = op->recurrent.stream + (uint32_t)direction};
    size_t first = n * P;
    uint32_t words[4];

    if (p > 0) {
        first = (counter[COUNTER_SAMPLE] + n) * P;
        random.seed = (uint64_t)counter[COUNTER_SEED_HI] << 32 | counter[COUNTER_SEED_LO];
        random.a = counter[COUNTER_STEP];
    }
    for (size_t i = 0; i < P; i++) {
        mask[i] = 1;
        if (p <= 0)
            continue;
        clrnn_random_block(&random, (uint32_t)((first + i) / 4), words);
        mask[i] = words[(first + i) % 4] >> 8 < (uint32_t)ceil(p * 0x1p24) ? 0 : p < 1 ? 1 / (1 - p) : 0;
    }
}

// Replaces x [count] by (x - mean) / sqrt(var + EPS). Returns 1 / sqrt(var + EPS).
static double normalise(double *x, size_t count)
{
    double mean = 0, var = 0, scale;

    for (size_t i = 0; i < count; i++)
        mean += x[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        var += (x[i] - mean) * (x[i] - mean) / (double)count;
    scale = 1 / sqrt(var + EPS);
    for (size_t i = 0; i < count; i++)
        x[i] = (x[i] - mean) * scale;
    return scale;
}

// The backward pass of `normalise`. g [count]: on entry the gradient of x_hat, the normalised x; on return the gradient
// of x. scale: the result of `normalise`.
static void normalise_back(double *g, const double *x_hat, double scale, size_t count)
{
    double mean = 0, mean_x = 0;

    for (size_t i = 0; i < count; i++) {
        mean += g[i] / (double)count;
        mean_x += g[i] * x_hat[i] / (double)count;
    }
    for (size_t i = 0; i < count; i++)
        g[i] = scale * (g[i] - mean - x_hat[i] * mean_x);
}

static void cell_fwd(const struct clrnn_op *op, struct trace *s, struct weights w, size_t k)
{
    const size_t H = op->rnn.H, GH = ref_gates(op);
    const double *a = s->da, *b = s->db, *c = s->c + k * H, *h = s->h + k * op->recurrent.P;
    double *gate = s->gate + 4 * k * H, *c_next = s->c + (k + 1) * H, *wide = s->wide + k * H, *hat = s->c_hat + k * H;

    for (size_t i = 0; i < GH; i++) {
        s->da[i] = (w.gamma_ih ? w.gamma_ih[i] : 1) * s->input[k * GH + i] + (w.bias_ih ? w.bias_ih[i] : 0);
        s->db[i] = (w.gamma_hh ? w.gamma_hh[i] : 1) * s->hidden[k * GH + i] + (w.bias_hh ? w.bias_hh[i] : 0);
    }
    for (size_t j = 0; j < H; j++) {
        if (op->rnn.cell == CLRNN_CELL_LSTM)
            c_next[j] = hat[j] = ref_cell(op, a + j, b + j, c[j], gate + j);
        else
            wide[j] = ref_cell(op, a + j, b + j, h[j], gate + j);
    }
    if (op->rnn.cell != CLRNN_CELL_LSTM)
        return;
    if (op->recurrent.layer_norm)
        s->c_scale[k] = normalise(hat, H);
    for (size_t j = 0; j < H; j++)
        wide[j] = gate[3 * H + j] * tanh(w.gamma_c ? w.gamma_c[j] * hat[j] + w.beta_c[j] : hat[j]);
}

// Runs all steps of one sample forward, from the initial state h0, c0 (NULL: it is zero).
static void run_fwd(const struct clrnn_op *op, void *const in[], const double *h0, const double *c0, size_t d, size_t n,
                    size_t length, struct trace *s)
{
    const size_t C = op->C, H = op->rnn.H, P = op->recurrent.P, GH = ref_gates(op);
    const struct weights w = weights_at(in, RECURRENT_WEIGHT_IH, d);
    const double *x = in[RECURRENT_X];

    draw_mask(op, in[RECURRENT_COUNTER], d, n, s->mask);
    ref_take(s->h, h0, P);
    ref_take(s->c, c0, H);
    for (size_t k = 0; k < length; k++) {
        double *h = s->h + k * P, *input = s->input + k * GH, *hidden = s->hidden + k * GH;

        ref_zero(input, GH);
        ref_zero(hidden, GH);
        for (size_t i = 0; i < P; i++)
            s->masked[i] = s->mask[i] * h[i];
        ref_matrix_vector(input, w.ih, x + ref_step_row(op, d, length, k, n) * C, GH, C);
        ref_matrix_vector(hidden, w.hh, s->masked, GH, P);
        if (op->recurrent.layer_norm) {
            s->ih_scale[k] = normalise(input, GH);
            s->hh_scale[k] = normalise(hidden, GH);
        }
        cell_fwd(op, s, w, k);
        ref_zero(h + P, P);
        if (w.hr)
            ref_matrix_vector(h + P, w.hr, s->wide + k * H, P, H);
        else
            memcpy(h + P, s->wide + k * H, H * sizeof(*h));
    }
}

// Computes the backward pass of step k. On entry s->dwide is the gradient of h before the projection, and s->dc the
// gradient of c. Computes s->da and s->db, the gradients of the two parts of the pre-activations. On return s->dc is
// the gradient of the previous c, and (gru) s->dh the part of the gradient of the previous h that does not go through
// weight_hh.
static void cell_bwd(const struct clrnn_op *op, struct trace *s, struct weights w, struct weights dw, size_t k)
{
    const size_t H = op->rnn.H;
    const double *gate = s->gate + 4 * k * H, *c = s->c + k * H, *h = s->h + k * op->recurrent.P;
    const double *hat = s->c_hat + k * H, *wide = s->wide + k * H;
    double *dcell = s->dwide; // lstm: gradient of the normalised cell, then of the cell

    for (size_t j = 0; j < H; j++) {
        const double *g = gate + j, dh = s->dwide[j];
        double *da = s->da + j, *db = s->db + j;

        if (op->rnn.cell == CLRNN_CELL_RNN) {
            da[0] = db[0] = op->rnn.relu ? (wide[j] > 0 ? dh : 0) : dh * (1 - wide[j] * wide[j]);
        } else if (op->rnn.cell == CLRNN_CELL_GRU) {
            const double r = g[0], z = g[H], m = g[2 * H], dm = dh * (1 - z) * (1 - m * m);

            da[0] = db[0] = dm * g[3 * H] * r * (1 - r);
            da[H] = db[H] = dh * (h[j] - m) * z * (1 - z);
            da[2 * H] = dm;
            db[2 * H] = dm * r;
            s->dh[j] = dh * z;
        } else {
            const double t = tanh(w.gamma_c ? w.gamma_c[j] * hat[j] + w.beta_c[j] : hat[j]), o = g[3 * H];
            const double dq = dh * o * (1 - t * t);

            da[3 * H] = db[3 * H] = dh * t * o * (1 - o);
            if (dw.gamma_c)
                dw.gamma_c[j] += dq * hat[j];
            if (dw.beta_c)
                dw.beta_c[j] += dq;
            dcell[j] = w.gamma_c ? dq * w.gamma_c[j] : dq;
        }
    }
    if (op->rnn.cell != CLRNN_CELL_LSTM)
        return;
    if (op->recurrent.layer_norm)
        normalise_back(dcell, hat, s->c_scale[k], H);
    for (size_t j = 0; j < H; j++) {
        const double i = gate[j], f = gate[H + j], m = gate[2 * H + j], dc = s->dc[j] + dcell[j];
        double *da = s->da + j, *db = s->db + j;

        da[0] = db[0] = dc * m * i * (1 - i);
        da[H] = db[H] = dc * c[j] * f * (1 - f);
        da[2 * H] = db[2 * H] = dc * i * (1 - m * m);
        s->dc[j] = dc * f;
    }
}

// The backward pass of gamma * hat + bias, where hat is the normalised matrix product. g: on entry the gradient of the
// sum, on return the gradient of the matrix product. Adds the gradients of gamma and of the bias to dgamma and dbias.
static void product_back(const struct clrnn_op *op, double *g, const double *hat, double scale, const double *gamma,
                         double *dgamma, double *dbias)
{
    const size_t GH = ref_gates(op);

    for (size_t i = 0; i < GH; i++) {
        if (dbias)
            dbias[i] += g[i];
        if (dgamma)
            dgamma[i] += g[i] * hat[i];
        if (gamma)
            g[i] *= gamma[i];
    }
    if (op->recurrent.layer_norm)
        normalise_back(g, hat, scale, GH);
}

// Runs all steps of one sample backward. s->dh and s->dc: on entry the gradients of the state after the last step, on
// return the gradients of the state before the first step. Adds to the gradients dw and dx.
static void run_bwd(const struct clrnn_op *op, void *const in[], size_t d, size_t n, size_t length, struct trace *s,
                    struct weights dw, double *dx)
{
    const size_t C = op->C, H = op->rnn.H, P = op->recurrent.P, GH = ref_gates(op), width = op->rnn.D * P;
    const struct weights w = weights_at(in, RECURRENT_WEIGHT_IH, d);
    const double *x = in[RECURRENT_X], *dy = in[RECURRENT_BWD_DY];

    for (size_t k = length; k-- > 0;) {
        const size_t r = ref_step_row(op, d, length, k, n);

        if (dy)
            ref_add(s->dh, dy + r * width + d * P, P);
        ref_zero(s->dwide, H);
        if (w.hr)
            ref_matrix_vector_back(s->dwide, w.hr, s->dh, P, H);
        else
            memcpy(s->dwide, s->dh, H * sizeof(*s->dh));
        if (dw.hr)
            ref_outer(dw.hr, s->dh, s->wide + k * H, P, H);
        ref_zero(s->dh, P);
        cell_bwd(op, s, w, dw, k);
        product_back(op, s->da, s->input + k * GH, s->ih_scale[k], w.gamma_ih, dw.gamma_ih, dw.bias_ih);
        product_back(op, s->db, s->hidden + k * GH, s->hh_scale[k], w.gamma_hh, dw.gamma_hh, dw.bias_hh);
        for (size_t i = 0; i < P; i++)
            s->masked[i] = s->mask[i] * s->h[k * P + i];
        if (dw.ih)
            ref_outer(dw.ih, s->da, x + r * C, GH, C);
        if (dw.hh)
            ref_outer(dw.hh, s->db, s->masked, GH, P);
        if (dx)
            ref_matrix_vector_back(dx + r * C, w.ih, s->da, GH, C);
        ref_zero(s->masked, P);
        ref_matrix_vector_back(s->masked, w.hh, s->db, GH, P);
        for (size_t i = 0; i < P; i++)
            s->dh[i] += s->mask[i] * s->masked[i];
    }
}

static bool recurrent_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t P = op->recurrent.P, H = op->rnn.H, width = op->rnn.D * P;
    double *y = out[RECURRENT_Y];
    struct trace s;

    if (!trace_init(op, &s))
        return false;
    ref_zero(y, ref_rows(op) * width);
    for (size_t d = 0; d < op->rnn.D; d++)
        for (size_t n = 0; n < op->N; n++) {
            const size_t length = ref_length(op, in[RECURRENT_LENGTHS], n);

            run_fwd(op, in, ref_state(op, in[RECURRENT_H0], d, n, P), ref_state(op, in[RECURRENT_C0], d, n, H), d, n,
                    length, &s);
            ref_take(ref_state(op, out[RECURRENT_HN], d, n, P), s.h + length * P, P);
            ref_take(ref_state(op, out[RECURRENT_CN], d, n, H), s.c + length * H, H);
            for (size_t k = 0; k < length; k++)
                memcpy(y + ref_step_row(op, d, length, k, n) * width + d * P, s.h + (k + 1) * P, P * sizeof(*y));
        }
    free(s.memory);
    return true;
}

static void zero_weights(const struct clrnn_op *op, struct weights dw)
{
    const size_t H = op->rnn.H, GH = ref_gates(op);

    ref_zero(dw.ih, GH * op->C);
    ref_zero(dw.hh, GH * op->recurrent.P);
    ref_zero(dw.bias_ih, GH);
    ref_zero(dw.bias_hh, GH);
    ref_zero(dw.hr, op->recurrent.P * H);
    ref_zero(dw.gamma_ih, GH);
    ref_zero(dw.gamma_hh, GH);
    ref_zero(dw.gamma_c, H);
    ref_zero(dw.beta_c, H);
}

static bool recurrent_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t P = op->recurrent.P, H = op->rnn.H;
    struct trace s;

    if (!trace_init(op, &s))
        return false;
    ref_zero(out[RECURRENT_DX], ref_rows(op) * op->C);
    for (size_t d = 0; d < op->rnn.D; d++) {
        const struct weights dw = weights_at(out, RECURRENT_DWEIGHT_IH, d);

        zero_weights(op, dw);
        for (size_t n = 0; n < op->N; n++) {
            const size_t length = ref_length(op, in[RECURRENT_LENGTHS], n);

            run_fwd(op, in, ref_state(op, in[RECURRENT_BWD_H0], d, n, P), ref_state(op, in[RECURRENT_BWD_C0], d, n, H),
                    d, n, length, &s);
            ref_take(s.dh, ref_state(op, in[RECURRENT_BWD_DHN], d, n, P), P);
            ref_take(s.dc, ref_state(op, in[RECURRENT_BWD_DCN], d, n, H), H);
            run_bwd(op, in, d, n, length, &s, dw, out[RECURRENT_DX]);
            ref_take(ref_state(op, out[RECURRENT_DH0], d, n, P), s.dh, P);
            ref_take(ref_state(op, out[RECURRENT_DC0], d, n, H), s.dc, H);
        }
    }
    free(s.memory);
    return true;
}

// The error bounds are twice those of rnn.c, to allow also for the two sums and the square root of each normalisation.
const struct clrnn_reference clrnn_recurrent_fwd_reference = {
    recurrent_fwd, {{RECURRENT_Y, 16, TERMS_CELL, OF_TENSOR}, {ANY_SLOT, 0, TERMS_ONE, INTERNAL}}};
const struct clrnn_reference clrnn_recurrent_bwd_reference = {recurrent_bwd,
                                                              {{ANY_SLOT, 32, TERMS_CELL_ROWS, OF_TENSOR}}};
