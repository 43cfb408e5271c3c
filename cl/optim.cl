// SPDX-License-Identifier: MIT
// If OPTIM_KIND is not defined, the kernels compute the norm of all gradients. If OPTIM_KIND is one of OPTIMIZER_...,
// the kernel computes the optimiser's update of all parameters, which lie in one flat array. Formulas and order of
// operations are those of torch.optim 1.13.
//
// Further defines for the update are 0 or 1. NESTEROV, AMSGRAD, CENTERED and MOMENTUM are options of the optimisers.
// SQUARES: whether the update also sums the squares of the gradients, for their norm.
#include "enums.h"
#include "slots.h"
#include "reduce.h"

#define ACCUMULATORS 4 // number of independent sums, so that additions need not wait for each other

// ---------------------------------------------------------------- norm

#if !defined(OPTIM_KIND) || SQUARES
// Returns the power of two, from 2^-126 to 2^126, that scales v to between 1 and 2. The square of the scaled v neither
// overflows nor underflows. For 0 returns 2^126, for NaN 1.
static inline real scale_for(real v)
{
    return v > 0.0f ? ldexp(1.0f, clamp(-ilogb(v), -126, 126)) : v == 0.0f ? 0x1p126f : 1.0f;
}

#define STEP (LANES * WIDTH)

// Multiplies numbers [first, last) by `scale`. Returns the sum of the squares of the products. Sets *most to the
// largest magnitude of the products.
static inline real squares(global const real *grads, uint first, uint last, real scale, real *most,
                           local real *scratch)
{
    realv top[ACCUMULATORS], sum[ACCUMULATORS];
    uint e = first + LANE * WIDTH;

    for (uint k = 0; k < ACCUMULATORS; k++)
        top[k] = sum[k] = 0.0f;
    for (; e + (ACCUMULATORS - 1) * STEP + WIDTH <= last; e += ACCUMULATORS * STEP)
        for (uint k = 0; k < ACCUMULATORS; k++) {
            const realv v = load(grads + e + k * STEP, WIDTH) * scale;

            top[k] = fmax(top[k], fabs(v));
            sum[k] = fma(v, v, sum[k]);
        }
    for (; e < last; e += STEP) {
        const realv v = load(grads + e, last - e) * scale;

        top[0] = fmax(top[0], fabs(v));
        sum[0] = fma(v, v, sum[0]);
    }
    *most = LANE_MAX(max_of(fmax(fmax(top[0], top[1]), fmax(top[2], top[3]))), scratch);
    return LANE_SUM(sum_of((sum[0] + sum[1]) + (sum[2] + sum[3])), scratch);
}

// Checks whether squares of numbers up to `most` may overflow or underflow.
static inline bool risky(real most)
{
    return !(most > 1e-15f && most < 1e15f);
}

// Writes partial [2]: a scale s, and the sum of (s * g)^2 over gradients g [first, last). The scale is 1 unless squares
// might overflow or underflow.
static inline void block_squares(global const real *grads, uint first, uint last, global real *partial,
                                 local real *scratch)
{
    real most, ignored;
    const real plain = squares(grads, first, last, 1.0f, &most, scratch);
    const bool again = risky(most);
    const real scale = again ? scale_for(most) : 1.0f;
    const real scaled = squares(grads, first, again ? last : first, scale, &ignored, scratch);

    if (LANE == 0) {
        partial[0] = scale;
        partial[1] = again ? scaled : plain;
    }
}
#endif

#ifndef OPTIM_KIND
// Each team (reduce.h) calls block_squares for one block of the `count` gradients; results: partial [blocks, 2].
kernel void norm_blocks(global const real *grads, global real *partial, uint count, uint block,
                        local real *scratch)
{
    const uint first = TEAM * block;

    block_squares(grads, first, first + min(block, count - first), partial + 2 * TEAM, scratch);
}

// Computes the norm from partial [blocks, 2], by a single work-item. Writes it to norm [1] and, if `record` is not
// NULL, to RECORD_NORM of the record that COUNTER_SLOT selects.
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

// Buffers and parameters of an update. m, v and vmax are states of the optimiser (src/ops/optim.h). States that the
// optimiser does not have are NULL.
struct update {
    global real *params, *m, *v, *vmax;
    global const real *grads;
    real lr, momentum, step_size, inverse_root_bc2, beta1_rest, clip, weight_decay, dampening_rest, decay2, decay2_rest,
        eps;
    bool first_step;
};

