// SPDX-License-Identifier: MIT
// The ops of a model in each mode, and their shapes. The device is only used for memory.
#include "fixture.h"

#define SEED_LAYERS \
    "- rnn: {name: rnn, hidden_size: 64, num_layers: 2, bidirectional: true}\n" \
    "- batchnorm: {name: norm}\n" \
    "- rnn: {name: rnn2, hidden_size: 64, num_layers: 2}\n" \
    "- pool: {over: last}\n" \
    "- dropout: {p: 0.5}\n" \
    "- linear: {name: fc7, out_features: 2}\n" \
    "- softmax\n" \
    "- round\n"
#define TRAIN "loss: cross_entropy, optimizer: adam, seed: 5"

// A model, random data and a plan.
struct scene {
    struct scratch *f;
    struct clrnn_model *m;
    struct clrnn_batch batch;
    struct clrnn_plan_data data;
    struct clrnn_plan *plan;
};

static void scene_open(struct scene *s, const char *layers, const char *train, struct clrnn_data_shape shape,
                       uint32_t N, uint32_t T, bool lengths)
{
    s->m = fixture_model(s->f, layers, train, shape);
    s->batch = fixture_batch(s->m, N, T, lengths, 1);
    s->data = fixture_data(s->m, &s->batch);
}

static enum clrnn_status scene_plan(struct scene *s, enum clrnn_mode mode, uint32_t N, uint32_t T)
{
    const struct clrnn_plan_params params = {.mode = mode, .N = N, .T = T, .data = s->data};

    clrnn_plan_destroy(&s->plan);
    return clrnn_plan_create(s->m, &params, &s->plan);
}

static void scene_close(struct scene *s)
{
    clrnn_plan_destroy(&s->plan);
    fixture_data_free(&s->data);
    fixture_batch_free(&s->batch);
    clrnn_model_destroy(&s->m);
}

// Lists the ops of a plan in `text`: "data feed, rnn.l0 rnn_fwd, ...".
static void list_ops(const struct clrnn_plan *plan, char *text, size_t size)
{
    size_t at = 0;

    text[0] = 0;
    for (size_t i = 0; i < plan->graph->op_count && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s %s", i ? ", " : "", plan->graph->op[i].layer,
                               clrnn_op_name(plan->graph->op[i].kind));
}

static void check_ops(const struct scene *s, const char *want)
{
    char got[4096];

    list_ops(s->plan, got, sizeof(got));
    assert_string_equal(got, want);
}

static const struct clrnn_op *op_at(const struct scene *s, const char *layer, enum clrnn_op_kind kind)
{
    for (size_t i = 0; i < s->plan->graph->op_count; i++)
        if (s->plan->graph->op[i].kind == kind && !strcmp(s->plan->graph->op[i].layer, layer))
            return &s->plan->graph->op[i];
    fail_msg("no %s %s", layer, clrnn_op_name(kind));
    return NULL;
}

static void check_dims(const struct scene *s, int id, unsigned ndim, uint32_t d0, uint32_t d1, uint32_t d2)
{
    const struct clrnn_tensor *t;

    assert_true(id >= 0);
    t = &s->plan->graph->tensor[id];
    assert_int_equal(t->ndim, ndim);
    assert_int_equal(t->dims[0], d0);
    if (ndim > 1)
        assert_int_equal(t->dims[1], d1);
    if (ndim > 2)
        assert_int_equal(t->dims[2], d2);
}

static const char *name_of(const struct scene *s, int id)
{
    return id < 0 ? "none" : s->plan->graph->tensor[id].name;
}

