// SPDX-License-Identifier: MIT
// Losses of a batch, their gradients, and the batch's record (RECORD_... in slots.h). Formulas: doc/maths.md, "Losses".
//
// Defines:
//   LOSS_KIND  one of LOSS_...
//   COOPERATE  whether all lanes of a team (reduce.h) compute one row together, for many classes; otherwise each lane
//              computes rows of its own
//   QUANTILES  number of quantiles; 1 for other losses
//   MISSING    whether NaN targets are left out
//   TOTAL      whether dx is the gradient of the sum of the losses; otherwise it is the gradient of their mean
//
// Tensors:
//   x, dx          [rows, C]
//   target         [rows] classes, or [rows, C / QUANTILES] reals
//   weight         [C] class weights or pos_weight; loss quantile: [QUANTILES], the quantiles
//   label_weight   [C]
//   sample_weight  [N]
//   scale          [2, C / QUANTILES]: deviation and mean with which the targets were standardised. With `scale`, the
//                  record has the losses in the original units of the targets.
//   index          [rows] or NULL. If not NULL, target and sample_weight are those of the whole data set, and row r
//                  uses their entry index[r].
//
// An item is a row if targets are classes, else an element of x. A batch is divided into blocks of items. For a single
// block there is one launch, loss_whole; for several blocks there are three: loss_weights, loss_rows and loss_finish.
#include "enums.h"
#include "slots.h"
#include "reduce.h"

#define CLASSES (LOSS_KIND == LOSS_CROSS_ENTROPY || LOSS_KIND == LOSS_NLL)

#if CLASSES
typedef int target_type;
#else
typedef real target_type;
#endif

#if COOPERATE
#define FIRST_ROW 0
#define ROW_STEP 1
#define FIRST_COLUMN (LANE * WIDTH)
#define COLUMN_STEP (LANES * WIDTH)
#define ROW_SUM(v, scratch) LANE_SUM(v, scratch)
#define ROW_MAX(v, scratch) LANE_MAX(v, scratch)
#define TEAM_SUM(v, scratch) (v) // all lanes work on the same rows, so that each lane has the whole sum
#else
#define FIRST_ROW LANE
#define ROW_STEP LANES
#define FIRST_COLUMN 0
#define COLUMN_STEP WIDTH
#define ROW_SUM(v, scratch) (v)
#define ROW_MAX(v, scratch) (v)
#define TEAM_SUM(v, scratch) LANE_SUM(v, scratch)
#endif

#define SUMS RECORD_NORM // number of fields of a record that are sums over items; they are its first fields

// The tensors and parameters of a loss.
typedef struct {
    global const real *x;
    global const int *lengths; // [N], or NULL
    global const target_type *target;
    global const uint *index;  // row r has the target of row index[r] of `target`; NULL: of row r
    global const real *weight; // or NULL, except with loss quantile
    global const real *label_weight;  // or NULL
    global const real *sample_weight; // or NULL
    global const real *scale;         // or NULL
    global real *dx; // or NULL
    uint rows, N, C;
    real parameter; // label smoothing (cross_entropy), beta (smooth_l1) or delta (huber)
    int ignore;
} task;

typedef struct {
    real sum[SUMS], lost[SUMS];
} record_sums;

static inline void add(record_sums *s, uint field, real v)
{
    const real corrected = v - s->lost[field], sum = s->sum[field] + corrected;

    s->lost[field] = isinf(sum) ? 0.0f : (sum - s->sum[field]) - corrected;
    s->sum[field] = sum;
}

static inline uint source_row(const task *t, uint r)
{
    return t->index != 0 ? t->index[r] : r;
}

static inline real sample_weight(const task *t, uint r)
{
    return t->sample_weight != 0 ? t->sample_weight[t->index != 0 ? t->index[r] : r % t->N] : 1.0f;
}

#if CLASSES
static inline target_type target_of(const task *t, uint r)
{
    return t->target[source_row(t, r)];
}

static inline uint item_count(const task *t)
{
    return t->rows;
}

static inline bool item_counts(const task *t, uint r)
{
    int target;

    if (!row_valid(t->lengths, t->N, r))
        return false;
    target = target_of(t, r);
    return target != t->ignore && target >= 0 && (uint)target < t->C;
}

// Returns the weight of row r in the loss. RECORD_WEIGHT, the denominator of the mean, is the sum of these weights.
static inline real item_weight(const task *t, uint r)
{
    const real weight = t->weight != 0 ? t->weight[target_of(t, r)] : 1.0f;

    return weight * sample_weight(t, r);
}

