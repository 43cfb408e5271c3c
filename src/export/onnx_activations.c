// SPDX-License-Identifier: MIT
// Adds activation functions to an ONNX graph: functions of single values, and softmax over the features of a step.
#include <math.h>

#include "export/onnx_layers.h"

static const char *scale(struct clrnn_onnx *o, const char *x, double factor)
{
    return CLRNN_ONNX_NODE(o, "Mul", x, clrnn_onnx_scalar(o, factor));
}

// Adds nodes for x (1 + inner) / 2.
static const char *gate(struct clrnn_onnx *o, const char *x, const char *inner)
{
    inner = CLRNN_ONNX_NODE(o, "Add", inner, clrnn_onnx_scalar(o, 1));
    return scale(o, CLRNN_ONNX_NODE(o, "Mul", x, inner), 0.5);
}

// ONNX opset 17 has no node Gelu, so this function builds it from other nodes.
static const char *add_gelu(struct clrnn_onnx *o, const char *x, bool tanh)
{
    const char *cube;

    if (!tanh)
        return gate(o, x, CLRNN_ONNX_NODE(o, "Erf", scale(o, x, sqrt(0.5))));
    cube = CLRNN_ONNX_NODE(o, "Mul", CLRNN_ONNX_NODE(o, "Mul", x, x), x);
    cube = CLRNN_ONNX_NODE(o, "Add", x, scale(o, cube, 0.044715));
    return gate(o, x, CLRNN_ONNX_NODE(o, "Tanh", scale(o, cube, sqrt(2 / acos(-1.0)))));
}

static const char *add_softplus(struct clrnn_onnx *o, const char *x, const struct clrnn_layer *layer)
{
    const char *scaled = scale(o, x, layer->beta);
    const char *linear = CLRNN_ONNX_NODE(o, "Greater", scaled, clrnn_onnx_scalar(o, layer->threshold));

    return CLRNN_ONNX_NODE(o, "Where", linear, x, scale(o, CLRNN_ONNX_NODE(o, "Softplus", scaled), 1 / layer->beta));
}

static const char *add_with(struct clrnn_onnx *o, const char *op, const char *x, double alpha)
{
    x = CLRNN_ONNX_NODE(o, op, x);
    clrnn_onnx_set_float(o, "alpha", alpha);
    return x;
}

static const char *add_over_features(struct clrnn_onnx *o, const char *op, const char *x)
{
    x = CLRNN_ONNX_NODE(o, op, x);
    clrnn_onnx_set_integer(o, "axis", -1);
    return x;
}

const char *clrnn_onnx_activation(struct clrnn_onnx *o, const struct clrnn_export_op *op, const char *x)
{
    switch (op->kind) {
    case CLRNN_LAYER_TANH:
        return CLRNN_ONNX_NODE(o, "Tanh", x);
    case CLRNN_LAYER_SIGMOID:
        return CLRNN_ONNX_NODE(o, "Sigmoid", x);
    case CLRNN_LAYER_ROUND:
        return CLRNN_ONNX_NODE(o, "Round", x);
    case CLRNN_LAYER_LEAKY_RELU:
        return add_with(o, "LeakyRelu", x, op->layer->negative_slope);
    case CLRNN_LAYER_ELU:
        return add_with(o, "Elu", x, op->layer->alpha);
    case CLRNN_LAYER_GELU:
        return add_gelu(o, x, op->layer->gelu_tanh);
    case CLRNN_LAYER_SILU:
        return CLRNN_ONNX_NODE(o, "Mul", x, CLRNN_ONNX_NODE(o, "Sigmoid", x));
    case CLRNN_LAYER_SOFTPLUS:
        return add_softplus(o, x, op->layer);
    case CLRNN_LAYER_SOFTMAX:
        return add_over_features(o, "Softmax", x);
    case CLRNN_LAYER_LOG_SOFTMAX:
        return add_over_features(o, "LogSoftmax", x);
    default:
        return CLRNN_ONNX_NODE(o, "Relu", x);
    }
}
