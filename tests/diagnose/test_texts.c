// SPDX-License-Identifier: MIT
// Tests what findings say, on made-up numbers (made.h): the key to change, and numbers and claims in the evidence. Also
// tests the text of a change that the doctor tries.
#include <string.h>

#include "base/array.h"
#include "diagnose/doctor/trial.h"
#include "faults.h"
#include "tests/test.h"

#define CYCLE ", scheduler: {one_cycle_lr: {max_lr: 5.0, interval: batch}}"
#define SGD "loss: cross_entropy, optimizer: {sgd: {lr: 0.0001}}, epochs: 20, batch_size: 16, shuffle: true"

#define NEVER ((enum clrnn_severity)(-1)) // the finding must not be reported

static void slow_sgd(struct made *m)
{
    m->trace.sgd_lr = 0.05;
    m->trace.sgd_momentum = m->config->train.optimizer.momentum;
}

// Changes the trace to that of a run of 2 epochs, whose windows are tenths of it. Their means are `low` and `high` by
// turns; within a window the losses are `off` above and below the mean by turns.
static void two_epochs(struct made *m, double low, double high, double off)
{
    m->trace.epochs = 2;
    m->trace.by_epoch = false;
    for (int w = 0; w < WINDOWS; w++)
        m->window[w] = w % 2 ? high : low;
    for (int i = 0; i < STEPS; i++)
        m->loss[i] = m->window[i * WINDOWS / STEPS] + (i % 2 ? off : -off);
}

static void tenths_up_and_down(struct made *m)
{
    two_epochs(m, 0.1, 0.9, 0.05);
}

static void batches_of_different_rows(struct made *m)
{
    two_epochs(m, 0.35, 0.55, 0.4);
}

static void few_rows(struct made *m)
{
    m->train.info.S = 6;
    m->train.count[0] = m->train.count[1] = 3;
    m->train.weight[0] = m->train.weight[1] = 3;
}

static void few_rows_of_tokens(struct made *m)
{
    few_rows(m);
    m->train.info.tokens = true;
    m->train.info.C = 0;
}

static void few_labelled_steps(struct made *m)
{
    few_rows(m);
    m->train.info.S = 2;
    m->train.info.y_steps = true;
    m->d.train_scan.labels = 10;
    m->train.count[0] = 6;
    m->train.count[1] = 4;
    m->train.weight[0] = 6;
    m->train.weight[1] = 4;
}

static void one_token(struct made *m)
{
    m->d.T = m->train.info.T = m->valid.info.T = 1;
    m->train.info.tokens = m->valid.info.tokens = true;
    m->train.info.C = m->valid.info.C = 0;
}

static const struct text_case {
    struct made_fault fault; // `kind` must be reported, except if `severity` is NEVER
    // texts that must occur in these fields, and in the change, or the remedy if there is no change; NULL: any
    const char *where, *evidence, *change;
} cases[] = {
    {{WANT(LR_OUT_OF_RANGE, ERROR), NET, TRAIN CYCLE, NULL},
     "train.scheduler.one_cycle_lr.max_lr",
     "lr = 5 a step",
     "train.scheduler.one_cycle_lr.max_lr=0.001"},
    {{WANT(LR_OUT_OF_RANGE, ERROR), NET, SGD ", scheduler: {one_cycle_lr: {max_lr: 2.0e-4, interval: batch}}",
      slow_sgd},
     "train.scheduler.one_cycle_lr.max_lr",
     "a step of lr 0.0002 ",
     "train.scheduler.one_cycle_lr.max_lr=0.05"},
    {{WANT(LR_OUT_OF_RANGE, ERROR), NET, SGD, slow_sgd},
     "train.optimizer.sgd.lr",
     "a step of lr 0.0001 ",
     "train.optimizer.sgd.lr=0.05"},
    {{WANT(LOSS_OSCILLATES, WARNING), NET, TRAIN, tenths_up_and_down}, "by tenth", "a tenth of the run;", NULL},
    {{WANT(TOO_FEW_SAMPLES, WARNING), NET, TRAIN, few_rows},
     "data.train",
     "6 samples of C = 3 features in 6 steps, 4 batches an epoch; 3.0 a class",
     NULL},
    {{WANT(TOO_FEW_SAMPLES, WARNING), "embedding: {num_embeddings: 9, embedding_dim: 4}, " NET, TRAIN,
      few_rows_of_tokens},
     "data.train",
     "6 samples of 6 tokens, 4 batches an epoch; 3.0 a class",
     NULL},
    {{WANT(TOO_FEW_SAMPLES, WARNING), GRU ", " HEAD, TRAIN, few_labelled_steps},
     "data.train",
     "2 samples of C = 3 features in 6 steps, 4 batches an epoch, 10 targets in all; 5.0 a class",
     NULL},
    {{WANT(SINGLE_TIME_STEP, WARNING), "embedding: {num_embeddings: 9, embedding_dim: 4}, " NET, TRAIN, one_token},
     "model.layers[1] (gru)",
     "X has one time step",
     "give each sample more tokens"},
    {{CLRNN_FINDING_LOSS_OSCILLATES, NEVER, NET, TRAIN, batches_of_different_rows}, NULL, NULL, NULL},
};

static bool holds(const char *text, const char *part)
{
    return !part || (text && strstr(text, part));
}

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        const struct text_case *c = &cases[i];
        const char *id = clrnn_finding_table[c->fault.kind].id;
        const struct clrnn_finding *f = NULL;
        struct made m;

        made_open(&m, c->fault.layers, c->fault.train);
        if (c->fault.plant)
            c->fault.plant(&m);
        made_judge(&m);
        for (size_t k = 0; k < m.result.count && !f; k++)
            if (m.result.finding[k].id == id)
                f = &m.result.finding[k];
        if (c->fault.severity == NEVER) {
            if (f)
                fail_msg("case %zu: %s: %s", i, id, f->evidence);
            made_close(&m);
            continue;
        }
        if (!f || f->severity != c->fault.severity)
            fail_msg("case %zu: expected %s of severity %d", i, id, (int)c->fault.severity);
        if (!holds(f->where, c->where) || !holds(f->evidence, c->evidence) ||
            !holds(f->set ? f->set : f->remedy, c->change))
            fail_msg("case %zu: %s at %s: %s; %s", i, id, f->where, f->evidence, f->set ? f->set : f->remedy);
        made_close(&m);
    }
}

// The gru that the doctor tries in place of an rnn keeps the layer's name, whatever its characters.
static void gru_keeps_the_name(void **state)
{
    static const char *const names[] = {"lower", "a'b", "''", "\\x41", "#\"{:}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        struct clrnn_config *changed;
        struct made m;
        char *set;

        made_open(&m, "rnn: {hidden_size: 8}, " LAST ", " HEAD, TRAIN);
        m.config->layer[0].name = strdup(names[i]); // the config owns it
        assert_int_equal(clrnn_candidate(&m.d, "sequence-too-long", 0, &set), CLRNN_OK);
        assert_non_null(strstr(set, "gru: {"));
        assert_int_equal(clrnn_doctor_apply(&m.d, 1, (const char *const *)&set, &changed), CLRNN_OK);
        assert_int_equal(changed->layer[0].kind, CLRNN_LAYER_GRU);
        assert_string_equal(changed->layer[0].name, names[i]);
        clrnn_config_destroy(&changed);
        free(set);
        made_close(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(gru_keeps_the_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
