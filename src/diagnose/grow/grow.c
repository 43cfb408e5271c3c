// SPDX-License-Identifier: MIT
// Trains a linear model, then a base model, and adds the config's parts one by one, to find the part that breaks
// learning (grow.h).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/words.h"
#include "diagnose/grow/grow.h"
#include "model/layer.h"
#include "diagnose/constant.h"
#include "diagnose/fit.h"

#define DEFAULT_STEPS 500u
#define DEFAULT_TRAIN_STEPS 300u
#define OVERFIT_SECONDS 12.0 // time limit of a stage to overfit one batch, for large models
#define TRAIN_SECONDS 6.0    // time limit of the short training of a stage
#define LOOK_SAMPLES 1024u   // maximum number of samples of each set to evaluate after the short training

static bool stopped(const struct clrnn_grow *c)
{
    return c->params->stop && *c->params->stop;
}

// ---------------------------------------------------------------- data

// Sets *counts [c->classes] to the number of samples of each class, and *occur to the number of classes that occur. The
// caller frees *counts.
static enum clrnn_status count_classes(const struct clrnn_grow *c, const struct clrnn_dataset *set, uint64_t **counts,
                                       uint32_t *occur)
{
    *occur = 0;
    *counts = calloc(c->classes, sizeof(**counts));
    if (!*counts)
        return clrnn_error_memory(c->log, c->classes * sizeof(**counts), "class counts");
    if (clrnn_dataset_info(set)->classes)
        TRY(clrnn_dataset_class_counts(set, *counts));
    for (uint32_t k = 0; k < c->classes; k++)
        *occur += (*counts)[k] > 0;
    return CLRNN_OK;
}

static void find_constant(struct clrnn_grow *c)
{
    uint64_t total = 0, most = 0;

    for (uint32_t k = 0; k < c->classes; k++) {
        total += c->counts[k];
        most = MAX2(most, c->counts[k]);
    }
    c->constant = total ? (double)most / (double)total : 0.0;
}

// Sets c->batch to the first training batch, as `clrnn overfit` does. If that batch has one class, the set has several,
// and training does not shuffle, takes a batch of shuffled samples instead.
static enum clrnn_status take_batch(struct clrnn_grow *c)
{
    uint32_t in_batch, in_all;
    uint64_t *counts;
    enum clrnn_status st;

    c->classes = MAX2(clrnn_dataset_info(c->look_train)->classes, 2u);
    TRY(count_classes(c, c->look_train, &c->counts, &in_all));
    c->class_weights = calloc(c->classes, sizeof(*c->class_weights));
    if (!c->class_weights)
        return clrnn_error_memory(c->log, c->classes * sizeof(*c->class_weights), "class weights");
    if (!clrnn_loss_is_regression(c->config->train.loss.kind) && c->config->train.loss.kind != CLRNN_LOSS_CTC)
        TRY(clrnn_class_weights(c->log, &c->config->train.loss, c->look_train, c->classes, c->class_weights));
    find_constant(c);
    TRY(clrnn_data_sets_first_batch(c->log, c->config, &c->data, 0, &c->batch));
    st = count_classes(c, c->batch, &counts, &in_batch);
    free(counts);
    TRY(st);
    if (in_batch == 1 && in_all > 1 && !c->config->train.shuffle) {
        struct clrnn_config *shuffled;

        TRY(clrnn_config_copy(c->log, c->config, &shuffled));
        shuffled->train.shuffle = true;
        clrnn_dataset_close(&c->batch);
        st = clrnn_data_sets_first_batch(c->log, shuffled, &c->data, 0, &c->batch);
        clrnn_config_destroy(&shuffled);
        return st;
    }
    return CLRNN_OK;
}

static enum clrnn_status prepare(struct clrnn_grow *c)
{
    const enum clrnn_loss_kind loss = c->config->train.loss.kind;
    double other; // the loss of another answer, which is not needed
    uint32_t outputs;

