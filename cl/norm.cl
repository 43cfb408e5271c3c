// SPDX-License-Identifier: MIT
// Batch normalisation over the rows, and layer normalisation over the features, of x [rows, C].
//
// The statistics of many rows are computed in blocks of rows. Two passes over the rows of a block give its mean and its
// sum of squared deviations. Then the results of all blocks are combined (formula of Chan, Golub and LeVeque). The
// blocks' means are relative to x of row 0. So rounding does not lose differences of means, and the variance of x = 1e4
// + noise is right. With train.bptt, row 0 can be padding, in some pieces of a batch; x of row 0 is then 0.
#include "reduce.h"

// ---------------------------------------------------------------- batchnorm

typedef struct {
    realv mean,  // relative to `shift`
        squares; // sum of squared deviations from the mean
    real count;
} moments;

// Computes the moments of columns [c, c + WIDTH) over the valid rows of [first, last).
static inline moments block_moments(global const real *x, global const int *lengths, realv shift, uint first,
                                    uint last, uint N, uint C, uint c)
{
    total sum = total_zero(), squares = total_zero(), rest = total_zero();
    moments m;

    m.mean = m.squares = 0.0f;
    m.count = 0.0f;
    for (uint r = first; r < last; sum = total_run(sum))
        for (const uint stop = min(last, r + RUN); r < stop; r++)
            if (row_valid(lengths, N, r)) {
                sum = total_add(sum, load(x + (size_t)r * C + c, C - c) - shift);
                m.count += 1.0f;
            }
    if (m.count == 0.0f)
        return m;
    m.mean = sum.sum / m.count;
    for (uint r = first; r < last; rest = total_run(rest), squares = total_run(squares))
        for (const uint stop = min(last, r + RUN); r < stop; r++)
            if (row_valid(lengths, N, r)) {
                const realv d = (load(x + (size_t)r * C + c, C - c) - shift) - m.mean;

                rest = total_add(rest, d);
                squares = total_add(squares, d * d);
            }
    // `rest`, the sum of the deviations, is not 0 because of the rounding error of the mean. Corrects this error.
    m.squares = fmax(squares.sum - rest.sum * rest.sum / m.count, 0.0f);
    m.mean += rest.sum / m.count;
    return m;
}

// Writes mean and invstd [C] from the moments of the batch. Updates the running statistics (may be NULL) by
// running = (1 - momentum) * running + momentum * batch. The batch's variance is squares / count in invstd, and
// squares / (count - 1) in running_var.
static inline void keep_statistics(moments m, global real *mean, global real *invstd,
                                   global real *running_mean, global real *running_var, real eps,
                                   real momentum, uint C, uint c)
{
    const real count = fmax(m.count, 1.0f);

    store(m.mean, mean + c, C - c);
    store(1.0f / sqrt(m.squares / count + eps), invstd + c, C - c);
    if (running_mean != 0)
        store((1.0f - momentum) * load(running_mean + c, C - c) + momentum * m.mean, running_mean + c, C - c);
    if (running_var != 0)
        store((1.0f - momentum) * load(running_var + c, C - c) +
                  momentum * (m.squares / fmax(count - 1.0f, 1.0f)),
              running_var + c, C - c);
}

// Computes y = (x - mean) * invstd * weight + bias for rows [first, last), and y = 0 in padding.
static inline void normalise(global const real *x, global const int *lengths, global const real *weight,
                             global const real *bias, realv mean, realv invstd, global real *y, uint first,
                             uint last, uint N, uint C, uint c)
{
    const realv scale = weight != 0 ? invstd * load(weight + c, C - c) : invstd;
    const realv shift = bias != 0 ? load(bias + c, C - c) : (realv)(0.0f);

    for (uint r = first; r < last; r++) {
        const size_t at = (size_t)r * C + c;

        store(row_valid(lengths, N, r) ? (load(x + at, C - c) - mean) * scale + shift : (realv)(0.0f), y + at,
              C - c);
    }
}

