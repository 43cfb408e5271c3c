// SPDX-License-Identifier: MIT
// Adds the ops of normalisation layers.
#include "base/array.h"
#include "base/log.h"
#include "model/build.h"
#include "model/layer.h"

// Sets *weight and *bias to the tensors of the next two entries, if the layer has weight and bias.
static void take_affine(struct clrnn_build *b, const struct clrnn_layer *layer, int *weight, int *bias)
{
    if (!layer->affine)
        return;
    *weight = b->value[b->entry++];
    *bias = b->value[b->entry++];
}

// Adds the batchnorm of a shard (train.shards), with statistics that the host sums over all shards (ops/norm.h).
static enum clrnn_status add_summed_batchnorm(struct clrnn_build *b, const struct clrnn_layer *layer)
{
    const size_t running = b->entry + (layer->affine ? 2 : 0);
    const struct clrnn_norm_attributes norm = {.eps = layer->eps,
                                               .momentum = layer->momentum,
                                               .cumulative = layer->cumulative,
                                               .summed = true,
                                               .number = b->norms++,
                                               .entry = layer->track_running_stats ? (int32_t)running : -1};
    int invstd, mean, var;
    struct clrnn_op *op;

    TRY(clrnn_build_activation(b, b->layer, "invstd", CLRNN_REAL, DIMS(b->C), &invstd));
    TRY(clrnn_build_activation(b, b->layer, "mean", CLRNN_REAL, DIMS(b->C), &mean));
    TRY(clrnn_build_activation(b, b->layer, "variance", CLRNN_REAL, DIMS(b->C), &var));
    TRY(clrnn_build_op(b, CLRNN_OP_BATCHNORM_MOMENTS, &op));
    op->norm = norm;
    op->in[MOMENTS_X] = b->x;
    op->in[MOMENTS_LENGTHS] = b->lengths;
    op->out[MOMENTS_COUNT] = invstd; // holds the count until the host replaces all three outputs
    op->out[MOMENTS_MEAN] = mean;
    op->out[MOMENTS_SQUARES] = var;
    TRY(clrnn_build_layer(b, CLRNN_OP_BATCHNORM_FWD, b->T, b->C, &op));
    op->norm = norm;
    op->in[BATCHNORM_LENGTHS] = b->lengths;
    take_affine(b, layer, &op->in[BATCHNORM_WEIGHT], &op->in[BATCHNORM_BIAS]);
    op->in[BATCHNORM_RUNNING_MEAN] = mean;
    op->in[BATCHNORM_RUNNING_VAR] = var;
    return CLRNN_OK;
}

enum clrnn_status clrnn_build_batchnorm(struct clrnn_build *b, const struct clrnn_layer *layer, size_t index)
{
    const bool tracked = layer->track_running_stats, batch_stats = b->train || !tracked;
    const bool summed = b->p->mode == CLRNN_MODE_SHARD && layer->sync;
    struct clrnn_op *op;
    char label[1024];

    if (batch_stats && !summed && (uint64_t)b->T * b->p->N == 1)
        return clrnn_error(b->g->log, CLRNN_ERR_CONFIG,
                           "%s: a batch of N=1 and T=1 has one value per channel, expected more than 1 where "
                           "batch statistics are taken: choose another batch_size, or drop_last: true",
                           clrnn_layer_label(b->m->config, index, label, sizeof(label)));
    if (summed)
        return add_summed_batchnorm(b, layer);
    TRY(clrnn_build_layer(b, CLRNN_OP_BATCHNORM_FWD, b->T, b->C, &op));
    if (batch_stats) {
        TRY(clrnn_build_activation(b, b->layer, "mean", CLRNN_REAL, DIMS(b->C), &op->out[BATCHNORM_MEAN]));
        TRY(clrnn_build_activation(b, b->layer, "invstd", CLRNN_REAL, DIMS(b->C), &op->out[BATCHNORM_INVSTD]));
    }
    op->norm.eps = layer->eps;
    op->norm.momentum = layer->momentum;
    op->norm.cumulative = layer->cumulative;
    op->norm.batch_stats = batch_stats;
    op->in[BATCHNORM_LENGTHS] = b->lengths;
    take_affine(b, layer, &op->in[BATCHNORM_WEIGHT], &op->in[BATCHNORM_BIAS]);
    if (!tracked)
        return CLRNN_OK;
    op->in[BATCHNORM_RUNNING_MEAN] = b->value[b->entry++];
    op->in[BATCHNORM_RUNNING_VAR] = b->value[b->entry++];
    if (b->update && (b->p->mode != CLRNN_MODE_SHARD || b->p->statistics)) {
        op->out[BATCHNORM_NEW_MEAN] = op->in[BATCHNORM_RUNNING_MEAN];
        op->out[BATCHNORM_NEW_VAR] = op->in[BATCHNORM_RUNNING_VAR];
        op->out[BATCHNORM_BATCHES] = b->value[b->entry];
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_build_layernorm(struct clrnn_build *b, const struct clrnn_layer *layer, uint32_t groups)
{
    const uint32_t saved[3] = {b->T, b->p->N, groups};
    struct clrnn_op *op;

    TRY(clrnn_build_layer(b, CLRNN_OP_LAYERNORM_FWD, b->T, b->C, &op));
    if (b->train) {
        TRY(clrnn_build_activation(b, b->layer, "mean", CLRNN_REAL, groups > 1 ? 3 : 2, saved,
                                   &op->out[LAYERNORM_MEAN]));
        TRY(clrnn_build_activation(b, b->layer, "invstd", CLRNN_REAL, groups > 1 ? 3 : 2, saved,
                                   &op->out[LAYERNORM_INVSTD]));
    }
    op->norm.eps = layer->eps;
    op->norm.groups = groups;
    op->in[LAYERNORM_LENGTHS] = b->lengths;
    take_affine(b, layer, &op->in[LAYERNORM_WEIGHT], &op->in[LAYERNORM_BIAS]);
    return CLRNN_OK;
}
