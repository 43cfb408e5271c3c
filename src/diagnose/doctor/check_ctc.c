// SPDX-License-Identifier: MIT
// Checks ctc: labels equal to the blank, more labels than the output steps allow, predictions of only blanks.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/doctor/trace.h"

#define ROWS 64u // maximum number of training rows whose predictions are examined

void clrnn_ctc_scan_row(const struct clrnn_doctor *d, struct clrnn_scan *s, uint32_t row, size_t count, const float *y)
{
    const uint32_t steps = clrnn_dataset_output_length(s->set, row);
    size_t need = count;

    for (size_t i = 0; i < count; i++) {
        need += i > 0 && y[i] == y[i - 1]; // a blank separates equal labels
        if (y[i] == d->config->train.loss.blank && !s->blank_labels++)
            s->blank_row = row;
    }
    if (need <= steps)
        return;
    if (!s->long_targets++) {
        s->long_row = row;
        s->long_need = (uint32_t)need;
        s->long_steps = steps;
    }
}

static void check_blank(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan, *s = t->blank_labels ? t : v;
    const uint32_t blank = d->config->train.loss.blank, last = d->outputs - 1;

    if (!s->blank_labels)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CTC_BLANK_LABEL, CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "data.%s y, row %u", s->info->name, s->blank_row);
    clrnn_doctor_evidence(
        d,
        "%llu labels in train and %llu in valid are %u, which train.loss.ctc.blank keeps for `no label`; labels "
        "go from %.0f to %.0f, the last layer has %u outputs",
        (unsigned long long)t->blank_labels, (unsigned long long)v->blank_labels, blank, t->least_label, t->most_label,
        d->outputs);
    if (t->most_label < last && !(v->most_label >= last)) {
        clrnn_doctor_remedy(d,
                            "train.loss.ctc.blank=%u, a class that no label has; or, if they are padding, count them "
                            "out in y_lengths",
                            last);
        clrnn_doctor_set(d, "train.loss.ctc.blank=%u", last);
    } else {
        clrnn_doctor_remedy(
            d,
            "one output more in the last layer, out_features: %u, and `blank: %u` in train.loss; or add "
            "1 to all labels; or, if they are padding, count them out in y_lengths",
            d->outputs + 1, d->outputs);
    }
    d->not_run = "some labels are the blank.";
}

static void check_room(struct clrnn_doctor *d)
{
    const struct clrnn_scan *t = &d->train_scan, *v = &d->valid_scan, *s = t->long_targets ? t : v;
    const bool skipped = d->config->train.loss.zero_infinity;
    const double all = (double)t->long_targets + (double)v->long_targets;

    if (all == 0 || (skipped && all < 0.1 * t->info->S))
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CTC_TARGET_TOO_LONG, skipped ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_ERROR);
    clrnn_doctor_where(d, "data.%s y, row %u", s->info->name, s->long_row);
    clrnn_doctor_evidence(
        d,
        "its labels need %u steps (one each, and a blank between two equal ones), but the net puts out %u for it; so "
        "do %u rows of train and %u of valid",
        s->long_need, s->long_steps, t->long_targets, v->long_targets);
    if (skipped) {
        clrnn_doctor_cost(d, "nothing is learnt from these rows: zero_infinity counts their loss as 0");
        return;
    }
    clrnn_doctor_set(d, "train.loss.ctc.zero_infinity=true");
    d->not_run = "the loss of some rows is infinite.";
}

void clrnn_doctor_check_ctc(struct clrnn_doctor *d)
{
    if (d->config->train.loss.kind != CLRNN_LOSS_CTC)
        return;
    check_blank(d);
    check_room(d);
}

// ---------------------------------------------------------------- predictions

// Adds the number of output steps to *steps, and the number of steps whose most probable class is the blank to *blanks.
static void count_blanks(const struct clrnn_session *s, const float *out, double *blanks, double *steps)
{
    const uint32_t K = s->model->outputs, blank = s->config->train.loss.blank;

    for (uint32_t n = 0; n < s->samples; n++) {
        const uint32_t length = clrnn_dataset_output_length(s->set, clrnn_feed_samples(s->feed)[n]);

        for (uint32_t t = 0; t < length && t < s->plan->output_steps; t++) {
            const float *row = out + ((size_t)n * s->plan->output_steps + t) * K;
            uint32_t best = 0;

            for (uint32_t k = 1; k < K; k++)
                best = row[k] > row[best] ? k : best;
            *blanks += best == blank;
            *steps += 1;
        }
    }
}

enum clrnn_status clrnn_ctc_find_blanks(struct clrnn_examination *v, struct clrnn_trace *c)
{
    const uint32_t rows = MIN2(v->train_rows, ROWS);
    const struct clrnn_session_params params = {
        .model = v->session->model, .view = {.row = v->rows, .count = rows}, .feed = {.batch_size = rows}};
    double blanks = 0, steps = 0;
    struct clrnn_session *s;
    enum clrnn_status st;
    float *out;

    c->blank_steps = NAN;
    if (v->d->config->train.loss.kind != CLRNN_LOSS_CTC || !c->finite)
        return CLRNN_OK;
    TRY(clrnn_doctor_session(v, v->d->device, params, &s));
    out = malloc((size_t)rows * v->d->T * s->model->outputs * sizeof(*out));
    st = out ? clrnn_session_queue(s, CLRNN_MODE_PREDICT, 0) : clrnn_error_memory(v->d->log, 0, "answers");
    if (st == CLRNN_OK)
        st = clrnn_plan_read_output(s->plan, out);
    if (st == CLRNN_OK)
        count_blanks(s, out, &blanks, &steps);
    c->blank_steps = steps > 0 ? blanks / steps : NAN;
    free(out);
    clrnn_session_close(&s);
    return st;
}

void clrnn_ctc_judge_blanks(struct clrnn_examination *v, const struct clrnn_trace *c)
{
    struct clrnn_doctor *d = v->d;
    char run[64];

    // At first every ctc net predicts only blanks: this is a finding only if the whole run was trained.
    if (d->config->train.loss.kind != CLRNN_LOSS_CTC || !c->finite || !(c->blank_steps == 1) || !c->complete ||
        v->no_gradient)
        return;
    clrnn_doctor_finding(d, CLRNN_FINDING_CTC_BLANK_ONLY, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_where(d, "training rows after %s", clrnn_trace_span(c, run));
    clrnn_doctor_evidence(d,
                          "at every step the blank, class %u, is the most probable: no label is ever read; the loss is "
                          "%.4g, the best answer that is the same at every step has %.4g",
                          d->config->train.loss.blank, c->trained.loss, v->chance);
}