    TRY(clrnn_data_sets_fit(c->log, c->config, &c->data, &outputs));
    TRY(clrnn_ladder_make(c->log, c->config, outputs, c->params->init, &c->ladder));
    TRY(clrnn_dataset_spread(c->log, c->data.train, LOOK_SAMPLES, "train", &c->look_train));
    if (c->data.valid)
        TRY(clrnn_dataset_spread(c->log, c->data.valid, LOOK_SAMPLES, "valid", &c->look_valid));
    if (clrnn_loss_is_regression(loss)) {
        TRY(clrnn_target_baseline(c->log, &c->config->train.loss, c->look_train, &c->constant_loss, &other));
        TRY(clrnn_target_baseline(c->log, &(struct clrnn_loss_config){.kind = CLRNN_LOSS_MSE}, c->look_train,
                                  &c->spread, &other));
    }
    if (loss == CLRNN_LOSS_CTC)
        TRY(clrnn_ctc_constant_loss(c->log, c->config, c->look_train, outputs, &c->constant_loss, &other));
    return take_batch(c);
}

// ---------------------------------------------------------------- one stage

static double skill_of(const struct clrnn_grow *c, const struct clrnn_session_record *r, double *error)
{
    const double count = clrnn_dataset_info(c->look_train)->S;
    const enum clrnn_loss_kind kind = c->config->train.loss.kind;

    *error = 0.0;
    if (kind == CLRNN_LOSS_CTC) // judged by the loss, since whole sequences become correct only late
        return c->constant_loss > 0.0 ? 1.0 - r->loss / c->constant_loss : 0.0;
    if (kind == CLRNN_LOSS_MSE)
        return c->spread > 0.0 ? 1.0 - r->loss / c->spread : 0.0;
    if (clrnn_loss_is_regression(kind)) {
        const double mean_error = r->sum[RECORD_ABS] / r->sum[RECORD_COUNT];

        return c->spread > 0.0 ? 1.0 - mean_error * mean_error / c->spread : 0.0;
    }
    *error = c->constant < 1.0 ? sqrt(0.25 / count) / (1.0 - c->constant) : 1.0;
    return c->constant < 1.0 ? (r->accuracy - c->constant) / (1.0 - c->constant) : 0.0;
}

static enum clrnn_status train(struct clrnn_grow *c, struct clrnn_session *s, struct clrnn_grow_stage *stage,
                               uint32_t steps, struct clrnn_stage_outcome *o)
{
    const double started = clrnn_clock();
    struct clrnn_session_record r;

    o->finite = true;
    o->travel = 0.0;
    for (uint32_t i = 0; i < steps && o->finite && clrnn_clock() - started < TRAIN_SECONDS; i++) {
        if (stopped(c))
            return CLRNN_INTERRUPTED;
        TRY(clrnn_session_step(s, CLRNN_MODE_TRAIN, &r));
        o->travel += r.lr;
        o->finite = isfinite(r.loss) && isfinite(r.grad_norm);
    }
    TRY(clrnn_session_evaluate(s, c->look_train, c->params->stop, &r));
    stage->train_loss = r.loss;
    stage->train_accuracy = r.accuracy;
    o->skill = skill_of(c, &r, &o->skill_error);
    o->loss_ratio = r.loss / (isnan(c->constant_loss)
                                  ? clrnn_constant_loss(s->config, c->classes, c->counts, c->class_weights, c->spread)
                                  : c->constant_loss);
    o->loss_rise = r.loss / o->overfit.first_loss;
    o->optimizer = s->config->train.optimizer.kind;
    o->finite = o->finite && isfinite(r.loss);
    if (c->look_valid) {
        TRY(clrnn_session_evaluate(s, c->look_valid, c->params->stop, &r));
        stage->valid_loss = r.loss;
        stage->valid_accuracy = r.accuracy;
    }
    return stopped(c) ? CLRNN_INTERRUPTED : CLRNN_OK;
}

// Runs the short training of a stage. If the stage learns one batch by heart, but does not learn in this training,
// continues for twice as many steps and then judges again, since the loss may first stay on a plateau.
static enum clrnn_status train_and_judge(struct clrnn_grow *c, const struct clrnn_config *variant, const char *init,
                                         const struct clrnn_stage_outcome *below, const struct clrnn_part *part,
                                         struct clrnn_grow_stage *stage, struct clrnn_stage_outcome *o)
{
    const uint32_t steps = c->params->train_steps ? c->params->train_steps : DEFAULT_TRAIN_STEPS;
    struct clrnn_session *session;
    enum clrnn_status st;
    double travel;

