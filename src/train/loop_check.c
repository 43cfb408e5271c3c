// SPDX-License-Identifier: MIT
// Checks, before training, for faults that would otherwise make a run fail only after hours.
#include "base/array.h"
#include "base/log.h"
#include "model/network.h"
#include "train/loop.h"

// Whether a shard has at most one sample when a batch of N samples, or a smaller last batch of `rest` samples, is
// divided into `shards` shards. `rest` 0: there is no smaller last batch.
static bool has_single(uint32_t N, uint32_t rest, uint32_t shards)
{
    return N < 2 * shards || (rest && rest < 2 * shards);
}

// Checks that no batch gives a batchnorm layer a single value per channel. Otherwise the run would fail at that batch,
// perhaps after hours.
static enum clrnn_status check_last_batch(const struct clrnn_loop *l, const struct clrnn_dataset *set, bool training)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(set);
    const struct clrnn_config *c = l->config;
    const uint32_t N = MAX2(c->train.batch_size, 1u), rest = training && c->train.drop_last ? 0 : info->S % N;
    const uint32_t shards = training ? c->train.shards : 1;
    uint32_t T = info->has_lengths ? 0 : info->T;
    char label[1024];

    if (rest != 1 && N != 1 && shards == 1)
        return CLRNN_OK;
    for (uint32_t s = 0; info->has_lengths && s < info->S; s++)
        T = MAX2(T, clrnn_dataset_length(set, s));
    for (size_t i = 0; i < c->layer_count; i++)
        if (c->layer[i].kind == CLRNN_LAYER_BATCHNORM && clrnn_layers_steps(c, i, T) == 1 &&
            (training || !c->layer[i].track_running_stats) && has_single(N, rest, c->layer[i].sync ? 1 : shards))
            return clrnn_error(
                l->log, CLRNN_ERR_CONFIG,
                "%s: data.%s: %u samples in batches of %u%s make a batch of N=1 and T=1, which has one value per "
                "channel, expected more than 1 where batch statistics are taken: choose another batch_size%s",
                clrnn_layer_label(c, i, label, sizeof(label)), info->name, info->S, N,
                shards > 1 && !c->layer[i].sync ? ", each cut into train.shards," : "",
                training ? ", or drop_last: true" : "");
    return CLRNN_OK;
}

// Checks that one_cycle_lr is not stepped past its end, where PyTorch raises an exception. Otherwise the run would fail
// at that step, perhaps after hours.
static enum clrnn_status check_cycle(const struct clrnn_loop *l)
{
    const struct clrnn_train_config *train = &l->config->train;
    const bool per_batch = train->scheduler.per_batch;
    const uint64_t batches = clrnn_feed_steps(l->train->feed);
    struct clrnn_schedule schedule = l->model->schedule;
    const uint64_t run_steps = schedule.run_steps ? schedule.run_steps : train->epochs * batches;
    const uint64_t all = per_batch ? run_steps : train->epochs, done = per_batch ? l->done : l->state.epoch;

    if (train->scheduler.kind != CLRNN_SCHEDULER_ONE_CYCLE_LR)
        return CLRNN_OK;
    for (uint64_t i = done; i < all; i++)
        if (!clrnn_schedule_step(&schedule, train, batches, 0.0))
            return clrnn_error(l->log, CLRNN_ERR_CONFIG,
                               "one_cycle_lr ends after %llu of the %llu scheduler steps that %u epochs make "
                               "(interval: %s): set total_steps, or leave it out",
                               (unsigned long long)i, (unsigned long long)all, train->epochs,
                               per_batch ? "batch" : "epoch");
    return CLRNN_OK;
}

enum clrnn_status clrnn_loop_check(const struct clrnn_loop *l)
{
    TRY(check_cycle(l));
    TRY(check_last_batch(l, l->data.train, true));
    return l->data.valid ? check_last_batch(l, l->data.valid, false) : CLRNN_OK;
}
