// SPDX-License-Identifier: MIT
// Recurrent levels as ONNX's RNN, LSTM and GRU.
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "export/onnx_layers.h"

// PyTorch's number of each of ONNX's gates: i o f c of an LSTM, z r h of a GRU.
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

// Reads tensor `which` of every direction, gates in ONNX's order, into to[d * stride].
static enum clrnn_status read_gates(struct clrnn_onnx_build *b, const struct clrnn_export_op *op,
                                    size_t which, size_t cols, double *to, size_t stride)
{
    const size_t H = op->layer->hidden_size, block = H * cols;

    for (uint32_t d = 0; d < op->D; d++) {
        enum clrnn_status st;
        double *values = clrnn_export_read(b->program.model, clrnn_export_cell_entry(op, d) + which, &st);

        for (size_t g = 0; values && g < gate_count(op); g++)
            memcpy(to + d * stride + g * block, values + gates_of(op)[g] * block, block * sizeof(*values));
        free(values);
        TRY(st);
    }
    return CLRNN_OK;
}

// [D, G * H, cols]
static enum clrnn_status add_weights(struct clrnn_onnx_build *b, const struct clrnn_export_op *op,
                                     size_t which, size_t cols, const char **name)
{
    const size_t rows = gate_count(op) * op->layer->hidden_size;
    double *values = malloc(op->D * rows * cols * sizeof(*values));
    enum clrnn_status st;

    if (!values)
        return clrnn_error_memory(b->program.model->log, op->D * rows * cols * sizeof(*values), "weights");
    st = read_gates(b, op, which, cols, values, rows * cols);
    if (st == CLRNN_OK)
        *name = clrnn_onnx_floats(b->onnx, b->program.model->entry[op->entry + which].param.name, 3,
                                  (int64_t[]){op->D, (int64_t)rows, (int64_t)cols}, values);
    free(values);
    return st;
}

// [D, 2 * G * H]: bias_ih, then bias_hh
static enum clrnn_status add_biases(struct clrnn_onnx_build *b, const struct clrnn_export_op *op,
                                    const char **name)
{
    const size_t rows = gate_count(op) * op->layer->hidden_size;
    double *values = malloc(2 * op->D * rows * sizeof(*values));
    enum clrnn_status st;

    if (!values)
        return clrnn_error_memory(b->program.model->log, 2 * op->D * rows * sizeof(*values), "biases");
    st = read_gates(b, op, 2, 1, values, 2 * rows);
    if (st == CLRNN_OK)
        st = read_gates(b, op, 3, 1, values + rows, 2 * rows);
    if (st == CLRNN_OK)
        *name = clrnn_onnx_floats(b->onnx, b->program.model->entry[op->entry + 2].param.name, 2,
                                  (int64_t[]){op->D, (int64_t)(2 * rows)}, values);
    free(values);
    return st;
}

// ---------------------------------------------------------------- states

// "h" if the model has a single recurrent layer, otherwise "PREFIX.h".
static void state_name(const struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *word,
                       char *text, size_t size)
{
    char prefix[256];
    size_t layers = 0;

    for (size_t i = 0; i < b->program.pool; i++)
        layers += b->program.op[i].kind == CLRNN_EXPORT_CELL && b->program.op[i].level == 0;
    if (layers == 1)
        snprintf(text, size, "%s", word);
    else
        snprintf(text, size, "%s.%s",
                 clrnn_layer_prefix(b->program.model->config, op->index, prefix, sizeof(prefix)), word);
}

// The level's slice [1, N, H] of a layer's state [num_layers, N, H].
static const char *add_state(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *word,
                             const char **layer_state)
{
    static const char *const dim_names[] = {NULL, "N", NULL};
    const int64_t dims[] = {op->layer->num_layers, 0, op->layer->hidden_size};
    char name[300];

    if (op->level == 0) {
        state_name(b, op, word, name, sizeof(name));
        *layer_state = clrnn_onnx_input(b->onnx, name, CLRNN_ONNX_FLOAT, 3, dims, dim_names);
    }
    if (op->layer->num_layers == 1)
        return *layer_state;
    return CLRNN_ONNX_NODE(b->onnx, "Slice", *layer_state,
                           clrnn_onnx_integers(b->onnx, 1, (int64_t[]){op->level}),
                           clrnn_onnx_integers(b->onnx, 1, (int64_t[]){op->level + 1}),
                           clrnn_onnx_integers(b->onnx, 1, (int64_t[]){0}));
}