    TRY(clrnn_session_open_training(c->device, variant, init, &c->data, &session));
    st = train(c, session, stage, steps, o);
    travel = o->travel;
    if (st == CLRNN_OK)
        stage->learns = clrnn_stage_learns(c, o, below, part);
    if (st == CLRNN_OK && o->by_heart && o->finite && !o->by_training) {
        st = train(c, session, stage, 2 * steps, o);
        o->travel = travel;
        stage->learns = st == CLRNN_OK && clrnn_stage_learns(c, o, below, part);
    }
    clrnn_session_close(&session);
    o->ran = st == CLRNN_OK;
    return st;
}

static enum clrnn_status try_out(struct clrnn_grow *c, const struct clrnn_config *variant, const char *init,
                                 const struct clrnn_stage_outcome *below, const struct clrnn_part *part,
                                 struct clrnn_grow_stage *stage, struct clrnn_stage_outcome *o)
{
    const struct clrnn_overfit_task task = {
        .config = variant,
        .data = &c->data,
        .batch = c->batch,
        .init = init,
        .steps = c->params->steps ? c->params->steps : DEFAULT_STEPS,
        .seconds = OVERFIT_SECONDS,
        .stop = c->params->stop,
    };
    const enum clrnn_status st = clrnn_overfit_batch(c->device, &task, &o->overfit);

    free(o->overfit.curve);
    o->overfit.curve = NULL;
    stage->overfits = o->overfit.reached;
    stage->overfit_steps = o->overfit.steps;
    stage->overfit_loss = o->overfit.lowest_loss;
    return st == CLRNN_OK ? train_and_judge(c, variant, init, below, part, stage, o) : st;
}

// ---------------------------------------------------------------- stage by stage

static enum clrnn_status new_stage(struct clrnn_grow *c, const char *name, const struct clrnn_config *variant,
                                   struct clrnn_grow_stage **stage, struct clrnn_stage_outcome **outcome)
{
    struct clrnn_grow_result *g = c->result;

    if (!ARRAY_GROW(g->stage, g->count) || !ARRAY_GROW(c->outcome, g->count))
        return clrnn_error_memory(c->log, 2 * g->count * sizeof(*g->stage), "the ladder");
    c->outcome[g->count] = (struct clrnn_stage_outcome){0};
    g->stage[g->count] = (struct clrnn_grow_stage){
        .name = clrnn_format("%s", name),
        .description = clrnn_layers_text(variant),
        .overfit_loss = NAN,
        .train_loss = NAN,
        .valid_loss = NAN,
        .train_accuracy = NAN,
        .valid_accuracy = NAN,
    };
    *stage = &g->stage[g->count];
    *outcome = &c->outcome[g->count];
    g->count++;
    return (*stage)->name && (*stage)->description ? CLRNN_OK : clrnn_error_memory(c->log, 0, "the ladder");
}

// Runs a stage. If the config cannot be run, logs the error and returns CLRNN_OK: the stage then does not learn.
static enum clrnn_status try_stage(struct clrnn_grow *c, const char *name, const struct clrnn_config *variant,
                                   const char *init, const struct clrnn_part *part)
{
    const struct clrnn_stage_outcome *below;
    struct clrnn_grow_stage *stage = NULL;
    struct clrnn_stage_outcome *o = NULL;
    enum clrnn_status st;

    TRY(new_stage(c, name, variant, &stage, &o));
    below = c->below >= 0 && c->result->stage[c->below].learns ? &c->outcome[c->below] : NULL;
    st = try_out(c, variant, init, below, part, stage, o);
    if (st != CLRNN_OK && st != CLRNN_ERR_CONFIG)
        return st;
    stage->breaks = part && below && !stage->learns;
    if (!stage->breaks)
        c->below = (int)c->result->count - 1;
    if (c->params->progress)
        c->params->progress(c->params->progress_user, stage);
    return CLRNN_OK;
}

// Runs the stage of the base with the first `parts` parts.
static enum clrnn_status try_parts(struct clrnn_grow *c, size_t parts, const char *name, const char *init)
{
    const struct clrnn_part *part = parts ? &c->ladder.part[parts - 1] : NULL;
    struct clrnn_config *variant;
    enum clrnn_status st;

    TRY(clrnn_ladder_variant(&c->ladder, parts, &variant));
    st = try_stage(c, name, variant, init, part);
    clrnn_config_destroy(&variant);
    return st;
}