// Returns the momentum of this step: `momentum` or, if `cumulative`, 1 / (number of batches, this batch included).
// Also increments `batches` (num_batches_tracked), unless `cumulative`. If `cumulative`, other work-items still read
// `batches`, so a later launch (batchnorm_count) increments it.
static inline real momentum_now(global int *batches, int cumulative, real momentum, uint c)
{
    if (batches == 0)
        return momentum;
    if (cumulative)
        return 1.0f / (real)(batches[0] + 1);
    if (c == 0)
        batches[0]++;
    return momentum;
}

kernel void batchnorm_count(global int *batches)
{
    if (get_global_id(0) == 0)
        batches[0]++;
}

// Computes batchnorm of a small training batch in a single launch. Work-item g computes columns [g * WIDTH, (g + 1) *
// WIDTH).
kernel void batchnorm_whole(global const real *x, global const int *lengths, global const real *weight,
                            global const real *bias, global real *y, global real *mean, global real *invstd,
                            global real *running_mean, global real *running_var, global int *batches,
                            uint rows, uint N, uint C, real eps, real momentum, int cumulative)
{
    const uint c = get_global_id(0) * WIDTH;
    realv shift;
    moments m;

    if (c >= C)
        return;
    shift = load(x + c, C - c);
    m = block_moments(x, lengths, shift, 0, rows, N, C, c);
    m.mean += shift;
    keep_statistics(m, mean, invstd, running_mean, running_var, eps,
                    momentum_now(batches, cumulative, momentum, c), C, c);
    normalise(x, lengths, weight, bias, load(mean + c, C - c), load(invstd + c, C - c), y, 0, rows, N, C, c);
}

// Writes the moments of each block to partial [blocks, 3, C]: count, mean, squares.
kernel void batchnorm_blocks(global const real *x, global const int *lengths, global real *partial, uint rows,
                             uint N, uint C, uint block_rows)
{
    const uint c = get_global_id(0) * WIDTH, block = get_global_id(1), first = block * block_rows;
    global real *out = partial + (size_t)block * 3 * C + c;
    moments m;

    if (c >= C || first >= rows)
        return;
    m = block_moments(x, lengths, load(x + c, C - c), first, min(rows, first + block_rows), N, C, c);
    store((realv)(m.count), out, C - c);
    store(m.mean, out + C, C - c);
    store(m.squares, out + 2 * C, C - c);
}

// Combines the blocks' moments, partial [blocks, 3, C], of columns [c, c + WIDTH). The mean that it returns is relative
// to x of row 0.
static inline moments joined_moments(global const real *partial, uint blocks, uint C, uint c)
{
    kahan sum = kahan_zero(), squares = kahan_zero();
    realv shift, offset;
    moments m;

    m.count = 0.0f;
    shift = load(partial + C + c, C - c); // 0 if block 0 has no valid row (train.bptt)
    for (uint b = 0; b < blocks; b++) {
        global const real *p = partial + (size_t)b * 3 * C + c;

        sum = kahan_add(sum, load(p, C - c) * (load(p + C, C - c) - shift));
        m.count += p[0];
    }
    offset = sum.sum / fmax(m.count, 1.0f);
    for (uint b = 0; b < blocks; b++) {
        global const real *p = partial + (size_t)b * 3 * C + c;
        const realv d = (load(p + C, C - c) - shift) - offset;

        squares = kahan_add(squares, load(p + 2 * C, C - c) + load(p, C - c) * d * d);
    }
    m.mean = shift + offset;
    m.squares = squares.sum;
    return m;
}

kernel void batchnorm_finish(global const real *x, global const real *partial, uint blocks, global real *mean,
                             global real *invstd, global real *running_mean, global real *running_var,
                             global int *batches, uint C, real eps, real momentum, int cumulative)
{
    const uint c = get_global_id(0) * WIDTH;
    moments m;

    if (c >= C)
        return;
    m = joined_moments(partial, blocks, C, c);
    m.mean = load(x + c, C - c) + m.mean;
    keep_statistics(m, mean, invstd, running_mean, running_var, eps,
                    momentum_now(batches, cumulative, momentum, c), C, c);
}

