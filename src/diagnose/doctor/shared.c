// SPDX-License-Identifier: MIT
// Stage 1: finds validation rows that are training rows shifted in time, such as other windows of the same series.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/log.h"
#include "diagnose/doctor/doctor.h"

#define STEPS 4000000u // maximum number of time steps, over all training rows, that are searched
#define ROWS 200u      // maximum number of validation rows that are looked up
#define LEAST_STEPS 4u // minimum number of steps of a row that is looked up
#define VOTES 64u      // maximum number of votes for each step of a row
#define COMMON 4u      // a step that occurs more than COMMON times T times does not identify a position in a series

struct step {
    uint64_t hash;    // hash of this step and the next one
    uint32_t row, at; // row, and time step in that row
};

struct search {
    const struct clrnn_scan *train, *valid;
    struct step *step; // [count] steps of the training rows, sorted by hash
    size_t count;
    struct step *own; // [T] of the current validation row
    // [vote_capacity] one for each pair of a step of `own` and an equal step of a training row; `at`: the time shift
    struct step *votes;
    size_t vote_capacity;
    float *x; // [T, C]
};

static int by_hash(const void *a, const void *b)
{
    const struct step *x = a, *y = b;

    return x->hash != y->hash ? (x->hash > y->hash) - (x->hash < y->hash)
           : x->row != y->row ? (x->row > y->row) - (x->row < y->row)
                              : (x->at > y->at) - (x->at < y->at);
}

// Hashes the steps of a row into `step`, and returns how many. Leaves out steps that equal the next step, since
// repeated steps do not identify a position in a series.
static size_t take_steps(const struct search *s, const struct clrnn_scan *scan, uint32_t row, struct step *step)
{
    const uint32_t length = clrnn_dataset_length(scan->set, row);
    const size_t width = scan->C * sizeof(*s->x);
    size_t count = 0;

    clrnn_doctor_read_row(scan, row, s->x);
    for (uint32_t t = 0; t + 1 < length; t++) {
        const float *x = s->x + (size_t)t * scan->C;
        struct clrnn_hash h;

        if (!memcmp(x, x + scan->C, width))
            continue;
        clrnn_hash_init(&h);
        clrnn_hash_add(&h, x, 2 * width);
        step[count++] = (struct step){h.lane[0] ^ h.lane[1], row, t};
    }
    return count;
}

// Returns the index in s->step of the first step with this hash or, if there is none, with the next larger hash.
static size_t find(const struct search *s, uint64_t hash)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        const size_t middle = (low + high) / 2;

        if (s->step[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Compares the steps s->own with each training row at each time shift other than 0. Returns the largest number of equal
// steps at any one row and shift. If the votes would be too many, compares only every second, third, ... step and
// multiplies the result accordingly. Changes s->own.
static size_t most_shared(struct search *s, size_t own_count)
{
    size_t found = 0, used = 0, most = 0, run = 0, told = 0, compared = 0, stride;

    for (size_t i = 0; i < own_count; i++) {
        const size_t equal = find(s, s->own[i].hash + 1) - find(s, s->own[i].hash);

        if (equal > COMMON * (s->vote_capacity / VOTES))
            continue;
        s->own[told++] = s->own[i];
        found += equal;
    }
    stride = found / s->vote_capacity + 1;
    for (size_t i = 0; i < told; i += stride, compared++)
        for (size_t k = find(s, s->own[i].hash);
             k < s->count && s->step[k].hash == s->own[i].hash && used < s->vote_capacity; k++)
            if (s->step[k].at != s->own[i].at)
                s->votes[used++] = (struct step){0, s->step[k].row, s->step[k].at - s->own[i].at};
    qsort(s->votes, used, sizeof(*s->votes), by_hash);
    for (size_t i = 0; i < used; i++) {
        run = i && !by_hash(&s->votes[i], &s->votes[i - 1]) ? run + 1 : 1;
        most = MAX2(most, run);
    }
    return compared ? most * told / compared : 0;
}

// Whether a step identifies its position in a series. taken: number of training rows. If the rows are windows of a
// series, a step occurs once in each window that contains it, so on average at most as often as a row has steps. Steps
// with few different values, such as letters, occur far more often. The limit is twice the number of steps of a row.
static bool steps_tell(const struct search *s, uint32_t taken)
{
    size_t different = s->count > 0;

    for (size_t i = 1; i < s->count; i++)
        different += s->step[i].hash != s->step[i - 1].hash;
    return 2.0 * (double)different * ((double)s->count / taken) >= (double)s->count;
}

static double search(struct search *s, uint32_t taken)
{
    const uint32_t rows = MIN2(s->valid->info->S, ROWS), stride = s->valid->info->S / rows;
    uint32_t shared = 0;

    for (uint64_t i = 0; i < taken; i++) // rows spread over the training set
        s->count += take_steps(s, s->train, (uint32_t)(i * s->train->info->S / taken), s->step + s->count);
    qsort(s->step, s->count, sizeof(*s->step), by_hash);
    if (!steps_tell(s, taken))
        return 0;
    for (uint32_t row = 0; row < rows * stride; row += stride) {
        const uint32_t length = clrnn_dataset_length(s->valid->set, row);
        const size_t steps = take_steps(s, s->valid, row, s->own);

        shared += length >= LEAST_STEPS && steps >= length / 2 && most_shared(s, steps) + 1 >= (length + 1) / 2;
    }
    return (double)shared / rows;
}

enum clrnn_status clrnn_doctor_shared_rows(struct clrnn_doctor *d, double *share)
{
    struct search s = {.train = &d->train_scan, .valid = &d->valid_scan};
    const uint32_t T = MAX2(s.train->info->T, s.valid->info->T);
    const uint32_t taken = (uint32_t)MIN2((size_t)s.train->info->S, STEPS / MAX2(s.train->info->T, 1u));
    bool there;

    *share = 0;
    if (!s.train->set || !s.valid->set || T < LEAST_STEPS || s.valid->info->C != s.train->info->C ||
        s.valid->info->tokens != s.train->info->tokens)
        return CLRNN_OK;
    s.vote_capacity = VOTES * (size_t)T;
    s.step = malloc((size_t)taken * s.train->info->T * sizeof(*s.step));
    s.own = malloc(T * sizeof(*s.own));
    s.votes = malloc(s.vote_capacity * sizeof(*s.votes));
    s.x = malloc((size_t)T * s.train->C * sizeof(*s.x));
    there = s.step && s.own && s.votes && s.x;
    if (there) {
        *share = search(&s, taken);
        clrnn_dataset_release(s.train->set);
    }
    free(s.step);
    free(s.own);
    free(s.votes);
    free(s.x);
    return there ? CLRNN_OK : clrnn_error_memory(d->log, (size_t)taken * T * sizeof(*s.step), "shared steps");
}