static inline void zero_row(const task *t, uint r)
{
    if (t->dx != 0)
        ROLLED for (uint c = FIRST_COLUMN; c < t->C; c += COLUMN_STEP)
            store((realv)(0.0f), t->dx + (size_t)r * t->C + c, t->C - c);
}

static inline realv class_weight(const task *t, uint c)
{
    if (t->weight != 0)
        return load(t->weight + c, t->C - c);
    return WHERE((realv)(0.0f), (realv)(1.0f), (int)c + INDEXES < (int)t->C);
}

// Adds the loss of row r to *s. Writes the gradient of this loss, divided by `whole`, to row r of dx. whole: the sum of
// the batch's weights, or 1 with TOTAL. The cost of class c is -log p_c = (top - x_c) + log_sum for logits, and -x_c
// for log probabilities. A row that does not count (padding, ignored target) executes the same code but reads nothing
// of x, because all lanes must reach the same barriers.
static inline void class_row(const task *t, uint r, real whole, record_sums *s, local real *scratch)
{
    global const real *x = t->x + (size_t)r * t->C;
    const bool counts = item_counts(t, r);
    const uint end = counts ? t->C : 0;
    const int own = counts ? target_of(t, r) : -1;
    const real own_weight = counts ? item_weight(t, r) : 0.0f, own_x = counts ? x[own] : 0.0f;
    const bool smooth = t->parameter > 0.0f;
    const real share = t->parameter / (real)t->C * (counts ? sample_weight(t, r) : 0.0f);
    realv part = -INFINITY, beaten = 0.0f, smooth_cost = 0.0f, smooth_weight = 0.0f;
    real top = 0.0f, log_sum = 0.0f, inverse = 1.0f, cost, weights, lost, pull;

    for (uint c = FIRST_COLUMN; c < end; c += COLUMN_STEP) {
        const realv v = load_or(x + c, t->C - c, -INFINITY);
        const intv index = (int)c + INDEXES;

        part = fmax(part, v);
        // The target class is the argmax unless an earlier class has an equal or larger x, or a later class a larger x.
        beaten += WHERE((realv)(0.0f), (realv)(1.0f),
                        (index < own && !(v < own_x)) || (index > own && !(v <= own_x)));
    }
#if LOSS_KIND == LOSS_CROSS_ENTROPY
    top = ROW_MAX(max_of(part), scratch);
    part = 0.0f;
    for (uint c = FIRST_COLUMN; c < end; c += COLUMN_STEP) {
        const uint n = t->C - c;
        const realv v = load_or(x + c, n, -INFINITY), e = exp_vec(v - top);

        part += e;
        if (t->dx != 0)
            store(e, t->dx + (size_t)r * t->C + c, n);
        if (smooth) {
            const realv w = class_weight(t, c); // w is 0 beyond the last class

            smooth_weight += w;
            smooth_cost += WHERE((realv)(0.0f), w * (top - v), w != 0.0f);
        }
    }
    inverse = ROW_SUM(sum_of(part), scratch);
    log_sum = log(inverse);
    inverse = 1.0f / inverse;
#endif
    cost = ROW_SUM(sum_of(smooth_cost), scratch);
    weights = ROW_SUM(sum_of(smooth_weight), scratch);
    lost = ROW_SUM(sum_of(beaten), scratch);
    if (!counts) {
        zero_row(t, r);
        return;
    }
    pull = (1.0f - t->parameter) * own_weight + share * weights;
    add(s, RECORD_LOSS,
        (1.0f - t->parameter) * own_weight * ((top - own_x) + log_sum) +
            (smooth ? share * (cost + log_sum * weights) : 0.0f));
    add(s, RECORD_WEIGHT, own_weight);
    add(s, RECORD_COUNT, 1.0f);
    add(s, RECORD_CORRECT, lost == 0.0f ? 1.0f : 0.0f);
    if (t->dx == 0)
        return;
    for (uint c = FIRST_COLUMN; c < t->C; c += COLUMN_STEP) {
        const uint n = t->C - c;
        global real *dx = t->dx + (size_t)r * t->C + c;
        realv g = WHERE((realv)(0.0f), (realv)((1.0f - t->parameter) * own_weight), (int)c + INDEXES == own);

        if (smooth)
            g += share * class_weight(t, c);
#if LOSS_KIND == LOSS_CROSS_ENTROPY
        g = pull * (load(dx, n) * inverse) - g; // dx holds exp(x - top)
#else
        g = -g;
#endif
        store(WHERE(g / whole, (realv)(0.0f), g == 0.0f), dx, n);
    }
}
#else
static inline target_type target_of(const task *t, uint r, uint c)
{
    return t->target[(size_t)source_row(t, r) * (t->C / QUANTILES) + c / QUANTILES];
}