// Writes the moments of all rows of a shard, which is a part of the batch (train.shards): count, mean, and the sum of
// squared deviations from the mean, each [C].
kernel void batchnorm_moments(global const real *x, global const real *partial, uint blocks,
                              global real *count, global real *mean, global real *squares, uint C)
{
    const uint c = get_global_id(0) * WIDTH;
    moments m;

    if (c >= C)
        return;
    m = joined_moments(partial, blocks, C, c);
    store((realv)(m.count), count + c, C - c);
    store(m.count > 0.0f ? load(x + c, C - c) + m.mean : (realv)(0.0f), mean + c, C - c);
    store(m.squares, squares + c, C - c);
}

// Normalises x by mean [C] and second [C]. `second` is the variance (evaluation) or, if is_invstd,
// 1 / sqrt(variance + eps).
kernel void batchnorm_apply(global const real *x, global const int *lengths, global const real *weight,
                            global const real *bias, global const real *mean, global const real *second,
                            global real *y, uint rows, uint N, uint C, real eps, int is_invstd,
                            uint block_rows)
{
    const uint c = get_global_id(0) * WIDTH, first = get_global_id(1) * block_rows;
    realv invstd;

    if (c >= C || first >= rows)
        return;
    invstd = load_or(second + c, C - c, 1.0f);
    if (!is_invstd)
        invstd = 1.0f / sqrt(invstd + eps);
    normalise(x, lengths, weight, bias, load(mean + c, C - c), invstd, y, first,
              min(rows, first + block_rows), N, C, c);
}

typedef struct {
    realv dbias, // sum of dy
        dweight; // sum of dy * xhat, where xhat = (x - mean) * invstd
    real count;
} sums;

static inline sums block_sums(global const real *x, global const int *lengths, global const real *dy,
                              realv mean, realv invstd, uint first, uint last, uint N, uint C, uint c)
{
    total dbias = total_zero(), dweight = total_zero();
    sums s;

    s.count = 0.0f;
    for (uint r = first; r < last; dbias = total_run(dbias), dweight = total_run(dweight))
        for (const uint stop = min(last, r + RUN); r < stop; r++)
            if (row_valid(lengths, N, r)) {
                const size_t at = (size_t)r * C + c;
                const realv g = load(dy + at, C - c);

                dbias = total_add(dbias, g);
                dweight = total_add(dweight, g * ((load(x + at, C - c) - mean) * invstd));
                s.count += 1.0f;
            }
    s.dbias = dbias.sum;
    s.dweight = dweight.sum;
    return s;
}

// Computes dx = weight * invstd * (dy - sum(dy) / M - xhat * sum(dy * xhat) / M), where M is the number of valid rows,
// and dx = 0 in padding.
static inline void input_gradient(global const real *x, global const int *lengths, global const real *dy,
                                  global const real *weight, realv mean, realv invstd, realv mean_dy,
                                  realv mean_dy_xhat, global real *dx, uint first, uint last, uint N, uint C,
                                  uint c)
{
    const realv scale = weight != 0 ? invstd * load(weight + c, C - c) : invstd;

    for (uint r = first; r < last; r++) {
        const size_t at = (size_t)r * C + c;
        realv g = 0.0f;

        if (row_valid(lengths, N, r)) {
            const realv xhat = (load(x + at, C - c) - mean) * invstd;

            g = scale * ((load(dy + at, C - c) - mean_dy) - xhat * mean_dy_xhat);
        }
        store(g, dx + at, C - c);
    }
}

// Computes backward of a small batch in a single launch. dx, dweight and dbias may be NULL.
kernel void batchnorm_bwd_whole(global const real *x, global const int *lengths, global const real *weight,
                                global const real *mean, global const real *invstd, global const real *dy,
                                global real *dx, global real *dweight, global real *dbias, uint rows, uint N,
                                uint C)
{
    const uint c = get_global_id(0) * WIDTH;
    realv m, i;
    sums s;

    if (c >= C)
        return;
    m = load(mean + c, C - c);
    i = load(invstd + c, C - c);
    s = block_sums(x, lengths, dy, m, i, 0, rows, N, C, c);
    if (dweight != 0)
        store(s.dweight, dweight + c, C - c);
    if (dbias != 0)
        store(s.dbias, dbias + c, C - c);
    if (dx != 0) {
        const real count = fmax(s.count, 1.0f);

        input_gradient(x, lengths, dy, weight, m, i, s.dbias / count, s.dweight / count, dx, 0, rows, N, C,
                       c);
    }
}

