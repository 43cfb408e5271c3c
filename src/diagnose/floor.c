// SPDX-License-Identifier: MIT
// Computes lower bounds of a loss, which come from smoothed or soft targets, from equal rows with different labels, and
// from activations between the last weights and the loss.
#include "diagnose/floor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/constant.h"
#include "model/nest.h"
#include "model/network.h"

#define MOST_ROWS_COMPARED 4096u // with more rows, equal rows are not searched: all pairs would be compared

// ---------------------------------------------------------------- ranges

// The range of values that the last layers can pass to the loss.
struct value_range {
    double low, high; // bounds of each output; infinite if unbounded
    bool simplex;     // the values are outputs of a softmax: the outputs of a sample (or step) sum to 1
    bool log_simplex; // the values are outputs of a log_softmax
    bool whole;       // the values are rounded to whole numbers
    long layer;       // index of the layer that sets the bounds; -1: none
};

static double sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

// Sets r->low and r->high to the range of each of C outputs of a softmax whose inputs differ by at most `width`.
static void softmax_range(double C, double width, struct value_range *r)
{
    r->high = C > 1.0 ? 1.0 / (1.0 + (C - 1.0) * exp(-width)) : 1.0;
    r->low = C > 1.0 ? 1.0 / (1.0 + (C - 1.0) * exp(width)) : 1.0; // 0 if exp is infinite
}

static void dropout_range(double p, struct value_range *r)
{
    if (p <= 0.0 || p >= 1.0)
        return;
    r->low = fmin(r->low / (1.0 - p), 0.0);
    r->high = fmax(r->high / (1.0 - p), 0.0);
    r->simplex = r->log_simplex = r->whole = false;
}

static void bounded(struct value_range *r, double low, double high, long layer)
{
    *r = (struct value_range){.low = low, .high = high, .layer = layer};
}

// Propagates the range of values through the model's layers to the loss.
static struct value_range range_to_loss(const struct clrnn_model *model)
{
    struct value_range r = {.low = -INFINITY, .high = INFINITY, .layer = -1};

    // Skips layers inside a residual or concat: they do not bound its output, which is a sum or consists of the outputs
    // of several branches.
    for (size_t i = 0; i < model->config->layer_count; i = clrnn_layer_end(model->config, i)) {
        const struct clrnn_layer *layer = &model->config->layer[i];
        const double C = model->layer[i].out;

        switch (layer->kind) {
        case CLRNN_LAYER_RNN:
            bounded(&r, layer->relu ? 0.0 : -1.0, layer->relu ? INFINITY : 1.0, (long)i);
            break;
        case CLRNN_LAYER_LSTM:
        case CLRNN_LAYER_GRU:
            if (layer->proj_size) // the projection W_hr h has no bounds
                bounded(&r, -INFINITY, INFINITY, -1);
            else
                bounded(&r, -1.0, 1.0, (long)i);
            break;
        case CLRNN_LAYER_RELU:
            bounded(&r, fmax(r.low, 0.0), fmax(r.high, 0.0), (long)i);
            break;
        case CLRNN_LAYER_TANH:
            bounded(&r, tanh(r.low), tanh(r.high), (long)i);
            break;
        case CLRNN_LAYER_SIGMOID:
            bounded(&r, sigmoid(r.low), sigmoid(r.high), (long)i);
            break;
        case CLRNN_LAYER_SOFTMAX:
        case CLRNN_LAYER_LOG_SOFTMAX: {
            const bool log_too = layer->kind == CLRNN_LAYER_LOG_SOFTMAX;
            const double width = r.high - r.low;

            r = (struct value_range){.simplex = !log_too, .log_simplex = log_too, .layer = (long)i};
            softmax_range(C, width, &r);
            if (log_too) {
                r.low = log(r.low);
                r.high = log(r.high);
            }
            break;
        }
        case CLRNN_LAYER_ROUND:
            r.low = rint(r.low);
            r.high = rint(r.high);
            r.whole = true;
            r.log_simplex = false;
            break;
        case CLRNN_LAYER_DROPOUT:
            dropout_range(layer->p, &r);
            break;
        case CLRNN_LAYER_POOL:
            r.simplex = r.simplex && layer->over != CLRNN_POOL_MAX;
            r.log_simplex = r.log_simplex && layer->over != CLRNN_POOL_MEAN && layer->over != CLRNN_POOL_MAX;
            break;
        default:
            bounded(&r, -INFINITY, INFINITY, -1);
            break;
        }
    }
    return r;
}

