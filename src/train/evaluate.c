// SPDX-License-Identifier: MIT
// Evaluates a model on a data set: loss, accuracy, confusion matrix, metrics per class, regression metrics.
#include "train/evaluate.h"

#include <math.h>

#include "base/array.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "model/layer.h"
#include "train/metrics.h"
#include "train/naive.h"

// Opens data.test of the model's config or, if there is none, the config's validation set. Reads the set as training
// reads it.
static enum clrnn_status open_own(struct clrnn_model *model, bool targets, struct clrnn_dataset **dataset)
{
    const struct clrnn_data_config *data = &model->config->data;
    const struct clrnn_source *named = data->test.there ? &data->test : data->valid.there ? &data->valid : NULL;
    const char *word = data->test.there ? "data.test" : "its validation set";
    struct clrnn_dataset *train;
    enum clrnn_status st;

    *dataset = NULL;
    if (named) {
        const struct clrnn_open_rules rules = {
            .names = model->names, .by_position = !model->names, .no_targets = !targets};

        st = clrnn_dataset_open_beside(model->log, model->config, named, word, CLRNN_CHECK_ALL, &rules, dataset);
    } else if (data->train.there && (data->valid_fraction > 0.0 || data->train.split)) {
        st = clrnn_dataset_open_named(model->log, model->config, CLRNN_CHECK_ALL, false, &train, dataset);
        clrnn_dataset_close(&train); // *dataset may be a view, which keeps the viewed set open
    } else {
        st = clrnn_error(model->log, CLRNN_ERR_ARG,
                         "the model's config has neither data.test nor validation data to work on: "
                         "name others (--x FILE.npy, --csv FILE.csv)");
    }
    if (st == CLRNN_OK)
        clrnn_log(model->log, CLRNN_LOG_INFO, "on %s, %u samples", word, clrnn_dataset_info(*dataset)->S);
    return st;
}

// Opens the data that `source` names, with the column and class names that the model keeps.
static enum clrnn_status open_named(struct clrnn_model *model, const struct clrnn_source *source, bool targets,
                                    struct clrnn_dataset **dataset)
{
    const struct clrnn_source whole = clrnn_source_as_trained(model->config, model->names, source);
    const struct clrnn_open_rules rules = {.names = model->names, .by_position = !model->names, .no_targets = !targets};
    const char *path = source->arrays ? "data"
                       : source->csv  ? source->csv
                       : source->ts   ? source->ts
                       : source->x    ? source->x
                                      : "synthetic data";

    return clrnn_dataset_open_by(model->log, model->config, &whole, NULL, path, CLRNN_CHECK_ALL, &rules, dataset);
}

// Sets the names of a model whose weights come from a state dict, not from a model file, to those of the config's
// training set. Warns if the file of that set does not exist: the names are then unknown.
static enum clrnn_status find_names(struct clrnn_model *model)
{
    const struct clrnn_source *train = &model->config->data.train;

    TRY(clrnn_config_names(model->log, model->config, &model->names));
    if (!model->names && (train->csv || clrnn_source_ts(train)))
        clrnn_log(model->log, CLRNN_LOG_WARNING,
                  "%s: the training data are not there, so names of columns and classes are unknown: columns are "
                  "taken by their position, classes by their order in the new data",
                  train->csv ? train->csv : clrnn_source_ts(train));
    return CLRNN_OK;
}

enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source, bool targets,
                                 struct clrnn_dataset **dataset)
{
    const struct clrnn_dataset_info *info;

    if (!model->names && !model->opened && (source->own || source->csv || clrnn_source_ts(source)))
        TRY(find_names(model));
    TRY(source->own ? open_own(model, targets, dataset) : open_named(model, source, targets, dataset));
    info = clrnn_dataset_info(*dataset);
    if (info->C != model->shape.features || info->tokens != model->shape.tokens)
        clrnn_error(model->log, CLRNN_ERR_DATA, "%s: has %u features, but the model was trained on %u", info->name,
                    info->C, model->shape.features);
    else if (clrnn_model_check_normalization(model) == CLRNN_OK)
        return CLRNN_OK;
    clrnn_dataset_close(dataset);
    return CLRNN_ERR_DATA;
}

// ---------------------------------------------------------------- one pass over the data

static void take_metrics(const struct clrnn_metrics *m, struct clrnn_eval_result *r)
{
    r->accuracy = m->value[CLRNN_METRIC_accuracy];
    r->balanced_accuracy = m->value[CLRNN_METRIC_balanced_accuracy];
    r->macro_f1 = m->value[CLRNN_METRIC_macro_f1];
    r->roc_auc = m->value[CLRNN_METRIC_roc_auc];
    r->pr_auc = m->value[CLRNN_METRIC_pr_auc];
    r->mae = m->value[CLRNN_METRIC_mae];
    r->rmse = m->value[CLRNN_METRIC_rmse];
    r->r2 = m->value[CLRNN_METRIC_r2];
    r->cer = m->value[CLRNN_METRIC_cer];
    r->wer = m->value[CLRNN_METRIC_wer];
    for (uint32_t k = 0; k < r->classes; k++)
        r->per_class[k] = (struct clrnn_class_result){.support = clrnn_metrics_support(m, k),
                                                      .precision = m->group[0][k],
                                                      .recall = m->group[1][k],
                                                      .f1 = m->group[2][k]};
    for (uint32_t k = 0; k < r->outputs; k++)
        r->per_output[k] =
            (struct clrnn_output_result){.mae = m->group[0][k], .rmse = m->group[1][k], .r2 = m->group[2][k]};
}

