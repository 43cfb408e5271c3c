// SPDX-License-Identifier: MIT
// The range test: training steps with a learning rate that grows from step to step.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "search/lr_find.h"

#define SMOOTHING 0.9 // weight of the earlier losses in the moving average of the loss
#define GROWTH 4.0    // the test ends when the smoothed loss is this many times its lowest value
// In the first SETTLING steps only a loss that is not finite ends the test. read_curve leaves these steps out and, in
// its search for the steepest fall, the last SETTLING steps, too.
#define SETTLING 10u

// Checks whether the loss has diverged: the loss is not finite, or the smoothed loss exceeds a limit. `lowest` is the
// lowest smoothed loss so far. If `lowest` is above 0, the limit is GROWTH times `lowest`. Otherwise the limit is
// `lowest` plus (GROWTH - 1) times the larger of |lowest| and the fall from the first loss to `lowest`.
static bool diverges(const struct clrnn_lr_result *r, double lowest)
{
    const struct clrnn_lr_point *now = &r->curve[r->curve_count - 1];

    if (!isfinite(now->loss))
        return true;
    return r->curve_count > SETTLING &&
           now->smoothed - lowest > (GROWTH - 1) * fmax(fabs(lowest), lowest > 0 ? 0 : r->curve[0].loss - lowest);
}

static enum clrnn_status append(struct clrnn_lr_finder *f, double lr, double loss, double *average)
{
    struct clrnn_lr_result *r = f->result;
    struct clrnn_lr_point point = {.lr = lr, .loss = loss};

    if (!ARRAY_GROW(r->curve, r->curve_count))
        return clrnn_error_memory(f->log, 2 * r->curve_count * sizeof(*r->curve), "the curve");
    *average = SMOOTHING * *average + (1 - SMOOTHING) * loss;
    point.smoothed = *average / (1 - pow(SMOOTHING, (double)r->curve_count + 1)); // bias-corrected as in Adam
    r->curve[r->curve_count++] = point;
    return CLRNN_OK;
}

static enum clrnn_status run(struct clrnn_lr_finder *f, struct clrnn_session *s)
{
    const struct clrnn_lr_params *p = f->params;
    struct clrnn_lr_result *r = f->result;
    double average = 0.0, lowest = INFINITY;

    for (uint32_t i = 0; i < p->range_steps; i++) {
        const double lr = p->from * pow(p->to / p->from, (double)i / MAX2(p->range_steps - 1, 1u));
        struct clrnn_session_record record;

        if (p->stop && *p->stop)
            return CLRNN_INTERRUPTED;
        s->model->schedule.lr = lr;
        TRY(clrnn_session_step(s, CLRNN_MODE_TRAIN, &record));
        if (record.sum[RECORD_WEIGHT] == 0.0) // no label of the batch counts: all are ignored or missing
            continue;
        TRY(append(f, lr, record.loss, &average));
        lowest = fmin(lowest, r->curve[r->curve_count - 1].smoothed);
        if (diverges(r, lowest)) {
            r->diverged = lr;
            break;
        }
    }
    return CLRNN_OK;
}

// Returns d loss / d log(lr) at point `at`: the slope of the least-squares line through the smoothed losses of points
// at - AROUND to at + AROUND.
static double slope(const struct clrnn_lr_result *r, size_t at)
{
    enum { AROUND = 4 };
    double x = 0, y = 0, xx = 0, xy = 0;

    for (size_t i = at - AROUND; i <= at + AROUND; i++) {
        const double lr = log(r->curve[i].lr / r->curve[at].lr), loss = r->curve[i].smoothed;

        x += lr;
        y += loss;
        xx += lr * lr;
        xy += lr * loss;
    }
    return ((2 * AROUND + 1) * xy - x * y) / ((2 * AROUND + 1) * xx - x * x);
}

static void read_curve(struct clrnn_lr_result *r)
{
    double lowest = INFINITY, steepest = 0.0;

    for (size_t i = SETTLING; i < r->curve_count; i++)
        if (isfinite(r->curve[i].smoothed) && r->curve[i].smoothed < lowest) {
            lowest = r->curve[i].smoothed;
            r->lowest = r->curve[i].lr;
        }
    for (size_t i = SETTLING; i + SETTLING < r->curve_count && r->curve[i].lr < r->lowest; i++)
        if (slope(r, i) < steepest) {
            steepest = slope(r, i);
            r->steepest = r->curve[i].lr;
        }
    r->classic = fmin(r->steepest, r->lowest / 10);
}

enum clrnn_status clrnn_lr_range(struct clrnn_lr_finder *f)
{
    struct clrnn_config *config = NULL;
    struct clrnn_session *session = NULL;
    enum clrnn_status st = clrnn_config_copy(f->log, f->config, &config);

    if (st == CLRNN_OK) {
        config->train.scheduler.kind = CLRNN_SCHEDULER_NONE;
        st = clrnn_session_open_training(f->device, config, f->params->init, &f->data, &session);
    }
    if (st == CLRNN_OK)
        st = run(f, session);
    if (st == CLRNN_OK)
        read_curve(f->result);
    clrnn_session_close(&session);
    clrnn_config_destroy(&config);
    return st;
}
