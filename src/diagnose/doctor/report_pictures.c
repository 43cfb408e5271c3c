// SPDX-License-Identifier: MIT
// Chooses and draws the charts of each finding.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "diagnose/doctor/report.h"
#include "diagnose/doctor/svg.h"
#include "model/network.h"

#define POINTS 100u // maximum number of points of a curve

enum picture { BY_LAYER = 1, BY_TIME = 2, LOSS = 4, ANSWERS = 8, PAIRS = 16, RESULT = ANSWERS | PAIRS };
#define PICTURES CLRNN_REPORT_PICTURES

static const struct row {
    const char *id;
    unsigned pictures;
} rows[] = {
    {"non-differentiable-op", BY_LAYER | LOSS},
    {"zero-gradient", BY_LAYER},
    {"vanishing-gradient", BY_LAYER | BY_TIME},
    {"exploding-gradient", BY_TIME | LOSS},
    {"sequence-too-long", BY_TIME},
    {"pool-ignores-sequence", BY_TIME | LOSS},
    {"padding-without-lengths", BY_TIME},
    {"padding-in-front", BY_TIME},
    {"axes-swapped", BY_TIME},
    {"saturated-units", BY_LAYER},
    {"dead-units", BY_LAYER},
    {"inputs-ignored", BY_LAYER | RESULT},
    {"time-ignored", BY_TIME},
    {"class-imbalance", ANSWERS},
    {"majority-class-only", ANSWERS},
    {"class-weights-inverted", ANSWERS},
    {"single-class", ANSWERS},
    {"labels-look-random", LOSS | RESULT},
    {"worse-than-linear", LOSS | RESULT},
    {"no-better-than-naive", RESULT},
    {"unscaled-target", LOSS | PAIRS},
    {"activation-loss-mismatch", LOSS | PAIRS},
    {"train-eval-mismatch", RESULT},
    {"batchnorm-momentum", RESULT},
    {"softmax-before-cross-entropy", LOSS},
    {"scheduler-per-batch", LOSS},
    {"schedule-exhausted", LOSS},
    {"lr-out-of-range", LOSS},
    {"no-shuffle-sorted-labels", LOSS},
    {"unscaled-input", LOSS},
    {"dropout-too-high", LOSS},
    {"dropout-before-batchnorm", LOSS},
    {"loss-not-finite", LOSS},
    {"initial-loss-off", LOSS},
    {"cannot-overfit-one-batch", BY_LAYER},
    {"update-too-small", LOSS},
    {"update-too-large", LOSS},
    {"loss-flat", LOSS},
    {"loss-oscillates", LOSS},
    {"underfitting", LOSS | RESULT},
    {"overfitting", LOSS | RESULT},
};

// Divides a run into up to POINTS equal parts and writes the mean loss of each part to value. Returns the number of
// parts.
static size_t curve(const struct clrnn_trial *t, double value[POINTS])
{
    const size_t count = MIN2(t->steps, POINTS);

    for (size_t i = 0; i < count; i++) {
        const size_t from = (size_t)((uint64_t)t->steps * i / count),
                     to = (size_t)((uint64_t)t->steps * (i + 1) / count);
        double sum = 0;

        for (size_t k = from; k < to; k++)
            sum += t->loss[k];
        value[i] = sum / (double)(to - from);
    }
    return count;
}

static bool wide_range(const double *value, size_t count)
{
    double low = INFINITY, high = 0;

    for (size_t i = 0; i < count; i++)
        if (isfinite(value[i]) && value[i] > 0) {
            low = fmin(low, value[i]);
            high = fmax(high, value[i]);
        }
    return high > 30 * low;
}

static void draw_loss(FILE *page, const struct clrnn_doctor *d)
{
    double asked[POINTS], best[POINTS];
    size_t n = curve(&d->asked, asked);
    const size_t m = d->best.ran ? curve(&d->best, best) : 0;
    if (!n && d->asked.ran) { // not trained, since no parameter has a gradient: the loss does not change
        asked[0] = asked[1] = d->asked.train.loss;
        n = 2;
    }
    struct clrnn_svg_chart c = {
        .title = "Training loss",
        .x_label = "step",
        .log = wide_range(asked, n) || wide_range(best, m),
        .last_x = MAX2(d->asked.steps, d->best.steps),
        .series = {{"as asked", n ? asked : NULL, n}, {"with the changes", m ? best : NULL, m}},
        .level = d->chance,
    };

    clrnn_svg_lines(page, &c);
}

