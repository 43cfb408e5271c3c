// SPDX-License-Identifier: MIT
// Writes weights as constants of exported C code, in the order in which its loops read them.
#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "export/c_code.h"
#include "model/layer.h"

double clrnn_c_levels(uint32_t cols)
{
    return fmin(32767, floor(2147483647.0 / (127.0 * cols)));
}

static enum clrnn_status put_matrix(struct clrnn_c_code *code, size_t op, const char *suffix, const double *values,
                                    size_t rows, uint32_t cols)
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

static void put_vector(struct clrnn_c_code *code, size_t op, const char *suffix, const double *values, size_t count)
{
    char label[64];

    snprintf(label, sizeof(label), "%zu_%s", op, suffix);
    clrnn_c_floats(&code->text, label, values, count);
}

// Writes the sum bias_ih + bias_hh of each gate. A GRU multiplies W_hn h + bias_hh of its new gate n by r, so its 4H
// values are the sums of r and z [2H], bias_ih of n [H] and bias_hh of n [H].
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

// Writes the parameter model->entry[entry] as a vector.
static enum clrnn_status put_entry(struct clrnn_c_code *code, size_t op, const char *suffix, size_t entry)
{
    enum clrnn_status st;
    double *values = clrnn_export_read(code->program.model, entry, &st);

    if (values)
        put_vector(code, op, suffix, values, code->program.model->entry[entry].param.count);
    free(values);
    return st;
}

// Writes the biases and the norms' factors of a cell with layer_norm. Such a cell needs bias_ih and bias_hh separately.
static enum clrnn_status put_cell_norm(struct clrnn_c_code *code, size_t op, uint32_t d)
{
    const struct clrnn_export_cell cell = clrnn_export_cell_entries(&code->program.op[op], d);
    const struct {
        const char *word;
        size_t entry;
    } all[] = {
        {"bias_ih", cell.bias_ih},   {"bias_hh", cell.bias_hh}, {"gamma_ih", cell.gamma_ih},
        {"gamma_hh", cell.gamma_hh}, {"gamma_c", cell.gamma_c}, {"beta_c", cell.beta_c},
    };
    char suffix[32];

    for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
        snprintf(suffix, sizeof(suffix), "%s%s", all[i].word, d ? "_reverse" : "");
        if (all[i].entry)
            TRY(put_entry(code, op, suffix, all[i].entry));
    }
    return CLRNN_OK;
}

// Writes rows [first, first + rows) of the matrix parameter model->entry[entry].
static enum clrnn_status put_rows(struct clrnn_c_code *code, size_t op, const char *suffix, size_t entry, size_t first,
                                  size_t rows, uint32_t cols)
{
    enum clrnn_status st;
    double *w = clrnn_export_read(code->program.model, entry, &st);

    if (w)
        st = put_matrix(code, op, suffix, w + first * cols, rows, cols);
    free(w);
    return st;
}

static enum clrnn_status put_cell(struct clrnn_c_code *code, size_t op, uint32_t d)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const struct clrnn_layer *layer = o->layer;
    const size_t H = layer->hidden_size, G = clrnn_cell_gates(clrnn_layer_cell(layer->kind));
    const struct clrnn_export_cell cell = clrnn_export_cell_entries(o, d);
    const uint32_t P = clrnn_layer_state(layer);
    // a GRU multiplies W_hn h by r, so W_hn is a matrix of its own; with layer_norm, all of W_hh is multiplied at once
    const bool apart = layer->kind == CLRNN_LAYER_GRU && !layer->layer_norm;

    TRY(put_rows(code, op, d ? "ih_reverse" : "ih", cell.ih, 0, G * H, o->in));
    TRY(put_rows(code, op, d ? "hh_reverse" : "hh", cell.hh, 0, (apart ? 2 : G) * H, P));
    if (apart)
        TRY(put_rows(code, op, d ? "hn_reverse" : "hn", cell.hh, 2 * H, H, P));
    if (layer->proj_size)
        TRY(put_rows(code, op, d ? "hr_reverse" : "hr", cell.hr, 0, P, (uint32_t)H));
    if (layer->layer_norm)
        return put_cell_norm(code, op, d);
    return layer->bias ? put_cell_bias(code, op, cell.bias_ih, G * H, d ? "bias_reverse" : "bias") : CLRNN_OK;
}