// Writes the sums of each block to partial [blocks, 3, C]: count, sum of dy, sum of dy xhat.
kernel void batchnorm_bwd_blocks(global const real *x, global const int *lengths, global const real *mean,
                                 global const real *invstd, global const real *dy, global real *partial,
                                 uint rows, uint N, uint C, uint block_rows)
{
    const uint c = get_global_id(0) * WIDTH, block = get_global_id(1), first = block * block_rows;
    global real *out = partial + (size_t)block * 3 * C + c;
    sums s;

    if (c >= C || first >= rows)
        return;
    s = block_sums(x, lengths, dy, load(mean + c, C - c), load(invstd + c, C - c), first,
                   min(rows, first + block_rows), N, C, c);
    store((realv)(s.count), out, C - c);
    store(s.dbias, out + C, C - c);
    store(s.dweight, out + 2 * C, C - c);
}

// Adds up the blocks' sums. Writes means [2, C], the means of dy and of dy * xhat, and dweight and dbias (may be NULL).
kernel void batchnorm_bwd_finish(global const real *partial, uint blocks, global real *means,
                                 global real *dweight, global real *dbias, uint C)
{
    const uint c = get_global_id(0) * WIDTH;
    kahan dy = kahan_zero(), dy_xhat = kahan_zero();
    real count = 0.0f;

    if (c >= C)
        return;
    for (uint b = 0; b < blocks; b++) {
        global const real *p = partial + (size_t)b * 3 * C + c;

        count += p[0];
        dy = kahan_add(dy, load(p + C, C - c));
        dy_xhat = kahan_add(dy_xhat, load(p + 2 * C, C - c));
    }
    count = fmax(count, 1.0f);
    store(dy.sum / count, means + c, C - c);
    store(dy_xhat.sum / count, means + C + c, C - c);
    if (dbias != 0)
        store(dy.sum, dbias + c, C - c);
    if (dweight != 0)
        store(dy_xhat.sum, dweight + c, C - c);
}

kernel void batchnorm_bwd_apply(global const real *x, global const int *lengths, global const real *weight,
                                global const real *mean, global const real *invstd, global const real *dy,
                                global const real *means, global real *dx, uint rows, uint N, uint C,
                                uint block_rows)
{
    const uint c = get_global_id(0) * WIDTH, first = get_global_id(1) * block_rows;

    if (c >= C || first >= rows)
        return;
    input_gradient(x, lengths, dy, weight, load(mean + c, C - c), load(invstd + c, C - c),
                   load(means + c, C - c), load(means + C + c, C - c), dx, first,
                   min(rows, first + block_rows), N, C, c);
}

// ---------------------------------------------------------------- layernorm

// Normalises each row of x [rows, C]. In group normalisation, the features of a step are divided into `groups` groups.
// Here each group is then a row of its own, and weight and bias are [groups, C]. A team of LANES work-items (reduce.h)
// computes `chunk` rows. mean and invstd [rows] may be NULL.
kernel void layernorm_fwd(global const real *x, global const int *lengths, global const real *weight,
                          global const real *bias, global real *y, global real *mean, global real *invstd,
                          uint rows, uint N, uint C, uint groups, real eps, uint chunk, local real *scratch)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const size_t at = (size_t)r * C;
        const uint of_group = r % groups * C;
        const bool valid = row_valid(lengths, N, r / groups);
        const uint end = valid ? C : 0;
        realv part = 0.0f;
        real center, scale;

        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH)
            part += load(x + at + c, C - c);
        center = LANE_SUM(sum_of(part), scratch) / (real)C;
        part = 0.0f;
        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH) {
            const realv d = load_or(x + at + c, C - c, center) - center;

            part += d * d;
        }
        scale = LANE_SUM(sum_of(part), scratch);
        scale = valid ? 1.0f / sqrt(scale / (real)C + eps) : 0.0f;
        for (uint c = LANE * WIDTH; c < C; c += LANES * WIDTH) {
            realv v = 0.0f;

            if (valid) {
                v = (load(x + at + c, C - c) - center) * scale;
                if (weight != 0)
                    v *= load(weight + of_group + c, C - c);
                if (bias != 0)
                    v += load(bias + of_group + c, C - c);
            }
            store(v, y + at + c, C - c);
        }
        if (LANE == 0 && mean != 0)
            mean[r] = center;
        if (LANE == 0 && invstd != 0)
            invstd[r] = scale;
    }
}