// ---------------------------------------------------------------- targets

// The targets that are not ignored, in groups. The samples of a group have equal rows, so the model's outputs for them
// are equal.
struct targets {
    const struct clrnn_model *m;
    const struct clrnn_dataset *set;
    uint32_t S,      // number of samples
        steps;       // number of steps of a sample that have labels; 1: a sample has one label
    uint32_t *group; // [S] index of the first sample with an equal row
    int32_t *y;      // class labels of one sample
    float *real;     // real targets of one sample
    double *q;       // [C] for each class, the sum of its targets (smoothed one-hot) over one group
    bool equal_rows; // some group has several samples
    bool soft;       // bce: targets between 0 and 1
};

// Returns the index after the last sample that may belong to the group whose first sample is `first`.
static uint32_t group_end(const struct targets *t, uint32_t first)
{
    return t->equal_rows ? t->S : first + 1;
}

// Reads X or the tokens of a sample.
static void read_row(const struct targets *t, uint32_t sample, float *row)
{
    if (clrnn_dataset_info(t->set)->tokens)
        clrnn_dataset_tokens(t->set, sample, (int32_t *)(void *)row);
    else
        clrnn_dataset_x(t->set, sample, row);
}

// Whether the rows of samples a and b are equal. width: number of values per step. `row` [2, T, width]: contains the
// row of a; the row of b is read into its second part.
static bool same_row(const struct targets *t, uint32_t a, uint32_t b, size_t width, float *row)
{
    float *other = row + clrnn_dataset_info(t->set)->T * width;
    const size_t length = clrnn_dataset_length(t->set, a);

    if (length != clrnn_dataset_length(t->set, b))
        return false;
    read_row(t, b, other);
    return !memcmp(row, other, length * width * sizeof(*row));
}

// Sets t->group. Searches for equal rows only if each row has one label, and the set is small. Labels of single steps
// are not grouped: the output at a step depends on the steps before and after it as well.
static enum clrnn_status find_groups(struct targets *t)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(t->set);
    const size_t width = info->tokens ? 1 : info->C, size = info->T * width;
    float *row;

    for (uint32_t s = 0; s < t->S; s++)
        t->group[s] = s;
    if (t->steps > 1 || t->S > MOST_ROWS_COMPARED || size * t->S > (64u << 20))
        return CLRNN_OK;
    row = malloc(2 * size * sizeof(*row));
    if (!row)
        return clrnn_error_memory(t->m->log, 2 * size * sizeof(*row), "comparing rows");
    for (uint32_t a = 0; a < t->S; a++) {
        const float *mapped = clrnn_dataset_x_mapped(t->set, a);

        if (t->group[a] != a)
            continue;
        read_row(t, a, row);
        for (uint32_t b = a + 1; b < t->S; b++) {
            const float *other = clrnn_dataset_x_mapped(t->set, b);

            if (mapped && other && mapped[0] != other[0])
                continue; // the first values differ, so the rest need not be read
            if (t->group[b] == b && same_row(t, a, b, width, row)) {
                t->group[b] = a;
                t->equal_rows = true;
            }
        }
    }
    free(row);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- lowest possible losses

