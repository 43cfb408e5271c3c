// SPDX-License-Identifier: MIT
// The functions of exported C code: one for each pass, one for what follows the pool, and the public ones.
#include <stdio.h>

#include "base/array.h"
#include "export/c_code.h"

// The value that the next operation reads, and the function's local arrays.
struct emission {
    struct clrnn_c_code *code;
    char value[48];
    int local;         // index of the local array that holds the value, 0 or 1; -1: elsewhere
    uint32_t width[2]; // of the local arrays; 0: not used
    bool state;        // the function reads or writes its state
    bool writes;       // false: only computes the widths of arrays
};

static const char *const local_names[2] = {"a", "b"};

static void put(struct emission *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct emission *e, const char *format, ...)
{
    va_list arguments;
    char *text;

    if (!e->writes)
        return;
    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    if (text)
        clrnn_c_template(&e->code->text, text);
    else
        e->code->text.failed = true;
    free(text);
}

// ---------------------------------------------------------------- where results go

// Chooses the array into which an operation writes `width` values: `sink` for the last one, its input if
// that may be overwritten, otherwise a local array.
static void choose(struct emission *e, const char *sink, bool in_place, uint32_t width, char to[48])
{
    int local = in_place && e->local >= 0 ? e->local : e->local == 0;

    if (sink) {
        snprintf(to, 48, "%s", sink);
        return;
    }
    e->width[local] = MAX2(e->width[local], width);
    snprintf(to, 48, "%s", local_names[local]);
    e->local = local;
}

static void took(struct emission *e, const char *to, bool sink)
{
    snprintf(e->value, sizeof(e->value), "%s", to);
    if (sink)
        e->local = -1;
}

static const struct {
    const char *call;
    unsigned helper;
} pointwise[] = {
    [CLRNN_EXPORT_RELU] = {"relu", CLRNN_C_RELU},
    [CLRNN_EXPORT_TANH] = {"tanh", CLRNN_C_TANH},
    [CLRNN_EXPORT_SIGMOID] = {"sigmoid", CLRNN_C_SIGMOID},
    [CLRNN_EXPORT_ROUND] = {"round", CLRNN_C_ROUND},
    [CLRNN_EXPORT_SOFTMAX] = {"softmax", CLRNN_C_SOFTMAX},
    [CLRNN_EXPORT_LOG_SOFTMAX] = {"log_softmax", CLRNN_C_LOG_SOFTMAX},
};

// ---------------------------------------------------------------- operations

static void put_copy(struct emission *e, const char *to, uint32_t width)
{
    put(e, "    @_copy(%s, %s, %u);\n", to, e->value, width);
    e->code->helpers |= CLRNN_C_COPY;
}

static void put_linear(struct emission *e, size_t op, const char *to)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];

    if (o->layer->bias)
        put(e, "    @_copy(%s, @_%zu_bias, %u);\n", to, op, o->out);
    else
        put(e, "    @_zero(%s, %u);\n", to, o->out);
    e->code->helpers |= o->layer->bias ? CLRNN_C_COPY : CLRNN_C_ZERO;
    if (e->writes)
        clrnn_c_multiply(e->code, to, op, "weight", e->value, o->out, o->in);
}

static void put_embedding(struct emission *e, size_t op, const char *to)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];

    put(e, "    @_embed(%s, @_%zu_weight, ", to, op);
    if (e->code->int8)
        put(e, "@_%zu_weight_scale, ", op);
    put(e, "%s[0], %u, %u);\n", e->value, o->layer->num_embeddings, o->out);
    e->code->helpers |= CLRNN_C_EMBED;
}

static void put_layernorm(struct emission *e, size_t op, const char *to)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];

    if (o->layer->affine)
        put(e, "    @_layernorm(%s, %s, @_%zu_factor, @_%zu_shift, %.9ef, %u);\n", to, e->value, op, op,
            o->layer->eps, o->out);
    else
        put(e, "    @_layernorm(%s, %s, NULL, NULL, %.9ef, %u);\n", to, e->value, o->layer->eps, o->out);
    e->code->helpers |= CLRNN_C_LAYERNORM;
}

