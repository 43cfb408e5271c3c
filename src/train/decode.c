// SPDX-License-Identifier: MIT
// Greedy decoding, prefix beam search and edit distance.
#include "train/decode.h"

#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"

uint32_t clrnn_argmax(const float *x, uint32_t count)
{
    uint32_t best = 0;

    for (uint32_t k = 1; k < count; k++)
        if (x[k] > x[best] || (isnan(x[k]) && !isnan(x[best]))) // NaN is the largest, as in PyTorch
            best = k;
    return best;
}

uint32_t clrnn_decode_greedy(const float *x, uint32_t T, uint32_t C, uint32_t blank, int32_t *out)
{
    uint32_t count = 0, before = blank;

    for (uint32_t t = 0; t < T; t++) {
        const uint32_t best = clrnn_argmax(x + (size_t)t * C, C);

        if (best != before && best != blank)
            out[count++] = (int32_t)best;
        before = best;
    }
    return count;
}

uint32_t clrnn_edit_distance(const int32_t *a, uint32_t a_count, const int32_t *b, uint32_t b_count, uint32_t *row)
{
    for (uint32_t j = 0; j <= b_count; j++)
        row[j] = j;
    for (uint32_t i = 1; i <= a_count; i++) {
        uint32_t diagonal = row[0];

        row[0] = i;
        for (uint32_t j = 1; j <= b_count; j++) {
            const uint32_t replaced = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            row[j] = MIN2(replaced, MIN2(row[j], row[j - 1]) + 1);
        }
    }
    return row[b_count];
}

// ---------------------------------------------------------------- prefix beam search

#define NO_NODE UINT32_MAX

// A prefix. Equal prefixes share a node. The prefixes that extend a prefix by one label form a list.
struct node {
    uint32_t parent, // node of the prefix without its last label
        child,       // first node in the list of the prefixes that are one label longer
        sibling;     // next node in the list that contains this node
    int32_t label;   // last label of the prefix; -1: the prefix is empty
    uint32_t entry;  // index of the prefix in beam.next; NO_NODE: not there
};

// A prefix at one step. A path has one class for each step so far. Many paths decode to the same prefix.
struct entry {
    uint32_t node;
    double blank, // log-probability of all paths that decode to the prefix and end in a blank
        label;    // log-probability of all paths that decode to the prefix and end in its last label
};

struct beam {
    struct node *node;
    size_t node_count;
    struct entry *now, *next; // now: at most `width` entries
    size_t now_count, next_count;
};

static double log_add(double a, double b)
{
    const double top = a > b ? a : b, low = a > b ? b : a;

    return top == -INFINITY ? top : top + log1p(exp(low - top));
}

static double score(const struct entry *e)
{
    return log_add(e->blank, e->label);
}

static int better_first(const void *a, const void *b)
{
    const struct entry *p = a, *q = b;
    const double x = score(p), y = score(q);

    return x != y ? (x > y ? -1 : 1) : p->node < q->node ? -1 : p->node > q->node;
}

// Returns the node of the prefix `parent` extended by a label, and adds this node if it is new. Returns NO_NODE if
// there is no memory.
static uint32_t extend(struct beam *b, uint32_t parent, int32_t label)
{
    for (uint32_t i = b->node[parent].child; i != NO_NODE; i = b->node[i].sibling)
        if (b->node[i].label == label)
            return i;
    if (b->node_count >= NO_NODE || !ARRAY_GROW(b->node, b->node_count))
        return NO_NODE;
    b->node[b->node_count] = (struct node){parent, NO_NODE, b->node[parent].child, label, NO_NODE};
    b->node[parent].child = (uint32_t)b->node_count;
    return (uint32_t)b->node_count++;
}

