// SPDX-License-Identifier: MIT
// Tests every finding of the table on made-up numbers, without data, device or training. Each case plants one fault in
// healthy numbers (made.h), and the doctor's checks must then report the finding with its severity.
#include <math.h>

#include "base/array.h"
#include "faults.h"
#include "tests/test.h"

// ---------------------------------------------------------------- faults

static void one_step(struct made *m)
{
    m->d.T = m->train.info.T = m->valid.info.T = 1;
}

static void long_rows(struct made *m)
{
    m->d.T = m->train.info.T = m->valid.info.T = m->d.train_scan.longest = 200;
}

static void last_batch_of_one(struct made *m)
{
    m->train.info.S = S - 15; // 49 = 3 * 16 + 1
}

static void sorted(struct made *m)
{
    m->d.train_scan.changes = 1;
}

// Sorted rows, and a training with shuffled rows that was tried and is far better than the one as given.
static void sorted_to_harm(struct made *m)
{
    sorted(m);
    m->d.asked.train.accuracy = 0.5;
    for (int k = 0; k < K; k++)
        m->answered[k].recall = k;
    m->trace.shuffled_rows = m->d.asked;
    m->trace.shuffled_rows.train.accuracy = 0.99;
    m->trace.shuffled_rows.train.per_class = m->answered_with_order;
}

static void sorted_without_harm(struct made *m)
{
    sorted(m);
    m->trace.shuffled_rows = m->d.asked;
}

static void thousands(struct made *m)
{
    m->d.outputs = 1;
    m->d.train_scan.classes = m->d.valid_scan.classes = 0;
    m->d.train_scan.y_mean = 3000;
    m->d.train_scan.y_std = 800;
    m->v.chance = 800 * 800;
    m->trace.trained.loss = m->trace.train_mode = 9.6e6;
}

static void zeros_only(struct made *m)
{
    m->answered[0].support = 55;
    m->answered[1].support = 9;
    m->answered[0].recall = 1;
    m->answered[1].recall = 0;
}

static void last_value_is_target(struct made *m)
{
    m->d.outputs = 1;
    m->d.train_scan.classes = m->d.valid_scan.classes = 0;
    m->trace.naive = 1;
    m->trace.naive_equal = true;
}

static void not_a_number(struct made *m)
{
    m->d.train_scan.bad_values = 1;
    m->d.train_scan.bad_value = NAN;
}

static void fractions(struct made *m)
{
    m->d.train_scan.real_tokens = 3;
    m->d.train_scan.real_token = 4.7;
}

static void pads_first(struct made *m)
{
    m->train.info.has_lengths = true;
    m->d.train_scan.front_rows = 0.9;
}

static void counted(struct made *m)
{
    m->d.train_scan.counter = 1;
    m->d.train_scan.counter_last = S - 1;
}

static void turned(struct made *m)
{
    m->d.T = m->train.info.T = m->valid.info.T = 1;
    m->d.train_scan.across_features = 0.8;
    m->d.train_scan.across_steps = 0.1;
}

static void third_batch_unlabelled(struct made *m)
{
    memset(m->train.labelled + 32, 0, 16);
}

static void windows_of_one_stretch(struct made *m)
{
    m->shared = 0.9;
}

static void token_beyond(struct made *m)
{
    m->d.train_scan.bad_tokens = 3;
}

static void times_ten_thousand(struct made *m)
{
    for (int c = 0; c < C; c++)
        m->train.rms[c] = m->valid.rms[c] = 1e4;
}

static void one_value(struct made *m)
{
    m->train.least[1] = m->train.most[1] = 2.5;
}

static void padded(struct made *m)
{
    m->d.train_scan.pad_rows = 0.9;
    m->d.train_scan.pad_share = 0.4;
}

static void one_output(struct made *m)
{
    m->d.outputs = 1;
    m->d.train_scan.most_label = 1;
}

static void no_batch(struct made *m)
{
    m->d.batches = 0;
}

