// SPDX-License-Identifier: MIT
// Weights as constants of exported C code, in the order in which its loops read them.
#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "export/c_code.h"

double clrnn_c_levels(uint32_t cols)
{
    return fmin(32767, floor(2147483647.0 / (127.0 * cols)));
}

static enum clrnn_status put_matrix(struct clrnn_c_code *code, size_t op, const char *suffix,
                                    const double *values, size_t rows, uint32_t cols)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    char label[64];

    if (code->int8 && clrnn_c_levels(cols) < 127)
        return clrnn_export_refuse(code->program.model, o->index, "C with int8 weights",
                                   "sums over its inputs may exceed int32");
    snprintf(label, sizeof(label), "%zu_%s", op, suffix);
    clrnn_c_matrix(&code->text, label, values, rows, cols, code->int8);
    code->widest = MAX2(code->widest, cols);
    code->helpers |= CLRNN_C_MULTIPLY;
    return CLRNN_OK;
}

static void put_vector(struct clrnn_c_code *code, size_t op, const char *suffix, const double *values,
                       size_t count)
{
    char label[64];

    snprintf(label, sizeof(label), "%zu_%s", op, suffix);
    clrnn_c_floats(&code->text, label, values, count);
}

// bias_ih + bias_hh. For a GRU's new gate the hidden part stays separate, after the others: [4H].
static enum clrnn_status put_cell_bias(struct clrnn_c_code *code, size_t op, size_t entry, size_t rows,
                                       const char *suffix)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const bool gru = o->layer->kind == CLRNN_LAYER_GRU;
    const size_t H = o->layer->hidden_size, summed = gru ? 2 * H : rows;
    enum clrnn_status st = CLRNN_OK, second_st = CLRNN_OK;
    double *first = clrnn_export_read(code->program.model, entry, &st);
    double *second = clrnn_export_read(code->program.model, entry + 1, &second_st);
    double *bias = malloc((rows + H) * sizeof(*bias));

    if (first && second && !bias)
        st = clrnn_error_memory(code->program.model->log, (rows + H) * sizeof(*bias), "a bias");
    if (first && second && bias) {
        for (size_t i = 0; i < rows; i++)
            bias[i] = first[i] + (i < summed ? second[i] : 0);
        for (size_t i = summed; i < rows; i++)
            bias[i + H] = second[i];
        put_vector(code, op, suffix, bias, gru ? rows + H : rows);
    }
    free(first);
    free(second);
    free(bias);
    return st != CLRNN_OK ? st : second_st;
}

static enum clrnn_status put_cell(struct clrnn_c_code *code, size_t op, uint32_t d)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const size_t H = o->layer->hidden_size, G = clrnn_cell_gates(clrnn_layer_cell(o->layer->kind));
    const size_t entry = clrnn_export_cell_entry(o, d);
    const bool gru = o->layer->kind == CLRNN_LAYER_GRU;
    enum clrnn_status st;
    double *w = clrnn_export_read(code->program.model, entry, &st);

    if (w)
        st = put_matrix(code, op, d ? "ih_reverse" : "ih", w, G * H, o->in);
    free(w);
    TRY(st);
    w = clrnn_export_read(code->program.model, entry + 1, &st);
    if (w) // a GRU's new gate needs its recurrent part separately
        st = put_matrix(code, op, d ? "hh_reverse" : "hh", w, (gru ? 2 : G) * H, (uint32_t)H);
    if (st == CLRNN_OK && gru)
        st = put_matrix(code, op, d ? "hn_reverse" : "hn", w + 2 * H * H, H, (uint32_t)H);
    free(w);
    TRY(st);
    return o->layer->bias ? put_cell_bias(code, op, entry + 2, G * H, d ? "bias_reverse" : "bias") : CLRNN_OK;
}

static enum clrnn_status put_dense(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    enum clrnn_status st;
    double *w = clrnn_export_read(code->program.model, o->entry, &st);

    if (w)
        st = put_matrix(code, op, "weight", w, o->out, o->in);
    free(w);
    if (st != CLRNN_OK || !o->layer->bias)
        return st;
    w = clrnn_export_read(code->program.model, o->entry + 1, &st);
    if (w)
        put_vector(code, op, "bias", w, o->out);
    free(w);
    return st;
}

// An embedding table is read by rows: float32 rows as they are, int8 rows with a scale each.
static enum clrnn_status put_embedding(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const size_t V = o->layer->num_embeddings;
    enum clrnn_status st;
    double *w = clrnn_export_read(code->program.model, o->entry, &st);
    char label[64];

    snprintf(label, sizeof(label), "%zu_weight", op);
    if (w && code->int8)
        clrnn_c_matrix(&code->text, label, w, V, o->out, true);
    else if (w)
        clrnn_c_floats(&code->text, label, w, V * o->out);
    free(w);
    return st;
}

static enum clrnn_status put_affine(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    enum clrnn_status st;
    double *values = clrnn_export_read_affine(code->program.model, o, &st);

    if (!values)
        return st;
    put_vector(code, op, "mean", values, o->out);
    put_vector(code, op, "factor", values + o->out, o->out);
    put_vector(code, op, "shift", values + 2 * (size_t)o->out, o->out);
    free(values);
    return CLRNN_OK;
}

static enum clrnn_status put_layernorm(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    enum clrnn_status st = CLRNN_OK;

    for (size_t i = 0; st == CLRNN_OK && o->layer->affine && i < 2; i++) {
        double *w = clrnn_export_read(code->program.model, o->entry + i, &st);

        if (w)
            put_vector(code, op, i ? "shift" : "factor", w, o->out);
        free(w);
    }
    return st;
}

enum clrnn_status clrnn_c_constants(struct clrnn_c_code *code)
{
    for (size_t i = 0; i < code->program.count; i++) {
        const struct clrnn_export_op *o = &code->program.op[i];

        switch (o->kind) {
        case CLRNN_EXPORT_NORMALIZE:
        case CLRNN_EXPORT_BATCHNORM:
        case CLRNN_EXPORT_RESTORE:
            if (o->layer && !o->layer->track_running_stats)
                return clrnn_export_refuse(
                    code->program.model, o->index, "C",
                    "with track_running_stats: false it needs the statistics of a batch, "
                    "and the C code sees one sequence");
            TRY(put_affine(code, i));
            break;
        case CLRNN_EXPORT_EMBEDDING:
            TRY(put_embedding(code, i));
            break;
        case CLRNN_EXPORT_CELL:
            for (uint32_t d = 0; d < o->D; d++)
                TRY(put_cell(code, i, d));
            break;
        case CLRNN_EXPORT_LINEAR:
            TRY(put_dense(code, i));
            break;
        case CLRNN_EXPORT_LAYERNORM:
            TRY(put_layernorm(code, i));
            break;
        default:
            break;
        }
    }
    return CLRNN_OK;
}
