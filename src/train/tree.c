// SPDX-License-Identifier: MIT
// Sums shards' values along a tree. As shards arrive, a worker keeps the roots of its complete subtrees, at most two
// per level. The exchange with other workers is a fixed list of steps (send, receive, add), which is run for each piece
// of the values separately.
#include "train/tree.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"

#define MOST_NODES 66u

// The sum over those shards in [first, first + 2^level) that exist. Its value is in slot[slot].
struct node {
    uint32_t first, level, slot;
};

struct step {
    enum { SEND, RECEIVE, ADD } kind;
    uint32_t slot, other;            // other: the other worker; for ADD: the slot that is added to `slot`
    struct clrnn_transfer *transfer; // [pieces]; NULL for ADD
};

struct clrnn_tree {
    const struct clrnn_worker *worker;
    const struct clrnn_log *log;
    clrnn_tree_sum *sum;
    size_t count, size, piece;   // piece: numbers in each piece except the last
    uint32_t shards, begin, end; // number of all shards; this worker computes [begin, end)
    uint32_t next;               // shard whose value comes next
    uint32_t node_count, slot_count;
    struct node node[MOST_NODES]; // in order of `first`
    void **slot;                  // [slot_count] values; NULL: not allocated yet
    size_t step_count;
    struct step *step;
    bool begun; // the receives of this batch are posted
    bool patient;
};

uint32_t clrnn_tree_first(uint32_t shards, uint32_t number, uint32_t count)
{
    return (uint32_t)((uint64_t)shards * number / count);
}

static uint32_t owner(const struct clrnn_tree *t, uint32_t shard)
{
    return (uint32_t)((((uint64_t)shard + 1) * t->worker->count - 1) / t->shards);
}

// ---------------------------------------------------------------- nodes

static void add_node(struct clrnn_tree *t, uint32_t first, uint32_t level, uint32_t slot)
{
    t->node[t->node_count++] = (struct node){first, level, slot};
}

// Merges the last two nodes if they are the two halves of a subtree. The node of the right half remains in the array,
// directly after the new last node.
static bool join_last(struct clrnn_tree *t)
{
    struct node *left = &t->node[MAX2(t->node_count, 2) - 2];
    const struct node *right = left + 1;

    if (t->node_count < 2 || left->level != right->level || left->first >> left->level & 1 ||
        right->first != left->first + (1u << left->level))
        return false;
    left->level++;
    t->node_count--;
    return true;
}

static void sum_up(struct clrnn_tree *t)
{
    while (join_last(t)) {
        const struct node *left = &t->node[t->node_count - 1];

        t->sum(t->slot[left->slot], t->slot[left[1].slot], t->count);
    }
}

// ---------------------------------------------------------------- planning steps

static enum clrnn_status add_step(struct clrnn_tree *t, struct step step)
{
    const size_t pieces = clrnn_tree_pieces(t);

    if (!ARRAY_GROW(t->step, t->step_count))
        return clrnn_error_memory(t->log, 2 * t->step_count * sizeof(step), "the sums of shards");
    t->step[t->step_count++] = step;
    if (step.kind == ADD)
        return CLRNN_OK;
    t->step[t->step_count - 1].transfer = calloc(pieces, sizeof(*step.transfer));
    return t->step[t->step_count - 1].transfer
               ? CLRNN_OK
               : clrnn_error_memory(t->log, pieces * sizeof(*step.transfer), "the sums of shards");
}

static enum clrnn_status plan_sums(struct clrnn_tree *t)
{
    while (join_last(t)) {
        const struct node *left = &t->node[t->node_count - 1];

        TRY(add_step(t, (struct step){.kind = ADD, .slot = left->slot, .other = left[1].slot}));
    }
    return CLRNN_OK;
}

// Adds a step that sends this worker's first node, and removes the node.
static enum clrnn_status plan_send(struct clrnn_tree *t, uint32_t to)
{
    TRY(add_step(t, (struct step){.kind = SEND, .slot = t->node[0].slot, .other = to}));
    t->node_count--;
    for (uint32_t i = 0; i < t->node_count; i++)
        t->node[i] = t->node[i + 1];
    return CLRNN_OK;
}

// Adds this worker's steps for merging the nodes of `level` that begin at the shards `left` and `right`.
static enum clrnn_status plan_pair(struct clrnn_tree *t, uint32_t level, uint32_t left, uint32_t right)
{
    const uint32_t to = owner(t, left), from = owner(t, right), own = t->worker->number;

    if (from == own && to != own)
        TRY(plan_send(t, to));
    if (to != own)
        return CLRNN_OK;
    if (from != own) {
        TRY(add_step(t, (struct step){.kind = RECEIVE, .slot = t->slot_count, .other = from}));
        add_node(t, right, level, t->slot_count++);
    }
    return plan_sums(t);
}

static enum clrnn_status plan_levels(struct clrnn_tree *t)
{
    for (uint32_t level = 0; 1u << level < t->shards; level++) {
        for (uint32_t left = 0; left < t->shards; left += 2u << level)
            if (left + (1u << level) < t->shards)
                TRY(plan_pair(t, level, left, left + (1u << level)));
        for (uint32_t i = 0; i < t->node_count; i++) // a left half without a right half moves up a level
            if (t->node[i].level == level && !(t->node[i].first >> level & 1) &&
                t->node[i].first + (1u << level) >= t->shards)
                t->node[i].level++;
        TRY(plan_sums(t));
    }
    return CLRNN_OK;
}

static enum clrnn_status plan(struct clrnn_tree *t)
{
    for (uint32_t shard = t->begin; shard < t->end; shard++) {
        add_node(t, shard, 0, t->node_count);
        t->slot_count = MAX2(t->slot_count, t->node_count);
        while (join_last(t))
            continue;
    }
    TRY(plan_levels(t));
    t->node_count = 0;
    t->slot = calloc(t->slot_count, sizeof(*t->slot));
    return t->slot ? CLRNN_OK : clrnn_error_memory(t->log, t->slot_count * sizeof(*t->slot), "the sums of shards");
}