static enum clrnn_status run(struct clrnn_metrics *m, struct clrnn_turns *turns, struct clrnn_eval_result *r)
{
    const struct clrnn_model *model = m->model;
    const bool values = clrnn_loss_is_regression(model->config->train.loss.kind);
    const bool pairs = clrnn_metrics_has_confusion(m);
    const size_t groups = m->groups;
    struct clrnn_session_record record;

    *(values ? &r->outputs : &r->classes) = m->groups;
    if (values)
        r->per_output = calloc(MAX2(groups, 1), sizeof(*r->per_output));
    else
        r->per_class = calloc(MAX2(groups, 1), sizeof(*r->per_class));
    if (pairs)
        m->confusion = r->confusion = calloc(groups * groups, sizeof(*r->confusion));
    if ((!r->per_output && !r->per_class) || (pairs && !r->confusion))
        return clrnn_error_memory(model->log, (pairs ? groups : 1) * groups * sizeof(*r->confusion), "an evaluation");
    TRY(clrnn_metrics_pass(m, turns, NULL, &record));
    TRY(clrnn_naive_eval(m->set, &r->naive));
    r->samples = clrnn_dataset_info(m->set)->S;
    r->counted = (uint64_t)record.sum[RECORD_COUNT];
    r->loss = record.loss;
    take_metrics(m, r);
    return CLRNN_OK;
}

enum clrnn_status clrnn_eval_set(struct clrnn_model *model, struct clrnn_dataset *dataset,
                                 struct clrnn_eval_result *result)
{
    // copy the set to the device batch by batch: each sample is read only once
    const struct clrnn_session_params params = {.model = model, .set = dataset, .feed = {.resident_bytes = 1}};
    struct clrnn_metrics metrics = {0};
    struct clrnn_turns *turns = NULL;
    enum clrnn_status st;

    *result = (struct clrnn_eval_result){0};
    st = clrnn_metrics_open(&metrics, model, dataset);
    if (st == CLRNN_OK)
        st = clrnn_turns_open(&params, &turns);
    if (st == CLRNN_OK)
        st = run(&metrics, turns, result);
    clrnn_turns_close(&turns);
    clrnn_metrics_close(&metrics);
    if (st != CLRNN_OK)
        clrnn_eval_finish(result);
    return st;
}

// Computes the class weights of `weight: balanced` from the config's training set if the model has none, as after
// loading a state dict; the file of a trained model has them.
static enum clrnn_status find_balance(struct clrnn_model *model)
{
    const struct clrnn_loss_config *loss = &model->config->train.loss;
    struct clrnn_dataset *train;
    double *weight;
    size_t count;
    enum clrnn_status st;

    if (!loss->balanced || loss->weight)
        return CLRNN_OK;
    TRY(clrnn_dataset_open_train(model->log, model->config, &train));
    st = clrnn_dataset_balanced_weights(train, &weight, &count);
    clrnn_dataset_close(&train);
    TRY(st);
    st = clrnn_model_set_loss_weight(model, weight, count);
    for (size_t i = 0; i < model->other_count && st == CLRNN_OK; i++)
        st = clrnn_model_set_loss_weight(model->other[i], weight, count);
    free(weight);
    return st;
}

enum clrnn_status clrnn_eval(struct clrnn_model *model, const struct clrnn_source *source,
                             struct clrnn_eval_result *result)
{
    CLRNN_C_LOCALE;
    NEED(NULL, model);
    NEED(model->log, source);
    NEED(model->log, result);

    struct clrnn_dataset *dataset = NULL;
    enum clrnn_status st;

    *result = (struct clrnn_eval_result){0};
    TRY(clrnn_open_for(model, source, true, &dataset));
    if (clrnn_dataset_info(dataset)->has_y) {
        st = find_balance(model);
        if (st == CLRNN_OK)
            st = clrnn_eval_set(model, dataset, result);
    } else {
        st = clrnn_error(model->log, CLRNN_ERR_ARG,
                         "%s: has no targets to evaluate against: name y, for CSV the label, or for recordings the "
                         "table of labels (label_from)",
                         clrnn_dataset_info(dataset)->name);
    }
    clrnn_dataset_close(&dataset);
    return st;
}

void clrnn_eval_finish(struct clrnn_eval_result *result)
{
    if (!result)
        return;

    free(result->confusion);
    free(result->per_class);
    free(result->per_output);
    result->confusion = NULL;
    result->per_class = NULL;
    result->per_output = NULL;
}
