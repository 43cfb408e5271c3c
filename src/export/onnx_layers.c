// SPDX-License-Identifier: MIT
// Adds the inputs, the output and the operations to an ONNX graph. Cells (onnx_cells.c), activations
// (onnx_activations.c), and operations that read several steps (onnx_windows.c) are elsewhere.
#include "export/onnx_layers.h"

#include "base/array.h"
#include "base/log.h"

// ---------------------------------------------------------------- inputs and output

static void add_lengths(struct clrnn_onnx_build *b)
{
    static const char *const dim_names[] = {"N"};
    const bool tokens = b->program.model->shape.tokens;
    struct clrnn_onnx *o = b->onnx;

    b->now.lengths = clrnn_onnx_input(o, "lengths", CLRNN_ONNX_INT64, 1, (int64_t[]){0}, dim_names);
    b->now.mask = clrnn_onnx_mask(o, b->now.x, b->now.lengths);
    // padding may hold any values, even NaN and invalid tokens, so it is set to 0
    b->now.x = CLRNN_ONNX_NODE(o, "Where", tokens ? clrnn_onnx_squeeze(o, b->now.mask, 2) : b->now.mask, b->now.x,
                               tokens ? clrnn_onnx_integer(o, 0) : clrnn_onnx_scalar(o, 0));
}

void clrnn_onnx_add_inputs(struct clrnn_onnx_build *b, bool lengths, uint32_t steps)
{
    const char *const dim_names[] = {"N", steps ? NULL : "T", NULL};
    const int64_t perm[] = {1, 0, 2};
    const bool tokens = b->program.model->shape.tokens;
    const char *x = clrnn_onnx_input(b->onnx, "x", tokens ? CLRNN_ONNX_INT64 : CLRNN_ONNX_FLOAT, tokens ? 2 : 3,
                                     (int64_t[]){0, steps, b->program.model->shape.features}, dim_names);

    b->now.x = clrnn_onnx_transpose(b->onnx, x, tokens ? 2 : 3, perm);
    if (lengths)
        add_lengths(b);
    b->value[0] = b->now;
}

void clrnn_onnx_add_output(struct clrnn_onnx_build *b)
{
    const struct clrnn_model *m = b->program.model;
    // windows over time change the number of steps
    const char *const dim_names[] = {"N", clrnn_model_changes_steps(m) ? "T_out" : "T", NULL};
    const int64_t dims[] = {0, 0, m->outputs}, flat[] = {0, m->outputs};
    static const char *const flat_names[] = {"N", NULL};

    if (m->per_step)
        b->now.x = clrnn_onnx_fill(b, b->now.x, 0);
    CLRNN_ONNX_NODE(b->onnx, m->per_step ? "Transpose" : "Identity", b->now.x);
    if (m->per_step)
        clrnn_onnx_set_integers(b->onnx, "perm", 3, (int64_t[]){1, 0, 2});
    clrnn_onnx_rename(b->onnx, "out");
    clrnn_onnx_output(b->onnx, "out", CLRNN_ONNX_FLOAT, m->per_step ? 3 : 2, m->per_step ? dims : flat,
                      m->per_step ? dim_names : flat_names);
}

// ---------------------------------------------------------------- operations

static enum clrnn_status add_linear(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *weight, *bias;

    TRY(clrnn_onnx_add_parameter(b, op->entry, true, &weight));
    b->now.x = CLRNN_ONNX_NODE(b->onnx, "MatMul", b->now.x, weight);
    if (!op->layer->bias)
        return CLRNN_OK;
    TRY(clrnn_onnx_add_parameter(b, op->entry + 1, false, &bias));
    b->now.x = CLRNN_ONNX_NODE(b->onnx, "Add", b->now.x, bias);
    return CLRNN_OK;
}

// Adds nodes for (x - mean) * factor + shift.
static enum clrnn_status add_affine(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const int64_t C = op->out;
    enum clrnn_status st;
    double *values = clrnn_export_read_affine(b->program.model, op, &st);

    if (!values)
        return st;
    if (op->kind != CLRNN_EXPORT_RESTORE)
        b->now.x = CLRNN_ONNX_NODE(b->onnx, "Sub", b->now.x, clrnn_onnx_floats(b->onnx, NULL, 1, &C, values));
    b->now.x = CLRNN_ONNX_NODE(b->onnx, "Mul", b->now.x, clrnn_onnx_floats(b->onnx, NULL, 1, &C, values + C));
    if (op->kind != CLRNN_EXPORT_NORMALIZE)
        b->now.x = CLRNN_ONNX_NODE(b->onnx, "Add", b->now.x, clrnn_onnx_floats(b->onnx, NULL, 1, &C, values + 2 * C));
    free(values);
    return CLRNN_OK;
}

// Adds the multiplication by a norm's factors and the addition of its offsets, if the norm has them (affine).
static enum clrnn_status add_factors(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *parameter;

    for (size_t i = 0; op->layer->affine && i < 2; i++) {
        TRY(clrnn_onnx_add_parameter(b, op->entry + i, false, &parameter));
        b->now.x = CLRNN_ONNX_NODE(b->onnx, i ? "Add" : "Mul", b->now.x, parameter);
    }
    return CLRNN_OK;
}

