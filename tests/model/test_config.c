// SPDX-License-Identifier: MIT
// Configs: defaults as in PyTorch, errors with their position, and written configs that read back the same.
#include <dirent.h>
#include <unistd.h>

#include "base/array.h"
#include "base/words.h"
#include "model/options.h"
#include "tests/folder.h"

#define LAYERS "model: {layers: [lstm: {hidden_size: 3}, pool: {over: last}, linear: {out_features: 2}]}\n"
#define ONE "model: {layers: [linear: {out_features: 1}]}\n"

static struct test_log kept = {.log = {.fn = test_log_fn, .user = &kept, .level = CLRNN_LOG_WARNING}};

static struct clrnn_config *parse(const char *text)
{
    struct clrnn_config *config;

    if (clrnn_config_parse(&kept.log, text, NULL, &config) != CLRNN_OK)
        fail_msg("%s\nis refused: %s", text, kept.text);
    return config;
}

static void test_defaults(void **state)
{
    struct clrnn_config *c = parse("model:\n"
                                   "  layers:\n"
                                   "  - embedding: {num_embeddings: 9, embedding_dim: 4}\n"
                                   "  - rnn: {hidden_size: 5}\n"
                                   "  - batchnorm\n"
                                   "  - layernorm: {}\n"
                                   "  - dropout:\n"
                                   "  - pool\n"
                                   "  - linear: {out_features: 2}\n");
    const struct clrnn_layer *l = c->layer;

    (void)state;
    assert_int_equal(c->layer_count, 7);
    assert_true(l[0].kind == CLRNN_LAYER_EMBEDDING && l[0].padding_idx == -1 && l[0].line == 3);
    assert_true(l[1].num_layers == 1 && !l[1].bidirectional && l[1].bias && !l[1].relu && l[1].dropout == 0);
    assert_true(l[2].eps == 1e-5 && l[2].momentum == 0.1 && !l[2].cumulative && l[2].affine &&
                l[2].track_running_stats && l[2].line == 5);
    assert_true(l[3].eps == 1e-5 && l[3].affine);
    assert_true(l[4].p == 0.5);
    assert_true(l[5].over == CLRNN_POOL_LAST);
    assert_true(l[6].bias && !l[6].name);

    assert_true(c->train.loss.kind == CLRNN_LOSS_CROSS_ENTROPY && c->train.loss.ignore_index == -100 &&
                c->train.loss.label_smoothing == 0 && !c->train.loss.weight);
    assert_true(c->train.optimizer.kind == CLRNN_OPTIMIZER_ADAM && c->train.optimizer.lr == 1e-3 &&
                c->train.optimizer.beta1 == 0.9 && c->train.optimizer.beta2 == 0.999 &&
                c->train.optimizer.eps == 1e-8 && c->train.optimizer.weight_decay == 0);
    assert_true(c->train.scheduler.kind == CLRNN_SCHEDULER_NONE);
    assert_true(c->train.epochs == 10 && c->train.batch_size == 32 && !c->train.shuffle && !c->train.drop_last);
    assert_true(c->train.clip_grad_norm == 0 && c->train.log_every == 0 && !c->train.early_stopping.on);
    assert_true(!c->data.train.there && !c->data.standard && c->data.valid_fraction == 0);
    clrnn_config_destroy(&c);
    assert_null(c);
    clrnn_config_destroy(&c);
}

static void test_optimizer_defaults(void **state)
{
    struct clrnn_config *c = parse(LAYERS "train: {optimizer: adamw}");

    (void)state;
    assert_true(c->train.optimizer.kind == CLRNN_OPTIMIZER_ADAMW && c->train.optimizer.weight_decay == 0.01 &&
                c->train.optimizer.lr == 1e-3);
    clrnn_config_destroy(&c);
    c = parse(LAYERS "train: {optimizer: rmsprop}");
    assert_true(c->train.optimizer.kind == CLRNN_OPTIMIZER_RMSPROP && c->train.optimizer.lr == 0.01 &&
                c->train.optimizer.alpha == 0.99 && c->train.optimizer.weight_decay == 0 &&
                c->train.optimizer.momentum == 0);
    clrnn_config_destroy(&c);
    c = parse(LAYERS "train: {optimizer: {sgd: {lr: 1}}}");
    assert_true(c->train.optimizer.kind == CLRNN_OPTIMIZER_SGD && c->train.optimizer.lr == 1 &&
                c->train.optimizer.weight_decay == 0 && c->train.optimizer.dampening == 0);
    clrnn_config_destroy(&c);
}

