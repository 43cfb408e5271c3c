// SPDX-License-Identifier: MIT
// Adds recurrent levels with layer_norm or proj_size, for which ONNX has no node. Nodes outside the loop compute the
// input's part of the gates for all time steps at once. A Scan (ONNX's loop over time) does the rest.
#include <string.h>

#include "base/log.h"
#include "export/onnx_layers.h"
#include "model/layer.h"

// Names of the constants of one direction; "": the cell has no such parameter.
struct weights {
    const char *ih, *hh, *bias_ih, *bias_hh, *hr, *gamma_ih, *gamma_hh, *gamma_c, *beta_c;
};

static enum clrnn_status add_weights(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, uint32_t d,
                                     struct weights *w)
{
    const struct clrnn_export_cell cell = clrnn_export_cell_entries(op, d);
    const struct {
        size_t entry;
        bool transposed;
        const char **name;
    } all[] = {
        {cell.hh, true, &w->hh},
        {cell.bias_ih, false, &w->bias_ih},
        {cell.bias_hh, false, &w->bias_hh},
        {cell.hr, true, &w->hr},
        {cell.gamma_ih, false, &w->gamma_ih},
        {cell.gamma_hh, false, &w->gamma_hh},
        {cell.gamma_c, false, &w->gamma_c},
        {cell.beta_c, false, &w->beta_c},
    };

    TRY(clrnn_onnx_add_parameter(b, cell.ih, true, &w->ih));
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i].name = "";
        if (all[i].entry)
            TRY(clrnn_onnx_add_parameter(b, all[i].entry, all[i].transposed, all[i].name));
    }
    return CLRNN_OK;
}

// Adds nodes for W x + bias or, with layer_norm, for gamma * LN(W x) + bias, where LN is layer normalisation.
static const char *product(struct clrnn_onnx *o, const char *x, const char *weight, const char *gamma, const char *bias)
{
    x = CLRNN_ONNX_NODE(o, "MatMul", x, weight);
    if (gamma && *gamma)
        return clrnn_onnx_normalise(o, x, gamma, bias, 1e-5);
    return bias && *bias ? CLRNN_ONNX_NODE(o, "Add", x, bias) : x;
}

// Splits x [N, count * H] into `count` gates [N, H].
static void split(struct clrnn_onnx *o, const char *x, unsigned count, const char **gate)
{
    gate[0] = CLRNN_ONNX_NODE(o, "Split", x);
    for (unsigned i = 1; i < count; i++)
        gate[i] = clrnn_onnx_more(o);
    clrnn_onnx_set_integer(o, "axis", 1);
}

static const char *lstm_step(struct clrnn_onnx *o, const struct weights *w, const char *v, const char **c)
{
    const char *gate[4], *kept, *h;

    split(o, v, 4, gate);
    kept = CLRNN_ONNX_NODE(o, "Mul", CLRNN_ONNX_NODE(o, "Sigmoid", gate[1]), *c);
    h = CLRNN_ONNX_NODE(o, "Mul", CLRNN_ONNX_NODE(o, "Sigmoid", gate[0]), CLRNN_ONNX_NODE(o, "Tanh", gate[2]));
    *c = CLRNN_ONNX_NODE(o, "Add", kept, h);
    h = w->gamma_c && *w->gamma_c ? clrnn_onnx_normalise(o, *c, w->gamma_c, w->beta_c, 1e-5) : *c;
    h = CLRNN_ONNX_NODE(o, "Mul", CLRNN_ONNX_NODE(o, "Sigmoid", gate[3]), CLRNN_ONNX_NODE(o, "Tanh", h));
    return w->hr && *w->hr ? CLRNN_ONNX_NODE(o, "MatMul", h, w->hr) : h;
}

static const char *gru_step(struct clrnn_onnx *o, const char *x, const char *h_gates, const char *h)
{
    const char *a[3], *b[3], *r, *z, *n;

    split(o, x, 3, a);
    split(o, h_gates, 3, b);
    r = CLRNN_ONNX_NODE(o, "Sigmoid", CLRNN_ONNX_NODE(o, "Add", a[0], b[0]));
    z = CLRNN_ONNX_NODE(o, "Sigmoid", CLRNN_ONNX_NODE(o, "Add", a[1], b[1]));
    n = CLRNN_ONNX_NODE(o, "Add", a[2], CLRNN_ONNX_NODE(o, "Mul", r, b[2]));
    n = CLRNN_ONNX_NODE(o, "Tanh", n);
    return CLRNN_ONNX_NODE(o, "Add", n, CLRNN_ONNX_NODE(o, "Mul", z, CLRNN_ONNX_NODE(o, "Sub", h, n)));
}