static enum clrnn_status put_dense(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];

    TRY(put_rows(code, op, "weight", o->entry, 0, o->out, o->in));
    return o->layer->bias ? put_entry(code, op, "bias", o->entry + 1) : CLRNN_OK;
}

// Writes a convolution's weights as a matrix [out, kernel * in]. A row has the weights of the window's first step, then
// those of the second step, and so on.
static enum clrnn_status put_conv(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];
    const size_t K = o->layer->kernel_size, C = o->in, O = o->out;
    enum clrnn_status st;
    double *w = clrnn_export_read(code->program.model, o->entry, &st);
    double *turned = malloc(O * C * K * sizeof(*turned));

    if (w && !turned)
        st = clrnn_error_memory(code->program.model->log, O * C * K * sizeof(*turned), "weights");
    for (size_t i = 0; w && turned && i < O * C * K; i++)
        turned[i / (C * K) * C * K + i % K * C + i / K % C] = w[i];
    if (w && turned)
        st = put_matrix(code, op, "weight", turned, O, (uint32_t)(C * K));
    free(w);
    free(turned);
    if (st != CLRNN_OK || !o->layer->bias)
        return st;
    return put_entry(code, op, "bias", o->entry + 1);
}

static enum clrnn_status put_attention(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];

    TRY(put_rows(code, op, "weight", o->entry, 0, o->layer->attention_size, o->in));
    TRY(put_entry(code, op, "bias", o->entry + 1));
    return put_entry(code, op, "v", o->entry + 2);
}

// Writes an embedding table row by row, as NAME_embed reads it: in float32, or in int8 with a scale for each row.
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

static enum clrnn_status put_norm(struct clrnn_c_code *code, size_t op)
{
    const struct clrnn_export_op *o = &code->program.op[op];

    if (!o->layer->affine)
        return CLRNN_OK;
    TRY(put_entry(code, op, "factor", o->entry));
    return put_entry(code, op, "shift", o->entry + 1);
}

enum clrnn_status clrnn_c_constants(struct clrnn_c_code *code)
{
    for (size_t i = 0; i < code->program.count; i++) {
        const struct clrnn_export_op *o = &code->program.op[i];

        switch (o->kind) {
        case CLRNN_EXPORT_NORMALIZE:
        case CLRNN_LAYER_BATCHNORM:
        case CLRNN_EXPORT_RESTORE:
            if (o->layer && !o->layer->track_running_stats)
                return clrnn_export_refuse(code->program.model, o->index, "C",
                                           "with track_running_stats: false it needs the statistics of a batch, "
                                           "and the C code sees one sequence");
            TRY(put_affine(code, i));
            break;
        case CLRNN_LAYER_EMBEDDING:
            TRY(put_embedding(code, i));
            break;
        case CLRNN_EXPORT_CELL:
            for (uint32_t d = 0; d < o->D; d++)
                TRY(put_cell(code, i, d));
            break;
        case CLRNN_LAYER_LINEAR:
            TRY(put_dense(code, i));
            break;
        case CLRNN_LAYER_LAYERNORM:
        case CLRNN_LAYER_GROUPNORM:
            TRY(put_norm(code, i));
            break;
        case CLRNN_LAYER_CONV1D:
            TRY(put_conv(code, i));
            break;
        case CLRNN_LAYER_ATTENTION_POOL:
            TRY(put_attention(code, i));
            break;
        default:
            break;
        }
    }
    return CLRNN_OK;
}
