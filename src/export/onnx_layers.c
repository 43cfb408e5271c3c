// SPDX-License-Identifier: MIT
// Inputs, padding and all operations but recurrent ones as nodes of an ONNX graph.
#include "export/onnx_layers.h"

#include <float.h>

#include "base/array.h"
#include "base/log.h"

// 0, 1, ... up to dimension `axis` of x
static const char *count_up(struct clrnn_onnx *onnx, const char *x, int64_t axis)
{
    const char *shape = CLRNN_ONNX_NODE(onnx, "Shape", x);
    const char *size = CLRNN_ONNX_NODE(onnx, "Gather", shape, clrnn_onnx_integer(onnx, axis));

    return CLRNN_ONNX_NODE(onnx, "Range", clrnn_onnx_integer(onnx, 0), size, clrnn_onnx_integer(onnx, 1));
}

static const char *cast_to_float(struct clrnn_onnx *onnx, const char *x)
{
    x = CLRNN_ONNX_NODE(onnx, "Cast", x);
    clrnn_onnx_set_integer(onnx, "to", CLRNN_ONNX_FLOAT);
    return x;
}

static const char *sum_over(struct clrnn_onnx *onnx, const char *x, unsigned axes, bool keep)
{
    x = CLRNN_ONNX_NODE(onnx, "ReduceSum", x, clrnn_onnx_integers(onnx, axes, (int64_t[]){0, 1}));
    clrnn_onnx_set_integer(onnx, "keepdims", keep);
    return x;
}

// ReduceMean or ReduceMax over the first axes
static const char *reduce(struct clrnn_onnx *onnx, const char *op, const char *x, unsigned axes, bool keep)
{
    x = CLRNN_ONNX_NODE(onnx, op, x);
    clrnn_onnx_set_integers(onnx, "axes", axes, (int64_t[]){0, 1});
    clrnn_onnx_set_integer(onnx, "keepdims", keep);
    return x;
}

// ---------------------------------------------------------------- inputs and output

static void add_mask(struct clrnn_onnx_build *b)
{
    static const char *const dim_names[] = {"N"};
    struct clrnn_onnx *o = b->onnx;
    const char *step = clrnn_onnx_unsqueeze(o, count_up(o, "x", 1), 1), *valid, *zero;

    b->lengths = clrnn_onnx_input(o, "lengths", CLRNN_ONNX_INT64, 1, (int64_t[]){0}, dim_names);
    valid = CLRNN_ONNX_NODE(o, "Less", step, clrnn_onnx_unsqueeze(o, b->lengths, 0));
    b->mask = clrnn_onnx_unsqueeze(o, valid, 2);
    zero = b->program.model->shape.tokens ? clrnn_onnx_integer(o, 0) : clrnn_onnx_scalar(o, 0);
    // padding may hold anything, also NaN and invalid tokens
    b->x = CLRNN_ONNX_NODE(o, "Where", b->program.model->shape.tokens ? valid : b->mask, b->x, zero);
}

void clrnn_onnx_add_inputs(struct clrnn_onnx_build *b, bool lengths)
{
    static const char *const dim_names[] = {"N", "T", NULL};
    const bool tokens = b->program.model->shape.tokens;
    const char *x =
        clrnn_onnx_input(b->onnx, "x", tokens ? CLRNN_ONNX_INT64 : CLRNN_ONNX_FLOAT, tokens ? 2 : 3,
                         (int64_t[]){0, 0, b->program.model->shape.features}, dim_names);

    b->x = CLRNN_ONNX_NODE(b->onnx, "Transpose", x);
    clrnn_onnx_set_integers(b->onnx, "perm", tokens ? 2 : 3, (int64_t[]){1, 0, 2});
    if (lengths)
        add_mask(b);
}

void clrnn_onnx_add_output(struct clrnn_onnx_build *b)
{
    static const char *const dim_names[] = {"N", "T", NULL};
    const struct clrnn_model *m = b->program.model;
    const int64_t dims[] = {0, 0, m->outputs}, flat[] = {0, m->outputs};
    static const char *const flat_names[] = {"N", NULL};

    if (m->per_step && b->mask)
        b->x = CLRNN_ONNX_NODE(b->onnx, "Where", b->mask, b->x, clrnn_onnx_scalar(b->onnx, 0));
    CLRNN_ONNX_NODE(b->onnx, m->per_step ? "Transpose" : "Identity", b->x);
    if (m->per_step)
        clrnn_onnx_set_integers(b->onnx, "perm", 3, (int64_t[]){1, 0, 2});
    clrnn_onnx_rename(b->onnx, "out");
    clrnn_onnx_output(b->onnx, "out", CLRNN_ONNX_FLOAT, m->per_step ? 3 : 2, m->per_step ? dims : flat,
                      m->per_step ? dim_names : flat_names);
}

// ---------------------------------------------------------------- operations

