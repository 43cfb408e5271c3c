// SPDX-License-Identifier: MIT
// The option tables of the layers: keys of a config, with PyTorch's names, defaults and ranges.
#include <float.h>

#include "base/array.h"
#include "model/options.h"

#define ROWS(rows) rows, ARRAY_SIZE(rows)

// Each row of the tables below is an option. The rows are laid out by hand.
// clang-format off

// Rows of the layers
#define L(member) offsetof(struct clrnn_layer, member)
#define LAYER_NAME \
    {"name", CLRNN_OPTION_TEXT, .offset = L(name), .def = "null", .null = "", .quiet = true, \
     .help = "prefix in the state dict, without a point; without it the layer's index, as in nn.Sequential"}
#define HIDDEN \
    {"hidden_size", CLRNN_OPTION_U32, .required = true, .offset = L(hidden_size), .min = 1, .max = CLRNN_MAX_SIZE, \
     .help = "features of the hidden state, H"}, \
    {"num_layers", CLRNN_OPTION_U32, .offset = L(num_layers), .def = "1", .min = 1, .max = 1024, \
     .help = "recurrent layers stacked on each other"}, \
    {"bidirectional", CLRNN_OPTION_BOOL, .offset = L(bidirectional), .def = "false", \
     .help = "also run backwards in time; 2*H features come out"}, \
    {"bias", CLRNN_OPTION_BOOL, .offset = L(bias), .def = "true", .help = "have bias_ih and bias_hh"}, \
    {"dropout", CLRNN_OPTION_NUMBER, .offset = L(dropout), .def = "0.0", .min = 0, .max = 1, \
     .help = "dropout between the stacked layers; none after the last"}
#define INSIDE \
    {"recurrent_dropout", CLRNN_OPTION_NUMBER, .offset = L(recurrent_dropout), .def = "0.0", .min = 0, .max = 1, \
     .help = "dropout of the hidden state where it enters the gates, one mask for all time steps of a sample"}, \
    {"layer_norm", CLRNN_OPTION_BOOL, .offset = L(layer_norm), .def = "false", \
     .help = "layer normalisation inside the cell, as in haste"}
#define EPS {"eps", CLRNN_OPTION_NUMBER, .offset = L(eps), .def = "1.0e-05", .min = 0, .max = DBL_MAX, \
             .help = "added to the variance, inside the root"}

// Rows of init
#define I(member) offsetof(struct clrnn_layer_init, member)
#define INIT_ROW(member, help_) \
    {#member, CLRNN_OPTION_INITIALIZER, .offset = I(member), .def = "null", .null = "", .quiet = true, .help = help_}
#define INIT_ALL \
    INIT_ROW(all, "of all that no other entry names: biases and factors, too, where it is defined for a vector; " \
                  "init: NAME is short for it")
#define INIT_RECURRENT \
    INIT_ALL, INIT_ROW(weight_ih, "of weight_ih, all gates as one matrix"), \
    INIT_ROW(weight_hh, "of weight_hh, all gates as one matrix"), INIT_ROW(bias, "of bias_ih and bias_hh"), \
    INIT_ROW(bias_ih, "of bias_ih"), INIT_ROW(bias_hh, "of bias_hh"), \
    INIT_ROW(gamma_ih, "of gamma_ih, with layer_norm"), INIT_ROW(gamma_hh, "of gamma_hh, with layer_norm")

static const struct clrnn_option init_recurrent_rows[] = {INIT_RECURRENT};
static const struct clrnn_option init_lstm_rows[] = {
    INIT_RECURRENT,
    INIT_ROW(gamma_c, "of gamma_c, with layer_norm"),
    INIT_ROW(beta_c, "of beta_c, with layer_norm"),
    INIT_ROW(weight_hr, "of weight_hr, with proj_size"),
    {"forget_bias", CLRNN_OPTION_NUMBER, .offset = I(forget_bias), .second = I(forget_default), .def = "null",
     .null = "", .null_flag = true, .quiet = true, .min = -DBL_MAX, .max = DBL_MAX,
     .help = "is added to the forget gate's part of bias_ih"},
};
static const struct clrnn_option init_weight_bias_rows[] = {
    INIT_ALL, INIT_ROW(weight, "of weight"), INIT_ROW(bias, "of bias")};
static const struct clrnn_option init_attention_rows[] = {
    INIT_ALL, INIT_ROW(weight, "of weight"), INIT_ROW(bias, "of bias"), INIT_ROW(v, "of v")};
static const struct clrnn_option init_weight_rows[] = {INIT_ALL, INIT_ROW(weight, "of weight")};
#define INIT_GROUP(id) \
    static const struct clrnn_option_group init_##id = {"init", 0, CLRNN_NO_LINE, ROWS(init_##id##_rows), \
                                                        "first values of the layer's parameters"}; \
    static const struct clrnn_option_group *const init_##id##_groups[] = {&init_##id, NULL};
