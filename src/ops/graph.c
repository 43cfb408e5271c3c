// SPDX-License-Identifier: MIT
// Builds the list of ops and tensors, computes the tensors' lifetimes, and places activations in one arena.
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "device/gemm/gemm.h"
#include "ops/graph.h"

enum clrnn_status clrnn_graph_create(const struct clrnn_log *log, struct clrnn_graph **graph)
{
    *graph = calloc(1, sizeof(**graph));
    if (*graph == NULL)
        return clrnn_error_memory(log, sizeof(**graph), "a graph");
    (*graph)->log = log;
    return CLRNN_OK;
}

void clrnn_graph_destroy(struct clrnn_graph **graph)
{
    struct clrnn_graph *g = *graph;

    if (g == NULL)
        return;
    for (size_t i = 0; i < g->tensor_count; i++)
        clrnn_buffer_destroy(&g->tensor[i].buffer);
    free(g->tensor);
    free(g->op);
    free(g);
    *graph = NULL;
}

enum clrnn_status clrnn_graph_tensor(struct clrnn_graph *graph, const char *name, enum clrnn_role role,
                                     enum clrnn_type type, unsigned ndim, const uint32_t *dims,
                                     struct clrnn_buffer *buffer, int *id)
{
    struct clrnn_tensor t = {.role = role,
                             .type = type,
                             .ndim = ndim,
                             .count = 1,
                             .first_op = -1,
                             .last_op = -1,
                             .rows_of = CLRNN_NONE,
                             .rows_index = CLRNN_NONE};

    if (ndim > ARRAY_SIZE(t.dims))
        return clrnn_error(graph->log, CLRNN_ERR_ARG, "tensor %s has %u dimensions; at most 4 are possible", name,
                           ndim);
    for (unsigned i = 0; i < ndim; i++) {
        t.dims[i] = dims[i];
        if (!clrnn_mul_size(t.count, dims[i], &t.count) || t.count > UINT32_MAX)
            return clrnn_error(graph->log, CLRNN_ERR_ARG,
                               "tensor %s has more than 2^32 - 1 elements: %u in dimension %u of %u is too "
                               "many; make the batch or the sequence smaller",
                               name, dims[i], i + 1, ndim);
    }
    if (graph->tensor_count >= INT_MAX || !ARRAY_GROW(graph->tensor, graph->tensor_count))
        return clrnn_error_memory(graph->log, 2 * graph->tensor_count * sizeof(t), "the graph's tensors");
    snprintf(t.name, sizeof(t.name), "%s", name);
    t.buffer = buffer == NULL ? NULL : clrnn_buffer_retain(buffer);
    *id = (int)graph->tensor_count;
    graph->tensor[graph->tensor_count++] = t;
    return CLRNN_OK;
}

enum clrnn_status clrnn_graph_op(struct clrnn_graph *graph, enum clrnn_op_kind kind, const char *layer, uint32_t T,
                                 uint32_t N, uint32_t C, struct clrnn_op **op)
{
    struct clrnn_op fresh;

    if (graph->op_count >= INT_MAX - 1 || !ARRAY_GROW(graph->op, graph->op_count))
        return clrnn_error_memory(graph->log, 2 * graph->op_count * sizeof(fresh), "the graph's ops");
    memset(&fresh, 0, sizeof(fresh));
    fresh.kind = kind;
    snprintf(fresh.layer, sizeof(fresh.layer), "%s", layer);
    fresh.T = T;
    fresh.N = N;
    fresh.C = C;
    for (size_t i = 0; i < ARRAY_SIZE(fresh.in); i++)
        fresh.in[i] = CLRNN_NONE;
    for (size_t i = 0; i < ARRAY_SIZE(fresh.out); i++)
        fresh.out[i] = CLRNN_NONE;
    graph->op[graph->op_count] = fresh;
    *op = &graph->op[graph->op_count++];
    return CLRNN_OK;
}

// ---------------------------------------------------------------- eliding the copy of a batch

static bool picks_up(const struct clrnn_op *op, int slot)
{
    return op->kind == CLRNN_OP_LOSS ? slot == LOSS_TARGET || slot == LOSS_SAMPLE_WEIGHT
                                     : (op->kind == CLRNN_OP_RNN_FWD || op->kind == CLRNN_OP_RNN_BWD) && slot == RNN_X;
}

static bool all_pick_up(const struct clrnn_graph *graph, int id)
{
    if (id < 0)
        return true;
    for (size_t i = 0; i < graph->op_count; i++)
        for (int k = 0; k < CLRNN_OP_MAX_IN; k++)
            if (graph->op[i].in[k] == id && !picks_up(&graph->op[i], k))
                return false;
    return !graph->tensor[id].keep;
}

static void elide(struct clrnn_graph *graph, int id, int source, int index)
{
    if (id < 0)
        return;
    graph->tensor[id].rows_of = source;
    graph->tensor[id].rows_index = index;
}

void clrnn_graph_elide_copy(struct clrnn_graph *graph, const struct clrnn_device *device)
{
    for (size_t i = 0; i < graph->op_count && clrnn_device_gathers(device); i++) {
        const struct clrnn_op *op = &graph->op[i];

        if (op->kind != CLRNN_OP_FEED || op->T > 1 || op->feed.T_data > 1 || op->feed.tokens ||
            op->in[FEED_MEAN] != CLRNN_NONE || op->in[FEED_LENGTHS] != CLRNN_NONE ||
            !all_pick_up(graph, op->out[FEED_OUT_X]) || !all_pick_up(graph, op->out[FEED_OUT_Y]))
            continue;
        elide(graph, op->out[FEED_OUT_X], op->in[FEED_X], op->in[FEED_INDEX]);
        elide(graph, op->out[FEED_OUT_Y], op->in[FEED_Y], op->in[FEED_INDEX]);
        elide(graph, op->out[FEED_OUT_WEIGHT], op->in[FEED_WEIGHT], op->in[FEED_INDEX]);
    }
}

