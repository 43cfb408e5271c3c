// SPDX-License-Identifier: MIT
// Ops of batch normalisation over rows, and of layer normalisation over features.
#ifndef CLRNN_SRC_OPS_NORM_H
#define CLRNN_SRC_OPS_NORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_NORM_OPS(X) \
    X(BATCHNORM_FWD, norm, batchnorm_fwd) X(BATCHNORM_BWD, norm, batchnorm_bwd) \
    X(BATCHNORM_MOMENTS, norm, batchnorm_moments) X(BATCHNORM_SPREAD, norm, batchnorm_spread) \
    X(LAYERNORM_FWD, norm, layernorm_fwd) X(LAYERNORM_BWD, norm, layernorm_bwd)
// clang-format on

// BATCHNORM_FWD with batch_stats normalises by the mean and the biased variance of the batch's valid rows. It also
// updates the running statistics: running = (1 - momentum) * running + momentum * batch, with the unbiased variance of
// the batch. With `cumulative`, momentum is 1 / (batches + 1). Without batch_stats it normalises by the running
// statistics. batch_stats is set in training, and in eval mode if the layer has track_running_stats: false.
// BATCHNORM_MEAN and BATCHNORM_INVSTD, which is 1 / sqrt(variance + eps), are kept for backward.
enum {
    BATCHNORM_X, // [rows, C]
    BATCHNORM_LENGTHS,
    BATCHNORM_WEIGHT, // [C] or CLRNN_NONE, as are the bias and the running statistics
    BATCHNORM_BIAS,
    BATCHNORM_RUNNING_MEAN,
    BATCHNORM_RUNNING_VAR,
};
enum {
    BATCHNORM_Y,
    BATCHNORM_MEAN, // [C]; CLRNN_NONE without batch_stats, as is BATCHNORM_INVSTD
    BATCHNORM_INVSTD,
    BATCHNORM_NEW_MEAN, // updated: the tensor in BATCHNORM_RUNNING_MEAN, or CLRNN_NONE
    BATCHNORM_NEW_VAR,  // updated: the tensor in BATCHNORM_RUNNING_VAR, or CLRNN_NONE
    BATCHNORM_BATCHES,  // updated: I32 [1] num_batches_tracked, or CLRNN_NONE
};
enum {
    BATCHNORM_BWD_X,
    BATCHNORM_BWD_LENGTHS,
    BATCHNORM_BWD_WEIGHT,
    BATCHNORM_BWD_MEAN,
    BATCHNORM_BWD_INVSTD,
    BATCHNORM_BWD_DY,
};
enum { BATCHNORM_DX, BATCHNORM_DWEIGHT, BATCHNORM_DBIAS };

// With train.shards, a batch is divided into shards. A batchnorm with sync: true then uses the statistics of the whole
// batch. For each shard it has two ops in forward and two in backward. Between the two, the host combines the results
// of the first op over all shards (clrnn_plan_part_end).
// Forward: BATCHNORM_MOMENTS computes moments of the shard's valid rows. The host replaces them by those of the whole
// batch. Then BATCHNORM_FWD without batch_stats reads the mean and the variance as running statistics.
// Backward: BATCHNORM_BWD has no DX and computes sums over the shard. Then BATCHNORM_SPREAD computes dx from the means
// of these sums over the whole batch.
enum { MOMENTS_X, MOMENTS_LENGTHS };
// [C] each: number of valid rows, their mean, sum of squared deviations from it
enum { MOMENTS_COUNT, MOMENTS_MEAN, MOMENTS_SQUARES };
enum {
    SPREAD_X, // the slots from SPREAD_X to SPREAD_DY are those of BATCHNORM_BWD
    SPREAD_LENGTHS,
    SPREAD_WEIGHT,
    SPREAD_MEAN,
    SPREAD_INVSTD,
    SPREAD_DY,
    SPREAD_MEANS, // [2, C]: mean of dy and mean of dy * xhat, over the whole batch; xhat is the normalised x
};
enum { SPREAD_DX };

// LAYERNORM normalises each row over its C features or, with `groups` above 1 (groupnorm), each group of
// C / groups features of a row.
enum { LAYERNORM_X, LAYERNORM_LENGTHS, LAYERNORM_WEIGHT, LAYERNORM_BIAS };
// mean and invstd are [rows, groups]; CLRNN_NONE in inference
enum { LAYERNORM_Y, LAYERNORM_MEAN, LAYERNORM_INVSTD };
enum {
    LAYERNORM_BWD_X,
    LAYERNORM_BWD_LENGTHS,
    LAYERNORM_BWD_WEIGHT,
    LAYERNORM_BWD_MEAN,
    LAYERNORM_BWD_INVSTD,
    LAYERNORM_BWD_DY,
};
enum { LAYERNORM_DX, LAYERNORM_DWEIGHT, LAYERNORM_DBIAS };

struct clrnn_norm_attributes {
    double eps, momentum;
    bool cumulative, batch_stats;
    bool summed;     // BATCHNORM_FWD, _BWD, _MOMENTS: the op is of a shard and uses the statistics of the whole
                     // batch
    uint32_t number; // the op's number among the model's batchnorms with `summed`, from 0
    int32_t entry;   // MOMENTS: index in model->entry of the running mean; -1: the layer has none
    uint32_t groups; // LAYERNORM: number of groups; 0 means 1
};

#endif
