// SPDX-License-Identifier: MIT
// Builds graphs and places activations in memory: tensors with overlapping lifetimes must never share memory.
#include "base/random.h"
#include "ops/graph.h"
#include "tests/device/device_test.h"

static const struct clrnn_log quiet = {0};

#define MUST(expression) assert_int_equal((expression), CLRNN_OK)

static int add(struct clrnn_graph *g, uint32_t count, bool keep)
{
    int id;

    MUST(clrnn_graph_tensor(g, "t", CLRNN_ROLE_ACTIVATION, CLRNN_REAL, 1, &count, NULL, &id));
    g->tensor[id].keep = keep;
    return id;
}

static void step(struct clrnn_graph *g, int in, int out)
{
    struct clrnn_op *op;

    MUST(clrnn_graph_op(g, CLRNN_OP_POINTWISE_FWD, "layer", 1, 1, 1, &op));
    op->in[0] = in;
    op->out[0] = out;
}

static const char *memory_of(const struct clrnn_graph *g, int id)
{
    return clrnn_buffer_host(g->tensor[id].buffer);
}

static bool overlap(const struct clrnn_graph *g, int a, int b)
{
    const char *p = memory_of(g, a), *q = memory_of(g, b);

    return p < q + g->tensor[b].count * sizeof(double) && q < p + g->tensor[a].count * sizeof(double);
}

// Whether a tensor is live to the end of the graph: it is kept, or no op uses it.
static bool live_to_end(const struct clrnn_tensor *t)
{
    return t->keep || t->first_op < 0;
}

static bool live_together(const struct clrnn_graph *g, int a, int b)
{
    const struct clrnn_tensor *p = &g->tensor[a], *q = &g->tensor[b];

    return (p->first_op <= q->last_op || live_to_end(q)) && (q->first_op <= p->last_op || live_to_end(p));
}

// A chain, in which each op reads only the result of the op before it, needs memory for two adjacent tensors only.
static void chain(void **state)
{
    struct clrnn_buffer *arena = NULL;
    struct clrnn_graph *g;
    int id[10];

    MUST(clrnn_graph_create(&quiet, &g));
    for (int i = 0; i < 10; i++)
        id[i] = add(g, 1000, false);
    for (int i = 1; i < 10; i++)
        step(g, id[i - 1], id[i]);
    MUST(clrnn_graph_place(g, *state, false, &arena));
    assert_in_range(g->arena_bytes, 16000, 16000 + 512);
    for (int i = 1; i < 10; i++)
        assert_false(overlap(g, id[i - 1], id[i]));
    assert_int_equal(g->tensor[id[3]].first_op, 2);
    assert_int_equal(g->tensor[id[3]].last_op, 3);

    MUST(clrnn_graph_place(g, *state, true, &arena)); // placed again: each tensor gets memory of its own
    assert_in_range(g->arena_bytes, 80000, 80000 + 5120);
    for (int i = 0; i < 10; i++)
        for (int k = 0; k < i; k++)
            assert_false(overlap(g, id[i], id[k]));
    clrnn_graph_destroy(&g);
    assert_null(g);
    clrnn_graph_destroy(&g);
    clrnn_buffer_destroy(&arena);
}

