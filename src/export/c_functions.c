// SPDX-License-Identifier: MIT
// Writes the bodies of exported C functions: one for each pass, which runs one time step, and one for the operations
// after the pools.
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "export/c_emit.h"
#include "model/layer.h"

// ---------------------------------------------------------------- storage of results

static bool in_pass(const struct clrnn_c_emit *e)
{
    return e->pass != SIZE_MAX;
}

// Whether the function that is being written runs operation `op`.
static bool runs(const struct clrnn_c_emit *e, size_t op)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];

    return in_pass(e) ? o->steps && e->code->passes.pass[e->pass].runs[op] : !o->steps;
}

// Returns the last of the operations that the function runs and that read op's result; 0: there is none.
static size_t last_use(const struct clrnn_c_emit *e, size_t op)
{
    const struct clrnn_export_program *p = &e->code->program;
    size_t last = 0;

    for (size_t i = op + 1; i < p->count; i++)
        if (runs(e, i) && clrnn_c_reads(p, op, i))
            last = i;
    return last;
}

// Reserves a local array of at least `width` values until operation `until` is done, and returns its index.
static unsigned take_local(struct clrnn_c_emit *e, uint32_t width, size_t until)
{
    unsigned at = 0;

    while (at < e->locals && e->local[at].until)
        at++;
    if (at == CLRNN_C_LOCALS)
        e->code->text.failed = true;
    at = MIN2(at, CLRNN_C_LOCALS - 1u);
    e->locals = MAX2(e->locals, at + 1);
    e->local[at].width = MAX2(e->local[at].width, width);
    e->local[at].until = until;
    return at;
}

static void note_row(struct clrnn_c_emit *e, size_t op)
{
    e->rows[op] = true;
    e->reads |= CLRNN_C_READS_T;
}

// Chooses an array for the `width` values of op's result, and writes the array's C expression to `to`. The first choice
// is the output, the second the result's buffer. The third is the local array of op's input, if `in_place` and if no
// later operation reads the input. The last choice is a free local array.
static void choose(struct clrnn_c_emit *e, size_t op, bool in_place, uint32_t width, char to[CLRNN_C_VALUE])
{
    const struct clrnn_export_program *p = &e->code->program;
    const struct clrnn_c_place *place = &e->code->passes.place[op];
    const size_t source = p->op[op].source[0], until = last_use(e, op);

    if (p->output == op + 1) {
        snprintf(to, CLRNN_C_VALUE, e->offset ? "y + %u" : "y", e->offset);
        return;
    }
    if (in_pass(e) && place->buffered) {
        snprintf(to, CLRNN_C_VALUE, e->offset ? "v%zu + %u" : "v%zu", op, e->offset);
        note_row(e, op);
        return;
    }
    if (in_place && source && e->held[source - 1] && last_use(e, source - 1) == op) {
        e->held[op] = e->held[source - 1];
        e->local[e->held[op] - 1].until = until;
    } else {
        e->held[op] = take_local(e, width, until) + 1;
    }
    snprintf(to, CLRNN_C_VALUE, "a%u", e->held[op] - 1);
}

// Frees the local arrays that no operation after `op` reads.
static void release(struct clrnn_c_emit *e, size_t op)
{
    for (unsigned i = 0; i < e->locals; i++)
        if (e->local[i].until <= op)
            e->local[i].until = 0;
}

// Returns the C expression for a value: "x" for the input (its current step), or e->text of an operation's result.
static const char *text_of(struct clrnn_c_emit *e, size_t value)
{
    if (!value)
        e->reads |= CLRNN_C_READS_X;
    else if (e->text[value - 1][0] == 'v')
        note_row(e, value - 1);
    return value ? e->text[value - 1] : "x";
}

static void put_copy(struct clrnn_c_emit *e, const char *to, const char *from, uint32_t width)
{
    clrnn_c_emit(e, "    @_copy(%s, %s, %u);\n", to, from, width);
    e->code->helpers |= CLRNN_C_COPY;
}

