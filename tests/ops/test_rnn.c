// SPDX-License-Identifier: MIT
// Recurrent layers on a device against the reference in double: awkward sizes, padding, extreme inputs.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/array.h"
#include "base/random.h"
#include "ops/graph.h"
#include "reference/reference.h"

#define GUARD 64 // elements around each tensor that nobody may touch

static const float sentinel = -12345.5f;

static void print_line(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    (void)level;
    print_message("%s\n", line);
}

static const struct clrnn_log log_ = {print_line, NULL, CLRNN_LOG_WARNING};

static int open_device(void **state)
{
    const struct clrnn_device_params params = {.select = getenv("CLRNN_DEVICE") ? NULL : "cpu", .log = &log_};
    struct clrnn_device *device = NULL;

    if (clrnn_device_open(&params, &device) != CLRNN_OK)
        device = NULL;
    *state = device;
    return 0;
}

static int close_device(void **state)
{
    struct clrnn_device *device = *state;

    clrnn_device_destroy(&device);
    return 0;
}

static struct clrnn_device *need_device(void **state)
{
    if (!*state || clrnn_device_is_ref(*state)) {
        print_message("no OpenCL device: skipped\n");
        skip();
    }
    return *state;
}

// ---------------------------------------------------------------- a layer on both sides

struct layer {
    enum clrnn_cell cell;
    bool relu, bias, lengths, first, inference;
    uint32_t N, T, C, H, D;
    double amplitude; // of x; 0: 1
};

static const char *describe(const struct layer *a)
{
    static char text[200];

    snprintf(text, sizeof(text), "%s%s N %u T %u C %u H %u D %u%s%s%s%s amplitude %g",
             a->cell == CLRNN_CELL_RNN    ? "rnn"
             : a->cell == CLRNN_CELL_LSTM ? "lstm"
                                          : "gru",
             a->relu ? " relu" : "", a->N, a->T, a->C, a->H, a->D, a->bias ? "" : " no bias",
             a->lengths ? " lengths" : "", a->first ? " first" : "", a->inference ? " inference" : "",
             a->amplitude);
    return text;
}

// Both sides of every tensor, by its number in the graph.
#define MOST 32
struct both {
    struct clrnn_device *device;
    struct clrnn_graph *graph;
    size_t count[MOST];
    void *host[MOST]; // double or int32_t: the reference's
    struct clrnn_buffer *room[MOST];
};

// A tensor with guards around; where fill is not NULL it goes to both sides, else sentinels to the device.
static int add(struct both *b, const char *name, size_t count, const double *fill, const int32_t *ints)
{
    const size_t align = clrnn_buffer_align(b->device) / sizeof(float),
                 guard = (GUARD + align - 1) / align * align;
    const enum clrnn_type type = ints ? CLRNN_I32 : CLRNN_REAL;
    const uint32_t dims[1] = {(uint32_t)count};
    struct clrnn_buffer *part = NULL;
    int id = CLRNN_NONE;

    assert_int_equal(CLRNN_OK, clrnn_buffer_create(b->device, CLRNN_REAL, count + 2 * guard, name,
                                                   &b->room[b->graph->tensor_count]));
    float *all = malloc((count + 2 * guard) * sizeof(*all));
    assert_non_null(all);
    for (size_t i = 0; i < count + 2 * guard; i++)
        all[i] = i < guard || i >= guard + count ? sentinel : NAN;
    for (size_t i = 0; fill && i < count; i++)
        all[guard + i] = (float)fill[i];
    assert_int_equal(CLRNN_OK,
                     clrnn_buffer_write_f32(b->room[b->graph->tensor_count], 0, count + 2 * guard, all));
    free(all);
    assert_int_equal(CLRNN_OK, clrnn_buffer_sub(b->room[b->graph->tensor_count], guard * sizeof(float), type,
                                                count, &part));
    if (ints)
        assert_int_equal(CLRNN_OK, clrnn_buffer_write_i32(part, 0, count, ints));
    assert_int_equal(CLRNN_OK, clrnn_graph_tensor(b->graph, name, CLRNN_ROLE_DATA, type, 1, dims, part, &id));
    clrnn_buffer_destroy(&part);

    b->count[id] = count;
    b->host[id] = calloc(count, sizeof(double));
    assert_non_null(b->host[id]);
    if (fill)
        memcpy(b->host[id], fill, count * sizeof(*fill));
    if (ints)
        memcpy(b->host[id], ints, count * sizeof(*ints));
    return id;
}

