// SPDX-License-Identifier: MIT
// Runs a test case of one op on a device.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "reference/check.h"

// Before and after each tensor there are PAD sentinels, rounded up to the device's alignment. A sentinel is an element
// with a value that the op must not change.
static const uint32_t sentinel = CLRNN_UNWRITTEN;
enum { PAD = 64 };

static void *allocate(size_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

static enum clrnn_status no_memory(const struct clrnn_check *c)
{
    return clrnn_error_memory(c->log, 0, "checking an op");
}

// A tensor between sentinels.
struct fenced {
    // total: the buffer with the sentinels.
    // part: the tensor, a sub-buffer of `total`.
    struct clrnn_buffer *total, *part;
    // pad: number of sentinels on each side.
    // count: number of elements of the tensor.
    size_t pad, count;
};

// The tensors, graph and launches of one case on the device.
struct rig {
    struct clrnn_check *c;
    struct fenced in[CLRNN_OP_MAX_IN], out[CLRNN_OP_MAX_OUT];
    struct clrnn_graph *graph;
    struct clrnn_launches *launches;
};

static void rig_finish(struct rig *b)
{
    clrnn_launches_destroy(&b->launches);
    clrnn_graph_destroy(&b->graph);
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        clrnn_buffer_destroy(&b->in[i].part);
        clrnn_buffer_destroy(&b->in[i].total);
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        clrnn_buffer_destroy(&b->out[i].part);
        clrnn_buffer_destroy(&b->out[i].total);
    }
}

// Fills words [count] with the slot's elements before the run, or with sentinels if the slot has none.
static void first_values(const struct clrnn_check_slot *s, uint32_t *words)
{
    if (s->real || s->word) {
        memcpy(words, s->real ? (void *)s->real : (void *)s->word, s->count * sizeof(*words));
        return;
    }
    for (size_t i = 0; i < s->count; i++)
        words[i] = sentinel;
}

static enum clrnn_status fence(const struct clrnn_check *c, struct fenced *f, const struct clrnn_check_slot *s)
{
    const size_t align = clrnn_buffer_align(c->device);
    uint32_t *words;
    enum clrnn_status st;

    f->pad = (PAD * 4 + align - 1) / align * align / 4;
    f->count = s->count;
    words = allocate(2 * f->pad + s->count, sizeof(*words));
    if (!words)
        return no_memory(c);
    for (size_t i = 0; i < 2 * f->pad + s->count; i++)
        words[i] = sentinel;
    first_values(s, words + f->pad);
    st = clrnn_buffer_create(c->device, CLRNN_U32, 2 * f->pad + s->count, "check", &f->total);
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_i32(f->total, 0, 2 * f->pad + s->count, (const int32_t *)words);
    if (st == CLRNN_OK)
        st = clrnn_buffer_sub(f->total, f->pad * 4, s->type, s->count, &f->part);
    free(words);
    return st;
}

// Reads the elements of a tensor as bits, and checks that its sentinels are unchanged.
static enum clrnn_status unfence(struct clrnn_check *c, const struct fenced *f, const char *side, int slot,
                                 int32_t *bits)
{
    const size_t all = 2 * f->pad + f->count;
    int32_t *words = allocate(all, sizeof(*words));
    enum clrnn_status st = words ? clrnn_buffer_read_i32(f->total, 0, all, words) : no_memory(c);

    for (size_t i = 0; st == CLRNN_OK && i < all; i++)
        if ((i < f->pad || i >= f->pad + f->count) && (uint32_t)words[i] != sentinel)
            clrnn_check_blame(c, "%s %d: element %lld, outside of the tensor's %zu, was written", side, slot,
                              (long long)i - (long long)f->pad, f->count);
    if (st == CLRNN_OK)
        memcpy(bits, words + f->pad, f->count * sizeof(*bits));
    free(words);
    return st;
}

static enum clrnn_status write_again(const struct clrnn_check *c, const struct fenced *f,
                                     const struct clrnn_check_slot *s)
{
    uint32_t *fresh = allocate(s->count, sizeof(*fresh));
    enum clrnn_status st;

    if (!fresh)
        return no_memory(c);
    first_values(s, fresh);
    st = clrnn_buffer_write_i32(f->total, f->pad, s->count, (const int32_t *)fresh);
    free(fresh);
    return st;
}

static enum clrnn_status add_tensor(struct rig *b, const char *name, struct fenced *f, const struct clrnn_check_slot *s,
                                    int *id)
{
    const uint32_t dims[1] = {(uint32_t)s->count};

    TRY(fence(b->c, f, s));
    return clrnn_graph_tensor(b->graph, name, CLRNN_ROLE_DATA, s->type, 1, dims, f->part, id);
}

static enum clrnn_status make_graph(struct rig *b)
{
    struct clrnn_check *c = b->c;
    struct clrnn_op ready = c->op, *op;