// Collects the levels' last states, which after the last level become an output.
static void keep_state(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *word,
                       const char *last, const char **collected)
{
    static const char *const dim_names[] = {NULL, "N", NULL};
    const int64_t dims[] = {op->layer->num_layers, 0, op->layer->hidden_size};
    char name[300];

    if (op->level == 0) {
        *collected = last;
    } else {
        *collected = CLRNN_ONNX_NODE(b->onnx, "Concat", *collected, last);
        clrnn_onnx_set_integer(b->onnx, "axis", 0);
    }
    if (op->level + 1 < op->layer->num_layers)
        return;
    state_name(b, op, word, name, sizeof(name) - 4);
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
        clrnn_onnx_set_integer(b->onnx, "linear_before_reset", 1); // as PyTorch and cuDNN have it
    if (op->layer->kind == CLRNN_LAYER_RNN)
        clrnn_onnx_set_strings(b->onnx, "activations", op->D, op->layer->relu ? "Relu" : "Tanh");
}

// From [T, D, N, H] to [T, N, D * H], or for one step to [N, D * H].
static const char *merge_directions(struct clrnn_onnx_build *b, const struct clrnn_export_op *op,
                                    const char *y)
{
    const int64_t width = op->out;

    if (op->D == 2) {
        y = CLRNN_ONNX_NODE(b->onnx, "Transpose", y);
        clrnn_onnx_set_integers(b->onnx, "perm", 4, (int64_t[]){0, 2, 1, 3});
        if (op->steps)
            return CLRNN_ONNX_NODE(b->onnx, "Reshape", y,
                                   clrnn_onnx_integers(b->onnx, 3, (int64_t[]){0, 0, width}));
        return CLRNN_ONNX_NODE(b->onnx, "Reshape", y,
                               clrnn_onnx_integers(b->onnx, 2, (int64_t[]){-1, width}));
    }
    y = clrnn_onnx_squeeze(b->onnx, y, 1);
    return op->steps ? y : clrnn_onnx_squeeze(b->onnx, y, 0);
}

enum clrnn_status clrnn_onnx_add_cell(struct clrnn_onnx_build *b, const struct clrnn_export_op *op)
{
    static const char *const words[] = {
        [CLRNN_LAYER_RNN] = "RNN", [CLRNN_LAYER_LSTM] = "LSTM", [CLRNN_LAYER_GRU] = "GRU"};
    const bool lstm = op->layer->kind == CLRNN_LAYER_LSTM, states = b->states && op->steps;
    const char *weight_ih = NULL, *weight_hh = NULL, *bias = "", *lengths = "", *h = "", *c = "", *y, *c_last;

    TRY(add_weights(b, op, 0, op->in, &weight_ih));
    TRY(add_weights(b, op, 1, op->layer->hidden_size, &weight_hh));
    if (op->layer->bias)
        TRY(add_biases(b, op, &bias));
    if (!op->steps) {
        b->x = clrnn_onnx_unsqueeze(b->onnx, b->x, 0);
    } else if (b->lengths) {
        lengths = CLRNN_ONNX_NODE(b->onnx, "Cast", b->lengths);
        clrnn_onnx_set_integer(b->onnx, "to", CLRNN_ONNX_INT32);
    }
    if (states) {
        h = add_state(b, op, "h", &b->h);
        c = lstm ? add_state(b, op, "c", &b->c) : "";
    }
    if (lstm)
        y = CLRNN_ONNX_NODE(b->onnx, words[op->layer->kind], b->x, weight_ih, weight_hh, bias, lengths, h, c);
    else
        y = CLRNN_ONNX_NODE(b->onnx, words[op->layer->kind], b->x, weight_ih, weight_hh, bias, lengths, h);
    set_attributes(b, op);
    b->h_last = clrnn_onnx_more(b->onnx);
    c_last = lstm ? clrnn_onnx_more(b->onnx) : NULL;
    if (states) {
        keep_state(b, op, "h", b->h_last, &b->h_out);
        if (lstm)
            keep_state(b, op, "c", c_last, &b->c_out);
    }
    b->x = merge_directions(b, op, y);
    return CLRNN_OK;
}