static void test_scheduler_defaults(void **state)
{
    struct clrnn_config *c = parse(LAYERS "train: {scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}}");
    const struct clrnn_scheduler_config *s = &c->train.scheduler;

    (void)state;
    assert_true(s->kind == CLRNN_SCHEDULER_ONE_CYCLE_LR && s->per_batch && s->total_steps == 0 && s->epochs == 0 &&
                s->pct_start == 0.3 && !s->linear_anneal && s->cycle_momentum && s->base_momentum == 0.85 &&
                s->max_momentum == 0.95 && s->div_factor == 25 && s->final_div_factor == 1e4 && !s->three_phase);
    clrnn_config_destroy(&c);
    c = parse(LAYERS "train: {scheduler: reduce_lr_on_plateau}");
    s = &c->train.scheduler;
    assert_true(!s->per_batch && !s->mode_max && s->factor == 0.1 && s->patience == 10 && s->threshold == 1e-4 &&
                !s->threshold_abs && s->cooldown == 0 && s->min_lr == 0 && s->plateau_eps == 1e-8);
    clrnn_config_destroy(&c);
    c = parse(LAYERS "train: {scheduler: linear_lr}");
    s = &c->train.scheduler;
    assert_true(s->start_factor == 1.0 / 3 && s->end_factor == 1 && s->total_iters == 5);
    clrnn_config_destroy(&c);
    c = parse(LAYERS "train: {scheduler: {multistep_lr: {milestones: [30, 80]}}}");
    s = &c->train.scheduler;
    assert_true(s->milestone_count == 2 && s->milestone[1] == 80 && s->gamma == 0.1);
    clrnn_config_destroy(&c);
    c = parse(LAYERS "train: {scheduler: none}");
    assert_true(c->train.scheduler.kind == CLRNN_SCHEDULER_NONE);
    clrnn_config_destroy(&c);
}

static void test_values(void **state)
{
    struct clrnn_config *c =
        parse("model: {layers: [{embedding: {num_embeddings: 9, embedding_dim: 4, padding_idx: -1}},\n"
              "  batchnorm: {momentum: null, name: norm}, rnn: {hidden_size: 1_0, nonlinearity: relu},\n"
              "  pool: {over: final}, linear: {out_features: 3, bias: no}]}\n"
              "train:\n"
              "  loss: {cross_entropy: {weight: [1, 2.5, 1e-4], label_smoothing: .5, ignore_index: -1}}\n"
              "  optimizer: {adam: {lr: 1e-4, betas: [0.5, 6e-1], amsgrad: On}}\n"
              "  seed: 18446744073709551615\n"
              "  clip_grad_norm: 1\n"
              "  early_stopping: {monitor: valid_accuracy, patience: 0}\n"
              "data: {train: {csv: a.csv, label: 'null', steps: 4}, valid_fraction: 0.2, normalize: none}\n");
    const struct clrnn_train_config *t = &c->train;

    (void)state;
    assert_true(c->layer[0].padding_idx == 8); // a negative padding_idx counts from the end, as in PyTorch
    assert_true(c->layer[1].cumulative);
    assert_string_equal(c->layer[1].name, "norm");
    assert_true(c->layer[2].hidden_size == 10 && c->layer[2].relu);
    assert_true(c->layer[3].over == CLRNN_POOL_FINAL && !c->layer[4].bias);
    assert_true(t->loss.weight_count == 3 && t->loss.weight[2] == 1e-4 && t->loss.label_smoothing == 0.5 &&
                t->loss.ignore_index == -1);
    assert_true(t->optimizer.lr == 1e-4 && t->optimizer.beta1 == 0.5 && t->optimizer.beta2 == 0.6 &&
                t->optimizer.amsgrad);
    assert_true(t->seed == UINT64_MAX && t->clip_grad_norm == 1);
    assert_true(t->early_stopping.on && t->early_stopping.mode_max && t->early_stopping.patience == 0);
    assert_true(c->data.train.there && c->data.train.csv_steps == 4 && c->data.valid_fraction == 0.2);
    assert_string_equal(c->data.train.label, "null");
    clrnn_config_destroy(&c);

    c = parse(ONE "train: {loss: {bce_with_logits: {pos_weight: [2.5]}}}\n"
                  "data: {train: {synthetic: {samples: 5, features: 3, steps: 2, seed: 4}}}");
    assert_true(c->train.loss.weight_count == 1 && c->train.loss.weight[0] == 2.5);
    assert_true(c->data.train.synthetic && c->data.train.samples == 5 && c->data.train.classes == 2);
    clrnn_config_destroy(&c);
}

