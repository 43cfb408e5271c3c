// SPDX-License-Identifier: MIT
// Adds the operations that read several time steps to an ONNX graph: windows over time, pools, attention, flatten.
#include <float.h>

#include "export/onnx_layers.h"
#include "model/layer.h"

// ---------------------------------------------------------------- windows

static void set_windows(struct clrnn_onnx *o, const struct clrnn_export_op *op, const struct clrnn_windows *w)
{
    const int64_t kernel = w->kernel, stride = w->stride, dilation = w->dilation;

    clrnn_onnx_set_integers(o, "kernel_shape", 1, &kernel);
    clrnn_onnx_set_integers(o, "strides", 1, &stride);
    clrnn_onnx_set_integers(o, "pads", 2, (int64_t[]){w->padding, w->all_padding - w->padding});
    if (op->kind != CLRNN_LAYER_AVG_POOL1D)
        clrnn_onnx_set_integers(o, "dilations", 1, &dilation);
}

// Adds nodes that compute the number of windows of each sample [N] from its length.
static const char *count_windows(struct clrnn_onnx *o, const struct clrnn_windows *w, const char *lengths)
{
    const int64_t more = (int64_t)w->all_padding - (int64_t)w->dilation * (w->kernel - 1) - 1 + w->stride;

    lengths = CLRNN_ONNX_NODE(o, "Add", lengths, clrnn_onnx_integer(o, more));
    return CLRNN_ONNX_NODE(o, "Div", lengths, clrnn_onnx_integer(o, w->stride));
}

// Adds the mean of x [N, C, T] over each window. With `include`, the divisor also counts the zeros with which x is
// padded.
static const char *add_mean(struct clrnn_onnx *o, const struct clrnn_export_op *op, const struct clrnn_windows *w,
                            const char *x, bool include)
{
    x = CLRNN_ONNX_NODE(o, "AveragePool", x);
    clrnn_onnx_set_integer(o, "count_include_pad", include);
    set_windows(o, op, w);
    return x;
}

// Adds the mean over a window's valid steps: the mean of x (with zeros in padding) divided by the mean of the mask.
static const char *add_valid_mean(struct clrnn_onnx_build *b, const struct clrnn_export_op *op,
                                  const struct clrnn_windows *w, const char *x)
{
    const int64_t perm[] = {1, 2, 0};
    struct clrnn_onnx *o = b->onnx;
    const char *valid = clrnn_onnx_transpose(o, clrnn_onnx_cast(o, b->now.mask, CLRNN_ONNX_FLOAT), 3, perm);

    return CLRNN_ONNX_NODE(o, "Div", add_mean(o, op, w, x, true), add_mean(o, op, w, valid, true));
}

enum clrnn_status clrnn_onnx_add_windows(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const int64_t in[] = {1, 2, 0}, out[] = {2, 0, 1};
    const struct clrnn_windows w = clrnn_layer_windows(op->layer);
    const bool include = op->layer->count_include_pad, max = op->kind == CLRNN_LAYER_MAX_POOL1D;
    struct clrnn_onnx *o = b->onnx;
    const char *x = clrnn_onnx_fill(b, b->now.x, max ? -(double)FLT_MAX : 0), *weight, *bias = "";

    x = clrnn_onnx_transpose(o, x, 3, in);
    if (max) {
        x = CLRNN_ONNX_NODE(o, "MaxPool", x);
        set_windows(o, op, &w);
    } else if (op->kind == CLRNN_LAYER_AVG_POOL1D) {
        x = !include && b->now.mask ? add_valid_mean(b, op, &w, x) : add_mean(o, op, &w, x, include);
    } else {
        TRY(clrnn_onnx_add_parameter(b, op->entry, false, &weight));
        if (op->layer->bias)
            TRY(clrnn_onnx_add_parameter(b, op->entry + 1, false, &bias));
        x = CLRNN_ONNX_NODE(o, "Conv", x, weight, bias);
        set_windows(o, op, &w);
    }
    b->now = (struct clrnn_onnx_value){.x = clrnn_onnx_transpose(o, x, 3, out), .lengths = b->now.lengths};
    if (!b->now.lengths)
        return CLRNN_OK;
    b->now.lengths = count_windows(o, &w, b->now.lengths);
    b->now.mask = clrnn_onnx_mask(o, b->now.x, b->now.lengths);
    b->now.x = clrnn_onnx_fill(b, b->now.x, 0); // windows in padding may give any values
    return CLRNN_OK;
}

