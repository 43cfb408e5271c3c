// SPDX-License-Identifier: MIT
// Adds each level of a recurrent layer to an ONNX graph as a node RNN, LSTM or GRU.
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "export/onnx_layers.h"
#include "model/layer.h"

// ONNX has the gates in the order i o f c for an LSTM, z r h for a GRU; PyTorch has them in the order i f g o, r z n.
// An entry of these arrays is the index of ONNX's gate in PyTorch's order.
static const unsigned lstm_gates[] = {0, 3, 1, 2}, gru_gates[] = {1, 0, 2}, rnn_gates[] = {0};

static const unsigned *gates_of(const struct clrnn_export_op *op)
{
    return op->layer->kind == CLRNN_LAYER_LSTM  ? lstm_gates
           : op->layer->kind == CLRNN_LAYER_GRU ? gru_gates
                                                : rnn_gates;
}

static size_t gate_count(const struct clrnn_export_op *op)
{
    return clrnn_cell_gates(clrnn_layer_cell(op->layer->kind));
}

// Returns the index in model->entry of a tensor of direction d. `which` is 0 for weight_ih, 1 for weight_hh, 2 for
// bias_ih, 3 for bias_hh.
static size_t row_of(const struct clrnn_export_op *op, uint32_t d, size_t which)
{
    const struct clrnn_export_cell cell = clrnn_export_cell_entries(op, d);
    const size_t rows[] = {cell.ih, cell.hh, cell.bias_ih, cell.bias_hh};

    return rows[which];
}

// Reads tensor `which` (see row_of) of every direction d into to[d * stride], with the gates in ONNX's order.
static enum clrnn_status read_gates(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, size_t which,
                                    size_t cols, double *to, size_t stride)
{
    const size_t H = op->layer->hidden_size, block = H * cols;

    for (uint32_t d = 0; d < op->D; d++) {
        enum clrnn_status st;
        double *values = clrnn_export_read(b->program.model, row_of(op, d, which), &st);

        for (size_t g = 0; values && g < gate_count(op); g++)
            memcpy(to + d * stride + g * block, values + gates_of(op)[g] * block, block * sizeof(*values));
        free(values);
        TRY(st);
    }
    return CLRNN_OK;
}

// Adds tensor `which` (see row_of) of a cell with G gates as a constant [D, G * H, cols]. With `biases`, adds bias_ih
// and bias_hh as one constant [D, 2 * G * H].
static enum clrnn_status add_weights(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, size_t which,
                                     bool biases, size_t cols, const char **name)
{
    const size_t rows = gate_count(op) * op->layer->hidden_size, width = (biases ? 2 : cols) * rows;
    const int64_t dims[] = {op->D, (int64_t)(biases ? width : rows), (int64_t)cols};
    double *values = malloc(op->D * width * sizeof(*values));
    enum clrnn_status st;

    if (!values)
        return clrnn_error_memory(b->program.model->log, op->D * width * sizeof(*values),
                                  biases ? "biases" : "weights");
    st = read_gates(b, op, which, cols, values, width);
    if (st == CLRNN_OK && biases)
        st = read_gates(b, op, which + 1, cols, values + rows, width);
    if (st == CLRNN_OK)
        *name = clrnn_onnx_floats(b->onnx, b->program.model->entry[row_of(op, 0, which)].param.name, biases ? 2 : 3,
                                  dims, values);
    free(values);
    return st;
}

// ---------------------------------------------------------------- states

enum { PREFIX_SIZE = 1024, NAME_SIZE = PREFIX_SIZE + 8 };

// Writes the name of a state to `text`: `word` ("h" or "c") if the model has a single recurrent layer over time,
// otherwise "PREFIX.h" or "PREFIX.c" with the layer's prefix in the state dict.
static void state_name(const struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *word,
                       char text[NAME_SIZE])
{
    char prefix[PREFIX_SIZE];
    size_t layers = 0;

    for (size_t i = 0; i < b->program.count; i++)
        layers += b->program.op[i].kind == CLRNN_EXPORT_CELL && b->program.op[i].level == 0 && b->program.op[i].steps;
    if (layers == 1)
        snprintf(text, NAME_SIZE, "%s", word);
    else
        snprintf(text, NAME_SIZE, "%s.%s",
                 clrnn_layer_prefix(b->program.model->config, op->index, prefix, sizeof(prefix)), word);
}

// Adds the initial state [1, N, width] of a level: a slice of the graph's input [num_layers, N, width] for the whole
// layer. For level 0, adds this input and stores its name in *layer_state.
static const char *add_state(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *word,
                             uint32_t width, const char **layer_state)
{
    static const char *const dim_names[] = {NULL, "N", NULL};
    const int64_t dims[] = {op->layer->num_layers, 0, width};
    char name[NAME_SIZE];

    if (op->level == 0) {
        state_name(b, op, word, name);
        *layer_state = clrnn_onnx_input(b->onnx, name, CLRNN_ONNX_FLOAT, 3, dims, dim_names);
    }
    if (op->layer->num_layers == 1)
        return *layer_state;
    return CLRNN_ONNX_NODE(b->onnx, "Slice", *layer_state, clrnn_onnx_integers(b->onnx, 1, (int64_t[]){op->level}),
                           clrnn_onnx_integers(b->onnx, 1, (int64_t[]){op->level + 1}),
                           clrnn_onnx_integers(b->onnx, 1, (int64_t[]){0}));
}

