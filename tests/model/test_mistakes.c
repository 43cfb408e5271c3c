// SPDX-License-Identifier: MIT
// Mistakes in configs: each must be refused in one sentence with its position and what is expected.
#include "base/array.h"
#include "clrnn/config.h"
#include "tests/test.h"

#define LAYERS "model: {layers: [lstm: {hidden_size: 3}, pool: {over: last}, linear: {out_features: 2}]}\n"
#define ONE "model: {layers: [linear: {out_features: 1}]}\n"

static const struct {
    const char *text, *message;
} mistakes[] = {
    {"", "config: is empty"},
    {"[1]", "config:1:1: is no map"},
    {"train: {}", "config:1:1: model: is missing"},
    {"modle: {}", "config:1:1: modle: unknown key; did you mean \"model\"? (known: model, train, data)"},
    {"model: {layers: []}", "model.layers: is empty"},
    {"model: {layers: }", "model.layers: is no list"},
    {"model: {layers: {lstm: 3}}", "are the dashes missing?"},
    {"model: {layers: [lstm]}", "config:1:18: model.layers.0.lstm.hidden_size: is missing, expected a whole number"},
    {"model: {layers: [lsmt: {}]}", "model.layers.0.lsmt: unknown layer; did you mean \"lstm\"?"},
    {"model:\n  layers:\n  - relu\n  - rnn:\n    hidden_size: 3\n",
     "config:5:5: model.layers.1: \"hidden_size\" stands beside \"rnn\"; its arguments go below it"},
    {"model: {layers: [{relu: , tanh: }]}", "names two layers"},
    {"model: {layers: [relu: 3]}", "is one value, expected a map"},
    {"model: {layers: [lstm: {hidden_size: 3, batch_first: true}]}", "X is always (N, T, C)"},
    {"model: {layers: [lstm: {hidden_size: 0}]}", "is 0, expected a whole number from 1"},
    {"model: {layers: [lstm: {hidden_size: true}]}", "is true, expected a whole number"},
    {"model: {layers: [lstm: {hidden_size: '3'}]}", "is the text \"3\""},
    {"model: {layers: [lstm: {hidden_size: 3, bidirectional: 1}]}", "is 1, expected true or false"},
    {"model: {layers: [dropout: {p: 1.5}]}", "is 1.5, expected a number from 0 to 1"},
    {"model: {layers: [pool: {over: first}]}", "is first, expected last, final, mean or max"},
    {"model: {layers: [tanh: {name: a}, relu: {name: a}]}", "layer 0 is called \"a\", too"},
    {"model: {layers: [tanh: {name: '1'}, relu]}", "already the prefix of layer 1"},
    {"model: {layers: [tanh: {name: a.b}]}", "holds a point or a space"},
    {"model: {layers: [tanh: {name: optim}]}", "kept for the optimiser's state"},
    {"model: {layers: [linear: {name: loss, out_features: 2}]}\ntrain: {loss: {cross_entropy: {weight: balanced}}}",
     "\"loss\" is kept for the balanced weights"},
    {"model: {layers: [lstm: {hidden_size: 3}, relu, pool: {over: final}]}",
     "config:1:55: model.layers.2.pool.over: final is h_n and must directly follow"},
    {"model: {layers: [pool: {over: final}]}", "but follows nothing"},
    {"model: {layers: [pool, gru: {hidden_size: 3}, pool, relu, pool]}", "the pool in layer 2 leaves none"},
    {"model: {layers: [pool, pool]}", "the pool in layer 0 leaves none"},
    {"model: {layers: [relu, embedding: {num_embeddings: 3, embedding_dim: 3}]}", "must be the first layer"},
    {"model: {layers: [embedding: {num_embeddings: 3, embedding_dim: 3, padding_idx: 3}]}", "does not lie"},
    {"model: {layers: [embedding: {num_embeddings: 3, embedding_dim: 3, padding_idx: -4}]}", "does not lie"},
    {LAYERS "train: {optimizer: {adam: {lrr: 1}}}",
     "config:2:28: train.optimizer.adam.lrr: unknown key; did you mean \"lr\"? (known: lr, betas, eps, "
     "weight_decay, amsgrad)"},
    {LAYERS "train: {optimizer: {adam: {learning_rate: 1}}}", "unknown key; write lr"},
    {LAYERS "train: {optimizer: sgd}", "train.optimizer.sgd.lr: is missing"},
    {LAYERS "train: {optimizer: }", "train.optimizer: is empty"},
    {LAYERS "train: {optimizer: [adam]}", "is a list, expected a name or a map"},
    {LAYERS "train: {optimizer: {adam: 3}}", "expected a map such as {lr: ...}"},
    {LAYERS "train: {optimizer: {adam: , lr: 1}}", "\"lr\" stands beside \"adam\""},
    {LAYERS "train: {optimizer: {adam: {}, sgd: {}}}", "names two optimizers"},
    {LAYERS "train: {optimizer: {adam: {lr: -1}}}", "is -1, expected a number of at least 0"},
    {LAYERS "train: {optimizer: {adam: {lr: .inf}}}", "is .inf, expected a number"},
    {LAYERS "train: {optimizer: {adam: {lr: null}}}", "is empty, expected a number"},
    {LAYERS "train: {optimizer: {adam: {betas: [0.9, 1]}}}", "entry 1 is 1, expected a number"},
    {LAYERS "train: {optimizer: {adam: {betas: [0.9]}}}", "is a list of 1, expected a list of two"},
    {LAYERS "train: {optimizer: {sgd: {lr: 1, nesterov: true}}}", "needs a momentum above 0"},
    {LAYERS "train: {epochs: 3.0}", "is 3.0, expected a whole number"},
    {LAYERS "train: {epochs: {}}", "is a map, expected a whole number"},
    {LAYERS "train: {seed: -1}", "is -1, expected a whole number from 0"},
    {LAYERS "train: {loss: quantile}", "holds 3 numbers, but the last layer puts out 2"},
    {LAYERS "train: {loss: {quantile: {quantiles: [0.5, 1]}}}", "entry 1 is 1, expected a number above 0"},
    {LAYERS "train: {loss: {huber: {delta: 0}}}", "is 0, expected a number above 0"},
    {LAYERS "train: {loss: {bce_with_logits: {weight: [1]}}}", "holds 1 numbers, expected one for each"},
    {LAYERS "train: {loss: {mse: {weight: [1]}}}", "unknown key (known: none)"},
    {LAYERS "train: {loss: {cross_entropy: {weight: [1, 2, 3]}}}", "holds 3 numbers, but the last layer"},
    {LAYERS "train: {loss: {cross_entropy: {weight: [0, 0]}}}", "sums up to 0"},
    {LAYERS "train: {loss: {cross_entropy: {weight: 2}}}", "is 2, expected a list of numbers"},
    {ONE "train: {loss: {bce_with_logits: {pos_weight: [1, 2]}}}", "holds 2 numbers, expected one"},
    {LAYERS "train: {scheduler: step_lr}", "train.scheduler.step_lr.step_size: is missing"},
    {LAYERS "train: {scheduler: {step_lr: {step_size: 2, interval: step}}}", "is step, expected epoch or batch"},
    {LAYERS "train: {scheduler: {multistep_lr: {milestones: [1, 2.5]}}}", "entry 1 is 2.5, expected a whole"},
    {LAYERS "train: {scheduler: {one_cycle_lr: {max_lr: 1, epochs: 3}}}", "epochs without steps_per_epoch"},
    {LAYERS "train: {early_stopping: {monitor: val_loss}}", "is val_loss, expected valid_loss,"},
    {ONE "train: {loss: mse, early_stopping: {monitor: train_accuracy}}", "mse has no accuracy"},
    {LAYERS "train: {early_stopping: {}}\ndata: {train: {x: a, y: b}}", "neither data.valid nor"},
    {LAYERS "train: {scheduler: reduce_lr_on_plateau}\ndata: {train: {x: a, y: b}}", "neither data.valid nor"},
    {LAYERS "data: {train: {x: a}}", "config:2:8: data.train: y is missing beside x"},
    {LAYERS "data: {train: {}}", "has no data"},
    {LAYERS "data: {train: {x: a, y: b, csv: c, label: d}}", "several kinds of data"},
    {LAYERS "data: {train: {csv: c}}", "label is missing beside csv"},
    {LAYERS "data: {train: {csv: c, label: y, lengths: l}}", "has lengths without x"},
    {LAYERS "data: {train: {x: a, y: b, steps: 3}}", "has steps without csv"},
    {LAYERS "data: {valid: {synthetic: {samples: 3}}}", "data.valid.synthetic.features: is missing"},
    {LAYERS "data: {train: {x: a, y: b}, valid: {x: a, y: b}, valid_fraction: 0.1}", "keep one of them"},
    {LAYERS "data: {val: {x: a, y: b}}", "unknown key; write valid"},
    {LAYERS "data: {normalize: yes}", "is yes, expected none or standard"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
        struct clrnn_config *config = (struct clrnn_config *)1;
        struct test_log kept;

        test_log_init(&kept);
        if (clrnn_config_parse(&kept.log, mistakes[i].text, NULL, &config) != CLRNN_ERR_CONFIG)
            fail_msg("%s\nis taken, expected \"%s\"", mistakes[i].text, mistakes[i].message);
        assert_null(config);
        if (kept.lines != 1 || !strstr(kept.text, mistakes[i].message))
            fail_msg("%s\ngives \"%s\", expected \"%s\"", mistakes[i].text, kept.text, mistakes[i].message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mistakes)};

    return cmocka_run_group_tests_name("mistakes", tests, NULL, NULL);
}