INIT_GROUP(recurrent)
INIT_GROUP(lstm)
INIT_GROUP(weight_bias)
INIT_GROUP(weight)
INIT_GROUP(attention)
#define INIT(id) \
    {"init", CLRNN_OPTION_GROUP, .offset = L(init), .second = L(init.on), .def = "null", .null = "", .quiet = true, \
     .groups = init_##id##_groups, \
     .help = "first values of the parameters: an initialiser for all of them, or a map by their names"}

static const char *const nonlinearities[] = {"tanh", "relu", NULL};
static const char *const overs[] = {"last", "final", "mean", "max", NULL};

static const struct clrnn_option rnn_rows[] = {
    LAYER_NAME, HIDDEN, INSIDE,
    {"nonlinearity", CLRNN_OPTION_FLAG, .offset = L(relu), .def = "tanh", .words = nonlinearities,
     .help = "of the cell"},
    INIT(recurrent),
};
static const struct clrnn_option lstm_rows[] = {
    LAYER_NAME, HIDDEN, INSIDE,
    {"proj_size", CLRNN_OPTION_U32, .offset = L(proj_size), .def = "0", .min = 0, .max = CLRNN_MAX_SIZE,
     .help = "features of the hidden state after a projection, below hidden_size; 0: no projection"},
    INIT(lstm),
};
static const struct clrnn_option gru_rows[] = {LAYER_NAME, HIDDEN, INSIDE, INIT(recurrent)};
static const struct clrnn_option batchnorm_rows[] = {
    LAYER_NAME, EPS,
    {"momentum", CLRNN_OPTION_NUMBER, .offset = L(momentum), .second = L(cumulative), .def = "0.1",
     .null = "", .null_flag = true, .min = 0, .max = 1,
     .help = "share of the new batch in the running statistics; null: the mean over all batches"},
    {"affine", CLRNN_OPTION_BOOL, .offset = L(affine), .def = "true", .help = "have weight and bias"},
    {"track_running_stats", CLRNN_OPTION_BOOL, .offset = L(track_running_stats), .def = "true",
     .help = "keep running statistics for eval mode; false: the batch's own there, too"},
    {"sync", CLRNN_OPTION_BOOL, .offset = L(sync), .def = "true",
     .help = "with train.shards, statistics of the whole batch; false: each shard's own, the first one's are kept"},
    INIT(weight_bias),
};
static const struct clrnn_option layernorm_rows[] = {
    LAYER_NAME, EPS,
    {"elementwise_affine", CLRNN_OPTION_BOOL, .offset = L(affine), .def = "true",
     .help = "have weight and bias"},
    INIT(weight_bias),
};
static const struct clrnn_option groupnorm_rows[] = {
    LAYER_NAME,
    {"num_groups", CLRNN_OPTION_U32, .required = true, .offset = L(num_groups), .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "groups of features with a mean and variance of their own; divides the features"},
    EPS,
    {"affine", CLRNN_OPTION_BOOL, .offset = L(affine), .def = "true", .help = "have weight and bias"},
    INIT(weight_bias),
};
static const struct clrnn_option linear_rows[] = {
    LAYER_NAME,
    {"out_features", CLRNN_OPTION_U32, .required = true, .offset = L(out_features), .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "features of the output"},
    {"bias", CLRNN_OPTION_BOOL, .offset = L(bias), .def = "true", .help = "have a bias"},
    INIT(weight_bias),
};
static const struct clrnn_option embedding_rows[] = {
    LAYER_NAME,
    {"num_embeddings", CLRNN_OPTION_U32, .required = true, .offset = L(num_embeddings), .min = 1,
     .max = 2147483647, .help = "number of tokens, which count from 0"},
    {"embedding_dim", CLRNN_OPTION_U32, .required = true, .offset = L(embedding_dim), .min = 1,
     .max = CLRNN_MAX_SIZE, .help = "features of a token's vector"},
    {"padding_idx", CLRNN_OPTION_I32, .offset = L(padding_idx), .def = "null", .null = "-1",
     .min = -2147483648.0, .max = 2147483647,
     .help = "the token whose vector is zero and stays so; negative counts from the end"},
    INIT(weight),
};
static const struct clrnn_option dropout_rows[] = {
    LAYER_NAME,
    {"p", CLRNN_OPTION_NUMBER, .offset = L(p), .def = "0.5", .min = 0, .max = 1,
     .help = "share of the elements that is set to zero in training"},
    {"variational", CLRNN_OPTION_BOOL, .offset = L(variational), .def = "false",
     .help = "one mask for all time steps of a sample"},
};
static const struct clrnn_option plain_rows[] = {LAYER_NAME};
static const struct clrnn_option pool_rows[] = {
    LAYER_NAME,
    {"over", CLRNN_OPTION_CHOICE, .offset = L(over), .def = "last", .words = overs,
     .help = "last: out[:, -1], the last valid step; final: h_n of the top layer; "
             "mean, max: over the valid steps"},
};