// `first` of `width` features: those of one direction.
static void put_simple(struct emission *e, size_t op, const char *sink, uint32_t first, uint32_t width)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const bool in_place = o->kind != CLRNN_EXPORT_LINEAR && o->kind != CLRNN_EXPORT_EMBEDDING;
    const char *from = e->value;
    char to[48];

    choose(e, sink, in_place, width, to);
    switch (o->kind) {
    case CLRNN_EXPORT_LINEAR:
        put_linear(e, op, to);
        break;
    case CLRNN_EXPORT_EMBEDDING:
        put_embedding(e, op, to);
        break;
    case CLRNN_EXPORT_NORMALIZE:
    case CLRNN_EXPORT_BATCHNORM:
    case CLRNN_EXPORT_RESTORE:
        if (first)
            put(e, "    @_affine(%s, %s, @_%zu_mean + %u, @_%zu_factor + %u, @_%zu_shift + %u, %u);\n", to,
                from, op, first, op, first, op, first, width);
        else
            put(e, "    @_affine(%s, %s, @_%zu_mean, @_%zu_factor, @_%zu_shift, %u);\n", to, from, op, op, op,
                width);
        e->code->helpers |= CLRNN_C_AFFINE;
        break;
    case CLRNN_EXPORT_LAYERNORM:
        put_layernorm(e, op, to);
        break;
    default:
        put(e, "    @_%s(%s, %s, %u);\n", pointwise[o->kind].call, to, from, width);
        e->code->helpers |= pointwise[o->kind].helper;
        break;
    }
    took(e, to, sink);
}

// A cell whose state is kept from step to step; the state is its result.
static void put_cell(struct emission *e, size_t op, uint32_t d, const char *sink)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const char *reverse = d ? "_reverse" : "";
    char h[48];

    snprintf(h, sizeof(h), "s->h%zu%s", op, reverse);
    if (o->layer->kind == CLRNN_LAYER_LSTM)
        put(e, "    @_cell%zu%s(%s, s->c%zu%s, %s);\n", op, reverse, h, op, reverse, e->value);
    else
        put(e, "    @_cell%zu%s(%s, %s);\n", op, reverse, h, e->value);
    e->state = true;
    took(e, h, true);
    if (!sink)
        return;
    put_copy(e, sink, o->layer->hidden_size);
    took(e, sink, true);
}

// A cell after the pool: a single step from a zero state, in each direction.
static void put_single(struct emission *e, size_t op, const char *sink)
{
    const struct clrnn_export_op *o = &e->code->program.op[op];
    const uint32_t H = o->layer->hidden_size;
    char to[48];

    choose(e, sink, false, o->out, to);
    put(e, "    @_zero(%s, %u);\n", to, o->out);
    e->code->helpers |= CLRNN_C_ZERO;
    for (uint32_t d = 0; d < o->D; d++) {
        const char *reverse = d ? "_reverse" : "";

        if (o->layer->kind == CLRNN_LAYER_LSTM)
            put(e,
                "    {\n        float c[%u];\n\n        @_zero(c, %u);\n"
                "        @_cell%zu%s(%s + %u, c, %s);\n    }\n",
                H, H, op, reverse, to, d * H, e->value);
        else
            put(e, "    @_cell%zu%s(%s + %u, %s);\n", op, reverse, to, d * H, e->value);
    }
    took(e, to, sink);
}

// ---------------------------------------------------------------- passes

static enum clrnn_pool_over pool_over(const struct clrnn_c_code *code)
{
    return code->program.op[code->program.pool].layer->over;
}

// Whether the pool's result is the state of a cell, so that no other value need be kept.
static bool pools_state(const struct clrnn_c_code *code)
{
    const size_t pool = code->program.pool;
    const enum clrnn_pool_over over = pool_over(code);

    return (over == CLRNN_POOL_LAST || over == CLRNN_POOL_FINAL) && pool &&
           code->program.op[pool - 1].kind == CLRNN_EXPORT_CELL && code->program.op[pool - 1].D == 1;
}

static void put_pool(struct emission *e, const struct clrnn_c_pass *pass, uint32_t width)
{
    const enum clrnn_pool_over over = pool_over(e->code);
    const char *call = over == CLRNN_POOL_MEAN ? "add" : over == CLRNN_POOL_MAX ? "largest" : "copy";

    if (pools_state(e->code))
        return;
    e->state = true;
    e->code->helpers |= over == CLRNN_POOL_MEAN  ? CLRNN_C_ADD
                        : over == CLRNN_POOL_MAX ? CLRNN_C_LARGEST
                                                 : CLRNN_C_COPY;
    if (pass->offset)
        put(e, "    @_%s(s->pool + %u, %s, %u);\n", call, pass->offset, e->value, width);
    else
        put(e, "    @_%s(s->pool, %s, %u);\n", call, e->value, width);
    if (over == CLRNN_POOL_MEAN && !pass->direction)
        put(e, "    s->steps++;\n");
}

static void put_pass_body(struct emission *e, const struct clrnn_c_pass *pass)
{
    const struct clrnn_export_program *p = &e->code->program;
    uint32_t width = pass->width;
    bool half = false; // behind the bidirectional level

    snprintf(e->value, sizeof(e->value), "x");
    e->local = -1;
    for (size_t i = pass->first; i < pass->end; i++) {
        const struct clrnn_export_op *o = &p->op[i];
        const char *sink = i + 1 == pass->end && pass->sink != CLRNN_C_TO_POOL ? "y" : NULL;

        half |= o->kind == CLRNN_EXPORT_CELL && o->D == 2;
        width = half ? pass->row / 2 : o->out;
        if (o->kind == CLRNN_EXPORT_CELL)
            put_cell(e, i, pass->direction, sink);
        else
            put_simple(e, i, sink, half ? pass->offset : 0, width);
    }
    if (pass->sink == CLRNN_C_TO_POOL)
        put_pool(e, pass, width);
    else if (pass->first == pass->end)
        put_copy(e, "y", width);
}