// Notes that array `from` contains op's result. Later code must not overwrite `from`. If op's result is the output or
// has a buffer, writes code that copies the result from `from` to the output or the buffer.
static void keep(struct clrnn_c_emit *e, size_t op, const char *from, uint32_t width)
{
    const struct clrnn_c_place *place = &e->code->passes.place[op];
    char to[CLRNN_C_VALUE];

    snprintf(e->text[op], CLRNN_C_VALUE, "%s", from);
    if (e->code->program.output != op + 1 && !(in_pass(e) && place->buffered))
        return;
    choose(e, op, false, width, to);
    put_copy(e, to, from, width);
}

// ---------------------------------------------------------------- operations on features

static void put_linear(struct clrnn_c_emit *e, size_t op, const char *to, const char *from, size_t cols)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];

    if (o->layer->bias)
        clrnn_c_emit(e, "    @_copy(%s, @_%zu_bias, %u);\n", to, op, o->out);
    else
        clrnn_c_emit(e, "    @_zero(%s, %u);\n", to, o->out);
    e->code->helpers |= o->layer->bias ? CLRNN_C_COPY : CLRNN_C_ZERO;
    if (e->writes)
        clrnn_c_multiply(e->code, to, op, "weight", from, o->out, cols);
}

static void put_embedding(struct clrnn_c_emit *e, size_t op, const char *to, const char *from)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];

    clrnn_c_emit(e, "    @_embed(%s, @_%zu_weight, ", to, op);
    if (e->code->int8)
        clrnn_c_emit(e, "@_%zu_weight_scale, ", op);
    clrnn_c_emit(e, "%s[0], %u, %u);\n", from, o->layer->num_embeddings, o->out);
    e->code->helpers |= CLRNN_C_EMBED;
}

static void put_norm(struct clrnn_c_emit *e, size_t op, const char *to, const char *from)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const bool groups = o->kind == CLRNN_LAYER_GROUPNORM;

    clrnn_c_emit(e, "    @_%s(%s, %s, ", groups ? "groupnorm" : "layernorm", to, from);
    if (o->layer->affine)
        clrnn_c_emit(e, "@_%zu_factor, @_%zu_shift, ", op, op);
    else
        clrnn_c_emit(e, "NULL, NULL, ");
    clrnn_c_emit(e, "%.9ef, ", o->layer->eps);
    if (groups)
        clrnn_c_emit(e, "%u, ", o->layer->num_groups);
    clrnn_c_emit(e, "%u);\n", o->out);
    e->code->helpers |= groups ? CLRNN_C_GROUPNORM : CLRNN_C_LAYERNORM;
}

static void put_affine(struct clrnn_c_emit *e, size_t op, const char *to, const char *from, uint32_t width)
{
    static const char *const words[] = {"mean", "factor", "shift"};

    clrnn_c_emit(e, "    @_affine(%s, %s", to, from);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        clrnn_c_emit(e, e->offset ? ", @_%zu_%s + %u" : ", @_%zu_%s", op, words[i], e->offset);
    clrnn_c_emit(e, ", %u);\n", width);
    e->code->helpers |= CLRNN_C_AFFINE;
}

static void put_add(struct clrnn_c_emit *e, size_t op, const char *to)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const char *first = text_of(e, o->source[0]), *second = text_of(e, o->source[1]);

    clrnn_c_emit(e, "    @_sum(%s, %s, %s, %u);\n", to, first, second, o->out);
    e->code->helpers |= CLRNN_C_SUM;
}

static void put_join(struct clrnn_c_emit *e, size_t op, const char *to)
{
    const struct clrnn_export_program *p = &e->code->program;
    char part[CLRNN_C_VALUE + 16];
    uint32_t at = 0;

    for (uint32_t i = 0; i < p->op[op].sources; i++) {
        const size_t source = p->op[op].source[i];
        const uint32_t width = source ? p->op[source - 1].out : p->model->shape.features;

        snprintf(part, sizeof(part), at ? "%s + %u" : "%s", to, at);
        put_copy(e, part, text_of(e, source), width);
        at += width;
    }
}