// Returns the entry of a node at the next step, and adds this entry if it is new. Returns NULL if there is no memory.
static struct entry *entry_of(struct beam *b, uint32_t node)
{
    if (node == NO_NODE)
        return NULL;
    if (b->node[node].entry == NO_NODE) {
        if (!ARRAY_GROW(b->next, b->next_count))
            return NULL;
        b->next[b->next_count] = (struct entry){node, -INFINITY, -INFINITY};
        b->node[node].entry = (uint32_t)b->next_count++;
    }
    return &b->next[b->node[node].entry];
}

// Extends the paths of the prefix `from` by one step, and adds them to the entries of the next step. log_prob [C]:
// log-probabilities of the classes at the next step. Returns false if there is no memory.
static bool follow(struct beam *b, const struct entry *from, const double *log_prob, uint32_t C, uint32_t blank)
{
    const int32_t last = b->node[from->node].label;
    struct entry *to = entry_of(b, from->node);

    if (!to)
        return false;
    to->blank = log_add(to->blank, score(from) + log_prob[blank]);
    if (last >= 0)
        to->label = log_add(to->label, from->label + log_prob[last]);
    for (uint32_t c = 0; c < C; c++) {
        // the same label again needs a blank in between
        const double before = (int32_t)c == last ? from->blank : score(from);

        if (c == blank || before == -INFINITY)
            continue;
        to = entry_of(b, extend(b, from->node, (int32_t)c));
        if (!to)
            return false;
        to->label = log_add(to->label, before + log_prob[c]);
    }
    return true;
}

static void log_softmax(const float *x, uint32_t C, double *log_prob)
{
    double top = (double)x[0], sum = 0;

    for (uint32_t c = 1; c < C; c++)
        top = fmax(top, (double)x[c]);
    for (uint32_t c = 0; c < C; c++)
        sum += exp((double)x[c] - top);
    for (uint32_t c = 0; c < C; c++)
        log_prob[c] = ((double)x[c] - top) - log(sum);
}

static bool step(struct beam *b, const double *log_prob, uint32_t C, uint32_t blank, uint32_t width)
{
    struct entry *swap;

    b->next_count = 0;
    for (size_t i = 0; i < b->now_count; i++)
        if (!follow(b, &b->now[i], log_prob, C, blank))
            return false;
    for (size_t i = 0; i < b->next_count; i++)
        b->node[b->next[i].node].entry = NO_NODE;
    qsort(b->next, b->next_count, sizeof(*b->next), better_first);
    swap = b->now;
    b->now = b->next;
    b->now_count = MIN2(b->next_count, width);
    b->next = swap;
    b->next_count = 0;
    return true;
}

enum clrnn_status clrnn_decode_beam(const struct clrnn_log *log, const float *x, uint32_t T, uint32_t C, uint32_t blank,
                                    uint32_t width, int32_t *out, uint32_t *count)
{
    double *log_prob = malloc(C * sizeof(*log_prob));
    struct beam b = {.node = NULL};
    bool good = log_prob && ARRAY_GROW(b.node, b.node_count) && ARRAY_GROW(b.now, b.now_count);

    *count = 0;
    if (good) {
        b.node[b.node_count++] = (struct node){NO_NODE, NO_NODE, NO_NODE, -1, NO_NODE};
        b.now[b.now_count++] = (struct entry){0, 0, -INFINITY};
    }
    for (uint32_t t = 0; good && t < T; t++) {
        log_softmax(x + (size_t)t * C, C, log_prob);
        good = step(&b, log_prob, C, blank, width);
        // step() swapped the arrays; ARRAY_GROW infers the capacity from the count, so `next` must be NULL
        free(b.next);
        b.next = NULL;
    }
    if (good) {
        for (uint32_t i = b.now[0].node; b.node[i].parent != NO_NODE; i = b.node[i].parent)
            ++*count;
        for (uint32_t i = b.now[0].node, k = *count; b.node[i].parent != NO_NODE; i = b.node[i].parent)
            out[--k] = b.node[i].label;
    }
    free(log_prob);
    free(b.node);
    free(b.now);
    free(b.next);
    return good ? CLRNN_OK : clrnn_error_memory(log, 0, "a beam search");
}
