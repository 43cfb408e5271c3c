// SPDX-License-Identifier: MIT
// Writes the parts of exported C functions before and after their bodies (c_functions.c): signatures and locals. Also
// writes the struct NAME_state and the functions NAME_reset, NAME_predict and NAME_step.
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "export/c_emit.h"
#include "model/layer.h"

// ---------------------------------------------------------------- signatures and locals

static bool writes_output(const struct clrnn_c_code *code, size_t pass)
{
    const size_t output = code->program.output - 1;

    return code->program.op[output].steps && code->passes.pass[pass].runs[output] &&
           clrnn_export_has_steps(&code->program, output + 1);
}

// Writes a parameter or argument, with a comma before it unless it is the first (`any` is false).
static void CLRNN_PRINTF(3, 4) put_next(struct clrnn_c_text *t, bool *any, const char *format, ...)
{
    va_list arguments;

    if (*any)
        clrnn_c_put(t, ", ");
    *any = true;
    va_start(arguments, format);
    clrnn_c_put_va(t, format, arguments);
    va_end(arguments);
}

// Writes the parameters of a pass's function or, if `call`, the arguments that NAME_predict passes to it.
static void put_parameters(struct clrnn_c_code *code, size_t pass, bool call)
{
    const struct clrnn_c_passes *passes = &code->passes;
    const struct clrnn_model *m = code->program.model;
    const unsigned reads = passes->pass[pass].reads;
    struct clrnn_c_text *t = &code->text;
    bool any = false;

    if (reads & CLRNN_C_READS_STATE)
        put_next(t, &any, call ? "&state" : "@_state *s");
    if (reads & CLRNN_C_READS_X && call)
        put_next(t, &any, "x + (size_t)t * %u", MAX2(m->shape.features, 1u));
    else if (reads & CLRNN_C_READS_X)
        put_next(t, &any, "const %s *x", clrnn_c_input_type(code));
    if (reads & CLRNN_C_READS_WHOLE)
        put_next(t, &any, call ? "x" : "const float *whole");
    if (reads & CLRNN_C_READS_T)
        put_next(t, &any, call ? "t" : "int t");
    for (size_t i = 0; i < passes->bases; i++)
        if (passes->pass[pass].steps_read[i])
            put_next(t, &any, "%sn%zu", call ? "" : "int ", i);
    if (writes_output(code, pass) && call)
        put_next(t, &any, "out + (size_t)t * %u", m->outputs);
    else if (writes_output(code, pass))
        put_next(t, &any, "float *y");
}

static void put_locals(struct clrnn_c_emit *e)
{
    const struct clrnn_c_passes *passes = &e->code->passes;
    bool any = e->reads & CLRNN_C_READS_I;
    size_t values = 0;

    for (size_t i = 0; e->pass != SIZE_MAX && i < e->code->program.count; i++)
        if (e->rows[i]) {
            const size_t buffer = passes->place[i].buffer;
            const struct clrnn_export_op *o = &e->code->program.op[i];

            clrnn_c_emit(e, "    float *const v%zu = @_sequence%zu + (size_t)t * %u;\n", i, buffer,
                         o->kind == CLRNN_LAYER_FLATTEN ? o->in : o->out);
            any = true;
        }
    for (unsigned i = 0; i < e->locals; i++) {
        clrnn_c_emit(e, "    float a%u[%u];\n", i, e->local[i].width);
        values += e->local[i].width;
    }
    if (e->reads & CLRNN_C_READS_I)
        clrnn_c_emit(e, "    int i;\n");
    if (any || e->locals)
        clrnn_c_emit(e, "\n");
    e->code->pass_bytes = MAX2(e->code->pass_bytes, values * sizeof(float));
}

// Resets what is known about the body of a function, before its dry run.
static void begin(struct clrnn_c_emit *e, size_t pass)
{
    e->pass = pass;
    e->back = pass != SIZE_MAX && e->code->passes.pass[pass].direction;
    e->writes = false;
    e->reads = 0;
    e->locals = 0;
    e->steps_read = pass != SIZE_MAX ? e->code->passes.pass[pass].steps_read : NULL;
    memset(e->local, 0, sizeof(e->local));
    memset(e->rows, 0, e->code->program.count * sizeof(*e->rows));
    memset(e->held, 0, e->code->program.count * sizeof(*e->held));
}

