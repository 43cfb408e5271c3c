// SPDX-License-Identifier: MIT
// Stages 2 and 3: the model itself, from its making to the short training.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "base/random.h"
#include "diagnose/doctor/run.h"

#define PROBE_ROWS 128u
#define PROBE_VALUES 4000000u // of X in a probe

static double expected_loss(const struct clrnn_doctor *d)
{
    const struct clrnn_loss_config *l = &d->config->train.loss;
    const struct clrnn_scan *s = &d->train_scan;

    switch (l->kind) {
    case CLRNN_LOSS_CROSS_ENTROPY:
        return log(fmax(d->outputs, 2));
    case CLRNN_LOSS_NLL:
        return NAN;
    case CLRNN_LOSS_BCE_WITH_LOGITS: {
        const double ones = (double)s->count[1] / fmax((double)(s->count[0] + s->count[1]), 1);

        return log(2) * (1 - ones + ones * (l->weight ? l->weight[0] : 1));
    }
    case CLRNN_LOSS_MSE:
        break;
    }
    return s->y_square;
}

static enum clrnn_status prepare(struct clrnn_examination *v)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_dataset_info *info = clrnn_dataset_info(d->train);
    const struct clrnn_random r = {d->config->train.seed, RANDOM_PROBE, 0, 0};
    const size_t width = MAX2((size_t)info->T * MAX2(info->C, 1u), 1);
    const uint32_t most = (uint32_t)MAX2(PROBE_VALUES / width, 8);
    const uint32_t batch = MIN2(MAX2(d->config->train.batch_size, 1u), info->S);
    const uint32_t rows = MIN2(info->S, MIN2(MAX2(PROBE_ROWS, batch), MAX2(most, batch)));

    v->train_rows = info->S;
    v->valid_rows = d->valid ? clrnn_dataset_info(d->valid)->S : 0;
    v->train.set = d->train;
    v->valid.set = d->valid;
    v->lengths = info->has_lengths;
    v->chance = trial_constant_loss(d->config, d->train_scan.classes, d->train_scan.count,
                                    d->train_scan.y_std * d->train_scan.y_std);
    v->expected = expected_loss(d);
    v->rows = malloc(info->S * sizeof(*v->rows));
    if (!v->rows)
        return clrnn_error_memory(d->log, info->S * sizeof(*v->rows), "the doctor's rows");
    clrnn_random_permutation(&r, info->S, v->rows);
    v->params = (struct trial_params){.device = d->device,
                                      .config = d->config,
                                      .train = d->train,
                                      .init = d->params->init,
                                      .batches = MAX2(d->batches, 1),
                                      .room = MAX2(batch, rows)};
    if (d->config->data.standard && !info->tokens) {
        v->moments = malloc(2 * (size_t)info->C * sizeof(*v->moments));
        if (!v->moments)
            return clrnn_error_memory(d->log, 2 * (size_t)info->C * sizeof(*v->moments), "data.normalize");
        TRY(clrnn_dataset_moments(d->train, v->moments, v->moments + info->C));
        v->params.mean = v->moments;
        v->params.std = v->moments + info->C;
    }
    TRY(trial_create(&v->params, &v->trial));
    return probe_create(v->trial.model, rows, info->T, info->has_lengths, &v->probe);
}

enum clrnn_status clrnn_doctor_run_model(struct clrnn_doctor *d)
{
    struct clrnn_examination v = {.d = d};
    enum clrnn_status st = prepare(&v);

    if (st == CLRNN_OK)
        st = clrnn_doctor_probe(&v);
    if (st == CLRNN_OK && !clrnn_doctor_stopped(d))
        st = clrnn_doctor_overfit(&v);
    if (st == CLRNN_OK && !d->params->no_train && !v.no_gradient && !clrnn_doctor_stopped(d))
        st = clrnn_doctor_train(&v);
    else if (st == CLRNN_OK)
        clrnn_doctor_report_overfit(&v, false);
    if (st == CLRNN_OK)
        st = clrnn_doctor_plot(&v);
    clrnn_activity_finish(&v.start);
    clrnn_activity_finish(&v.end);
    probe_finish(&v.probe);
    trial_finish(&v.trial);
    free(v.rows);
    free(v.moments);
    return st == CLRNN_OK ? d->status : st;
}
