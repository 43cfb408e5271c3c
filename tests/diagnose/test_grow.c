// SPDX-License-Identifier: MIT
// Tests `clrnn grow`: which stages a config has and which layers each stage has, that the right part is blamed for a
// broken config, and that nothing is blamed for a healthy one.
#include <math.h>

#include "base/array.h"
#include "diagnose/grow/grow.h"
#include "tests/model/scratch.h"

// ---------------------------------------------------------------- the ladder

// Prints one line "name: layers" for each stage into text.
static void ladder_text(struct scratch *s, const struct clrnn_config *config, uint32_t outputs, const char *init,
                        char *text, size_t size)
{
    struct clrnn_ladder ladder;
    struct clrnn_config *variant;
    size_t used = 0;
    char *layers;

    assert_int_equal(clrnn_ladder_make(&s->log, config, outputs, init, &ladder), CLRNN_OK);
    assert_int_equal(clrnn_ladder_linear(&ladder, &variant), CLRNN_OK);
    layers = clrnn_layers_text(variant);
    used += (size_t)snprintf(text + used, size - used, "linear: %s\n", layers);
    free(layers);
    clrnn_config_destroy(&variant);
    for (size_t i = 0; i <= ladder.count; i++) {
        assert_int_equal(clrnn_ladder_variant(&ladder, i, &variant), CLRNN_OK);
        layers = clrnn_layers_text(variant);
        used += (size_t)snprintf(text + used, size - used, "%s: %s\n", i ? ladder.part[i - 1].name : "base", layers);
        free(layers);
        if (i == ladder.count && !init) { // the last stage must be the config itself, except for layer names
            char *a, *b;

            for (size_t k = 0; k < variant->layer_count; k++) {
                free(variant->layer[k].name);
                variant->layer[k].name = config->layer[k].name ? strdup(config->layer[k].name) : NULL;
            }
            a = clrnn_config_text(config);
            b = clrnn_config_text(variant);
            assert_string_equal(a, b);
            free(a);
            free(b);
        }
        clrnn_config_destroy(&variant);
    }
    clrnn_ladder_finish(&ladder);
}

