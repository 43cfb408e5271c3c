// SPDX-License-Identifier: MIT
// The tree of sums: a worker keeps the roots of the subtrees that it has, at most two for each level.
#include "train/tree.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"

#define MOST_NODES 66u

// The sum over shards [first, first + 2^level), as far as there are.
struct node {
    uint32_t first, level;
    void *value;
};

struct clrnn_tree {
    const struct clrnn_worker *worker;
    const struct clrnn_log *log;
    clrnn_tree_sum *sum;
    size_t count, size;
    uint32_t shards, begin, end; // this worker's
    uint32_t next;               // shard
    uint32_t node_count, spare_count;
    struct node node[MOST_NODES]; // in order of `first`
    void *spare[MOST_NODES];      // memory for values
};

enum clrnn_status clrnn_tree_create(const struct clrnn_worker *worker, uint32_t shards, size_t count,
                                    size_t size, clrnn_tree_sum *sum, struct clrnn_tree **tree)
{
    const struct clrnn_log *log = clrnn_device_log(worker->device);
    struct clrnn_tree *t = calloc(1, sizeof(*t));

    *tree = t;
    if (!t)
        return clrnn_error_memory(log, sizeof(*t), "the sums of shards");
    t->worker = worker;
    t->log = log;
    t->sum = sum;
    t->count = count;
    t->size = size;
    t->shards = shards;
    t->begin = t->next = clrnn_tree_first(shards, worker->number, worker->count);
    t->end = clrnn_tree_first(shards, worker->number + 1, worker->count);
    return CLRNN_OK;
}

void clrnn_tree_destroy(struct clrnn_tree **tree)
{
    struct clrnn_tree *t = *tree;

    *tree = NULL;
    if (!t)
        return;
    while (t->node_count)
        free(t->node[--t->node_count].value);
    while (t->spare_count)
        free(t->spare[--t->spare_count]);
    free(t);
}

uint32_t clrnn_tree_first(uint32_t shards, uint32_t number, uint32_t count)
{
    return (uint32_t)((uint64_t)shards * number / count);
}

static uint32_t owner(const struct clrnn_tree *t, uint32_t shard)
{
    uint32_t number = 0;

    while (clrnn_tree_first(t->shards, number + 1, t->worker->count) <= shard)
        number++;
    return number;
}

// Appends a node with memory for its value.
static enum clrnn_status add_node(struct clrnn_tree *t, uint32_t first, uint32_t level, void **value)
{
    *value = t->spare_count ? t->spare[--t->spare_count] : malloc(t->count * t->size);
    if (!*value)
        return clrnn_error_memory(t->log, t->count * t->size, "the sums of shards");
    t->node[t->node_count++] = (struct node){first, level, *value};
    return CLRNN_OK;
}

static void drop_last(struct clrnn_tree *t)
{
    t->spare[t->spare_count++] = t->node[--t->node_count].value;
}

// Adds the last node to the one before, as long as they are the halves of a subtree.
static void join(struct clrnn_tree *t)
{
    while (t->node_count > 1) {
        struct node *left = &t->node[t->node_count - 2];
        const struct node *right = left + 1;

        if (left->level != right->level || left->first >> left->level & 1 ||
            right->first != left->first + (1u << left->level))
            return;
        t->sum(left->value, right->value, t->count);
        left->level++;
        drop_last(t);
    }
}

enum clrnn_status clrnn_tree_next(struct clrnn_tree *t, void **value)
{
    if (t->next == t->begin) // of a new batch
        while (t->node_count)
            drop_last(t);
    join(t);
    return add_node(t, t->next++, 0, value);
}

// Does what the pair of nodes of this level at `left` and `right` needs of this worker.
static enum clrnn_status join_pair(struct clrnn_tree *t, uint32_t level, uint32_t left, uint32_t right)
{
    const uint32_t to = owner(t, left), from = owner(t, right), own = t->worker->number;
    const size_t bytes = t->count * t->size;
    void *value;

    if (to == from) {
        if (to == own)
            join(t);
        return CLRNN_OK;
    }
    if (from == own) { // the first of this worker's nodes
        TRY(clrnn_worker_send(t->worker, to, t->node[0].value, bytes));
        t->spare[t->spare_count++] = t->node[0].value;
        t->node_count--;
        for (uint32_t i = 0; i < t->node_count; i++)
            t->node[i] = t->node[i + 1];
    }
    if (to != own)
        return CLRNN_OK;
    TRY(add_node(t, right, level, &value));
    TRY(clrnn_worker_receive(t->worker, from, value, bytes));
    join(t);
    return CLRNN_OK;
}

enum clrnn_status clrnn_tree_reduce(struct clrnn_tree *t)
{
    join(t);
    for (uint32_t level = 0; 1u << level < t->shards; level++) {
        for (uint32_t left = 0; left < t->shards; left += 2u << level)
            if (left + (1u << level) < t->shards)
                TRY(join_pair(t, level, left, left + (1u << level)));
        for (uint32_t i = 0; i < t->node_count; i++) // a left half whose right one would have no shard
            if (t->node[i].level == level && !(t->node[i].first >> level & 1) &&
                t->node[i].first + (1u << level) >= t->shards)
                t->node[i].level++;
        join(t);
    }
    t->next = t->begin;
    return CLRNN_OK;
}

enum clrnn_status clrnn_tree_share(struct clrnn_tree *t, const struct clrnn_worker *worker, void **total)
{
    if (!t->node_count) {
        void *value;

        TRY(add_node(t, 0, 0, &value));
    }
    *total = t->node[0].value;
    return clrnn_worker_broadcast(worker, *total, t->count * t->size);
}

enum clrnn_status clrnn_tree_total(struct clrnn_tree *t, void **total)
{
    TRY(clrnn_tree_reduce(t));
    return clrnn_tree_share(t, t->worker, total);
}
