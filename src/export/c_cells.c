// SPDX-License-Identifier: MIT
// The step of a recurrent cell as a C function: h and c are updated in place.
#include <stdio.h>

#include "base/array.h"
#include "export/c_code.h"

static const char lstm_units[] =
    "        const float i = @_sigmoid1(gate[j]), f = @_sigmoid1(gate[%u + j]);\n"
    "        const float g = @_tanh1(gate[%u + j]), o = @_sigmoid1(gate[%u + j]);\n"
    "\n"
    "        c[j] = f * c[j] + i * g;\n"
    "        h[j] = o * @_tanh1(c[j]);\n";
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
        clrnn_c_put(t, "    @_multiply(%s, @_%zu_%s, @_%zu_%s_scale, %s, %zu, %zu, %.1ff);\n", y, op, weight,
                    op, weight, x, rows, cols, clrnn_c_levels((uint32_t)cols));
    else
        clrnn_c_put(t, "    @_multiply(%s, @_%zu_%s, %s, %zu, %zu);\n", y, op, weight, x, rows, cols);
}

static void put_cell(struct clrnn_c_code *code, size_t op, uint32_t d)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const struct clrnn_layer *layer = o->layer;
    const unsigned H = layer->hidden_size;
    const bool lstm = layer->kind == CLRNN_LAYER_LSTM, gru = layer->kind == CLRNN_LAYER_GRU;
    const unsigned gates = lstm ? 4 : gru ? 3 : 1, all = gru ? 4 * H : gates * H;
    const char *reverse = d ? "_reverse" : "";
    struct clrnn_c_text *t = &code->text;
    char ih[32], hh[32], hn[32], hidden[48];

    snprintf(ih, sizeof(ih), "ih%s", reverse);
    snprintf(hh, sizeof(hh), "hh%s", reverse);
    snprintf(hn, sizeof(hn), "hn%s", reverse);
    snprintf(hidden, sizeof(hidden), "gate + %u", 3 * H);
    clrnn_c_put(t, "/* layers[%zu]: %s, level %u%s, %u -> %u */\n", o->index, clrnn_layer_word(layer->kind),
                o->level, d ? ", backward" : "", o->in, H);
    clrnn_c_put(t,
                "static void @_cell%zu%s(float *h%s, const float *x)\n{\n    float gate[%u];\n    int j;\n\n",
                op, reverse, lstm ? ", float *c" : "", all);
    if (layer->bias)
        clrnn_c_put(t, "    @_copy(gate, @_%zu_bias%s, %u);\n", op, reverse, all);
    else
        clrnn_c_put(t, "    @_zero(gate, %u);\n", all);
    clrnn_c_multiply(code, "gate", op, ih, "x", (size_t)gates * H, o->in);
    clrnn_c_multiply(code, "gate", op, hh, "h", (size_t)(gru ? 2 : gates) * H, H);
    if (gru)
        clrnn_c_multiply(code, hidden, op, hn, "h", H, H);
    clrnn_c_put(t, gates == 1 ? "    for (j = 0; j < %u; j++)\n" : "    for (j = 0; j < %u; j++) {\n", H);
    if (lstm)
        clrnn_c_put(t, lstm_units, H, 2 * H, 3 * H);
    else if (gru)
        clrnn_c_put(t, gru_units, H, 2 * H, 3 * H);
    else
        clrnn_c_put(t, layer->relu ? "        h[j] = gate[j] < 0.0f ? 0.0f : gate[j];\n"
                                   : "        h[j] = @_tanh1(gate[j]);\n");
    clrnn_c_put(t, gates == 1 ? "}\n\n" : "    }\n}\n\n");
    code->helpers |= layer->bias ? CLRNN_C_COPY : CLRNN_C_ZERO;
    code->helpers |= gates > 1 ? CLRNN_C_SIGMOID1 : layer->relu ? 0 : CLRNN_C_TANH1;
    code->cell_bytes = MAX2(code->cell_bytes, (size_t)all * sizeof(float));
}

void clrnn_c_cells(struct clrnn_c_code *code)
{
    for (size_t i = 0; i < code->program.count; i++)
        for (uint32_t d = 0; code->program.op[i].kind == CLRNN_EXPORT_CELL && d < code->program.op[i].D; d++)
            put_cell(code, i, d);
}