static void labels_from_one(struct made *m)
{
    m->d.train_scan.bad_labels = 32;
    m->d.train_scan.bad_label = 2;
    m->d.train_scan.least_label = 1;
    m->d.train_scan.most_label = 2;
}

static void counts(struct made *m, uint64_t zeros)
{
    m->train.count[0] = m->valid.count[0] = zeros;
    m->train.count[1] = m->valid.count[1] = S - zeros;
    m->train.weight[0] = m->valid.weight[0] = (double)zeros;
    m->train.weight[1] = m->valid.weight[1] = (double)(S - zeros);
}

static void one_class(struct made *m)
{
    counts(m, S);
}

static void three_to_one(struct made *m)
{
    counts(m, 3 * S / 4);
}

static void rare_class(struct made *m)
{
    counts(m, S - 1);
}

static void each_twice(struct made *m)
{
    for (int i = 0; i < S; i++)
        memcpy(m->train.hash[i], m->train.hash[i / 2], sizeof(m->train.hash[i]));
}

static void same_rows(struct made *m)
{
    memcpy(m->valid.hash, m->train.hash, sizeof(m->valid.hash));
}

static void moved(struct made *m)
{
    for (int i = 0; i < SAMPLES * C; i++)
        m->valid.sample[i] += 5;
}

static void no_first_loss(struct made *m)
{
    m->v.initial_loss = NAN;
}

static void lost_at_step_50(struct made *m)
{
    m->trace.finite = false;
    m->trace.steps = 50;
    m->loss[49] = NAN;
}

static void confident_start(struct made *m)
{
    m->v.initial_loss = 9;
}

static void leaks(struct made *m)
{
    m->leak.most = 0.1;
}

static void wrong_backward(struct made *m)
{
    m->gradient.error = 1;
}

static void no_gradient(struct made *m)
{
    m->largest[0] = 0;
}

// Changes the trace to that of a model that learns nothing: its loss stays at ln 2.
static void stuck(struct made *m)
{
    for (int i = 0; i < WINDOWS; i++)
        m->window[i] = m->valid_loss[i] = log(2);
    m->trace.trained.loss = m->trace.train_mode = log(2);
    m->trace.blank.loss = m->trace.shuffled.loss = 0.8;
}

static void stands_on_one_batch(struct made *m)
{
    stuck(m);
    m->v.overfits = false;
    m->v.overfit_still = true;
    m->v.overfit_lowest = m->v.overfit_last = 0.6;
}

static void updates(struct made *m, double size)
{
    for (size_t i = 0; i < m->trace.update_count; i++)
        m->trace.update_median[i] = m->trace.update_most[i] = size;
}

static void tiny_updates(struct made *m)
{
    updates(m, 1e-9);
}

static void huge_updates(struct made *m)
{
    updates(m, 0.5);
    m->trace.trained.loss = m->trace.train_mode = 0.4;
}

static void explodes(struct made *m)
{
    m->norm[10] = 1e7;
}

static void vanishes(struct made *m)
{
    stuck(m);
    m->time[0] = 1e-9;
}

static void at_their_ends(struct made *m)
{
    stuck(m);
    m->v.start.unit[0].saturated = m->v.end.unit[0].saturated = 0.9;
}

static void never_on(struct made *m)
{
    m->v.start.unit[1].dead = m->v.end.unit[1].dead = 0.9;
}

static void up_and_down(struct made *m)
{
    for (int i = 0; i < WINDOWS; i++)
        m->window[i] = i % 2 ? 0.9 : 0.1;
}

static void other_in_eval_mode(struct made *m)
{
    m->trace.trained.loss = 2;
}

static void as_good_as_shuffled(struct made *m)
{
    m->trace.real_loss = m->trace.random_loss = 0.6;
    m->trace.random_steps = 50;
}

static void blank_does_as_well(struct made *m)
{
    stuck(m);
    m->trace.blank.loss = log(2);
}

static void order_does_not_matter(struct made *m)
{
    stuck(m);
    m->trace.shuffled.loss = log(2);
}

static void order_is_not_needed(struct made *m)
{
    m->trace.shuffled.loss = m->trace.trained.loss;
}