static const struct ladder_case {
    const char *config, *ladder;
    uint32_t outputs;
    const char *init;
} ladder_cases[] = {
    {"model: {layers: [{rnn: {hidden_size: 64, num_layers: 2, bidirectional: true}}, batchnorm, "
     "{rnn: {hidden_size: 64, num_layers: 2}}, {dropout: {p: 0.5}}, {linear: {out_features: 2}}, "
     "softmax, round]}\n"
     "train: {loss: cross_entropy, optimizer: {adam: {lr: 1.0e-4}}, "
     "scheduler: {step_lr: {step_size: 30, gamma: 0.1, interval: batch}}}\n",
     "linear: linear 2\n"
     "base: rnn 64, linear 2\n"
     "+ 2 layers: rnn 64 x 2, linear 2\n"
     "+ bidirectional: birnn 64 x 2, linear 2\n"
     "+ batchnorm: birnn 64 x 2, batchnorm, linear 2\n"
     "+ rnn 64 x 2: birnn 64 x 2, batchnorm, rnn 64 x 2, linear 2\n"
     "+ dropout 0.5: birnn 64 x 2, batchnorm, rnn 64 x 2, dropout 0.5, linear 2\n"
     "+ softmax: birnn 64 x 2, batchnorm, rnn 64 x 2, dropout 0.5, linear 2, softmax\n"
     "+ round: birnn 64 x 2, batchnorm, rnn 64 x 2, dropout 0.5, linear 2, softmax, round\n"
     "+ adam, lr 0.0001: birnn 64 x 2, batchnorm, rnn 64 x 2, dropout 0.5, linear 2, softmax, round\n"
     "+ step_lr per batch: birnn 64 x 2, batchnorm, rnn 64 x 2, dropout 0.5, linear 2, softmax, round\n"
     "+ order of the file: birnn 64 x 2, batchnorm, rnn 64 x 2, dropout 0.5, linear 2, softmax, round\n",
     2, NULL},
    // The only recurrent layer that may be the base, an lstm, is inside a residual. The lstm must take the place of the
    // residual in all stages before the residual is added. A pool must take the place of the concat, whose branches end
    // in pools.
    {"model: {layers: [{conv1d: {out_channels: 8, kernel_size: 3}}, relu, {residual: {layers: [layernorm, "
     "{lstm: {hidden_size: 4, bidirectional: true}}]}}, {groupnorm: {num_groups: 2}}, {concat: {branches: "
     "[[{gru: {hidden_size: 3}}, {pool: {over: final}}], [{attention_pool: {attention_size: 2}}]]}}, "
     "{linear: {out_features: 2}}]}\n"
     "train: {loss: cross_entropy, shuffle: true, optimizer: {adam: {lr: 1.0e-3}}}\n",
     "linear: mean over time, linear 2\n"
     "base: lstm 4, last step, linear 2\n"
     "+ conv1d: conv1d, lstm 4, last step, linear 2\n"
     "+ relu: conv1d, relu, lstm 4, last step, linear 2\n"
     "+ residual at layers[2]: conv1d, relu, residual (layernorm, bilstm 4), last step, linear 2\n"
     "+ concat at layers[4]: conv1d, relu, residual (layernorm, bilstm 4), "
     "concat (gru 3, final state | attention_pool), linear 2\n"
     "+ groupnorm: conv1d, relu, residual (layernorm, bilstm 4), groupnorm, "
     "concat (gru 3, final state | attention_pool), linear 2\n",
     2, NULL},
    // with a label for each step, the conv1d sets the number of labels: it must be in every stage
    {"model: {layers: [{conv1d: {out_channels: 8, kernel_size: 3, stride: 2}}, {gru: {hidden_size: 4}}, "
     "{linear: {out_features: 2}}]}\n"
     "train: {loss: cross_entropy, shuffle: true, optimizer: {adam: {lr: 1.0e-3}}}\n",
     "linear: conv1d, linear 2\nbase: conv1d, gru 4, linear 2\n", 2, NULL},
    // No linear layer at the end, and weights from a file. In the stage in which a layernorm comes directly before the
    // pool, the pool must take the last step instead of the final state.
    {"model: {layers: [{embedding: {num_embeddings: 9, embedding_dim: 5}}, {gru: {hidden_size: 4}}, "
     "layernorm, {lstm: {hidden_size: 3, num_layers: 2, dropout: 0.2}}, {pool: {over: final}}]}\n"
     "train: {loss: cross_entropy, shuffle: true, optimizer: {adam: {lr: 1.0e-3}}}\n",
     "linear: embedding 5, mean over time, linear 3\n"
     "base: embedding 5, gru 4, final state, linear 3\n"
     "+ layernorm: embedding 5, gru 4, layernorm, last step, linear 3\n"
     "+ lstm 3 x 2: embedding 5, gru 4, layernorm, lstm 3 x 2, final state, linear 3\n"
     "+ dropout 0.2 in lstm: embedding 5, gru 4, layernorm, lstm 3 x 2, final state, linear 3\n"
     "- linear: embedding 5, gru 4, layernorm, lstm 3 x 2, final state\n"
     "+ weights of a.safetensors: embedding 5, gru 4, layernorm, lstm 3 x 2, final state\n",
     3, "some/where/a.safetensors"},
    // Each linear layer must be one part with its activation, and nll one part with its log_softmax. A small
    // clip_grad_norm must be part of the optimiser's stage.
    {"model: {layers: [{pool: {over: max}}, {linear: {out_features: 8}}, relu, {linear: {out_features: "
     "6}}, tanh, "
     "{linear: {out_features: 4}}, log_softmax]}\n"
     "train: {loss: nll, shuffle: true, clip_grad_norm: 1.0e-3, optimizer: {adam: {lr: 1.0e-3}}}\n",
     "linear: mean over time, linear 4\n"
     "base: max over time, linear 4\n"
     "+ linear 8, relu: max over time, linear 8, relu, linear 4\n"
     "+ linear 6, tanh: max over time, linear 8, relu, linear 6, tanh, linear 4\n"
     "+ log_softmax, nll: max over time, linear 8, relu, linear 6, tanh, linear 4, log_softmax\n"
     "+ adam, lr 0.001, clip 0.001: max over time, linear 8, relu, linear 6, tanh, linear 4, "
     "log_softmax\n",
     4, NULL},
};

