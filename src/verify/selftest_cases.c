// SPDX-License-Identifier: MIT
// The self-test's cases: what goes into each op.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "verify/selftest.h"

enum { SLOTS = 3, SLOT = 1 }; // of the records

/** Numbers of a shape that is tried on every op. */
struct size {
    uint32_t T, N, C, H; // H: hidden units, outputs of linear
    bool padded;
};

static void begin(struct selftest *s, enum clrnn_op_kind kind, const struct size *z, uint32_t C)
{
    clrnn_check_begin(&s->check, kind, z->T, z->N, C, 1000 * (uint64_t)kind + z->N);
}

static size_t rows_of(const struct size *z)
{
    return (size_t)z->T * z->N;
}

// Lengths where the shape is padded, with garbage in the padding of a REAL input.
static void spoil(struct selftest *s, const struct size *z, int slot, uint32_t row_size)
{
    if (z->padded)
        clrnn_check_spoil_padding(&s->check, slot, row_size);
}

static void lengths(struct selftest *s, const struct size *z, int slot)
{
    if (z->padded)
        clrnn_check_lengths(&s->check, slot);
}

// low + |v|, so that what must be positive is.
static void positive(float *v, size_t count, float low)
{
    for (size_t i = 0; v && i < count; i++)
        v[i] = low + fabsf(v[i]);
}

static void scaled(float *v, size_t count, float factor)
{
    for (size_t i = 0; v && i < count; i++)
        v[i] *= factor;
}

static void real_out(struct selftest *s, int slot, size_t count)
{
    clrnn_check_out(&s->check, slot, CLRNN_REAL, count, 0);
}

// ---------------------------------------------------------------- data in

static enum clrnn_status feed(struct selftest *s, const struct size *z, bool tokens, bool target_real)
{
    struct clrnn_check *c = &s->check;
    const uint32_t S = z->N + 4, T_data = z->T + 2;
    const size_t count = (size_t)S * T_data * (tokens ? 1 : z->C);

    begin(s, CLRNN_OP_FEED, z, z->C);
    snprintf(c->what, sizeof(c->what), "tokens=%d", tokens);
    c->op.feed.S = S;
    c->op.feed.T_data = T_data;
    c->op.feed.tokens = tokens;
    c->op.feed.target = true;
    c->op.feed.target_real = target_real;
    c->op.feed.target_steps = z->padded;
    clrnn_check_int(c, FEED_INDEX, z->N, 0, (int32_t)S - 1);
    c->in[FEED_INDEX].type = CLRNN_U32;
    if (tokens)
        clrnn_check_int(c, FEED_X, count, 0, 99);
    else
        clrnn_check_real(c, FEED_X, count);
    if (target_real)
        clrnn_check_real(c, FEED_Y, z->padded ? (size_t)S * T_data : S);
    else
        clrnn_check_int(c, FEED_Y, z->padded ? (size_t)S * T_data : S, 0, 9);
    if (!tokens) {
        clrnn_check_real(c, FEED_MEAN, z->C);
        positive(clrnn_check_real(c, FEED_STD, z->C), z->C, 0.5f);
    }
    if (z->padded)
        clrnn_check_int(c, FEED_LENGTHS, S, 1, (int32_t)T_data);
    clrnn_check_out(c, FEED_OUT_X, tokens ? CLRNN_I32 : CLRNN_REAL, rows_of(z) * (tokens ? 1 : z->C), 0);
    clrnn_check_out(c, FEED_OUT_Y, target_real ? CLRNN_REAL : CLRNN_I32, z->padded ? rows_of(z) : z->N, 0);
    if (z->padded)
        clrnn_check_out(c, FEED_OUT_LENGTHS, CLRNN_I32, z->N, 0);
    return selftest_run(s);
}

static enum clrnn_status embedding(struct selftest *s, const struct size *z, bool backward)
{
    struct clrnn_check *c = &s->check;
    const uint32_t V = z->H + 2;