static int add_random(struct both *b, const char *name, size_t count, uint32_t what, double scale)
{
    const struct clrnn_random random = {.seed = 7, .stream = RANDOM_PROBE, .a = what};
    double *fill = malloc(count * sizeof(*fill));

    assert_non_null(fill);
    for (size_t i = 0; i < count; i++)
        fill[i] = (float)(scale * (2 * (double)clrnn_random_uniform(&random, i) - 1));
    const int id = add(b, name, count, fill, NULL);
    free(fill);
    return id;
}

// In padding: what must not matter.
static void spoil_padding(struct both *b, int id, const struct layer *a, const int32_t *lengths, uint32_t C)
{
    double *host = b->host[id];
    float *values = malloc(b->count[id] * sizeof(*values));

    assert_non_null(values);
    for (size_t i = 0; i < b->count[id]; i++) {
        const size_t r = i / C;
        if ((int32_t)(r / a->N) >= lengths[r % a->N])
            host[i] = NAN;
        values[i] = (float)host[i];
    }
    assert_int_equal(CLRNN_OK, clrnn_buffer_write_f32(b->graph->tensor[id].buffer, 0, b->count[id], values));
    free(values);
}

static float *fetch(const struct both *b, int id)
{
    float *values = malloc(b->count[id] * sizeof(*values));

    assert_non_null(values);
    assert_int_equal(CLRNN_OK, clrnn_buffer_read_f32(b->graph->tensor[id].buffer, 0, b->count[id], values));
    return values;
}

static void check_guards(const struct both *b, const struct layer *a)
{
    const size_t align = clrnn_buffer_align(b->device) / sizeof(float),
                 guard = (GUARD + align - 1) / align * align;
    float edge[GUARD];

    for (size_t id = 0; id < b->graph->tensor_count; id++)
        for (int end = 0; end < 2; end++) {
            const size_t first = end ? guard + b->count[id] : guard - GUARD;
            assert_int_equal(CLRNN_OK, clrnn_buffer_read_f32(b->room[id], first, GUARD, edge));
            for (int i = 0; i < GUARD; i++)
                if (edge[i] != sentinel)
                    fail_msg("%s: %s was written %s its end, element %d: %g", describe(a),
                             b->graph->tensor[id].name, end ? "past" : "before", i, edge[i]);
        }
}

// Errors are relative to the tensor's largest value, as sums of many products cancel; and to what went in,
// as gradients of saturated units vanish.
static void check_near(const struct both *b, int id, const struct layer *a, double tolerance)
{
    if (id < 0)
        return;
    const double *want = b->host[id];
    float *got = fetch(b, id);
    double largest = a->amplitude > 0 ? a->amplitude : 1e-3;

    for (size_t i = 0; i < b->count[id]; i++)
        largest = fmax(largest, fabs(want[i]));
    for (size_t i = 0; i < b->count[id]; i++)
        if (!(fabs(got[i] - want[i]) <= tolerance * largest))
            fail_msg("%s: %s[%zu] is %.9g, should be %.9g (largest %.3g, tolerance %.1e of that)",
                     describe(a), b->graph->tensor[id].name, i, got[i], want[i], largest, tolerance);
    free(got);
}

static void check_zero_padding(const struct both *b, int id, const struct layer *a, const int32_t *lengths,
                               uint32_t C)
{
    float *got = fetch(b, id);

    for (size_t i = 0; i < b->count[id]; i++) {
        const size_t r = i / C;
        if ((int32_t)(r / a->N) >= lengths[r % a->N] && got[i] != 0)
            fail_msg("%s: %s[%zu] in padding is %g, should be 0", describe(a), b->graph->tensor[id].name, i,
                     got[i]);
    }
    free(got);
}