static void ladders(struct scratch *s)
{
    char text[4096];

    for (size_t i = 0; i < ARRAY_SIZE(ladder_cases); i++) {
        struct clrnn_config *config = scratch_config(s, ladder_cases[i].config);

        ladder_text(s, config, ladder_cases[i].outputs, ladder_cases[i].init, text, sizeof(text));
        assert_string_equal(text, ladder_cases[i].ladder);
        clrnn_config_destroy(&config);
    }
}

// Stages before the optimiser's own stage must train with Adam and an lr of 1e-3, without scheduler, with shuffled
// rows, and without class weights and label smoothing.
static void base_training(struct scratch *s)
{
    struct clrnn_ladder ladder;
    struct clrnn_config *config, *variant;

    config =
        scratch_config(s, "model: {layers: [{gru: {hidden_size: 4}}, {linear: {out_features: 2}}]}\n"
                          "train: {loss: {cross_entropy: {weight: [1, 3], label_smoothing: 0.1, ignore_index: -7}}, "
                          "clip_grad_norm: 2.0, optimizer: {sgd: {lr: 9.0, momentum: 0.9}}, "
                          "scheduler: {exponential_lr: {gamma: 0.5}}}\n");
    assert_int_equal(clrnn_ladder_make(&s->log, config, 2, NULL, &ladder), CLRNN_OK);
    assert_int_equal(clrnn_ladder_variant(&ladder, 0, &variant), CLRNN_OK);
    assert_int_equal(variant->train.optimizer.kind, CLRNN_OPTIMIZER_ADAM);
    assert_true(variant->train.optimizer.lr == 1e-3 && variant->train.clip_grad_norm == 2);
    assert_int_equal(variant->train.scheduler.kind, CLRNN_SCHEDULER_NONE);
    assert_true(variant->train.shuffle && !variant->train.loss.weight && !variant->train.loss.label_smoothing);
    assert_int_equal(variant->train.loss.ignore_index, -7);
    clrnn_config_destroy(&variant);

    assert_string_equal(ladder.part[0].name, "+ label smoothing 0.1, class weights");
    assert_string_equal(ladder.part[1].name, "+ sgd, lr 9");
    ladder.part[1].off = true; // a part that is off must be left out of later stages
    assert_int_equal(clrnn_ladder_variant(&ladder, ladder.count, &variant), CLRNN_OK);
    assert_int_equal(variant->train.optimizer.kind, CLRNN_OPTIMIZER_ADAM);
    assert_int_equal(variant->train.scheduler.kind, CLRNN_SCHEDULER_EXPONENTIAL_LR);
    assert_int_equal(variant->train.loss.weight_count, 2);
    assert_false(variant->train.shuffle);
    assert_false(clrnn_ladder_lacks_weights(&ladder));
    clrnn_config_destroy(&variant);
    clrnn_ladder_finish(&ladder);
    clrnn_config_destroy(&config);
}

// ---------------------------------------------------------------- stage by stage

struct seen {
    size_t count;
    char names[1024];
};

static void watch(void *user, const struct clrnn_grow_stage *stage)
{
    struct seen *seen = user;
    const size_t used = strlen(seen->names);

    seen->count++;
    snprintf(seen->names + used, sizeof(seen->names) - used, "%s%s; ", stage->name, stage->breaks ? " BREAKS" : "");
}

static struct clrnn_grow_result grow(struct scratch *s, const char *layers, const char *train, struct seen *seen)
{
    struct clrnn_grow_params params = {.steps = 400, .train_steps = 60, .progress = watch, .progress_user = seen};
    struct clrnn_grow_result r;
    struct clrnn_config *config;
    char text[2048];

    snprintf(text, sizeof(text),
             "model: {layers: [%s]}\ntrain: {batch_size: 16, seed: 1, shuffle: true, %s}\n"
             "data: {train: {x: X_train.npy, y: y_train.npy}, valid: {x: X_valid.npy, y: y_valid.npy}}\n",
             layers, train);
    *seen = (struct seen){0};
    config = scratch_config(s, text);
    if (clrnn_grow(s->device, config, &params, &r) != CLRNN_OK)
        fail_msg("[%s] {%s}: %s", layers, train, s->error);
    assert_int_equal(seen->count, r.count);
    print_message("# %s\n# %s\n", seen->names, r.cause ? r.cause : "-");
    clrnn_config_destroy(&config);
    return r;
}