static void put_finish_body(struct emission *e)
{
    const struct clrnn_export_program *p = &e->code->program;
    const bool mean = pool_over(e->code) == CLRNN_POOL_MEAN, more = p->pool + 1 < p->count;
    const uint32_t width = p->op[p->pool].out;
    char to[48];

    e->local = -1;
    e->state = true;
    if (pools_state(e->code))
        snprintf(e->value, sizeof(e->value), "s->h%zu", p->pool - 1);
    else
        snprintf(e->value, sizeof(e->value), "s->pool");
    if (mean) {
        choose(e, more ? NULL : "y", false, width, to);
        put(e, "    for (i = 0; i < %u; i++)\n        %s[i] = s->pool[i] / (float)s->steps;\n", width, to);
        took(e, to, !more);
    } else if (!more) {
        put_copy(e, "y", width);
    }
    for (size_t i = p->pool + 1; i < p->count; i++) {
        const char *sink = i + 1 == p->count ? "y" : NULL;

        if (p->op[i].kind == CLRNN_EXPORT_CELL)
            put_single(e, i, sink);
        else
            put_simple(e, i, sink, 0, p->op[i].out);
    }
}

// Writes a function's head and local arrays, after its body was run once to find them, then its body.
static void put_function(struct emission *e, struct clrnn_c_pass *pass, size_t number)
{
    const struct clrnn_export_program *p = &e->code->program;
    const bool tokens = pass && pass->from < 0 && p->model->shape.tokens;
    const bool count = !pass && pool_over(e->code) == CLRNN_POOL_MEAN;

    *e = (struct emission){.code = e->code};
    if (pass)
        put_pass_body(e, pass);
    else
        put_finish_body(e);
    e->writes = true;
    if (pass)
        pass->state = e->state;
    if (!pass)
        put(e, "/* What follows the pool. */\nstatic void @_finish(const @_state *s, float *y)\n{\n");
    else if (pass->sink == CLRNN_C_TO_POOL)
        put(e, "static void @_pass%zu(@_state *s, const %s *x)\n{\n", number, tokens ? "int32_t" : "float");
    else
        put(e, "static void @_pass%zu(%sconst %s *x, float *y)\n{\n", number, e->state ? "@_state *s, " : "",
            tokens ? "int32_t" : "float");
    for (int i = 0; i < 2; i++)
        if (e->width[i])
            put(e, "    float %s[%u];\n", local_names[i], e->width[i]);
    if (count)
        put(e, "    int i;\n");
    if (count || e->width[0] || e->width[1])
        put(e, "\n");
    if (pass)
        put_pass_body(e, pass);
    else
        put_finish_body(e);
    put(e, "}\n\n");
    e->code->pass_bytes = MAX2(e->code->pass_bytes, (e->width[0] + (size_t)e->width[1]) * sizeof(float));
}

// ---------------------------------------------------------------- public functions

void clrnn_c_state(struct clrnn_c_code *code)
{
    const struct clrnn_export_program *p = &code->program;
    struct clrnn_c_text *t = &code->text;
    size_t values = 0;

    clrnn_c_put(t, "typedef struct @_state {\n");
    for (size_t i = 0; i < p->pool; i++) {
        const bool lstm = p->op[i].layer && p->op[i].layer->kind == CLRNN_LAYER_LSTM;

        for (uint32_t d = 0; p->op[i].kind == CLRNN_EXPORT_CELL && d < p->op[i].D; d++) {
            const unsigned H = p->op[i].layer->hidden_size;
            const char *reverse = d ? "_reverse" : "";

            clrnn_c_put(t, "    float h%zu%s[%u];\n", i, reverse, H);
            if (lstm)
                clrnn_c_put(t, "    float c%zu%s[%u];\n", i, reverse, H);
            values += (size_t)H * (lstm ? 2 : 1);
        }
    }
    if (p->pool < p->count && !pools_state(code)) {
        clrnn_c_put(t, "    float pool[%u];\n", p->op[p->pool].out);
        values += p->op[p->pool].out;
    }
    clrnn_c_put(t, "    int steps; /* that a mean is over */\n} @_state;\n");
    code->state_bytes = values * sizeof(float) + sizeof(int32_t);
}

