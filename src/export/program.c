// SPDX-License-Identifier: MIT
// Converts the layers of a model's config into a list of operations, and reads their parameters.
#include "export/program.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"

enum clrnn_status clrnn_export_refuse(const struct clrnn_model *model, size_t layer, const char *format,
                                      const char *why)
{
    char label[1024];

    return clrnn_error(model->log, CLRNN_ERR_CONFIG, "%s: cannot be exported to %s: %s",
                       clrnn_layer_label(model->config, layer, label, sizeof(label)), format, why);
}

_Static_assert(CLRNN_LAYER_KINDS == 28, "exporters know every kind of layer");

// Returns the number of parameters that a cell has in model->entry for one direction.
static size_t cell_rows(const struct clrnn_layer *layer)
{
    return 2 + (layer->bias ? 2u : 0) + (layer->proj_size ? 1u : 0) +
           (!layer->layer_norm                ? 0u
            : layer->kind == CLRNN_LAYER_LSTM ? 4u
                                              : 2u);
}

bool clrnn_export_has_steps(const struct clrnn_export_program *p, size_t value)
{
    const struct clrnn_export_op *op = value ? &p->op[value - 1] : NULL;

    return !op || (op->steps && !(op->layer && clrnn_layer_pools(op->layer)));
}

static enum clrnn_status append(struct clrnn_export_program *p, struct clrnn_export_op op)
{
    if (!op.sources) {
        op.sources = 1;
        op.source[0] = p->output;
    }
    if (!ARRAY_GROW(p->op, p->count))
        return clrnn_error_memory(p->model->log, 2 * p->count * sizeof(*p->op), "the exported operations");
    p->op[p->count++] = op;
    p->output = p->count;
    return CLRNN_OK;
}

static enum clrnn_status append_affine(struct clrnn_export_program *p, int kind, uint32_t width, bool steps)
{
    return append(p, (struct clrnn_export_op){.kind = kind, .in = width, .out = width, .D = 1, .steps = steps});
}

static enum clrnn_status append_list(struct clrnn_export_program *p, size_t first, size_t end);

// Appends the layers inside a residual or concat, and then `op`, which combines the branches (f of a residual is its
// only branch). Each branch reads the input of the residual or concat.
static enum clrnn_status append_nested(struct clrnn_export_program *p, struct clrnn_export_op op)
{
    const bool concat = op.layer->kind == CLRNN_LAYER_CONCAT;
    const size_t before = p->output;
    size_t first = op.index + 1, end = clrnn_layer_end(p->model->config, op.index);

    if (!concat)
        op.source[op.sources++] = before;
    for (uint32_t b = 0; b < (concat ? op.layer->branches : 1); b++) {
        if (concat)
            clrnn_layer_branch(p->model->config, op.index, b, &first, &end);
        p->output = before;
        TRY(append_list(p, first, end));
        op.source[op.sources++] = p->output;
    }
    op.steps = clrnn_export_has_steps(p, p->output);
    return append(p, op);
}

static enum clrnn_status append_layer(struct clrnn_export_program *p, size_t index)
{
    const struct clrnn_layer *layer = &p->model->config->layer[index];
    const struct clrnn_layer_shape *s = &p->model->layer[index];
    struct clrnn_export_op op = {
        .kind = layer->kind,
        .layer = layer,
        .index = index,
        .in = s->in,
        .out = s->out,
        .D = MAX2(s->D, 1),
        .entry = s->first_entry,
        .steps = s->steps,
    };

    if (layer->kind == CLRNN_LAYER_DROPOUT || (layer->kind == CLRNN_LAYER_POOL && !s->steps))
        return CLRNN_OK; // dropout does nothing in eval mode, and a pool nothing to a single step
    if (clrnn_layer_nests(layer))
        return append_nested(p, op);
    if (!clrnn_layer_is_recurrent(layer))
        return append(p, op);
    op.kind = CLRNN_EXPORT_CELL;
    for (; op.level < layer->num_layers; op.level++) {
        TRY(append(p, op));
        op.in = op.out;
        op.entry += op.D * cell_rows(layer);
    }
    return CLRNN_OK;
}

static enum clrnn_status append_list(struct clrnn_export_program *p, size_t first, size_t end)
{
    for (size_t i = first; i < end; i = clrnn_layer_end(p->model->config, i))
        TRY(append_layer(p, i));
    return CLRNN_OK;
}

