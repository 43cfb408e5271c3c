// SPDX-License-Identifier: MIT
// Functions that c_functions.c and c_public.c share to write generated functions.
#include "export/c_emit.h"

void clrnn_c_emit(struct clrnn_c_emit *e, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    if (e->writes)
        clrnn_c_put_va(&e->code->text, format, arguments);
    va_end(arguments);
}

void clrnn_c_put_pointwise(struct clrnn_c_emit *e, const struct clrnn_export_op *op, const char *to, const char *from,
                           uint32_t width)
{
    static const unsigned helper[CLRNN_LAYER_KINDS] = {
        [CLRNN_LAYER_RELU] = CLRNN_C_RELU,
        [CLRNN_LAYER_TANH] = CLRNN_C_TANH,
        [CLRNN_LAYER_SIGMOID] = CLRNN_C_SIGMOID,
        [CLRNN_LAYER_ROUND] = CLRNN_C_ROUND,
        [CLRNN_LAYER_LEAKY_RELU] = CLRNN_C_LEAKY_RELU,
        [CLRNN_LAYER_ELU] = CLRNN_C_ELU,
        [CLRNN_LAYER_GELU] = CLRNN_C_GELU,
        [CLRNN_LAYER_SILU] = CLRNN_C_SILU,
        [CLRNN_LAYER_SOFTPLUS] = CLRNN_C_SOFTPLUS,
        [CLRNN_LAYER_SOFTMAX] = CLRNN_C_SOFTMAX,
        [CLRNN_LAYER_LOG_SOFTMAX] = CLRNN_C_LOG_SOFTMAX,
    };
    const bool tanh = op->kind == CLRNN_LAYER_GELU && op->layer->gelu_tanh;

    clrnn_c_emit(e, "    @_%s%s(%s, %s, ", clrnn_layer_word(op->layer->kind), tanh ? "_tanh" : "", to, from);
    if (op->kind == CLRNN_LAYER_LEAKY_RELU)
        clrnn_c_emit(e, "%.9ef, ", op->layer->negative_slope);
    if (op->kind == CLRNN_LAYER_ELU)
        clrnn_c_emit(e, "%.9ef, ", op->layer->alpha);
    if (op->kind == CLRNN_LAYER_SOFTPLUS)
        clrnn_c_emit(e, "%.9ef, %.9ef, ", op->layer->beta, op->layer->threshold);
    clrnn_c_emit(e, "%u);\n", width);
    e->code->helpers |= tanh ? CLRNN_C_GELU_TANH : helper[op->kind];
}

bool clrnn_c_pools_state(const struct clrnn_export_program *p, size_t op)
{
    const struct clrnn_export_op *o = &p->op[op], *before = o->source[0] ? &p->op[o->source[0] - 1] : NULL;

    return o->kind == CLRNN_LAYER_POOL && before && before->kind == CLRNN_EXPORT_CELL && before->D == 1 &&
           (o->layer->over == CLRNN_POOL_LAST || o->layer->over == CLRNN_POOL_FINAL);
}

const struct clrnn_export_op *clrnn_c_normalize(const struct clrnn_export_program *program)
{
    for (size_t i = 0; i < program->count; i++)
        if (program->op[i].kind == CLRNN_EXPORT_NORMALIZE)
            return &program->op[i];
    return NULL;
}

const char *clrnn_c_input_type(const struct clrnn_c_code *code)
{
    return code->program.model->shape.tokens ? "int32_t" : "float";
}

int64_t clrnn_c_output_steps(const struct clrnn_c_code *code, int64_t T)
{
    if (!code->program.model->per_step)
        return 1;
    return clrnn_c_base_steps(&code->passes, code->passes.place[code->program.output - 1].base, T);
}