// ---------------------------------------------------------------- operations on several steps

static const char *whole_of(struct clrnn_c_emit *e, size_t value, char text[CLRNN_C_VALUE])
{
    snprintf(text, CLRNN_C_VALUE, "whole");
    if (value)
        snprintf(text, CLRNN_C_VALUE, "@_sequence%zu", e->code->passes.place[value - 1].buffer);
    else
        e->reads |= CLRNN_C_READS_WHOLE;
    return text;
}

static void put_windows(struct clrnn_c_emit *e, size_t op, const char *to)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const struct clrnn_windows w = clrnn_layer_windows(o->layer);
    const size_t source = o->source[0], base = source ? e->code->passes.place[source - 1].base : 0;
    const uint32_t cols = o->in * w.kernel;
    char whole[CLRNN_C_VALUE], rows[CLRNN_C_VALUE], at[CLRNN_C_VALUE] = "t";

    if (w.stride > 1)
        snprintf(at, sizeof(at), "t * %u", w.stride);
    if (w.padding)
        snprintf(at + strlen(at), sizeof(at) - strlen(at), " - %u", w.padding);
    whole_of(e, source, whole);
    e->reads |= CLRNN_C_READS_T;
    e->steps_read[base] = true;
    if (o->kind == CLRNN_LAYER_CONV1D) {
        snprintf(rows, sizeof(rows), "a%u", take_local(e, cols, op));
        clrnn_c_emit(e, "    @_window(%s, %s, n%zu, %s, %u, %u, %u);\n", rows, whole, base, at, w.kernel, w.dilation,
                     o->in);
        e->code->helpers |= CLRNN_C_WINDOW;
        put_linear(e, op, to, rows, cols);
    } else if (o->kind == CLRNN_LAYER_MAX_POOL1D) {
        clrnn_c_emit(e, "    @_window_largest(%s, %s, n%zu, %s, %u, %u, %u);\n", to, whole, base, at, w.kernel,
                     w.dilation, o->in);
        e->code->helpers |= CLRNN_C_WINDOW_LARGEST;
    } else {
        clrnn_c_emit(e, "    @_window_mean(%s, %s, n%zu, %s, %u, %d, %u);\n", to, whole, base, at, w.kernel,
                     o->layer->count_include_pad, o->in);
        e->code->helpers |= CLRNN_C_WINDOW_MEAN;
    }
}

// Writes code that updates a pool's state with one time step.
static void put_pool(struct clrnn_c_emit *e, size_t op, const char *from, uint32_t width)
{
    static const struct {
        const char *call;
        unsigned helper;
    } pools[] = {
        [CLRNN_POOL_LAST] = {"copy", CLRNN_C_COPY},
        [CLRNN_POOL_FINAL] = {"copy", CLRNN_C_COPY},
        [CLRNN_POOL_MEAN] = {"add", CLRNN_C_ADD},
        [CLRNN_POOL_MAX] = {"largest", CLRNN_C_LARGEST},
    };
    const enum clrnn_pool_over over = e->code->program.op[op].layer->over;

    if (clrnn_c_pools_state(&e->code->program, op))
        return;
    e->reads |= CLRNN_C_READS_STATE;
    e->code->helpers |= pools[over].helper;
    clrnn_c_emit(e, e->offset ? "    @_%s(s->pool%zu + %u" : "    @_%s(s->pool%zu", pools[over].call, op, e->offset);
    clrnn_c_emit(e, ", %s, %u);\n", from, width);
    if (over == CLRNN_POOL_MEAN && !e->offset)
        clrnn_c_emit(e, "    s->steps%zu++;\n", op);
}