// Adds the Scan's body. The body computes the next h and c from h, c and the input's part of the gates. With `masked`,
// the body leaves h and c unchanged at steps of padding.
static void add_body(struct clrnn_onnx *o, const struct clrnn_export_op *op, const struct weights *w, bool masked)
{
    static const char *const dim_names[] = {"N", NULL};
    const enum clrnn_layer_kind kind = op->layer->kind;
    const int64_t H = op->layer->hidden_size, P = clrnn_layer_state(op->layer);
    const int64_t wide = H * (int64_t)clrnn_cell_gates(clrnn_layer_cell(kind));
    const char *h, *c = NULL, *x, *mask = NULL, *c_before, *next, *gates;

    clrnn_onnx_begin_body(o, "step");
    h = clrnn_onnx_body_input(o, "h", CLRNN_ONNX_FLOAT, 2, (int64_t[]){0, P}, dim_names);
    if (kind == CLRNN_LAYER_LSTM)
        c = clrnn_onnx_body_input(o, "c", CLRNN_ONNX_FLOAT, 2, (int64_t[]){0, H}, dim_names);
    x = clrnn_onnx_body_input(o, "x", CLRNN_ONNX_FLOAT, 2, (int64_t[]){0, wide}, dim_names);
    if (masked)
        mask = clrnn_onnx_body_input(o, "valid", CLRNN_ONNX_BOOL, 2, (int64_t[]){0, 1}, dim_names);
    gates = product(o, h, w->hh, w->gamma_hh, w->bias_hh);
    c_before = c;
    if (kind == CLRNN_LAYER_GRU) {
        next = gru_step(o, x, gates, h);
    } else {
        next = CLRNN_ONNX_NODE(o, "Add", x, gates);
        next = kind == CLRNN_LAYER_LSTM ? lstm_step(o, w, next, &c)
                                        : CLRNN_ONNX_NODE(o, op->layer->relu ? "Relu" : "Tanh", next);
    }
    if (masked) {
        next = CLRNN_ONNX_NODE(o, "Where", mask, next, h);
        c = c ? CLRNN_ONNX_NODE(o, "Where", mask, c, c_before) : NULL;
    }
    clrnn_onnx_output(o, next, CLRNN_ONNX_FLOAT, 2, (int64_t[]){0, P}, dim_names);
    if (c)
        clrnn_onnx_output(o, c, CLRNN_ONNX_FLOAT, 2, (int64_t[]){0, H}, dim_names);
    clrnn_onnx_output(o, CLRNN_ONNX_NODE(o, "Identity", next), CLRNN_ONNX_FLOAT, 2, (int64_t[]){0, P}, dim_names);
    clrnn_onnx_end_body(o);
}

// Returns the initial state [N, width]: the state `given` or, if `given` is "", zeros.
static const char *begin(struct clrnn_onnx_build *b, const char *given, int64_t width)
{
    struct clrnn_onnx *o = b->onnx;
    const char *shape;

    if (!given || *given)
        return clrnn_onnx_squeeze(o, given, 0);
    shape = clrnn_onnx_concat(o, clrnn_onnx_size_of(o, b->now.x, 1), clrnn_onnx_integers(o, 1, &width), 0);
    return CLRNN_ONNX_NODE(o, "ConstantOfShape", shape); // its default value is 0
}

// Adds one direction. Sets out[0] to its final h [N, P], out[1] to its final c [N, H] (NULL unless LSTM), and out[2] to
// its outputs y [T, N, P].
static enum clrnn_status add_direction(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, uint32_t d,
                                       const char *h, const char *c, const char *out[3])
{
    const bool lstm = op->layer->kind == CLRNN_LAYER_LSTM;
    const char *mask = op->steps ? b->now.mask : NULL, *gates;
    const int64_t back = d, backs[] = {d, d};
    struct clrnn_onnx *o = b->onnx;
    struct weights w;

    TRY(add_weights(b, op, d, &w));
    gates = product(o, b->now.x, w.ih, w.gamma_ih, w.bias_ih);
    h = begin(b, h, clrnn_layer_state(op->layer));
    c = lstm ? begin(b, c, op->layer->hidden_size) : gates;
    add_body(o, op, &w, mask);
    if (mask)
        out[0] = lstm ? CLRNN_ONNX_NODE(o, "Scan", h, c, gates, mask) : CLRNN_ONNX_NODE(o, "Scan", h, gates, mask);
    else
        out[0] = lstm ? CLRNN_ONNX_NODE(o, "Scan", h, c, gates) : CLRNN_ONNX_NODE(o, "Scan", h, gates);
    out[1] = lstm ? clrnn_onnx_more(o) : NULL;
    out[2] = clrnn_onnx_more(o);
    clrnn_onnx_set_body(o, "body");
    clrnn_onnx_set_integer(o, "num_scan_inputs", mask ? 2 : 1);
    clrnn_onnx_set_integers(o, "scan_input_directions", mask ? 2 : 1, backs);
    clrnn_onnx_set_integers(o, "scan_output_directions", 1, &back);
    return CLRNN_OK;
}

enum clrnn_status clrnn_onnx_add_scan(struct clrnn_onnx_build *b, const struct clrnn_export_op *op, const char *h,
                                      const char *c, const char **c_last)
{
    struct clrnn_onnx *o = b->onnx;
    const char *out[2][3], *h_last, *y;

    for (uint32_t d = 0; d < op->D; d++)
        TRY(add_direction(b, op, d, h, c, out[d]));
    y = out[0][2];
    h_last = clrnn_onnx_unsqueeze(o, out[0][0], 0);
    *c_last = out[0][1] ? clrnn_onnx_unsqueeze(o, out[0][1], 0) : NULL;
    if (op->D == 2) {
        y = clrnn_onnx_concat(o, y, out[1][2], 2);
        h_last = clrnn_onnx_concat(o, h_last, clrnn_onnx_unsqueeze(o, out[1][0], 0), 0);
    }
    b->now.h_last = h_last;
    b->now.x = op->steps ? y : clrnn_onnx_squeeze(o, y, 0);
    return CLRNN_OK;
}
