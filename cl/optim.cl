// SPDX-License-Identifier: MIT
// The norm of all gradients, and the optimisers over flat parameters: torch.optim 1.13's formulas in its
// order of operations. With -DOPTIM_KIND the update; it needs, as 0 or 1, -DNESTEROV -DAMSGRAD -DCENTERED
// -DMOMENTUM -DSQUARES (whether it sums the gradients' squares on its way). Without it the norm.
#include "slots.h"
#include "vector.h"

#define SGD 0
#define ADAM 1
#define ADAMW 2
#define RMSPROP 3

// ---------------------------------------------------------------- norm

#if !defined(OPTIM_KIND) || SQUARES
// A power of two that brings v near 1, so that squares neither overflow nor vanish. NaN gives 1.
static inline real scale_for(real v)
{
    return v > 0.0f ? ldexp(1.0f, clamp(-ilogb(v), -126, 126)) : v == 0.0f ? 0x1p126f : 1.0f;
}

#define WAYS 4 // sums side by side, so that additions need not wait for each other
#define STEP (LANES * WIDTH)

// Sum of squares of scaled numbers first to last - 1, and the largest magnitude among them.
static inline real squares(global const real *grads, uint first, uint last, real scale, real *most,
                           local real *room)
{
    realv top[WAYS], sum[WAYS];
    uint e = first + LANE * WIDTH;

    for (uint k = 0; k < WAYS; k++)
        top[k] = sum[k] = 0.0f;
    for (; e + (WAYS - 1) * STEP + WIDTH <= last; e += WAYS * STEP)
        for (uint k = 0; k < WAYS; k++) {
            const realv v = load(grads + e + k * STEP, WIDTH) * scale;

            top[k] = fmax(top[k], fabs(v));
            sum[k] = fma(v, v, sum[k]);
        }
    for (; e < last; e += STEP) {
        const realv v = load(grads + e, last - e) * scale;

        top[0] = fmax(top[0], fabs(v));
        sum[0] = fma(v, v, sum[0]);
    }
    *most = LANE_MAX(max_of(fmax(fmax(top[0], top[1]), fmax(top[2], top[3]))), room);
    return LANE_SUM(sum_of((sum[0] + sum[1]) + (sum[2] + sum[3])), room);
}

// Into partial [2]: a scale, and the sum of squares of numbers first to last - 1 times that scale.
static inline void block_squares(global const real *grads, uint first, uint last, global real *partial,
                                 local real *room)
{
    real most, ignored;
    const real plain = squares(grads, first, last, 1.0f, &most, room);
    const bool risky = !(most > 1e-15f && most < 1e15f);
    const real scale = risky ? scale_for(most) : 1.0f;
    const real scaled = squares(grads, first, risky ? last : first, scale, &ignored, room);

    if (LANE == 0) {
        partial[0] = scale;
        partial[1] = risky ? scaled : plain;
    }
}
#endif

#ifndef OPTIM_KIND
// partial [blocks, 2]. A team's block starts within count.
kernel void norm_blocks(global const real *grads, global real *partial, uint count, uint block,
                        local real *room)
{
    const uint first = TEAM * block;

    block_squares(grads, first, first + min(block, count - first), partial + 2 * TEAM, room);
}

// norm [1], and the record's RECORD_NORM where record is there. One item.
kernel void norm_finish(global const real *partial, uint blocks, global real *norm,
                        global const uint *counter, uint slots, global real *record)
{
    real sum = 0.0f, lost = 0.0f, scale = 0x1p126f, result;

    if (get_global_id(0) > 0)
        return;
    for (uint b = 0; b < blocks; b++)
        scale = fmin(scale, partial[2 * b]);
    for (uint b = 0; b < blocks; b++) {
        const real ratio = scale / partial[2 * b];
        const real corrected = partial[2 * b + 1] * ratio * ratio - lost, next = sum + corrected;

        lost = isinf(next) ? 0.0f : (next - sum) - corrected;
        sum = next;
    }
    result = sqrt(sum) / scale;
    norm[0] = result;
    if (record != 0 && counter[COUNTER_SLOT] < slots)
        record[counter[COUNTER_SLOT] * RECORD_FIELDS + RECORD_NORM] = result;
}

#else
// ---------------------------------------------------------------- update

// m, v, vmax as in src/ops/op.h; those that the kind lacks are NULL. norm NULL: no clipping. partial: as
// norm_blocks', for the items' chunks, where SQUARES.
kernel void optim(global real *params, global const real *grads, global real *m, global real *v,
                  global real *vmax, global const real *hyper, global const real *norm, global real *partial,
                  real max_norm, real weight_decay, real dampening_rest, real decay2, real decay2_rest, real eps,
                  uint count, uint chunk)
{
    const size_t last = min((size_t)count, ((size_t)get_global_id(0) + 1) * chunk);
    const real lr = hyper[HYPER_LR], momentum = hyper[HYPER_MOMENTUM];
    const real step_size = hyper[HYPER_STEP_SIZE], inverse_root_bc2 = 1.0f / hyper[HYPER_ROOT_BC2];
    const real beta1_rest = hyper[HYPER_ONE_MINUS_BETA1];
    const bool first_step = hyper[HYPER_FIRST] != 0.0f;
    real clip = 1.0f;

#if SQUARES
    block_squares(grads, get_global_id(0) * chunk, last, partial + 2 * get_global_id(0), 0);
#endif
    if (norm != 0) {
        clip = max_norm / (norm[0] + 1e-6f);
        clip = clip > 1.0f ? 1.0f : clip; // NaN stays
    }
    for (size_t e = (size_t)get_global_id(0) * chunk; e < last; e += WIDTH) {
        const uint n = (uint)(last - e);
        realv p = load(params + e, n), g = load(grads + e, n) * clip;

#if OPTIM_KIND == ADAMW
        p *= 1.0f - lr * weight_decay;
#else
        g += weight_decay * p;
#endif
#if OPTIM_KIND == SGD
#if MOMENTUM
        {
            const realv buffer = first_step ? g : momentum * load(m + e, n) + dampening_rest * g;

            store(buffer, m + e, n);
#if NESTEROV
            g += momentum * buffer;
#else
            g = buffer;
#endif
        }
#endif
        p -= lr * g;
#elif OPTIM_KIND == RMSPROP
        {
            const realv square = decay2 * load(v + e, n) + decay2_rest * (g * g);
            realv root;

            store(square, v + e, n);
#if CENTERED
            const realv average = decay2 * load(vmax + e, n) + decay2_rest * g;

            store(average, vmax + e, n);
            root = sqrt(square - average * average) + eps;
#else
            root = sqrt(square) + eps;
#endif
#if MOMENTUM
            const realv buffer = momentum * load(m + e, n) + g / root;

            store(buffer, m + e, n);
            p -= lr * buffer;
#else
            p -= lr * (g / root);
#endif
        }
#else
        {
            const realv mean = momentum * load(m + e, n) + beta1_rest * g;
            realv square = decay2 * load(v + e, n) + decay2_rest * (g * g);

            store(mean, m + e, n);
            store(square, v + e, n);
#if AMSGRAD
            square = fmax(load(vmax + e, n), square);
            store(square, vmax + e, n);
#endif
            p -= step_size * (mean / (sqrt(square) * inverse_root_bc2 + eps));
        }
#endif
        store(p, params + e, n);
    }
}
#endif