static enum clrnn_status try_base(struct clrnn_grow *c)
{
    const long recurrent = c->ladder.recurrent;
    struct clrnn_config *linear;
    enum clrnn_status st;
    char name[64];

    TRY(clrnn_ladder_linear(&c->ladder, &linear));
    st = try_stage(c, "linear alone", linear, NULL, NULL);
    clrnn_config_destroy(&linear);
    TRY(st);
    if (recurrent < 0)
        return CLRNN_OK;
    c->below = -1; // does not compare the base with the linear model, which may rightly do better or worse
    snprintf(name, sizeof(name), "%s + linear", clrnn_layer_word(c->config->layer[recurrent].kind));
    return try_parts(c, 0, name, NULL);
}

// Sets *fit to whether the first `parts` parts make a config whose layers fit each other. A residual or groupnorm may
// not fit if an earlier part is left out.
static enum clrnn_status parts_fit(const struct clrnn_grow *c, size_t parts, bool *fit)
{
    const struct clrnn_log silent = {0};
    struct clrnn_config *variant;
    enum clrnn_status st;
    uint32_t outputs;

    TRY(clrnn_ladder_variant(&c->ladder, parts, &variant));
    st = clrnn_layers_fit(&silent, variant, c->data.train, &outputs);
    clrnn_config_destroy(&variant);
    *fit = st == CLRNN_OK;
    return st == CLRNN_ERR_MEMORY ? clrnn_error_memory(c->log, 0, "the ladder") : CLRNN_OK;
}

static enum clrnn_status try_all(struct clrnn_grow *c)
{
    struct clrnn_ladder *l = &c->ladder;
    bool off = false, with_init = false;

    TRY(try_base(c));
    for (size_t i = 0; i < l->count; i++) {
        const struct clrnn_grow_stage *stage;
        bool fit = true;

        if (off)
            TRY(parts_fit(c, i + 1, &fit));
        if (!fit) {
            l->part[i].off = true;
            continue;
        }
        if (l->part[i].kind == CLRNN_PART_INIT && clrnn_ladder_lacks_weights(l))
            continue;
        with_init = l->part[i].kind == CLRNN_PART_INIT;
        TRY(try_parts(c, i + 1, l->part[i].name, with_init ? c->params->init : NULL));
        stage = &c->result->stage[c->result->count - 1];
        l->part[i].off = stage->breaks;
        off |= stage->breaks;
    }
    if (!off && (with_init || !c->params->init))
        return CLRNN_OK; // the last stage was the config itself
    return try_stage(c, "the config itself", c->config, c->params->init, NULL);
}

// ---------------------------------------------------------------- the public function

enum clrnn_status clrnn_grow(struct clrnn_device *device, const struct clrnn_config *config,
                             const struct clrnn_grow_params *params, struct clrnn_grow_result *result)
{
    CLRNN_C_LOCALE;
    NEED(clrnn_device_log(device), device);
    NEED(clrnn_device_log(device), config);
    NEED(clrnn_device_log(device), params);
    NEED(clrnn_device_log(device), result);

    struct clrnn_grow c = {
        .device = device,
        .log = clrnn_device_log(device),
        .config = config,
        .params = params,
        .result = result,
        .below = -1,
        .constant_loss = NAN,
    };
    enum clrnn_status st;

    *result = (struct clrnn_grow_result){.first_broken = -1};
    st = prepare(&c);
    if (st == CLRNN_OK)
        st = try_all(&c);
    if (st == CLRNN_OK)
        st = clrnn_grow_find_cause(&c);
    free(c.outcome);
    free(c.counts);
    free(c.class_weights);
    clrnn_ladder_finish(&c.ladder);
    clrnn_dataset_close(&c.batch);
    clrnn_dataset_close(&c.look_train);
    clrnn_dataset_close(&c.look_valid);
    clrnn_data_sets_close(&c.data);
    if (st != CLRNN_OK)
        clrnn_grow_finish(result);
    return st;
}

void clrnn_grow_finish(struct clrnn_grow_result *result)
{
    if (!result)
        return;

    for (size_t i = 0; i < result->count; i++) {
        free(result->stage[i].name);
        free(result->stage[i].description);
    }
    free(result->stage);
    free(result->cause);
    *result = (struct clrnn_grow_result){.first_broken = -1};
}