    begin(s, backward ? CLRNN_OP_EMBEDDING_BWD : CLRNN_OP_EMBEDDING_FWD, z, z->C);
    c->op.embedding.V = V;
    c->op.embedding.padding_idx = z->padded ? 1 : -1;
    clrnn_check_int(c, EMBEDDING_X, rows_of(z), -1, (int32_t)V - 1);
    clrnn_check_real(c, backward ? EMBEDDING_BWD_DY : EMBEDDING_WEIGHT, (backward ? rows_of(z) : V) * z->C);
    real_out(s, 0, (backward ? V : rows_of(z)) * z->C);
    return selftest_run(s);
}

// ---------------------------------------------------------------- recurrent layers

struct cell {
    enum clrnn_cell kind;
    bool relu, bias;
    uint32_t D;
};

static void rnn_inputs(struct selftest *s, const struct size *z, const struct cell *cell)
{
    struct clrnn_check *c = &s->check;
    const size_t gates = (size_t)clrnn_cell_gates(cell->kind) * z->H;
    const float root = 1 / sqrtf((float)z->H);

    snprintf(c->what, sizeof(c->what), "cell=%d relu=%d H=%u D=%u padded=%d", cell->kind, cell->relu, z->H,
             cell->D, z->padded);
    c->op.rnn.cell = cell->kind;
    c->op.rnn.relu = cell->relu;
    c->op.rnn.bias = cell->bias;
    c->op.rnn.H = z->H;
    c->op.rnn.D = cell->D;
    clrnn_check_real(c, RNN_X, rows_of(z) * z->C);
    lengths(s, z, RNN_LENGTHS);
    spoil(s, z, RNN_X, z->C);
    for (int d = 0; d < (int)cell->D; d++) {
        const size_t ih = gates * z->C, hh = gates * z->H;

        scaled(clrnn_check_real(c, RNN_WEIGHT_IH + 4 * d, ih), ih, 1 / sqrtf((float)z->C));
        scaled(clrnn_check_real(c, RNN_WEIGHT_HH + 4 * d, hh), hh, root);
        if (!cell->bias)
            continue;
        scaled(clrnn_check_real(c, RNN_BIAS_IH + 4 * d, gates), gates, root);
        scaled(clrnn_check_real(c, RNN_BIAS_HH + 4 * d, gates), gates, root);
    }
}

// After the forward, whose results it reads.
static enum clrnn_status rnn_backward(struct selftest *s, const struct size *z, const struct cell *cell)
{
    struct clrnn_check *c = &s->check;
    const size_t gates = (size_t)clrnn_cell_gates(cell->kind) * z->H;
    const size_t states = cell->D * rows_of(z) * z->H;
    float *y = c->got[RNN_Y], *reserve = c->got[RNN_GATES], *cells = c->got[RNN_CELL];

    c->got[RNN_Y] = c->got[RNN_GATES] = c->got[RNN_CELL] = NULL;
    begin(s, CLRNN_OP_RNN_BWD, z, z->C);
    c->random.seed = 1000 * (uint64_t)CLRNN_OP_RNN_FWD + z->N; // the forward's inputs once more
    rnn_inputs(s, z, cell);
    clrnn_check_given(c, RNN_BWD_Y, y, states);
    clrnn_check_given(c, RNN_BWD_GATES, reserve, states * clrnn_cell_reserve(cell->kind));
    if (cells)
        clrnn_check_given(c, RNN_BWD_CELL, cells, states);
    c->in[RNN_BWD_GATES].spent = c->in[RNN_BWD_CELL].spent = true;
    clrnn_check_real(c, RNN_BWD_DY, states);
    spoil(s, z, RNN_BWD_DY, cell->D * z->H);
    clrnn_check_out_rows(c, RNN_DX, z->C, 0);
    for (int d = 0; d < (int)cell->D; d++) {
        real_out(s, RNN_DWEIGHT_IH + 4 * d, gates * z->C);
        real_out(s, RNN_DWEIGHT_HH + 4 * d, gates * z->H);
        if (!cell->bias)
            continue;
        real_out(s, RNN_DBIAS_IH + 4 * d, gates);
        real_out(s, RNN_DBIAS_HH + 4 * d, gates);
    }
    return selftest_run(s);
}