// Generates a function. The body is generated twice: a dry run determines what the body needs, then the function is
// written.
static void put_function(struct clrnn_c_emit *e, size_t pass)
{
    begin(e, pass);
    clrnn_c_put_body(e);
    e->writes = true;
    if (pass == SIZE_MAX) {
        clrnn_c_emit(e, "/* The layers after the pools. */\nstatic void @_finish(%sfloat *y)\n{\n",
                     e->reads & CLRNN_C_READS_STATE ? "const @_state *s, " : "");
        e->code->finish_reads = e->reads;
    } else {
        e->code->passes.pass[pass].reads = e->reads;
        clrnn_c_emit(e, "static void @_pass%zu(", pass);
        put_parameters(e->code, pass, false);
        clrnn_c_emit(e, ")\n{\n");
    }
    put_locals(e);
    memset(e->held, 0, e->code->program.count * sizeof(*e->held));
    for (unsigned i = 0; i < e->locals; i++)
        e->local[i].until = 0;
    clrnn_c_put_body(e);
    clrnn_c_emit(e, "}\n\n");
}

// ---------------------------------------------------------------- the state

// Calls `put` with the name, width and initial value of each array of NAME_state that an operation needs. A value NULL
// stands for the two initial values of an attention pool's `norm`.
static void each_array(const struct clrnn_c_code *code, size_t op, void *to,
                       void (*put)(void *to, const char *name, uint32_t width, const char *value))
{
    const struct clrnn_export_op *o = &code->program.op[op];
    char name[CLRNN_C_VALUE];

    if (!o->steps)
        return;
    for (uint32_t d = 0; o->kind == CLRNN_EXPORT_CELL && d < o->D; d++) {
        const char *reverse = d ? "_reverse" : "";

        snprintf(name, sizeof(name), "h%zu%s", op, reverse);
        put(to, name, clrnn_layer_state(o->layer), "0.0f");
        snprintf(name, sizeof(name), "c%zu%s", op, reverse);
        if (o->layer->kind == CLRNN_LAYER_LSTM)
            put(to, name, o->layer->hidden_size, "0.0f");
    }
    snprintf(name, sizeof(name), "pool%zu", op);
    if (o->kind == CLRNN_LAYER_ATTENTION_POOL ||
        (o->kind == CLRNN_LAYER_POOL && !clrnn_c_pools_state(&code->program, op)))
        put(to, name, o->out,
            o->kind == CLRNN_LAYER_POOL && o->layer->over == CLRNN_POOL_MAX ? "-3.402823466e38f" : "0.0f");
    snprintf(name, sizeof(name), "norm%zu", op);
    if (o->kind == CLRNN_LAYER_ATTENTION_POOL)
        put(to, name, 2, NULL);
}

static bool counts_steps(const struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];

    return o->steps && o->kind == CLRNN_LAYER_POOL && o->layer->over == CLRNN_POOL_MEAN;
}

static void put_member(void *to, const char *name, uint32_t width, const char *value)
{
    struct clrnn_c_code *code = to;

    (void)value;
    clrnn_c_put(&code->text, "    float %s[%u];\n", name, width);
    code->state_bytes += width * sizeof(float);
}

void clrnn_c_state(struct clrnn_c_code *code)
{
    struct clrnn_c_text *t = &code->text;

    code->state_bytes = 0;
    clrnn_c_put(t, "typedef struct @_state {\n");
    for (size_t i = 0; i < code->program.count; i++) {
        each_array(code, i, code, put_member);
        if (!counts_steps(code, i))
            continue;
        clrnn_c_put(t, "    int steps%zu; /* the number of steps that a mean is over */\n", i);
        code->state_bytes += sizeof(int32_t);
    }
    if (!code->state_bytes)
        clrnn_c_put(t, "    int unused; /* the model remembers nothing */\n");
    clrnn_c_put(t, "} @_state;\n");
}

static void put_initial(void *to, const char *name, uint32_t width, const char *value)
{
    struct clrnn_c_code *code = to;

    if (!value) { // attention pool: the largest score so far, and the sum of the weights
        clrnn_c_put(&code->text, "    state->%s[0] = -3.402823466e38f;\n    state->%s[1] = 0.0f;\n", name, name);
        return;
    }
    clrnn_c_put(&code->text, "    @_fill(state->%s, %s, %u);\n", name, value, width);
    code->helpers |= CLRNN_C_FILL;
}

static void put_reset(struct clrnn_c_code *code)
{
    struct clrnn_c_text *t = &code->text;

    clrnn_c_put(t, "%svoid @_reset(@_state *state)\n{\n", code->passes.causal ? "" : "static ");
    for (size_t i = 0; i < code->program.count; i++) {
        each_array(code, i, code, put_initial);
        if (counts_steps(code, i))
            clrnn_c_put(t, "    state->steps%zu = 0;\n", i);
    }
    clrnn_c_put(t, code->state_bytes ? "}\n\n" : "    state->unused = 0;\n}\n\n");
}

// ---------------------------------------------------------------- public functions

static bool has_finish(const struct clrnn_c_code *code)
{
    return !code->program.model->per_step;
}

