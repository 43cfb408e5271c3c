// SPDX-License-Identifier: MIT
// Measures one pass in train mode: gradients by layer and by time step, saturated and dead units.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "device/memory/buffer.h"
#include "diagnose/doctor/run.h"

#define GATE_ROWS 4096u // approximate maximum number of (step, sample) pairs whose gates are recomputed
#define GATE_END 4.595  // |pre-activation| above which a gate is saturated: sigmoid(4.595) = 0.99
#define TANH_END 0.99   // |output| above which a tanh is saturated; a sigmoid: above this or below 1 - this

void clrnn_activity_finish(struct clrnn_activity *a)
{
    free(a->time);
    free(a->layer_norm);
    *a = (struct clrnn_activity){0};
}

double clrnn_activity_fading(const struct clrnn_activity *a)
{
    double most = 0;

    for (uint32_t t = 0; t < a->T; t++)
        most = fmax(most, a->time[t]);
    return a->T > 1 && most > 0 ? a->time[0] / most : NAN;
}

// ---------------------------------------------------------------- gradients

enum clrnn_status clrnn_doctor_read_grad(struct clrnn_model *model, size_t entry, double **gradient)
{
    const struct clrnn_param *p = &model->entry[entry].param;
    enum clrnn_status st;

    *gradient = malloc(p->count * sizeof(**gradient));
    if (!*gradient)
        return clrnn_error_memory(model->log, p->count * sizeof(**gradient), p->name);
    st = clrnn_model_read_grad(model, entry, *gradient);
    if (st != CLRNN_OK) {
        free(*gradient);
        *gradient = NULL;
    }
    return st;
}

static enum clrnn_status norm_of_layer(struct clrnn_model *m, size_t layer, double *norm)
{
    double sum = 0;

    for (size_t i = 0; i < m->entry_count; i++) {
        const struct clrnn_param *p = &m->entry[i].param;
        double *g;

        if (m->entry[i].layer != layer || !p->trained)
            continue;
        TRY(clrnn_doctor_read_grad(m, i, &g));
        for (size_t k = 0; k < p->count; k++)
            sum += g[k] * g[k];
        free(g);
    }
    *norm = sqrt(sum);
    return CLRNN_OK;
}

static enum clrnn_status measure_layers(struct clrnn_model *m, struct clrnn_activity *a)
{
    const struct clrnn_config *c = m->config;

    a->first_layer = a->last_layer = SIZE_MAX;
    a->layer_norm = calloc(c->layer_count, sizeof(*a->layer_norm));
    if (!a->layer_norm)
        return clrnn_error_memory(m->log, c->layer_count * sizeof(*a->layer_norm), "gradients by layer");
    for (size_t i = 0; i < c->layer_count; i++) {
        TRY(norm_of_layer(m, i, &a->layer_norm[i]));
        if (!clrnn_layer_has_weights(&c->layer[i]))
            continue;
        if (a->first_layer == SIZE_MAX)
            a->first_layer = i;
        a->last_layer = i;
    }
    if (a->first_layer == SIZE_MAX)
        return CLRNN_OK;
    a->first_norm = a->layer_norm[a->first_layer];
    a->last_norm = a->layer_norm[a->last_layer];
    return CLRNN_OK;
}

// Sets a->time[T] to the norms of dx [T, N, C], the input gradient of the first recurrent layer.
static enum clrnn_status measure_time(const struct clrnn_session *p, struct clrnn_activity *a)
{
    const struct clrnn_graph *g = p->plan->graph;
    const struct clrnn_op *op = NULL;
    double *dx = NULL;
    enum clrnn_status st;

    for (size_t i = 0; i < g->op_count; i++) // the last layer's backward op is first: takes the last match
        if ((g->op[i].kind == CLRNN_OP_RNN_BWD || g->op[i].kind == CLRNN_OP_RECURRENT_BWD) &&
            g->op[i].out[RNN_DX] >= 0) // RECURRENT_DX has the same value as RNN_DX
            op = &g->op[i];
    if (!op || op->T < 2)
        return CLRNN_OK;
    st = clrnn_session_read(p, op->out[RNN_DX], &dx);
    if (st == CLRNN_OK)
        a->time = calloc(op->T, sizeof(*a->time));
    if (st == CLRNN_OK && !a->time)
        st = clrnn_error_memory(p->model->log, op->T * sizeof(*a->time), "gradients by time");
    if (st == CLRNN_OK) {
        const size_t width = (size_t)op->N * op->C;

        a->T = op->T;
        for (uint32_t t = 0; t < op->T; t++) {
            for (size_t i = 0; i < width; i++)
                a->time[t] += dx[t * width + i] * dx[t * width + i];
            a->time[t] = sqrt(a->time[t]);
        }
    }
    free(dx);
    return st;
}