// ---------------------------------------------------------------- placement

struct place {
    int id;
    int first, last; // first and last op that uses the tensor
    size_t offset, bytes;
};

static void touch(struct clrnn_graph *graph, int id, int op)
{
    struct clrnn_tensor *t;

    if (id < 0)
        return;
    t = &graph->tensor[id];
    if (t->first_op < 0)
        t->first_op = op;
    t->last_op = op;
}

static void find_lifetimes(struct clrnn_graph *graph)
{
    for (size_t i = 0; i < graph->tensor_count; i++)
        graph->tensor[i].first_op = graph->tensor[i].last_op = -1;
    for (size_t i = 0; i < graph->op_count; i++) {
        for (size_t k = 0; k < ARRAY_SIZE(graph->op[i].in); k++)
            touch(graph, graph->op[i].in[k], (int)i);
        for (size_t k = 0; k < ARRAY_SIZE(graph->op[i].out); k++)
            touch(graph, graph->op[i].out[k], (int)i);
    }
}

static int larger_first(const void *a, const void *b)
{
    const struct place *p = a, *q = b;

    if (p->bytes != q->bytes)
        return p->bytes > q->bytes ? -1 : 1;
    return p->id < q->id ? -1 : p->id > q->id;
}

static int lower_first(const void *a, const void *b)
{
    const struct place *const *p = a, *const *q = b;

    return (*p)->offset < (*q)->offset ? -1 : (*p)->offset > (*q)->offset;
}

// Sets p->offset to the lowest offset at which `p` does not overlap any tensor of place[0..placed) that is live at the
// same time as `p`. With `separate`, `p` must not overlap any tensor of place[0..placed). `beside` is scratch memory
// for pointers to these tensors.
static void first_fit(struct place *p, struct place *place, size_t placed, bool separate, struct place **beside)
{
    size_t count = 0;

    for (size_t i = 0; i < placed; i++)
        if (separate || (place[i].first <= p->last && p->first <= place[i].last))
            beside[count++] = &place[i];
    qsort(beside, count, sizeof(*beside), lower_first);
    p->offset = 0;
    for (size_t i = 0; i < count; i++) {
        if (beside[i]->offset >= p->offset + p->bytes)
            break;
        p->offset = MAX2(p->offset, beside[i]->offset + beside[i]->bytes);
    }
}

// Lists the activations in `place`, with their lifetimes and their sizes rounded up to the alignment. Returns how many
// there are.
static size_t list_activations(const struct clrnn_graph *graph, const struct clrnn_device *device, struct place *place)
{
    const size_t align = clrnn_buffer_align(device);
    size_t count = 0;

    for (size_t i = 0; i < graph->tensor_count; i++) {
        const struct clrnn_tensor *t = &graph->tensor[i];
        const bool whole = t->keep || t->first_op < 0; // a tensor that no op uses is live throughout
        const size_t bytes = MAX2(t->count, 1) * clrnn_type_bytes(device, t->type);

        if (t->role == CLRNN_ROLE_ACTIVATION && t->rows_of == CLRNN_NONE)
            place[count++] = (struct place){.id = (int)i,
                                            .first = MAX2(t->first_op, 0),
                                            .last = whole ? INT_MAX : t->last_op,
                                            .bytes = (bytes + align - 1) / align * align};
    }
    return count;
}

static enum clrnn_status make_arena(struct clrnn_device *device, size_t bytes, struct clrnn_buffer **arena)
{
    const size_t element = clrnn_type_bytes(device, CLRNN_REAL);
    struct clrnn_buffer *larger = NULL;

    if (*arena != NULL && clrnn_buffer_count(*arena) * clrnn_type_bytes(device, clrnn_buffer_type(*arena)) >= bytes)
        return CLRNN_OK;
    TRY(clrnn_buffer_create(device, CLRNN_REAL, (bytes + element - 1) / element, "activations", &larger));
    clrnn_buffer_destroy(arena);
    *arena = larger;
    return CLRNN_OK;
}

static enum clrnn_status bind(struct clrnn_graph *graph, const struct place *place, size_t count,
                              struct clrnn_buffer *arena)
{
    for (size_t i = 0; i < count; i++) {
        struct clrnn_tensor *t = &graph->tensor[place[i].id];

        clrnn_buffer_destroy(&t->buffer);
        TRY(clrnn_buffer_sub(arena, place[i].offset, t->type, MAX2(t->count, 1), &t->buffer));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_graph_place(struct clrnn_graph *graph, struct clrnn_device *device, bool separate,
                                    struct clrnn_buffer **arena)
{
    const size_t most = MAX2(graph->tensor_count, 1);
    enum clrnn_status st = CLRNN_OK;
    struct place *place = calloc(most, sizeof(*place));
    struct place **beside = calloc(most, sizeof(*beside));
    size_t count;

    if (place == NULL || beside == NULL) {
        st = clrnn_error_memory(graph->log, most * (sizeof(*place) + sizeof(*beside)), "placing activations");
        goto done;
    }
    find_lifetimes(graph);
    count = list_activations(graph, device, place);
    qsort(place, count, sizeof(*place), larger_first);
    graph->arena_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        first_fit(&place[i], place, i, separate, beside);
        graph->arena_bytes = MAX2(graph->arena_bytes, place[i].offset + place[i].bytes);
    }
    if (count == 0)
        goto done;
    st = make_arena(device, graph->arena_bytes, arena);
    if (st == CLRNN_OK)
        st = bind(graph, place, count, *arena);

done:
    free(beside);
    free(place);
    return st;
}
