// SPDX-License-Identifier: MIT
// Losses with their gradients and what else a batch leaves behind. Needs -DLOSS_KIND (below),
// -DCOOPERATE: whether all lanes of a team work on one row at a time (many classes) or each on its own.
//
// Shapes: x, dx [rows, C]; target [rows], int or real; weight [C] (class weights) or [1] (pos_weight).
// A batch is cut into blocks of rows. Several blocks: loss_weights, loss_rows, loss_finish; one: loss_whole.
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
#define ROW_SUM(v, room) LANE_SUM(v, room)
#define ROW_MAX(v, room) LANE_MAX(v, room)
#define TEAM_SUM(v, room) (v) // every lane has seen every row
#else
#define FIRST_ROW LANE
#define ROW_STEP LANES
#define FIRST_COLUMN 0
#define COLUMN_STEP WIDTH
#define ROW_SUM(v, room) (v)
#define ROW_MAX(v, room) (v)
#define TEAM_SUM(v, room) LANE_SUM(v, room)
#endif

#define SUMS RECORD_NORM // the fields that are sums over rows

// What every kernel works on.
typedef struct {
    global const real *x;
    global const int *lengths;
    global const target_type *target;
    global const uint *index; // row r's target is number index[r]; NULL: number r
    global const real *weight;
    global real *dx;
    uint rows, N, C;
    real smoothing;
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

static inline target_type target_of(const task *t, uint r)
{
    return t->target[t->index != 0 ? t->index[r] : r];
}

static inline bool row_counts(const task *t, uint r)
{
    if (!row_valid(t->lengths, t->N, r))
        return false;
#if CLASSES
    const int target = target_of(t, r);

    return target != t->ignore && target >= 0 && (uint)target < t->C;
#else
    return true;
#endif
}

// A row's share of the denominator.
static inline real row_weight(const task *t, uint r)
{
#if CLASSES
    return t->weight != 0 ? t->weight[target_of(t, r)] : 1.0f;
#else
    return 1.0f;
#endif
}

static inline void zero_row(const task *t, uint r)
{
    if (t->dx != 0)
        for (uint c = FIRST_COLUMN; c < t->C; c += COLUMN_STEP)
            store((realv)(0.0f), t->dx + (size_t)r * t->C + c, t->C - c);
}

#if CLASSES
static inline realv class_weight(const task *t, uint c)
{
    if (t->weight != 0)
        return load(t->weight + c, t->C - c);
    return WHERE((realv)(0.0f), (realv)(1.0f), (int)c + INDEXES < (int)t->C);
}

// cost of class c: -log p_c = (top - x_c) + log_sum for logits, -x_c for log-probabilities. A row that does
// not count goes the same way, as lanes must not part, but reads nothing.
static inline void class_row(const task *t, uint r, real whole, record_sums *s, local real *room)
{
    global const real *x = t->x + (size_t)r * t->C;
    const bool counts = row_counts(t, r);
    const uint end = counts ? t->C : 0;
    const int own = counts ? target_of(t, r) : -1;
    const real own_weight = counts ? row_weight(t, r) : 0.0f, own_x = counts ? x[own] : 0.0f;
    const bool smooth = t->smoothing > 0.0f;
    const real share = t->smoothing / (real)t->C;
    realv part = -INFINITY, beaten = 0.0f, smooth_cost = 0.0f, smooth_weight = 0.0f;
    real top = 0.0f, log_sum = 0.0f, inverse = 1.0f, cost, weights, lost, pull;

    for (uint c = FIRST_COLUMN; c < end; c += COLUMN_STEP) {
        const realv v = load_or(x + c, t->C - c, -INFINITY);
        const intv index = (int)c + INDEXES;

        part = fmax(part, v);
        // The target is the first maximum unless an earlier class reaches it or any is above it.
        beaten += WHERE((realv)(0.0f), (realv)(1.0f),
                        (index < own && !(v < own_x)) || (index > own && !(v <= own_x)));
    }
#if LOSS_KIND == LOSS_CROSS_ENTROPY
    top = ROW_MAX(max_of(part), room);
    part = 0.0f;
    for (uint c = FIRST_COLUMN; c < end; c += COLUMN_STEP) {
        const uint n = t->C - c;
        const realv v = load_or(x + c, n, -INFINITY), e = exp(v - top);

        part += e;
        if (t->dx != 0)
            store(e, t->dx + (size_t)r * t->C + c, n);
        if (smooth) {
            const realv w = class_weight(t, c); // 0 beyond the last class

            smooth_weight += w;
            smooth_cost += WHERE((realv)(0.0f), w * (top - v), w != 0.0f);
        }
    }
    inverse = ROW_SUM(sum_of(part), room);
    log_sum = log(inverse);
    inverse = 1.0f / inverse;
#endif
    cost = ROW_SUM(sum_of(smooth_cost), room);
    weights = ROW_SUM(sum_of(smooth_weight), room);
    lost = ROW_SUM(sum_of(beaten), room);
    if (!counts) {
        zero_row(t, r);
        return;
    }
    pull = (1.0f - t->smoothing) * own_weight + share * weights;
    add(s, RECORD_LOSS,
        (1.0f - t->smoothing) * own_weight * ((top - own_x) + log_sum) +
            (smooth ? share * (cost + log_sum * weights) : 0.0f));
    add(s, RECORD_WEIGHT, own_weight);
    add(s, RECORD_COUNT, 1.0f);
    add(s, RECORD_CORRECT, lost == 0.0f ? 1.0f : 0.0f);
    if (t->dx == 0)
        return;
    for (uint c = FIRST_COLUMN; c < t->C; c += COLUMN_STEP) {
        const uint n = t->C - c;
        global real *dx = t->dx + (size_t)r * t->C + c;
        realv g = WHERE((realv)(0.0f), (realv)((1.0f - t->smoothing) * own_weight), (int)c + INDEXES == own);

        if (smooth)
            g += share * class_weight(t, c);
#if LOSS_KIND == LOSS_CROSS_ENTROPY
        g = pull * (load(dx, n) * inverse) - g; // exp(x - top) lies there
#else
        g = -g;
#endif
        store(WHERE(g / whole, (realv)(0.0f), g == 0.0f), dx, n);
    }
}
#else
// One output: log(1 + e^-x) without overflow, or the squared difference.
static inline void real_row(const task *t, uint r, real whole, record_sums *s)
{
    real x, y, loss, g;

    if (!row_counts(t, r)) {
        zero_row(t, r);
        return;
    }
    x = t->x[r];
    y = target_of(t, r);
    add(s, RECORD_WEIGHT, 1.0f);
    add(s, RECORD_COUNT, 1.0f);
#if LOSS_KIND == LOSS_BCE_WITH_LOGITS
    const real positive = t->weight != 0 ? t->weight[0] : 1.0f;
    const real softplus = log1p(exp(-fabs(x))) + fmax(-x, 0.0f);

    loss = (1.0f - y) * x + (1.0f + (positive - 1.0f) * y) * softplus;
    loss = isnan(x) ? x : loss; // fmax passes over it
    g = (positive * y + 1.0f - y) * sigmoid(x) - positive * y;
    add(s, RECORD_CORRECT, (x > 0.0f) == (y > 0.5f) ? 1.0f : 0.0f);
#else
    const real d = x - y;

    loss = d * d;
    g = 2.0f * d;
    add(s, RECORD_ABS, fabs(d));
    add(s, RECORD_Y, y);
    add(s, RECORD_YY, y * y);
#endif
    add(s, RECORD_LOSS, loss);
    if (t->dx != 0)
        t->dx[r] = g / whole;
}
#endif

// The weights of rows first to last - 1 together.
static inline real weight_of_rows(const task *t, uint first, uint last, local real *room)
{
    record_sums s;

    s.sum[0] = s.lost[0] = 0.0f;
    for (uint r = first + LANE; r < last; r += LANES)
        if (row_counts(t, r))
            add(&s, 0, row_weight(t, r));
    return LANE_SUM(s.sum[0], room);
}

// out [SUMS], if not NULL: sums over rows first to last - 1.
static inline void loss_of_rows(const task *t, uint first, uint last, real whole, global real *out,
                                local real *room)
{
    record_sums s;

    for (uint i = 0; i < SUMS; i++)
        s.sum[i] = s.lost[i] = 0.0f;
    for (uint r = first + FIRST_ROW; r < last; r += ROW_STEP)
#if CLASSES
        class_row(t, r, whole, &s, room);
#else
        real_row(t, r, whole, &s);
#endif
    for (uint i = 0; i < SUMS; i++) {
        const real sum = TEAM_SUM(s.sum[i], room);

        if (LANE == 0 && out != 0)
            out[i] = sum;
    }
}

#define TASK \
    (task) \
    { \
        x, lengths, target, index, weight, dx, rows, N, C, smoothing, ignore \
    }

// record [slots, RECORD_FIELDS]; a slot out of range writes nowhere. One team works.
kernel void loss_whole(global const real *x, global const int *lengths, global const target_type *target,
                       global const uint *index, global const real *weight, global real *dx, uint rows,
                       uint N, uint C, real smoothing, int ignore, global const uint *counter, uint slots,
                       global real *record, local real *room)
{
    const task t = TASK;
    const uint end = TEAM == 0 ? rows : 0, slot = counter[COUNTER_SLOT];
    const real whole = weight_of_rows(&t, 0, end, room);

    loss_of_rows(&t, 0, end, whole, TEAM == 0 && slot < slots ? record + slot * RECORD_FIELDS : 0, room);
}

// weights [blocks].
kernel void loss_weights(global const int *lengths, global const target_type *target,
                         global const uint *index, global const real *weight, uint rows, uint N, uint C, int ignore,
                         global real *weights, uint block_rows, local real *room)
{
    const task t = {0, lengths, target, index, weight, 0, rows, N, C, 0.0f, ignore};
    const uint first = TEAM * block_rows;
    real sum;

    sum = weight_of_rows(&t, first, min(rows, first + block_rows), room);
    if (LANE == 0 && first < rows)
        weights[TEAM] = sum;
}

// sums [blocks, SUMS].
kernel void loss_rows(global const real *x, global const int *lengths, global const target_type *target,
                      global const uint *index, global const real *weight, global real *dx, uint rows,
                      uint N, uint C, real smoothing, int ignore, global const real *weights, uint blocks,
                      global real *sums, uint block_rows, local real *room)
{
    const task t = TASK;
    const uint first = TEAM * block_rows;
    record_sums s;

    s.sum[0] = s.lost[0] = 0.0f;
    for (uint b = LANE; b < blocks; b += LANES)
        add(&s, 0, weights[b]);
    s.sum[0] = LANE_SUM(s.sum[0], room);
    loss_of_rows(&t, first, min(rows, first + block_rows), s.sum[0], first < rows ? sums + TEAM * SUMS : 0,
                 room);
}

// One item a field.
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