static inline uint item_count(const task *t)
{
    return t->rows * t->C;
}

static inline bool item_counts(const task *t, uint i)
{
    const uint r = i / t->C;

    if (!row_valid(t->lengths, t->N, r))
        return false;
#if MISSING
    return !isnan(target_of(t, r, i - r * t->C));
#else
    return true;
#endif
}

static inline real item_weight(const task *t, uint i)
{
    return t->sample_weight != 0 ? sample_weight(t, i / t->C) : 1.0f;
}

// Returns the sign of d: 1, 0 or -1. NaN stays NaN.
static inline real side_of(real d)
{
    return d > 0.0f ? 1.0f : d < 0.0f ? -1.0f : d;
}

// Returns the loss of one output x for the target y, and its derivative with respect to x in *g.
static inline real real_loss(const task *t, uint c, real x, real y, real *g)
{
#if LOSS_KIND == LOSS_BCE_WITH_LOGITS
    const real positive = t->weight != 0 ? t->weight[c] : 1.0f;
    const real label = t->label_weight != 0 ? t->label_weight[c] : 1.0f;
    const real softplus = log1p(exp(-fabs(x))) + fmax(-x, 0.0f); // log(1 + e^-x) without overflow
    const real loss = (1.0f - y) * x + (1.0f + (positive - 1.0f) * y) * softplus;

    *g = label * ((positive * y + 1.0f - y) * sigmoid(x) - positive * y);
    return label * (isnan(x) ? x : loss); // fmax in `softplus` drops NaN
#else
    const real d = x - y, size = fabs(d);

#if LOSS_KIND == LOSS_L1
    *g = side_of(d);
    return size;
#elif LOSS_KIND == LOSS_SMOOTH_L1
    *g = size < t->parameter ? d / t->parameter : side_of(d);
    return size < t->parameter ? 0.5f * d * d / t->parameter : size - 0.5f * t->parameter;
#elif LOSS_KIND == LOSS_HUBER
    *g = size < t->parameter ? d : t->parameter * side_of(d);
    return size < t->parameter ? 0.5f * d * d : t->parameter * (size - 0.5f * t->parameter);
#elif LOSS_KIND == LOSS_QUANTILE
    const real q = t->weight[c % QUANTILES];

    *g = d < 0.0f ? -q : d > 0.0f ? 1.0f - q : 0.5f - q + d;
    return d > 0.0f ? (1.0f - q) * d : -q * d;
#elif LOSS_KIND == LOSS_MSE
    *g = 2.0f * d;
    return d * d;
#else
#error "a loss of real targets without its formula"
#endif
#endif
}

// Adds the loss of item i, which is output i % C of row i / C, to *s. Writes the gradient of this loss, divided by
// `whole`, to dx[i]. whole: the sum of the batch's weights, or 1 with TOTAL.
static inline void real_item(const task *t, uint i, real whole, record_sums *s)
{
    const uint r = i / t->C, c = i - r * t->C;
    real x, y, w, error, loss, g;

    if (!item_counts(t, i)) {
        if (t->dx != 0)
            t->dx[i] = 0.0f;
        return;
    }
    x = t->x[(size_t)r * t->C + c];
    y = target_of(t, r, c);
    error = fabs(x - y);
    w = item_weight(t, i);
    add(s, RECORD_WEIGHT, w);
    add(s, RECORD_COUNT, 1.0f);
    loss = real_loss(t, c, x, y, &g);
#if LOSS_KIND != LOSS_BCE_WITH_LOGITS
    if (t->scale != 0) {
        const uint targets = t->C / QUANTILES, o = c / QUANTILES;
        real unused;

        x = (x - y) * t->scale[o];
        loss = real_loss(t, c, x, 0.0f, &unused);
        y = y * t->scale[o] + t->scale[targets + o];
        error = fabs(x);
    }
#endif
#if LOSS_KIND == LOSS_BCE_WITH_LOGITS
    add(s, RECORD_CORRECT, (x > 0.0f) == (y > 0.5f) ? 1.0f : 0.0f);
#else
    add(s, RECORD_ABS, error);
    add(s, RECORD_Y, y);
    add(s, RECORD_YY, y * y);
#endif
    add(s, RECORD_LOSS, w * loss);
    if (t->dx != 0) // avoids 0 / 0: `whole` is 0 if all weights are 0
        t->dx[i] = w * g == 0.0f ? 0.0f : w * g / whole;
}
#endif

