// SPDX-License-Identifier: MIT
// How good a model is on a data set: loss, accuracy, confusion matrix, figures of each class, regression.
#include "train/evaluate.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/words.h"
#include "clrnn/train.h"
#include "model/layer.h"

enum clrnn_status clrnn_open_for(struct clrnn_model *model, const struct clrnn_source *source,
                                 struct clrnn_dataset **dataset)
{
    const struct clrnn_dataset_info *info;
    const char *path = source->csv ? source->csv : source->x ? source->x : "synthetic data";

    TRY(clrnn_dataset_open(model->log, model->config, source, NULL, path, CLRNN_CHECK_ALL, dataset));
    info = clrnn_dataset_info(*dataset);
    if (info->C != model->shape.features || info->tokens != model->shape.tokens)
        clrnn_error(model->log, CLRNN_ERR_DATA, "%s: has %u features, but the model was trained on %u", path,
                    info->C, model->shape.features);
    else if (clrnn_model_check_normalization(model) == CLRNN_OK)
        return CLRNN_OK;
    clrnn_dataset_close(dataset);
    return CLRNN_ERR_DATA;
}

uint32_t clrnn_argmax(const float *x, uint32_t count)
{
    uint32_t best = 0;

    for (uint32_t k = 1; k < count; k++)
        if (x[k] > x[best] || (isnan(x[k]) && !isnan(x[best]))) // PyTorch takes NaN for the largest
            best = k;
    return best;
}

// ---------------------------------------------------------------- one pass over the data

struct score {
    double value;
    bool positive;
};

struct evaluation {
    struct clrnn_model *model;
    struct clrnn_dataset *dataset;
    struct clrnn_eval_result *result;
    uint32_t outputs, y_steps; // y_steps: targets a sample has
    double loss, weight;       // numerators and denominators
    double y_mean, absolute, squared, variation;
    struct score *score; // two classes: for the ROC curve
    size_t score_count;
    float *out, *targets;
    int32_t *classes;
};

static enum clrnn_status add_score(struct evaluation *e, double value, bool positive)
{
    if (!ARRAY_GROW(e->score, e->score_count))
        return clrnn_error_memory(e->model->log, 2 * e->score_count * sizeof(*e->score), "the ROC curve");
    e->score[e->score_count++] = (struct score){value, positive};
    return CLRNN_OK;
}

static enum clrnn_status count_row(struct evaluation *e, const float *x, uint32_t step)
{
    const struct clrnn_loss_config *loss = &e->model->config->train.loss;
    struct clrnn_eval_result *r = e->result;
    uint32_t truth, guess;

    if (clrnn_loss_is_regression(loss->kind)) {
        const double y = e->targets[step], error = x[0] - y;

        e->absolute += fabs(error);
        e->squared += error * error;
        e->variation += (y - e->y_mean) * (y - e->y_mean);
        r->counted++;
        return CLRNN_OK;
    }
    if (loss->kind != CLRNN_LOSS_BCE_WITH_LOGITS && e->classes[step] == loss->ignore_index)
        return CLRNN_OK;
    truth = (uint32_t)e->classes[step];
    if (truth >= r->classes) // it was checked when the set was opened
        return clrnn_error(e->model->log, CLRNN_ERR_DATA, "%s: the labels changed while they were read",
                           clrnn_dataset_info(e->dataset)->name);
    guess = loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS ? x[0] > 0.0f : clrnn_argmax(x, e->outputs);
    r->counted++;
    r->confusion[(size_t)truth * r->classes + guess]++;
    if (r->classes != 2)
        return CLRNN_OK;
    return add_score(e, loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS ? x[0] : (double)x[1] - x[0], truth == 1);
}

static enum clrnn_status count_batch(struct evaluation *e, const struct clrnn_session *s)
{
    const uint32_t steps = s->plan->output_steps;

