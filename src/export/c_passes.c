// SPDX-License-Identifier: MIT
// Divides a program into passes over time, with as few buffered values as bidirectional layers and windows allow.
#include "export/c_passes.h"

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"

// Whether the operation treats each feature separately, so that it can be applied to half of the features.
static bool is_separable(const struct clrnn_export_op *op)
{
    return !op->layer || op->kind == CLRNN_LAYER_BATCHNORM || op->kind == CLRNN_LAYER_ROUND ||
           (clrnn_layer_is_activation(op->layer) && op->kind != CLRNN_LAYER_SOFTMAX &&
            op->kind != CLRNN_LAYER_LOG_SOFTMAX);
}

// Whether computing the operation once more is cheaper than keeping its result in a buffer.
static bool is_cheap(const struct clrnn_export_op *op)
{
    return is_separable(op) || op->kind == CLRNN_LAYER_EMBEDDING || op->kind == CLRNN_LAYER_LAYERNORM ||
           op->kind == CLRNN_LAYER_GROUPNORM || op->kind == CLRNN_LAYER_SOFTMAX || op->kind == CLRNN_LAYER_LOG_SOFTMAX;
}

bool clrnn_c_reads(const struct clrnn_export_program *p, size_t op, size_t reader)
{
    for (uint32_t i = 0; i < p->op[reader].sources; i++)
        if (p->op[reader].source[i] == op + 1)
            return true;
    return false;
}

// Returns the operation that reads op's result, if it is the only reader and reads nothing else. Returns SIZE_MAX if
// there is no such operation, or if op's result is the program's output.
static size_t only_reader(const struct clrnn_export_program *p, size_t op)
{
    size_t found = SIZE_MAX;

    for (size_t i = op + 1; i < p->count; i++) {
        if (!clrnn_c_reads(p, op, i))
            continue;
        if (found != SIZE_MAX || p->op[i].sources > 1)
            return SIZE_MAX;
        found = i;
    }
    return p->output == op + 1 ? SIZE_MAX : found;
}

static void order_pool(struct clrnn_export_program *p, size_t pool)
{
    struct clrnn_export_op moved = p->op[pool];
    size_t to = pool;

    while (to && p->op[to].source[0] == to && only_reader(p, to - 1) == to &&
           p->op[to - 1].kind != CLRNN_LAYER_EMBEDDING &&
           (is_cheap(&p->op[to - 1]) || p->op[to - 1].kind == CLRNN_LAYER_LINEAR))
        to--;
    if (to == pool)
        return;
    moved.source[0] = p->op[to].source[0];
    moved.in = moved.out = p->op[to].in;
    memmove(&p->op[to + 1], &p->op[to], (pool - to) * sizeof(moved));
    p->op[to] = moved;
    for (size_t i = to + 1; i <= pool; i++) {
        p->op[i].source[0] = i;
        p->op[i].steps = false;
    }
}

void clrnn_c_order(struct clrnn_export_program *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->op[i].kind == CLRNN_LAYER_POOL && p->op[i].layer->over == CLRNN_POOL_LAST)
            order_pool(p, i);
}

// ---------------------------------------------------------------- bases and passes

struct division {
    const struct clrnn_export_program *p;
    struct clrnn_c_passes *passes;
};

static enum clrnn_status no_memory(const struct division *d)
{
    return clrnn_error_memory(d->p->model->log, d->p->count * sizeof(*d->passes->place), "the exported passes");
}

static size_t base_of(const struct division *d, size_t value)
{
    return value ? d->passes->place[value - 1].base : 0;
}

// Finds or adds the base that counts the windows `w` over the steps of base `parent`. If there are always as many
// windows as steps, *base is `parent` itself.
static enum clrnn_status find_base(struct division *d, const struct clrnn_windows *w, size_t parent, size_t *base)
{
    struct clrnn_c_passes *s = d->passes;
    const struct clrnn_c_base made = {.parent = parent,
                                      .more = (int64_t)w->all_padding - (int64_t)w->dilation * (w->kernel - 1) - 1,
                                      .stride = w->stride};

