// SPDX-License-Identifier: MIT
// Computes bounds from the reference's perturbed runs, a device's deviations from the reference, and the verdict.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "verify/compare.h"

// A bound is DRIFT_FACTOR times the largest deviation of a perturbed run from the reference, plus LEAST_BOUND.
#define DRIFT_FACTOR 10.0
#define LEAST_BOUND 1e-6 // a few units in the last place of float32
// A deviation is divided by the largest value of its tensor, or by these values if they are larger.
#define LOGIT_FLOOR 0.01
#define GRADIENT_FLOOR 1e-4 // as a share of the largest gradient of all parameters

double clrnn_compare_deviation(double value, double reference, double floor)
{
    if ((isnan(value) && isnan(reference)) || value == reference)
        return 0;
    if (!isfinite(value) || !isfinite(reference))
        return INFINITY;
    return fabs(value - reference) / fmax(fabs(reference), floor);
}

static double largest(const double *v, size_t count, double floor)
{
    for (size_t i = 0; i < count; i++)
        if (isfinite(v[i]))
            floor = fmax(floor, fabs(v[i]));
    return floor;
}

// Returns the largest difference between got and want, divided by the largest |value| of want, or by `floor` if that is
// larger.
static double distance(const double *got, const double *want, size_t count, double floor)
{
    const double scale = largest(want, count, floor);
    double most = 0;

    for (size_t i = 0; i < count; i++)
        most = fmax(most, clrnn_compare_deviation(got[i], want[i], scale));
    return most;
}

static size_t grad_size(const struct clrnn_compare *c, size_t i)
{
    return (i + 1 < c->result->param_count ? c->grad_first[i + 1] : c->grad_count) - c->grad_first[i];
}

static double gradient_distance(const struct clrnn_compare *c, const struct clrnn_compare_block *b, size_t i)
{
    const double all = largest(c->ref->grads, c->grad_count, 1e-30);

    return distance(b->grads + c->grad_first[i], c->ref->grads + c->grad_first[i], grad_size(c, i),
                    GRADIENT_FLOOR * all);
}

static double bound_of(double drift)
{
    return DRIFT_FACTOR * drift + LEAST_BOUND;
}

static double logits_bound(const struct clrnn_compare *c)
{
    double drift = 0;

    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
        drift = fmax(drift, distance(c->noise[i]->logits, c->ref->logits, c->ref->logit_count, LOGIT_FLOOR));
    return bound_of(drift);
}

static double gradient_bound(const struct clrnn_compare *c, size_t param)
{
    double drift = 0;

    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
        drift = fmax(drift, gradient_distance(c, c->noise[i], param));
    return bound_of(drift);
}

// A step's bound is never smaller than that of the step before, since a difference may persist.
void clrnn_compare_find_bounds(struct clrnn_compare *c)
{
    double drift = 0;

    for (uint32_t s = 0; s < c->steps; s++) {
        for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
            drift = fmax(drift, clrnn_compare_deviation(c->noise[i]->curve[s], c->ref->curve[s], COMPARE_LOSS_FLOOR));
        c->result->bound[s] = bound_of(drift);
    }
    for (uint32_t i = 0; i < COMPARE_NOISE_RUNS; i++)
        drift = fmax(drift, clrnn_compare_deviation(c->noise[i]->final_loss, c->ref->final_loss, COMPARE_LOSS_FLOOR));
    c->final_bound = bound_of(drift);
}

// ---------------------------------------------------------------- comparison with the bounds

uint32_t clrnn_compare_find_leaving(const struct clrnn_compare *c, const struct clrnn_compare_block *b)
{
    for (uint32_t i = 0; i < b->steps; i++)
        if (!(clrnn_compare_deviation(b->curve[i], c->ref->curve[i], COMPARE_LOSS_FLOOR) <= c->result->bound[i]))
            return i + 1;
    return 0;
}

static bool within(struct clrnn_deviation d)
{
    return d.error <= d.bound; // false for NaN
}

bool clrnn_compare_first_step_agrees(const struct clrnn_compare *c, const struct clrnn_compare_block *b)
{
    bool agrees = b->logit_count == c->ref->logit_count &&
                  distance(b->logits, c->ref->logits, c->ref->logit_count, LOGIT_FLOOR) <= logits_bound(c);

    for (size_t i = 0; i < c->result->param_count && agrees; i++)
        agrees = gradient_distance(c, b, i) <= gradient_bound(c, i);
    return agrees;
}