// Appends a level's final state to *collected. After the layer's last level, *collected [num_layers, N, width] becomes
// an output of the graph.
static void keep_state(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *word, uint32_t width,
                       const char *last, const char **collected)
{
    static const char *const dim_names[] = {NULL, "N", NULL};
    const int64_t dims[] = {op->layer->num_layers, 0, width};
    char name[NAME_SIZE];

    *collected = op->level == 0 ? last : clrnn_onnx_concat(b->onnx, *collected, last, 0);
    if (op->level + 1 < op->layer->num_layers)
        return;
    state_name(b, op, word, name);
    strcat(name, "_out");
    CLRNN_ONNX_NODE(b->onnx, "Identity", *collected);
    clrnn_onnx_rename(b->onnx, name);
    clrnn_onnx_output(b->onnx, name, CLRNN_ONNX_FLOAT, 3, dims, dim_names);
}

// ---------------------------------------------------------------- the node

static void set_attributes(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    clrnn_onnx_set_integer(b->onnx, "hidden_size", op->layer->hidden_size);
    clrnn_onnx_set_string(b->onnx, "direction", op->D == 2 ? "bidirectional" : "forward");
    if (op->layer->kind == CLRNN_LAYER_GRU)
        // as PyTorch and cuDNN compute a GRU: r * (W_hn h + b_hn), not W_hn (r * h) + b_hn
        clrnn_onnx_set_integer(b->onnx, "linear_before_reset", 1);
    if (op->layer->kind == CLRNN_LAYER_RNN)
        clrnn_onnx_set_strings(b->onnx, "activations", op->D, op->layer->relu ? "Relu" : "Tanh");
}

// Reorders y from [T, D, N, H] to [T, N, D * H] or, for an input without time axis, to [N, D * H].
static const char *merge_directions(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *y)
{
    const int64_t width = op->out;

    if (op->D == 2) {
        y = CLRNN_ONNX_NODE(b->onnx, "Transpose", y);
        clrnn_onnx_set_integers(b->onnx, "perm", 4, (int64_t[]){0, 2, 1, 3});
        if (op->steps)
            return CLRNN_ONNX_NODE(b->onnx, "Reshape", y, clrnn_onnx_integers(b->onnx, 3, (int64_t[]){0, 0, width}));
        return CLRNN_ONNX_NODE(b->onnx, "Reshape", y, clrnn_onnx_integers(b->onnx, 2, (int64_t[]){-1, width}));
    }
    y = clrnn_onnx_squeeze(b->onnx, y, 1);
    return op->steps ? y : clrnn_onnx_squeeze(b->onnx, y, 0);
}

// Adds a node RNN, LSTM or GRU. h and c name the initial states; "" stands for zeros. Sets *c_last to the name of an
// LSTM's final c, or to NULL.
static enum clrnn_status add_node(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *h,
                                  const char *c, const char **c_last)
{
    static const char *const words[] = {
        [CLRNN_LAYER_RNN] = "RNN", [CLRNN_LAYER_LSTM] = "LSTM", [CLRNN_LAYER_GRU] = "GRU"};
    const bool lstm = op->layer->kind == CLRNN_LAYER_LSTM;
    const char *weight_ih = NULL, *weight_hh = NULL, *bias = "", *lengths = "", *y;

    TRY(add_weights(b, op, 0, false, op->in, &weight_ih));
    TRY(add_weights(b, op, 1, false, op->layer->hidden_size, &weight_hh));
    if (op->layer->bias)
        TRY(add_weights(b, op, 2, true, 1, &bias));
    if (op->steps && b->now.lengths)
        lengths = clrnn_onnx_cast(b->onnx, b->now.lengths, CLRNN_ONNX_INT32);
    if (lstm)
        y = CLRNN_ONNX_NODE(b->onnx, words[op->layer->kind], b->now.x, weight_ih, weight_hh, bias, lengths, h, c);
    else
        y = CLRNN_ONNX_NODE(b->onnx, words[op->layer->kind], b->now.x, weight_ih, weight_hh, bias, lengths, h);
    set_attributes(b, op);
    b->now.h_last = clrnn_onnx_more(b->onnx);
    *c_last = lstm ? clrnn_onnx_more(b->onnx) : NULL;
    b->now.x = merge_directions(b, op, y);
    return CLRNN_OK;
}

enum clrnn_status clrnn_onnx_add_cell(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    const bool lstm = op->layer->kind == CLRNN_LAYER_LSTM, states = b->states && op->steps;
    const bool scan = op->layer->layer_norm || op->layer->proj_size;
    const uint32_t P = clrnn_layer_state(op->layer), H = op->layer->hidden_size;
    const char *h = "", *c = "", *c_last = NULL;

    if (!op->steps)
        b->now.x = clrnn_onnx_unsqueeze(b->onnx, b->now.x, 0);
    if (states) {
        h = add_state(b, op, "h", P, &b->h);
        c = lstm ? add_state(b, op, "c", H, &b->c) : "";
    }
    TRY((scan ? clrnn_onnx_add_scan : add_node)(b, op, h, c, &c_last));
    if (states) {
        keep_state(b, op, "h", P, b->now.h_last, &b->h_out);
        if (lstm)
            keep_state(b, op, "c", H, c_last, &b->c_out);
    }
    return CLRNN_OK;
}
