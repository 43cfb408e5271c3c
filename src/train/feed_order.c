// SPDX-License-Identifier: MIT
// Computes the order of samples in an epoch, and the number of training steps in an epoch.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "train/feed.h"

#define BUCKET_BATCHES 32u // samples of this many batches are sorted by length together

struct clrnn_feed_params clrnn_feed_as_trained(const struct clrnn_config *config)
{
    return (struct clrnn_feed_params){.batch_size = config->train.batch_size,
                                      .shuffle = config->train.shuffle,
                                      .drop_last = config->train.drop_last,
                                      .bucket = config->data.bucket,
                                      .seed = config->train.seed};
}

uint32_t clrnn_batch_count(uint32_t S, uint32_t batch_size, bool drop_last)
{
    batch_size = MAX2(batch_size, 1u);
    return S / batch_size + (!drop_last && S % batch_size ? 1 : 0);
}

enum clrnn_status clrnn_batch_check(const struct clrnn_log *log, uint32_t S, uint32_t batch_size, bool drop_last)
{
    if (clrnn_batch_count(S, batch_size, drop_last))
        return CLRNN_OK;
    return clrnn_error(log, CLRNN_ERR_CONFIG,
                       "train.drop_last leaves no batch: %u samples, batch_size %u; choose a smaller batch_size or "
                       "drop_last: false",
                       S, batch_size);
}

// Sorts order [count] by sample length, longest first: a stable counting sort over lengths 1..T. Scratch: starts [T +
// 1], sorted [count].
static void sort_by_length(const struct clrnn_dataset *dataset, uint32_t T, uint32_t *order, uint32_t count,
                           uint32_t *starts, uint32_t *sorted)
{
    memset(starts, 0, ((size_t)T + 1) * sizeof(*starts));
    for (uint32_t i = 0; i < count; i++)
        starts[T - clrnn_dataset_length(dataset, order[i]) + 1]++;
    for (uint32_t l = 1; l <= T; l++)
        starts[l] += starts[l - 1];
    for (uint32_t i = 0; i < count; i++)
        sorted[starts[T - clrnn_dataset_length(dataset, order[i])]++] = order[i];
    memcpy(order, sorted, count * sizeof(*order));
}

// Sorts samples by length within chunks of BUCKET_BATCHES batches, so that the samples of a batch have similar lengths.
// With params->shuffle, whole batches are then shuffled; a last, smaller batch stays last.
static enum clrnn_status bucket(const struct clrnn_log *log, const struct clrnn_dataset *dataset,
                                const struct clrnn_feed_params *params, uint64_t epoch, uint32_t *order)
{
    const uint32_t S = clrnn_dataset_info(dataset)->S, T = clrnn_dataset_info(dataset)->T;
    const uint32_t B = MAX2(params->batch_size, 1u), full = S / B;
    const uint32_t chunk = (uint32_t)MIN2((uint64_t)B * BUCKET_BATCHES, S);
    const struct clrnn_random r = {params->seed, RANDOM_SHUFFLE, (uint32_t)epoch, 1};
    uint32_t *starts = malloc(((size_t)T + 2) * sizeof(*starts));
    uint32_t *sorted = malloc(S * sizeof(*sorted)), *batches = malloc(MAX2(full, 1u) * sizeof(*batches));
    enum clrnn_status st = CLRNN_OK;

    if (!starts || !sorted || !batches) {
        st = clrnn_error_memory(log, 8 * (size_t)S, "data.bucket");
        goto done;
    }
    for (uint32_t s = 0; s < S; s += MIN2(chunk, S - s))
        sort_by_length(dataset, T, order + s, MIN2(chunk, S - s), starts, sorted);
    if (params->shuffle) {
        clrnn_random_permutation(&r, full, batches);
        memcpy(sorted, order, S * sizeof(*sorted));
        for (uint32_t i = 0; i < full; i++)
            memcpy(order + (size_t)i * B, sorted + (size_t)batches[i] * B, B * sizeof(*sorted));
    }

done:
    free(starts);
    free(sorted);
    free(batches);
    return st;
}

enum clrnn_status clrnn_feed_order(const struct clrnn_log *log, const struct clrnn_dataset *dataset,
                                   const struct clrnn_feed_params *params, uint64_t epoch, uint32_t *order)
{
    const struct clrnn_dataset_info *info = clrnn_dataset_info(dataset);
    const struct clrnn_random r = {params->seed, RANDOM_SHUFFLE, (uint32_t)epoch, 0};

    if (params->shuffle)
        clrnn_random_permutation(&r, info->S, order);
    else
        for (uint32_t s = 0; s < info->S; s++)
            order[s] = s;
    return params->bucket && info->has_lengths ? bucket(log, dataset, params, epoch, order) : CLRNN_OK;
}

uint32_t clrnn_feed_pieces(const struct clrnn_dataset *dataset, uint32_t bptt, const uint32_t *sample, uint32_t N)
{
    uint32_t longest = 1;

    if (!bptt)
        return 1;
    for (uint32_t i = 0; i < N; i++)
        longest = MAX2(longest, clrnn_dataset_length(dataset, sample[i]));
    return (longest + bptt - 1) / bptt;
}

enum clrnn_status clrnn_feed_count_steps(const struct clrnn_log *log, const struct clrnn_config *config,
                                         const struct clrnn_dataset *dataset, uint64_t epochs, uint64_t *steps)
{
    const struct clrnn_train_config *train = &config->train;
    const struct clrnn_feed_params params = clrnn_feed_as_trained(config);
    const uint32_t S = clrnn_dataset_info(dataset)->S, batch = MAX2(train->batch_size, 1u),
                   batches = clrnn_batch_count(S, batch, train->drop_last);
    const bool alike = !train->shuffle || !clrnn_dataset_info(dataset)->has_lengths; // all epochs have as many steps
    const uint64_t counted = alike ? MIN2(epochs, 1) : epochs;
    uint32_t *order;
    enum clrnn_status st = CLRNN_OK;

    *steps = epochs * batches;
    if (!train->bptt)
        return CLRNN_OK;
    order = malloc(S * sizeof(*order));
    if (!order)
        return clrnn_error_memory(log, S * sizeof(*order), "the order of samples");
    *steps = 0;
    for (uint64_t epoch = 0; st == CLRNN_OK && epoch < counted; epoch++) {
        st = clrnn_feed_order(log, dataset, &params, epoch, order);
        for (uint32_t b = 0, first = 0; st == CLRNN_OK && b < batches; b++, first += batch)
            *steps += clrnn_feed_pieces(dataset, train->bptt, order + first, MIN2(batch, S - first));
    }
    if (alike)
        *steps *= epochs;
    free(order);
    return st;
}