static bool has_state(const struct clrnn_c_code *code)
{
    bool any = has_finish(code) && (code->finish_reads & CLRNN_C_READS_STATE);

    for (size_t i = 0; i < code->passes.count; i++)
        any |= code->passes.pass[i].reads & CLRNN_C_READS_STATE;
    return any;
}

static void put_call(struct clrnn_c_code *code, size_t number)
{
    const struct clrnn_c_pass *pass = &code->passes.pass[number];
    struct clrnn_c_text *t = &code->text;

    if (pass->once)
        clrnn_c_put(t, "    t = n%zu - 1;\n    ", pass->base);
    else if (pass->direction)
        clrnn_c_put(t, "    for (t = n%zu - 1; t >= 0; t--)\n        ", pass->base);
    else
        clrnn_c_put(t, "    for (t = 0; t < n%zu; t++)\n        ", pass->base);
    clrnn_c_put(t, "@_pass%zu(", number);
    put_parameters(code, number, true);
    clrnn_c_put(t, ");\n");
}

static void put_predict(struct clrnn_c_code *code)
{
    const struct clrnn_c_passes *passes = &code->passes;
    const bool state = has_state(code);
    struct clrnn_c_text *t = &code->text;

    clrnn_c_put(t, "int @_predict(const %s *x, int T, float *out)\n{\n", clrnn_c_input_type(code));
    clrnn_c_put(t, "    const int n0 = T;\n%s    int t;\n", state ? "    @_state state;\n" : "");
    for (size_t i = 1; i < passes->bases; i++)
        clrnn_c_put(t, "    int n%zu;\n", i);
    if (passes->steps)
        clrnn_c_put(t, "\n    if (T != %u)\n        return -1;\n", passes->steps);
    else
        clrnn_c_put(t, "\n    if (T < 1%s)\n        return -1;\n", passes->buffers ? " || T > `_MAX_T" : "");
    for (size_t i = 1; i < passes->bases; i++) {
        const struct clrnn_c_base *b = &passes->base[i];
        const char *sign = b->more < 0 ? "-" : "+";
        const int64_t more = b->more < 0 ? -b->more : b->more;

        if (b->more < 0)
            clrnn_c_put(t, "    if (n%zu < %lld)\n        return -1;\n", b->parent, (long long)more);
        clrnn_c_put(t, "    n%zu = (n%zu %s %lld) / %u + 1;\n", i, b->parent, sign, (long long)more, b->stride);
    }
    if (state)
        clrnn_c_put(t, "    @_reset(&state);\n");
    for (size_t i = 0; i < passes->count; i++)
        put_call(code, i);
    if (has_finish(code))
        clrnn_c_put(t, "    @_finish(%sout);\n", code->finish_reads & CLRNN_C_READS_STATE ? "&state, " : "");
    clrnn_c_put(t, "    return 0;\n}\n");
}

static void put_step(struct clrnn_c_code *code)
{
    const unsigned reads = code->passes.count ? code->passes.pass[0].reads : 0;
    const bool pooled = has_finish(code);
    struct clrnn_c_text *t = &code->text;

    clrnn_c_put(t, "\nvoid @_step(@_state *state, const %s *x, float *out)\n{\n", clrnn_c_input_type(code));
    if (!has_state(code))
        clrnn_c_put(t, "    (void)state; /* the model keeps none */\n");
    clrnn_c_put(t, "    @_pass0(%sx%s);\n%s}\n", reads & CLRNN_C_READS_STATE ? "state, " : "", pooled ? "" : ", out",
                pooled ? "    @_finish(state, out);\n" : "");
}

static void put_all(struct clrnn_c_emit *e)
{
    struct clrnn_c_code *code = e->code;

    for (size_t i = 0; i < code->passes.count; i++)
        put_function(e, i);
    if (has_finish(code))
        put_function(e, SIZE_MAX);
    if (has_state(code) || code->passes.causal)
        put_reset(code);
    put_predict(code);
    if (code->passes.causal)
        put_step(code);
}

enum clrnn_status clrnn_c_functions(struct clrnn_c_code *code)
{
    const size_t count = code->program.count;
    struct clrnn_c_emit *e = calloc(1, sizeof(*e));
    enum clrnn_status st = CLRNN_OK;

    if (e) {
        e->code = code;
        e->text = calloc(count, sizeof(*e->text));
        e->held = calloc(count, sizeof(*e->held));
        e->rows = calloc(count, sizeof(*e->rows));
    }
    if (e && e->text && e->held && e->rows)
        put_all(e);
    else
        st = clrnn_error_memory(code->program.model->log, sizeof(*e), "C functions");
    if (e) {
        free(e->text);
        free(e->held);
        free(e->rows);
    }
    free(e);
    return st;
}