// ---------------------------------------------------------------- saturated and dead units

// Whether step t of sample n is valid. `length` [N]: the samples' lengths at the op; NULL: no sample is padded.
static bool is_valid(const int32_t *length, uint32_t t, uint32_t n)
{
    return !length || t < (uint32_t)length[n];
}

// Judges the outputs y [T, N, C] of an activation. For tanh and sigmoid sets u->saturated to the fraction of values
// that are saturated (TANH_END). For relu sets u->dead to the fraction of the C columns that are always 0.
static void count_values(const double *y, uint32_t T, uint32_t N, uint32_t C, const int32_t *lengths,
                         enum clrnn_function function, struct clrnn_activity_units *u)
{
    double ends = 0, total = 0, never = 0;

    for (uint32_t c = 0; c < C; c++) {
        bool on = false;

        for (uint32_t t = 0; t < T; t++)
            for (uint32_t n = 0; n < N; n++) {
                const double value = y[((size_t)t * N + n) * C + c];

                if (T > 1 && !is_valid(lengths, t, n))
                    continue;
                total++;
                on = on || value > 0;
                ends +=
                    function == CLRNN_FUNCTION_TANH ? fabs(value) > TANH_END : value < 1 - TANH_END || value > TANH_END;
            }
        never += !on;
    }
    if (function == CLRNN_FUNCTION_RELU)
        u->dead = never / C;
    else
        u->saturated = ends / fmax(total, 1);
}

struct gate_weights {
    double *ih, *hh, *bias_ih, *bias_hh; // bias NULL: none
};

static void free_weights(struct gate_weights *w)
{
    free(w->ih);
    free(w->hh);
    free(w->bias_ih);
    free(w->bias_hh);
}

static enum clrnn_status read_weights(const struct clrnn_session *p, const struct clrnn_op *op, uint32_t direction,
                                      struct gate_weights *w)
{
    const int *in = op->in + 4 * direction;

    TRY(clrnn_session_read(p, in[RNN_WEIGHT_IH], &w->ih));
    TRY(clrnn_session_read(p, in[RNN_WEIGHT_HH], &w->hh));
    if (in[RNN_BIAS_IH] < 0)
        return CLRNN_OK;
    TRY(clrnn_session_read(p, in[RNN_BIAS_IH], &w->bias_ih));
    return clrnn_session_read(p, in[RNN_BIAS_HH], &w->bias_hh);
}

// Returns the value of a gate before its activation. j: the gate's row in the weights. x [C]: the input. h [H]: the
// previous state; NULL: zeros.
static double gate(const struct clrnn_op *op, const struct gate_weights *w, size_t j, const double *x, const double *h)
{
    const uint32_t H = op->rnn.H;
    double sum = w->bias_ih ? w->bias_ih[j] + w->bias_hh[j] : 0;

    for (uint32_t c = 0; c < op->C; c++)
        sum += w->ih[j * op->C + c] * x[c];
    for (uint32_t k = 0; h && k < H; k++)
        sum += w->hh[j * H + k] * h[k];
    return sum;
}

// Sets u->saturated to the fraction of saturated gates of an lstm (i, f, o) or gru (r, z). The gates are recomputed
// from the layer's input x and output y.
static enum clrnn_status count_gates(const struct clrnn_session *p, const struct clrnn_op *op, const double *x,
                                     const double *y, const int32_t *lengths, struct clrnn_activity_units *u)
{
    const uint32_t H = op->rnn.H, D = op->rnn.D, N = op->N, T = op->T;
    const uint32_t samples = MAX2(1u, MIN2(N, GATE_ROWS / T)), gates = op->rnn.cell == CLRNN_CELL_LSTM ? 4 : 2;
    double ends = 0, total = 0;

    for (uint32_t d = 0; d < D; d++) {
        struct gate_weights w = {0};
        enum clrnn_status st = read_weights(p, op, d, &w);

        for (uint32_t n = 0; st == CLRNN_OK && n < samples; n++)
            for (uint32_t t = 0; t < T; t++) {
                const bool begins = d ? t + 1 >= T || !is_valid(lengths, t + 1, n) : t == 0;
                const double *h = begins ? NULL : y + (((size_t)(d ? t + 1 : t - 1) * N + n) * D + d) * H;

                if (!is_valid(lengths, t, n))
                    continue;
                for (size_t j = 0; j < (size_t)gates * H; j++) {
                    if (gates == 4 && j / H == 2)
                        continue; // g is the cell candidate, not a gate
                    ends += fabs(gate(op, &w, j, x + ((size_t)t * N + n) * op->C, h)) > GATE_END;
                    total++;
                }
            }
        free_weights(&w);
        TRY(st);
    }
    u->saturated = ends / fmax(total, 1);
    return CLRNN_OK;
}