// Runs forward (and backward) on the device twice and on the reference, and holds them together.
static void check_layer(struct clrnn_device *device, const struct layer *a)
{
    const size_t rows = (size_t)a->T * a->N, G = clrnn_cell_gates(a->cell), R = clrnn_cell_reserve(a->cell);
    const double root = 1 / sqrt(a->H);
    struct both b = {.device = device};
    struct clrnn_launches *launches = NULL;
    struct clrnn_op *op;
    int32_t *lengths = malloc(a->N * sizeof(*lengths));
    int in[CLRNN_OP_MAX_IN], id;

    assert_non_null(lengths);
    for (uint32_t n = 0; n < a->N; n++) // some full, some of one step, some in between
        lengths[n] = n % 4 == 0 ? (int32_t)a->T : (int32_t)(1 + (n * 2654435761u >> 8) % a->T);
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        in[i] = CLRNN_NONE;

    assert_int_equal(CLRNN_OK, clrnn_graph_create(&log_, &b.graph));
    in[RNN_X] = add_random(&b, "x", rows * a->C, 1, a->amplitude > 0 ? a->amplitude : 1);
    if (a->lengths) {
        in[RNN_LENGTHS] = add(&b, "lengths", a->N, NULL, lengths);
        spoil_padding(&b, in[RNN_X], a, lengths, a->C);
    }
    for (uint32_t d = 0; d < a->D; d++) {
        in[RNN_WEIGHT_IH + 4 * d] = add_random(&b, "weight_ih", G * a->H * a->C, 2 + 10 * d, root);
        in[RNN_WEIGHT_HH + 4 * d] = add_random(&b, "weight_hh", G * a->H * a->H, 3 + 10 * d, root);
        if (a->bias) {
            in[RNN_BIAS_IH + 4 * d] = add_random(&b, "bias_ih", G * a->H, 4 + 10 * d, root);
            in[RNN_BIAS_HH + 4 * d] = add_random(&b, "bias_hh", G * a->H, 5 + 10 * d, root);
        }
    }

    assert_int_equal(CLRNN_OK, clrnn_graph_op(b.graph, CLRNN_OP_RNN_FWD, "rnn", a->T, a->N, a->C, &op));
    op->rnn.cell = a->cell;
    op->rnn.relu = a->relu;
    op->rnn.bias = a->bias;
    op->rnn.H = a->H;
    op->rnn.D = a->D;
    memcpy(op->in, in, sizeof(in));
    op->out[RNN_Y] = add(&b, "y", rows * a->D * a->H, NULL, NULL);
    if (!a->inference) {
        op->out[RNN_GATES] = add(&b, "gates", a->D * rows * R * a->H, NULL, NULL);
        if (a->cell == CLRNN_CELL_LSTM)
            op->out[RNN_CELL] = add(&b, "cell", a->D * rows * a->H, NULL, NULL);
        const struct clrnn_op fwd = *op;

        assert_int_equal(CLRNN_OK, clrnn_graph_op(b.graph, CLRNN_OP_RNN_BWD, "rnn", a->T, a->N, a->C, &op));
        op->rnn = fwd.rnn;
        memcpy(op->in, in, sizeof(in));
        op->in[RNN_BWD_Y] = fwd.out[RNN_Y];
        op->in[RNN_BWD_GATES] = fwd.out[RNN_GATES];
        op->in[RNN_BWD_CELL] = fwd.out[RNN_CELL];
        op->in[RNN_BWD_DY] = add_random(&b, "dy", rows * a->D * a->H, 6, 1);
        if (a->lengths)
            spoil_padding(&b, op->in[RNN_BWD_DY], a, lengths, a->D * a->H);
        if (!a->first)
            op->out[RNN_DX] = add(&b, "dx", rows * a->C, NULL, NULL);
        for (uint32_t d = 0; d < a->D; d++) {
            op->out[RNN_DWEIGHT_IH + 4 * d] = add(&b, "dweight_ih", G * a->H * a->C, NULL, NULL);
            op->out[RNN_DWEIGHT_HH + 4 * d] = add(&b, "dweight_hh", G * a->H * a->H, NULL, NULL);
            if (a->bias) {
                op->out[RNN_DBIAS_IH + 4 * d] = add(&b, "dbias_ih", G * a->H, NULL, NULL);
                op->out[RNN_DBIAS_HH + 4 * d] = add(&b, "dbias_hh", G * a->H, NULL, NULL);
            }
        }
    }

    assert_int_equal(CLRNN_OK, clrnn_launches_create(device, &launches));
    for (size_t i = 0; i < b.graph->op_count; i++)
        assert_int_equal(CLRNN_OK, clrnn_op_launch(launches, b.graph, &b.graph->op[i]));

    float *first[2][MOST] = {{NULL}};
    for (int run = 0; run < 2;
         run++) { // a replay finds the leavings of the run before, and gives the same bits
        assert_int_equal(CLRNN_OK, clrnn_launches_run(launches));
        for (size_t i = 0; i < b.graph->op_count; i++)
            for (int k = 0; k < CLRNN_OP_MAX_OUT; k++)
                if ((id = b.graph->op[i].out[k]) >= 0)
                    first[run][id] = fetch(&b, id);
    }
    for (id = 0; id < MOST; id++) {
        if (first[0][id] && memcmp(first[0][id], first[1][id], b.count[id] * sizeof(float)) != 0 &&
            strcmp(b.graph->tensor[id].name, "cell") != 0 && strcmp(b.graph->tensor[id].name, "gates") != 0)
            fail_msg("%s: %s differs from run to run", describe(a), b.graph->tensor[id].name);
        free(first[0][id]);
        free(first[1][id]);
    }
    check_guards(&b, a);

    for (size_t i = 0; i < b.graph->op_count; i++) {
        void *from[CLRNN_OP_MAX_IN], *to[CLRNN_OP_MAX_OUT];
        op = &b.graph->op[i];
        for (int k = 0; k < CLRNN_OP_MAX_IN; k++)
            from[k] = op->in[k] < 0 ? NULL : b.host[op->in[k]];
        for (int k = 0; k < CLRNN_OP_MAX_OUT; k++)
            to[k] = op->out[k] < 0 ? NULL : b.host[op->out[k]];
        assert_int_equal(CLRNN_OK, clrnn_reference_run(&log_, op, from, to));
    }
    // float32: sums of C + H products, a few units in the last place each in the activations, carried on
    // over T steps, which in these layers contract; gradients go through twice as much.
    check_near(&b, b.graph->op[0].out[RNN_Y], a, 1e-5);
    if (a->lengths)
        check_zero_padding(&b, b.graph->op[0].out[RNN_Y], a, lengths, a->D * a->H);
    for (int k = 0; !a->inference && k < CLRNN_OP_MAX_OUT; k++)
        check_near(&b, b.graph->op[1].out[k], a, 3e-5);
    if (a->lengths && !a->inference && !a->first)
        check_zero_padding(&b, b.graph->op[1].out[RNN_DX], a, lengths, a->C);

    clrnn_launches_destroy(&launches);
    for (size_t i = 0; i < b.graph->tensor_count; i++) {
        clrnn_buffer_destroy(&b.room[i]);
        free(b.host[i]);
    }
    clrnn_graph_destroy(&b.graph);
    free(lengths);
}

