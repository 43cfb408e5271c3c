// SPDX-License-Identifier: MIT
// Running plans: the loss must fall, gradient passes must change nothing, outputs must be batch-major, and a device
// must agree with ref in every op.
#include "fixture.h"

#include <math.h>

#include "base/array.h"
#include "base/log.h"
#include "device/gemm/gemm.h"

// A small version of the model in examples/seed-fixed.yaml, with a pool for sequences of several steps.
#define SMALL_SEED \
    "- rnn: {name: rnn, hidden_size: 8, num_layers: 2, bidirectional: true}\n" \
    "- batchnorm: {name: norm}\n" \
    "- rnn: {name: rnn2, hidden_size: 8, num_layers: 2}\n" \
    "- pool: {over: last}\n" \
    "- dropout: {p: 0.5}\n" \
    "- linear: {name: fc7, out_features: 2}\n"

static enum clrnn_status run(struct clrnn_plan *plan, bool training)
{
    TRY(clrnn_model_begin_step(plan->model, 0, training));
    return clrnn_plan_run(plan);
}

static double loss_of(struct clrnn_model *m)
{
    double record[RECORD_FIELDS];

    assert_int_equal(clrnn_model_read_records(m, 0, 1, record), CLRNN_OK);
    return record[RECORD_LOSS] / record[RECORD_WEIGHT];
}

static void check_learns(struct scratch *f, const char *layers, const char *train, struct clrnn_data_shape shape,
                         uint32_t T, bool lengths)
{
    struct clrnn_model *m = fixture_model(f, layers, train, shape);
    struct clrnn_batch b = fixture_batch(m, 8, T, lengths, 3);
    struct clrnn_plan_data data = fixture_data(m, &b);
    const struct clrnn_plan_params params = {.mode = CLRNN_MODE_TRAIN, .N = 8, .T = T, .data = data};
    struct clrnn_plan *plan;
    double first = 0, last = 0;

    if (clrnn_plan_create(m, &params, &plan) != CLRNN_OK)
        fail_msg("%s", f->error);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(run(plan, true), CLRNN_OK);
        last = loss_of(m);
        if (i == 0)
            first = last;
    }
    if (!(last < 0.6 * first))
        fail_msg("loss went from %g to %g in 60 steps of\n%s", first, last, layers);
    assert_int_equal(m->steps, 60);
    clrnn_plan_destroy(&plan);
    fixture_data_free(&data);
    fixture_batch_free(&b);
    clrnn_model_destroy(&m);
}

static void test_learns(struct scratch *f)
{
    check_learns(f,
                 "- rnn: {hidden_size: 8, bidirectional: true}\n- batchnorm\n- pool: {over: last}\n"
                 "- linear: {out_features: 2}\n",
                 "loss: cross_entropy, optimizer: {adam: {lr: 0.02}}", (struct clrnn_data_shape){5, false, 2, 0}, 3,
                 false);
    check_learns(f, "- lstm: {hidden_size: 8}\n- layernorm\n- linear: {out_features: 2}\n",
                 "loss: cross_entropy, optimizer: {sgd: {lr: 0.5, momentum: 0.9}}, clip_grad_norm: 1.0",
                 (struct clrnn_data_shape){5, false, 2, 0}, 3, true);
    check_learns(f,
                 "- embedding: {num_embeddings: 9, embedding_dim: 6}\n- gru: {hidden_size: 8, num_layers: 2}\n"
                 "- pool: {over: max}\n- linear: {out_features: 1}\n",
                 "loss: bce_with_logits, optimizer: {rmsprop: {lr: 0.01}}", (struct clrnn_data_shape){0, true, 0, 0}, 4,
                 true);
}

// A run that only computes gradients must change nothing that later steps depend on.
static void test_gradient_leaves_no_trace(struct scratch *f)
{
    struct clrnn_model *m;
    struct clrnn_batch b;
    struct clrnn_plan_params params = {.N = 6, .T = 2};
    struct clrnn_plan *plan;
    double before[64], after[64];

    m = fixture_model(f, SMALL_SEED, "loss: cross_entropy", (struct clrnn_data_shape){7, false, 2, 0});
    b = fixture_batch(m, 6, 2, false, 4);
    params.data = fixture_data(m, &b);
    params.mode = CLRNN_MODE_GRADIENT;
    assert_int_equal(clrnn_plan_create(m, &params, &plan), CLRNN_OK);
    for (int round = 0; round < 2; round++) {
        double *values = round ? after : before;

        // reads the running statistics and the last layer's weights
        for (size_t i = 0, at = 0; i < m->entry_count; i++)
            if (!m->entry[i].param.trained || !strncmp(m->entry[i].param.name, "fc7", 3)) {
                assert_true(at + m->entry[i].param.count <= 64);
                assert_int_equal(clrnn_model_read(m, i, values + at), CLRNN_OK);
                at += m->entry[i].param.count;
            }
        assert_int_equal(run(plan, false), CLRNN_OK);
    }
    // batchnorm: mean, variance (16 each) and count; fc7: 16 weights, 2 biases
    assert_memory_equal(before, after, 51 * sizeof(double));
    assert_int_equal(m->steps, 0);
    clrnn_plan_destroy(&plan);
    fixture_data_free(&params.data);
    fixture_batch_free(&b);
    clrnn_model_destroy(&m);
}