    *base = parent;
    if (made.stride == 1 && made.more == -1)
        return CLRNN_OK;
    for (*base = 1; *base < s->bases; ++*base)
        if (s->base[*base].parent == parent && s->base[*base].more == made.more && s->base[*base].stride == made.stride)
            return CLRNN_OK;
    if (!ARRAY_GROW(s->base, s->bases))
        return no_memory(d);
    s->base[s->bases++] = made;
    return CLRNN_OK;
}

int64_t clrnn_c_base_steps(const struct clrnn_c_passes *passes, size_t base, int64_t T)
{
    const struct clrnn_c_base *b = &passes->base[base];
    int64_t n;

    if (!base)
        return T;
    n = clrnn_c_base_steps(passes, b->parent, T);
    return n < 1 || n + b->more < 0 ? 0 : (n + b->more) / b->stride + 1;
}

// Finds the first pass, from index `first` on, with the base, direction and `once` of `kind`. Adds one if there is
// none.
static enum clrnn_status find_pass(struct division *d, size_t first, struct clrnn_c_pass kind, size_t *pass)
{
    struct clrnn_c_passes *s = d->passes;

    for (*pass = first; *pass < s->count; ++*pass)
        if (s->pass[*pass].base == kind.base && s->pass[*pass].direction == kind.direction &&
            s->pass[*pass].once == kind.once)
            return CLRNN_OK;
    kind.runs = calloc(MAX2(d->p->count, 1u), sizeof(*kind.runs));
    if (!kind.runs || !ARRAY_GROW(s->pass, s->count)) {
        free(kind.runs);
        return no_memory(d);
    }
    s->pass[s->count++] = kind;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- assigning operations to passes

// Finds the chain of operations from a bidirectional level to a pool or the output. If all operations of the chain
// treat each feature separately, sets their `half` and that of the level. The pass of each direction can then run the
// chain on its own half of the features.
static void mark_halves(struct division *d, size_t level)
{
    const struct clrnn_export_program *p = d->p;
    size_t at = level;

    while (at != SIZE_MAX && p->op[at].kind != CLRNN_LAYER_POOL) {
        if (at != level && !is_separable(&p->op[at]))
            return;
        if (p->output == at + 1)
            break;
        at = only_reader(p, at);
    }
    if (at == SIZE_MAX)
        return;
    for (size_t i = level; i <= at; i++) // all operations between them belong to the chain
        d->passes->place[i].half = level + 1;
}

// Whether an operation with windows reads op's result. It needs several steps of the result at once.
static bool is_read_by_windows(const struct clrnn_export_program *p, size_t op)
{
    for (size_t i = op + 1; i < p->count; i++)
        if (clrnn_export_has_windows(&p->op[i]) && clrnn_c_reads(p, op, i))
            return true;
    return false;
}

// Whether every pass that reads the operation's result computes the result again. The operation must be cheap. It must
// read the input, the result of a bidirectional level, or a result that is itself computed again. An operation that
// runs in halves, gives the output or is read by windows is not computed again.
static bool runs_again(const struct division *d, size_t op)
{
    const struct clrnn_export_op *o = &d->p->op[op];
    const size_t source = o->source[0];
    const struct clrnn_c_place *before = source ? &d->passes->place[source - 1] : NULL;

    if (!is_cheap(o) || d->passes->place[op].half || d->p->output == op + 1 || is_read_by_windows(d->p, op))
        return false;
    return !before || before->again ||
           (d->p->op[source - 1].kind == CLRNN_EXPORT_CELL && d->p->op[source - 1].D == 2 && !before->half);
}

// Returns the first pass that can read a value: step by step in a pass over `base` or, if `whole`, all steps at once.
static size_t ready(const struct division *d, size_t value, size_t base, bool whole)
{
    const struct clrnn_c_place *place = value ? &d->passes->place[value - 1] : NULL;

    if (!place)
        return 0;
    if (place->again)
        return ready(d, d->p->op[value - 1].source[0], base, false);
    return MAX2(place->pass, place->back) + (whole || place->base != base || place->back != place->pass);
}

// Places an operation in the first pass, from index `first` on, that can run it. Places a bidirectional level also in a
// pass that goes backward in time.
static enum clrnn_status place_in_pass(struct division *d, size_t op, size_t first)
{
    const struct clrnn_export_op *o = &d->p->op[op];
    struct clrnn_c_place *place = &d->passes->place[op];
    struct clrnn_c_pass kind = {.base = place->base};
    size_t end = op;