// Random graphs: two tensors with overlapping lifetimes must not overlap in memory. A kept tensor lives from its first
// op to the end.
static void random_graphs(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        const struct clrnn_random r = {.seed = seed, .stream = RANDOM_PROBE};
        struct clrnn_buffer *arena = NULL;
        struct clrnn_graph *g;
        uint64_t at = 0;
        size_t sum = 0;

        MUST(clrnn_graph_create(&quiet, &g));
        for (int i = 0; i < 40; i++) {
            const uint32_t count = 1 + clrnn_random_u32(&r, at++) % 5000;

            add(g, count, clrnn_random_u32(&r, at++) % 8 == 0);
        }
        for (int i = 0; i < 60; i++) {
            const int in = (int)(clrnn_random_u32(&r, at++) % 40);

            step(g, in, (int)(clrnn_random_u32(&r, at++) % 40));
        }
        MUST(clrnn_graph_place(g, *state, false, &arena));
        for (int a = 0; a < 40; a++) {
            sum += g->tensor[a].count * sizeof(double) + 1024;
            assert_int_equal(clrnn_buffer_count(g->tensor[a].buffer), g->tensor[a].count);
            for (int b = 0; b < a; b++)
                if (live_together(g, a, b) && overlap(g, a, b))
                    fail_msg("seed %llu: tensors %d (ops %d to %d) and %d (ops %d to %d) overlap",
                             (unsigned long long)seed, a, g->tensor[a].first_op, g->tensor[a].last_op, b,
                             g->tensor[b].first_op, g->tensor[b].last_op);
        }
        assert_true(g->arena_bytes <= sum);
        clrnn_graph_destroy(&g);
        clrnn_buffer_destroy(&arena);
    }
}

// An arena that is large enough must be reused. A larger arena replaces it, while the first graph keeps the old memory.
static void arena_grows(void **state)
{
    struct clrnn_buffer *arena = NULL, *first;
    struct clrnn_graph *small, *large;
    int a, b;

    MUST(clrnn_graph_create(&quiet, &small));
    MUST(clrnn_graph_create(&quiet, &large));
    a = add(small, 100, true);
    b = add(large, 100000, true);
    MUST(clrnn_graph_place(small, *state, false, &arena));
    first = arena;
    MUST(clrnn_graph_place(small, *state, false, &arena));
    assert_ptr_equal(arena, first);
    MUST(clrnn_graph_place(large, *state, false, &arena));
    memset(clrnn_buffer_host(large->tensor[b].buffer), 1, 100000 * sizeof(double));
    assert_int_equal(*(const char *)clrnn_buffer_host(small->tensor[a].buffer), 0);
    clrnn_graph_destroy(&small);
    clrnn_graph_destroy(&large);
    clrnn_buffer_destroy(&arena);
}

static void too_large(void **state)
{
    const uint32_t dims[4] = {65536, 65536, 1, 1}, five[5] = {1, 1, 1, 1, 1}, most[2] = {65535, 65537};
    struct clrnn_graph *g;
    int id = -7;

    (void)state;
    MUST(clrnn_graph_create(&quiet, &g));
    assert_int_equal(clrnn_graph_tensor(g, "t", CLRNN_ROLE_ACTIVATION, CLRNN_REAL, 4, dims, NULL, &id), CLRNN_ERR_ARG);
    assert_int_equal(clrnn_graph_tensor(g, "t", CLRNN_ROLE_ACTIVATION, CLRNN_REAL, 5, five, NULL, &id), CLRNN_ERR_ARG);
    assert_int_equal(id, -7);
    MUST(clrnn_graph_tensor(g, "t", CLRNN_ROLE_ACTIVATION, CLRNN_REAL, 2, most, NULL, &id)); // 2^32 - 1
    assert_int_equal(g->tensor[id].count, UINT32_MAX);
    clrnn_graph_destroy(&g);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(clrnn_op_name(CLRNN_OP_FEED), "feed");
    assert_string_equal(clrnn_op_name(CLRNN_OP_LAYERNORM_BWD), "layernorm_bwd");
    assert_string_equal(clrnn_op_name(CLRNN_OP_OPTIM), "optim");
    assert_string_equal(clrnn_op_name((enum clrnn_op_kind)CLRNN_OP_COUNT), "unknown");
    assert_int_equal(clrnn_cell_gates(CLRNN_CELL_LSTM), 4);
    assert_int_equal(clrnn_cell_gates(CLRNN_CELL_GRU), 3);
    assert_int_equal(clrnn_cell_reserve(CLRNN_CELL_GRU), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(chain), cmocka_unit_test(random_graphs),
                                       cmocka_unit_test(arena_grows), cmocka_unit_test(too_large),
                                       cmocka_unit_test(names)};

    return cmocka_run_group_tests_name("ops/graph", tests, test_device_open_ref, test_device_close);
}