// Sequences are time-major in the model's buffers, but the output must be sample by sample.
static void test_output_order(struct scratch *f)
{
    struct clrnn_model *m;
    struct clrnn_batch b;
    struct clrnn_plan_params params = {.mode = CLRNN_MODE_PREDICT, .N = 3, .T = 4};
    struct clrnn_plan *plan;
    const double weight[4] = {1, 0, 0, -1}, bias[2] = {0, 0};
    float out[3 * 4 * 2];

    m = fixture_model(f, "- linear: {name: fc, out_features: 2}\n", "loss: cross_entropy",
                      (struct clrnn_data_shape){2, false, 2, 0});
    assert_int_equal(clrnn_model_write(m, 0, weight), CLRNN_OK);
    assert_int_equal(clrnn_model_write(m, 1, bias), CLRNN_OK);
    b = fixture_batch(m, 3, 4, false, 9);
    params.data = fixture_data(m, &b);
    assert_int_equal(clrnn_plan_create(m, &params, &plan), CLRNN_OK);
    assert_int_equal(run(plan, false), CLRNN_OK);
    assert_int_equal(clrnn_plan_read_output(plan, out), CLRNN_OK);
    for (int i = 0; i < 12; i++) {
        assert_true(out[2 * i] == b.x[2 * i]);
        assert_true(out[2 * i + 1] == -b.x[2 * i + 1]);
    }
    clrnn_plan_destroy(&plan);
    fixture_data_free(&params.data);
    fixture_batch_free(&b);
    clrnn_model_destroy(&m);
}

// ---------------------------------------------------------------- device against ref, op by op

struct side {
    struct clrnn_model *m;
    struct clrnn_plan_params params;
    struct clrnn_plan *plan;
};

static void side_open(struct side *s, struct scratch *f, const char *layers, const char *train,
                      struct clrnn_data_shape shape, uint32_t N, uint32_t T, bool lengths)
{
    struct clrnn_batch b;

    s->m = fixture_model(f, layers, train, shape);
    b = fixture_batch(s->m, N, T, lengths, 21);
    s->params = (struct clrnn_plan_params){
        .mode = CLRNN_MODE_TRAIN, .N = N, .T = T, .separate = true, .data = fixture_data(s->m, &b)};
    fixture_batch_free(&b);
    if (clrnn_plan_create(s->m, &s->params, &s->plan) != CLRNN_OK)
        fail_msg("%s", f->error);
    if (run(s->plan, true) != CLRNN_OK)
        fail_msg("%s", f->error);
}

static void side_close(struct side *s)
{
    clrnn_plan_destroy(&s->plan);
    fixture_data_free(&s->params.data);
    clrnn_model_destroy(&s->m);
}

static double *read_values(struct clrnn_buffer *b, size_t first, size_t count)
{
    double *v = calloc(count, sizeof(*v));

    assert_non_null(v);
    if (clrnn_buffer_type(b) == CLRNN_REAL) {
        assert_int_equal(clrnn_buffer_read_f64(b, first, count, v), CLRNN_OK);
    } else {
        int32_t *words = calloc(count, sizeof(*words));

        assert_non_null(words);
        assert_int_equal(clrnn_buffer_read_i32(b, first, count, words), CLRNN_OK);
        for (size_t i = 0; i < count; i++)
            v[i] = words[i];
        free(words);
    }
    return v;
}

// Whether output `slot` of an op is not compared. What a recurrent layer's forward keeps for backward depends on the
// device. The optimiser's flat buffers have different padding; compare_entries compares them parameter by parameter.
static bool is_private(const struct clrnn_op *op, int slot)
{
    return (op->kind == CLRNN_OP_RNN_FWD && slot != RNN_Y) || op->kind == CLRNN_OP_OPTIM;
}

