// SPDX-License-Identifier: MIT
// Tests what findings say, on made-up numbers (made.h): the key to change, and numbers and claims in the evidence.
#include "base/array.h"
#include "faults.h"
#include "tests/test.h"

#define CYCLE ", scheduler: {one_cycle_lr: {max_lr: 5.0, interval: batch}}"
#define SGD "loss: cross_entropy, optimizer: {sgd: {lr: 0.0001}}, epochs: 20, batch_size: 16, shuffle: true"

static void slow_sgd(struct made *m)
{
    m->trace.sgd_lr = 0.05;
    m->trace.sgd_momentum = m->config->train.optimizer.momentum;
}

static const struct text_case {
    struct made_fault fault;
    const char *where, *evidence, *set; // texts that must occur in these fields; NULL: any
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
        if (!f || f->severity != c->fault.severity)
            fail_msg("case %zu: expected %s of severity %d", i, id, (int)c->fault.severity);
        if (!holds(f->where, c->where) || !holds(f->evidence, c->evidence) || !holds(f->set, c->set))
            fail_msg("case %zu: %s at %s: %s; %s", i, id, f->where, f->evidence, f->set ? f->set : "no change");
        made_close(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