static void test_normalised_tokens(void **state)
{
    struct clrnn_config *c = parse("model: {layers: [embedding: {num_embeddings: 3, embedding_dim: 3}]}\n"
                                   "data: {normalize: standard}");

    (void)state;
    assert_false(c->data.standard);
    assert_non_null(strstr(kept.text, "no effect on tokens"));
    clrnn_config_destroy(&c);
}

static void test_missing_classes(void **state)
{
    struct clrnn_config *c = parse(ONE "data: {missing_targets: ignore}");

    (void)state;
    assert_false(c->data.missing_ignore);
    assert_non_null(strstr(kept.text, "data.missing_targets: ignore has no effect on classes"));
    clrnn_config_destroy(&c);
    c = parse(ONE "train: {loss: bce_with_logits}\ndata: {missing_targets: ignore}");
    assert_true(c->data.missing_ignore);
    clrnn_config_destroy(&c);
}

static char *write_config(const char *text)
{
    char *path = test_folder_path("c.yaml");

    assert_int_equal(clrnn_write_text(&kept.log, path, text), CLRNN_OK);
    return path;
}

static void test_file_and_set(void **state)
{
    static const char *const set[] = {"train.optimizer.sgd.lr=0.5", "model.layers.0.lstm.hidden_size=7",
                                      "train.scheduler.step_lr={step_size: 3, interval: batch}"};
    static const char *const wrong[] = {"train.epochz=3"};
    char *path, *want;
    struct clrnn_config *c;

    (void)state;
    path = write_config(LAYERS "train: {optimizer: {adam: {lr: 0.1}}}\n");
    assert_int_equal(clrnn_config_read(&kept.log, path, ARRAY_SIZE(set), set, &c), CLRNN_OK);
    assert_true(c->train.optimizer.kind == CLRNN_OPTIMIZER_SGD && c->train.optimizer.lr == 0.5);
    assert_true(c->layer[0].hidden_size == 7 && c->train.scheduler.step_size == 3 && c->train.scheduler.per_batch);
    assert_string_equal(c->path, path);
    assert_string_equal(c->folder, test_folder);
    clrnn_config_destroy(&c);

    assert_int_equal(clrnn_config_read(&kept.log, path, 1, wrong, &c), CLRNN_ERR_CONFIG);
    assert_null(c);
    assert_non_null(strstr(kept.text, "--set train.epochz: unknown key; did you mean \"epochs\"?"));
    free(path);

    path = write_config(LAYERS "train: {\n  epochs: x}\n");
    assert_int_equal(clrnn_config_read(&kept.log, path, 0, NULL, &c), CLRNN_ERR_CONFIG);
    want = clrnn_format("%s:3:3: train.epochs: is x, expected", path);
    assert_non_null(strstr(kept.text, want));
    free(want);
    unlink(path);
    assert_int_equal(clrnn_config_read(&kept.log, path, 0, NULL, &c), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(kept.text, "cannot be opened"));
    free(path);
}

// Checks that the text of the config, the text of the config read from that text, and the text of a copy are the same.
static void check_round_trip(const struct clrnn_config *config, const char *what)
{
    char *text = clrnn_config_text(config), *twice, *thrice;
    struct clrnn_config *again, *copy;

    assert_non_null(text);
    if (clrnn_config_parse(&kept.log, text, "/elsewhere", &again) != CLRNN_OK)
        fail_msg("%s: what is written is refused: %s\n%s", what, kept.text, text);
    assert_int_equal(clrnn_config_copy(&kept.log, again, &copy), CLRNN_OK);
    twice = clrnn_config_text(again);
    clrnn_config_destroy(&again); // the copy must not depend on it
    thrice = clrnn_config_text(copy);
    assert_non_null(twice);
    assert_non_null(thrice);
    if (strcmp(text, twice) || strcmp(text, thrice))
        fail_msg("%s: written\n%sread and written\n%scopied\n%s", what, text, twice, thrice);
    clrnn_config_destroy(&copy);
    free(text);
    free(twice);
    free(thrice);
}

