// SPDX-License-Identifier: MIT
// Softmax regression and least squares by Nesterov's accelerated gradient descent in double, with a little weight
// decay.
//
// This baseline is not a config that the trainer (train/session.h) trains, for three reasons. It reads the whole sample
// [T, C] at once, with each input standardised by itself, and there is no layer for this. Its problem is convex: the
// result does not depend on a learning rate. And if it shared the trainer's code and settings, it would share their
// faults. Measured on 220 sequences of 60 steps: this baseline reaches an accuracy of 1.0; Adam with 400 to 1000 steps
// and three learning rates reaches 0.31 to 0.74.
#include "diagnose/doctor/linear.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "diagnose/doctor/doctor.h"

#define MOST_CELLS 8000000u // maximum number of standardised inputs that are kept
#define MOST_ITERATIONS 400u
#define DECAY 1e-3 // weight decay added to the mean loss, since there may be more features than samples

struct fit {
    const struct clrnn_config *config;
    uint32_t n,     // number of samples
        d,          // number of inputs, including a constant 1
        K;          // number of outputs
    float *x;       // [n, d] standardised inputs
    double *mean,   // [d - 1] mean of each input
        *scale;     // [d - 1] 1 / standard deviation of each input; 0: the input is constant
    float *y;       // [n] class or standardised target
    double offset,  // regression: mean of the targets; else 0
        unit;       // regression: standard deviation of the targets; else 1
    double *w,      // [K, d] weights
        *v,         // [K, d] the point at which the gradient is computed
        *g;         // [K, d] gradient
    double *scores; // [K] outputs of one sample
    float *row;     // [T, C] one sample as the data set has it
};

static bool regression(const struct fit *f)
{
    return clrnn_loss_is_regression(f->config->train.loss.kind);
}

static void finish(struct fit *f)
{
    free(f->x);
    free(f->mean);
    free(f->scale);
    free(f->y);
    free(f->w);
    free(f->v);
    free(f->g);
    free(f->scores);
    free(f->row);
}

static enum clrnn_status allocate(struct fit *f, const struct clrnn_log *log, size_t width)
{
    const size_t weights = (size_t)f->K * f->d;

    f->x = malloc((size_t)f->n * f->d * sizeof(float));
    f->mean = calloc(f->d, sizeof(double));
    f->scale = calloc(f->d, sizeof(double));
    f->y = malloc(f->n * sizeof(float));
    f->w = calloc(weights, sizeof(double));
    f->v = calloc(weights, sizeof(double));
    f->g = malloc(weights * sizeof(double));
    f->scores = malloc(f->K * sizeof(double));
    f->row = malloc(width * sizeof(float));
    if (f->x && f->mean && f->scale && f->y && f->w && f->v && f->g && f->scores && f->row)
        return CLRNN_OK;
    return clrnn_error_memory(log, (size_t)f->n * f->d * sizeof(float), "the linear baseline");
}

// Reads a row's inputs into x [d]: zeros in place of padding, and the constant 1 as the last input.
static void read_row(struct fit *f, const struct clrnn_dataset *set, uint32_t row, float *x)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const size_t valid = (size_t)clrnn_dataset_length(set, row) * info->C,
                 width = MIN2(info->T * (size_t)info->C, (size_t)f->d - 1);

    clrnn_dataset_x(set, row, f->row);
    for (size_t i = 0; i < f->d - 1; i++)
        x[i] = i < valid && i < width ? f->row[i] : 0;
    x[f->d - 1] = 1;
}

static float read_y(const struct fit *f, const struct clrnn_dataset *set, uint32_t row)
{
    int32_t class;
    float target;

    if (regression(f)) {
        clrnn_dataset_targets(set, row, &target);
        return target;
    }
    clrnn_dataset_classes(set, row, &class);
    return (float)class;
}

// Whether a label y is used: a valid class that is not ignored; regression: a target that is not missing.
static bool counts(const struct fit *f, float y)
{
    return regression(f) ? !isnan(y) : y >= 0 && y < f->K;
}