// Returns the sum of the weights of items [first, last).
static inline real weight_of_items(const task *t, uint first, uint last, local real *scratch)
{
    record_sums s;

    s.sum[0] = s.lost[0] = 0.0f;
    for (uint r = first + LANE; r < last; r += LANES)
        if (item_counts(t, r))
            add(&s, 0, item_weight(t, r));
    return LANE_SUM(s.sum[0], scratch);
}

// Computes the losses and gradients of items [first, last). Writes the sums over them to out [SUMS] unless out is NULL.
static inline void loss_of_items(const task *t, uint first, uint last, real whole, global real *out,
                                local real *scratch)
{
    record_sums s;

    for (uint i = 0; i < SUMS; i++)
        s.sum[i] = s.lost[i] = 0.0f;
    for (uint r = first + FIRST_ROW; r < last; r += ROW_STEP)
#if CLASSES
        class_row(t, r, whole, &s, scratch);
#else
        real_item(t, r, whole, &s);
#endif
    for (uint i = 0; i < SUMS; i++) {
        const real sum = TEAM_SUM(s.sum[i], scratch);

        if (LANE == 0 && out != 0)
            out[i] = sum;
    }
}

#define TASK \
    (task) \
    { \
        x, lengths, target, index, weight, label_weight, sample_weight, scale, dx, rows, N, C, parameter, ignore \
    }

// Computes the whole batch with one team of LANES work-items. record [slots, RECORD_FIELDS] is not written if the
// batch's slot is out of range.
kernel void loss_whole(global const real *x, global const int *lengths, global const target_type *target,
                       global const uint *index, global const real *weight, global const real *label_weight,
                       global const real *sample_weight, global const real *scale, global real *dx, uint rows,
                       uint N, uint C, real parameter, int ignore, global const uint *counter, uint slots,
                       global real *record, local real *scratch)
{
    const task t = TASK;
    const uint end = TEAM == 0 ? item_count(&t) : 0, slot = counter[COUNTER_SLOT];
    const real whole = TOTAL ? 1.0f : weight_of_items(&t, 0, end, scratch);

    loss_of_items(&t, 0, end, whole, TEAM == 0 && slot < slots ? record + slot * RECORD_FIELDS : 0, scratch);
}

// Writes the sum of weights of each block to weights [blocks].
kernel void loss_weights(global const int *lengths, global const target_type *target,
                         global const uint *index, global const real *weight,
                         global const real *sample_weight, uint rows, uint N, uint C, int ignore,
                         global real *weights, uint block, local real *scratch)
{
    const task t = {0, lengths, target, index, weight, 0, sample_weight, 0, 0, rows, N, C, 0.0f, ignore};
    const uint first = TEAM * block;
    real sum;

    sum = weight_of_items(&t, first, min(item_count(&t), first + block), scratch);
    if (LANE == 0 && first < item_count(&t))
        weights[TEAM] = sum;
}

// Computes the losses and gradients of each block, and writes its sums to sums [blocks, SUMS]. weights [blocks] is the
// result of loss_weights.
kernel void loss_rows(global const real *x, global const int *lengths, global const target_type *target,
                      global const uint *index, global const real *weight, global const real *label_weight,
                      global const real *sample_weight, global const real *scale, global real *dx, uint rows,
                      uint N, uint C, real parameter, int ignore, global const real *weights, uint blocks,
                      global real *sums, uint block, local real *scratch)
{
    const task t = TASK;
    const uint first = TEAM * block;
    record_sums s;

    s.sum[0] = s.lost[0] = 0.0f;
    for (uint b = LANE; b < blocks; b += LANES)
        add(&s, 0, weights[b]);
    s.sum[0] = LANE_SUM(s.sum[0], scratch);
    loss_of_items(&t, first, min(item_count(&t), first + block), TOTAL ? 1.0f : s.sum[0],
                  first < item_count(&t) ? sums + TEAM * SUMS : 0, scratch);
}

// Adds up the blocks' sums and writes them to the record. A work-item computes one field of the record.
kernel void loss_finish(global const real *sums, uint blocks, global const uint *counter, uint slots,
                        global real *record)
{
    const uint field = get_global_id(0), slot = counter[COUNTER_SLOT];
    record_sums s;

    if (field >= SUMS || slot >= slots)
        return;
    s.sum[0] = s.lost[0] = 0.0f;
    for (uint b = 0; b < blocks; b++)
        add(&s, 0, sums[b * SUMS + field]);
    record[slot * RECORD_FIELDS + field] = s.sum[0];
}