static void test_seed_ops(struct scratch *f)
{
    struct scene s = {.f = f};

    scene_open(&s, SEED_LAYERS, TRAIN, (struct clrnn_data_shape){2474, false, 2, 0}, 4, 1, false);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 1), CLRNN_OK);
    check_ops(&s, "data feed, rnn.l0 rnn_fwd, rnn.l1 rnn_fwd, norm batchnorm_fwd, rnn2.l0 rnn_fwd, rnn2.l1 rnn_fwd, "
                  "3 pool_fwd, 4 dropout_fwd, fc7 linear_fwd, 6 pointwise_fwd, 7 pointwise_fwd, loss loss, "
                  "7 pointwise_bwd, 6 pointwise_bwd, fc7 linear_bwd, 4 dropout_bwd, 3 pool_bwd, rnn2.l1 rnn_bwd, "
                  "rnn2.l0 rnn_bwd, norm batchnorm_bwd, rnn.l1 rnn_bwd, rnn.l0 rnn_bwd, optimizer optim");
    assert_int_equal(scene_plan(&s, CLRNN_MODE_GRADIENT, 4, 1), CLRNN_OK);
    assert_int_equal(s.plan->graph->op[s.plan->graph->op_count - 1].kind, CLRNN_OP_GRAD_NORM);
    assert_string_equal(name_of(&s, op_at(&s, "norm", CLRNN_OP_BATCHNORM_FWD)->out[BATCHNORM_NEW_MEAN]), "none");
    assert_string_equal(name_of(&s, op_at(&s, "norm", CLRNN_OP_BATCHNORM_FWD)->out[BATCHNORM_BATCHES]), "none");
    assert_int_equal(scene_plan(&s, CLRNN_MODE_EVAL, 4, 1), CLRNN_OK);
    check_ops(&s, "data feed, rnn.l0 rnn_fwd, rnn.l1 rnn_fwd, norm batchnorm_fwd, rnn2.l0 rnn_fwd, rnn2.l1 rnn_fwd, "
                  "3 pool_fwd, fc7 linear_fwd, 6 pointwise_fwd, 7 pointwise_fwd, loss loss");
    assert_int_equal(scene_plan(&s, CLRNN_MODE_PREDICT, 4, 1), CLRNN_OK);
    assert_int_equal(s.plan->graph->op[s.plan->graph->op_count - 1].kind, CLRNN_OP_POINTWISE_FWD);
    assert_int_equal(op_at(&s, "data", CLRNN_OP_FEED)->in[FEED_Y], CLRNN_NONE);
    scene_close(&s);
}

static void test_seed_shapes(struct scratch *f)
{
    const struct clrnn_op *op;
    struct scene s = {.f = f};

    scene_open(&s, SEED_LAYERS, TRAIN, (struct clrnn_data_shape){24, false, 2, 0}, 4, 3, false);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 3), CLRNN_OK);
    op = op_at(&s, "rnn.l1", CLRNN_OP_RNN_FWD);
    assert_int_equal(op->C, 128);
    assert_int_equal(op->rnn.H, 64);
    assert_int_equal(op->rnn.D, 2);
    check_dims(&s, op->in[RNN_X], 3, 3, 4, 128);
    check_dims(&s, op->out[RNN_Y], 3, 3, 4, 128);
    check_dims(&s, op->out[RNN_GATES], 3, 2, 12, 64);
    assert_int_equal(op->out[RNN_CELL], CLRNN_NONE);
    assert_string_equal(name_of(&s, op->in[RNN_WEIGHT_HH + 4]), "rnn.weight_hh_l1_reverse");
    assert_string_equal(name_of(&s, op->in[RNN_BIAS_IH]), "rnn.bias_ih_l1");

    op = op_at(&s, "rnn.l0", CLRNN_OP_RNN_BWD);
    assert_int_equal(op->out[RNN_DX], CLRNN_NONE); // no layer before it is trained, so dx is not computed
    assert_string_equal(name_of(&s, op->out[RNN_DWEIGHT_IH]), "rnn.weight_ih_l0.grad");
    assert_string_equal(name_of(&s, op->out[RNN_DBIAS_HH + 4]), "rnn.bias_hh_l0_reverse.grad");
    assert_string_equal(name_of(&s, op->in[RNN_BWD_GATES]), "rnn.l0 gates");
    check_dims(&s, op->in[RNN_BWD_DY], 3, 3, 4, 128);

    op = op_at(&s, "norm", CLRNN_OP_BATCHNORM_FWD);
    assert_true(op->norm.batch_stats);
    assert_int_equal(op->in[BATCHNORM_RUNNING_MEAN], op->out[BATCHNORM_NEW_MEAN]);
    assert_string_equal(name_of(&s, op->out[BATCHNORM_BATCHES]), "norm.num_batches_tracked");
    op = op_at(&s, "3", CLRNN_OP_POOL_BWD);
    assert_int_equal(op->T, 3);
    check_dims(&s, op->in[POOL_BWD_DY], 3, 1, 4, 64);
    check_dims(&s, op->out[POOL_DX], 3, 3, 4, 64);
    op = op_at(&s, "loss", CLRNN_OP_LOSS);
    assert_int_equal(op->T, 1);
    assert_int_equal(op->C, 2);
    assert_int_equal(op->in[LOSS_X], s.plan->output);
    assert_true(s.plan->graph->tensor[s.plan->output].keep);
    assert_int_equal(s.plan->output_steps, 1);
    // without clipping no norm is needed
    assert_int_equal(op_at(&s, "optimizer", CLRNN_OP_OPTIM)->in[OPTIM_NORM], CLRNN_NONE);
    scene_close(&s);
}

