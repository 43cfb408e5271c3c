// SPDX-License-Identifier: MIT
// train.recompute: backward computes the activations again, for one part of the sequence after the other. Training must
// give the same bits as with activations kept, and take less memory.
#include "fixture.h"

#include <string.h>

#include "base/array.h"
#include "ops/blocks.h"

struct grid {
    const char *layers;
    bool lengths, carried;
};

struct outcome {
    float *params;
    size_t count; // number of elements of params
    double losses[3];
    uint64_t arena;
    size_t kept; // number of tensors that keep states between parts
};

static struct outcome train(struct scratch *f, const struct grid *g, uint32_t T, uint32_t recompute)
{
    enum { N = 3 };
    struct outcome o = {.params = NULL};
    char train[128];
    struct clrnn_model *m;
    struct clrnn_batch b;
    struct clrnn_plan_data data;
    struct clrnn_plan *plan;

    snprintf(train, sizeof(train), "loss: cross_entropy, optimizer: {adam: {lr: 0.01}}, seed: 4%s%u",
             recompute ? ", recompute: " : ", log_every: ", recompute);
    m = fixture_model(f, g->layers, train, (struct clrnn_data_shape){3, false, 2, 0});
    b = fixture_batch(m, N, T, g->lengths, 3);
    data = fixture_data(m, &b);
    const struct clrnn_plan_params params = {
        .mode = CLRNN_MODE_TRAIN, .N = N, .T = T, .data = data, .carried = g->carried ? N : 0, .input_grad = true};

    if (clrnn_plan_create(m, &params, &plan) != CLRNN_OK)
        fail_msg("%s", f->error);
    for (size_t i = 0; i < ARRAY_SIZE(o.losses); i++) {
        double record[RECORD_FIELDS];

        m->carry = i > 0;
        assert_int_equal(clrnn_model_begin_step(m, 0, true), CLRNN_OK);
        assert_int_equal(clrnn_plan_run(plan), CLRNN_OK);
        assert_int_equal(clrnn_model_read_records(m, 0, 1, record), CLRNN_OK);
        o.losses[i] = record[RECORD_LOSS];
    }
    o.count = m->flat_count;
    o.params = calloc(m->flat_count, sizeof(float));
    assert_non_null(o.params);
    assert_int_equal(clrnn_buffer_read_f32(m->params, 0, m->flat_count, o.params), CLRNN_OK);
    o.arena = clrnn_plan_cost(plan).arena_bytes;
    for (size_t i = 0; i < plan->graph->tensor_count; i++)
        o.kept += strstr(plan->graph->tensor[i].name, " kept ") != NULL;
    clrnn_plan_destroy(&plan);
    fixture_data_free(&data);
    fixture_batch_free(&b);
    clrnn_model_destroy(&m);
    return o;
}

static void check(struct scratch *f, const struct grid *g, uint32_t T, uint32_t recompute, const struct outcome *kept)
{
    struct outcome o = train(f, g, T, recompute);

    for (size_t i = 0; i < ARRAY_SIZE(o.losses); i++)
        if (memcmp(&o.losses[i], &kept->losses[i], sizeof(o.losses[i])) != 0)
            fail_msg("loss %zu is %a with recompute: %u, %a without, of\n%s", i, o.losses[i], recompute,
                     kept->losses[i], g->layers);
    if (o.kept == 0 || o.arena >= kept->arena)
        fail_msg("with recompute: %u %zu states are kept in %llu bytes of activations, without in %llu, of\n%s",
                 recompute, o.kept, (unsigned long long)o.arena, (unsigned long long)kept->arena, g->layers);
    assert_memory_equal(o.params, kept->params, kept->count * sizeof(float));
    free(o.params);
}

