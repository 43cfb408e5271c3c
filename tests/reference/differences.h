// SPDX-License-Identifier: MIT
// Compares an op's backward with central differences of its forward in double.
#ifndef CLRNN_TESTS_REFERENCE_DIFFERENCES_H
#define CLRNN_TESTS_REFERENCE_DIFFERENCES_H

#include "near.h"

// With step 1e-5, a difference quotient errs by step^2 = 1e-10 times third derivatives. Rounding of losses of order 10
// adds 10 * 1e-16 / step = 1e-10. The tolerance is far above both.
#define STEP 1e-5
#define TOLERANCE 1e-7

enum { MAX_CELLS = 4096 };

// A tensor of a check, with its slots among the inputs of the forward and of the backward op, and the slot of its
// gradient among the outputs of the backward op.
struct part {
    int in, back_in; // index in the forward's and in the backward's in[]; -1: not an input there
    int gradient;    // index in the backward's out[]; -1: the tensor has no gradient
    size_t count;
    size_t row_width; // > 0: the tensor has rows of this width, some of which are padding; 0: it has none
    double scale;     // random values are drawn from +-scale
    double *value, *got;
};

struct check {
    const char *what;
    uint32_t seed;
    struct clrnn_op fwd, bwd;
    int32_t *lengths;
    size_t part_count;
    struct part part[24];
    size_t y_rows, y_width; // shape of y, which is output 0 of the forward
    bool y_pooled;          // y has a row for each sample, and no padding; otherwise y has the same padding as x
    void *in[CLRNN_OP_MAX_IN], *out[CLRNN_OP_MAX_OUT];
    void *back_in[CLRNN_OP_MAX_IN], *back_out[CLRNN_OP_MAX_OUT];
    int dy_slot, y_slot; // indices in the backward's in[]; y_slot -1: the backward does not read y
    double *y, *dy;
    // state_slot: indices of the final states in the forward's out[]; 0: no state
    // dstate_slot: indices of their gradients in the backward's in[]
    int state_slot[2], dstate_slot[2];
    size_t state_count[2];
    double *state[2], *dstate[2];
    double scratch[MAX_CELLS];
    size_t used;
};

static double *scratch(struct check *c, size_t count)
{
    double *memory = c->scratch + c->used;

    c->used += count;
    assert_true(c->used <= MAX_CELLS);
    return memory;
}

static bool is_padding(const struct check *c, size_t row)
{
    return c->lengths && row / c->fwd.N >= (size_t)c->lengths[row % c->fwd.N];
}

static void poison(const struct check *c, double *x, size_t rows, size_t width, double with)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; is_padding(c, r) && i < width; i++)
            x[r * width + i] = with;
}

static double forward(struct check *c)
{
    double sum = 0;

    assert_int_equal(clrnn_reference_run(NULL, &c->fwd, c->in, c->out), CLRNN_OK);
    for (size_t i = 0; i < c->y_rows * c->y_width; i++) {
        if (!c->y_pooled && is_padding(c, i / c->y_width)) {
            if (c->y[i] != 0)
                fail_msg("%s, seed %u: y[%zu] = %g in padding, want 0", c->what, c->seed, i, c->y[i]);
            continue;
        }
        sum += c->y[i] * c->dy[i];
    }
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; c->state[s] && i < c->state_count[s]; i++)
            sum += c->state[s][i] * c->dstate[s][i];
    return sum;
}

static void backward(struct check *c)
{
    for (size_t i = 0; i < c->part_count; i++)
        for (size_t j = 0; c->part[i].got && j < c->part[i].count; j++)
            c->part[i].got[j] = NAN; // an op must overwrite its outputs, not add to them
    assert_int_equal(clrnn_reference_run(NULL, &c->bwd, c->back_in, c->back_out), CLRNN_OK);
}