// ---------------------------------------------------------------- pools

// Adds nodes that gather the last valid step of each sample.
static const char *add_last(struct clrnn_onnx_build *b)
{
    struct clrnn_onnx *o = b->onnx;
    const char *step, *index;

    if (!b->now.lengths) {
        index = CLRNN_ONNX_NODE(o, "Gather", b->now.x, clrnn_onnx_integer(o, -1));
        clrnn_onnx_set_integer(o, "axis", 0);
        return index;
    }
    step = clrnn_onnx_unsqueeze(o, CLRNN_ONNX_NODE(o, "Sub", b->now.lengths, clrnn_onnx_integer(o, 1)), 1);
    index = clrnn_onnx_unsqueeze(o, clrnn_onnx_count_up(o, b->now.lengths, 0), 1);
    index = clrnn_onnx_concat(o, step, index, 1);
    return CLRNN_ONNX_NODE(o, "GatherND", b->now.x, index);
}

const char *clrnn_onnx_flatten(struct clrnn_onnx *o, const struct clrnn_export_op *op, const char *x)
{
    const int64_t perm[] = {1, 0, 2};

    return CLRNN_ONNX_NODE(o, "Reshape", clrnn_onnx_transpose(o, x, 3, perm),
                           clrnn_onnx_integers(o, 2, (int64_t[]){0, op->out}));
}

void clrnn_onnx_add_pool(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const bool mean = op->layer->over == CLRNN_POOL_MEAN;
    struct clrnn_onnx *o = b->onnx;
    const char *x;

    if (op->layer->over == CLRNN_POOL_LAST) {
        b->now.x = add_last(b);
    } else if (op->layer->over == CLRNN_POOL_FINAL) {
        b->now.x = op->D == 1 ? clrnn_onnx_squeeze(o, b->now.h_last, 0) : clrnn_onnx_flatten(o, op, b->now.h_last);
    } else {
        x = clrnn_onnx_fill(b, b->now.x, mean ? 0 : -(double)FLT_MAX);
        if (mean && b->now.mask)
            b->now.x =
                CLRNN_ONNX_NODE(o, "Div", clrnn_onnx_sum_over(o, x, 1, false),
                                clrnn_onnx_unsqueeze(o, clrnn_onnx_cast(o, b->now.lengths, CLRNN_ONNX_FLOAT), 1));
        else
            b->now.x = clrnn_onnx_reduce(o, mean ? "ReduceMean" : "ReduceMax", x, 1, false);
    }
}

enum clrnn_status clrnn_onnx_add_attention(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    struct clrnn_onnx *o = b->onnx;
    const char *weight, *bias, *v, *score;

    TRY(clrnn_onnx_add_parameter(b, op->entry, true, &weight));
    TRY(clrnn_onnx_add_parameter(b, op->entry + 1, false, &bias));
    TRY(clrnn_onnx_add_parameter(b, op->entry + 2, false, &v));
    score = CLRNN_ONNX_NODE(o, "Add", CLRNN_ONNX_NODE(o, "MatMul", b->now.x, weight), bias);
    score = CLRNN_ONNX_NODE(o, "MatMul", CLRNN_ONNX_NODE(o, "Tanh", score), v);
    score = clrnn_onnx_fill(b, clrnn_onnx_unsqueeze(o, score, 2), -(double)FLT_MAX);
    score = CLRNN_ONNX_NODE(o, "Softmax", score);
    clrnn_onnx_set_integer(o, "axis", 0);
    b->now.x = clrnn_onnx_sum_over(o, CLRNN_ONNX_NODE(o, "Mul", score, b->now.x), 1, false);
    return CLRNN_OK;
}
