// SPDX-License-Identifier: MIT
// Made-up numbers of a healthy data set and training, and a run of the doctor's checks on these numbers.
#include "made.h"

#include <math.h>

#include "base/random.h"
#include "tests/test.h"

static void make_scan(struct data *data, const char *name, uint64_t seed, struct clrnn_scan *scan)
{
    const struct clrnn_random r = {seed, RANDOM_PROBE, 0, 0};

    data->info = (struct clrnn_dataset_info){
        .name = name, .S = S, .T = T, .C = C, .has_y = true, .classes = K, .bytes = S * T * C * 4};
    for (int c = 0; c < C; c++) {
        data->rms[c] = 1;
        data->least[c] = -3;
        data->most[c] = 3;
    }
    for (uint32_t i = 0; i < SAMPLES * C; i++)
        data->sample[i] = (float)clrnn_random_normal(&r, i);
    for (uint64_t i = 0; i < S; i++)
        data->hash[i][0] = data->hash[i][1] = seed * 1000 + i;
    data->count[0] = data->count[1] = S / 2;
    data->weight[0] = data->weight[1] = S / 2;
    memset(data->labelled, 1, S);
    *scan = (struct clrnn_scan){
        .info = &data->info,
        .C = C,
        .steps = S * T,
        .shortest = T,
        .longest = T,
        .mean = data->mean,
        .rms = data->rms,
        .least = data->least,
        .most = data->most,
        .sample_count = SAMPLES,
        .sample = data->sample,
        .hash = data->hash,
        .labels = S,
        .most_label = 1,
        .classes = K,
        .count = data->count,
        .weight = data->weight,
        .labelled = data->labelled,
        .counter = UINT32_MAX,
        .order_known = true,
        .changes = 30,
        .changes_expected = 31.5,
    };
}

static struct clrnn_activity make_activity(double *time)
{
    return (struct clrnn_activity){
        .loss = 0.7,
        .norm = 1,
        .last_layer = 2,
        .first_norm = 1,
        .last_norm = 1,
        .T = T,
        .time = time,
        .unit_count = 2,
        .unit = {{"gru", 0.05, NAN}, {"relu", NAN, 0.1}},
    };
}

// Makes the trace of 100 steps (STEPS) in which the training loss falls from 0.7 (ln 2) to 0.03, and the validation
// loss falls as well.
static void make_trace(struct made *m)
{
    m->trace = (struct clrnn_trace){
        .steps = STEPS,
        .wanted = STEPS,
        .epochs = WINDOWS,
        .finite = true,
        .complete = true,
        .loss = m->loss,
        .norm = m->norm,
        .window_count = WINDOWS,
        .window = m->window,
        .by_epoch = true,
        .valid_count = LOOKS,
        .valid_loss = m->valid_loss,
        .valid_quality = m->valid_quality,
        .update_count = 20,
        .update_early = 10,
        .train_mode = 0.03,
        .trained = {.loss = 0.03, .quality = 0.99},
        .blank = {.loss = 0.8, .quality = 0.5},
        .shuffled = {.loss = 0.6, .quality = 0.6},
        .linear = {.done = true, .quality = 0.8},
        .real_loss = NAN,
        .naive = NAN,
        .random_loss = NAN,
    };
    for (int i = 0; i < STEPS; i++) {
        m->loss[i] = 0.7 * pow(0.97, i);
        m->norm[i] = 1;
    }
    for (int i = 0; i < WINDOWS; i++) {
        m->window[i] = 0.7 * pow(0.7, i);
        m->valid_loss[i] = 0.7 * pow(0.8, i);
        m->valid_quality[i] = 0.5 + 0.045 * i;
    }
    for (int i = 0; i < 20; i++) {
        m->trace.update_median[i] = 1e-3;
        m->trace.update_most[i] = 2e-3;
    }
    for (int t = 0; t < T; t++)
        m->time[t] = 1;
}