enum clrnn_status clrnn_export_program_init(struct clrnn_export_program *program, struct clrnn_model *model)
{
    *program = (struct clrnn_export_program){.model = model};
    TRY(clrnn_model_check_normalization(model));
    if (model->input_mean && model->input_std)
        TRY(append_affine(program, CLRNN_EXPORT_NORMALIZE, model->shape.features, true));
    TRY(append_list(program, 0, model->config->layer_count));
    if (model->target_mean)
        TRY(append_affine(program, CLRNN_EXPORT_RESTORE, model->outputs, model->per_step));
    return CLRNN_OK;
}

void clrnn_export_program_finish(struct clrnn_export_program *program)
{
    free(program->op);
    program->op = NULL;
}

// ---------------------------------------------------------------- parameters

// Reads a parameter's values and checks that they are finite in float32, the type in which they are exported.
static enum clrnn_status read_values(struct clrnn_model *model, size_t entry, double *values)
{
    const struct clrnn_param *param = &model->entry[entry].param;

    TRY(clrnn_model_read(model, entry, values));
    for (size_t i = 0; i < param->count; i++)
        if (!(fabs(values[i]) <= (double)FLT_MAX))
            return clrnn_error(model->log, CLRNN_ERR_DATA, "%s: value %zu is %g, expected a finite float32",
                               param->name, i, values[i]);
    return CLRNN_OK;
}

double *clrnn_export_read(struct clrnn_model *model, size_t entry, enum clrnn_status *status)
{
    const size_t count = model->entry[entry].param.count;
    double *values = malloc(count * sizeof(*values));

    *status =
        values ? read_values(model, entry, values) : clrnn_error_memory(model->log, count * sizeof(*values), "weights");
    if (*status != CLRNN_OK) {
        free(values);
        values = NULL;
    }
    return values;
}

struct clrnn_export_cell clrnn_export_cell_entries(const struct clrnn_export_op *op, uint32_t d)
{
    const struct clrnn_layer *layer = op->layer;
    size_t row = op->entry + d * cell_rows(layer);
    struct clrnn_export_cell cell = {.ih = row++};

    cell.hh = row++;
    if (layer->bias) {
        cell.bias_ih = row++;
        cell.bias_hh = row++;
    }
    if (layer->proj_size)
        cell.hr = row++;
    if (layer->layer_norm) {
        cell.gamma_ih = row++;
        cell.gamma_hh = row++;
    }
    if (layer->layer_norm && layer->kind == CLRNN_LAYER_LSTM) {
        cell.gamma_c = row++;
        cell.beta_c = row++;
    }
    return cell;
}

bool clrnn_export_has_windows(const struct clrnn_export_op *op)
{
    return op->layer && clrnn_layer_has_windows(op->layer);
}

static enum clrnn_status read_affine(struct clrnn_model *model, const struct clrnn_export_op *op, double *mean)
{
    const size_t C = op->out;
    double *factor = mean + C, *shift = factor + C;
    double *variance = mean; // the variance is read into the memory of the means, which are read last
    size_t entry = op->entry;

    if (op->kind == CLRNN_EXPORT_NORMALIZE) {
        TRY(clrnn_buffer_read_f64(model->input_mean, 0, C, mean));
        TRY(clrnn_buffer_read_f64(model->input_std, 0, C, factor));
        for (size_t c = 0; c < C; c++) {
            factor[c] = 1 / factor[c];
            shift[c] = 0;
        }
        return CLRNN_OK;
    }
    if (op->kind == CLRNN_EXPORT_RESTORE) {
        for (size_t c = 0; c < C; c++) { // the outputs for one target (its quantiles) are adjacent
            const size_t o = c / (C / model->targets);

            mean[c] = 0;
            factor[c] = model->target_std[o];
            shift[c] = model->target_mean[o];
        }
        return CLRNN_OK;
    }
    for (size_t c = 0; c < C; c++) {
        factor[c] = 1;
        shift[c] = 0;
    }
    if (op->layer->affine) {
        TRY(read_values(model, entry++, factor));
        TRY(read_values(model, entry++, shift));
    }
    TRY(read_values(model, entry + 1, variance));
    for (size_t c = 0; c < C; c++)
        factor[c] /= sqrt(variance[c] + op->layer->eps);
    return read_values(model, entry, mean);
}

double *clrnn_export_read_affine(struct clrnn_model *model, const struct clrnn_export_op *op, enum clrnn_status *status)
{
    double *values = calloc(3 * (size_t)op->out, sizeof(*values));

    *status =
        values ? read_affine(model, op, values) : clrnn_error_memory(model->log, 24 * (size_t)op->out, "normalisation");
    if (*status != CLRNN_OK) {
        free(values);
        values = NULL;
    }
    return values;
}
