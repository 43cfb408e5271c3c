// SPDX-License-Identifier: MIT
// Detects during a run that the run does not learn, from records that the loop reads anyway.
#include "train/watch.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "model/layer.h"
#include "model/schedule.h"

// Thresholds are set so that healthy runs give no warning. Values after "healthy", "failed" and "with faults" were
// measured in healthy runs and in runs with planted faults. "doctor": the threshold of `clrnn doctor`, which is
// stricter since the doctor examines more evidence.
#define FIRST_STEPS 10u      // steps whose mean loss counts as the loss at the start
#define STILL_STEPS 20u      // consecutive steps with a gradient of exactly 0
#define LEARNT_LOSS 1e-3     // below this loss a gradient of 0 means success
#define EXPLODED_NORM 1e6    // gradient norm; healthy: 199, with faults: from 4e6 on; doctor: 1e3
#define HALF_ULP 5.96e-8     // float32 has 24 bits: a relative change under 2^-24 rounds away
#define TINY_LR 1e-6         // lr below which weights are checked: about half an ulp of a weight of 16
#define LAST_PART 0.8        // after this fraction of a run's steps, a tiny lr of a schedule is intended
#define LARGE_UPDATE 0.2     // update / weight per step; healthy: 0.059, failed: from 0.105 on; doctor: 0.08
#define FLAT_SHARE 0.98      // a loss from this fraction of idle_loss on is flat; doctor: 0.97, healthy 0.3 there
#define FLAT_EPOCHS 3u       // epochs before a run can count as flat
#define FLAT_STEPS 100u      // steps before a run can count as flat
#define FLAT_PART 0.4        // fraction of steps before a run can be flat; healthy runs leave a plateau by 0.3
#define FLAT_PART_RISING 0.6 // the same if the lr begins low: healthy runs leave the plateau by 0.5
#define FLAT_IN_A_ROW 2u     // consecutive flat epochs to warn; measured loss / idle_loss: healthy 0.77, flat 0.99+
#define FLAT_ACCURACY 0.03   // a run this far above the accuracy of the best constant answer is not flat
#define LOST_SHARE 1e-4      // variance / mean square of targets below which float32 sums lose the variance
#define MOST_SAMPLED 16384u  // weights that are examined per matrix

static CLRNN_PRINTF(3, 4) void tell(struct clrnn_watch *w, enum clrnn_finding_kind finding, const char *format, ...)
{
    char what[400];
    va_list arguments;

    if (w->told[finding])
        return;
    w->told[finding] = true;
    va_start(arguments, format);
    vsnprintf(what, sizeof(what), format, arguments);
    va_end(arguments);
    clrnn_log(w->log, CLRNN_LOG_WARNING, "%s: %s; `clrnn doctor %s%s` explains", clrnn_finding_table[finding].id, what,
              w->config->path ? w->config->path : w->folder, w->config->path ? "" : "/config.yaml");
}

// ---------------------------------------------------------------- before the run

// Computes loss and accuracy of the best constant answer. Both stay NaN (unknown) for regression and ctc. The loss also
// stays NaN if the loss or the samples have weights, or if labels are smoothed.
static enum clrnn_status find_constant(struct clrnn_watch *w, const struct clrnn_dataset *train)
{
    const struct clrnn_loss_config *loss = &w->config->train.loss;
    const uint32_t classes = clrnn_dataset_info(train)->classes;
    uint64_t *counts, total = 0, most = 0;
    enum clrnn_status st;

    if (clrnn_loss_is_regression(loss->kind) || loss->kind == CLRNN_LOSS_CTC || !classes)
        return CLRNN_OK;
    counts = calloc(classes, sizeof(*counts));
    if (!counts)
        return clrnn_error_memory(w->log, classes * sizeof(*counts), "class counts");
    st = clrnn_dataset_class_counts(train, counts);
    for (uint32_t k = 0; k < classes; k++) {
        total += counts[k];
        most = MAX2(most, counts[k]);
    }
    if (st == CLRNN_OK && total) {
        w->most = (double)most / (double)total;
        if (!loss->weight && !loss->label_weight && !loss->label_smoothing && !w->weighted)
            w->constant = 0.0;
        for (uint32_t k = 0; k < classes; k++)
            if (counts[k])
                w->constant -= (double)counts[k] / (double)total * log((double)counts[k] / (double)total);
    }
    free(counts);
    return st;
}

