// SPDX-License-Identifier: MIT
// Generates a C function for one time step of each recurrent cell and direction. The function updates h and c in place.
#include <stdio.h>

#include "base/array.h"
#include "export/c_code.h"
#include "model/layer.h"

static const char lstm_cells[] = "        const float i = @_sigmoid1(gate[j]), f = @_sigmoid1(gate[%u + j]);\n"
                                 "        const float g = @_tanh1(gate[%u + j]);\n"
                                 "\n"
                                 "        c[j] = f * c[j] + i * g;\n";
static const char lstm_units[] = "        const float i = @_sigmoid1(gate[j]), f = @_sigmoid1(gate[%u + j]);\n"
                                 "        const float g = @_tanh1(gate[%u + j]), o = @_sigmoid1(gate[%u + j]);\n"
                                 "\n"
                                 "        c[j] = f * c[j] + i * g;\n"
                                 "        %s[j] = o * @_tanh1(c[j]);\n";
static const char gru_units[] = //
    "        const float r = @_sigmoid1(gate[j]), z = @_sigmoid1(gate[%u + j]);\n"
    "        const float n = @_tanh1(gate[%u + j] + r * gate[%u + j]);\n"
    "\n"
    "        h[j] = n + z * (h[j] - n);\n";

void clrnn_c_multiply(struct clrnn_c_code *code, const char *y, size_t op, const char *weight, const char *x,
                      size_t rows, size_t cols)
{
    struct clrnn_c_text *t = &code->text;

    if (code->int8)
        clrnn_c_put(t, "    @_multiply(%s, @_%zu_%s, @_%zu_%s_scale, %s, %zu, %zu, %.1ff);\n", y, op, weight, op,
                    weight, x, rows, cols, clrnn_c_levels((uint32_t)cols));
    else
        clrnn_c_put(t, "    @_multiply(%s, @_%zu_%s, %s, %zu, %zu);\n", y, op, weight, x, rows, cols);
}

// The cell and direction whose function is being written.
struct cell {
    struct clrnn_c_code *code;
    size_t op;
    const struct clrnn_layer *layer;
    const char *reverse;
    unsigned in, H, P, gates;
    bool lstm, gru, norm;
};

// Writes code for y += W x, where W [rows, cols] is the cell's matrix `word`.
static void multiply(const struct cell *c, const char *y, const char *word, const char *x, size_t rows, size_t cols)
{
    char name[32];

    snprintf(name, sizeof(name), "%s%s", word, c->reverse);
    clrnn_c_multiply(c->code, y, c->op, name, x, rows, cols);
}

// Writes code for y = gamma * LN(W x) + bias.
static void put_normalised(const struct cell *c, const char *y, const char *word, const char *x, size_t cols)
{
    struct clrnn_c_text *t = &c->code->text;
    const unsigned rows = c->gates * c->H;

    clrnn_c_put(t, "    @_zero(%s, %u);\n", y, rows);
    multiply(c, y, word, x, rows, cols);
    clrnn_c_put(t, "    @_layernorm(%s, %s, @_%zu_gamma_%s%s, ", y, y, c->op, word, c->reverse);
    if (c->layer->bias)
        clrnn_c_put(t, "@_%zu_bias_%s%s, ", c->op, word, c->reverse);
    else
        clrnn_c_put(t, "NULL, ");
    clrnn_c_put(t, "1e-5f, %u);\n", rows);
    c->code->helpers |= CLRNN_C_ZERO | CLRNN_C_LAYERNORM;
}

// Writes code for the gates' sums before activation. For a GRU, W_hn h (with its bias) is not added to the new gate's
// sum: gate[3H] to gate[4H - 1] receive it.
static void put_gates(const struct cell *c)
{
    const unsigned H = c->H, rows = c->gates * H, all = c->gru ? 4 * H : rows;
    struct clrnn_c_text *t = &c->code->text;
    char hidden[48];

    if (c->norm) {
        put_normalised(c, "gate", "ih", "x", c->in);
        put_normalised(c, "more", "hh", "h", c->P);
        if (c->gru)
            clrnn_c_put(t, "    @_copy(gate + %u, more + %u, %u);\n", 3 * H, 2 * H, H);
        clrnn_c_put(t, "    @_add(gate, more, %u);\n", c->gru ? 2 * H : rows);
        c->code->helpers |= CLRNN_C_ADD | (c->gru ? CLRNN_C_COPY : 0);
        return;
    }
    if (c->layer->bias)
        clrnn_c_put(t, "    @_copy(gate, @_%zu_bias%s, %u);\n", c->op, c->reverse, all);
    else
        clrnn_c_put(t, "    @_zero(gate, %u);\n", all);
    c->code->helpers |= c->layer->bias ? CLRNN_C_COPY : CLRNN_C_ZERO;
    multiply(c, "gate", "ih", "x", rows, c->in);
    multiply(c, "gate", "hh", "h", c->gru ? 2 * H : rows, c->P);
    snprintf(hidden, sizeof(hidden), "gate + %u", 3 * H);
    if (c->gru)
        multiply(c, hidden, "hn", "h", H, H);
}