static void test_text(void **state)
{
    static const char *const text[] = {
        LAYERS,
        "model: {layers: [embedding: {num_embeddings: 9, embedding_dim: 4, padding_idx: 2, name: 'true'},\n"
        "  batchnorm: {momentum: null, affine: false}, rnn: {hidden_size: 10, nonlinearity: relu},\n"
        "  pool: {over: max}, log_softmax, round: {name: r}]}\n"
        "train: {loss: {nll: {weight: [0.1, 1e-300, 0.3333333333333333, 1, 1, 1, 1, 1, 1, 7]}},\n"
        "  optimizer: {rmsprop: {lr: 0.30000000000000004, centered: true}}, seed: 18446744073709551615,\n"
        "  scheduler: {multistep_lr: {milestones: [9007199254740991, 3]}},\n"
        "  early_stopping: {monitor: train_accuracy, mode: min}, clip_grad_norm: 1e-7}\n"
        "data: {train: {csv: 'odd: name #1.csv', label: 'null', steps: 3}, valid_fraction: 0.1, bucket: "
        "true}\n",
        ONE "train: {loss: {bce_with_logits: {pos_weight: [2.5]}}, early_stopping: {},\n"
            "  scheduler: {one_cycle_lr: {max_lr: 1, three_phase: true, anneal_strategy: linear, "
            "total_steps: 9}}}\n"
            "data: {train: {synthetic: {samples: 3, features: 4}}, test: {x: a, y: b, lengths: c},\n"
            "  valid: {x: /a/b.npy, y: ../c.npy}, normalize: standard}\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        struct clrnn_config *c = parse(text[i]);

        check_round_trip(c, text[i]);
        clrnn_config_destroy(&c);
    }
}