enum clrnn_status clrnn_watch_init(struct clrnn_watch *w, bool on, const struct clrnn_model *model,
                                   const struct clrnn_dataset *train, const char *folder, uint64_t batches,
                                   uint64_t steps)
{
    *w = (struct clrnn_watch){
        .on = on,
        .log = model->log,
        .config = model->config,
        .folder = folder,
        .resumed = steps > 0,
        .weighted = clrnn_dataset_info(train)->has_weights,
        .steps = steps,
        .total = batches * model->config->train.epochs,
        .constant = NAN,
        .most = NAN,
        .ratio = NAN,
    };
    return on ? find_constant(w, train) : CLRNN_OK;
}

void clrnn_watch_finish(struct clrnn_watch *w)
{
    free(w->sample);
    w->sample = NULL;
}

// ---------------------------------------------------------------- steps

void clrnn_watch_step(struct clrnn_watch *w, const double record[RECORD_FIELDS], double loss, double lr)
{
    const double norm = record[RECORD_NORM];

    if (!w->on)
        return;
    w->steps++;
    w->last_lr = lr;
    if (record[RECORD_WEIGHT] == 0.0)
        return; // no label counts in the loss: it is NaN and the gradient 0, as in PyTorch
    if (!isfinite(loss)) {
        tell(w, CLRNN_FINDING_LOSS_NOT_FINITE, "the loss of step %llu is %s", (unsigned long long)w->steps,
             isnan(loss) ? "NaN" : "infinite");
        return;
    }
    if (!(norm <= EXPLODED_NORM) && !w->told[CLRNN_FINDING_LOSS_NOT_FINITE])
        tell(w, CLRNN_FINDING_EXPLODING_GRADIENT, "the gradient's norm is %.3g in step %llu", norm,
             (unsigned long long)w->steps);
    w->still = norm == 0.0 && fabs(loss) > LEARNT_LOSS ? w->still + 1 : 0;
    if (w->still >= STILL_STEPS)
        tell(w, CLRNN_FINDING_ZERO_GRADIENT, "the gradient is exactly 0 in steps %llu to %llu, loss %.4g",
             (unsigned long long)(w->steps + 1 - w->still), (unsigned long long)w->steps, loss);
    w->y += record[RECORD_Y];
    w->yy += record[RECORD_YY];
    w->count += record[RECORD_COUNT];
    if (!w->resumed && w->first_count < FIRST_STEPS)
        w->first_loss += (loss - w->first_loss) / ++w->first_count;
}

// ---------------------------------------------------------------- weights

static bool is_matrix(const struct clrnn_entry *e)
{
    return e->param.trained && e->param.ndim == 2;
}

// Copies the first MOST_SAMPLED weights of each matrix, *count numbers in total, into new memory.
static enum clrnn_status sample_weights(const struct clrnn_watch *w, const struct clrnn_model *m, float **values,
                                        size_t *count)
{
    size_t at = 0;

    *count = 0;
    for (size_t i = 0; i < m->entry_count; i++)
        if (is_matrix(&m->entry[i]))
            *count += MIN2(m->entry[i].param.count, (size_t)MOST_SAMPLED);
    *values = malloc(MAX2(*count, 1u) * sizeof(**values));
    if (!*values)
        return clrnn_error_memory(w->log, *count * sizeof(**values), "the watch");
    for (size_t i = 0; i < m->entry_count; i++) {
        const size_t part = MIN2(m->entry[i].param.count, (size_t)MOST_SAMPLED);
        enum clrnn_status st;

        if (!is_matrix(&m->entry[i]))
            continue;
        st = clrnn_buffer_read_f32(m->entry[i].value, 0, part, *values + at);
        if (st != CLRNN_OK) {
            free(*values);
            *values = NULL;
            return st;
        }
        at += part;
    }
    return CLRNN_OK;
}