static void make_data(struct scratch *s)
{
    scratch_problem(s, "train", 96, 3, 6, 2, false, 3);
    scratch_problem(s, "valid", 48, 3, 6, 2, false, 4);
}

#define HEALTHY "{gru: {hidden_size: 12, bidirectional: true}}, {pool: {over: mean}}, {linear: {out_features: 2}}"

static void healthy(struct scratch *s)
{
    struct seen seen;
    struct clrnn_grow_result r;

    make_data(s);
    r = grow(s, HEALTHY, "loss: cross_entropy, optimizer: {adam: {lr: 0.005}}", &seen);
    assert_int_equal(r.first_broken, -1);
    assert_null(r.cause);
    assert_string_equal(seen.names, "linear alone; gru + linear; + bidirectional; + adam, lr 0.005; ");
    for (size_t i = 1; i < r.count; i++) {
        assert_true(r.stage[i].learns && !r.stage[i].breaks);
        assert_true(r.stage[i].train_accuracy > 0.6 && isfinite(r.stage[i].valid_loss));
    }
    clrnn_grow_finish(&r);
    clrnn_grow_finish(&r);
}

// Softmax, round and a scheduler stepped per batch: each is a stage of its own, and each must be found although the
// config has the other faults as well. Then an lr that is too small.
static void broken(struct scratch *s)
{
    struct seen seen;
    struct clrnn_grow_result r;

    make_data(s);
    r = grow(s, HEALTHY ", softmax, round",
             "loss: cross_entropy, optimizer: {adam: {lr: 0.002}}, "
             "scheduler: {exponential_lr: {gamma: 0.7, interval: batch}}",
             &seen);
    assert_string_equal(seen.names, "linear alone; gru + linear; + bidirectional; + softmax BREAKS; + round BREAKS; "
                                    "+ adam, lr 0.002; + exponential_lr per batch BREAKS; the config itself; ");
    assert_int_equal(r.first_broken, 3);
    assert_non_null(strstr(r.cause, "'+ softmax' breaks learning: the loss cannot fall under 0.3133"));
    assert_non_null(strstr(r.cause, "'+ round': the gradient is exactly 0"));
    assert_non_null(strstr(r.cause, "'+ exponential_lr per batch'"));
    assert_true(r.stage[5].learns); // the stage "+ adam, lr 0.002", without softmax and round
    assert_false(r.stage[r.count - 1].learns);
    clrnn_grow_finish(&r);

    r = grow(s, HEALTHY, "loss: cross_entropy, optimizer: {adam: {lr: 1.0e-9}}", &seen);
    assert_int_equal(r.first_broken, 3);
    assert_string_equal(r.stage[3].name, "+ adam, lr 1e-09");
    clrnn_grow_finish(&r);
}

// A batchnorm whose running statistics hardly change, on data that a linear model cannot learn: no stage before is
// better than a constant answer, and the config itself is far worse. grow must not say that nothing breaks.
static void worse_than_constant(struct scratch *s)
{
    const struct clrnn_random random = {5, RANDOM_PROBE, 0, 0};
    struct seen seen;
    struct clrnn_grow_result r;
    float x[96 * 2];
    int64_t y[96];

    for (size_t n = 0; n < ARRAY_SIZE(y); n++) {
        for (size_t c = 0; c < 2; c++)
            x[2 * n + c] = 10 + 3 * (float)clrnn_random_normal(&random, 2 * n + c);
        y[n] = (x[2 * n] > 10) != (x[2 * n + 1] > 10);
    }
    for (int part = 0; part < 2; part++) {
        scratch_f32(s, part ? "X_train.npy" : "X_valid.npy", x, 96, 2, 0);
        scratch_i64(s, part ? "y_train.npy" : "y_valid.npy", y, 96, 0);
    }
    r = grow(s,
             "{linear: {out_features: 16}}, {batchnorm: {momentum: 1.0e-5}}, relu, {pool: {over: last}}, "
             "{linear: {out_features: 2}}",
             "loss: cross_entropy, optimizer: {adam: {lr: 0.01}}", &seen);
    assert_true(r.first_broken >= 0);
    assert_non_null(r.cause);
    assert_false(r.stage[r.count - 1].learns);
    clrnn_grow_finish(&r);
}