// Returns dy times weight for features [c, c + WIDTH) of a row.
static inline realv weighted(global const real *dy, global const real *weight, uint of_group, uint c, uint n)
{
    const realv g = load(dy + c, n);

    return weight != 0 ? g * load(weight + of_group + c, n) : g;
}

kernel void layernorm_dx(global const real *x, global const int *lengths, global const real *weight,
                         global const real *mean, global const real *invstd, global const real *dy,
                         global real *dx, uint rows, uint N, uint C, uint groups, uint chunk,
                         local real *scratch)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        const size_t at = (size_t)r * C;
        const uint of_group = r % groups * C;
        const bool valid = row_valid(lengths, N, r / groups);
        const uint end = valid ? C : 0;
        const real center = mean[r], scale = invstd[r];
        realv part = 0.0f, part_xhat = 0.0f;
        real mean_g, mean_g_xhat;

        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH) {
            const realv g = weighted(dy + at, weight, of_group, c, C - c);

            part += g;
            part_xhat += g * ((load_or(x + at + c, C - c, center) - center) * scale);
        }
        mean_g = LANE_SUM(sum_of(part), scratch) / (real)C;
        mean_g_xhat = LANE_SUM(sum_of(part_xhat), scratch) / (real)C;
        for (uint c = LANE * WIDTH; c < C; c += LANES * WIDTH) {
            realv v = 0.0f;

            if (valid) {
                const realv xhat = (load(x + at + c, C - c) - center) * scale;

                v = scale * ((weighted(dy + at, weight, of_group, c, C - c) - mean_g) - xhat * mean_g_xhat);
            }
            store(v, dx + at + c, C - c);
        }
    }
}

// Writes dweight and dbias [blocks, C] (may be NULL), the sums over the rows of each block. Here C counts the features
// of all groups; mean and invstd are [rows, groups]. WIDTH is 1 if there is more than one group.
kernel void layernorm_dparams(global const real *x, global const int *lengths, global const real *mean,
                              global const real *invstd, global const real *dy, global real *dweight,
                              global real *dbias, uint rows, uint N, uint C, uint groups, uint block_rows)
{
    const uint c = get_global_id(0) * WIDTH, group = groups > 1 ? c / (C / groups) : 0,
               block = get_global_id(1);
    const uint first = block * block_rows, last = min(rows, first + block_rows);
    total weight_sum = total_zero(), bias_sum = total_zero();

    if (c >= C || first >= rows)
        return;
    for (uint r = first; r < last; weight_sum = total_run(weight_sum), bias_sum = total_run(bias_sum))
        for (const uint stop = min(last, r + RUN); r < stop; r++)
            if (row_valid(lengths, N, r)) {
                const size_t at = (size_t)r * C + c, of = (size_t)r * groups + group;
                const realv g = load(dy + at, C - c);

                bias_sum = total_add(bias_sum, g);
                weight_sum = total_add(weight_sum, g * ((load(x + at, C - c) - mean[of]) * invstd[of]));
            }
    if (dweight != 0)
        store(weight_sum.sum, dweight + (size_t)block * C + c, C - c);
    if (dbias != 0)
        store(bias_sum.sum, dbias + (size_t)block * C + c, C - c);
}