// Returns the lowest cross_entropy of a group: the minimum of the sum over classes of -q log p, over all p that the
// range allows. *from_layers: the part of the returned loss that is due to the range.
static double class_floor(const struct targets *t, const struct value_range *r, double *from_layers)
{
    const double C = t->m->outputs, width = r->high - r->low;
    double sum = 0, top = 0, free_floor = 0, held;

    for (uint32_t c = 0; c < t->m->outputs; c++) {
        sum += t->q[c];
        top = fmax(top, t->q[c]);
    }
    for (uint32_t c = 0; c < t->m->outputs; c++)
        if (t->q[c] > 0)
            free_floor -= t->q[c] * log(t->q[c] / sum);
    *from_layers = 0;
    if (r->log_simplex || C <= 1.0 || isinf(width))
        return free_floor;
    // With hard targets, the best logits in the range are: the target class at the upper end, and the others at the
    // lower end (behind a softmax, the others divide the rest). The range costs nothing if the targets are softer than
    // the probabilities of these logits.
    held = r->simplex ? (1.0 - r->high) / (C - 1.0) - r->high : -width;
    if (top / sum < 1.0 / (1.0 + (C - 1.0) * exp(held)))
        return free_floor;
    held = sum * log(1.0 + (C - 1.0) * exp(held)) - (sum - top) * held;
    *from_layers = fmax(held - free_floor, 0.0);
    return free_floor + *from_layers;
}

static double clamp(const struct value_range *r, double x)
{
    x = fmin(fmax(x, r->low), r->high);
    if (!r->whole)
        return x;
    x = rint(x);
    return x < r->low ? r->low : x > r->high ? r->high : x;
}

// Returns the sum of the bce losses of logit x over equal rows. a: sum of pos_weight * y; b: sum of 1 - y.
static double binary_loss(double a, double b, double x)
{
    const double p = log1p(exp(-fabs(x))) + fmax(-x, 0.0), n = log1p(exp(-fabs(x))) + fmax(x, 0.0);

    return (a > 0 ? a * p : 0) + (b > 0 ? b * n : 0);
}

static double binary_floor(const struct value_range *r, double a, double b, double *from_layers)
{
    const double logit = a <= 0 ? -INFINITY : b <= 0 ? INFINITY : log(a / b), held = clamp(r, logit);
    const double least = isinf(logit) ? 0.0 : binary_loss(a, b, logit);

    *from_layers = isinf(held) ? 0.0 : fmax(binary_loss(a, b, held) - least, 0.0);
    return least + *from_layers;
}

// Sums over all groups.
struct sums {
    double floor,     // lowest loss
        layers,       // the part of `floor` that is due to the layers
        weight;       // the mean loss is `floor` divided by this
    double binary[2]; // number of y <= 0.5; of y > 0.5
};

static void add_class(const struct targets *t, int32_t y, double sample_weight, struct sums *s)
{
    const struct clrnn_loss_config *loss = &t->m->config->train.loss;
    const double C = t->m->outputs, smooth = loss->kind == CLRNN_LOSS_CROSS_ENTROPY ? loss->label_smoothing : 0;
    const double own = sample_weight * (loss->weight ? loss->weight[y] : 1);

    t->q[y] += (1.0 - smooth) * own;
    for (uint32_t c = 0; smooth > 0 && c < t->m->outputs; c++)
        t->q[c] += smooth / C * sample_weight * (loss->weight ? loss->weight[c] : 1);
    s->weight += own;
}

static void end_classes(const struct targets *t, const struct value_range *r, struct sums *s)
{
    double layers;

    s->floor += class_floor(t, r, &layers);
    s->layers += layers;
    memset(t->q, 0, t->m->outputs * sizeof(*t->q));
}

static void sum_classes(const struct targets *t, const struct value_range *r, uint32_t first, bool *seen,
                        struct sums *s)
{
    const struct clrnn_loss_config *loss = &t->m->config->train.loss;
    const double before = s->weight;

    for (uint32_t b = first; b < group_end(t, first); b++) {
        const double weight = clrnn_dataset_weight(t->set, b);

        if (t->group[b] != first || !(weight > 0))
            continue;
        clrnn_dataset_classes(t->set, b, t->y);
        for (size_t i = 0; i < clrnn_dataset_y_valid(t->set, b); i++) {
            if (t->y[i] == loss->ignore_index || t->y[i] < 0 || (uint32_t)t->y[i] >= t->m->outputs)
                continue;
            seen[t->y[i]] = true;
            add_class(t, t->y[i], weight, s);
            if (t->steps > 1)
                end_classes(t, r, s);
        }
    }
    if (t->steps == 1 && s->weight > before)
        end_classes(t, r, s);
}