static const struct clrnn_option leaky_relu_rows[] = {
    LAYER_NAME,
    {"negative_slope", CLRNN_OPTION_NUMBER, .offset = L(negative_slope), .def = "0.01", .min = -DBL_MAX,
     .max = DBL_MAX, .help = "slope below 0"},
};
static const struct clrnn_option elu_rows[] = {
    LAYER_NAME,
    {"alpha", CLRNN_OPTION_NUMBER, .offset = L(alpha), .def = "1.0", .min = -DBL_MAX, .max = DBL_MAX,
     .help = "it falls to -alpha"},
};
static const char *const approximations[] = {"none", "tanh", NULL};
static const struct clrnn_option gelu_rows[] = {
    LAYER_NAME,
    {"approximate", CLRNN_OPTION_FLAG, .offset = L(gelu_tanh), .def = "none", .words = approximations,
     .help = "tanh: by its tanh in place of the error function"},
};
static const struct clrnn_option softplus_rows[] = {
    LAYER_NAME,
    {"beta", CLRNN_OPTION_NUMBER, .offset = L(beta), .def = "1.0", .min = 0, .max = DBL_MAX, .above = true,
     .help = "ln(1 + exp(beta x)) / beta"},
    {"threshold", CLRNN_OPTION_NUMBER, .offset = L(threshold), .def = "20.0", .min = -DBL_MAX, .max = DBL_MAX,
     .help = "x itself where beta x is above"},
};

static const char *const conv_paddings[] = {"same", "valid", NULL};
#define KERNEL \
    {"kernel_size", CLRNN_OPTION_U32, .required = true, .offset = L(kernel_size), .min = 1, .max = CLRNN_MAX_SIZE, \
     .help = "steps that one output step reads"}
#define DILATION \
    {"dilation", CLRNN_OPTION_U32, .offset = L(dilation), .def = "1", .min = 1, .max = CLRNN_MAX_SIZE, \
     .help = "steps between those that it reads"}
#define POOL_STRIDE \
    {"stride", CLRNN_OPTION_U32, .offset = L(stride), .def = "null", .null = "0", .min = 1, .max = CLRNN_MAX_SIZE, \
     .help = "steps between windows; null: kernel_size"}
#define POOL_PADDING(what) \
    {"padding", CLRNN_OPTION_U32, .offset = L(padding), .def = "0", .min = 0, .max = CLRNN_MAX_SIZE, \
     .help = what " before the first and after the last step, at most half of kernel_size"}
static const struct clrnn_option max_pool1d_rows[] = {LAYER_NAME, KERNEL, POOL_STRIDE,
                                                      POOL_PADDING("minus infinities"), DILATION};
static const struct clrnn_option avg_pool1d_rows[] = {
    LAYER_NAME, KERNEL, POOL_STRIDE, POOL_PADDING("zeros"),
    {"count_include_pad", CLRNN_OPTION_BOOL, .offset = L(count_include_pad), .def = "true",
     .help = "divide by kernel_size everywhere; false: by the steps of the sample in the window"},
};
static const struct clrnn_option conv1d_rows[] = {
    LAYER_NAME,
    {"out_channels", CLRNN_OPTION_U32, .required = true, .offset = L(out_channels), .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "features of the output"},
    KERNEL,
    {"stride", CLRNN_OPTION_U32, .offset = L(stride), .def = "1", .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "steps between those for which there is an output"},
    {"padding", CLRNN_OPTION_U32, .offset = L(padding), .third = L(padding_same), .words = conv_paddings, .def = "0",
     .min = 0, .max = CLRNN_MAX_SIZE,
     .help = "zeros before the first and after the last step; valid: none; same: as many as keep the number of steps"},
    DILATION,
    {"bias", CLRNN_OPTION_BOOL, .offset = L(bias), .def = "true", .help = "have a bias"},
    INIT(weight_bias),
};
static const struct clrnn_option attention_pool_rows[] = {
    LAYER_NAME,
    {"attention_size", CLRNN_OPTION_U32, .required = true, .offset = L(attention_size), .min = 1,
     .max = CLRNN_MAX_SIZE, .help = "rows of W, A: what the score of a step is made of"},
    INIT(attention),
};
static const struct clrnn_option residual_rows[] = {
    LAYER_NAME,
    {"layers", CLRNN_OPTION_INNER, .required = true,
     .help = "the layers of f, as in model.layers; what they put out has the shape of their input"},
};
static const struct clrnn_option concat_rows[] = {
    LAYER_NAME,
    {"branches", CLRNN_OPTION_BRANCHES, .required = true,
     .help = "a list of lists of layers, each of which reads the same input; [] passes it on"},
};