static void put_attention(struct clrnn_c_emit *e, size_t op, const char *from)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const uint32_t A = o->layer->attention_size;
    char scores[CLRNN_C_VALUE];

    snprintf(scores, sizeof(scores), "a%u", take_local(e, A, op));
    clrnn_c_emit(e, "    @_copy(%s, @_%zu_bias, %u);\n", scores, op, A);
    if (e->writes)
        clrnn_c_multiply(e->code, scores, op, "weight", from, A, o->in);
    clrnn_c_emit(e, "    @_attend(s->pool%zu, s->norm%zu, %s, @_%zu_v, %s, %u, %u);\n", op, op, scores, op, from, A,
                 o->in);
    e->code->helpers |= CLRNN_C_COPY | CLRNN_C_ATTEND;
    e->reads |= CLRNN_C_READS_STATE;
}

// Writes code for one time step of a recurrent cell. The cell's state h in NAME_state is also its result.
static void put_cell(struct clrnn_c_emit *e, size_t op, const char *from)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const char *reverse = e->back ? "_reverse" : "";
    char h[CLRNN_C_VALUE];

    snprintf(h, sizeof(h), "s->h%zu%s", op, reverse);
    if (o->layer->kind == CLRNN_LAYER_LSTM)
        clrnn_c_emit(e, "    @_cell%zu%s(%s, s->c%zu%s, %s);\n", op, reverse, h, op, reverse, from);
    else
        clrnn_c_emit(e, "    @_cell%zu%s(%s, %s);\n", op, reverse, h, from);
    e->reads |= CLRNN_C_READS_STATE;
    keep(e, op, h, clrnn_layer_state(o->layer));
}

// Writes code for a cell after the pools: a single step from a zero state, in each direction.
static void put_single(struct clrnn_c_emit *e, size_t op, const char *from, const char *to)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const uint32_t H = o->layer->hidden_size, P = clrnn_layer_state(o->layer);

    clrnn_c_emit(e, "    @_zero(%s, %u);\n", to, o->out);
    e->code->helpers |= CLRNN_C_ZERO;
    for (uint32_t d = 0; d < o->D; d++) {
        const char *reverse = d ? "_reverse" : "";

        if (o->layer->kind == CLRNN_LAYER_LSTM)
            clrnn_c_emit(e,
                         "    {\n        float c[%u];\n\n        @_zero(c, %u);\n"
                         "        @_cell%zu%s(%s + %u, c, %s);\n    }\n",
                         H, H, op, reverse, to, d * P, from);
        else
            clrnn_c_emit(e, "    @_cell%zu%s(%s + %u, %s);\n", op, reverse, to, d * P, from);
    }
}

// ---------------------------------------------------------------- any operation

// Writes code for the operation `op`, whose result of `width` values is stored in array `to`.
static void put_result(struct clrnn_c_emit *e, size_t op, const char *to, uint32_t width)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const char *from = clrnn_export_has_windows(o) ? "" : text_of(e, o->source[0]);

    switch (o->kind) {
    case CLRNN_EXPORT_CELL:
        put_single(e, op, from, to);
        break;
    case CLRNN_LAYER_LINEAR:
        put_linear(e, op, to, from, o->in);
        break;
    case CLRNN_LAYER_EMBEDDING:
        put_embedding(e, op, to, from);
        break;
    case CLRNN_EXPORT_NORMALIZE:
    case CLRNN_LAYER_BATCHNORM:
    case CLRNN_EXPORT_RESTORE:
        put_affine(e, op, to, from, width);
        break;
    case CLRNN_LAYER_LAYERNORM:
    case CLRNN_LAYER_GROUPNORM:
        put_norm(e, op, to, from);
        break;
    case CLRNN_LAYER_CONV1D:
    case CLRNN_LAYER_MAX_POOL1D:
    case CLRNN_LAYER_AVG_POOL1D:
        put_windows(e, op, to);
        break;
    case CLRNN_LAYER_RESIDUAL:
        put_add(e, op, to);
        break;
    case CLRNN_LAYER_CONCAT:
        put_join(e, op, to);
        break;
    case CLRNN_LAYER_FLATTEN:
        put_copy(e, to, from, width);
        break;
    default:
        clrnn_c_put_pointwise(e, o, to, from, width);
        break;
    }
}

