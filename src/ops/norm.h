// SPDX-License-Identifier: MIT
// Batch normalisation over rows and layer normalisation over features.
#ifndef CLRNN_SRC_OPS_NORM_H
#define CLRNN_SRC_OPS_NORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// X(KIND, stem, name)
// clang-format off
#define CLRNN_NORM_OPS(X) \
    X(BATCHNORM_FWD, norm, batchnorm_fwd) X(BATCHNORM_BWD, norm, batchnorm_bwd) \
    X(BATCHNORM_MOMENTS, norm, batchnorm_moments) X(BATCHNORM_SPREAD, norm, batchnorm_spread) \
    X(LAYERNORM_FWD, norm, layernorm_fwd) X(LAYERNORM_BWD, norm, layernorm_bwd)
// clang-format on

// BATCHNORM in training (batch_stats) normalises by the mean and biased variance of the valid rows, and
// updates the running ones: running = (1 - momentum) running + momentum batch, with the unbiased variance,
// and momentum 1 / (batches + 1) when cumulative. Otherwise it normalises by the running ones. mean and
// invstd are saved for backward (those of the batch, too, if eval mode uses them: track_running_stats false).
enum {
    BATCHNORM_X, // [rows, C]
    BATCHNORM_LENGTHS,
    BATCHNORM_WEIGHT, // [C] or NONE, as are the next three
    BATCHNORM_BIAS,
    BATCHNORM_RUNNING_MEAN,
    BATCHNORM_RUNNING_VAR,
};
enum {
    BATCHNORM_Y,
    BATCHNORM_MEAN, // [C]; NONE unless batch_stats, as is invstd
    BATCHNORM_INVSTD,
    BATCHNORM_NEW_MEAN, // updated: the same tensors as the running ones, or NONE
    BATCHNORM_NEW_VAR,
    BATCHNORM_BATCHES, // updated: I32 [1] num_batches_tracked, or NONE
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

// BATCHNORM of a shard (train.shards), with the statistics of the whole batch: between its ops, their results
// are summed over the shards. Forward: MOMENTS of the shard's valid rows, then FWD without batch_stats, which
// takes the batch's mean and variance. Backward: BWD without DX gives the sums, then SPREAD computes dx from
// their means over the batch.
enum { MOMENTS_X, MOMENTS_LENGTHS };
enum { MOMENTS_COUNT, MOMENTS_MEAN, MOMENTS_SQUARES }; // [C]: row count, mean, sum of squared deviations
enum {
    SPREAD_X, // slots up to DY are as in BATCHNORM_BWD
    SPREAD_LENGTHS,
    SPREAD_WEIGHT,
    SPREAD_MEAN,
    SPREAD_INVSTD,
    SPREAD_DY,
    SPREAD_MEANS, // [2, C]: means of dy and of dy xhat over the batch
};
enum { SPREAD_DX };

// Normalises each row over its C features, or with `groups` over each group of C / groups features
// (groupnorm).
enum { LAYERNORM_X, LAYERNORM_LENGTHS, LAYERNORM_WEIGHT, LAYERNORM_BIAS };
enum { LAYERNORM_Y, LAYERNORM_MEAN, LAYERNORM_INVSTD }; // mean, invstd [rows, groups]; NONE in inference
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
    bool summed;     // BATCHNORM_FWD, _BWD, _MOMENTS: the op is of a shard (train.shards)
    uint32_t number; // the op's number among the model's batchnorms with `summed`, from 0
    int32_t entry;   // MOMENTS: row of the running mean in the model's table; -1: none
    uint32_t groups; // LAYERNORM; 0 is 1
};

#endif
