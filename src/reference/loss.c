// SPDX-License-Identifier: MIT
// Losses with their gradients and records; doc/maths.md, "Losses".
#include <math.h>

#include "reference/rows.h"

struct row_loss {
    double loss, weight; // what the row adds to numerator and denominator of the mean
    bool correct;
};

// Returns the loss of a row whose target is a class. dx [C], if not NULL, receives the gradient of the returned `loss`.
static struct row_loss class_row(const struct clrnn_op *op, const double *x, size_t target, const double *weight,
                                 double *dx)
{
    const size_t C = op->C;
    const bool from_logits = op->loss.kind == CLRNN_LOSS_CROSS_ENTROPY;
    const double smooth = from_logits ? op->loss.label_smoothing : 0;
    // nll gets log-probabilities. Their probabilities sum to 1, so their logsumexp is 0.
    const struct ref_logsumexp total = from_logits ? ref_logsumexp(x, C) : (struct ref_logsumexp){0, 0};
    const double own = weight ? weight[target] : 1;
    struct row_loss row = {(1 - smooth) * own * -ref_log_softmax(x[target], total), own, false};
    double pull = (1 - smooth) * own; // sum of the factors of all -log p terms
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
        const double share = smooth / (double)C * (weight ? weight[c] : 1) + (c == target ? (1 - smooth) * own : 0);

        dx[c] = from_logits ? pull * exp(ref_log_softmax(x[c], total)) - share : -share;
    }
    return row;
}

// Returns the loss of one output x with the real target y. Sets *g to its derivative with respect to x.
static double real_loss(const struct clrnn_op *op, size_t c, double x, double y, void *const in[], double *g)
{
    const double *weight = in[LOSS_WEIGHT], *label = in[LOSS_LABEL_WEIGHT];
    const double d = x - y, side = d > 0 ? 1 : d < 0 ? -1 : d, own = label ? label[c] : 1;
    const double beta = op->loss.beta, delta = op->loss.delta;
    double pos_weight, q;

    switch (op->loss.kind) {
    case CLRNN_LOSS_BCE_WITH_LOGITS:
        pos_weight = weight ? weight[c] : 1;
        *g = own * ((pos_weight * y + 1 - y) / (1 + exp(-x)) - pos_weight * y);
        return own * ((1 - y) * x + (1 + (pos_weight - 1) * y) * (log1p(exp(-fabs(x))) + (x < 0 ? -x : 0)));
    case CLRNN_LOSS_L1:
        *g = side;
        return fabs(d);
    case CLRNN_LOSS_SMOOTH_L1:
        *g = fabs(d) < beta ? d / beta : side;
        return fabs(d) < beta ? d * d / (2 * beta) : fabs(d) - beta / 2;
    case CLRNN_LOSS_HUBER:
        *g = fabs(d) < delta ? d : delta * side;
        return fabs(d) < delta ? d * d / 2 : delta * (fabs(d) - delta / 2);
    case CLRNN_LOSS_QUANTILE:
        q = weight[c % op->loss.quantiles];
        *g = d < 0 ? -q : d > 0 ? 1 - q : 0.5 - q + d;
        return d > 0 ? (1 - q) * d : -q * d;
    case CLRNN_LOSS_MSE:
        *g = 2 * d;
        return d * d;
    default: // cross_entropy, nll and ctc have no real targets
        *g = NAN;
        return NAN;
    }
}

// Adds the losses of row r, whose targets are real numbers, to the record. dx [C], if not NULL, receives the gradient
// of the row's weighted sum of losses. It is not yet divided by the sum of all weights.
static void real_row(const struct clrnn_op *op, void *const in[], size_t r, double *dx, double *record)
{
    const size_t Q = op->loss.quantiles ? op->loss.quantiles : 1;
    const double *x = (const double *)in[LOSS_X] + r * op->C, *samples = in[LOSS_SAMPLE_WEIGHT];
    const double *target = (const double *)in[LOSS_TARGET] + r * (op->C / Q);
    const double w = samples ? samples[r % op->N] : 1, *scale = in[LOSS_SCALE];

    for (size_t c = 0; c < op->C; c++) {
        double y = target[c / Q], error, loss, g;

        if (op->loss.missing && isnan(y))
            continue;
        loss = real_loss(op, c, x[c], y, in, &g);
        error = x[c] - y;
        if (dx)
            dx[c] = w * g;
        if (scale) {
            error *= scale[c / Q];
            loss = real_loss(op, c, error, 0, in, &g);
            y = y * scale[c / Q] + scale[op->C / Q + c / Q];
        }
        record[RECORD_LOSS] += w * loss;
        record[RECORD_WEIGHT] += w;
        record[RECORD_COUNT] += 1;
        if (op->loss.kind == CLRNN_LOSS_BCE_WITH_LOGITS) {
            record[RECORD_CORRECT] += (x[c] > 0) == (y > 0.5);
        } else {
            record[RECORD_ABS] += fabs(error);
            record[RECORD_Y] += y;
            record[RECORD_YY] += y * y;
        }
    }
}

// Does the same as real_row for a row whose target is a class. Does nothing if the target is ignored or not a class.
static void add_class_row(const struct clrnn_op *op, void *const in[], size_t r, double *dx, double *record)
{
    const double *samples = in[LOSS_SAMPLE_WEIGHT], w = samples ? samples[r % op->N] : 1;
    const int32_t target = ((const int32_t *)in[LOSS_TARGET])[r];
    struct row_loss row;

    if (target == op->loss.ignore_index || target < 0 || (uint32_t)target >= op->C)
        return;
    row = class_row(op, (const double *)in[LOSS_X] + r * op->C, (size_t)target, in[LOSS_WEIGHT], dx);
    for (size_t c = 0; dx && c < op->C; c++)
        dx[c] *= w;
    record[RECORD_LOSS] += w * row.loss;
    record[RECORD_WEIGHT] += w * row.weight;
    record[RECORD_CORRECT] += row.correct;
    record[RECORD_COUNT] += 1;
}

static bool loss(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const bool classes = clrnn_loss_is_classes(op->loss.kind);
    const uint32_t slot = ((const uint32_t *)in[LOSS_COUNTER])[COUNTER_SLOT];
    const size_t rows = ref_rows(op), C = op->C;
    double *dx = out[LOSS_DX], record[RECORD_FIELDS] = {0};

    ref_zero(dx, rows * C);
    for (size_t r = 0; r < rows; r++)
        if (ref_valid(op, in[LOSS_LENGTHS], r))
            (classes ? add_class_row : real_row)(op, in, r, dx ? dx + r * C : NULL, record);
    for (size_t i = 0; dx && record[RECORD_COUNT] > 0 && !op->loss.total && i < rows * C; i++)
        if (dx[i] != 0) // gradients of 0 stay 0 even if all weights are 0
            dx[i] /= record[RECORD_WEIGHT];
    if (slot < op->loss.slots)
        memcpy((double *)out[LOSS_RECORD] + (size_t)slot * RECORD_FIELDS, record, RECORD_NORM * sizeof(*record));
    return true;
}

// The error bounds allow for exp and log. In a record they are relative to each number, since the numbers of a record
// have different magnitudes.
const struct clrnn_reference clrnn_loss_reference = {
    loss, {{LOSS_DX, 16, TERMS_ONE, OF_TENSOR}, {ANY_SLOT, 8, TERMS_ROWS, OF_ELEMENT}}};