static void draw_gradient(FILE *page, const struct clrnn_doctor *d, bool by_time)
{
    const size_t count = by_time ? d->gradient[0].T : d->config->layer_count;
    char **name = by_time ? NULL : calloc(MAX2(count, 1), sizeof(*name)), path[64];
    struct clrnn_svg_chart c = {
        .title = by_time ? "Gradient at the first recurrent layer, by time step" : "Gradient of each layer",
        .x_label = by_time ? "time step" : "layer",
        .log = true,
        .last_x = (double)count,
        .level = NAN,
    };

    for (size_t s = 0; s < 2; s++)
        c.series[s] = (struct clrnn_svg_series){s ? "after training" : "before training",
                                                by_time ? d->gradient[s].time : d->gradient[s].layer, count};
    for (size_t i = 0; name && i < count; i++)
        name[i] = clrnn_format("%s %.7s", clrnn_layer_path(d->config, i, path, sizeof(path)),
                               clrnn_layer_word(d->config->layer[i].kind));
    c.name = name;
    if (count > 1)
        clrnn_svg_lines(page, &c);
    for (size_t i = 0; name && i < count; i++)
        free(name[i]);
    free(name);
}

static void draw_answers(FILE *page, const struct clrnn_trial *t, const char *which)
{
    const bool valid = t->valid.counted > 0;
    const struct clrnn_eval_result *r = valid ? &t->valid : &t->train;
    char *title =
        t->ran && r->classes ? clrnn_format("Answers on %s rows, %s", valid ? "validation" : "training", which) : NULL;

    if (title && r->classes > 1)
        clrnn_svg_answers(page, title, r->per_class, r->classes, !r->confusion);
    free(title);
}

static void draw_pairs(FILE *page, const struct clrnn_trial *t, const char *which)
{
    char *title = t->pairs ? clrnn_format("Target against prediction, %s", which) : NULL;

    if (title)
        clrnn_svg_pairs(page, title, t->target, t->prediction, t->pairs);
    free(title);
}

static void draw(FILE *page, const struct clrnn_doctor *d, unsigned pictures)
{
    fputs("<div class=\"pictures\">\n", page);
    if (pictures & BY_LAYER)
        draw_gradient(page, d, false);
    if (pictures & BY_TIME)
        draw_gradient(page, d, true);
    if (pictures & LOSS)
        draw_loss(page, d);
    if (pictures & ANSWERS) {
        draw_answers(page, &d->asked, "as asked");
        draw_answers(page, &d->best, "with the changes");
    }
    if (pictures & PAIRS) {
        draw_pairs(page, &d->asked, "as asked");
        draw_pairs(page, &d->best, "with the changes");
    }
    fputs("</div>\n", page);
}

// Writes a link to each finding that already shows some of these pictures.
static void refer(FILE *page, const struct clrnn_doctor *d, unsigned pictures, const size_t at[PICTURES])
{
    bool said = false;

    for (size_t i = 0; i < d->result->count; i++)
        for (unsigned k = 0; k < PICTURES; k++)
            if (pictures >> k & 1 && at[k] == i + 1) {
                fprintf(page, "%s<a href=\"#finding-%zu\">%s</a>", said ? ", " : "<p class=\"seen\">pictures: see ",
                        i + 1, d->result->finding[i].id);
                said = true;
                break;
            }
    fputs(said ? "</p>\n" : "", page);
}

void clrnn_report_pictures(FILE *page, const struct clrnn_doctor *d, const struct clrnn_finding *f, size_t number,
                           size_t at[CLRNN_REPORT_PICTURES])
{
    unsigned pictures = f->outcome == CLRNN_TRIED_HELPS ? LOSS : 0, seen = 0;

    if (f->severity == CLRNN_SEVERITY_NOTE)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (!strcmp(rows[i].id, f->id))
            pictures |= rows[i].pictures;
    for (unsigned k = 0; k < PICTURES; k++)
        if (pictures >> k & 1 && at[k])
            seen |= 1U << k;
        else if (pictures >> k & 1)
            at[k] = number;
    if (pictures & ~seen)
        draw(page, d, pictures & ~seen);
    refer(page, d, seen, at);
}