// Adds parameter `entry` as a constant of its own name; `transposed` for a matrix that is a right operand.
static enum clrnn_status add_parameter(struct clrnn_onnx_build *b, size_t entry, bool transposed,
                                       const char **name)
{
    const struct clrnn_param *p = &b->program.model->entry[entry].param;
    const size_t rows = p->shape[0], cols = p->ndim == 2 ? p->shape[1] : 1;
    enum clrnn_status st;
    double *values = clrnn_export_read(b->program.model, entry, &st), *turned = NULL;

    *name = NULL;
    if (values && transposed) {
        turned = malloc(rows * cols * sizeof(*turned));
        if (!turned)
            st = clrnn_error_memory(b->program.model->log, rows * cols * sizeof(*turned), p->name);
        for (size_t i = 0; turned && i < rows * cols; i++)
            turned[i % cols * rows + i / cols] = values[i];
    }
    if (st == CLRNN_OK)
        *name = clrnn_onnx_floats(b->onnx, p->name, p->ndim,
                                  transposed ? (int64_t[]){(int64_t)cols, (int64_t)rows}
                                             : (int64_t[]){(int64_t)rows, (int64_t)cols},
                                  transposed ? turned : values);
    free(values);
    free(turned);
    return st;
}

static enum clrnn_status add_linear(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *weight, *bias;

    TRY(add_parameter(b, op->entry, true, &weight));
    b->x = CLRNN_ONNX_NODE(b->onnx, "MatMul", b->x, weight);
    if (!op->layer->bias)
        return CLRNN_OK;
    TRY(add_parameter(b, op->entry + 1, false, &bias));
    b->x = CLRNN_ONNX_NODE(b->onnx, "Add", b->x, bias);
    return CLRNN_OK;
}

// (x - mean) * factor + shift
static enum clrnn_status add_affine(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const int64_t C = op->out;
    enum clrnn_status st;
    double *values = clrnn_export_read_affine(b->program.model, op, &st);

    if (!values)
        return st;
    if (op->kind != CLRNN_EXPORT_RESTORE)
        b->x = CLRNN_ONNX_NODE(b->onnx, "Sub", b->x, clrnn_onnx_floats(b->onnx, NULL, 1, &C, values));
    b->x = CLRNN_ONNX_NODE(b->onnx, "Mul", b->x, clrnn_onnx_floats(b->onnx, NULL, 1, &C, values + C));
    if (op->kind != CLRNN_EXPORT_NORMALIZE)
        b->x = CLRNN_ONNX_NODE(b->onnx, "Add", b->x, clrnn_onnx_floats(b->onnx, NULL, 1, &C, values + 2 * C));
    free(values);
    return CLRNN_OK;
}

// Adds batchnorm by the statistics of the current batch, padding excluded.
static enum clrnn_status add_batch_statistics(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    struct clrnn_onnx *o = b->onnx;
    const unsigned axes = op->steps ? 2 : 1;
    const char *mean, *centered, *var, *count = NULL, *parameter, *zero = NULL;

    if (op->steps && b->mask) {
        zero = clrnn_onnx_scalar(o, 0);
        count = cast_to_float(o, sum_over(o, b->lengths, 1, false));
        mean = sum_over(o, CLRNN_ONNX_NODE(o, "Where", b->mask, b->x, zero), axes, true);
        mean = CLRNN_ONNX_NODE(o, "Div", mean, count);
    } else {
        mean = reduce(o, "ReduceMean", b->x, axes, true);
    }
    centered = CLRNN_ONNX_NODE(o, "Sub", b->x, mean);
    if (count) {
        centered = CLRNN_ONNX_NODE(o, "Where", b->mask, centered, zero);
        var = CLRNN_ONNX_NODE(o, "Div",
                              sum_over(o, CLRNN_ONNX_NODE(o, "Mul", centered, centered), axes, true), count);
    } else {
        var = reduce(o, "ReduceMean", CLRNN_ONNX_NODE(o, "Mul", centered, centered), axes, true);
    }
    var = CLRNN_ONNX_NODE(o, "Add", var, clrnn_onnx_scalar(o, op->layer->eps));
    b->x = CLRNN_ONNX_NODE(o, "Div", centered, CLRNN_ONNX_NODE(o, "Sqrt", var));
    for (size_t i = 0; op->layer->affine && i < 2; i++) {
        TRY(add_parameter(b, op->entry + i, false, &parameter));
        b->x = CLRNN_ONNX_NODE(o, i ? "Add" : "Mul", b->x, parameter);
    }
    return CLRNN_OK;
}

static enum clrnn_status add_layernorm(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const int64_t C = op->out;
    const char *weight, *bias = "";
    double *ones;

    if (op->layer->affine) {
        TRY(add_parameter(b, op->entry, false, &weight));
        TRY(add_parameter(b, op->entry + 1, false, &bias));
    } else {
        ones = malloc((size_t)C * sizeof(*ones));
        if (!ones)
            return clrnn_error_memory(b->program.model->log, (size_t)C * sizeof(*ones), "layernorm");
        for (int64_t i = 0; i < C; i++)
            ones[i] = 1;
        weight = clrnn_onnx_floats(b->onnx, NULL, 1, &C, ones);
        free(ones);
    }
    b->x = CLRNN_ONNX_NODE(b->onnx, "LayerNormalization", b->x, weight, bias);
    clrnn_onnx_set_integer(b->onnx, "axis", -1);
    clrnn_onnx_set_float(b->onnx, "epsilon", op->layer->eps);
    return CLRNN_OK;
}