struct real_group {
    double count, sum, square; // sums of w, w y and w y^2 over the group's targets y with sample weights w
};

// Adds the lowest loss of a group's targets of one output.
static void end_reals(const struct targets *t, const struct value_range *r, size_t output, const struct real_group *g,
                      struct sums *s)
{
    const struct clrnn_loss_config *loss = &t->m->config->train.loss;
    const double positive = loss->weight ? loss->weight[MIN2(output, loss->weight_count - 1)] : 1;
    const double offset = t->m->target_mean ? t->m->target_mean[output] : 0; // of `normalize_targets: standard`
    const double unit = t->m->target_std ? t->m->target_std[output] : 1;
    double layers;

    if (g->count == 0)
        return;
    if (clrnn_loss_is_regression(loss->kind)) {
        const double mean = g->sum / g->count, off = offset + unit * clamp(r, (mean - offset) / unit) - mean;

        layers = g->count * off * off;
        s->floor += fmax(g->square - g->count * mean * mean, 0.0) + layers;
    } else {
        const double factor = clrnn_bce_weight(loss, output);

        s->floor += factor * binary_floor(r, positive * g->sum, g->count - g->sum, &layers);
        layers *= factor;
    }
    s->layers += layers;
    s->weight += g->count;
}

// Adds the targets of one output, out of the `count` targets of a sample, to the group g. If each step has targets,
// each target is a group of its own.
static void add_reals(struct targets *t, const struct value_range *r, size_t output, size_t count, double weight,
                      struct real_group *g, struct sums *s)
{
    for (size_t i = output; i < count; i += t->m->targets) {
        const double y = t->real[i];

        if (isnan(y)) // missing
            continue;
        s->binary[y > 0.5]++;
        g->sum += weight * y;
        g->square += weight * y * y;
        g->count += weight;
        t->soft |= y > 0 && y < 1;
        if (t->steps > 1) {
            end_reals(t, r, output, g, s);
            *g = (struct real_group){0};
        }
    }
}

static void sum_reals(struct targets *t, const struct value_range *r, uint32_t first, struct sums *s)
{
    for (size_t output = 0; output < t->m->targets; output++) {
        struct real_group g = {0};

        for (uint32_t n = first; n < group_end(t, first); n++) {
            const double weight = clrnn_dataset_weight(t->set, n);

            if (t->group[n] != first || !(weight > 0))
                continue;
            clrnn_dataset_targets(t->set, n, t->real);
            add_reals(t, r, output, clrnn_dataset_y_valid(t->set, n), weight, &g, s);
        }
        if (t->steps == 1)
            end_reals(t, r, output, &g, s);
    }
}

// Whether this file can compute the lowest loss for real targets.
static bool real_floor_known(const struct targets *t)
{
    const enum clrnn_loss_kind kind = t->m->config->train.loss.kind;

    return kind == CLRNN_LOSS_MSE || kind == CLRNN_LOSS_BCE_WITH_LOGITS;
}

// ---------------------------------------------------------------- the floor of a data set

static const char *layer_reason(const struct clrnn_model *m, const struct value_range *r)
{
    const enum clrnn_layer_kind kind = r->layer >= 0 ? m->config->layer[r->layer].kind : CLRNN_LAYER_LINEAR;
    const bool cross_entropy = m->config->train.loss.kind == CLRNN_LOSS_CROSS_ENTROPY;

    if (clrnn_loss_is_regression(m->config->train.loss.kind))
        return r->whole ? "round leaves whole numbers, which the targets are not"
                        : "the last activation does not reach the targets";
    if (kind == CLRNN_LAYER_SOFTMAX && cross_entropy)
        return "cross_entropy applies its own softmax: behind another one, whose outputs lie in 0 to 1, it "
               "cannot fall further";
    if (kind == CLRNN_LAYER_SIGMOID)
        return cross_entropy ? "cross_entropy expects logits: behind a sigmoid, whose outputs lie in 0 to 1, it "
                               "cannot fall further"
                             : "bce_with_logits applies its own sigmoid: behind another one, whose outputs lie in 0 "
                               "to 1, it cannot fall further";
    return "the loss expects logits, and those that reach it are bounded by the last layers";
}