static double root_mean_square(const float *a, const float *b, size_t count)
{
    double sum = 0.0;

    for (size_t i = 0; i < count; i++)
        sum += ((double)a[i] - (b ? b[i] : 0.0f)) * ((double)a[i] - (b ? b[i] : 0.0f));
    return sqrt(sum / (double)MAX2(count, 1u));
}

// Computes the root mean square of each matrix's sampled weights. Returns the smallest.
static double smallest_scale(const struct clrnn_model *m, const float *values)
{
    double least = INFINITY;
    size_t at = 0;

    for (size_t i = 0; i < m->entry_count; i++) {
        const size_t part = MIN2(m->entry[i].param.count, (size_t)MOST_SAMPLED);

        if (!is_matrix(&m->entry[i]))
            continue;
        least = fmin(least, root_mean_square(values + at, NULL, part));
        at += part;
    }
    return least;
}

// Returns whether the lr rises from its first value, which may be tiny (warm-up).
static bool lr_rises(const struct clrnn_scheduler_config *c)
{
    return c->kind == CLRNN_SCHEDULER_ONE_CYCLE_LR ||
           (c->kind == CLRNN_SCHEDULER_LINEAR_LR && c->start_factor < c->end_factor);
}

// Returns whether a tiny lr is followed by larger ones: cosine_annealing_lr rises again after T_max.
static bool lr_comes_back(const struct clrnn_scheduler_config *c)
{
    return lr_rises(c) || c->kind == CLRNN_SCHEDULER_COSINE_ANNEALING_LR;
}

// Returns the lr to check: the lr of the last step or, if a tiny lr is followed by larger ones, the schedule's largest.
static double lasting_lr(const struct clrnn_watch *w)
{
    const struct clrnn_train_config *train = &w->config->train;
    const struct clrnn_scheduler_config *c = &train->scheduler;
    const double factor = c->kind == CLRNN_SCHEDULER_LINEAR_LR ? c->end_factor : 1.0;

    return lr_comes_back(c) ? factor * clrnn_schedule_peak(train) : w->last_lr;
}

// Returns the finding that says why the lr is tiny: because of the lr itself or because of its schedule.
static enum clrnn_finding_kind lost_lr(const struct clrnn_watch *w)
{
    const struct clrnn_scheduler_config *scheduler = &w->config->train.scheduler;

    return scheduler->kind == CLRNN_SCHEDULER_NONE || lr_comes_back(scheduler) ? CLRNN_FINDING_LR_OUT_OF_RANGE
           : scheduler->per_batch                                              ? CLRNN_FINDING_SCHEDULER_PER_BATCH
                                                                               : CLRNN_FINDING_SCHEDULE_EXHAUSTED;
}

// Returns whether weights must be read to check the lr: the lr is below TINY_LR and below half of the lr checked last.
// SGD is not checked, because its updates depend on the gradient (updates of Adam and RMSprop are about lr). The end of
// the run is not checked, because a schedule that decays to a tiny lr there is intended.
static bool lr_may_be_lost(const struct clrnn_watch *w)
{
    const double lr = lasting_lr(w);

    return w->config->train.optimizer.kind != CLRNN_OPTIMIZER_SGD && !w->told[lost_lr(w)] && w->steps && lr < TINY_LR &&
           (w->asked_lr == 0.0 || lr < 0.5 * w->asked_lr) && (double)w->steps < LAST_PART * (double)w->total;
}

static enum clrnn_status look_at_lr(struct clrnn_watch *w, const struct clrnn_model *m)
{
    double scale;
    float *values;
    size_t count;

    TRY(sample_weights(w, m, &values, &count));
    scale = smallest_scale(m, values);
    free(values);
    w->asked_lr = lasting_lr(w);
    if (isfinite(scale) && w->asked_lr < HALF_ULP * scale)
        tell(w, lost_lr(w),
             "the lr is %.2g in step %llu of %llu, under half a float32 ulp of weights of %.2g: updates "
             "round to nothing",
             w->asked_lr, (unsigned long long)w->steps, (unsigned long long)w->total, scale);
    return CLRNN_OK;
}