// The last valid step of each sample.
static const char *add_last(struct clrnn_onnx_build *b)
{
    struct clrnn_onnx *o = b->onnx;
    const char *step, *index;

    if (!b->lengths) {
        index = CLRNN_ONNX_NODE(o, "Gather", b->x, clrnn_onnx_integer(o, -1));
        clrnn_onnx_set_integer(o, "axis", 0);
        return index;
    }
    step = clrnn_onnx_unsqueeze(o, CLRNN_ONNX_NODE(o, "Sub", b->lengths, clrnn_onnx_integer(o, 1)), 1);
    index = clrnn_onnx_unsqueeze(o, count_up(o, b->lengths, 0), 1);
    index = CLRNN_ONNX_NODE(o, "Concat", step, index);
    clrnn_onnx_set_integer(o, "axis", 1);
    return CLRNN_ONNX_NODE(o, "GatherND", b->x, index);
}

static const char *add_final(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *h;

    if (op->D == 1)
        return clrnn_onnx_squeeze(b->onnx, b->h_last, 0);
    h = CLRNN_ONNX_NODE(b->onnx, "Transpose", b->h_last);
    clrnn_onnx_set_integers(b->onnx, "perm", 3, (int64_t[]){1, 0, 2});
    return CLRNN_ONNX_NODE(b->onnx, "Reshape", h, clrnn_onnx_integers(b->onnx, 2, (int64_t[]){0, op->out}));
}

static const char *add_pool(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const bool mean = op->layer->over == CLRNN_POOL_MEAN;
    struct clrnn_onnx *o = b->onnx;
    const char *x = b->x;

    if (op->layer->over == CLRNN_POOL_LAST)
        return add_last(b);
    if (op->layer->over == CLRNN_POOL_FINAL)
        return add_final(b, op);
    if (b->mask)
        x = CLRNN_ONNX_NODE(o, "Where", b->mask, x, clrnn_onnx_scalar(o, mean ? 0 : -(double)FLT_MAX));
    if (!mean)
        return reduce(o, "ReduceMax", x, 1, false);
    if (!b->mask)
        return reduce(o, "ReduceMean", x, 1, false);
    return CLRNN_ONNX_NODE(o, "Div", sum_over(o, x, 1, false),
                           clrnn_onnx_unsqueeze(o, cast_to_float(o, b->lengths), 1));
}

static enum clrnn_status add_embedding(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *table;

    TRY(add_parameter(b, op->entry, false, &table));
    b->x = CLRNN_ONNX_NODE(b->onnx, "Gather", table, b->x);
    clrnn_onnx_set_integer(b->onnx, "axis", 0);
    return CLRNN_OK;
}

static void add_over_features(struct clrnn_onnx_build *b, const char *op)
{
    b->x = CLRNN_ONNX_NODE(b->onnx, op, b->x);
    clrnn_onnx_set_integer(b->onnx, "axis", -1);
}

static enum clrnn_status add_operation(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    switch (op->kind) {
    case CLRNN_EXPORT_NORMALIZE:
    case CLRNN_EXPORT_RESTORE:
        return add_affine(b, op);
    case CLRNN_EXPORT_BATCHNORM:
        return op->layer->track_running_stats ? add_affine(b, op) : add_batch_statistics(b, op);
    case CLRNN_EXPORT_EMBEDDING:
        return add_embedding(b, op);
    case CLRNN_EXPORT_CELL:
        return clrnn_onnx_add_cell(b, op);
    case CLRNN_EXPORT_LINEAR:
        return add_linear(b, op);
    case CLRNN_EXPORT_LAYERNORM:
        return add_layernorm(b, op);
    case CLRNN_EXPORT_SOFTMAX:
        add_over_features(b, "Softmax");
        break;
    case CLRNN_EXPORT_LOG_SOFTMAX:
        add_over_features(b, "LogSoftmax");
        break;
    case CLRNN_EXPORT_RELU:
        b->x = CLRNN_ONNX_NODE(b->onnx, "Relu", b->x);
        break;
    case CLRNN_EXPORT_TANH:
        b->x = CLRNN_ONNX_NODE(b->onnx, "Tanh", b->x);
        break;
    case CLRNN_EXPORT_SIGMOID:
        b->x = CLRNN_ONNX_NODE(b->onnx, "Sigmoid", b->x);
        break;
    case CLRNN_EXPORT_ROUND:
        b->x = CLRNN_ONNX_NODE(b->onnx, "Round", b->x);
        break;
    case CLRNN_EXPORT_POOL:
        b->x = add_pool(b, op);
        break;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_onnx_add_operations(struct clrnn_onnx_build *b)
{
    for (size_t i = 0; i < b->program.count; i++)
        TRY(add_operation(b, &b->program.op[i]));
    return CLRNN_OK;
}