// Every op that uses lengths must have them as an input, up to a pool, which removes the time axis.
static void test_lengths(struct scratch *f)
{
    struct scene s = {.f = f};
    int lengths;

    scene_open(&s,
               "- lstm: {name: a, hidden_size: 3}\n- layernorm: {name: b}\n- pool: {name: c, over: max}\n"
               "- linear: {name: d, out_features: 2}\n",
               TRAIN, (struct clrnn_data_shape){5, false, 2, 0}, 4, 6, true);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 3, 5),
                     CLRNN_OK); // the data set has more: N = 4, T = 6
    lengths = op_at(&s, "data", CLRNN_OP_FEED)->out[FEED_OUT_LENGTHS];
    assert_true(lengths >= 0);
    assert_int_equal(op_at(&s, "data", CLRNN_OP_FEED)->feed.T_data, 6);
    assert_int_equal(op_at(&s, "a", CLRNN_OP_RNN_FWD)->in[RNN_LENGTHS], lengths);
    assert_int_equal(op_at(&s, "a", CLRNN_OP_RNN_BWD)->in[RNN_BWD_LENGTHS], lengths);
    assert_int_equal(op_at(&s, "b", CLRNN_OP_LAYERNORM_BWD)->in[LAYERNORM_BWD_LENGTHS], lengths);
    assert_int_equal(op_at(&s, "c", CLRNN_OP_POOL_BWD)->in[POOL_BWD_LENGTHS], lengths);
    assert_true(op_at(&s, "c", CLRNN_OP_POOL_BWD)->in[POOL_BWD_ARGMAX] >= 0);
    assert_int_equal(op_at(&s, "d", CLRNN_OP_LINEAR_FWD)->in[LINEAR_LENGTHS], CLRNN_NONE);
    assert_int_equal(op_at(&s, "loss", CLRNN_OP_LOSS)->in[LOSS_LENGTHS], CLRNN_NONE);
    check_dims(&s, op_at(&s, "a", CLRNN_OP_RNN_FWD)->out[RNN_CELL], 3, 1, 15, 3);
    scene_close(&s);
}

// Dropout of a stack must be between its levels, and not after the last level. Every dropout must have a `stream` of
// its own, which makes its random numbers differ.
static void test_dropout_streams(struct scratch *f)
{
    struct scene s = {.f = f};

    scene_open(&s,
               "- dropout: {p: 0.1}\n- gru: {name: g, hidden_size: 3, num_layers: 3, dropout: 0.2}\n"
               "- dropout: {p: 0.0}\n- dropout: {name: d, p: 0.3}\n- linear: {out_features: 2}\n",
               TRAIN, (struct clrnn_data_shape){5, false, 2, 0}, 4, 2, false);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 2), CLRNN_OK);
    check_ops(&s, "data feed, 0 dropout_fwd, g.l0 rnn_fwd, g.l0 dropout_fwd, g.l1 rnn_fwd, g.l1 dropout_fwd, "
                  "g.l2 rnn_fwd, d dropout_fwd, 4 linear_fwd, loss loss, 4 linear_bwd, d dropout_bwd, g.l2 rnn_bwd, "
                  "g.l1 dropout_bwd, g.l1 rnn_bwd, g.l0 dropout_bwd, g.l0 rnn_bwd, "
                  "optimizer optim");
    assert_int_equal(op_at(&s, "0", CLRNN_OP_DROPOUT_FWD)->dropout.stream, 0);
    assert_int_equal(op_at(&s, "g.l0", CLRNN_OP_DROPOUT_FWD)->dropout.stream, 1);
    assert_int_equal(op_at(&s, "g.l1", CLRNN_OP_DROPOUT_BWD)->dropout.stream, 2);
    assert_int_equal(op_at(&s, "d", CLRNN_OP_DROPOUT_FWD)->dropout.stream, 4);
    assert_true(op_at(&s, "g.l1", CLRNN_OP_DROPOUT_BWD)->dropout.p == 0.2);
    scene_close(&s);
}