// The first call stores a sample of the weights. The second call computes the ratio of update to weight per step from
// the change since then.
static enum clrnn_status measure_ratio(struct clrnn_watch *w, const struct clrnn_model *m)
{
    const struct clrnn_optimizer_config *o = &w->config->train.optimizer;
    float *values;
    size_t count;

    TRY(sample_weights(w, m, &values, &count));
    if (!w->sample) {
        w->sample = values;
        w->sample_steps = w->steps;
        return CLRNN_OK;
    }
    w->ratio = root_mean_square(values, w->sample, count) / root_mean_square(w->sample, NULL, count) /
               (double)(w->steps - w->sample_steps);
    if (o->kind == CLRNN_OPTIMIZER_RMSPROP) // RMSprop's first steps are larger: its mean of squares starts at 0
        w->ratio *= sqrt(1 - pow(o->alpha, (double)(w->steps + w->sample_steps + 1) / 2));
    free(values);
    clrnn_watch_finish(w);
    return CLRNN_OK;
}

enum clrnn_status clrnn_watch_weights(struct clrnn_watch *w, struct clrnn_model *model)
{
    if (!w->on)
        return CLRNN_OK;
    if (lr_may_be_lost(w))
        TRY(look_at_lr(w, model));
    if (isnan(w->ratio) && (!w->sample || w->steps > w->sample_steps))
        TRY(measure_ratio(w, model));
    return CLRNN_OK;
}

// ---------------------------------------------------------------- epochs

// Returns the variance of the targets seen, or NaN if it is lost to rounding: each batch is summed in float32, which is
// too coarse if the targets' mean is large compared with their standard deviation.
static double target_variance(const struct clrnn_watch *w)
{
    const double mean = w->y / w->count, square = w->yy / w->count, variance = square - mean * mean;

    return variance > LOST_SHARE * square || square == 0.0 ? variance : NAN;
}

// Returns the loss of the best constant answer (mse without sample weights: the variance of the targets seen). NaN:
// unknown.
static double constant_loss(const struct clrnn_watch *w)
{
    return w->config->train.loss.kind == CLRNN_LOSS_MSE && !w->weighted ? target_variance(w) : w->constant;
}

// Returns the loss of a model that has learnt nothing: the loss of the best constant answer or, if that is unknown, the
// mean loss of the first steps. Returns NaN if both are unknown.
static double idle_loss(const struct clrnn_watch *w)
{
    const double constant = constant_loss(w);

    return !isnan(constant) ? constant : w->first_count ? w->first_loss : NAN;
}

static bool is_flat(const struct clrnn_watch *w, const struct clrnn_epoch_row *row, double idle)
{
    const double part = lr_rises(&w->config->train.scheduler) ? FLAT_PART_RISING : FLAT_PART;

    return row->epoch >= FLAT_EPOCHS && w->steps >= FLAT_STEPS && (double)w->steps >= part * (double)w->total &&
           row->train_loss >= FLAT_SHARE * idle && !(row->train_accuracy > w->most + FLAT_ACCURACY);
}

void clrnn_watch_epoch(struct clrnn_watch *w, const struct clrnn_epoch_row *row)
{
    const double idle = idle_loss(w);

    if (!w->on || !isfinite(row->train_loss) || !isfinite(idle))
        return;
    if (row->train_loss >= idle && w->ratio > LARGE_UPDATE)
        tell(w, CLRNN_FINDING_UPDATE_TOO_LARGE,
             "the first steps changed the weights by %.2g of their size each, and the loss is %.4g after "
             "epoch %llu",
             w->ratio, row->train_loss, (unsigned long long)row->epoch);
    // If another finding was reported, it explains a flat loss, which is then not reported.
    for (int i = 0; i < CLRNN_FINDING_COUNT; i++)
        if (w->told[i] && i != CLRNN_FINDING_LOSS_FLAT)
            return;
    w->flat = is_flat(w, row, idle) ? w->flat + 1 : 0;
    if (w->flat >= FLAT_IN_A_ROW)
        tell(w, CLRNN_FINDING_LOSS_FLAT, "the training loss is %.4g after %llu epochs, and that of %s is %.4g",
             row->train_loss, (unsigned long long)row->epoch,
             isnan(constant_loss(w)) ? "the first steps" : "an answer that does not look at X", idle);
}
