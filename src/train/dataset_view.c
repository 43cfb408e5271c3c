// SPDX-License-Identifier: MIT
// Views of a data set: selected samples with changed labels, inputs or order in time. Also splits a set.
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/random.h"
#include "train/dataset_private.h"

static void *copy_of(const void *from, size_t bytes)
{
    void *to = from ? malloc(MAX2(bytes, 1)) : NULL;

    return to ? memcpy(to, from, bytes) : NULL;
}

enum clrnn_status clrnn_dataset_view(struct clrnn_dataset *dataset, const struct clrnn_view *view, const char *name,
                                     struct clrnn_dataset **result)
{
    const uint32_t count = view->row || view->count ? view->count : dataset->info.S;
    const size_t C = MAX2(dataset->info.C, 1u);
    struct clrnn_dataset *d = calloc(1, sizeof(*d));

    *result = NULL;
    if (!d)
        return clrnn_error_memory(dataset->log, sizeof(*d), name);
    d->log = dataset->log;
    d->goal = dataset->goal;
    d->info = dataset->info;
    d->info.S = count;
    d->info.T = view->steps ? MIN2(view->steps, dataset->info.T) : dataset->info.T;
    d->info.y_T = dataset->info.y_steps && !dataset->info.has_y_lengths ? clrnn_dataset_output_steps(dataset, d->info.T)
                                                                        : dataset->info.y_T;
    d->info.bytes = (uint64_t)count * d->info.T * C * sizeof(float);
    d->info.name = d->name = clrnn_format("%s", name);
    d->references = 1;
    d->parent = dataset;
    d->row = view->row ? copy_of(view->row, count * sizeof(*d->row)) : malloc(MAX2(count, 1u) * sizeof(*d->row));
    d->label_row = copy_of(view->label_row, count * sizeof(*d->label_row));
    d->blanked = view->blank;
    d->blank = copy_of(view->blank, C * sizeof(*d->blank));
    d->seed = view->seed;
    d->permutation = view->shuffle_time ? malloc(d->info.T * sizeof(*d->permutation)) : NULL;
    dataset->references++;
    if (!d->name || !d->row || (view->label_row && !d->label_row) || (view->blank && !d->blank) ||
        (view->shuffle_time && !d->permutation)) {
        clrnn_dataset_close(&d);
        return clrnn_error_memory(dataset->log, count * sizeof(*d->row), name);
    }
    for (uint32_t i = 0; i < count && !view->row; i++)
        d->row[i] = i;
    *result = d;
    return CLRNN_OK;
}

// ---------------------------------------------------------------- splitting

// Computes takes [strata], the number of samples of each stratum (the samples of one class) that go to the validation
// part: counts[k] * fraction, rounded so that the sum is `total`. Strata with the largest remainders are rounded up
// first; if remainders are equal, the lower stratum comes first. remainders [strata]: scratch.
static void share_out(const uint32_t *counts, uint32_t strata, double fraction, uint32_t total, uint32_t *takes,
                      double *remainders)
{
    uint32_t given = 0;

    for (uint32_t k = 0; k < strata; k++) {
        const double share = counts[k] * fraction;

        takes[k] = (uint32_t)share;
        remainders[k] = share - takes[k];
        given += takes[k];
    }
    for (; given < total; given++) {
        uint32_t best = 0;

        for (uint32_t k = 1; k < strata; k++)
            if (remainders[k] > remainders[best])
                best = k;
        if (remainders[best] <= 0.0)
            break;
        takes[best]++;
        remainders[best] = 0.0;
    }
}

// Finds the stratum of each sample: its class, or the last stratum for ignored labels. Counts the samples of each
// stratum.
static void find_strata(const struct clrnn_dataset *dataset, uint32_t strata, uint32_t *stratum, uint32_t *counts)
{
    for (uint32_t s = 0; s < dataset->info.S; s++) {
        int32_t label = 0;

        if (strata > 1)
            clrnn_dataset_classes(dataset, s, &label);
        stratum[s] = label < 0 || (uint32_t)label >= strata ? strata - 1 : (uint32_t)label;
        counts[stratum[s]]++;
        clrnn_dataset_passed(dataset, s);
    }
}

// Sets taken[s] to 1 for each sample s of the validation part: the first takes[k] samples of a random permutation of
// each stratum k. members: all samples, sorted by stratum; order: scratch.
static void draw_strata(const uint32_t *counts, const uint32_t *takes, uint32_t strata, const uint32_t *members,
                        uint64_t seed, uint32_t *order, unsigned char *taken)
{
    for (uint32_t k = 0; k < strata; k++) {
        const struct clrnn_random r = {seed, RANDOM_SPLIT, k, 0};

        clrnn_random_permutation(&r, counts[k], order);
        for (uint32_t i = 0; i < takes[k]; i++)
            taken[members[order[i]]] = 1;
        members += counts[k];
    }
}

// Returns by how many time steps the next sample is shifted against `sample`: the first T - shift steps of the next
// sample equal the last T - shift steps of `sample`. Returns 0 if this holds for no shift from 1 to T / 2, or if
// the first two steps of the next sample are equal. Scratch: x [2, T, C].
static uint32_t shift_of(const struct clrnn_dataset *d, uint32_t sample, float *x)
{
    const size_t width = d->info.C * sizeof(*x), T = d->info.T;
    const char *a = (const char *)x, *b = a + T * width;

    clrnn_dataset_x(d, sample, x);
    clrnn_dataset_x(d, sample + 1, x + T * d->info.C);
    for (uint32_t shift = 1; shift <= T / 2; shift++)
        if (!memcmp(a + shift * width, b, (T - shift) * width) && memcmp(b, b + width, width))
            return shift;
    return 0;
}

