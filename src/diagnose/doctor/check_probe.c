// SPDX-License-Identifier: MIT
// Stage 2: checks that need only a few passes: the first loss, zero gradients, samples that affect other samples of
// their batch, and overfitting one batch.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "diagnose/doctor/run.h"
#include "model/nest.h"
#include "model/network.h"

#define OVERFIT_STEPS 600u
#define ZERO_STEPS 5u // number of steps after which parameters without a gradient so far are reported
#define OVERFIT_TARGET 0.01
#define NAMES_SHOWN 6u

// ---------------------------------------------------------------- the first loss

void clrnn_doctor_excuse(struct clrnn_examination *v, double trained)
{
    struct clrnn_doctor_result *r = v->d->result;

    for (size_t i = 0; i < r->count && trained < clrnn_doctor_loss_at(v, clrnn_threshold.harmless); i++) {
        struct clrnn_finding *f = &r->finding[i];
        const bool slight =
            f->id == clrnn_finding_table[CLRNN_FINDING_INITIAL_LOSS_OFF].id && v->initial_loss < 5 * v->expected;
        const bool by_token =
            f->id == clrnn_finding_table[CLRNN_FINDING_PADDING_IN_FRONT].id && f->severity == CLRNN_SEVERITY_WARNING;

        if (slight || by_token)
            f->severity = CLRNN_SEVERITY_NOTE;
    }
}

void clrnn_doctor_check_initial_loss(struct clrnn_examination *v)
{
    struct clrnn_doctor *d = v->d;
    const double loss = v->initial_loss, expected = v->expected;

    // a NaN is explained by labels-all-ignored: if no label of the batch counts, the loss is 0 / 0
    if (!isfinite(expected) || (isnan(loss) && clrnn_doctor_found(d, CLRNN_FINDING_LABELS_ALL_IGNORED)))
        return;
    if (!isfinite(loss)) {
        clrnn_doctor_finding(d, CLRNN_FINDING_LOSS_NOT_FINITE, CLRNN_SEVERITY_ERROR);
        clrnn_doctor_where(d, "the first batch");
        clrnn_doctor_evidence(d, "the loss is %g before any training, expected about %.4g", loss, expected);
        clrnn_doctor_cost(d, "no step can be made from there");
        clrnn_doctor_remedy(d, "check the initial weights and the scale of the inputs (data.normalize=standard)");
        return;
    }
    if (loss <= clrnn_threshold.initial_loss * expected + clrnn_threshold.initial_slack * fmax(v->chance, 0))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_INITIAL_LOSS_OFF, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "the first batches");
    clrnn_doctor_evidence(d, "before any training the loss is %.4g; an answer that prefers nothing has %.4g", loss,
                          expected);
    if (d->config->train.loss.kind == CLRNN_LOSS_CROSS_ENTROPY)
        clrnn_doctor_evidence(d, " (ln %u)", d->outputs);
    clrnn_doctor_remedy(d, d->params->init ? "check the weights in the --init file, above all the last layer's scale"
                                           : "scale the inputs (data.normalize=standard), or the targets for mse");
}

// ---------------------------------------------------------------- gradients that are zero

// Raises each element of most [entry_count] to the largest |gradient| of that parameter, if it is larger. NaN counts as
// infinite.
static enum clrnn_status largest_gradients(struct clrnn_model *m, double *most)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct clrnn_param *p = &m->entry[i].param;
        double *g;

        if (!p->trained)
            continue;
        TRY(clrnn_doctor_read_grad(m, i, &g));
        for (size_t k = 0; k < p->count; k++)
            most[i] = fmax(most[i], isnan(g[k]) ? INFINITY : fabs(g[k]));
        free(g);
    }
    return CLRNN_OK;
}

// Whether another finding already explains why this parameter has no gradient.
static bool explained(const struct clrnn_examination *v, const struct clrnn_entry *e)
{
    const struct clrnn_config *c = v->d->config;
    const char *name = strrchr(e->param.name, '.');

    if (!name || !clrnn_layer_is_recurrent(&c->layer[e->layer]) ||
        (strncmp(name, ".weight_hh", 10) && strncmp(name, ".gamma_hh", 9)))
        return false;
    if (clrnn_layers_steps(c, e->layer, v->d->T) == 1 || v->d->train_scan.longest == 1)
        return true;
    return clrnn_doctor_found(v->d, CLRNN_FINDING_POOL_IGNORES_SEQUENCE) && strstr(name, "_reverse");
}