// Whether the operation's result may overwrite its input, that is, both may be the same array.
static bool works_in_place(const struct clrnn_export_op *o)
{
    return o->kind != CLRNN_LAYER_LINEAR && o->kind != CLRNN_LAYER_EMBEDDING && o->kind != CLRNN_EXPORT_CELL &&
           o->kind != CLRNN_LAYER_CONCAT && !clrnn_export_has_windows(o);
}

static void put_op(struct clrnn_c_emit *e, size_t op)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const struct clrnn_c_place *place = &e->code->passes.place[op];
    const bool two = o->kind == CLRNN_EXPORT_CELL && o->D == 2, half = place->half && o->steps;
    const uint32_t width = o->kind == CLRNN_LAYER_FLATTEN ? o->in : half ? o->out / 2 : o->out;
    char to[CLRNN_C_VALUE];

    e->offset = e->back && (half || two) ? o->out / 2 : 0;
    if (o->kind == CLRNN_LAYER_POOL) {
        put_pool(e, op, text_of(e, o->source[0]), width);
    } else if (o->kind == CLRNN_LAYER_ATTENTION_POOL) {
        put_attention(e, op, text_of(e, o->source[0]));
    } else if (o->kind == CLRNN_EXPORT_CELL && o->steps) {
        put_cell(e, op, text_of(e, o->source[0]));
    } else if (o->kind != CLRNN_LAYER_FLATTEN || !o->source[0] || !e->code->passes.place[o->source[0] - 1].buffered) {
        choose(e, op, works_in_place(o), width, to);
        snprintf(e->text[op], CLRNN_C_VALUE, "%s", to);
        put_result(e, op, to, width);
    }
    release(e, op);
}

// Writes code that completes a pool, attention pool or flatten after the last time step of a sequence.
static void put_pooled(struct clrnn_c_emit *e, size_t op)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const bool attention = o->kind == CLRNN_LAYER_ATTENTION_POOL;
    char to[CLRNN_C_VALUE];

    e->offset = 0;
    if (o->kind == CLRNN_LAYER_FLATTEN) {
        snprintf(to, sizeof(to), "@_sequence%zu", e->code->passes.place[op].buffer);
        keep(e, op, to, o->out);
        return;
    }
    e->reads |= CLRNN_C_READS_STATE;
    if (clrnn_c_pools_state(&e->code->program, op)) {
        snprintf(to, sizeof(to), "s->h%zu", o->source[0] - 1);
        keep(e, op, to, o->out);
    } else if (attention || o->layer->over == CLRNN_POOL_MEAN) {
        choose(e, op, false, o->out, to);
        snprintf(e->text[op], CLRNN_C_VALUE, "%s", to);
        e->reads |= CLRNN_C_READS_I;
        clrnn_c_emit(e, "    for (i = 0; i < %u; i++)\n        %s[i] = s->pool%zu[i] / ", o->out, to, op);
        clrnn_c_emit(e, attention ? "s->norm%zu[1];\n" : "(float)s->steps%zu;\n", op);
    } else {
        snprintf(to, sizeof(to), "s->pool%zu", op);
        keep(e, op, to, o->out);
    }
}

void clrnn_c_put_body(struct clrnn_c_emit *e)
{
    const struct clrnn_export_program *p = &e->code->program;

    for (size_t i = 0; i < p->count; i++) {
        // v<i> is the current step's row of the buffer of op[i]; later passes read it under this name
        if (in_pass(e) && e->code->passes.place[i].buffered)
            snprintf(e->text[i], CLRNN_C_VALUE, "v%zu", i);
        if (!in_pass(e) && p->op[i].steps && !clrnn_export_has_steps(p, i + 1))
            put_pooled(e, i);
        if (runs(e, i))
            put_op(e, i);
    }
}