enum clrnn_status clrnn_dataset_series(const struct clrnn_dataset *dataset, uint32_t *apart)
{
    const struct clrnn_dataset_info *info = &dataset->info;
    const uint32_t pairs = MIN2(info->S ? info->S - 1 : 0, 64u), stride = pairs ? (info->S - 1) / pairs : 1;
    uint32_t shared = 0, shift = 0;
    float *x;

    *apart = 0;
    if (!dataset->parent && dataset->windows && dataset->windows->sequences)
        return CLRNN_OK;
    if (!dataset->parent && dataset->windows) {
        const struct clrnn_series *w = dataset->windows;

        *apart = clrnn_divide_up(w->window + w->after, w->stride);
        return CLRNN_OK;
    }
    if (info->tokens || info->has_lengths || info->T < 4 || pairs < 10)
        return CLRNN_OK;
    x = malloc(2 * (size_t)info->T * info->C * sizeof(*x));
    if (!x)
        return clrnn_error_memory(dataset->log, 2 * (size_t)info->T * info->C * sizeof(*x), "neighbouring rows");
    for (uint32_t i = 0; i < pairs; i++) {
        const uint32_t by = shift_of(dataset, i * stride, x);

        shared += by > 0;
        shift = by ? by : shift;
    }
    free(x);
    if (shared > 0.8 * pairs)
        *apart = (info->T + shift - 1) / shift;
    return CLRNN_OK;
}

// Splits windows of one series: the last `taken` windows become the validation part, the windows before them the
// training part. The apart - 1 windows that share time steps with the validation part are left out.
static enum clrnn_status split_series(struct clrnn_dataset *dataset, uint32_t taken, uint32_t apart,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid)
{
    const uint32_t S = dataset->info.S, first = S - taken, kept = first > apart - 1 ? first - (apart - 1) : 0;
    uint32_t *row = malloc(taken * sizeof(*row));
    enum clrnn_status st;

    if (!row)
        return clrnn_error_memory(dataset->log, taken * sizeof(*row), "splitting off data.valid_fraction");
    for (uint32_t i = 0; i < taken; i++)
        row[i] = first + i;
    st = clrnn_dataset_view(dataset, &(struct clrnn_view){.count = kept}, dataset->name, train);
    if (st == CLRNN_OK)
        st = clrnn_dataset_view(dataset, &(struct clrnn_view){.row = row, .count = taken}, "valid", valid);
    if (st != CLRNN_OK)
        clrnn_dataset_close(train);
    free(row);
    return st;
}

enum clrnn_status clrnn_dataset_split(struct clrnn_dataset *dataset, double fraction, uint64_t seed,
                                      struct clrnn_dataset **train, struct clrnn_dataset **valid)
{
    const uint32_t S = dataset->info.S, total = (uint32_t)llround(fraction * S);
    const bool stratified = dataset->info.has_y && dataset->info.classes && clrnn_dataset_y_count(dataset) == 1;
    const uint32_t strata = stratified ? dataset->info.classes + 1 : 1;
    uint32_t *samples = malloc(3 * (size_t)S * sizeof(*samples)), *kept = samples, *order = samples + S;
    uint32_t *members = samples + 2 * (size_t)S, *stratum = samples;
    uint32_t *counts = calloc(3 * (size_t)strata, sizeof(*counts)), *takes = counts + strata;
    uint32_t *next = counts + 2 * (size_t)strata, kept_count = 0, taken_count = 0;
    double *remainders = malloc(strata * sizeof(*remainders));
    unsigned char *taken = calloc(S, 1);
    enum clrnn_status st = CLRNN_OK;
    uint32_t apart = 0;

    *train = *valid = NULL;
    if (!samples || !counts || !remainders || !taken) {
        st = clrnn_error_memory(dataset->log, 13 * (size_t)S, "splitting off data.valid_fraction");
        goto done;
    }
    st = clrnn_dataset_series(dataset, &apart);
    if (st != CLRNN_OK)
        goto done;
    if (apart && total && total + apart < S) {
        st = split_series(dataset, total, apart, train, valid);
        goto done;
    }
    find_strata(dataset, strata, stratum, counts);
    share_out(counts, strata, fraction, total, takes, remainders);
    for (uint32_t k = 1; k < strata; k++)
        next[k] = next[k - 1] + counts[k - 1];
    for (uint32_t s = 0; s < S; s++) // sorted by stratum, then by position in the file
        members[next[stratum[s]]++] = s;
    draw_strata(counts, takes, strata, members, seed, order, taken);
    for (uint32_t s = 0; s < S; s++) // both parts keep the order of the file
        if (!taken[s])
            kept[kept_count++] = s;
        else
            order[taken_count++] = s;
    if (!kept_count || !taken_count) {
        st = clrnn_error(dataset->log, CLRNN_ERR_DATA,
                         "data.valid_fraction %g of the %u samples of %s leaves %u to train and %u to validate: "
                         "both need at least one",
                         fraction, S, dataset->name, kept_count, taken_count);
        goto done;
    }
    st = clrnn_dataset_view(dataset, &(struct clrnn_view){.row = kept, .count = kept_count}, dataset->name, train);
    if (st == CLRNN_OK)
        st = clrnn_dataset_view(dataset, &(struct clrnn_view){.row = order, .count = taken_count}, "valid", valid);
    if (st != CLRNN_OK)
        clrnn_dataset_close(train);

done:
    free(samples);
    free(counts);
    free(remainders);
    free(taken);
    return st;
}