// Compares with a tolerance of 2e-4 of the tensor's largest value. Each device runs the whole step, so an op also has
// the errors of the ops before it, up to a few hundred float32 roundings. Differences below 2e-7 pass, since gradients
// may vanish.
static void compare(const double *want, const double *got, size_t count, double slack, const char *what)
{
    double largest = 1e-3;

    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs(want[i] - got[i]) <= 2e-4 * largest + slack))
            fail_msg("seed 21, %s[%zu]: got %.9g, want %.9g, largest %g", what, i, got[i], want[i], largest);
}

static void compare_output(const struct side *ref, const struct side *dev, size_t at, int slot)
{
    const struct clrnn_op *op = &ref->plan->graph->op[at];
    const struct clrnn_tensor *t = &ref->plan->graph->tensor[op->out[slot]];
    const struct clrnn_tensor *u = &dev->plan->graph->tensor[dev->plan->graph->op[at].out[slot]];
    double *want = read_values(t->buffer, 0, t->count), *got = read_values(u->buffer, 0, u->count);
    char what[200];

    assert_int_equal(t->count, u->count);
    snprintf(what, sizeof(what), "%s %s (T=%u, N=%u, C=%u), %s", op->layer, clrnn_op_name(op->kind), op->T, op->N,
             op->C, t->name);
    compare(want, got, t->count, 0, what);
    free(want);
    free(got);
}

// Compares the parameters and moments after the update. Adam divides a moment by the root of another: a gradient near 0
// can cause an update of +lr on one device and -lr on the other. Parameters may therefore differ by 2 lr.
static void compare_entries(const struct side *ref, const struct side *dev)
{
    const struct clrnn_optimizer_config *o = &ref->m->config->train.optimizer;
    const double slack = o->kind == CLRNN_OPTIMIZER_SGD ? 0 : 2 * o->lr;

    for (size_t i = 0; i < ref->m->entry_count; i++) {
        const struct clrnn_entry *r = &ref->m->entry[i], *d = &dev->m->entry[i];
        double *want = read_values(r->value, 0, r->param.count), *got = read_values(d->value, 0, d->param.count);

        compare(want, got, r->param.count, slack, r->param.name);
        free(want);
        free(got);
        for (int k = 0; k < 3; k++) {
            if (!ref->m->moment[k] || !r->param.trained)
                continue;
            want = read_values(ref->m->moment[k], r->first, r->param.count);
            got = read_values(dev->m->moment[k], d->first, d->param.count);
            compare(want, got, r->param.count, 0, r->param.name);
            free(want);
            free(got);
        }
    }
}

static void check_against_ref(struct scratch *device, const char *layers, const char *train,
                              struct clrnn_data_shape shape, uint32_t N, uint32_t T, bool lengths)
{
    struct scratch *host = scratch_open("ref");
    struct side ref, dev;

    side_open(&ref, host, layers, train, shape, N, T, lengths);
    side_open(&dev, device, layers, train, shape, N, T, lengths);
    assert_int_equal(ref.plan->graph->op_count, dev.plan->graph->op_count);
    for (size_t i = 0; i < ref.plan->graph->op_count; i++) {
        const struct clrnn_op *op = &ref.plan->graph->op[i];

        assert_int_equal(op->kind, dev.plan->graph->op[i].kind);
        for (int slot = 0; slot < CLRNN_OP_MAX_OUT; slot++)
            if (op->out[slot] >= 0 && !is_private(op, slot))
                compare_output(&ref, &dev, i, slot);
    }
    compare_entries(&ref, &dev);
    side_close(&ref);
    side_close(&dev);
    scratch_close(host);
}

static void test_seed_against_ref(struct scratch *f)
{
    check_against_ref(f, SMALL_SEED, "loss: cross_entropy, optimizer: adam, seed: 3",
                      (struct clrnn_data_shape){37, false, 2, 0}, 5, 1, false);
    check_against_ref(f, SMALL_SEED, "loss: cross_entropy, optimizer: adam, seed: 3, clip_grad_norm: 0.1",
                      (struct clrnn_data_shape){17, false, 2, 0}, 5, 4, true);
}

static void test_others_against_ref(struct scratch *f)
{
    check_against_ref(f,
                      "- embedding: {num_embeddings: 11, embedding_dim: 5, padding_idx: 1}\n- layernorm\n"
                      "- gru: {hidden_size: 7, bidirectional: true}\n- tanh\n- pool: {over: mean}\n"
                      "- linear: {out_features: 3}\n- log_softmax\n",
                      "loss: nll, optimizer: {sgd: {lr: 0.1}}", (struct clrnn_data_shape){0, true, 3, 0}, 6, 5, true);
    check_against_ref(f,
                      "- lstm: {hidden_size: 5, num_layers: 2, dropout: 0.3}\n- relu\n- batchnorm\n"
                      "- linear: {out_features: 1}\n",
                      "loss: mse, optimizer: {rmsprop: {lr: 0.01, momentum: 0.9}}",
                      (struct clrnn_data_shape){3, false, 0, 0}, 6, 5, true);
}