void clrnn_doctor_check_zero_gradient(struct clrnn_examination *v, const struct clrnn_model *m, const double *most)
{
    struct clrnn_doctor *d = v->d;
    size_t trained = 0, zero = 0, shown = 0, hidden = 0;

    for (size_t i = 0; i < m->entry_count; i++) {
        trained += m->entry[i].param.trained;
        zero += m->entry[i].param.trained && most[i] == 0;
        hidden += m->entry[i].param.trained && most[i] == 0 && explained(v, &m->entry[i]);
    }
    // all relus may be 0 on this batch, although other batches have a gradient
    v->batch_is_off = trained && zero == trained && v->start.norm > 0;
    if (v->batch_is_off)
        return;
    v->no_gradient = trained && zero == trained;
    if (!zero || zero == hidden)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_ZERO_GRADIENT, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "model parameters");
    clrnn_doctor_evidence(d, "%zu of %zu parameters have gradient exactly 0, at the start and after %u steps:", zero,
                          trained, ZERO_STEPS);
    for (size_t i = 0; i < m->entry_count && shown < NAMES_SHOWN; i++)
        if (m->entry[i].param.trained && most[i] == 0)
            clrnn_doctor_evidence(d, "%s %s", shown++ ? "," : "", m->entry[i].param.name);
    if (zero > shown)
        clrnn_doctor_evidence(d, ", ...");
    if (d->gradient_blocked)
        clrnn_doctor_evidence(d, "; the round above them lets none through");
    clrnn_doctor_cost(d, v->no_gradient ? "nothing is learnt at all: the loss stands still whatever the lr"
                                        : "these parameters stay what they were drawn");
    clrnn_doctor_remedy(d, d->gradient_blocked ? "take the round out of model.layers"
                           : clrnn_doctor_found(d, CLRNN_FINDING_NORM_OF_ONE_VALUE)
                               ? "mend norm-of-one-value, which lets none through"
                           : v->start.worst_dead && v->start.worst_dead->dead >= clrnn_threshold.dead
                               ? "the relu units above them are never on: start from other weights, or use `tanh`"
                               : "look for a layer above them whose output does not depend on its input");
}

// ---------------------------------------------------------------- effects of other rows of a batch

void clrnn_doctor_check_leak(struct clrnn_examination *v, const struct clrnn_leak *leak)
{
    struct clrnn_doctor *d = v->d;
    char text[CLRNN_ENTRY_SIZE];
    uint32_t named = 0;

    if (!leak->others || !(leak->most > clrnn_threshold.leak_output * fmax(leak->scale, 1e-6)))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_BATCH_LEAK, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "eval mode");
    clrnn_doctor_evidence(
        d,
        "the outputs of the same %u rows move by up to %.3g (largest output %.3g) when %u other rows share "
        "their batch",
        leak->rows, leak->most, leak->scale, leak->others);
    for (size_t i = 0; i < d->config->layer_count; i++) {
        const struct clrnn_layer *l = &d->config->layer[i];

        if (l->kind != CLRNN_LAYER_BATCHNORM || l->track_running_stats)
            continue;
        clrnn_doctor_evidence(d, "; layers[%s] (batchnorm) has track_running_stats: false and normalises by the batch",
                              clrnn_layer_path(d->config, i, text, sizeof(text)));
        clrnn_doctor_remedy(d, "%s %s.batchnorm.track_running_stats=true",
                            named++ ? "" : "keep running statistics:", clrnn_layer_entry(d->config, i, text));
        clrnn_doctor_set_layer(d, i, "track_running_stats=true");
        clrnn_doctor_set_layer(d, i, "momentum=0.1");
    }
}

static enum clrnn_status predict(struct clrnn_examination *v, uint32_t count, float *out)
{
    struct clrnn_session *s;
    enum clrnn_status st;

    TRY(clrnn_doctor_session(v, v->d->device,
                             (struct clrnn_session_params){.model = v->session->model,
                                                           .view = {.row = v->rows, .count = count},
                                                           .feed = {.batch_size = count}},
                             &s));
    st = clrnn_session_queue(s, CLRNN_MODE_PREDICT, 0);
    if (st == CLRNN_OK)
        st = clrnn_plan_read_output(s->plan, out);
    clrnn_session_close(&s);
    return st;
}