void made_open(struct made *m, const char *layers, const char *train)
{
    const struct clrnn_log silent = {0};
    char text[1024];

    *m = (struct made){0};
    snprintf(text, sizeof(text), "{model: {layers: [%s]}, train: {%s}}", layers, train);
    assert_int_equal(clrnn_config_parse(&silent, text, NULL, &m->config), CLRNN_OK);
    make_trace(m);
    m->d = (struct clrnn_doctor){
        .config = m->config,
        .params = &m->params,
        .result = &m->result,
        .outputs = K,
        .T = T,
        .batches = S / 16,
        .valid = (struct clrnn_dataset *)&m->valid, // checks only compare the pointer with NULL
    };
    make_scan(&m->train, "train", 1, &m->d.train_scan);
    make_scan(&m->valid, "valid", 2, &m->d.valid_scan);
    m->v = (struct clrnn_examination){
        .d = &m->d,
        .train_rows = S,
        .valid_rows = S,
        .chance = log(2),
        .expected = log(2),
        .start = make_activity(m->time),
        .end = make_activity(m->time),
        .initial_loss = 0.7,
        .initial_norm = 1,
        .overfits = true,
        .overfit_steps = 100,
        .overfit_rows = 16,
        .overfit_first = 0.7,
        .overfit_lowest = 0.005,
        .overfit_last = 0.005,
    };
    m->v.start.worst_saturated = &m->v.start.unit[0];
    m->v.start.worst_dead = &m->v.start.unit[1];
    m->v.end.worst_saturated = &m->v.end.unit[0];
    m->v.end.worst_dead = &m->v.end.unit[1];
    for (int k = 0; k < K; k++)
        m->answered[k] = m->answered_with_order[k] =
            (struct clrnn_class_result){.support = S / 2, .precision = 0.99, .recall = 0.99, .f1 = 0.99};
    m->d.asked = (struct clrnn_trial){
        .ran = true,
        .finite = true,
        .steps = STEPS,
        .wanted = STEPS,
        .loss_kind = m->config->train.loss.kind,
        .train = {.samples = S, .counted = S, .loss = 0.03, .accuracy = 0.99, .classes = K, .per_class = m->answered}};
    m->leak = (struct clrnn_leak){.rows = 8, .others = 56, .most = 1e-7, .scale = 1};
    m->gradient = (struct clrnn_gradient_error){
        .param = "0.weight_ih_l0", .device = "a device", .error = 1e-6, .slope = NAN, .N = 8, .T = T};
    m->entry[0] = (struct clrnn_entry){.param = {.name = "0.weight_ih_l0", .trained = true}};
    m->entry[1] = (struct clrnn_entry){.param = {.name = "2.weight", .trained = true}, .layer = 2};
    m->largest[0] = m->largest[1] = 0.1;
}

// Runs the checks in the order in which the doctor runs them.
void made_judge(struct made *m)
{
    const struct clrnn_model model = {.entry = m->entry, .entry_count = PARAMS};

    clrnn_doctor_check_layers(&m->d);
    clrnn_doctor_check_training(&m->d);
    clrnn_doctor_check_inputs(&m->d);
    clrnn_doctor_check_labels(&m->d);
    assert_int_equal(clrnn_doctor_compare_sets(&m->d), CLRNN_OK);
    clrnn_doctor_check_overlap(&m->d, m->shared);
    clrnn_doctor_check_initial_loss(&m->v);
    clrnn_doctor_check_leak(&m->v, &m->leak);
    clrnn_doctor_check_gradient_error(&m->v, &m->gradient);
    clrnn_doctor_check_zero_gradient(&m->v, &model, m->largest);
    clrnn_doctor_report_overfit(&m->v, clrnn_trace_went_well(&m->v, &m->trace));
    clrnn_doctor_check_trace(&m->v, &m->trace);
    clrnn_doctor_check_answers(&m->v, &m->trace);
    clrnn_doctor_check_quality(&m->v, &m->trace);
    assert_int_equal(m->d.status, CLRNN_OK);
}

void made_close(struct made *m)
{
    clrnn_doctor_finish(&m->result);
    clrnn_config_destroy(&m->config);
}