static enum clrnn_status sum_up(struct targets *t, const struct value_range *r, struct clrnn_loss_floor *f)
{
    const struct clrnn_loss_config *loss = &t->m->config->train.loss;
    const bool real = clrnn_dataset_info(t->set)->y_real;
    struct sums s = {0};
    bool *seen;

    if (loss->kind == CLRNN_LOSS_CTC)
        return CLRNN_OK; // the floor is 0 if there are enough steps for the labels
    seen = calloc(t->m->outputs, sizeof(*seen));
    if (!seen)
        return clrnn_error_memory(t->m->log, t->m->outputs, "classes");
    for (uint32_t a = 0; a < t->S; a++)
        if (t->group[a] == a && real)
            sum_reals(t, r, a, &s);
        else if (t->group[a] == a)
            sum_classes(t, r, a, seen, &s);
    for (uint32_t c = 0; c < t->m->outputs; c++)
        f->classes += seen[c];
    free(seen);
    if (loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS)
        f->classes = (s.binary[0] > 0) + (s.binary[1] > 0);
    if (s.weight <= 0)
        return CLRNN_OK; // all labels are ignored or have weight 0
    if (clrnn_loss_is_regression(loss->kind))
        f->scale = clrnn_target_scale(loss, t->set, t->real);
    if (loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS && loss->label_weight)
        f->scale = clrnn_bce_mean_weight(loss);
    if (real && !real_floor_known(t))
        return CLRNN_OK;
    f->floor = s.floor / s.weight;
    f->blocked = s.layers / s.weight > 1e-3 * f->scale;
    if (f->floor < 1e-6 * f->scale)
        f->floor = 0;
    else if (f->blocked)
        f->reason = layer_reason(t->m, r);
    else if (loss->kind == CLRNN_LOSS_CROSS_ENTROPY && loss->label_smoothing > 0)
        f->reason = "label smoothing takes a share of each target away from the true class";
    else if (loss->kind == CLRNN_LOSS_BCE_WITH_LOGITS && t->soft)
        f->reason = "targets between 0 and 1 are never certain";
    else
        f->reason = "equal rows have different targets";
    return CLRNN_OK;
}

enum clrnn_status clrnn_loss_floor(const struct clrnn_model *model, const struct clrnn_dataset *set,
                                   struct clrnn_loss_floor *floor)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const struct value_range range = range_to_loss(model);
    struct targets t = {.m = model, .set = set, .S = info->S, .steps = info->y_steps ? info->T : 1};
    enum clrnn_status st = CLRNN_OK;

    *floor = (struct clrnn_loss_floor){.scale = 1.0};
    if (model->config->train.loss.kind == CLRNN_LOSS_NLL && !range.log_simplex) {
        floor->floor = range.high < INFINITY ? -range.high : -INFINITY;
        floor->blocked = true;
        floor->reason = "nll expects log-probabilities (a log_softmax last): on other values it falls below 0 and "
                        "says nothing";
    }
    t.group = malloc(t.S * sizeof(*t.group));
    t.y = malloc(clrnn_dataset_y_count(set) * sizeof(*t.y));
    t.real = malloc(clrnn_dataset_y_count(set) * sizeof(*t.real));
    t.q = calloc(model->outputs, sizeof(*t.q));
    if (!t.group || !t.y || !t.real || !t.q)
        st = clrnn_error_memory(model->log, t.S * sizeof(*t.group), "the least loss");
    if (st == CLRNN_OK)
        st = find_groups(&t);
    if (st == CLRNN_OK && !floor->blocked)
        st = sum_up(&t, &range, floor);
    free(t.group);
    free(t.y);
    free(t.real);
    free(t.q);
    return st;
}