// Draws the values of the parts and binds all tensors to the ops. The attributes of the ops, the shape of y and the
// saved tensors must be set before.
static void prepare(struct check *c)
{
    c->y = scratch(c, c->y_rows * c->y_width);
    c->dy = scratch(c, c->y_rows * c->y_width);
    c->out[0] = c->y;
    c->back_in[c->dy_slot] = c->dy;
    if (c->y_slot >= 0)
        c->back_in[c->y_slot] = c->y;
    fill(c->dy, c->y_rows * c->y_width, c->seed + 1, 1);
    for (uint32_t s = 0; s < 2; s++) {
        if (!c->state_slot[s])
            continue;
        c->out[c->state_slot[s]] = c->state[s] = scratch(c, c->state_count[s]);
        c->back_in[c->dstate_slot[s]] = c->dstate[s] = scratch(c, c->state_count[s]);
        fill(c->dstate[s], c->state_count[s], c->seed + 50 + s, 1);
    }
    for (size_t i = 0; i < c->part_count; i++) {
        struct part *p = &c->part[i];

        p->value = scratch(c, p->count);
        fill(p->value, p->count, c->seed + 2 + (uint32_t)i, p->scale);
        if (p->in >= 0)
            c->in[p->in] = p->value;
        if (p->back_in >= 0)
            c->back_in[p->back_in] = p->value;
        if (p->gradient >= 0)
            c->back_out[p->gradient] = p->got = scratch(c, p->count);
    }
}

static void check_differences(struct check *c)
{
    for (size_t i = 0; i < c->part_count; i++) {
        struct part *p = &c->part[i];

        for (size_t j = 0; p->got && j < p->count; j++) {
            const double kept = p->value[j];
            double above, below, want;

            p->value[j] = kept + STEP;
            above = forward(c);
            p->value[j] = kept - STEP;
            below = forward(c);
            p->value[j] = kept;
            want = (above - below) / (2 * STEP);
            if (!(fabs(p->got[j] - want) <= TOLERANCE * fmax(1, fabs(want))))
                fail_msg("%s, seed %u, T=%u N=%u C=%u: gradient of input %d [%zu] is %.12g, differences say "
                         "%.12g",
                         c->what, c->seed, c->fwd.T, c->fwd.N, c->fwd.C, p->in, j, p->got[j], want);
        }
    }
}

static void run_check(struct check *c)
{
    double first[MAX_CELLS];
    size_t used = 0;

    prepare(c);
    forward(c); // makes the saved tensors that backward reads
    backward(c);
    check_differences(c);
    forward(c);
    backward(c);
    for (size_t i = 0; i < c->part_count; used += c->part[i].got ? c->part[i].count : 0, i++)
        if (c->part[i].got)
            memcpy(first + used, c->part[i].got, c->part[i].count * sizeof(*first));

    for (size_t i = 0; i < c->part_count; i++)
        if (c->part[i].row_width)
            poison(c, c->part[i].value, c->part[i].count / c->part[i].row_width, c->part[i].row_width, NAN);
    if (!c->y_pooled)
        poison(c, c->dy, c->y_rows, c->y_width, NAN);
    forward(c);
    backward(c);
    used = 0;
    for (size_t i = 0; i < c->part_count; used += c->part[i].got ? c->part[i].count : 0, i++)
        if (c->part[i].got && memcmp(first + used, c->part[i].got, c->part[i].count * sizeof(*first)))
            fail_msg("%s, seed %u: the gradient of input %d depends on what padding holds", c->what, c->seed,
                     c->part[i].in);
}

static void begin(struct check *c, const char *what, uint32_t seed, enum clrnn_op_kind fwd, uint32_t T, uint32_t N,
                  uint32_t C, int32_t *lengths, int lengths_slot, int back_lengths_slot)
{
    memset(c, 0, sizeof(*c));
    c->what = what;
    c->seed = seed;
    c->fwd = (struct clrnn_op){.kind = fwd, .layer = "gradient", .T = T, .N = N, .C = C};
    c->lengths = lengths;
    c->y_rows = (size_t)T * N;
    c->y_width = C;
    c->y_slot = -1;
    if (lengths_slot >= 0)
        c->in[lengths_slot] = lengths;
    if (back_lengths_slot >= 0)
        c->back_in[back_lengths_slot] = lengths;
}

static void add(struct check *c, int in, int back_in, int gradient, size_t count, size_t row_width, double scale)
{
    assert_true(c->part_count < ARRAY_SIZE(c->part));
    c->part[c->part_count++] = (struct part){in, back_in, gradient, count, row_width, scale, NULL, NULL};
}

static void finish(struct check *c, enum clrnn_op_kind bwd)
{
    c->bwd = c->fwd;
    c->bwd.kind = bwd;
    run_check(c);
}

static int32_t some_lengths[] = {5, 1, 3};

#endif