static enum clrnn_status rnn(struct selftest *s, const struct size *z, const struct cell *cell)
{
    struct clrnn_check *c = &s->check;
    const size_t states = cell->D * rows_of(z) * z->H;

    begin(s, CLRNN_OP_RNN_FWD, z, z->C);
    rnn_inputs(s, z, cell);
    clrnn_check_out_rows(c, RNN_Y, cell->D * z->H, 0);
    real_out(s, RNN_GATES, states * clrnn_cell_reserve(cell->kind));
    if (cell->kind == CLRNN_CELL_LSTM)
        real_out(s, RNN_CELL, states);
    TRY(selftest_run(s));
    return rnn_backward(s, z, cell);
}

static enum clrnn_status every_cell(struct selftest *s, const struct size *z, uint32_t D)
{
    const struct cell cells[] = {
        {CLRNN_CELL_RNN, false, true, D},
        {CLRNN_CELL_RNN, true, false, 1},
        {CLRNN_CELL_LSTM, false, true, D},
        {CLRNN_CELL_GRU, false, true, D},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
        TRY(rnn(s, z, &cells[i]));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- normalisation

static enum clrnn_status batchnorm(struct selftest *s, const struct size *z, bool batch_stats)
{
    struct clrnn_check *c = &s->check;

    begin(s, CLRNN_OP_BATCHNORM_FWD, z, z->C);
    snprintf(c->what, sizeof(c->what), "batch_stats=%d padded=%d", batch_stats, z->padded);
    c->op.norm.eps = 1e-5;
    c->op.norm.momentum = 0.1;
    c->op.norm.batch_stats = batch_stats;
    clrnn_check_real(c, BATCHNORM_X, rows_of(z) * z->C);
    clrnn_check_real(c, BATCHNORM_WEIGHT, z->C);
    clrnn_check_real(c, BATCHNORM_BIAS, z->C);
    clrnn_check_real(c, BATCHNORM_RUNNING_MEAN, z->C);
    positive(clrnn_check_real(c, BATCHNORM_RUNNING_VAR, z->C), z->C, 0.1f);
    lengths(s, z, BATCHNORM_LENGTHS);
    spoil(s, z, BATCHNORM_X, z->C);
    clrnn_check_out_rows(c, BATCHNORM_Y, z->C, 0);
    if (batch_stats) {
        real_out(s, BATCHNORM_MEAN, z->C);
        real_out(s, BATCHNORM_INVSTD, z->C);
        clrnn_check_updated_input(c, BATCHNORM_NEW_MEAN, BATCHNORM_RUNNING_MEAN, 0);
        clrnn_check_updated_input(c, BATCHNORM_NEW_VAR, BATCHNORM_RUNNING_VAR, 0);
    }
    return selftest_run(s);
}

// Batch and layer normalisation have their backward's slots in the same order.
static enum clrnn_status norm_backward(struct selftest *s, const struct size *z, enum clrnn_op_kind kind)
{
    struct clrnn_check *c = &s->check;
    const size_t groups = kind == CLRNN_OP_BATCHNORM_BWD ? z->C : rows_of(z);

    begin(s, kind, z, z->C);
    c->op.norm.batch_stats = true;
    clrnn_check_real(c, BATCHNORM_BWD_X, rows_of(z) * z->C);
    clrnn_check_real(c, BATCHNORM_BWD_DY, rows_of(z) * z->C);
    clrnn_check_real(c, BATCHNORM_BWD_WEIGHT, z->C);
    clrnn_check_real(c, BATCHNORM_BWD_MEAN, groups);
    positive(clrnn_check_real(c, BATCHNORM_BWD_INVSTD, groups), groups, 0.5f);
    lengths(s, z, BATCHNORM_BWD_LENGTHS);
    spoil(s, z, BATCHNORM_BWD_X, z->C);
    spoil(s, z, BATCHNORM_BWD_DY, z->C);
    clrnn_check_out_rows(c, BATCHNORM_DX, z->C, 0);
    real_out(s, BATCHNORM_DWEIGHT, z->C);
    real_out(s, BATCHNORM_DBIAS, z->C);
    return selftest_run(s);
}

static enum clrnn_status layernorm(struct selftest *s, const struct size *z)
{
    struct clrnn_check *c = &s->check;

    begin(s, CLRNN_OP_LAYERNORM_FWD, z, z->C);
    c->op.norm.eps = 1e-5;
    clrnn_check_real(c, LAYERNORM_X, rows_of(z) * z->C);
    clrnn_check_real(c, LAYERNORM_WEIGHT, z->C);
    clrnn_check_real(c, LAYERNORM_BIAS, z->C);
    lengths(s, z, LAYERNORM_LENGTHS);
    spoil(s, z, LAYERNORM_X, z->C);
    clrnn_check_out_rows(c, LAYERNORM_Y, z->C, 0);
    real_out(s, LAYERNORM_MEAN, rows_of(z));
    real_out(s, LAYERNORM_INVSTD, rows_of(z));
    return selftest_run(s);
}

static enum clrnn_status norms(struct selftest *s, const struct size *z)
{
    TRY(batchnorm(s, z, true));
    TRY(batchnorm(s, z, false));
    TRY(norm_backward(s, z, CLRNN_OP_BATCHNORM_BWD));
    TRY(layernorm(s, z));
    return norm_backward(s, z, CLRNN_OP_LAYERNORM_BWD);
}

// ---------------------------------------------------------------- dense, dropout, pointwise, pools

static enum clrnn_status linear(struct selftest *s, const struct size *z)
{
    struct clrnn_check *c = &s->check;

    begin(s, CLRNN_OP_LINEAR_FWD, z, z->C);
    c->op.linear.O = z->H;
    snprintf(c->what, sizeof(c->what), "O=%u padded=%d", z->H, z->padded);
    clrnn_check_real(c, LINEAR_X, rows_of(z) * z->C);
    clrnn_check_real(c, LINEAR_WEIGHT, (size_t)z->H * z->C);
    clrnn_check_real(c, LINEAR_BIAS, z->H);
    lengths(s, z, LINEAR_LENGTHS);
    spoil(s, z, LINEAR_X, z->C);
    clrnn_check_out_rows(c, LINEAR_Y, z->H, 0);
    TRY(selftest_run(s));

    begin(s, CLRNN_OP_LINEAR_BWD, z, z->C);
    c->op.linear.O = z->H;
    snprintf(c->what, sizeof(c->what), "O=%u padded=%d", z->H, z->padded);
    clrnn_check_real(c, LINEAR_BWD_X, rows_of(z) * z->C);
    clrnn_check_real(c, LINEAR_BWD_WEIGHT, (size_t)z->H * z->C);
    clrnn_check_real(c, LINEAR_BWD_DY, rows_of(z) * z->H);
    lengths(s, z, LINEAR_BWD_LENGTHS);
    spoil(s, z, LINEAR_BWD_X, z->C);
    spoil(s, z, LINEAR_BWD_DY, z->H);
    clrnn_check_out_rows(c, LINEAR_DX, z->C, 0);
    real_out(s, LINEAR_DWEIGHT, (size_t)z->H * z->C);
    real_out(s, LINEAR_DBIAS, z->H);
    return selftest_run(s);
}

// Dropout is where a device draws random numbers.
static enum clrnn_status dropout(struct selftest *s, const struct size *z, double p)
{
    struct clrnn_check *c = &s->check;

    for (int backward = 0; backward < 2; backward++) {
        begin(s, backward ? CLRNN_OP_DROPOUT_BWD : CLRNN_OP_DROPOUT_FWD, z, z->C);
        snprintf(c->what, sizeof(c->what), "p=%g", p);
        c->op.dropout.p = p;
        c->op.dropout.stream = 3;
        clrnn_check_real(c, DROPOUT_X, rows_of(z) * z->C);
        clrnn_check_counter(c, DROPOUT_COUNTER, 41, 0);
        real_out(s, DROPOUT_Y, rows_of(z) * z->C);
        TRY(selftest_run(s));
    }
    return CLRNN_OK;
}

static float function_of(enum clrnn_function f, float x, float sum)
{
    switch (f) {
    case CLRNN_RELU:
        return fmaxf(x, 0);
    case CLRNN_TANH:
        return tanhf(x);
    case CLRNN_SIGMOID:
        return 1 / (1 + expf(-x));
    case CLRNN_ROUND:
        return rintf(x);
    case CLRNN_SOFTMAX:
        return expf(x) / sum;
    case CLRNN_LOG_SOFTMAX:
        break;
    }
    return x - logf(sum);
}

static void fill_y(enum clrnn_function f, size_t rows, size_t C, const float *x, float *y)
{
    for (size_t r = 0; x && y && r < rows; r++) {
        float sum = 0;

        for (size_t i = r * C; i < (r + 1) * C; i++)
            sum += expf(x[i]);
        for (size_t i = r * C; i < (r + 1) * C; i++)
            y[i] = function_of(f, x[i], sum);
    }
}

static enum clrnn_status pointwise(struct selftest *s, const struct size *z, enum clrnn_function f)
{
    struct clrnn_check *c = &s->check;
    const size_t count = rows_of(z) * z->C;
    float *x, *y;

    begin(s, CLRNN_OP_POINTWISE_FWD, z, z->C);
    c->op.pointwise.function = f;
    snprintf(c->what, sizeof(c->what), "function=%d padded=%d", f, z->padded);
    scaled(clrnn_check_real(c, POINTWISE_X, count), count, 3);
    lengths(s, z, POINTWISE_LENGTHS);
    spoil(s, z, POINTWISE_X, z->C);
    clrnn_check_out_rows(c, POINTWISE_Y, z->C, 0);
    TRY(selftest_run(s));

    begin(s, CLRNN_OP_POINTWISE_BWD, z, z->C);
    c->op.pointwise.function = f;
    snprintf(c->what, sizeof(c->what), "function=%d padded=%d", f, z->padded);
    x = clrnn_check_real(c, POINTWISE_BWD_X, count);
    y = clrnn_check_real(c, POINTWISE_BWD_Y, count);
    fill_y(f, rows_of(z), z->C, x, y);
    clrnn_check_real(c, POINTWISE_BWD_DY, count);
    lengths(s, z, POINTWISE_BWD_LENGTHS);
    for (int slot = POINTWISE_BWD_X; slot <= POINTWISE_BWD_DY; slot++)
        if (slot != POINTWISE_BWD_LENGTHS)
            spoil(s, z, slot, z->C);
    clrnn_check_out_rows(c, POINTWISE_DX, z->C, 0);
    return selftest_run(s);
}

static enum clrnn_status pool(struct selftest *s, const struct size *z, enum clrnn_pool_over over)
{
    struct clrnn_check *c = &s->check;
    const uint32_t C = 2 * z->C; // both directions
    int32_t *step = NULL;

    begin(s, CLRNN_OP_POOL_FWD, z, C);
    c->op.pool.over = over;
    c->op.pool.D = 2;
    snprintf(c->what, sizeof(c->what), "over=%d padded=%d", over, z->padded);
    clrnn_check_real(c, POOL_X, rows_of(z) * C);
    lengths(s, z, POOL_LENGTHS);
    spoil(s, z, POOL_X, C);
    real_out(s, POOL_Y, (size_t)z->N * C);
    if (over == CLRNN_POOL_MAX)
        clrnn_check_out(c, POOL_ARGMAX, CLRNN_I32, (size_t)z->N * C, 0);
    TRY(selftest_run(s));

    begin(s, CLRNN_OP_POOL_BWD, z, C);
    c->op.pool.over = over;
    c->op.pool.D = 2;
    snprintf(c->what, sizeof(c->what), "over=%d padded=%d", over, z->padded);
    lengths(s, z, POOL_BWD_LENGTHS);
    if (over == CLRNN_POOL_MAX)
        step = clrnn_check_int(c, POOL_BWD_ARGMAX, (size_t)z->N * C, 0, (int32_t)z->T - 1);
    for (uint32_t i = 0; step && z->padded && !c->no_memory && i < z->N * C; i++)
        step[i] %= c->in[POOL_BWD_LENGTHS].word[i / C];
    clrnn_check_real(c, POOL_BWD_DY, (size_t)z->N * C);
    clrnn_check_out_rows(c, POOL_DX, C, 0);
    return selftest_run(s);
}

// ---------------------------------------------------------------- loss and update

static enum clrnn_status loss(struct selftest *s, const struct size *z, enum clrnn_loss_kind kind)
{
    struct clrnn_check *c = &s->check;
    const bool classes = kind == CLRNN_LOSS_CROSS_ENTROPY || kind == CLRNN_LOSS_NLL;
    const uint32_t C = classes ? z->C : 1;
    float *target;

    begin(s, CLRNN_OP_LOSS, z, C);
    snprintf(c->what, sizeof(c->what), "loss=%d padded=%d", kind, z->padded);
    c->op.loss.kind = kind;
    c->op.loss.label_smoothing = kind == CLRNN_LOSS_CROSS_ENTROPY && z->padded ? 0.1 : 0;
    c->op.loss.ignore_index = 0;
    c->op.loss.slots = SLOTS;
    clrnn_check_real(c, LOSS_X, rows_of(z) * C);
    if (classes) {
        clrnn_check_int(c, LOSS_TARGET, rows_of(z), 0, (int32_t)C - 1);
    } else {
        target = clrnn_check_real(c, LOSS_TARGET, rows_of(z));
        for (size_t r = 0; target && kind == CLRNN_LOSS_BCE_WITH_LOGITS && r < rows_of(z); r++)
            target[r] = target[r] > 0;
    }
    if (kind != CLRNN_LOSS_MSE)
        positive(clrnn_check_real(c, LOSS_WEIGHT, C), C, 0.1f);
    clrnn_check_counter(c, LOSS_COUNTER, 17, SLOT);
    lengths(s, z, LOSS_LENGTHS);
    spoil(s, z, LOSS_X, C);
    clrnn_check_out_rows(c, LOSS_DX, C, 0);
    clrnn_check_updated(c, LOSS_RECORD, SLOTS * RECORD_FIELDS, 0);
    return selftest_run(s);
}

static enum clrnn_status grad_norm(struct selftest *s, size_t count)
{
    struct clrnn_check *c = &s->check;

    clrnn_check_begin(c, CLRNN_OP_GRAD_NORM, 1, 1, 1, 1);
    snprintf(c->what, sizeof(c->what), "count=%zu", count);
    c->op.optim.count = count;
    clrnn_check_real(c, GRAD_NORM_GRADS, count);
    clrnn_check_counter(c, GRAD_NORM_COUNTER, 3, SLOT);
    real_out(s, GRAD_NORM_NORM, 1);
    clrnn_check_updated(c, GRAD_NORM_RECORD, SLOTS * RECORD_FIELDS, 0);
    return selftest_run(s);
}

static void fill_hyper(float *hyper)
{
    if (!hyper)
        return;
    hyper[HYPER_LR] = 0.01f;
    hyper[HYPER_MOMENTUM] = 0.9f;
    hyper[HYPER_STEP_SIZE] = 0.037f;
    hyper[HYPER_ROOT_BC2] = 0.0547f;
    hyper[HYPER_ONE_MINUS_BETA1] = 0.1f;
    hyper[HYPER_FIRST] = 0;
}

static enum clrnn_status update(struct selftest *s, size_t count, enum clrnn_optimizer_kind kind, bool more)
{
    struct clrnn_check *c = &s->check;
    float *v, *norm;

    clrnn_check_begin(c, CLRNN_OP_OPTIM, 1, 1, 1, 2);
    snprintf(c->what, sizeof(c->what), "kind=%d count=%zu more=%d", kind, count, more);
    c->op.optim.kind = kind;
    c->op.optim.count = count;
    c->op.optim.beta2 = 0.999;
    c->op.optim.alpha = 0.99;
    c->op.optim.eps = 1e-8;
    c->op.optim.clip_max_norm = more ? 1 : 0;
    c->op.optim.weight_decay = more ? 0.1 : 0;
    c->op.optim.nesterov = kind == CLRNN_OPTIMIZER_SGD && more;
    c->op.optim.momentum = kind == CLRNN_OPTIMIZER_SGD || (kind == CLRNN_OPTIMIZER_RMSPROP && more);
    c->op.optim.amsgrad = (kind == CLRNN_OPTIMIZER_ADAM || kind == CLRNN_OPTIMIZER_ADAMW) && more;
    c->op.optim.centered = kind == CLRNN_OPTIMIZER_RMSPROP && more;
    clrnn_check_real(c, OPTIM_GRADS, count);
    fill_hyper(clrnn_check_real(c, OPTIM_HYPER, HYPER_FIELDS));
    if (more) {
        norm = clrnn_check_real(c, OPTIM_NORM, 1);
        if (norm)
            norm[0] = 1.5f;
    } else {
        clrnn_check_counter(c, OPTIM_COUNTER, 3, SLOT);
        real_out(s, OPTIM_NORM_OUT, 1);
        clrnn_check_updated(c, OPTIM_RECORD, SLOTS * RECORD_FIELDS, 0);
    }
    clrnn_check_updated(c, OPTIM_PARAMS, count, 0);
    if (kind != CLRNN_OPTIMIZER_RMSPROP || more)
        clrnn_check_updated(c, OPTIM_M, count, 0);
    if (kind != CLRNN_OPTIMIZER_SGD)
        positive(clrnn_check_updated(c, OPTIM_V, count, 0), count, 0.1f);
    if (c->op.optim.amsgrad || c->op.optim.centered) {
        v = clrnn_check_updated(c, OPTIM_VMAX, count, 0);
        positive(v, count, 0);
        scaled(v, count, 0.1f);
    }
    return selftest_run(s);
}

static enum clrnn_status updates(struct selftest *s, size_t count, bool more)
{
    TRY(grad_norm(s, count));
    for (int kind = CLRNN_OPTIMIZER_SGD; kind <= CLRNN_OPTIMIZER_RMSPROP; kind++)
        TRY(update(s, count, (enum clrnn_optimizer_kind)kind, more));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- the whole

static enum clrnn_status every_op(struct selftest *s, const struct size *z, uint32_t D)
{
    TRY(feed(s, z, false, true));
    TRY(feed(s, z, true, false));
    TRY(embedding(s, z, false));
    TRY(embedding(s, z, true));
    TRY(every_cell(s, z, D));
    TRY(norms(s, z));
    TRY(linear(s, z));
    TRY(dropout(s, z, 0.5));
    for (int f = CLRNN_RELU; f <= CLRNN_LOG_SOFTMAX; f++)
        TRY(pointwise(s, z, (enum clrnn_function)f));
    for (int over = CLRNN_POOL_LAST; over <= CLRNN_POOL_MAX; over++)
        TRY(pool(s, z, (enum clrnn_pool_over)over));
    for (int kind = CLRNN_LOSS_CROSS_ENTROPY; kind <= CLRNN_LOSS_MSE; kind++)
        TRY(loss(s, z, (enum clrnn_loss_kind)kind));
    return updates(s, rows_of(z) * z->C, z->padded);
}

enum clrnn_status selftest_smallest(struct selftest *s)
{
    const struct size z = {.T = 3, .N = 5, .C = 7, .H = 6, .padded = true};

    return every_op(s, &z, 2);
}

enum clrnn_status selftest_awkward(struct selftest *s)
{
    const struct size steps = {.T = 5, .N = 17, .C = 33, .H = 31, .padded = true};
    const struct size one_step = {.T = 1, .N = 65, .C = 40, .H = 66};
    const struct size wide = {.T = 1, .N = 9, .C = 601, .H = 15};
    const struct size many_rows = {.T = 40, .N = 33, .C = 3, .H = 2};

    TRY(every_op(s, &steps, 1));
    TRY(every_op(s, &one_step, 2));
    TRY(linear(s, &wide));
    TRY(layernorm(s, &wide));
    TRY(dropout(s, &wide, 0.1));
    TRY(pointwise(s, &wide, CLRNN_LOG_SOFTMAX));
    TRY(linear(s, &many_rows));
    TRY(batchnorm(s, &many_rows, true));
    TRY(norm_backward(s, &many_rows, CLRNN_OP_BATCHNORM_BWD));
    TRY(loss(s, &many_rows, CLRNN_LOSS_CROSS_ENTROPY));
    return updates(s, 8200, false);
}