// A batchnorm over one sample cannot be run in train mode. clrnn_grow must report this as the result of the stage and
// return no error.
static void cannot_run(struct scratch *s)
{
    struct seen seen;
    struct clrnn_grow_result r;

    scratch_problem(s, "train", 97, 1, 6, 2, false, 3); // 97 = 6 * 16 + 1
    scratch_problem(s, "valid", 48, 1, 6, 2, false, 4);
    r = grow(s, "{pool: {over: last}}, {linear: {out_features: 8}}, batchnorm, relu, {linear: {out_features: 2}}",
             "loss: cross_entropy, optimizer: {adam: {lr: 0.01}}", &seen);
    assert_true(r.first_broken > 0);
    assert_string_equal(r.stage[r.first_broken].name, "+ batchnorm");
    assert_non_null(strstr(r.cause, "cannot be run"));
    clrnn_grow_finish(&r);
}

// Constant inputs, to which the labels are unrelated: no stage can learn, and no part must be blamed.
static void nothing_learns(struct scratch *s)
{
    struct seen seen;
    struct clrnn_grow_result r;
    float x[64 * 2] = {0};
    int64_t y[64];

    for (size_t n = 0; n < ARRAY_SIZE(y); n++)
        y[n] = n % 2;
    for (int part = 0; part < 2; part++) {
        scratch_f32(s, part ? "X_train.npy" : "X_valid.npy", x, 64, 2, 0);
        scratch_i64(s, part ? "y_train.npy" : "y_valid.npy", y, 64, 0);
    }
    r = grow(s, "{rnn: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 2}}",
             "loss: cross_entropy, optimizer: {adam: {lr: 0.001}}", &seen);
    assert_int_equal(r.first_broken, 0);
    assert_non_null(strstr(r.cause, "No stage learns"));
    clrnn_grow_finish(&r);
}

static void stops(struct scratch *s)
{
    volatile sig_atomic_t stop = 1;
    const struct clrnn_grow_params params = {.stop = &stop};
    struct clrnn_grow_result r;
    struct clrnn_config *config;

    make_data(s);
    config = scratch_config(s, "model: {layers: [" HEALTHY "]}\ntrain: {loss: cross_entropy}\n"
                               "data: {train: {x: X_train.npy, y: y_train.npy}}\n");
    assert_int_equal(clrnn_grow(s->device, config, &params, &r), CLRNN_INTERRUPTED);
    assert_null(r.stage);
    clrnn_config_destroy(&config);
}

// ---------------------------------------------------------------- judging stages by made-up outcomes

static const struct clrnn_stage_outcome well = {
    .ran = true,
    .overfit = {.reached = true, .first_loss = 0.7, .lowest_loss = 0.005, .last_loss = 0.005},
    .skill = 0.9,
    .loss_ratio = 0.2,
    .travel = 0.3,
    .optimizer = CLRNN_OPTIMIZER_ADAM,
    .finite = true,
};

static bool learns(struct clrnn_stage_outcome o, const struct clrnn_stage_outcome *below, enum clrnn_part_kind kind)
{
    const struct clrnn_grow grow = {.constant = 0.5};
    const struct clrnn_part part = {.kind = kind};

    return clrnn_stage_learns(&grow, &o, below, &part);
}

// Judges stages by the overfitting of one batch. A stage must count as learning if its loss reached the target or is
// still falling. If the stage adds dropout, a low loss is enough. A stage whose layers keep the loss above the target
// must not count as learning.
static void judged_by_heart(void **state)
{
    struct clrnn_stage_outcome o = well;

    (void)state;
    assert_true(learns(o, &well, CLRNN_PART_NORM));
    o.overfit.reached = false;
    o.overfit.lowest_loss = o.overfit.last_loss = 0.6;
    assert_false(learns(o, &well, CLRNN_PART_NORM));
    o.overfit.falling = true;
    assert_true(learns(o, &well, CLRNN_PART_NORM));
    o.overfit.cannot = true;
    assert_false(learns(o, &well, CLRNN_PART_NORM));
    o = well;
    o.overfit.reached = false;
    o.overfit.lowest_loss = 0.1; // a seventh of the first loss: low enough only for a dropout part
    assert_false(learns(o, &well, CLRNN_PART_NORM));
    assert_true(learns(o, &well, CLRNN_PART_DROPOUT));
    o.overfit.last_loss = NAN;
    assert_false(learns(o, &well, CLRNN_PART_DROPOUT));
}

