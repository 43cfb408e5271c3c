// SPDX-License-Identifier: MIT
// Models the time of a step on R ranks. Each rank computes its shards one after the other. A bucket of gradients is
// final once the rank's last shard writes to the bucket no more. A final bucket goes up the tree of ranks once the
// previous bucket has gone up. Its sum then comes down the tree piece by piece, after the sum of the previous bucket.
// On each level of the tree, rank 0 receives the bucket from one rank and sends the sum to one rank.
#include "train/speedup.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/log.h"
#include "train/buckets.h"

#define MOST_RANKS 1024u
#define MOST_RUNS 5 // most measurements after the first
#define MOST_S 2.0  // seconds after which no further measurement begins

struct clrnn_speedup {
    struct clrnn_plan *plan;
    struct clrnn_network network;
    uint32_t shards;
    double *final_s;          // seconds from a shard's start until each bucket is final
    double shard_s, update_s; // seconds of one shard, and of the update
};

// Returns how many launches must have ended before the gradients of a bucket are final.
static size_t end_of(const struct clrnn_plan *plan, size_t bucket)
{
    return plan->bucket_end ? plan->bucket_end[bucket] : clrnn_launches_count(plan->launches);
}

// Runs launches [first, end) of a plan and waits for them. Lowers *seconds to the time taken if that time is less.
static enum clrnn_status time_part(struct clrnn_plan *plan, size_t first, size_t end, double *seconds)
{
    const double start = clrnn_clock();

    if (first < end)
        TRY(clrnn_plan_run_part(plan, first, end));
    TRY(clrnn_device_finish(plan->model->device));
    *seconds = fmin(*seconds, clrnn_clock() - start);
    return CLRNN_OK;
}

static enum clrnn_status time_run(struct clrnn_speedup *s, struct clrnn_plan *update, double *rest)
{
    struct clrnn_model *m = s->plan->model;
    size_t at = 0;

    TRY(clrnn_model_begin_step(m, 0, true));
    TRY(clrnn_device_finish(m->device));
    for (size_t i = 0; i < m->bucket_count; i++) {
        TRY(time_part(s->plan, at, end_of(s->plan, i), &s->final_s[i]));
        at = end_of(s->plan, i);
    }
    TRY(time_part(s->plan, at, clrnn_launches_count(s->plan->launches), rest));
    return time_part(update, 0, clrnn_launches_count(update->launches), &s->update_s);
}

static enum clrnn_status measure(struct clrnn_speedup *s)
{
    const struct clrnn_plan_params params = {.mode = CLRNN_MODE_UPDATE};
    const struct clrnn_model *m = s->plan->model;
    const double start = clrnn_clock();
    struct clrnn_plan *update;
    double rest = INFINITY;
    enum clrnn_status st;

    TRY(clrnn_plan_create(s->plan->model, &params, &update));
    s->update_s = INFINITY;
    for (size_t i = 0; i < m->bucket_count; i++)
        s->final_s[i] = INFINITY;
    st = time_run(s, update, &rest);
    for (int run = 0; st == CLRNN_OK && run < MOST_RUNS && clrnn_clock() - start < MOST_S; run++)
        st = time_run(s, update, &rest);
    clrnn_plan_destroy(&update);
    s->shard_s = 0;
    for (size_t i = 0; i < m->bucket_count; i++)
        s->final_s[i] = s->shard_s += s->final_s[i];
    s->shard_s += rest;
    return st;
}

enum clrnn_status clrnn_speedup_create(struct clrnn_plan *plan, const struct clrnn_network *network,
                                       struct clrnn_speedup **speedup)
{
    struct clrnn_speedup *s = calloc(1, sizeof(*s));
    enum clrnn_status st = CLRNN_OK;

    *speedup = s;
    if (s)
        s->final_s = calloc(plan->model->bucket_count, sizeof(*s->final_s));
    if (!s || !s->final_s) {
        clrnn_speedup_destroy(speedup);
        return clrnn_error_memory(plan->model->log, sizeof(*s), "a plan's speed");
    }
    s->plan = plan;
    s->network = *network;
    s->shards = plan->model->config->train.shards;
    if (network->bytes_per_s > 0)
        st = measure(s);
    if (st != CLRNN_OK)
        clrnn_speedup_destroy(speedup);
    return st;
}

void clrnn_speedup_destroy(struct clrnn_speedup **speedup)
{
    if (*speedup)
        free((*speedup)->final_s);
    free(*speedup);
    *speedup = NULL;
}

// ---------------------------------------------------------------- predicted time of a step

static double bytes_of(const struct clrnn_model *m, size_t bucket)
{
    return (double)m->bucket[bucket].count * sizeof(float);
}