    TRY(clrnn_plan_read_output(s->plan, e->out));
    for (uint32_t n = 0; n < s->samples; n++) {
        const uint32_t sample = clrnn_feed_samples(s->feed)[n];
        const uint32_t length = e->model->per_step ? clrnn_dataset_length(e->dataset, sample) : 1;

        if (e->classes)
            clrnn_dataset_classes(e->dataset, sample, e->classes);
        else
            clrnn_dataset_targets(e->dataset, sample, e->targets);
        for (uint32_t t = 0; t < MIN2(length, steps); t++)
            TRY(count_row(e, e->out + ((size_t)n * steps + t) * e->outputs, t));
    }
    return clrnn_dataset_whole(e->dataset);
}

static void find_y_mean(struct evaluation *e)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(e->dataset);
    double sum = 0.0, count = 0.0;

    for (uint32_t s = 0; s < info->S && e->targets; s++) {
        const uint32_t length = info->y_steps ? clrnn_dataset_length(e->dataset, s) : 1;

        clrnn_dataset_targets(e->dataset, s, e->targets);
        for (uint32_t t = 0; t < length; t++)
            sum += e->targets[t];
        count += length;
    }
    e->y_mean = count > 0.0 ? sum / count : 0.0;
}

// ---------------------------------------------------------------- figures

static int by_value(const void *a, const void *b)
{
    const double x = ((const struct score *)a)->value, y = ((const struct score *)b)->value;

    return (x > y) - (x < y);
}

// Mann-Whitney: the share of (positive, negative) pairs that the score puts in order, ties as halves.
static double roc_auc(struct evaluation *e)
{
    double positives = 0.0, negatives = 0.0, rank_sum = 0.0;

    for (size_t i = 0; i < e->score_count; i++)
        if (isnan(e->score[i].value))
            return NAN;
    if (e->score_count)
        qsort(e->score, e->score_count, sizeof(*e->score), by_value);
    for (size_t i = 0; i < e->score_count;) {
        size_t end = i;
        double ties = 0.0;

        for (; end < e->score_count && e->score[end].value <= e->score[i].value; end++)
            ties += e->score[end].positive;
        rank_sum += ties * ((double)i + 1.0 + (double)end) / 2.0; // their mean rank, from 1
        positives += ties;
        negatives += (double)(end - i) - ties;
        i = end;
    }
    return positives > 0.0 && negatives > 0.0
               ? (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives)
               : NAN;
}

static void fill_classes(struct clrnn_eval_result *r)
{
    uint64_t correct = 0;

    for (uint32_t k = 0; k < r->classes; k++) {
        struct clrnn_class_result *c = &r->per_class[k];
        const double hits = (double)r->confusion[(size_t)k * r->classes + k];
        double guessed = 0.0;

        for (uint32_t j = 0; j < r->classes; j++) {
            c->support += r->confusion[(size_t)k * r->classes + j];
            guessed += (double)r->confusion[(size_t)j * r->classes + k];
        }
        correct += r->confusion[(size_t)k * r->classes + k];
        c->precision = guessed > 0.0 ? hits / guessed : NAN;
        c->recall = c->support ? hits / (double)c->support : NAN;
        c->f1 = guessed + (double)c->support > 0.0 ? 2.0 * hits / (guessed + (double)c->support) : NAN;
    }
    r->accuracy = r->counted ? (double)correct / (double)r->counted : NAN;
}