// Judges stages by the short training. A stage must keep a part of the skill of the stage before: a smaller part with a
// smaller lr, a larger part with a larger lr. Skill must not be judged if the weights hardly change.
static void judged_by_training(void **state)
{
    struct clrnn_stage_outcome o = well, poor;

    (void)state;
    o.skill = 0.3;
    assert_false(learns(o, &well, CLRNN_PART_NORM));
    assert_true(learns(o, NULL, CLRNN_PART_NORM));
    o.travel = 0.1;
    assert_true(learns(o, &well, CLRNN_PART_OPTIMIZER));
    o.skill = 0.6;
    o.travel = 3;
    assert_false(learns(o, &well, CLRNN_PART_OPTIMIZER));
    o.skill = 0;
    o.travel = 1e-3;
    assert_true(learns(o, &well, CLRNN_PART_OPTIMIZER));
    o = well;
    o.loss_ratio = 1.5; // worse than a constant answer, while the stage before was far better
    assert_false(learns(o, &well, CLRNN_PART_NORM));
    poor = well;
    poor.skill = 0;
    poor.loss_ratio = 1.2; // no better than a constant answer: skill cannot be lost
    o = poor;
    o.loss_ratio = 3;
    assert_true(learns(o, &poor, CLRNN_PART_NORM));
    o.loss_ratio = 4;
    assert_false(learns(o, &poor, CLRNN_PART_NORM));
    assert_true(learns(o, NULL, CLRNN_PART_NORM));
    o.travel = 0.1; // slow, from a bad start
    o.loss_rise = 0.8;
    assert_true(learns(o, &poor, CLRNN_PART_OPTIMIZER));
    o.loss_rise = 2;
    assert_false(learns(o, &poor, CLRNN_PART_OPTIMIZER));
    o = well;
    o.finite = false;
    assert_false(learns(o, NULL, CLRNN_PART_NORM));
    o = well;
    o.skill = 0.3;
    o.skill_error = 0.4; // with few samples the lower skill may be chance
    assert_true(learns(o, &well, CLRNN_PART_NORM));
}

// If no part was found to break learning, but training makes the config worse than a constant answer and than it was,
// the config does not learn.
static void judged_as_a_whole(void **state)
{
    for (int worse = 0; worse < 2; worse++) {
        struct clrnn_grow_stage stages[2] = {{.learns = true, .train_accuracy = NAN},
                                             {.learns = true, .train_accuracy = NAN}};
        struct clrnn_stage_outcome outcomes[] = {well, well};
        struct clrnn_grow_result r = {.count = 2, .stage = stages};
        struct clrnn_grow c = {.result = &r, .outcome = outcomes, .ladder = {.recurrent = -1}};

        (void)state;
        outcomes[0].far = outcomes[1].ran = outcomes[1].by_heart = outcomes[1].by_training = true;
        if (worse) {
            outcomes[1].skill = -1;
            outcomes[1].loss_ratio = outcomes[1].loss_rise = 2;
        }
        assert_int_equal(clrnn_grow_find_cause(&c), CLRNN_OK);
        assert_int_equal(r.first_broken, worse ? 0 : -1);
        assert_true(worse ? strstr(r.cause, "No single part breaks learning") != NULL : !r.cause);
        assert_int_equal(stages[1].learns, !worse);
        free(r.cause);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judged_by_heart),
        cmocka_unit_test(judged_by_training),
        SCRATCH_TEST(ladders, ""),
        SCRATCH_TEST(base_training, ""),
        SCRATCH_TEST(healthy, NULL),
        SCRATCH_TEST(broken, NULL),
        SCRATCH_TEST(cannot_run, NULL),
        SCRATCH_TEST(nothing_learns, NULL),
        SCRATCH_TEST(stops, NULL),
        cmocka_unit_test(judged_as_a_whole),
        SCRATCH_TEST(worse_than_constant, "ref"),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
