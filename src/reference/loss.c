// SPDX-License-Identifier: MIT
// Losses with their gradients and counts; doc/maths.md, "Losses".
#include <math.h>

#include "reference/rows.h"

struct row_loss {
    double loss, weight; // parts of numerator and denominator
    bool correct;
};

// Classes: loss of one row; dx [C], where wanted, is the gradient of the numerator.
static struct row_loss class_row(const struct clrnn_op *op, const double *x, size_t target,
                                 const double *weight, double *dx)
{
    const size_t C = op->C;
    const bool from_logits = op->loss.kind == CLRNN_LOSS_CROSS_ENTROPY;
    const double smooth = from_logits ? op->loss.label_smoothing : 0;
    // Log-probabilities (nll) stand for themselves: their sum is 1, its logarithm 0.
    const struct ref_logsumexp total = from_logits ? ref_logsumexp(x, C) : (struct ref_logsumexp){0, 0};
    const double own = weight ? weight[target] : 1;
    struct row_loss row = {(1 - smooth) * own * -ref_log_softmax(x[target], total), own, false};
    double pull = (1 - smooth) * own; // sum of the factors before the costs
    size_t best = 0;

    for (size_t c = 0; c < C; c++) {
        const double share = smooth / (double)C * (weight ? weight[c] : 1);

        if (smooth > 0)
            row.loss += share * -ref_log_softmax(x[c], total);
        pull += share;
        if (x[c] > x[best])
            best = c;
    }
    row.correct = best == target;
    for (size_t c = 0; dx && c < C; c++) {
        const double share =
            smooth / (double)C * (weight ? weight[c] : 1) + (c == target ? (1 - smooth) * own : 0);

        dx[c] = from_logits ? pull * exp(ref_log_softmax(x[c], total)) - share : -share;
    }
    return row;
}

static struct row_loss bce_row(double x, double y, double pos_weight, double *dx)
{
    const double softplus = log1p(exp(-fabs(x))) + (x < 0 ? -x : 0); // log(1 + e^-x)

    if (dx)
        *dx = (pos_weight * y + 1 - y) / (1 + exp(-x)) - pos_weight * y;
    return (struct row_loss){(1 - y) * x + (1 + (pos_weight - 1) * y) * softplus, 1, (x > 0) == (y > 0.5)};
}

static struct row_loss mse_row(double x, double y, double *dx)
{
    if (dx)
        *dx = 2 * (x - y);
    return (struct row_loss){(x - y) * (x - y), 1, false};
}

static bool loss(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const bool classes = op->loss.kind == CLRNN_LOSS_CROSS_ENTROPY || op->loss.kind == CLRNN_LOSS_NLL;
    const uint32_t slot = ((const uint32_t *)in[LOSS_COUNTER])[COUNTER_SLOT];
    const double *weight = in[LOSS_WEIGHT];
    const size_t rows = ref_rows(op), C = op->C;
    double *dx = out[LOSS_DX], record[RECORD_FIELDS] = {0};

    ref_zero(dx, rows * C);
    for (size_t r = 0; r < rows; r++) {
        const double *x = (const double *)in[LOSS_X] + r * C;
        double *d = dx ? dx + r * C : NULL;
        struct row_loss row;

        if (!ref_valid(op, in[LOSS_LENGTHS], r))
            continue;
        if (classes) {
            const int32_t target = ((const int32_t *)in[LOSS_TARGET])[r];

            if (target == op->loss.ignore_index || target < 0 || (uint32_t)target >= op->C)
                continue;
            row = class_row(op, x, (size_t)target, weight, d);
        } else {
            const double y = ((const double *)in[LOSS_TARGET])[r];

            if (op->loss.kind == CLRNN_LOSS_MSE) {
                row = mse_row(*x, y, d);
                record[RECORD_ABS] += fabs(*x - y);
                record[RECORD_Y] += y;
                record[RECORD_YY] += y * y;
            } else {
                row = bce_row(*x, y, weight ? weight[0] : 1, d);
            }
        }
        record[RECORD_LOSS] += row.loss;
        record[RECORD_WEIGHT] += row.weight;
        record[RECORD_CORRECT] += row.correct;
        record[RECORD_COUNT] += 1;
    }
    for (size_t i = 0; dx && record[RECORD_COUNT] > 0 && i < rows * C; i++)
        if (dx[i] != 0) // rows that do not count stay 0 even where all weights are 0
            dx[i] /= record[RECORD_WEIGHT];
    if (slot < op->loss.slots)
        memcpy((double *)out[LOSS_RECORD] + (size_t)slot * RECORD_FIELDS, record,
               RECORD_NORM * sizeof(*record));
    return true;
}

// exp and log; a record's numbers differ by orders of magnitude: hence element by element.
const struct clrnn_reference clrnn_loss_reference = {
    loss, {{LOSS_DX, 16, TERMS_ONE, OF_TENSOR}, {ANY_SLOT, 8, TERMS_ROWS, OF_ELEMENT}}};