static void standardise(struct fit *f)
{
    const uint32_t d = f->d - 1;

    for (uint32_t i = 0; i < f->n; i++)
        for (uint32_t j = 0; j < d; j++)
            f->mean[j] += f->x[(size_t)i * f->d + j] / (double)f->n;
    for (uint32_t i = 0; i < f->n; i++)
        for (uint32_t j = 0; j < d; j++) {
            const double off = f->x[(size_t)i * f->d + j] - f->mean[j];

            f->scale[j] += off * off / f->n;
        }
    for (uint32_t j = 0; j < d; j++)
        f->scale[j] = f->scale[j] > 0 ? 1 / sqrt(f->scale[j]) : 0;
}

// Standardises the targets. Weight decay would otherwise keep predictions far from targets whose mean is not near 0.
static void standardise_targets(struct fit *f)
{
    double squares = 0;

    for (uint32_t i = 0; i < f->n; i++)
        f->offset += f->y[i] / (double)f->n;
    for (uint32_t i = 0; i < f->n; i++)
        squares += (f->y[i] - f->offset) * (f->y[i] - f->offset);
    f->unit = squares > 0 ? sqrt(squares / f->n) : 1;
    for (uint32_t i = 0; i < f->n; i++)
        f->y[i] = (float)((f->y[i] - f->offset) / f->unit);
}

static void apply_scale(const struct fit *f, float *x)
{
    for (uint32_t j = 0; j + 1 < f->d; j++)
        x[j] = (float)fmax(fmin((x[j] - f->mean[j]) * f->scale[j], 10), -10);
}

// Computes the gradient of the mean loss at f->v into f->g.
static void gradient(struct fit *f)
{
    const size_t weights = (size_t)f->K * f->d;

    for (size_t i = 0; i < weights; i++)
        f->g[i] = DECAY * f->v[i];
    for (uint32_t i = 0; i < f->n; i++) {
        const float *x = f->x + (size_t)i * f->d;
        double most = -INFINITY, total = 0;

        for (uint32_t k = 0; k < f->K; k++) {
            const double *v = f->v + (size_t)k * f->d;
            double sum = 0;

            for (uint32_t j = 0; j < f->d; j++)
                sum += v[j] * x[j];
            f->scores[k] = sum;
            most = fmax(most, sum);
        }
        if (regression(f)) {
            f->scores[0] = f->scores[0] - f->y[i];
        } else {
            for (uint32_t k = 0; k < f->K; k++)
                total += f->scores[k] = exp(f->scores[k] - most);
            for (uint32_t k = 0; k < f->K; k++)
                f->scores[k] = f->scores[k] / total - (k == (uint32_t)f->y[i]);
        }
        for (uint32_t k = 0; k < f->K; k++) {
            const double factor = f->scores[k] / f->n;
            double *g = f->g + (size_t)k * f->d;

            for (uint32_t j = 0; j < f->d; j++)
                g[j] += factor * x[j];
        }
    }
}

// Returns 1.1 times the largest eigenvalue of X^T X / n, by the power method; overwrites f->g, zeroes f->v.
static double curvature(struct fit *f)
{
    double *u = f->g, *next = f->v, norm = 1;

    for (uint32_t j = 0; j < f->d; j++)
        u[j] = 1 / sqrt(f->d);
    for (int round = 0; round < 12; round++) {
        memset(next, 0, f->d * sizeof(*next));
        for (uint32_t i = 0; i < f->n; i++) {
            const float *x = f->x + (size_t)i * f->d;
            double sum = 0;

            for (uint32_t j = 0; j < f->d; j++)
                sum += u[j] * x[j];
            for (uint32_t j = 0; j < f->d; j++)
                next[j] += sum * x[j] / f->n;
        }
        norm = 0;
        for (uint32_t j = 0; j < f->d; j++)
            norm += next[j] * next[j];
        norm = sqrt(norm);
        for (uint32_t j = 0; j < f->d && norm > 0; j++)
            u[j] = next[j] / norm;
    }
    memset(f->v, 0, (size_t)f->K * f->d * sizeof(*f->v));
    return norm * 1.1;
}