static void put_reset(struct clrnn_c_code *code, bool public)
{
    const struct clrnn_export_program *p = &code->program;
    struct clrnn_c_text *t = &code->text;

    clrnn_c_put(t, "%svoid @_reset(@_state *state)\n{\n", public ? "" : "static ");
    for (size_t i = 0; i < p->pool; i++)
        for (uint32_t d = 0; p->op[i].kind == CLRNN_EXPORT_CELL && d < p->op[i].D; d++) {
            const char *reverse = d ? "_reverse" : "";

            clrnn_c_put(t, "    @_zero(state->h%zu%s, %u);\n", i, reverse, p->op[i].layer->hidden_size);
            if (p->op[i].layer->kind == CLRNN_LAYER_LSTM)
                clrnn_c_put(t, "    @_zero(state->c%zu%s, %u);\n", i, reverse, p->op[i].layer->hidden_size);
            code->helpers |= CLRNN_C_ZERO;
        }
    if (p->pool < p->count && !pools_state(code)) {
        const char *value = pool_over(code) == CLRNN_POOL_MAX ? "-3.402823466e38f" : "0.0f";

        clrnn_c_put(t, "    for (state->steps = 0; state->steps < %u; state->steps++)\n", p->op[p->pool].out);
        clrnn_c_put(t, "        state->pool[state->steps] = %s;\n", value);
    }
    clrnn_c_put(t, "    state->steps = 0;\n}\n\n");
}

static void put_call(struct clrnn_c_code *code, size_t number)
{
    const struct clrnn_c_pass *pass = &code->passes.pass[number];
    struct clrnn_c_text *t = &code->text;

    if (pass->once)
        clrnn_c_put(t, "    t = T - 1;\n    ");
    else
        clrnn_c_put(t, pass->direction ? "    for (t = T - 1; t >= 0; t--)\n        "
                                       : "    for (t = 0; t < T; t++)\n        ");
    clrnn_c_put(t, "@_pass%zu(%s", number, pass->state ? "&state, " : "");
    if (pass->from < 0)
        clrnn_c_put(t, "x + (size_t)t * %u", MAX2(pass->width, 1u));
    else
        clrnn_c_put(t, "@_sequence%d + (size_t)t * %u", pass->from, pass->width);
    if (pass->sink == CLRNN_C_TO_OUT)
        clrnn_c_put(t, ", out + (size_t)t * %u + %u", pass->row, pass->offset);
    else if (pass->sink == CLRNN_C_TO_SEQUENCE)
        clrnn_c_put(t, ", @_sequence%d + (size_t)t * %u + %u", pass->to, pass->row, pass->offset);
    clrnn_c_put(t, ");\n");
}

static void put_predict(struct clrnn_c_code *code, bool state)
{
    const struct clrnn_export_program *p = &code->program;
    const bool buffered = code->passes.sequence[0] || code->passes.sequence[1];
    struct clrnn_c_text *t = &code->text;

    clrnn_c_put(t, "int @_predict(const %s *x, int T, float *out)\n{\n",
                p->model->shape.tokens ? "int32_t" : "float");
    clrnn_c_put(t, "%s    int t;\n\n    if (T < 1%s)\n        return -1;\n",
                state ? "    @_state state;\n" : "", buffered ? " || T > `_MAX_T" : "");
    if (state)
        clrnn_c_put(t, "    @_reset(&state);\n");
    for (size_t i = 0; i < code->passes.count; i++)
        put_call(code, i);
    clrnn_c_put(t, "%s    return 0;\n}\n", p->pool < p->count ? "    @_finish(&state, out);\n" : "");
}

static void put_step(struct clrnn_c_code *code)
{
    const struct clrnn_export_program *p = &code->program;
    const bool pooled = p->pool < p->count, state = code->passes.pass[0].state;
    struct clrnn_c_text *t = &code->text;

    clrnn_c_put(t, "\nvoid @_step(@_state *state, const %s *x, float *out)\n{\n",
                p->model->shape.tokens ? "int32_t" : "float");
    if (!state && !pooled)
        clrnn_c_put(t, "    (void)state; /* the model keeps none */\n");
    clrnn_c_put(t, "    @_pass0(%sx%s);\n%s}\n", state || pooled ? "state, " : "", pooled ? "" : ", out",
                pooled ? "    @_finish(state, out);\n" : "");
}

void clrnn_c_functions(struct clrnn_c_code *code)
{
    struct emission e = {.code = code};
    bool state = code->program.pool < code->program.count;

    for (size_t i = 0; i < code->passes.count; i++) {
        put_function(&e, &code->passes.pass[i], i);
        state |= code->passes.pass[i].state;
    }
    if (code->program.pool < code->program.count)
        put_function(&e, NULL, 0);
    if (state || code->program.causal)
        put_reset(code, code->program.causal);
    put_predict(code, state);
    if (code->program.causal)
        put_step(code);
}