static void put_lstm(const struct cell *c)
{
    const unsigned H = c->H;
    struct clrnn_c_text *t = &c->code->text;

    clrnn_c_put(t, "    for (j = 0; j < %u; j++) {\n", H);
    if (c->norm) {
        clrnn_c_put(t, lstm_cells, H, 2 * H);
        clrnn_c_put(t, "    }\n    @_layernorm(more, c, @_%zu_gamma_c%s, @_%zu_beta_c%s, 1e-5f, %u);\n", c->op,
                    c->reverse, c->op, c->reverse, H);
        clrnn_c_put(t, "    for (j = 0; j < %u; j++)\n", H);
        clrnn_c_put(t, "        %s[j] = @_sigmoid1(gate[%u + j]) * @_tanh1(more[j]);\n",
                    c->layer->proj_size ? "gate" : "h", 3 * H);
    } else {
        clrnn_c_put(t, lstm_units, H, 2 * H, 3 * H, c->layer->proj_size ? "gate" : "h");
        clrnn_c_put(t, "    }\n");
    }
    if (!c->layer->proj_size)
        return;
    clrnn_c_put(t, "    @_zero(h, %u);\n", c->P);
    multiply(c, "h", "hr", "gate", c->P, H);
    c->code->helpers |= CLRNN_C_ZERO;
}

static void put_units(const struct cell *c)
{
    struct clrnn_c_text *t = &c->code->text;

    if (c->lstm) {
        put_lstm(c);
    } else if (c->gru) {
        clrnn_c_put(t, "    for (j = 0; j < %u; j++) {\n", c->H);
        clrnn_c_put(t, gru_units, c->H, 2 * c->H, 3 * c->H);
        clrnn_c_put(t, "    }\n");
    } else {
        clrnn_c_put(t, "    for (j = 0; j < %u; j++)\n", c->H);
        clrnn_c_put(t, c->layer->relu ? "        h[j] = gate[j] < 0.0f ? 0.0f : gate[j];\n"
                                      : "        h[j] = @_tanh1(gate[j]);\n");
    }
    c->code->helpers |= c->gates > 1 ? CLRNN_C_SIGMOID1 : c->layer->relu ? 0 : CLRNN_C_TANH1;
}

static void put_cell(struct clrnn_c_code *code, size_t op, uint32_t d)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const struct clrnn_layer *layer = o->layer;
    const unsigned gates = (unsigned)clrnn_cell_gates(clrnn_layer_cell(layer->kind));
    const struct cell c = {
        .code = code,
        .op = op,
        .layer = layer,
        .reverse = d ? "_reverse" : "",
        .in = o->in,
        .H = layer->hidden_size,
        .P = clrnn_layer_state(layer),
        .gates = gates,
        .lstm = layer->kind == CLRNN_LAYER_LSTM,
        .gru = layer->kind == CLRNN_LAYER_GRU,
        .norm = layer->layer_norm,
    };
    const unsigned all = c.gru ? 4 * c.H : gates * c.H, more = c.norm ? gates * c.H : 0;
    struct clrnn_c_text *t = &code->text;
    char path[256];

    clrnn_c_put(t, "/* layers[%s]: %s, level %u%s, %u -> %u */\n",
                clrnn_layer_path(code->program.model->config, o->index, path, sizeof(path)),
                clrnn_layer_word(layer->kind), o->level, d ? ", backward" : "", o->in, c.P);
    clrnn_c_put(t, "static void @_cell%zu%s(float *h%s, const float *x)\n{\n    float gate[%u];\n", op, c.reverse,
                c.lstm ? ", float *c" : "", all);
    if (more)
        clrnn_c_put(t, "    float more[%u];\n", more);
    clrnn_c_put(t, "    int j;\n\n");
    put_gates(&c);
    put_units(&c);
    clrnn_c_put(t, "}\n\n");
    code->cell_bytes = MAX2(code->cell_bytes, (size_t)(all + more) * sizeof(float));
}

void clrnn_c_cells(struct clrnn_c_code *code)
{
    for (size_t i = 0; i < code->program.count; i++)
        for (uint32_t d = 0; code->program.op[i].kind == CLRNN_EXPORT_CELL && d < code->program.op[i].D; d++)
            put_cell(code, i, d);
}