static void linear_wins(struct made *m)
{
    for (int i = 0; i < LOOKS; i++)
        m->valid_quality[i] = 0.5;
    m->trace.linear.quality = 0.95;
}

static void validation_rises(struct made *m)
{
    for (int i = 0; i < LOOKS; i++)
        m->valid_loss[i] = 0.4 + 0.1 * i;
}

// ---------------------------------------------------------------- cases

static const struct made_fault faults[] = {
    {WANT(SOFTMAX_BEFORE_CROSS_ENTROPY, ERROR), NET ", softmax", TRAIN, NULL},
    {WANT(ACTIVATION_LOSS_MISMATCH, ERROR), NET ", sigmoid", TRAIN, NULL},
    {WANT(ACTIVATION_LOSS_MISMATCH, NOTE), NET ", log_softmax", TRAIN, NULL},
    {WANT(NON_DIFFERENTIABLE_OP, ERROR), NET ", round", TRAIN, NULL},
    {WANT(SINGLE_TIME_STEP, WARNING), NET, TRAIN, one_step},
    {WANT(SEQUENCE_TOO_LONG, WARNING), "rnn: {hidden_size: 8}, " LAST ", " HEAD, TRAIN, long_rows},
    {WANT(DROPOUT_ONE_LAYER, NOTE), "lstm: {hidden_size: 8, dropout: 0.3}, " LAST ", " HEAD, TRAIN, NULL},
    {WANT(DROPOUT_TOO_HIGH, WARNING), GRU ", " LAST ", dropout: {p: 0.9}, " HEAD, TRAIN, NULL},
    {WANT(DROPOUT_BEFORE_BATCHNORM, WARNING), GRU ", " LAST ", dropout, batchnorm, " HEAD, TRAIN, NULL},
    {WANT(DEAD_BIAS, NOTE), GRU ", " LAST ", linear: {out_features: 4}, batchnorm, " HEAD, TRAIN, NULL},
    {WANT(BATCH_OF_ONE_BATCHNORM, ERROR), GRU ", " LAST ", batchnorm, " HEAD, TRAIN, last_batch_of_one},
    {WANT(ACTIVATION_LOSS_MISMATCH, ERROR), ONE ", softmax", MSE, one_output},
    {WANT(BATCHNORM_MOMENTUM, WARNING), GRU ", " LAST ", batchnorm: {momentum: 0.99}, " HEAD, TRAIN, NULL},
    {WANT(BATCHNORM_MOMENTUM, WARNING), GRU ", " LAST ", batchnorm: {momentum: 0.001}, " HEAD, TRAIN, NULL},
    {WANT(AXES_SWAPPED, WARNING), NET, TRAIN, turned},
    {WANT(POOL_IGNORES_SEQUENCE, WARNING), "gru: {hidden_size: 8, bidirectional: true}, " LAST ", " HEAD, TRAIN, NULL},
    {WANT(SCHEDULER_PER_BATCH, ERROR), NET, TRAIN ", scheduler: {step_lr: {step_size: 3, gamma: 0.1, interval: batch}}",
     NULL},
    {WANT(SCHEDULE_EXHAUSTED, ERROR), NET, TRAIN ", scheduler: {exponential_lr: {gamma: 0.1}}", NULL},
    {WANT(SCHEDULE_EXHAUSTED, ERROR), NET,
     TRAIN ", scheduler: {linear_lr: {start_factor: 1.0e-4, end_factor: 1.0e-4, total_iters: 5}}", NULL},
    {WANT(LR_OUT_OF_RANGE, ERROR), NET,
     "loss: cross_entropy, optimizer: {adam: {lr: 1.0}}, epochs: 20, batch_size: 16, shuffle: true", NULL},
    {WANT(NO_SHUFFLE_SORTED_LABELS, ERROR), NET, ADAM, sorted_to_harm},
    {WANT(NO_SHUFFLE_SORTED_LABELS, WARNING), NET, ADAM, sorted},
    {WANT(NO_SHUFFLE_SORTED_LABELS, NOTE), NET, ADAM, sorted_without_harm},
    {WANT(NO_SHUFFLE_SORTED_LABELS, NOTE), NET, ADAM, NULL},
    {WANT(NON_FINITE_INPUT, ERROR), NET, TRAIN, not_a_number},
    {WANT(TOKEN_RANGE, ERROR), "embedding: {num_embeddings: 9, embedding_dim: 4}, " NET, TRAIN, token_beyond},
    {WANT(NON_INTEGER_TOKENS, ERROR), "embedding: {num_embeddings: 9, embedding_dim: 4}, " NET, TRAIN, fractions},
    {WANT(ROW_NUMBER_FEATURE, WARNING), NET, TRAIN, counted},
    {WANT(PADDING_IN_FRONT, ERROR), NET, TRAIN, pads_first},
    {WANT(LABELS_ALL_IGNORED, ERROR), NET, ADAM, third_batch_unlabelled},
    {WANT(CLASS_WEIGHTS_INVERTED, ERROR), NET,
     "loss: {cross_entropy: {weight: [0.75, 0.25]}}, epochs: 20, batch_size: 16, shuffle: true", three_to_one},
    {WANT(TRAIN_VALID_OVERLAP, WARNING), NET, TRAIN, windows_of_one_stretch},
    {WANT(UNSCALED_INPUT, WARNING), NET, TRAIN, times_ten_thousand},
    {WANT(CONSTANT_FEATURES, WARNING), NET, TRAIN, one_value},
    {WANT(PADDING_WITHOUT_LENGTHS, WARNING), NET, TRAIN, padded},
    {WANT(TOO_FEW_SAMPLES, ERROR), NET, TRAIN, no_batch},
    {WANT(LABEL_RANGE, ERROR), NET, TRAIN, labels_from_one},
    {WANT(SINGLE_CLASS, ERROR), NET, TRAIN, one_class},
    {WANT(CLASS_IMBALANCE, WARNING), NET, TRAIN, rare_class},
    {WANT(DUPLICATE_ROWS, WARNING), NET, TRAIN, each_twice},
    {WANT(TRAIN_VALID_LEAK, WARNING), NET, TRAIN, same_rows},
    {WANT(TRAIN_VALID_SHIFT, WARNING), NET, TRAIN, moved},
    {WANT(LOSS_NOT_FINITE, ERROR), NET, TRAIN, no_first_loss},
    {WANT(LOSS_NOT_FINITE, ERROR), NET, TRAIN, lost_at_step_50},
    {WANT(INITIAL_LOSS_OFF, WARNING), NET, TRAIN, confident_start},
    {WANT(BATCH_LEAK, ERROR), GRU ", batchnorm: {track_running_stats: false}, " LAST ", " HEAD, TRAIN, leaks},
    {WANT(GRADIENT_CHECK_FAILED, ERROR), NET, TRAIN, wrong_backward},
    {WANT(ZERO_GRADIENT, ERROR), NET, TRAIN, no_gradient},
    {WANT(CANNOT_OVERFIT_ONE_BATCH, ERROR), NET, TRAIN, stands_on_one_batch},
    {WANT(UPDATE_TOO_SMALL, WARNING), NET, TRAIN, tiny_updates},
    {WANT(UPDATE_TOO_LARGE, WARNING), NET, TRAIN, huge_updates},
    {WANT(EXPLODING_GRADIENT, ERROR), NET, TRAIN, explodes},
    {WANT(EXPLODING_GRADIENT, NOTE), NET, TRAIN ", clip_grad_norm: 1.0", explodes},
    {WANT(VANISHING_GRADIENT, WARNING), NET, TRAIN, vanishes},
    {WANT(SATURATED_UNITS, WARNING), NET, TRAIN, at_their_ends},
    {WANT(DEAD_UNITS, WARNING), NET, TRAIN, never_on},
    {WANT(LOSS_FLAT, WARNING), NET, TRAIN, stuck},
    {WANT(LOSS_OSCILLATES, WARNING), NET, TRAIN, up_and_down},
    {WANT(TRAIN_EVAL_MISMATCH, ERROR), NET, TRAIN, other_in_eval_mode},
    {WANT(LABELS_LOOK_RANDOM, WARNING), NET, TRAIN, as_good_as_shuffled},
    {WANT(UNDERFITTING, WARNING), NET, TRAIN, stuck},
    {WANT(UNSCALED_TARGET, WARNING), ONE, MSE, thousands},
    {WANT(NO_BETTER_THAN_NAIVE, ERROR), ONE, MSE, last_value_is_target},
    {WANT(MAJORITY_CLASS_ONLY, WARNING), NET, TRAIN, zeros_only},
    {WANT(INPUTS_IGNORED, WARNING), NET, TRAIN, blank_does_as_well},
    {WANT(TIME_IGNORED, WARNING), NET, TRAIN, order_does_not_matter},
    {WANT(TIME_IGNORED, NOTE), NET, TRAIN, order_is_not_needed},
    {WANT(WORSE_THAN_LINEAR, WARNING), NET, TRAIN, linear_wins},
    {WANT(OVERFITTING, WARNING), NET, TRAIN, validation_rises},
};