// Updates min(n, WIDTH) parameters from number e on. Returns their gradients before clipping.
static inline realv update_at(const struct update *u, size_t e, uint n)
{
    const realv plain = load(u->grads + e, n);
    realv p = load(u->params + e, n), g = plain * u->clip;

#if OPTIM_KIND == OPTIMIZER_ADAMW
    p *= 1.0f - u->lr * u->weight_decay;
#else
    g += u->weight_decay * p;
#endif
#if OPTIM_KIND == OPTIMIZER_SGD
#if MOMENTUM
    const realv buffer = u->first_step ? g : u->momentum * load(u->m + e, n) + u->dampening_rest * g;

    store(buffer, u->m + e, n);
#if NESTEROV
    g += u->momentum * buffer;
#else
    g = buffer;
#endif
#endif
    p -= u->lr * g;
#elif OPTIM_KIND == OPTIMIZER_RMSPROP
    const realv square = u->decay2 * load(u->v + e, n) + u->decay2_rest * (g * g);
    realv root;

    store(square, u->v + e, n);
#if CENTERED
    const realv average = u->decay2 * load(u->vmax + e, n) + u->decay2_rest * g;

    store(average, u->vmax + e, n);
    root = sqrt(square - average * average) + u->eps;
#else
    root = sqrt(square) + u->eps;
#endif
#if MOMENTUM
    const realv buffer = u->momentum * load(u->m + e, n) + g / root;

    store(buffer, u->m + e, n);
    p -= u->lr * buffer;
#else
    p -= u->lr * (g / root);
#endif
#else
    const realv mean = u->momentum * load(u->m + e, n) + u->beta1_rest * g;
    realv square = u->decay2 * load(u->v + e, n) + u->decay2_rest * (g * g);

    store(mean, u->m + e, n);
    store(square, u->v + e, n);
#if AMSGRAD
    square = fmax(load(u->vmax + e, n), square);
    store(square, u->vmax + e, n);
#endif
    p -= u->step_size * (mean / (sqrt(square) * u->inverse_root_bc2 + u->eps));
#endif
    store(p, u->params + e, n);
    return plain;
}

#if SQUARES
// Writes partial [2] as block_squares does, but from sums and maxima that the update has already computed.
static inline void leave_squares(global const real *grads, size_t first, size_t last, const realv sum[ACCUMULATORS],
                                 const realv top[ACCUMULATORS], global real *partial)
{
    const real most = max_of(fmax(fmax(top[0], top[1]), fmax(top[2], top[3])));

    if (risky(most)) {
        block_squares(grads, first, last, partial, 0);
        return;
    }
    partial[0] = 1.0f;
    partial[1] = sum_of((sum[0] + sum[1]) + (sum[2] + sum[3]));
}
#endif

// Updates all parameters; a work-item updates `chunk` of them. If norm is NULL, gradients are not clipped. With SQUARES
// the kernel also writes partial [blocks, 2] as norm_blocks does, with one block for each work-item.
kernel void optim(global real *params, global const real *grads, global real *m, global real *v,
                  global real *vmax, global const real *hyper, global const real *norm, global real *partial,
                  real max_norm, real weight_decay, real dampening_rest, real decay2, real decay2_rest, real eps,
                  uint count, uint chunk)
{
    const size_t first = (size_t)get_global_id(0) * chunk, last = min((size_t)count, first + chunk);
    struct update u;
    realv g, sum[ACCUMULATORS], top[ACCUMULATORS];
    size_t e = first;

    u.params = params;
    u.m = m;
    u.v = v;
    u.vmax = vmax;
    u.grads = grads;
    u.lr = hyper[HYPER_LR];
    u.momentum = hyper[HYPER_MOMENTUM];
    u.step_size = hyper[HYPER_STEP_SIZE];
    u.inverse_root_bc2 = 1.0f / hyper[HYPER_ROOT_BC2];
    u.beta1_rest = hyper[HYPER_ONE_MINUS_BETA1];
    u.first_step = hyper[HYPER_FIRST] != 0.0f;
    u.weight_decay = weight_decay;
    u.dampening_rest = dampening_rest;
    u.decay2 = decay2;
    u.decay2_rest = decay2_rest;
    u.eps = eps;
    u.clip = 1.0f;
    if (norm != 0) {
        u.clip = max_norm / (norm[0] + 1e-6f);
        u.clip = u.clip > 1.0f ? 1.0f : u.clip; // NaN stays NaN
    }
    for (uint k = 0; k < ACCUMULATORS; k++)
        sum[k] = top[k] = 0.0f;
    for (; e + ACCUMULATORS * WIDTH <= last; e += ACCUMULATORS * WIDTH)
        for (uint k = 0; k < ACCUMULATORS; k++) {
            g = update_at(&u, e + k * WIDTH, WIDTH);
            sum[k] = fma(g, g, sum[k]);
            top[k] = fmax(top[k], fabs(g));
        }
    for (; e < last; e += WIDTH) {
        g = update_at(&u, e, (uint)(last - e));
        sum[0] = fma(g, g, sum[0]);
        top[0] = fmax(top[0], fabs(g));
    }
#if SQUARES
    if (first < last)
        leave_squares(grads, first, last, sum, top, partial + 2 * get_global_id(0));
#endif
}
#endif