// Compares the eval-mode outputs of up to 8 rows in a batch of their own with the outputs of the same rows in a batch
// with other rows.
static enum clrnn_status measure_leak(struct clrnn_examination *v, struct clrnn_leak *leak)
{
    const uint32_t n = MIN2(v->train_rows, 8u), all = MIN2(v->eval_rows, v->train_rows);
    const size_t T = v->session->model->per_step ? clrnn_dataset_output_steps(v->d->train, v->d->T) : 1,
                 width = T * v->session->model->outputs;
    float *alone = malloc((n + all) * width * sizeof(*alone)), *together = alone + n * width;
    enum clrnn_status st;

    *leak = (struct clrnn_leak){.rows = n, .others = all - n};
    if (!alone)
        return clrnn_error_memory(v->d->log, (n + all) * width * sizeof(*alone), "a probe");
    st = predict(v, n, alone);
    if (st == CLRNN_OK)
        st = predict(v, all, together);
    for (size_t i = 0; st == CLRNN_OK && i < n * width; i++) {
        leak->most = fmax(leak->most, fabs((double)alone[i] - together[i]));
        leak->scale = fmax(leak->scale, fabs((double)alone[i]));
    }
    free(alone);
    return st;
}

enum clrnn_status clrnn_doctor_probe(struct clrnn_examination *v)
{
    struct clrnn_leak leak;

    TRY(clrnn_activity_measure(v, &v->start));
    v->initial_loss = v->start.loss;
    v->initial_norm = v->start.norm;
    clrnn_log(v->d->log, CLRNN_LOG_DEBUG,
              "first loss %.6g, gradient norm %.4g, layers %zu: %.4g, %zu: %.4g; expected "
              "loss %.6g, best constant answer %.6g",
              v->start.loss, v->start.norm, v->start.first_layer, v->start.first_norm, v->start.last_layer,
              v->start.last_norm, v->expected, v->chance);
    clrnn_doctor_check_initial_loss(v);
    TRY(measure_leak(v, &leak));
    clrnn_doctor_check_leak(v, &leak);
    return clrnn_doctor_check_gradient(v);
}

// ---------------------------------------------------------------- overfitting one batch

struct overfit {
    struct clrnn_dataset *batch;
    struct clrnn_session *session;
    struct clrnn_session *probe; // shares the model of `session`, runs the same batch, and keeps tensors
    double *loss;                // loss of each step
    double *most;                // [entry_count] largest |gradient| of each parameter so far
};

static double mean_of(const double *x, size_t from, size_t to)
{
    double sum = 0;

    for (size_t i = from; i < to; i++)
        sum += x[i];
    return sum / (double)MAX2(to - from, 1);
}

static void conclude_overfit(struct clrnn_examination *v, const struct overfit *o)
{
    const uint32_t n = v->overfit_steps;
    const size_t eighth = n / 8;
    const double last = mean_of(o->loss, n - eighth, n), before = mean_of(o->loss, n - 2 * eighth, n - eighth);

    v->overfit_last = o->loss[n - 1];
    v->overfit_still = n >= 40 && last > (1 - clrnn_threshold.overfit_still) * before;
}

static bool has_dropout(const struct clrnn_config *c)
{
    for (size_t i = 0; i < c->layer_count; i++)
        if ((c->layer[i].kind == CLRNN_LAYER_DROPOUT && c->layer[i].p > 0) || c->layer[i].recurrent_dropout > 0 ||
            (c->layer[i].dropout > 0 && c->layer[i].num_layers > 1))
            return true;
    return false;
}

void clrnn_doctor_report_overfit(struct clrnn_examination *v, bool harmless)
{
    struct clrnn_doctor *d = v->d;
    const double start = fmax(v->chance, v->overfit_first);

    if (!v->overfit_steps || isnan(v->overfit_first)) // NaN: no label of the batch counts, or the loss begins as NaN
        return;
    if (!v->no_gradient &&
        (v->overfits || !v->overfit_still ||
         v->overfit_lowest - v->overfit_floor < clrnn_threshold.overfit_share * (start - v->overfit_floor)))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CANNOT_OVERFIT_ONE_BATCH,
                         harmless ? CLRNN_SEVERITY_NOTE : CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "one batch of %u samples", v->overfit_rows);
    clrnn_doctor_evidence(d,
                          "%u steps on the same batch bring the loss from %.4g to %.4g (lowest %.4g), where it stands",
                          v->overfit_steps, v->overfit_first, v->overfit_last, v->overfit_lowest);
    if (v->no_gradient)
        clrnn_doctor_evidence(d, ": no parameter has a gradient%s",
                              has_dropout(d->config) ? ", what moves is dropout" : "");
    else if (v->batch_is_off)
        clrnn_doctor_evidence(d, ": on this batch no parameter has a gradient%s",
                              v->start.worst_dead ? ", as where relu units are off for all of its samples" : "");
    if (harmless) {
        clrnn_doctor_evidence(d, "; over all rows it learns well enough");
        clrnn_doctor_cost(d, "nothing, where rows are noisy or the net is meant to be small");
        clrnn_doctor_remedy(d, "more units, if more is wanted");
        return;
    }
    clrnn_doctor_cost(d, "a net that cannot learn %u samples by heart will not learn all", v->overfit_rows);
    if (!v->no_gradient)
        clrnn_doctor_blame_linear(d);
}