static void print_findings(const struct made *m)
{
    for (size_t i = 0; i < m->result.count; i++)
        print_message("# severity %d, %s: %s\n", (int)m->result.finding[i].severity, m->result.finding[i].id,
                      m->result.finding[i].evidence);
}

static void healthy(void **state)
{
    struct made m;

    (void)state;
    made_open(&m, NET, TRAIN);
    made_judge(&m);
    print_findings(&m);
    assert_int_equal(m.result.count, 0);
    made_close(&m);
    made_open(&m, NET, TRAIN);
    m.trace.trained.loss = m.trace.train_mode = log(2); // the loss fell, then rose again: no underfitting
    made_judge(&m);
    for (size_t i = 0; i < m.result.count; i++)
        assert_string_not_equal(m.result.finding[i].id, "underfitting");
    made_close(&m);
}

// Returns fault i of both tables, `faults` and then made_faults_of_layers.
static const struct made_fault *fault(size_t i)
{
    return i < ARRAY_SIZE(faults) ? &faults[i] : &made_faults_of_layers[i - ARRAY_SIZE(faults)];
}

static size_t fault_count(void)
{
    return ARRAY_SIZE(faults) + made_fault_of_layers_count;
}

static void planted(void **state)
{
    (void)state;
    for (size_t i = 0; i < fault_count(); i++) {
        const char *id = clrnn_finding_table[fault(i)->kind].id;
        const struct clrnn_finding *f = NULL;
        struct made m;

        made_open(&m, fault(i)->layers, fault(i)->train);
        if (fault(i)->plant)
            fault(i)->plant(&m);
        made_judge(&m);
        for (size_t k = 0; k < m.result.count && !f; k++)
            if (m.result.finding[k].id == id)
                f = &m.result.finding[k];
        if (!f || f->severity != fault(i)->severity) {
            print_findings(&m);
            fail_msg("case %zu: expected %s of severity %d", i, id, (int)fault(i)->severity);
        }
        assert_true(f->severity >= clrnn_finding_table[fault(i)->kind].severity); // not graver than in the table
        assert_non_null(f->evidence);
        made_close(&m);
    }
}

// Every finding of the doctor must be shown by some planted fault, with the severity that the table names.
static void all_have_a_fault(void **state)
{
    (void)state;
    for (int kind = 0; kind < CLRNN_FINDING_ZERO_GRAD_MISSING; kind++) { // later ones are for scripts only
        bool gravest = false;

        for (size_t i = 0; i < fault_count(); i++)
            gravest =
                gravest || ((int)fault(i)->kind == kind && fault(i)->severity == clrnn_finding_table[kind].severity);
        if (!gravest)
            fail_msg("%s: no fault is planted that shows it as gravely as its table says",
                     clrnn_finding_table[kind].id);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(healthy),
        cmocka_unit_test(planted),
        cmocka_unit_test(all_have_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