// No gradient must be computed for the input of the first layer with parameters, for layers before it, or for tokens.
static void test_first_trained(struct scratch *f)
{
    struct scene s = {.f = f};

    scene_open(&s,
               "- tanh\n- batchnorm: {affine: false}\n- linear: {name: a, out_features: 3}\n- round\n"
               "- linear: {name: b, out_features: 2}\n",
               TRAIN, (struct clrnn_data_shape){5, false, 2, 0}, 4, 2, false);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 2), CLRNN_OK);
    check_ops(&s, "data feed, 0 pointwise_fwd, 1 batchnorm_fwd, a linear_fwd, 3 pointwise_fwd, b linear_fwd, "
                  "loss loss, b linear_bwd, 3 pointwise_bwd, a linear_bwd, optimizer optim");
    assert_int_equal(op_at(&s, "a", CLRNN_OP_LINEAR_BWD)->out[LINEAR_DX], CLRNN_NONE);
    assert_true(op_at(&s, "b", CLRNN_OP_LINEAR_BWD)->out[LINEAR_DX] >= 0);
    scene_close(&s);

    scene_open(&s,
               "- embedding: {name: e, num_embeddings: 9, embedding_dim: 3}\n- pool: {over: mean}\n"
               "- linear: {out_features: 2}\n",
               TRAIN, (struct clrnn_data_shape){0, true, 2, 0}, 4, 2, true);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 2), CLRNN_OK);
    assert_int_equal(op_at(&s, "e", CLRNN_OP_EMBEDDING_FWD)->C, 3);
    assert_string_equal(name_of(&s, op_at(&s, "e", CLRNN_OP_EMBEDDING_BWD)->out[EMBEDDING_DWEIGHT]), "e.weight.grad");
    check_dims(&s, op_at(&s, "data", CLRNN_OP_FEED)->out[FEED_OUT_X], 2, 2, 4, 0);
    scene_close(&s);
}

static void test_moments(struct scratch *f)
{
    static const struct {
        const char *train;
        bool moment[3];
    } row[] = {
        {"loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}", {false, false, false}},
        {"loss: cross_entropy, optimizer: {sgd: {lr: 0.1, momentum: 0.9}}", {true, false, false}},
        {"loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, scheduler: {one_cycle_lr: {max_lr: 1, "
         "total_steps: 9}}",
         {true, false, false}},
        {"loss: cross_entropy, optimizer: adamw", {true, true, false}},
        {"loss: cross_entropy, optimizer: {adam: {amsgrad: true}}", {true, true, true}},
        {"loss: cross_entropy, optimizer: rmsprop", {false, true, false}},
        {"loss: cross_entropy, optimizer: {rmsprop: {momentum: 0.1, centered: true}}", {true, true, true}},
    };
    struct scene s = {.f = f};

    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const struct clrnn_op *op;

        scene_open(&s, "- linear: {out_features: 2}\n", row[i].train, (struct clrnn_data_shape){5, false, 2, 0}, 4, 1,
                   false);
        assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 1), CLRNN_OK);
        op = op_at(&s, "optimizer", CLRNN_OP_OPTIM);
        for (int k = 0; k < 3; k++)
            if ((op->out[OPTIM_M + k] >= 0) != row[i].moment[k])
                fail_msg("%s: moment %d", row[i].train, k);
        scene_close(&s);
    }
}