// Predicts the seconds of a step on `ranks` ranks, at most as many as shards. *waiting becomes the part of these
// seconds in which no rank computes.
static double step_of(const struct clrnn_speedup *s, uint32_t ranks, double *waiting)
{
    const struct clrnn_model *m = s->plan->model;
    const double shards = ceil((double)s->shards / ranks), levels = ceil(log2(ranks));
    const double latency = levels * s->network.latency_s;
    double up = 0, down = 0;

    for (size_t i = 0; i < m->bucket_count; i++) {
        const double piece = fmin(bytes_of(m, i), CLRNN_PIECE_BYTES);
        const double way = levels * bytes_of(m, i) / s->network.bytes_per_s;

        up = fmax(up, (shards - 1) * s->shard_s + s->final_s[i]) + way;
        down = fmax(down + way, up + levels * piece / s->network.bytes_per_s);
    }
    down += ranks > 1 ? 2 * latency : 0;
    *waiting = fmax(down - shards * s->shard_s, 0);
    return shards * s->shard_s + *waiting + s->update_s;
}

// Returns the next number of ranks to report: powers of two, then as many ranks as shards (at most MOST_RANKS); 0 at
// the end.
static uint32_t next_ranks(const struct clrnn_speedup *s, uint32_t ranks)
{
    const uint32_t most = MIN2(s->shards, MOST_RANKS);

    return ranks == most ? 0 : MIN2(MAX2(2 * ranks, 1), most);
}

static double total_bytes(const struct clrnn_model *m)
{
    double bytes = 0;

    for (size_t i = 0; i < m->bucket_count; i++)
        bytes += bytes_of(m, i);
    return bytes;
}

// Sets *last and *first to the names of the last and the first parameter with gradients in a bucket.
static void owners(const struct clrnn_model *m, size_t bucket, const char **last, const char **first)
{
    const struct clrnn_bucket *b = &m->bucket[bucket];

    *first = *last = "";
    for (size_t i = 0; i < m->entry_count; i++) {
        const struct clrnn_entry *e = &m->entry[i];

        if (!e->grad || e->first >= b->first + b->count || e->first + e->param.count <= b->first)
            continue;
        *first = **first ? *first : e->param.name;
        *last = e->param.name;
    }
}

static void write_ranks(const struct clrnn_speedup *s, FILE *out)
{
    double one, waiting;

    fprintf(out,
            "\na shard takes %.3g ms on this device, the update %.3g ms; ranks of such devices, %.3g Gbit/s "
            "and %.3g us apart,\nwould take\n\n  ranks  shards each       step    waiting  speed-up\n",
            1e3 * s->shard_s, 1e3 * s->update_s, 8e-9 * s->network.bytes_per_s, 1e6 * s->network.latency_s);
    one = step_of(s, 1, &waiting);
    for (uint32_t ranks = 1; ranks; ranks = next_ranks(s, ranks)) {
        const double step = step_of(s, ranks, &waiting);

        fprintf(out, "  %5u  %11u  %8.4g ms %8.3g ms  %8.3g\n", ranks, (s->shards + ranks - 1) / ranks, 1e3 * step,
                1e3 * waiting, one / step);
    }
}

void clrnn_speedup_text(const struct clrnn_speedup *s, FILE *out)
{
    const struct clrnn_model *m = s->plan->model;

    fprintf(out,
            "\n%u shards of up to %u samples: of a step %.3g MB of gradients go up the tree from each rank, "
            "and as many back\n\n  bucket        MB  final after launch  gradients of\n",
            s->shards, s->plan->params.N, 1e-6 * total_bytes(m));
    for (size_t i = 0; i < m->bucket_count; i++) {
        const char *last, *first;

        owners(m, i, &last, &first);
        fprintf(out, "  %6zu  %8.3g  %8zu of %-7zu  %s%s%s\n", i + 1, 1e-6 * bytes_of(m, i), end_of(s->plan, i),
                clrnn_launches_count(s->plan->launches), last, last == first ? "" : " to ", last == first ? "" : first);
    }
    if (s->network.bytes_per_s > 0)
        write_ranks(s, out);
}

json_t *clrnn_speedup_json(const struct clrnn_speedup *s)
{
    const struct clrnn_model *m = s->plan->model;
    json_t *buckets = json_array(), *ranks = json_array();
    json_t *all = json_pack("{s:I, s:I, s:f, s:o}", "shards", (json_int_t)s->shards, "samples",
                            (json_int_t)s->plan->params.N, "bytes", total_bytes(m), "buckets", buckets);

    for (size_t i = 0; i < m->bucket_count; i++)
        json_array_append_new(
            buckets, json_pack("{s:f, s:I}", "bytes", bytes_of(m, i), "launch", (json_int_t)end_of(s->plan, i)));
    if (s->network.bytes_per_s > 0) {
        double one, waiting;

        one = step_of(s, 1, &waiting);
        for (uint32_t count = 1; count; count = next_ranks(s, count)) {
            const double step = step_of(s, count, &waiting);

            json_array_append_new(ranks, json_pack("{s:I, s:f, s:f, s:f}", "ranks", (json_int_t)count, "seconds", step,
                                                   "waiting", waiting, "speedup", one / step));
        }
        json_object_set_new(all, "shard_seconds", json_real(s->shard_s));
        json_object_set_new(all, "update_seconds", json_real(s->update_s));
        json_object_set_new(all, "bytes_per_s", json_real(s->network.bytes_per_s));
        json_object_set_new(all, "latency_s", json_real(s->network.latency_s));
        json_object_set(all, "ranks", ranks);
    }
    json_decref(ranks);
    return all;
}