// ---------------------------------------------------------------- tests

// Every value of every size meets every cell, and most pairs of neighbours meet somewhere.
static void awkward_sizes(void **state)
{
    static const uint32_t size[] = {1, 2, 15, 16, 17, 31, 33, 63, 65};
    static const uint32_t steps[] = {1, 2, 3, 5, 17};
    struct clrnn_device *device = need_device(state);
    const bool small = getenv("CLRNN_TEST_SMALL") != NULL;
    const uint32_t count = small ? 5 : ARRAY_SIZE(size);

    for (uint32_t i = 0; i < count; i++)
        for (uint32_t cell = 0; cell < 3; cell++) {
            struct layer a = {
                .cell = (enum clrnn_cell)cell,
                .relu = i % 3 == 1 && cell == 0,
                .bias = (i + cell) % 4 != 3,
                .lengths = (i + cell) % 2,
                .first = i % 3 == 2,
                .inference = i % 5 == 4,
                .H = size[i],
                .C = size[(2 * i + 3 + cell) % count],
                .N = size[(4 * i + 5 + 2 * cell) % count],
                .T = steps[(i + 2 * cell) % (small ? 3 : ARRAY_SIZE(steps))],
                .D = 1 + (i + cell / 2) % 2,
            };
            check_layer(device, &a);
        }
}

