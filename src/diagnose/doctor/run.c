// SPDX-License-Identifier: MIT
// Runs stages 2 and 3, which examine the model itself: creates it, probes it and trains it for a short time.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "base/random.h"
#include "diagnose/doctor/run.h"
#include "diagnose/constant.h"
#include "diagnose/doctor/trial.h"

#define PROBE_ROWS 128u
#define PROBE_VALUES 4000000u // maximum number of values of X in a probe

static enum clrnn_status prepare(struct clrnn_examination *v)
{
    struct clrnn_doctor *d = v->d;
    const struct clrnn_train_config *t = &d->config->train;
    const struct clrnn_dataset_info *info = clrnn_dataset_info(d->train);
    const struct clrnn_random r = {t->seed, RANDOM_PROBE, 0, 0};
    struct clrnn_session_params training = {.feed = {.shuffle = t->shuffle}};
    struct clrnn_session_params probe = {.feed = {.keep_tensors = true}};
    const size_t width = MAX2((size_t)info->T * MAX2(info->C, 1u), 1);
    const uint32_t most = (uint32_t)MAX2(PROBE_VALUES / width, 8);
    const uint32_t batch = MIN2(MAX2(t->batch_size, 1u), info->S);
    const uint32_t rows = MIN2(info->S, MIN2(MAX2(PROBE_ROWS, batch), MAX2(most, batch)));

    v->train_rows = info->S;
    v->valid_rows = d->valid ? clrnn_dataset_info(d->valid)->S : 0;
    v->probe_rows = rows;
    v->eval_rows = MAX2(batch, rows);
    v->data =
        (struct clrnn_data_sets){.train = d->train, .valid = d->valid, .batch = batch, .batches = MAX2(d->batches, 1)};
    // stage 1 reported a last batch that batchnorm cannot process; the other batches are still examined
    v->drop_last = t->drop_last || (info->S > batch && info->S % batch == 1 &&
                                    clrnn_doctor_found(d, CLRNN_FINDING_BATCH_OF_ONE_BATCHNORM));
    v->chance = clrnn_constant_loss(d->config, d->train_scan.classes, d->train_scan.count, d->train_scan.weight,
                                    d->train_scan.y_variance);
    v->expected = t->loss.kind == CLRNN_LOSS_CROSS_ENTROPY ? log(fmax(d->outputs, 2))
                  : t->loss.kind == CLRNN_LOSS_MSE         ? d->train_scan.y_square
                                                           : NAN;
    if (t->loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS)
        clrnn_doctor_label_baseline(v);
    if (t->loss.kind == CLRNN_LOSS_CTC)
        TRY(clrnn_ctc_constant_loss(d->log, d->config, d->train, d->outputs, &v->chance, &v->expected));
    if (clrnn_loss_is_regression(t->loss.kind) && (t->loss.kind != CLRNN_LOSS_MSE || info->targets > 1))
        TRY(clrnn_target_baseline(d->log, &t->loss, d->train, &v->chance, &v->expected));
    TRY(clrnn_doctor_label_floor(v, d->train, &v->floor));
    d->chance = v->chance;
    v->rows = malloc(info->S * sizeof(*v->rows));
    if (!v->rows)
        return clrnn_error_memory(d->log, info->S * sizeof(*v->rows), "the doctor's rows");
    clrnn_random_permutation(&r, info->S, v->rows);
    training.feed.drop_last = v->drop_last;
    TRY(clrnn_doctor_session(v, d->device, training, &v->session));
    probe.model = v->session->model;
    probe.view = (struct clrnn_view){.row = v->rows, .count = MIN2(MAX2(info->S / rows, 1u), 4u) * rows};
    probe.feed.batch_size = rows;
    return clrnn_doctor_session(v, d->device, probe, &v->probe);
}

// Moves the gradient norms from *a to *d, where the HTML page, which is written at the end, finds them. `when`: 0
// before the short training, 1 after it.
static void keep_gradients(struct clrnn_doctor *d, struct clrnn_activity *a, size_t when)
{
    d->gradient[when].layer = a->layer_norm;
    d->gradient[when].time = a->time;
    d->gradient[when].T = a->time ? a->T : 0;
    a->layer_norm = a->time = NULL;
}

enum clrnn_status clrnn_doctor_run_model(struct clrnn_doctor *d)
{
    struct clrnn_examination v = {.d = d};
    enum clrnn_status st = prepare(&v);

    if (st == CLRNN_OK)
        st = clrnn_doctor_probe(&v);
    if (st == CLRNN_OK && !clrnn_doctor_stopped(d))
        st = clrnn_doctor_overfit(&v);
    if (st == CLRNN_OK && !d->params->no_train && !v.no_gradient && !clrnn_doctor_stopped(d)) {
        st = clrnn_doctor_train(&v);
    } else if (st == CLRNN_OK) {
        clrnn_doctor_report_overfit(&v, false);
        clrnn_doctor_check_dead(&v, true, 0);
    }
    if (st == CLRNN_OK && v.no_gradient && !d->params->no_train) { // training would not change the model
        d->asked = (struct clrnn_trial){.finite = true, .loss_kind = d->config->train.loss.kind};
        st = clrnn_trial_judge(d, v.session->model, d->train, d->valid, &d->asked);
    }
    if (st == CLRNN_OK)
        st = clrnn_doctor_plot(&v);
    keep_gradients(d, &v.start, 0);
    keep_gradients(d, &v.end, 1);
    clrnn_activity_finish(&v.start);
    clrnn_activity_finish(&v.end);
    clrnn_session_close(&v.probe);
    clrnn_session_close(&v.session);
    free(v.rows);
    free(v.data.mean);
    return st == CLRNN_OK ? d->status : st;
}