static enum clrnn_status prepare(struct evaluation *e)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(e->dataset);
    const enum clrnn_loss_kind loss = e->model->config->train.loss.kind;
    const size_t batch = MIN2(MAX2(e->model->config->train.batch_size, 1u), info->S);
    const size_t steps = e->model->per_step ? info->T : 1;
    struct clrnn_eval_result *r = e->result;

    e->outputs = e->model->outputs;
    e->y_steps = (uint32_t)clrnn_dataset_y_count(e->dataset);
    e->out = malloc(batch * steps * e->outputs * sizeof(*e->out));
    if (clrnn_loss_is_regression(loss))
        e->targets = malloc(e->y_steps * sizeof(*e->targets));
    else
        e->classes = malloc(e->y_steps * sizeof(*e->classes));
    if (!clrnn_loss_is_regression(loss)) {
        r->classes = loss == CLRNN_LOSS_BCE_WITH_LOGITS ? 2 : e->outputs;
        r->confusion = calloc((size_t)r->classes * r->classes, sizeof(*r->confusion));
        r->per_class = calloc(r->classes, sizeof(*r->per_class));
    }
    if (!e->out || (!e->targets && !e->classes) || (r->classes && (!r->confusion || !r->per_class)))
        return clrnn_error_memory(e->model->log, batch * steps * e->outputs * sizeof(*e->out),
                                  "an evaluation");
    find_y_mean(e);
    return CLRNN_OK;
}

static enum clrnn_status run(struct evaluation *e)
{
    // one pass: staged, batch by batch
    const struct clrnn_session_params params = {
        .model = e->model, .set = e->dataset, .feed = {.resident_bytes = 1}};
    struct clrnn_eval_result *r = e->result;
    struct clrnn_session *s = NULL;
    enum clrnn_status st = prepare(e);

    if (st == CLRNN_OK)
        st = clrnn_session_open(e->model->device, &params, &s);
    while (st == CLRNN_OK) {
        struct clrnn_session_record record;

        st = clrnn_session_step(s, CLRNN_MODE_EVAL, &record);
        if (st != CLRNN_OK || !s->plan)
            break;
        e->loss += record.sum[RECORD_LOSS];
        e->weight += record.sum[RECORD_WEIGHT];
        st = count_batch(e, s);
    }
    clrnn_session_close(&s);
    if (st != CLRNN_OK)
        return st;
    r->samples = clrnn_dataset_info(e->dataset)->S;
    r->loss = clrnn_unsigned_nan(e->loss / e->weight);
    if (e->targets) {
        r->mae = e->absolute / (double)r->counted;
        r->rmse = sqrt(e->squared / (double)r->counted);
        r->r2 = e->variation > 0.0 ? 1.0 - e->squared / e->variation : NAN;
    } else {
        fill_classes(r);
        if (r->classes == 2)
            r->roc_auc = roc_auc(e);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_eval_set(struct clrnn_model *model, struct clrnn_dataset *dataset,
                                 struct clrnn_eval_result *result)
{
    struct evaluation e = {.model = model, .dataset = dataset, .result = result};
    enum clrnn_status st;

    *result = (struct clrnn_eval_result){
        .loss = NAN, .accuracy = NAN, .mae = NAN, .rmse = NAN, .r2 = NAN, .roc_auc = NAN};
    st = run(&e);
    free(e.score);
    free(e.out);
    free(e.targets);
    free(e.classes);
    if (st != CLRNN_OK)
        clrnn_eval_finish(result);
    return st;
}

enum clrnn_status clrnn_eval(struct clrnn_model *model, const struct clrnn_source *source,
                             struct clrnn_eval_result *result)
{
    NEED(NULL, model);
    NEED(model->log, source);
    NEED(model->log, result);

    struct clrnn_dataset *dataset = NULL;
    enum clrnn_status st;

    *result = (struct clrnn_eval_result){0};
    TRY(clrnn_open_for(model, source, &dataset));
    if (clrnn_dataset_info(dataset)->has_y)
        st = clrnn_eval_set(model, dataset, result);
    else
        st = clrnn_error(model->log, CLRNN_ERR_ARG,
                         "%s: has no targets to evaluate against: name y, or for CSV the "
                         "label",
                         clrnn_dataset_info(dataset)->name);
    clrnn_dataset_close(&dataset);
    return st;
}

void clrnn_eval_finish(struct clrnn_eval_result *result)
{
    if (!result)
        return;

    free(result->confusion);
    free(result->per_class);
    result->confusion = NULL;
    result->per_class = NULL;
}