// Combines cells, directions, numbers of layers and options, with and without lengths, carried states and pools.
static void test_grid(struct scratch *f)
{
    static const struct grid grid[] = {
        {.layers = "- rnn: {hidden_size: 5}\n- linear: {out_features: 2}\n", .lengths = true},
        {.layers = "- rnn: {hidden_size: 6, bidirectional: true, nonlinearity: relu}\n- pool: {over: mean}\n"
                   "- linear: {out_features: 2}\n"},
        {.layers = "- gru: {hidden_size: 5}\n- linear: {out_features: 2}\n", .carried = true},
        {.layers = "- gru: {hidden_size: 4, bidirectional: true, num_layers: 2, dropout: 0.3}\n- pool: {over: final}\n"
                   "- linear: {out_features: 2}\n",
         .lengths = true},
        {.layers = "- lstm: {hidden_size: 5, num_layers: 2, dropout: 0.3}\n- linear: {out_features: 2}\n",
         .lengths = true,
         .carried = true},
        {.layers = "- lstm: {hidden_size: 17, bidirectional: true, bias: false}\n- pool: {over: last}\n"
                   "- linear: {out_features: 2}\n",
         .lengths = true},
        {.layers = "- lstm: {hidden_size: 70, bidirectional: true, num_layers: 2}\n- pool: {over: mean}\n"
                   "- linear: {out_features: 2}\n"},
        {.layers = "- lstm: {hidden_size: 6, proj_size: 2}\n- linear: {out_features: 2}\n", .carried = true},
        {.layers =
             "- lstm: {hidden_size: 6, layer_norm: true, proj_size: 3, recurrent_dropout: 0.2, bidirectional: true}\n"
             "- pool: {over: max}\n- linear: {out_features: 2}\n",
         .lengths = true},
        {.layers = "- lstm: {hidden_size: 6, layer_norm: true, recurrent_dropout: 0.2}\n- linear: {out_features: 2}\n",
         .lengths = true,
         .carried = true},
        {.layers = "- gru: {hidden_size: 5, layer_norm: true, bidirectional: true}\n- linear: {out_features: 2}\n",
         .lengths = true},
        {.layers = "- gru: {hidden_size: 5, recurrent_dropout: 0.2}\n- linear: {out_features: 2}\n", .carried = true},
        {.layers = "- rnn: {hidden_size: 5, layer_norm: true, recurrent_dropout: 0.2, bidirectional: true}\n"
                   "- dropout: {p: 0.2, variational: true}\n- rnn: {hidden_size: 4}\n- linear: {out_features: 2}\n"},
        {.layers = "- conv1d: {out_channels: 4, kernel_size: 3, padding: same}\n"
                   "- residual: {layers: [{lstm: {hidden_size: 4}}]}\n"
                   "- concat: {branches: [[{gru: {hidden_size: 3}}], [{rnn: {hidden_size: 2}}]]}\n"
                   "- attention_pool: {attention_size: 3}\n- linear: {out_features: 2}\n",
         .lengths = true},
    };
    const uint32_t block = clrnn_block_steps(f->device), T = 2 * block + block / 2;
    // on slow devices two cases are enough: tests/ops/test_rnn.c also tests parts
    const size_t count = getenv("CLRNN_TEST_SMALL") ? 2 : ARRAY_SIZE(grid);

    for (size_t i = 0; i < count; i++) {
        struct outcome kept = train(f, &grid[i], T, 0);

        check(f, &grid[i], T, 1, &kept);
        check(f, &grid[i], T, block + 1, &kept);
        free(kept.params);
    }
}

// A sequence that is no longer than a part must keep no states. In the first case, recompute = 1 makes parts of one
// block of steps. In the second case, recompute = 1000 is more steps than the sequence has.
static void test_nothing_to_keep(struct scratch *f)
{
    const struct grid g = {.layers = "- lstm: {hidden_size: 4}\n- linear: {out_features: 2}\n"};
    struct outcome o;

    o = train(f, &g, clrnn_block_steps(f->device), 1);
    assert_int_equal(o.kept, 0);
    free(o.params);
    o = train(f, &g, clrnn_block_steps(f->device) + 1, 1000);
    assert_int_equal(o.kept, 0);
    free(o.params);
}

int main(void)
{
    const struct CMUnitTest tests[] = {SCRATCH_TEST(test_grid, "ref"), SCRATCH_TEST(test_grid, NULL),
                                       SCRATCH_TEST(test_nothing_to_keep, "ref")};

    return cmocka_run_group_tests_name("model/recompute", tests, NULL, NULL);
}