// Adds batchnorm with the statistics of the current batch, computed without the steps of padding.
static enum clrnn_status add_batch_statistics(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    struct clrnn_onnx *o = b->onnx;
    const unsigned axes = op->steps ? 2 : 1;
    const char *mean, *centered, *var, *count = NULL, *zero = NULL;

    if (op->steps && b->now.mask) {
        zero = clrnn_onnx_scalar(o, 0);
        count = clrnn_onnx_cast(o, clrnn_onnx_sum_over(o, b->now.lengths, 1, false), CLRNN_ONNX_FLOAT);
        mean = clrnn_onnx_sum_over(o, CLRNN_ONNX_NODE(o, "Where", b->now.mask, b->now.x, zero), axes, true);
        mean = CLRNN_ONNX_NODE(o, "Div", mean, count);
    } else {
        mean = clrnn_onnx_reduce(o, "ReduceMean", b->now.x, axes, true);
    }
    centered = CLRNN_ONNX_NODE(o, "Sub", b->now.x, mean);
    if (count) {
        centered = CLRNN_ONNX_NODE(o, "Where", b->now.mask, centered, zero);
        var = CLRNN_ONNX_NODE(o, "Div",
                              clrnn_onnx_sum_over(o, CLRNN_ONNX_NODE(o, "Mul", centered, centered), axes, true), count);
    } else {
        var = clrnn_onnx_reduce(o, "ReduceMean", CLRNN_ONNX_NODE(o, "Mul", centered, centered), axes, true);
    }
    var = CLRNN_ONNX_NODE(o, "Add", var, clrnn_onnx_scalar(o, op->layer->eps));
    b->now.x = CLRNN_ONNX_NODE(o, "Div", centered, CLRNN_ONNX_NODE(o, "Sqrt", var));
    return add_factors(b, op);
}

static enum clrnn_status add_layernorm(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *weight, *bias = "";

    if (op->layer->affine) {
        TRY(clrnn_onnx_add_parameter(b, op->entry, false, &weight));
        TRY(clrnn_onnx_add_parameter(b, op->entry + 1, false, &bias));
    } else {
        TRY(clrnn_onnx_add_ones(b, op->out, &weight));
    }
    b->now.x = clrnn_onnx_normalise(b->onnx, b->now.x, weight, bias, op->layer->eps);
    return CLRNN_OK;
}

// Adds groupnorm: layer normalisation of each group of features, then factors and offsets for all features.
static enum clrnn_status add_groupnorm(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const int64_t groups = op->layer->num_groups, C = op->out;
    const int64_t apart[] = {0, 0, groups, C / groups}, together[] = {0, 0, C};
    const unsigned first = op->steps ? 0 : 1;
    const char *ones;

    TRY(clrnn_onnx_add_ones(b, C / groups, &ones));
    b->now.x = CLRNN_ONNX_NODE(b->onnx, "Reshape", b->now.x, clrnn_onnx_integers(b->onnx, 4 - first, apart + first));
    b->now.x = clrnn_onnx_normalise(b->onnx, b->now.x, ones, "", op->layer->eps);
    b->now.x = CLRNN_ONNX_NODE(b->onnx, "Reshape", b->now.x, clrnn_onnx_integers(b->onnx, 3 - first, together + first));
    return add_factors(b, op);
}

static enum clrnn_status add_embedding(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *table;

    TRY(clrnn_onnx_add_parameter(b, op->entry, false, &table));
    b->now.x = CLRNN_ONNX_NODE(b->onnx, "Gather", table, b->now.x);
    clrnn_onnx_set_integer(b->onnx, "axis", 0);
    return CLRNN_OK;
}

static const char *join(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const char *x = b->now.x;

    for (uint32_t i = 1; i < op->sources; i++)
        x = clrnn_onnx_concat(b->onnx, x, b->value[op->source[i]].x, -1);
    return x;
}

static enum clrnn_status add_operation(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    switch (op->kind) {
    case CLRNN_EXPORT_NORMALIZE:
    case CLRNN_EXPORT_RESTORE:
        return add_affine(b, op);
    case CLRNN_LAYER_BATCHNORM:
        return op->layer->track_running_stats ? add_affine(b, op) : add_batch_statistics(b, op);
    case CLRNN_LAYER_EMBEDDING:
        return add_embedding(b, op);
    case CLRNN_EXPORT_CELL:
        return clrnn_onnx_add_cell(b, op);
    case CLRNN_LAYER_LINEAR:
        return add_linear(b, op);
    case CLRNN_LAYER_LAYERNORM:
        return add_layernorm(b, op);
    case CLRNN_LAYER_GROUPNORM:
        return add_groupnorm(b, op);
    case CLRNN_LAYER_CONV1D:
    case CLRNN_LAYER_MAX_POOL1D:
    case CLRNN_LAYER_AVG_POOL1D:
        return clrnn_onnx_add_windows(b, op);
    case CLRNN_LAYER_ATTENTION_POOL:
        return clrnn_onnx_add_attention(b, op);
    case CLRNN_LAYER_POOL:
        clrnn_onnx_add_pool(b, op);
        break;
    case CLRNN_LAYER_FLATTEN:
        b->now.x = clrnn_onnx_flatten(b->onnx, op, b->now.x);
        break;
    case CLRNN_LAYER_RESIDUAL:
        b->now.x = CLRNN_ONNX_NODE(b->onnx, "Add", b->now.x, b->value[op->source[1]].x);
        break;
    case CLRNN_LAYER_CONCAT:
        b->now.x = join(b, op);
        break;
    default:
        b->now.x = clrnn_onnx_activation(b->onnx, op, b->now.x);
        break;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_onnx_add_operations(struct clrnn_onnx_build *b)
{
    for (size_t i = 0; i < b->program.count; i++) {
        b->now = b->value[b->program.op[i].source[0]];
        TRY(add_operation(b, &b->program.op[i]));
        b->value[i + 1] = b->now;
    }
    b->now = b->value[b->program.output];
    return CLRNN_OK;
}
