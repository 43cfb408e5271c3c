// SPDX-License-Identifier: MIT
// clrnn_model_export_onnx: a model as an ONNX file.
#include "export/onnx_layers.h"
#include "base/log.h"

// States are useful only if parts of a sequence give the same results as the whole.
static enum clrnn_status check_states(const struct clrnn_export_program *p)
{
    bool any = false;

    for (size_t i = 0; i < p->pool; i++) {
        const struct clrnn_export_op *op = &p->op[i];

        any |= op->kind == CLRNN_EXPORT_CELL;
        if (op->kind == CLRNN_EXPORT_CELL && op->D == 2)
            return clrnn_export_refuse(p->model, op->index, "ONNX with states",
                                       "a bidirectional layer needs the whole sequence");
    }
    if (!any)
        return clrnn_error(p->model->log, CLRNN_ERR_CONFIG,
                           "the model has no recurrent layer over time, so there are no states to export");
    if (p->pool < p->count &&
        (p->op[p->pool].layer->over == CLRNN_POOL_MEAN || p->op[p->pool].layer->over == CLRNN_POOL_MAX))
        return clrnn_export_refuse(p->model, p->op[p->pool].index, "ONNX with states",
                                   "of a piece it is not that of the sequence so far; use 'over: last'");
    return CLRNN_OK;
}

static enum clrnn_status build(struct clrnn_onnx_build *b, bool states)
{
    const struct clrnn_model *m = b->program.model;

    if (states)
        TRY(check_states(&b->program));
    b->states = states;
    TRY(clrnn_onnx_create(m->log, "clrnn", &b->onnx));
    clrnn_onnx_add_inputs(b, m->config->data.train.lengths);
    TRY(clrnn_onnx_add_operations(b));
    clrnn_onnx_add_output(b);
    clrnn_onnx_metadata(b->onnx, "loss", clrnn_loss_word(m->config->train.loss.kind));
    return CLRNN_OK;
}

enum clrnn_status clrnn_model_export_onnx(struct clrnn_model *model, const char *path, bool states)
{
    NEED(NULL, model);
    NEED(model->log, path);

    struct clrnn_onnx_build b = {0};
    enum clrnn_status st = clrnn_export_program_init(&b.program, model);

    if (st == CLRNN_OK)
        st = build(&b, states);
    if (st == CLRNN_OK)
        st = clrnn_onnx_write(b.onnx, path);
    clrnn_onnx_destroy(&b.onnx);
    clrnn_export_program_finish(&b.program);
    return st;
}
