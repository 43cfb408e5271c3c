// SPDX-License-Identifier: MIT
// Computes the ctc loss of constant answers, which give each time step of each sample the same class probabilities.
// Uses CTC's forward recursion: alpha in doc/maths.md, section "CTC".
#include "diagnose/constant.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"

#define ROWS 200u  // maximum number of rows that are read
#define SHARES 24u // number of probabilities of the blank that are tried

// Returns the minimum number of steps that `count` labels need: one for each label, and one for a blank between each
// two equal neighbours.
static size_t least_steps(size_t count, const int32_t *label)
{
    size_t steps = count;

    for (size_t i = 1; i < count; i++)
        steps += label[i] == label[i - 1];
    return steps;
}

struct constant {
    const struct clrnn_dataset *set;
    uint32_t classes, blank, rows, stride;
    int32_t *y;    // labels of one sample
    double *state; // [2 * labels of a sample + 1] log-probability of each state of the recursion
    double *log_p; // [classes] log-probabilities of the answer
    double *count; // [classes] sum of the sample weights of each label in the rows that are read
    double labels; // sum of `count` over all labels
};

static bool is_label(const struct constant *c, int32_t y)
{
    return y >= 0 && (uint32_t)y < c->classes && (uint32_t)y != c->blank;
}

// Reads the valid labels of a row into c->y. Returns how many there are.
static size_t read_row(const struct constant *c, uint32_t row)
{
    const size_t all = clrnn_dataset_y_valid(c->set, row);
    size_t count = 0;

    clrnn_dataset_classes(c->set, row, c->y);
    for (size_t i = 0; i < all; i++)
        if (is_label(c, c->y[i]))
            c->y[count++] = c->y[i];
    return count;
}

static double log_add(double a, double b)
{
    const double top = fmax(a, b);

    return top == -INFINITY ? top : top + log1p(exp(fmin(a, b) - top));
}

// Returns the loss of one row, divided by its number of labels `count`. `steps`: the row's number of output steps.
static double row_loss(const struct constant *c, size_t count, uint32_t steps)
{
    const size_t states = 2 * count + 1;
    double *state = c->state;

    for (size_t i = 0; i < states; i++)
        state[i] = i < 2 ? c->log_p[i ? (uint32_t)c->y[0] : c->blank] : -INFINITY;
    for (uint32_t t = 1; t < steps; t++)
        for (size_t i = states; i-- > 0;) { // downwards: lower states must still be those of step t - 1
            const bool label = i % 2;
            double sum = state[i];

            if (i > 0)
                sum = log_add(sum, state[i - 1]);
            if (label && i > 2 && c->y[i / 2] != c->y[i / 2 - 1])
                sum = log_add(sum, state[i - 2]);
            state[i] = sum + c->log_p[label ? (uint32_t)c->y[i / 2] : c->blank];
        }
    return -(states > 1 ? log_add(state[states - 1], state[states - 2]) : state[0]) / (double)MAX2(count, 1);
}

static double mean_loss(const struct constant *c)
{
    double sum = 0, all = 0;

    for (uint32_t i = 0; i < c->rows; i++) {
        const uint32_t row = i * c->stride, steps = clrnn_dataset_output_length(c->set, row);
        const double weight = clrnn_dataset_weight(c->set, row);
        const size_t count = read_row(c, row);

        if (!(weight > 0) || !steps || least_steps(count, c->y) > steps)
            continue;
        sum += weight * row_loss(c, count, steps);
        all += weight;
    }
    return all > 0 ? sum / all : NAN;
}

// Returns the mean loss of the constant answer that gives the blank the probability `blank`, and divides the rest among
// the labels in proportion to how often they occur.
static double loss_with_blank(const struct constant *c, double blank)
{
    for (uint32_t k = 0; k < c->classes; k++)
        c->log_p[k] = log(k == c->blank ? blank : (1 - blank) * c->count[k] / (c->labels > 0 ? c->labels : 1));
    return mean_loss(c);
}

static void find(struct constant *c, double *best, double *equal)
{
    for (uint32_t i = 0; i < c->rows; i++) {
        const double weight = clrnn_dataset_weight(c->set, i * c->stride);
        const size_t count = read_row(c, i * c->stride);

        for (size_t k = 0; k < count; k++)
            c->count[c->y[k]] += weight;
        c->labels += weight * (double)count;
    }
    for (uint32_t k = 0; k < c->classes; k++)
        c->log_p[k] = -log(c->classes);
    *best = *equal = mean_loss(c);
    for (uint32_t i = 0; i < SHARES; i++)
        *best = fmin(*best, loss_with_blank(c, (i + 0.5) / SHARES));
}

enum clrnn_status clrnn_ctc_constant_loss(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_dataset *set, uint32_t classes, double *best,
                                          double *equal)
{
    const uint32_t S = clrnn_dataset_info(set)->S, rows = MIN2(S, ROWS);
    const size_t most = clrnn_dataset_y_count(set);
    struct constant c = {
        .set = set,
        .classes = classes,
        .blank = config->train.loss.blank,
        .rows = rows,
        .stride = S / MAX2(rows, 1u),
        .y = malloc(most * sizeof(*c.y)),
        .state = malloc((2 * most + 1) * sizeof(*c.state)),
        .log_p = malloc(MAX2(classes, 1u) * sizeof(*c.log_p)),
        .count = calloc(MAX2(classes, 1u), sizeof(*c.count)),
    };
    const bool there = c.y && c.state && c.log_p && c.count;

    *best = *equal = NAN;
    if (there && classes)
        find(&c, best, equal);
    free(c.y);
    free(c.state);
    free(c.log_p);
    free(c.count);
    return there ? CLRNN_OK : clrnn_error_memory(log, most * sizeof(*c.state), "the loss of a constant answer");
}