    TRY(clrnn_graph_create(c->log, &b->graph));
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        ready.in[i] = CLRNN_NONE;
        if (c->in[i].there)
            TRY(add_tensor(b, "in", &b->in[i], &c->in[i], &ready.in[i]));
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        ready.out[i] = CLRNN_NONE;
        if (c->out[i].there && c->out[i].same_as >= 0)
            ready.out[i] = ready.in[c->out[i].same_as];
        else if (c->out[i].there)
            TRY(add_tensor(b, "out", &b->out[i], &c->out[i], &ready.out[i]));
    }
    TRY(clrnn_graph_op(b->graph, c->op.kind, "check", c->op.T, c->op.N, c->op.C, &op));
    *op = ready;
    TRY(clrnn_launches_create(c->device, &b->launches));
    return clrnn_op_launch(b->launches, b->graph, op);
}

static bool may_change(const struct clrnn_check *c, int slot)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (c->out[i].there && c->out[i].same_as == slot)
            return true;
    return c->in[slot].spent;
}

static enum clrnn_status check_input(struct rig *b, int i)
{
    struct clrnn_check *c = b->c;
    const void *first = c->in[i].real ? (void *)c->in[i].real : (void *)c->in[i].word;
    int32_t *now = allocate(c->in[i].count, sizeof(*now));
    enum clrnn_status st = now ? unfence(c, &b->in[i], "input", i, now) : no_memory(c);

    if (st == CLRNN_OK && !may_change(c, i) && memcmp(now, first, c->in[i].count * sizeof(*now)) != 0)
        clrnn_check_blame(c, "input %d was changed", i);
    free(now);
    return st;
}

// Runs the op once on the initial elements. Reads the elements of every output as bits into bits[slot], and checks that
// inputs are unchanged.
static enum clrnn_status run_once(struct rig *b, int32_t *bits[])
{
    struct clrnn_check *c = b->c;

    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        if (c->in[i].there)
            TRY(write_again(c, &b->in[i], &c->in[i]));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (c->out[i].there && c->out[i].same_as < 0)
            TRY(write_again(c, &b->out[i], &c->out[i]));
    TRY(clrnn_launches_run(b->launches));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (c->out[i].there)
            TRY(unfence(c, c->out[i].same_as < 0 ? &b->out[i] : &b->in[c->out[i].same_as], "output", i, bits[i]));
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        if (c->in[i].there)
            TRY(check_input(b, i));
    return CLRNN_OK;
}

static void compare_runs(struct clrnn_check *c, int slot, const int32_t *again)
{
    const int32_t *first = (const int32_t *)(const void *)c->got[slot];

    for (size_t k = 0; k < c->out[slot].count; k++)
        if (first[k] != again[k]) {
            float second;

            memcpy(&second, &again[k], sizeof(second));
            clrnn_check_blame(c, "output %d [%zu]: a second run gives other bits, %.9g after %.9g", slot, k, second,
                              c->got[slot][k]);
        }
}

// Sets c->seconds to the time of the op in the fastest of c->timed runs. A run repeats the op so often that the run
// takes at least 1 ms.
static enum clrnn_status time_runs(struct rig *b)
{
    struct clrnn_check *c = b->c;
    unsigned repeats = 1;

    for (unsigned i = 0; i < c->timed;) {
        const double start = clrnn_clock();
        double seconds;

        for (unsigned k = 0; k < repeats; k++)
            TRY(clrnn_launches_run(b->launches));
        TRY(clrnn_device_finish(c->device));
        seconds = clrnn_clock() - start;
        if (seconds < 1e-3 && repeats < 1u << 20) {
            repeats *= 2;
            continue;
        }
        c->seconds = i ? fmin(c->seconds, seconds / repeats) : seconds / repeats;
        i++;
    }
    return CLRNN_OK;
}

static enum clrnn_status run_on_device(struct clrnn_check *c)
{
    struct rig b = {.c = c};
    int32_t *again[CLRNN_OP_MAX_OUT] = {NULL};
    enum clrnn_status st = make_graph(&b);

    for (int i = 0; i < CLRNN_OP_MAX_OUT && st == CLRNN_OK; i++) {
        if (!c->out[i].there)
            continue;
        c->got[i] = allocate(c->out[i].count, sizeof(float));
        again[i] = allocate(c->out[i].count, sizeof(int32_t));
        if (!c->got[i] || !again[i])
            st = no_memory(c);
    }
    if (st == CLRNN_OK) {
        const struct clrnn_cost cost = clrnn_op_cost(b.graph, &b.graph->op[0]);

        c->flops = cost.flops;
        c->bytes = cost.bytes;
        if (!(cost.flops >= 0 && cost.bytes > 0))
            clrnn_check_blame(c, "it costs %g FLOPs and %g bytes, but an op costs something", cost.flops, cost.bytes);
        st = run_once(&b, (int32_t **)(void *)c->got);
    }
    if (st == CLRNN_OK && !c->once)
        st = run_once(&b, again);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        if (st == CLRNN_OK && !c->once && c->out[i].there && !c->out[i].skip)
            compare_runs(c, i, again[i]);
        free(again[i]);
    }
    if (st == CLRNN_OK && c->timed)
        st = time_runs(&b);
    rig_finish(&b);
    return st;
}

enum clrnn_status clrnn_check_run(struct clrnn_check *c)
{
    if (c->no_memory)
        return no_memory(c);
    TRY(run_on_device(c));
    return clrnn_check_judge(c);
}