static void test_refusals(struct scratch *f)
{
    struct scene s = {.f = f};

    scene_open(&s, "- batchnorm: {name: norm}\n- linear: {out_features: 2}\n", TRAIN,
               (struct clrnn_data_shape){5, false, 2, 0}, 4, 1, false);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 1, 1), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(s.f->error, "layers[0] (batchnorm norm): a batch of N=1 and T=1 has one value per channel"));
    assert_int_equal(scene_plan(&s, CLRNN_MODE_EVAL, 1, 1), CLRNN_OK);
    // more steps than the data set has
    assert_int_equal(scene_plan(&s, CLRNN_MODE_EVAL, 4, 2), CLRNN_ERR_ARG);
    // more samples than the index buffer has
    assert_int_equal(scene_plan(&s, CLRNN_MODE_EVAL, 5, 1), CLRNN_ERR_ARG);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_EVAL, 0, 1), CLRNN_ERR_ARG);
    assert_null(s.plan);
    scene_close(&s);

    scene_open(&s, "- linear: {out_features: 2}\n", TRAIN, (struct clrnn_data_shape){5, false, 2, 0}, 4, 3, false);
    s.data.y_steps = false;
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 3), CLRNN_ERR_CONFIG);
    assert_non_null(strstr(s.f->error, "without a pool the model predicts each of T=3 steps, but y is (N)"));
    s.data.y_steps = true;
    s.data.y_real = true;
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 4, 3), CLRNN_ERR_ARG);
    scene_close(&s);
}

static struct clrnn_plan *cached(struct clrnn_plan_cache *cache, const struct scene *s, enum clrnn_mode mode,
                                 uint32_t N)
{
    const struct clrnn_plan_params params = {.mode = mode, .N = N, .T = 1, .data = s->data};
    struct clrnn_plan *plan;

    assert_int_equal(clrnn_plan_cache_get(cache, &params, &plan), CLRNN_OK);
    return plan;
}

static void test_cache(struct scratch *f)
{
    struct clrnn_plan *plan[32];
    struct clrnn_plan_cache *cache;
    struct scene s = {.f = f};

    scene_open(&s, "- linear: {out_features: 2}\n", TRAIN, (struct clrnn_data_shape){5, false, 2, 0}, 40, 1, false);
    assert_int_equal(clrnn_plan_cache_create(s.m, 0, &cache), CLRNN_OK);
    for (uint32_t n = 0; n < 32; n++)
        plan[n] = cached(cache, &s, CLRNN_MODE_EVAL, n + 1);
    assert_ptr_equal(cached(cache, &s, CLRNN_MODE_EVAL, 1), plan[0]);
    // the cache is full: the plan for N = 2, least recently used, is removed, and that for N = 1 stays
    cached(cache, &s, CLRNN_MODE_EVAL, 33);
    assert_ptr_equal(cached(cache, &s, CLRNN_MODE_EVAL, 1), plan[0]);
    assert_ptr_not_equal(cached(cache, &s, CLRNN_MODE_PREDICT, 1), plan[0]);
    clrnn_plan_cache_destroy(&cache);
    clrnn_plan_cache_destroy(&cache);
    scene_close(&s);
}

static void test_cost(struct scratch *f)
{
    struct clrnn_plan_cost cost;
    struct scene s = {.f = f};

    scene_open(&s, SEED_LAYERS, TRAIN, (struct clrnn_data_shape){2474, false, 2, 0}, 64, 1, false);
    assert_int_equal(scene_plan(&s, CLRNN_MODE_TRAIN, 64, 1), CLRNN_OK);
    cost = clrnn_plan_cost(s.plan);
    assert_int_equal(cost.ops, s.plan->graph->op_count);
    assert_int_equal(cost.launches, s.plan->op_launch[cost.ops]);
    assert_int_equal(cost.param_bytes, 371074 * 8);       // ref stores double
    assert_true(cost.flops > 80e6 && cost.flops < 200e6); // expected: about 100 MFLOP
    assert_true(cost.arena_bytes > 64 * 2474 * 8);
    scene_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_seed_ops, "ref"),      SCRATCH_TEST(test_seed_shapes, "ref"),
        SCRATCH_TEST(test_lengths, "ref"),       SCRATCH_TEST(test_dropout_streams, "ref"),
        SCRATCH_TEST(test_first_trained, "ref"), SCRATCH_TEST(test_moments, "ref"),
        SCRATCH_TEST(test_refusals, "ref"),      SCRATCH_TEST(test_cache, "ref"),
        SCRATCH_TEST(test_cost, "ref"),
    };

    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