// Lengths with both directions and every cell, in training and inference.
static void padding(void **state)
{
    struct clrnn_device *device = need_device(state);

    for (uint32_t i = 0; i < 12; i++) {
        const struct layer a = {
            .cell = (enum clrnn_cell)(i % 3),
            .bias = true,
            .lengths = true,
            .inference = i >= 6,
            .N = i % 2 ? 9 : 3,
            .T = 6,
            .C = 3,
            .H = i % 2 ? 5 : 16,
            .D = 1 + i / 3 % 2,
        };
        check_layer(device, &a);
    }
}

// One step: the recurrent weights take no part, and their gradient is 0 exactly.
static void one_step(void **state)
{
    struct clrnn_device *device = need_device(state);

    for (uint32_t i = 0; i < 6; i++) {
        const struct layer a = {.cell = (enum clrnn_cell)(i % 3),
                                .bias = true,
                                .inference = i == 5,
                                .N = 11,
                                .T = 1,
                                .C = 40,
                                .H = 20,
                                .D = 2};
        check_layer(device, &a);
    }
}

// Saturated gates: +-1e4 must give 0, 1 and -1, never NaN.
static void extreme_inputs(void **state)
{
    struct clrnn_device *device = need_device(state);

    for (uint32_t cell = 0; cell < 3; cell++) {
        const struct layer a = {.cell = (enum clrnn_cell)cell,
                                .bias = true,
                                .N = 7,
                                .T = 3,
                                .C = 2,
                                .H = 18,
                                .D = 1,
                                .amplitude = 1e4};
        check_layer(device, &a);
    }
}

// More rounds of loops in a walk over all steps than llvmpipe carries out.
static void many_rounds(void **state)
{
    const struct layer a = {
        .cell = CLRNN_CELL_GRU, .bias = true, .lengths = true, .N = 8, .T = 40, .C = 3, .H = 31, .D = 2};
    struct clrnn_device *device = need_device(state);
    const char *simulator = getenv("CLRNN_DEVICE");

    if (simulator && strstr(simulator, "oclgrind")) // a minute and more
        skip();
    check_layer(device, &a);
}

// Weights larger than a core's cache: work is cut in another way there.
static void large_weights(void **state)
{
    struct clrnn_device *device = need_device(state);

    if (getenv("CLRNN_TEST_SMALL"))
        skip();
    for (uint32_t cell = 1; cell < 3; cell++) {
        const struct layer a = {.cell = (enum clrnn_cell)cell,
                                .bias = true,
                                .lengths = cell == 1,
                                .N = 9,
                                .T = 3,
                                .C = 5,
                                .H = 440,
                                .D = 1};
        check_layer(device, &a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step),      cmocka_unit_test(padding),     cmocka_unit_test(extreme_inputs),
        cmocka_unit_test(awkward_sizes), cmocka_unit_test(many_rounds), cmocka_unit_test(large_weights),
    };

    return cmocka_run_group_tests_name("rnn", tests, open_device, close_device);
}