#define LAYER(id, kind_, rows, text) \
    static const struct clrnn_option_group layer_##id = {#id, CLRNN_LAYER_##kind_, L(line), ROWS(rows), text};
LAYER(rnn, RNN, rnn_rows, "Elman network, as torch.nn.RNN")
LAYER(lstm, LSTM, lstm_rows, "long short-term memory, as torch.nn.LSTM")
LAYER(gru, GRU, gru_rows, "gated recurrent unit, as torch.nn.GRU")
LAYER(batchnorm, BATCHNORM, batchnorm_rows, "torch.nn.BatchNorm1d over samples and time steps")
LAYER(layernorm, LAYERNORM, layernorm_rows, "torch.nn.LayerNorm over features")
LAYER(linear, LINEAR, linear_rows, "torch.nn.Linear at every time step")
LAYER(embedding, EMBEDDING, embedding_rows, "torch.nn.Embedding; X holds integers (N, T)")
LAYER(dropout, DROPOUT, dropout_rows, "torch.nn.Dropout")
LAYER(relu, RELU, plain_rows, "max(x, 0)")
LAYER(tanh, TANH, plain_rows, "hyperbolic tangent")
LAYER(sigmoid, SIGMOID, plain_rows, "1 / (1 + exp(-x))")
LAYER(softmax, SOFTMAX, plain_rows, "over features")
LAYER(log_softmax, LOG_SOFTMAX, plain_rows, "over features")
LAYER(round, ROUND, plain_rows, "to the nearest whole number, halves to even; its gradient is zero")
LAYER(pool, POOL, pool_rows, "one vector out of all time steps")
LAYER(leaky_relu, LEAKY_RELU, leaky_relu_rows, "torch.nn.LeakyReLU")
LAYER(elu, ELU, elu_rows, "torch.nn.ELU")
LAYER(gelu, GELU, gelu_rows, "torch.nn.GELU")
LAYER(silu, SILU, plain_rows, "x / (1 + exp(-x)), as torch.nn.SiLU")
LAYER(softplus, SOFTPLUS, softplus_rows, "torch.nn.Softplus")
LAYER(groupnorm, GROUPNORM, groupnorm_rows, "torch.nn.GroupNorm over the features of each step")
LAYER(conv1d, CONV1D, conv1d_rows, "torch.nn.Conv1d over time")
LAYER(max_pool1d, MAX_POOL1D, max_pool1d_rows, "torch.nn.MaxPool1d over time")
LAYER(avg_pool1d, AVG_POOL1D, avg_pool1d_rows, "torch.nn.AvgPool1d over time")
LAYER(attention_pool, ATTENTION_POOL, attention_pool_rows,
      "a mean of the steps, weighted by the softmax of v^T tanh(W x + b)")
LAYER(flatten, FLATTEN, plain_rows, "the features of all steps side by side, (N, T, C) to (N, T C)")
LAYER(residual, RESIDUAL, residual_rows, "x + f(x)")
LAYER(concat, CONCAT, concat_rows, "the outputs of several branches, side by side in the features")

const struct clrnn_option_group *const clrnn_options_layers[] = {
    &layer_rnn, &layer_lstm, &layer_gru, &layer_batchnorm, &layer_layernorm, &layer_linear, &layer_embedding,
    &layer_dropout, &layer_relu, &layer_tanh, &layer_sigmoid, &layer_softmax, &layer_log_softmax,
    &layer_round,
    &layer_pool, &layer_leaky_relu, &layer_elu, &layer_gelu, &layer_silu, &layer_softplus,
    &layer_residual, &layer_concat, &layer_groupnorm, &layer_conv1d,
    &layer_max_pool1d, &layer_avg_pool1d, &layer_attention_pool, &layer_flatten, NULL,
};