static enum clrnn_status overfit_steps(struct clrnn_examination *v, struct overfit *o, double seconds)
{
    const double target = fmax(v->overfit_floor + 0.02, OVERFIT_TARGET);
    struct clrnn_session_record r;
    double lowest = INFINITY, until = INFINITY;
    uint32_t i = 0;

    TRY(clrnn_doctor_again(o->probe, CLRNN_MODE_GRADIENT, &r));
    TRY(largest_gradients(o->session->model, o->most));
    v->overfit_first = r.loss;
    while (i < OVERFIT_STEPS && clrnn_clock() < until && !clrnn_doctor_stopped(v->d)) {
        TRY(clrnn_doctor_again(o->session, CLRNN_MODE_TRAIN, &r));
        o->loss[i++] = r.loss;
        lowest = fmin(lowest, r.loss);
        if (i == ZERO_STEPS) {
            TRY(clrnn_doctor_again(o->probe, CLRNN_MODE_GRADIENT, &r));
            TRY(largest_gradients(o->session->model, o->most));
            clrnn_doctor_check_zero_gradient(v, o->session->model, o->most);
            until = clrnn_clock() + seconds; // the time limit starts here, since the kernels are now built
        }
        if (i >= ZERO_STEPS && (r.loss < target || !isfinite(r.loss)))
            break;
        if (v->no_gradient && i >= 40)
            break; // without a gradient no step changes anything
    }
    v->overfit_steps = i;
    v->overfit_lowest = lowest;
    v->overfits = lowest < target || lowest - v->overfit_floor < 0.05 * (v->chance - v->overfit_floor);
    clrnn_log(v->d->log, CLRNN_LOG_DEBUG, "one batch of %u: loss %.6g to %.6g, lowest %.6g, in %u steps",
              v->overfit_rows, v->overfit_first, o->loss[MAX2(i, 1u) - 1], lowest, i);
    return CLRNN_OK;
}

static enum clrnn_status overfit(struct clrnn_examination *v, struct overfit *o)
{
    struct clrnn_session_params params = {.set = o->batch, .feed = {.batch_size = v->overfit_rows}};

    TRY(clrnn_doctor_session(v, v->d->device, params, &o->session));
    params.model = o->session->model;
    params.feed.keep_tensors = true;
    TRY(clrnn_doctor_session(v, v->d->device, params, &o->probe));
    o->loss = malloc(OVERFIT_STEPS * sizeof(*o->loss));
    o->most = calloc(MAX2(o->session->model->entry_count, 1), sizeof(*o->most));
    if (!o->loss || !o->most)
        return clrnn_error_memory(v->d->log, OVERFIT_STEPS * sizeof(*o->loss), "learning a batch by heart");
    TRY(overfit_steps(v, o, 0.2 * v->d->seconds));
    if (v->overfit_steps)
        conclude_overfit(v, o);
    return CLRNN_OK;
}

enum clrnn_status clrnn_doctor_overfit(struct clrnn_examination *v)
{
    struct overfit o = {.batch = NULL};
    enum clrnn_status st = clrnn_data_sets_first_batch(v->d->log, v->d->config, &v->data, 0, &o.batch);

    v->overfit_rows = v->data.batch;
    if (st == CLRNN_OK)
        st = clrnn_doctor_label_floor(v, o.batch, &v->overfit_floor);
    if (st == CLRNN_OK)
        st = overfit(v, &o);
    clrnn_session_close(&o.probe);
    clrnn_session_close(&o.session);
    clrnn_dataset_close(&o.batch);
    free(o.loss);
    free(o.most);
    return st;
}
