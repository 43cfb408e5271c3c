// SPDX-License-Identifier: MIT
// Stage 1: detects X that was stored as (T, N, C) and made (N, T, C) by a reshape, which does not exchange the axes.
// The steps of a sample are then not in one row, but N steps apart in different rows.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/doctor/doctor.h"

#define STEPS 40000u   // maximum number of steps looked at, over all rows
#define FEATURES 3u    // maximum number of features looked at
#define SAMPLES 256u   // approximate number of pairs of steps with which each distance is first tested
#define LEAST_STEPS 4u // minimum number of steps of a row

struct series {
    uint32_t count, features;
    float *value; // [count, features] all steps of all rows; each (step, feature) is standardised over rows
};

// Reads all steps of all rows, one row after the other, into z->value. Standardises each (step, feature) over rows, to
// remove what all rows have in common at a step. Returns false if memory runs out. x [T, C]: scratch memory.
static bool read_series(const struct clrnn_scan *s, struct series *z, float *x)
{
    const uint32_t T = s->info->T, rows = z->count / T;
    double *sum = calloc(2 * (size_t)T * z->features, sizeof(*sum)), *square = sum + (size_t)T * z->features;

    if (!sum)
        return false;
    for (uint32_t row = 0; row < rows; row++) {
        clrnn_dataset_x(s->set, row, x);
        for (uint32_t t = 0; t < T; t++)
            for (uint32_t c = 0; c < z->features; c++) {
                const float value = x[(size_t)t * s->C + c];

                z->value[((size_t)row * T + t) * z->features + c] = value;
                sum[t * z->features + c] += value / rows;
                square[t * z->features + c] += (double)value * value / rows;
            }
    }
    for (size_t i = 0; i < (size_t)z->count * z->features; i++) {
        const size_t at = i % ((size_t)T * z->features);
        const double deviation = sqrt(fmax(square[at] - sum[at] * sum[at], 0));

        z->value[i] = deviation > 0 ? (float)((z->value[i] - sum[at]) / deviation) : 0;
    }
    free(sum);
    return true;
}

// Returns the correlation of steps that are `apart` steps from each other, over every `stride`th such pair. *equal:
// share of pairs with equal values.
static double correlate(const struct series *z, uint32_t apart, uint32_t stride, double *equal)
{
    double sum = 0, count = 0, same = 0;

    for (uint32_t i = 0; i + apart < z->count; i += stride)
        for (uint32_t c = 0; c < z->features; c++) {
            const float a = z->value[(size_t)i * z->features + c], b = z->value[((size_t)i + apart) * z->features + c];

            sum += (double)a * b;
            same += a == b;
            count++;
        }
    *equal = same / fmax(count, 1);
    return sum / fmax(count, 1);
}

// Returns the distance, of at least T steps, at which steps correlate best. Steps must not correlate with their
// neighbours, nor at a distance that is one step shorter or longer. 0: there is no such distance. *near: correlation of
// neighbouring steps. *far: correlation of steps at the returned distance.
static uint32_t find_distance(const struct series *z, uint32_t T, double *near, double *far)
{
    const double high = clrnn_threshold.reshaped, low = clrnn_threshold.reshaped_other;
    uint32_t best = 0;
    double most = high, equal;

    *near = correlate(z, 1, 1, &equal);
    if (fabs(*near) > low || fabs(correlate(z, 2, 1, &equal)) > low)
        return 0;
    for (uint32_t apart = T; apart <= z->count / 2; apart++) {
        const double r = correlate(z, apart, MAX2((z->count - apart) / SAMPLES, 1u), &equal);

        if (r > most) {
            most = r;
            best = apart;
        }
    }
    if (!best)
        return 0;
    *far = correlate(z, best, 1, &equal);
    return *far > high && equal < 0.5 && fabs(correlate(z, best - 1, 1, &equal)) < low &&
                   fabs(correlate(z, best + 1, 1, &equal)) < low
               ? best
               : 0;
}

enum clrnn_status clrnn_doctor_find_reshaped(struct clrnn_doctor *d, struct clrnn_scan *s)
{
    const uint32_t T = s->info->T, rows = MIN2(s->info->S, STEPS / T);
    struct series z = {.count = rows * T, .features = MIN2(s->C, FEATURES)};
    float *x;
    bool there;

    // overlapping windows of one series are left out, since they, too, repeat steps in other rows
    if (T < LEAST_STEPS || rows < 20 || s->series || s->info->tokens || s->info->has_lengths || s->bad_values)
        return CLRNN_OK;
    x = malloc((size_t)T * s->C * sizeof(*x));
    z.value = malloc((size_t)z.count * z.features * sizeof(*z.value));
    there = x && z.value && read_series(s, &z, x);
    if (there)
        s->reshaped = find_distance(&z, T, &s->reshaped_near, &s->reshaped_far);
    free(x);
    free(z.value);
    return there ? CLRNN_OK : clrnn_error_memory(d->log, (size_t)z.count * z.features * sizeof(float), "steps of rows");
}