static double judge(struct fit *f, const struct clrnn_dataset *valid)
{
    const uint32_t V = clrnn_dataset_info(valid)->S;
    double right = 0, sum = 0, squares = 0, off = 0, counted = 0;
    float *x = f->x; // reuses the memory of the training inputs, which are no longer needed

    for (uint32_t i = 0; i < V; i++) {
        const float y = read_y(f, valid, i);
        const double target = (y - f->offset) / f->unit;
        uint32_t best = 0;

        if (!counts(f, y))
            continue;
        read_row(f, valid, i, x);
        apply_scale(f, x);
        for (uint32_t k = 0; k < f->K; k++) {
            f->scores[k] = 0;
            for (uint32_t j = 0; j < f->d; j++)
                f->scores[k] += f->w[(size_t)k * f->d + j] * x[j];
            if (f->scores[k] > f->scores[best])
                best = k;
        }
        counted++;
        right += !regression(f) && best == (uint32_t)y;
        sum += target;
        squares += target * target;
        off += (f->scores[0] - target) * (f->scores[0] - target);
    }
    if (regression(f))
        return 1 - off / fmax(squares - sum * sum / fmax(counted, 1), 1e-300);
    return right / fmax(counted, 1);
}

static uint32_t descend(struct fit *f, double seconds)
{
    const double started = clrnn_clock(), L = (regression(f) ? 1 : 0.5) * curvature(f) + DECAY;
    const size_t weights = (size_t)f->K * f->d;
    double t = 1;
    uint32_t i;

    for (i = 0; i < MOST_ITERATIONS && clrnn_clock() - started < seconds; i++) {
        const double next = (1 + sqrt(1 + 4 * t * t)) / 2, push = (t - 1) / next;
        double steepest = 0;

        gradient(f);
        for (size_t k = 0; k < weights; k++) {
            const double stepped = f->v[k] - f->g[k] / L;

            f->v[k] = stepped + push * (stepped - f->w[k]);
            f->w[k] = stepped;
            steepest = fmax(steepest, fabs(f->g[k]));
        }
        if (i >= 20 && steepest < 1e-6)
            break;
        t = next;
    }
    return i;
}

enum clrnn_status clrnn_linear_fit(const struct clrnn_log *log, const struct clrnn_config *config,
                                   const struct clrnn_dataset *train, const struct clrnn_dataset *valid,
                                   uint32_t classes, double seconds, struct clrnn_linear_result *result)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(train);
    const size_t width = (size_t)info->T * info->C;
    struct fit f = {.config = config, .unit = 1, .K = clrnn_loss_is_regression(config->train.loss.kind) ? 1 : classes};
    enum clrnn_status st;
    uint32_t stride;

    *result = (struct clrnn_linear_result){.quality = NAN};
    if (info->tokens || clrnn_dataset_y_count(train) > 1 || config->train.loss.kind == CLRNN_LOSS_CTC || !f.K ||
        width + 1 > MOST_CELLS / 64 || clrnn_dataset_info(valid)->tokens || width * f.K > MOST_CELLS)
        return CLRNN_OK;
    f.d = (uint32_t)width + 1;
    f.n = (uint32_t)MIN2((size_t)info->S, MOST_CELLS / f.d);
    stride = info->S / f.n;
    st = allocate(&f, log, MAX2(width, (size_t)clrnn_dataset_info(valid)->T * info->C));
    if (st == CLRNN_OK) {
        uint32_t kept = 0;

        for (uint32_t i = 0; i < f.n; i++) {
            const float y = read_y(&f, train, i * stride);

            if (!counts(&f, y))
                continue;
            f.y[kept] = y;
            read_row(&f, train, i * stride, f.x + (size_t)kept++ * f.d);
        }
        f.n = kept;
    }
    if (st == CLRNN_OK && f.n > 1) {
        standardise(&f);
        if (regression(&f))
            standardise_targets(&f);
        for (uint32_t i = 0; i < f.n; i++)
            apply_scale(&f, f.x + (size_t)i * f.d);
        result->iterations = descend(&f, seconds);
        result->quality = judge(&f, valid);
        result->done = isfinite(result->quality) && result->iterations >= 20;
    }
    finish(&f);
    return st;
}