    TRY(find_pass(d, first, kind, &place->pass));
    place->back = place->pass;
    if (o->kind != CLRNN_EXPORT_CELL || o->D == 1)
        return CLRNN_OK;
    while (place->half && end + 1 < d->p->count && d->passes->place[end + 1].half == place->half)
        end++;
    kind.direction = 1;
    // a `last` pool reads only the last time step: a backward pass begins with it and can stop there
    kind.once = place->half && d->p->op[end].kind == CLRNN_LAYER_POOL && d->p->op[end].layer->over == CLRNN_POOL_LAST;
    return find_pass(d, MAX2(place->pass + 1, ready(d, o->source[0], place->base, true)), kind, &place->back);
}

static enum clrnn_status place_op(struct division *d, size_t op)
{
    const struct clrnn_export_op *o = &d->p->op[op];
    struct clrnn_c_place *place = &d->passes->place[op];
    const bool windows = clrnn_export_has_windows(o);
    size_t first = 0;

    place->base = base_of(d, o->source[0]);
    if (windows) {
        const struct clrnn_windows w = clrnn_layer_windows(o->layer);

        TRY(find_base(d, &w, place->base, &place->base));
    }
    if (o->kind == CLRNN_EXPORT_CELL && o->D == 2)
        mark_halves(d, op);
    place->again = runs_again(d, op);
    // the operation runs in both passes of its recurrent level
    if (place->half && o->kind != CLRNN_EXPORT_CELL) {
        place->pass = d->passes->place[place->half - 1].pass;
        place->back = d->passes->place[place->half - 1].back;
        return CLRNN_OK;
    }
    for (uint32_t i = 0; i < o->sources; i++)
        first = MAX2(first, ready(d, o->source[i], place->base, windows));
    return place_in_pass(d, op, first);
}

// Makes `value` available in pass `pass`, unless the pass computes it already. The pass computes a cheap value again,
// and reads any other value from a buffer.
static void need(struct division *d, size_t value, size_t pass)
{
    struct clrnn_c_place *place = value ? &d->passes->place[value - 1] : NULL;
    bool *runs = d->passes->pass[pass].runs;

    if (!place || runs[value - 1])
        return;
    if (!place->again) {
        place->buffered = true;
        return;
    }
    runs[value - 1] = true;
    need(d, d->p->op[value - 1].source[0], pass);
}

static void find_needs(struct division *d, size_t op)
{
    const struct clrnn_export_op *o = &d->p->op[op];
    const struct clrnn_c_place *place = &d->passes->place[op];

    for (uint32_t i = 0; i < o->sources; i++) {
        if (clrnn_export_has_windows(o) && o->source[i]) {
            d->passes->place[o->source[i] - 1].buffered = true;
            continue;
        }
        need(d, o->source[i], place->pass);
        if (o->kind == CLRNN_EXPORT_CELL)
            need(d, o->source[i], place->back);
    }
}

// ---------------------------------------------------------------- buffers

// Returns the last pass that reads an operation's result. SIZE_MAX: operations that run after all passes read the
// result.
static size_t last_reader(const struct division *d, size_t op)
{
    size_t last = 0;

    if (d->p->op[op].kind == CLRNN_LAYER_FLATTEN)
        return SIZE_MAX;
    for (size_t i = op + 1; i < d->p->count; i++) {
        if (!clrnn_c_reads(d->p, op, i))
            continue;
        if (d->p->op[i].kind == CLRNN_LAYER_FLATTEN)
            return SIZE_MAX;
        for (size_t pass = 0; pass < d->passes->count; pass++)
            if (d->passes->pass[pass].runs[i])
                last = MAX2(last, pass);
    }
    return last;
}

// Gives the operation's result a buffer. An existing buffer is used if it has the same base (number of steps), and if
// the last pass that reads it comes before the operation's pass. Otherwise the buffer is new.
static enum clrnn_status find_buffer(struct division *d, size_t op)
{
    struct clrnn_c_passes *s = d->passes;
    struct clrnn_c_place *place = &s->place[op];
    const struct clrnn_export_op *o = &d->p->op[op];
    const uint32_t width = o->kind == CLRNN_LAYER_FLATTEN ? o->in : o->out;
    size_t at = 0;