enum clrnn_status clrnn_tree_create(const struct clrnn_worker *worker, const struct clrnn_tree_params *params,
                                    struct clrnn_tree **tree)
{
    const struct clrnn_log *log = clrnn_device_log(worker->device);
    struct clrnn_tree *t = calloc(1, sizeof(*t));

    *tree = t;
    if (!t)
        return clrnn_error_memory(log, sizeof(*t), "the sums of shards");
    t->worker = worker;
    t->log = log;
    t->sum = params->sum;
    t->count = params->count;
    t->size = params->size;
    t->piece = params->piece ? params->piece : params->count;
    t->shards = params->shards;
    t->patient = params->patient;
    t->begin = t->next = clrnn_tree_first(t->shards, worker->number, worker->count);
    t->end = clrnn_tree_first(t->shards, worker->number + 1, worker->count);
    return plan(t);
}

void clrnn_tree_destroy(struct clrnn_tree **tree)
{
    struct clrnn_tree *t = *tree;

    *tree = NULL;
    if (!t)
        return;
    for (uint32_t i = 0; t->slot && i < t->slot_count && !clrnn_ranks_keep_memory(); i++)
        free(t->slot[i]);
    free(t->slot);
    for (size_t i = 0; i < t->step_count; i++)
        free(t->step[i].transfer);
    free(t->step);
    free(t);
}

// ---------------------------------------------------------------- a batch

static enum clrnn_status need_slot(struct clrnn_tree *t, uint32_t slot)
{
    if (!t->slot[slot])
        t->slot[slot] = malloc(t->count * t->size);
    return t->slot[slot] ? CLRNN_OK : clrnn_error_memory(t->log, t->count * t->size, "the sums of shards");
}

enum clrnn_status clrnn_tree_next(struct clrnn_tree *t, void **value)
{
    if (t->next == t->begin) // first shard of a new batch
        t->node_count = 0;
    sum_up(t);
    TRY(need_slot(t, t->node_count));
    *value = t->slot[t->node_count];
    add_node(t, t->next++, 0, t->node_count);
    return CLRNN_OK;
}

size_t clrnn_tree_pieces(const struct clrnn_tree *t)
{
    return (t->count + t->piece - 1) / t->piece;
}

static size_t numbers_of(const struct clrnn_tree *t, size_t piece)
{
    return MIN2(t->piece, t->count - piece * t->piece);
}

static void *part_of(const struct clrnn_tree *t, uint32_t slot, size_t piece)
{
    return (char *)t->slot[slot] + piece * t->piece * t->size;
}

static enum clrnn_status begin_transfer(struct clrnn_tree *t, const struct step *step, size_t piece)
{
    TRY(clrnn_transfer_begin(t->worker, step->kind == SEND ? CLRNN_MESSAGE_SEND : CLRNN_MESSAGE_RECEIVE, step->other,
                             part_of(t, step->slot, piece), numbers_of(t, piece) * t->size, &step->transfer[piece]));
    step->transfer[piece].message.patient = t->patient;
    return CLRNN_OK;
}

enum clrnn_status clrnn_tree_begin(struct clrnn_tree *t)
{
    if (t->begun)
        return CLRNN_OK;
    t->begun = true;
    for (size_t piece = 0; piece < clrnn_tree_pieces(t); piece++) // in the order in which others send
        for (size_t i = 0; i < t->step_count; i++)
            if (t->step[i].kind == RECEIVE) {
                TRY(need_slot(t, t->step[i].slot));
                TRY(begin_transfer(t, &t->step[i], piece));
            }
    return CLRNN_OK;
}

enum clrnn_status clrnn_tree_reduce(struct clrnn_tree *t, size_t piece)
{
    TRY(clrnn_tree_begin(t));
    sum_up(t);
    for (size_t i = 0; i < t->step_count; i++) {
        const struct step *step = &t->step[i];

        if (step->kind == ADD)
            t->sum(part_of(t, step->slot, piece), part_of(t, step->other, piece), numbers_of(t, piece));
        else
            TRY(step->kind == SEND ? begin_transfer(t, step, piece) : clrnn_transfer_finish(&step->transfer[piece]));
    }
    t->begun = piece + 1 < clrnn_tree_pieces(t);
    t->next = t->begin;
    return CLRNN_OK;
}

enum clrnn_status clrnn_tree_share(struct clrnn_tree *t, size_t piece, const struct clrnn_worker *worker,
                                   struct clrnn_transfer *transfer)
{
    for (size_t i = 0; i < t->step_count; i++)
        if (t->step[i].kind == SEND) // a send may still read slot 0, which the broadcast below overwrites
            TRY(clrnn_transfer_finish(&t->step[i].transfer[piece]));
    return clrnn_transfer_begin(worker, CLRNN_MESSAGE_BROADCAST, 0, part_of(t, 0, piece),
                                numbers_of(t, piece) * t->size, transfer);
}

enum clrnn_status clrnn_tree_total(struct clrnn_tree *t, void **total)
{
    for (size_t piece = 0; piece < clrnn_tree_pieces(t); piece++) {
        struct clrnn_transfer transfer;

        TRY(clrnn_tree_reduce(t, piece));
        TRY(clrnn_tree_share(t, piece, t->worker, &transfer));
        TRY(clrnn_transfer_finish(&transfer));
    }
    *total = clrnn_tree_sums(t);
    return CLRNN_OK;
}

void *clrnn_tree_sums(const struct clrnn_tree *t)
{
    return t->slot[0];
}