// Two runs on the same device must give the same bits.
static void test_same_bits(struct scratch *f)
{
    struct side a, b;
    double *x, *y;

    side_open(&a, f, SMALL_SEED, "loss: cross_entropy, seed: 3", (struct clrnn_data_shape){17, false, 2, 0}, 5, 4,
              true);
    side_open(&b, f, SMALL_SEED, "loss: cross_entropy, seed: 3", (struct clrnn_data_shape){17, false, 2, 0}, 5, 4,
              true);
    x = read_values(a.m->params, 0, a.m->flat_count);
    y = read_values(b.m->params, 0, b.m->flat_count);
    assert_memory_equal(x, y, a.m->flat_count * sizeof(*x));
    free(x);
    free(y);
    side_close(&a);
    side_close(&b);
}

// Trains for three steps on half of the samples, in reverse order, nearly all of them twice. *copies: whether the plan
// has a launch of the kernel `feed`, which copies the batch out of the data set.
static void losses_of_turned(struct scratch *f, const char *layers, uint32_t C, uint32_t N, double loss[3],
                             bool *copies)
{
    struct clrnn_model *m = fixture_model(f, layers, "loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}",
                                          (struct clrnn_data_shape){C, false, 2, 0});
    struct clrnn_batch b = fixture_batch(m, N, 1, false, 5);
    struct clrnn_plan_data data = fixture_data(m, &b);
    const struct clrnn_plan_params params = {.mode = CLRNN_MODE_TRAIN, .N = N, .T = 1, .data = data};
    int32_t *index = calloc(N, sizeof(*index));
    struct clrnn_plan *plan;

    assert_non_null(index);
    for (uint32_t n = 0; n < N; n++)
        index[n] = (int32_t)(N - 1 - n) / 2; // the batch has some samples twice and others not at all
    assert_int_equal(clrnn_buffer_write_i32(data.index, 0, N, index), CLRNN_OK);
    if (clrnn_plan_create(m, &params, &plan) != CLRNN_OK)
        fail_msg("%s", f->error);
    *copies = false;
    for (size_t i = 0; i < clrnn_launches_count(plan->launches); i++)
        *copies |= strcmp(clrnn_launches_info(plan->launches, i)->kernel, "feed") == 0;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(plan, true), CLRNN_OK);
        loss[i] = loss_of(m);
    }
    clrnn_plan_destroy(&plan);
    fixture_data_free(&data);
    fixture_batch_free(&b);
    clrnn_model_destroy(&m);
    free(index);
}

// A batch with T = 1 must be read in place from the data set, without a copy, if the device can do so
// (clrnn_device_gathers). The losses must be those of ref, for three small layers and a large one.
static void test_batch_without_copy(struct scratch *device)
{
    static const struct {
        uint32_t C, N;
        const char *layers;
    } net[] = {{7, 9, "- rnn: {hidden_size: 5, bidirectional: true}\n- linear: {out_features: 2}\n"},
               {9, 7, "- lstm: {hidden_size: 18}\n- linear: {out_features: 2}\n"},
               {9, 7, "- gru: {hidden_size: 18}\n- linear: {out_features: 2}\n"},
               {1203, 64, "- rnn: {hidden_size: 33, bidirectional: true}\n- linear: {out_features: 2}\n"}};
    struct scratch *ref = scratch_open("ref");

    for (size_t i = 0; i < ARRAY_SIZE(net); i++) {
        double want[3], got[3];
        bool copies;

        losses_of_turned(ref, net[i].layers, net[i].C, net[i].N, want, &copies);
        losses_of_turned(device, net[i].layers, net[i].C, net[i].N, got, &copies);
        assert_int_equal(copies, !clrnn_device_gathers(device->device));
        for (int s = 0; s < 3; s++)
            if (!(fabs(got[s] - want[s]) <= 1e-5 * (1 + want[s])))
                fail_msg("net %zu, step %d: loss %.9g, want %.9g", i, s + 1, got[s], want[s]);
    }
    scratch_close(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(test_batch_without_copy, NULL),
        SCRATCH_TEST(test_learns, "ref"),
        SCRATCH_TEST(test_learns, NULL),
        SCRATCH_TEST(test_gradient_leaves_no_trace, "ref"),
        SCRATCH_TEST(test_output_order, "ref"),
        SCRATCH_TEST(test_seed_against_ref, NULL),
        SCRATCH_TEST(test_others_against_ref, NULL),
        SCRATCH_TEST(test_same_bits, NULL),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