    while (at < s->buffers && (s->buffer[at].base != place->base || s->buffer[at].last >= place->pass))
        at++;
    if (at == s->buffers) {
        if (!ARRAY_GROW(s->buffer, s->buffers))
            return no_memory(d);
        s->buffer[s->buffers++] = (struct clrnn_c_buffer){.base = place->base};
    }
    s->buffer[at].last = last_reader(d, op);
    s->buffer[at].width = MAX2(s->buffer[at].width, width);
    place->buffer = at;
    return CLRNN_OK;
}

static enum clrnn_status find_buffers(struct division *d)
{
    for (size_t pass = 0; pass < d->passes->count; pass++)
        for (size_t i = 0; i < d->p->count; i++) {
            struct clrnn_c_place *place = &d->passes->place[i];
            const size_t source = d->p->op[i].source[0];

            if (!place->buffered || place->pass != pass)
                continue;
            if (d->p->op[i].kind == CLRNN_LAYER_FLATTEN && source && d->passes->place[source - 1].buffered)
                // flatten does not change the values, so it uses its source's buffer
                place->buffer = d->passes->place[source - 1].buffer;
            else
                TRY(find_buffer(d, i));
        }
    return CLRNN_OK;
}

enum clrnn_status clrnn_c_divide(const struct clrnn_export_program *p, struct clrnn_c_passes *passes)
{
    struct division d = {.p = p, .passes = passes};
    bool windows = false;

    *passes = (struct clrnn_c_passes){.place = calloc(MAX2(p->count, 1u), sizeof(*passes->place))};
    if (!passes->place || !ARRAY_GROW(passes->base, passes->bases))
        return no_memory(&d);
    passes->base[passes->bases++] = (struct clrnn_c_base){.stride = 1};
    for (size_t i = 0; i < p->count; i++) {
        if (!p->op[i].steps)
            continue;
        TRY(place_op(&d, i));
        windows |= clrnn_export_has_windows(&p->op[i]);
        if (p->op[i].kind == CLRNN_LAYER_FLATTEN)
            passes->steps = p->model->shape.steps;
    }
    for (size_t i = 0; i < p->count; i++) {
        struct clrnn_c_place *place = &passes->place[i];

        if (!p->op[i].steps || place->again)
            continue;
        passes->pass[place->pass].runs[i] = passes->pass[place->back].runs[i] = true;
        place->buffered |= p->op[i].kind == CLRNN_LAYER_FLATTEN || (place->back != place->pass && !place->half);
    }
    for (size_t i = 0; i < p->count; i++)
        if (p->op[i].steps && !passes->place[i].again)
            find_needs(&d, i);
    TRY(find_buffers(&d));
    for (size_t i = 0; i < passes->count; i++) {
        passes->pass[i].steps_read = calloc(passes->bases, sizeof(bool));
        if (!passes->pass[i].steps_read)
            return no_memory(&d);
    }
    passes->causal = passes->count <= 1 && !passes->buffers && !windows;
    return CLRNN_OK;
}

void clrnn_c_passes_finish(struct clrnn_c_passes *passes)
{
    for (size_t i = 0; i < passes->count; i++) {
        free(passes->pass[i].runs);
        free(passes->pass[i].steps_read);
    }
    free(passes->pass);
    free(passes->place);
    free(passes->base);
    free(passes->buffer);
    *passes = (struct clrnn_c_passes){0};
}