static void hold_first_step(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                            struct clrnn_compare_row *row)
{
    double worst = -1;

    row->loss = (struct clrnn_deviation){clrnn_compare_deviation(b->curve[0], c->ref->curve[0], COMPARE_LOSS_FLOOR),
                                         c->result->bound[0]};
    row->logits = (struct clrnn_deviation){distance(b->logits, c->ref->logits, c->ref->logit_count, LOGIT_FLOOR),
                                           logits_bound(c)};
    for (size_t i = 0; i < c->result->param_count; i++) {
        row->gradient[i] = (struct clrnn_deviation){gradient_distance(c, b, i), gradient_bound(c, i)};
        if (row->gradient[i].error / row->gradient[i].bound > worst) {
            worst = row->gradient[i].error / row->gradient[i].bound;
            row->worst_gradient = i;
        }
    }
}

static void copy_block(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                       struct clrnn_compare_row *row)
{
    row->steps = b->steps;
    memcpy(row->curve, b->curve, c->steps * sizeof(*row->curve));
    row->leaves = b->leaves;
    row->final_loss = b->final_loss;
    row->final_accuracy = b->final_accuracy;
    snprintf(row->blamed_op, sizeof(row->blamed_op), "%s", b->blamed_op);
    snprintf(row->blamed_tensor, sizeof(row->blamed_tensor), "%s", b->blamed_tensor);
    snprintf(row->blame, sizeof(row->blame), "%s", b->blame);
    row->step_ms = b->step_ms;
    row->samples_per_s = b->samples_per_s;
    row->flops = b->flops;
    row->bytes = b->bytes;
    row->gflops = 1e-6 * b->flops / b->step_ms.median;
    row->gb_per_s = 1e-6 * b->bytes / b->step_ms.median;
    row->peak = b->peak;
    snprintf(row->unmeasured, sizeof(row->unmeasured), "%s", b->unmeasured);
    row->launches_per_step = b->launches;
    row->peak_device_bytes = b->peak_bytes;
}

void clrnn_compare_take(const struct clrnn_compare *c, const struct clrnn_compare_block *b,
                        struct clrnn_compare_row *row)
{
    copy_block(c, b, row);
    if (b->steps)
        hold_first_step(c, b, row);
    if (b->finished)
        row->final = (struct clrnn_deviation){
            clrnn_compare_deviation(b->final_loss, c->ref->final_loss, COMPARE_LOSS_FLOOR), c->final_bound};
}

static void say_wrong(const struct clrnn_compare *c, struct clrnn_compare_row *row)
{
    const struct clrnn_deviation *g = &row->gradient[row->worst_gradient];
    char where[160] = "";

    if (row->leaves)
        snprintf(where, sizeof(where), "the loss leaves the reference at step %u", row->leaves);
    else if (!within(row->logits))
        snprintf(where, sizeof(where), "the first step's logits are %.2g apart, rounding explains %.2g",
                 row->logits.error, row->logits.bound);
    else if (c->result->param_count && !within(*g))
        snprintf(where, sizeof(where), "the first step's gradient of %.60s is %.2g apart, rounding explains %.2g",
                 c->result->param[row->worst_gradient], g->error, g->bound);
    else if (!within(row->final))
        snprintf(where, sizeof(where), "the final loss is %.2g apart, rounding explains %.2g", row->final.error,
                 row->final.bound);
    if (where[0])
        snprintf(row->reason, sizeof(row->reason), "%s%s%s", where, row->blamed_op[0] ? "; to blame: " : "",
                 row->blamed_op);
    else if (row->test.verdict > CLRNN_VERDICT_OK)
        snprintf(row->reason, sizeof(row->reason), "in the self-test: %.400s", row->test.reason);
    if (row->reason[0])
        row->verdict =
            !where[0] && row->test.verdict == CLRNN_VERDICT_BROKEN ? CLRNN_VERDICT_BROKEN : CLRNN_VERDICT_WRONG;
}

void clrnn_compare_judge(const struct clrnn_compare *c, const struct clrnn_compare_block *b, const char *ending,
                         struct clrnn_compare_row *row)
{
    row->verdict = CLRNN_VERDICT_OK;
    if (ending[0] || !b->finished) {
        row->verdict = CLRNN_VERDICT_BROKEN;
        snprintf(row->reason, sizeof(row->reason), "%s", ending[0] ? ending : "it ended without a result");
        return;
    }
    say_wrong(c, row);
}
