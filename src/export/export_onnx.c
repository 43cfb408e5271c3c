// SPDX-License-Identifier: MIT
// clrnn_model_export_onnx: writes a model as an ONNX file.
#include "export/onnx_layers.h"
#include "base/json.h"
#include "base/log.h"
#include "export/facts.h"

// Returns why an operation gives other results for a sequence in pieces than for the whole sequence. Returns NULL if
// the results are the same.
static const char *needs_more(const struct clrnn_export_op *op)
{
    if (!op->steps)
        return NULL;
    if (op->kind == CLRNN_EXPORT_CELL && op->D == 2)
        return "a bidirectional layer needs the whole sequence";
    if (clrnn_export_has_windows(op))
        return "its windows reach beyond the piece of a sequence";
    if (op->kind == CLRNN_LAYER_BATCHNORM && !op->layer->track_running_stats)
        return "with track_running_stats: false it takes the statistics of all steps";
    if (op->kind == CLRNN_LAYER_FLATTEN)
        return "it needs all steps of a sequence at once";
    if (op->kind == CLRNN_LAYER_ATTENTION_POOL ||
        (op->kind == CLRNN_LAYER_POOL && op->layer->over != CLRNN_POOL_LAST && op->layer->over != CLRNN_POOL_FINAL))
        return "of a piece it is not that of the sequence so far; use 'pool: {over: last}'";
    return NULL;
}

// Returns CLRNN_ERR_CONFIG unless the model has a recurrent layer over time and gives the same results for a sequence
// in pieces as for the whole sequence. A graph with `states` needs both.
static enum clrnn_status check_states(const struct clrnn_export_program *p)
{
    bool any = false;

    for (size_t i = 0; i < p->count; i++) {
        const char *why = needs_more(&p->op[i]);

        any |= p->op[i].kind == CLRNN_EXPORT_CELL && p->op[i].steps;
        if (why)
            return clrnn_export_refuse(p->model, p->op[i].index, "ONNX with states", why);
    }
    if (!any)
        return clrnn_error(p->model->log, CLRNN_ERR_CONFIG,
                           "the model has no recurrent layer over time, so there are no states to export");
    return CLRNN_OK;
}

// Makes JSON of a fact that is not a text: names, numbers or a whole number.
static json_t *fact_json(const struct clrnn_export_fact *fact)
{
    json_t *list;

    if (fact->names)
        return clrnn_texts_json(fact->names);
    if (!fact->numbers)
        return json_integer(fact->whole);
    list = json_array();
    for (size_t i = 0; i < fact->count; i++)
        if (json_array_append_new(list, json_real(fact->numbers[i])))
            clrnn_json_lacks_memory();
    return list;
}

static enum clrnn_status add_metadata(struct clrnn_onnx_build *b)
{
    struct clrnn_export_fact fact[CLRNN_EXPORT_FACTS];
    const size_t count = clrnn_export_facts(b->program.model, fact);

    for (size_t i = 0; i < count; i++) {
        json_t *value;
        char *text;

        if (fact[i].text) {
            clrnn_onnx_metadata(b->onnx, fact[i].key, fact[i].text);
            continue;
        }
        clrnn_json_out_of_memory();
        value = fact_json(&fact[i]);
        text = clrnn_json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        json_decref(value);
        if (!text)
            return clrnn_error_memory(b->program.model->log, fact[i].count, fact[i].key);
        clrnn_onnx_metadata(b->onnx, fact[i].key, text);
        free(text);
    }
    return CLRNN_OK;
}

// Returns the only number of time steps T that a model with a flatten layer accepts; 0: any T.
static uint32_t fixed_steps(const struct clrnn_export_program *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->op[i].kind == CLRNN_LAYER_FLATTEN)
            return p->model->shape.steps;
    return 0;
}

// Whether the training data have a length for each sequence. Data with one sequence in each CSV file (label_from) or in
// each line of a .ts file always have lengths.
static bool has_lengths(const struct clrnn_source *source)
{
    return source->lengths || source->label_from || source->ts;
}

static enum clrnn_status build(struct clrnn_onnx_build *b, bool states)
{
    const struct clrnn_model *m = b->program.model;

    if (states)
        TRY(check_states(&b->program));
    b->states = states;
    b->value = calloc(b->program.count + 1, sizeof(*b->value));
    if (!b->value)
        return clrnn_error_memory(m->log, (b->program.count + 1) * sizeof(*b->value), "an ONNX graph");
    TRY(clrnn_onnx_create(m->log, "clrnn", &b->onnx));
    clrnn_onnx_add_inputs(b, has_lengths(&m->config->data.train), fixed_steps(&b->program));
    TRY(clrnn_onnx_add_operations(b));
    clrnn_onnx_add_output(b);
    return add_metadata(b);
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
    free(b.value);
    clrnn_onnx_destroy(&b.onnx);
    clrnn_export_program_finish(&b.program);
    return st;
}