// Early stopping's mode follows from a monitor that is set later, too; one that was given stays.
static void test_set_monitor(void **state)
{
    static const struct {
        const char *early, *assignment;
        bool mode_max;
    } row[] = {
        {"{}", "monitor=valid_accuracy", true},
        {"{monitor: valid_accuracy}", "monitor=valid_loss", false},
        {"{monitor: valid_loss, mode: max}", "monitor=train_loss", true},
        {"{}", "mode=max", true},
        {"{}", "patience=4", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(row); i++) {
        char *text = clrnn_format(
            LAYERS "train: {early_stopping: %s}\ndata: {train: {x: a, y: b}, valid: {x: a, y: b}}\n", row[i].early);
        char *assignment = clrnn_format("train.early_stopping.%s", row[i].assignment);
        struct clrnn_config *c = parse(text);

        assert_int_equal(clrnn_config_set(&kept.log, c, assignment), CLRNN_OK);
        if (c->train.early_stopping.mode_max != row[i].mode_max)
            fail_msg("%s in %s", assignment, row[i].early);
        check_round_trip(c, assignment);
        clrnn_config_destroy(&c);
        free(assignment);
        free(text);
    }
}

// Relative data paths are written as absolute paths, which are valid from the run folder, too.
static void test_absolute_paths(void **state)
{
    char *path, *text, *real, *want;
    struct clrnn_config *c;

    (void)state;
    path = write_config(LAYERS "data: {train: {x: X.npy, y: ./y.npy}, valid: {x: /none/X.npy, y: ../z.npy}}\n");
    assert_int_equal(clrnn_config_read(&kept.log, path, 0, NULL, &c), CLRNN_OK);
    assert_string_equal(c->data.train.x, "X.npy"); // as the config wrote it
    text = clrnn_config_text(c);
    real = realpath(test_folder, NULL);
    assert_non_null(text);
    assert_non_null(real);
    want = clrnn_format("x: %s/X.npy", real);
    assert_non_null(strstr(text, want));
    free(want);
    want = clrnn_format("y: %s/y.npy", real);
    assert_non_null(strstr(text, want));
    assert_non_null(strstr(text, "x: /none/X.npy"));
    assert_null(strstr(text, "../"));
    clrnn_config_destroy(&c);
    free(want);
    free(real);
    free(text);
    free(path);
}

static void test_made_in_code(void **state)
{
    struct clrnn_config *c;
    struct clrnn_layer *layer;

    (void)state;
    assert_int_equal(clrnn_config_create(&kept.log, &c), CLRNN_OK);
    assert_int_equal(clrnn_config_check(&kept.log, c, NULL, NULL), CLRNN_ERR_CONFIG);
    assert_string_equal(kept.text, "model.layers: is empty, expected at least one layer");
    layer = clrnn_config_add_layer(c, CLRNN_LAYER_GRU);
    assert_non_null(layer);
    assert_true(layer->bias && layer->num_layers == 1 && layer->padding_idx == -1);
    assert_int_equal(clrnn_config_check(&kept.log, c, NULL, NULL), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(kept.text, "model.layers.0.gru.hidden_size: is 0, expected"));
    layer->hidden_size = 8;
    layer->bidirectional = true;
    assert_int_equal(clrnn_config_check(&kept.log, c, NULL, "made"), CLRNN_OK);
    assert_int_equal(clrnn_config_outputs(c), 16);
    check_round_trip(c, "made in code");

    c->train.optimizer.kind = (enum clrnn_optimizer_kind)77;
    assert_int_equal(clrnn_config_check(&kept.log, c, NULL, "made"), CLRNN_ERR_CONFIG);
    assert_string_equal(kept.text, "made: train.optimizer: is of no known kind (77)");
    assert_null(clrnn_config_add_layer(c, CLRNN_LAYER_KINDS));
    clrnn_config_destroy(&c);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(clrnn_layer_word(CLRNN_LAYER_LOG_SOFTMAX), "log_softmax");
    assert_string_equal(clrnn_loss_word(CLRNN_LOSS_BCE_WITH_LOGITS), "bce_with_logits");
    assert_string_equal(clrnn_optimizer_word(CLRNN_OPTIMIZER_RMSPROP), "rmsprop");
    assert_string_equal(clrnn_scheduler_word(CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU), "reduce_lr_on_plateau");
    assert_null(clrnn_scheduler_word(CLRNN_SCHEDULER_NONE));
    for (int kind = 0; kind < CLRNN_LAYER_KINDS; kind++)
        assert_non_null(clrnn_layer_word((enum clrnn_layer_kind)kind));
}

static void test_keys(void **state)
{
    struct clrnn_config_key *keys;
    size_t count, maps = 0;
    bool lr = false;

    (void)state;
    assert_int_equal(clrnn_config_keys(&kept.log, &keys, &count), CLRNN_OK);
    for (size_t i = 0; i < count; i++) {
        const struct clrnn_config_key *k = &keys[i];
        const bool map = !strcmp(k->expects, "a map") && !k->standard && !k->required;

        maps += map;
        lr |= !strcmp(k->path, "train.optimizer.adam.lr") && !strcmp(k->standard, "0.001");
        if (!*k->help || !*k->expects || (!map && !k->required && !k->standard))
            fail_msg("%s lacks its help, what fits, or its default", k->path);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(k->path, keys[j].path);
    }
    assert_int_equal(maps, CLRNN_LAYER_KINDS + 9 + 4 + 7);
    assert_true(count > 100 && lr);
    free(keys);
}

// Reads and writes every .yaml file in the folder, and config.yaml in each subfolder. Returns how many there are.
static int read_all(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;

    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const size_t length = strlen(entry->d_name);
        const bool yaml = length > 5 && !strcmp(entry->d_name + length - 5, ".yaml");
        char *path = clrnn_path_join(folder, entry->d_name), *inner = clrnn_path_join(path, "config.yaml");
        const char *file = yaml ? path : inner;
        struct clrnn_config *c;

        if (*entry->d_name != '.' && access(file, R_OK) == 0) {
            if (clrnn_config_read(&kept.log, file, 0, NULL, &c) != CLRNN_OK)
                fail_msg("%s is refused: %s", file, kept.text);
            check_round_trip(c, file);
            clrnn_config_destroy(&c);
            count++;
        }
        free(inner);
        free(path);
    }
    if (dir)
        closedir(dir);
    return count;
}

static void test_examples(void **state)
{
    (void)state;
    assert_true(read_all(SOURCE_ROOT "/examples") >= 2);
}

// Reads the configs of recorded runs and references, if they are in shared/ beside the source tree.
static void test_recorded(void **state)
{
    const int count = read_all(SOURCE_ROOT "/../shared/parity/open") + read_all(SOURCE_ROOT "/../shared/faults/open") +
                      read_all(SOURCE_ROOT "/../shared/refs");

    (void)state;
    if (count == 0) {
        print_message("# skipped: no recorded runs lie beside the source tree\n");
        return; // cmocka's skip() prints "not ok", which meson takes for a failure
    }
    print_message("# %d configs read\n", count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_optimizer_defaults),
        cmocka_unit_test(test_scheduler_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_normalised_tokens),
        cmocka_unit_test(test_missing_classes),
        cmocka_unit_test(test_file_and_set),
        cmocka_unit_test(test_set_monitor),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_absolute_paths),
        cmocka_unit_test(test_made_in_code),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_recorded),
    };

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