static enum clrnn_status read_lengths(const struct clrnn_session *p, int tensor, int32_t **lengths)
{
    const struct clrnn_tensor *t = &p->plan->graph->tensor[tensor];

    *lengths = malloc(MAX2(t->count, 1) * sizeof(**lengths));
    if (!*lengths)
        return clrnn_error_memory(p->model->log, t->count * sizeof(**lengths), t->name);
    return clrnn_buffer_read_i32(t->buffer, 0, t->count, *lengths);
}

static enum clrnn_status measure_op(const struct clrnn_session *p, const struct clrnn_op *op,
                                    struct clrnn_activity_units *u)
{
    const bool recurrent = op->kind == CLRNN_OP_RNN_FWD;
    const uint32_t C = recurrent ? op->rnn.H * op->rnn.D : op->C;
    const int of_samples = op->in[recurrent ? RNN_LENGTHS : POINTWISE_LENGTHS];
    int32_t *lengths = NULL;
    double *x = NULL, *y = NULL;
    enum clrnn_status st = clrnn_session_read(p, op->out[0], &y);

    *u = (struct clrnn_activity_units){.saturated = NAN, .dead = NAN};
    snprintf(u->layer, sizeof(u->layer), "%s", op->layer);
    if (st == CLRNN_OK && of_samples != CLRNN_NONE)
        st = read_lengths(p, of_samples, &lengths);
    if (st == CLRNN_OK && recurrent && op->rnn.cell != CLRNN_CELL_RNN) {
        st = clrnn_session_read(p, op->in[RNN_X], &x);
        if (st == CLRNN_OK)
            st = count_gates(p, op, x, y, lengths, u);
    } else if (st == CLRNN_OK) {
        count_values(y, op->T, op->N, C, lengths,
                     !recurrent     ? op->pointwise.function
                     : op->rnn.relu ? CLRNN_FUNCTION_RELU
                                    : CLRNN_FUNCTION_TANH,
                     u);
    }
    free(x);
    free(y);
    free(lengths);
    return st;
}

static enum clrnn_status measure_units(struct clrnn_examination *v, struct clrnn_activity *a)
{
    const struct clrnn_graph *g = v->probe->plan->graph;

    a->unit_count = 0;
    for (size_t i = 0; i < g->op_count && a->unit_count < ARRAY_SIZE(a->unit); i++) {
        const struct clrnn_op *op = &g->op[i];
        const bool pointwise = op->kind == CLRNN_OP_POINTWISE_FWD && (op->pointwise.function == CLRNN_FUNCTION_RELU ||
                                                                      op->pointwise.function == CLRNN_FUNCTION_TANH ||
                                                                      op->pointwise.function == CLRNN_FUNCTION_SIGMOID);

        if (op->kind == CLRNN_OP_RNN_FWD || pointwise)
            TRY(measure_op(v->probe, op, &a->unit[a->unit_count++]));
    }
    a->worst_saturated = a->worst_dead = NULL;
    for (const struct clrnn_activity_units *u = a->unit; u < a->unit + a->unit_count; u++) {
        if (!isnan(u->saturated) && (!a->worst_saturated || u->saturated > a->worst_saturated->saturated))
            a->worst_saturated = u;
        if (!isnan(u->dead) && (!a->worst_dead || u->dead > a->worst_dead->dead))
            a->worst_dead = u;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_activity_measure(struct clrnn_examination *v, struct clrnn_activity *a)
{
    struct clrnn_session_record record;

    clrnn_activity_finish(a);
    TRY(clrnn_doctor_again(v->probe, CLRNN_MODE_GRADIENT, &record));
    a->loss = record.loss;
    a->norm = record.grad_norm;
    TRY(measure_layers(v->probe->model, a));
    TRY(measure_time(v->probe, a));
    return measure_units(v, a);
}
