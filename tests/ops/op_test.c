// SPDX-License-Identifier: MIT
// The comparison of one op on a device with the reference.
#include "op_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "reference/reference.h"

// Sentinels: so many elements before and behind each tensor, rounded up to the device's alignment.
static const uint32_t sentinel = 0x7fc5e417; // a NaN that no computation makes
enum { PAD = 64 };

static void say(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    if (level <= CLRNN_LOG_WARNING)
        fprintf(stderr, "%s\n", line);
}

static const struct clrnn_log test_log = {say, NULL, CLRNN_LOG_WARNING};

#define MUST(expression) assert_int_equal((expression), CLRNN_OK)

static void *room(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);

    assert_non_null(p);
    return p;
}

static void clear(struct op_test *t)
{
    for (size_t i = 0; i < CLRNN_OP_MAX_IN; i++) {
        free(t->in[i].real);
        free(t->in[i].word);
    }
    for (size_t i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        free(t->out[i].real);
        free(t->out[i].word);
        free(t->got[i]);
        free(t->want[i]);
    }
    memset(t->in, 0, sizeof(t->in));
    memset(t->out, 0, sizeof(t->out));
    memset(t->got, 0, sizeof(t->got));
    memset(t->want, 0, sizeof(t->want));
}

int op_test_open(void **state)
{
    struct op_test *t = room(1, sizeof(*t));
    struct clrnn_device_params params = {.log = &test_log};

    if (getenv("CLRNN_DEVICE") == NULL)
        params.select = "cpu";
    if (clrnn_device_open(&params, &t->device) != CLRNN_OK) {
        printf("1..0 # SKIP there is no device to test on\n");
        free(t);
        exit(0);
    }
    *state = t;
    return 0;
}

int op_test_close(void **state)
{
    struct op_test *t = *state;

    clear(t);
    clrnn_device_destroy(&t->device);
    free(t);
    return 0;
}

bool op_test_small(void)
{
    const char *small = getenv("CLRNN_TEST_SMALL");

    return small != NULL && strcmp(small, "0") != 0;
}

// ---------------------------------------------------------------- filling in

uint32_t op_test_u32(struct op_test *t)
{
    return clrnn_random_u32(&t->random, t->drawn++);
}

float op_test_normal(struct op_test *t)
{
    return clrnn_random_normal_portable(&t->random, t->drawn++);
}

void op_test_begin(struct op_test *t, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                   uint64_t seed)
{
    clear(t);
    memset(&t->op, 0, sizeof(t->op));
    t->op.kind = kind;
    t->op.T = T;
    t->op.N = N;
    t->op.C = C;
    for (size_t i = 0; i < CLRNN_OP_MAX_IN; i++)
        t->op.in[i] = CLRNN_NONE;
    for (size_t i = 0; i < CLRNN_OP_MAX_OUT; i++)
        t->op.out[i] = CLRNN_NONE;
    t->lengths_slot = -1;
    t->random = (struct clrnn_random){.seed = seed, .stream = RANDOM_PROBE};
    t->drawn = 0;
    t->what[0] = '\0';
}

float *op_test_real(struct op_test *t, int slot, size_t count)
{
    float *v = room(count, sizeof(*v));

    for (size_t i = 0; i < count; i++)
        v[i] = op_test_normal(t);
    t->in[slot] = (struct op_test_slot){.there = true, .type = CLRNN_REAL, .count = count, .real = v};
    return v;
}

int32_t *op_test_int(struct op_test *t, int slot, size_t count, int32_t low, int32_t high)
{
    int32_t *v = room(count, sizeof(*v));

    for (size_t i = 0; i < count; i++)
        v[i] = low + (int32_t)(op_test_u32(t) % (uint32_t)(high - low + 1));
    t->in[slot] = (struct op_test_slot){.there = true, .type = CLRNN_I32, .count = count, .word = v};
    return v;
}

int32_t *op_test_lengths(struct op_test *t, int slot)
{
    int32_t *v = op_test_int(t, slot, t->op.N, 1, (int32_t)t->op.T);

    v[op_test_u32(t) % t->op.N] = (int32_t)t->op.T;
    t->lengths_slot = slot;
    return v;
}

void op_test_counter(struct op_test *t, int slot, uint32_t step, uint32_t record)
{
    int32_t *v = op_test_int(t, slot, COUNTER_FIELDS, 0, 1 << 30);

    t->in[slot].type = CLRNN_U32;
    v[COUNTER_STEP] = (int32_t)step;
    v[COUNTER_SLOT] = (int32_t)record;
}

void op_test_out(struct op_test *t, int slot, enum clrnn_type type, size_t count, double tolerance)
{
    t->out[slot] = (struct op_test_slot){
        .there = true, .type = type, .count = count, .tolerance = tolerance, .same_as = -1};
}

void op_test_out_rows(struct op_test *t, int slot, uint32_t row_size, double tolerance)
{
    op_test_out(t, slot, CLRNN_REAL, (size_t)t->op.T * t->op.N * row_size, tolerance);
    t->out[slot].row_size = row_size;
}

float *op_test_updated(struct op_test *t, int slot, size_t count, double tolerance)
{
    float *v = room(count, sizeof(*v));

    for (size_t i = 0; i < count; i++)
        v[i] = op_test_normal(t);
    t->out[slot] = (struct op_test_slot){.there = true,
                                         .updated = true,
                                         .type = CLRNN_REAL,
                                         .count = count,
                                         .real = v,
                                         .tolerance = tolerance,
                                         .same_as = -1};
    return v;
}

void op_test_updated_input(struct op_test *t, int slot, int in_slot, double tolerance)
{
    t->out[slot] = (struct op_test_slot){.there = true,
                                         .updated = true,
                                         .type = t->in[in_slot].type,
                                         .count = t->in[in_slot].count,
                                         .tolerance = tolerance,
                                         .same_as = in_slot};
}

static bool is_padding(const struct op_test *t, size_t row)
{
    return t->lengths_slot >= 0 && (int32_t)(row / t->op.N) >= t->in[t->lengths_slot].word[row % t->op.N];
}

void op_test_spoil_padding(struct op_test *t, int slot, uint32_t row_size)
{
    for (size_t i = 0; i < t->in[slot].count; i++)
        if (is_padding(t, i / row_size))
            t->in[slot].real[i] = NAN;
}

// ---------------------------------------------------------------- running

// A tensor between sentinels.
struct fenced {
    struct clrnn_buffer *whole, *part;
    size_t pad, count; // elements
};

static void fail_at(const struct op_test *t, const char *side, size_t slot, size_t index, double got,
                    double want, const char *why)
{
    fail_msg("%s T=%u N=%u C=%u seed=%llu %s: %s %zu [%zu]: got %.9g, want %.9g (%s)",
             clrnn_op_name(t->op.kind), t->op.T, t->op.N, t->op.C, (unsigned long long)t->random.seed,
             t->what, side, slot, index, got, want, why);
}

static void fence(const struct op_test *t, struct fenced *f, const struct op_test_slot *s)
{
    const size_t align = clrnn_buffer_align(t->device);
    uint32_t *words;

    f->pad = (PAD * 4 + align - 1) / align * align / 4;
    f->count = s->count;
    words = room(2 * f->pad + s->count, sizeof(*words));
    for (size_t i = 0; i < 2 * f->pad + s->count; i++)
        words[i] = sentinel;
    if (s->real != NULL)
        memcpy(words + f->pad, s->real, s->count * sizeof(*words));
    else if (s->word != NULL)
        memcpy(words + f->pad, s->word, s->count * sizeof(*words));
    MUST(clrnn_buffer_create(t->device, CLRNN_U32, 2 * f->pad + s->count, "test", &f->whole));
    MUST(clrnn_buffer_write_i32(f->whole, 0, 2 * f->pad + s->count, (const int32_t *)words));
    MUST(clrnn_buffer_sub(f->whole, f->pad * 4, s->type, s->count, &f->part));
    free(words);
}

// Reads a tensor's bits and looks at its sentinels.
static void unfence(const struct op_test *t, const struct fenced *f, const char *side, size_t slot,
                    int32_t *bits)
{
    const size_t all = 2 * f->pad + f->count;
    int32_t *words = room(all, sizeof(*words));

    MUST(clrnn_buffer_read_i32(f->whole, 0, all, words));
    for (size_t i = 0; i < all; i++)
        if ((i < f->pad || i >= f->pad + f->count) && (uint32_t)words[i] != sentinel)
            fail_at(t, side, slot, i, words[i], sentinel,
                    "written outside of the tensor; index from its fence");
    memcpy(bits, words + f->pad, f->count * sizeof(*bits));
    free(words);
}

static void write_again(const struct fenced *f, const struct op_test_slot *s)
{
    int32_t *fresh = room(s->count, sizeof(*fresh));

    for (size_t i = 0; i < s->count; i++)
        fresh[i] = (int32_t)sentinel;
    if (s->real != NULL)
        memcpy(fresh, s->real, s->count * sizeof(*fresh));
    else if (s->word != NULL)
        memcpy(fresh, s->word, s->count * sizeof(*fresh));
    MUST(clrnn_buffer_write_i32(f->whole, f->pad, s->count, fresh));
    free(fresh);
}

static struct clrnn_graph *make_graph(struct op_test *t, struct fenced *in, struct fenced *out)
{
    struct clrnn_graph *graph;
    struct clrnn_op *op;
    struct clrnn_op ready = t->op;

    MUST(clrnn_graph_create(&test_log, &graph));
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        const uint32_t dims[1] = {(uint32_t)t->in[i].count};

        if (!t->in[i].there)
            continue;
        fence(t, &in[i], &t->in[i]);
        MUST(clrnn_graph_tensor(graph, "in", CLRNN_ROLE_DATA, t->in[i].type, 1, dims, in[i].part,
                                &ready.in[i]));
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        const uint32_t dims[1] = {(uint32_t)t->out[i].count};

        if (!t->out[i].there)
            continue;
        if (t->out[i].same_as >= 0) {
            ready.out[i] = ready.in[t->out[i].same_as];
            continue;
        }
        fence(t, &out[i], &t->out[i]);
        MUST(clrnn_graph_tensor(graph, "out", CLRNN_ROLE_DATA, t->out[i].type, 1, dims, out[i].part,
                                &ready.out[i]));
    }
    MUST(clrnn_graph_op(graph, t->op.kind, "test", t->op.T, t->op.N, t->op.C, &op));
    *op = ready;
    return graph;
}

static bool is_updated_input(const struct op_test *t, int slot)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (t->out[i].there && t->out[i].same_as == slot)
            return true;
    return false;
}

// One run from the first values; bits of every output, and inputs unchanged.
static void run_once(struct op_test *t, struct clrnn_launches *launches, struct fenced *in,
                     struct fenced *out, int32_t *bits[])
{
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        if (t->in[i].there)
            write_again(&in[i], &t->in[i]);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (t->out[i].there && t->out[i].same_as < 0)
            write_again(&out[i], &t->out[i]);
    MUST(clrnn_launches_run(launches));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (t->out[i].there)
            unfence(t, t->out[i].same_as < 0 ? &out[i] : &in[t->out[i].same_as], "output", (size_t)i,
                    bits[i]);
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        const void *first = t->in[i].real != NULL ? (void *)t->in[i].real : (void *)t->in[i].word;
        int32_t *now;

        if (!t->in[i].there)
            continue;
        now = room(t->in[i].count, sizeof(*now));
        unfence(t, &in[i], "input", (size_t)i, now);
        if (!is_updated_input(t, i) && memcmp(now, first, t->in[i].count * sizeof(*now)) != 0)
            fail_at(t, "input", (size_t)i, 0, 0, 0, "an input was changed");
        free(now);
    }
}

static void run_on_device(struct op_test *t)
{
    struct fenced in[CLRNN_OP_MAX_IN] = {{0}}, out[CLRNN_OP_MAX_OUT] = {{0}};
    struct clrnn_graph *graph = make_graph(t, in, out);
    struct clrnn_launches *launches;
    int32_t *again[CLRNN_OP_MAX_OUT] = {NULL};
    struct clrnn_cost cost = clrnn_op_cost(graph, &graph->op[0]);

    if (!(cost.flops >= 0 && cost.bytes > 0))
        fail_at(t, "cost", 0, 0, cost.flops, cost.bytes, "an op costs something");
    MUST(clrnn_launches_create(t->device, &launches));
    MUST(clrnn_op_launch(launches, graph, &graph->op[0]));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (t->out[i].there) {
            t->got[i] = room(t->out[i].count, sizeof(float));
            again[i] = room(t->out[i].count, sizeof(int32_t));
        }
    run_once(t, launches, in, out, (int32_t **)t->got);
    run_once(t, launches, in, out, again);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        if (t->out[i].there && memcmp(t->got[i], again[i], t->out[i].count * sizeof(float)) != 0)
            fail_at(t, "output", (size_t)i, 0, 0, 0, "a second run gives other bits");
        free(again[i]);
    }
    clrnn_launches_destroy(&launches);
    clrnn_graph_destroy(&graph);
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        clrnn_buffer_destroy(&in[i].part);
        clrnn_buffer_destroy(&in[i].whole);
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        clrnn_buffer_destroy(&out[i].part);
        clrnn_buffer_destroy(&out[i].whole);
    }
}

// Doubles or integers as the reference takes them, with the values before the run.
static void *reference_values(const struct op_test_slot *s)
{
    double *real;
    int32_t *word;

    if (!s->there)
        return NULL;
    if (s->type != CLRNN_REAL) {
        word = room(s->count, sizeof(*word));
        if (s->word != NULL)
            memcpy(word, s->word, s->count * sizeof(*word));
        return word;
    }
    real = room(s->count, sizeof(*real));
    for (size_t i = 0; i < s->count; i++)
        real[i] = s->real == NULL ? NAN : s->real[i];
    return real;
}

static void run_on_reference(struct op_test *t)
{
    void *in[CLRNN_OP_MAX_IN], *out[CLRNN_OP_MAX_OUT];

    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        in[i] = reference_values(&t->in[i]);
        t->op.in[i] = t->in[i].there ? i : CLRNN_NONE; // whether it is there is all that counts
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        t->op.out[i] = t->out[i].there ? i : CLRNN_NONE;
        out[i] =
            t->out[i].there && t->out[i].same_as >= 0 ? in[t->out[i].same_as] : reference_values(&t->out[i]);
    }
    MUST(clrnn_reference_run(&test_log, &t->op, in, out));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        if (!t->out[i].there)
            continue;
        t->want[i] = room(t->out[i].count, sizeof(double));
        for (size_t k = 0; k < t->out[i].count; k++)
            t->want[i][k] = t->out[i].type == CLRNN_REAL ? ((double *)out[i])[k] : ((int32_t *)out[i])[k];
        if (t->out[i].same_as < 0)
            free(out[i]);
    }
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        free(in[i]);
}

static void compare(const struct op_test *t, int slot)
{
    const struct op_test_slot *s = &t->out[slot];
    double scale = 0;

    for (size_t i = 0; i < s->count; i++)
        if (isfinite(t->want[slot][i]))
            scale = fmax(scale, fabs(t->want[slot][i]));
    for (size_t i = 0; i < s->count; i++) {
        const double want = t->want[slot][i];
        int32_t bits;
        double got;

        memcpy(&bits, &t->got[slot][i], sizeof(bits));
        if (s->type != CLRNN_REAL) {
            if (bits != (int32_t)want)
                fail_at(t, "output", (size_t)slot, i, bits, want, "integers are equal");
            continue;
        }
        got = t->got[slot][i];
        if ((uint32_t)bits == sentinel && !s->updated)
            fail_at(t, "output", (size_t)slot, i, got, want, "never written");
        if (s->row_size != 0 && is_padding(t, i / s->row_size) && got != 0)
            fail_at(t, "output", (size_t)slot, i, got, 0, "padding is exactly 0");
        if (isnan(want) && isnan(got))
            continue;
        if (isinf(want) && want == got)
            continue;
        if (!(fabs(got - want) <= s->tolerance * scale + s->absolute))
            fail_at(t, "output", (size_t)slot, i, got, want, "too far apart");
    }
}

void op_test_run(struct op_test *t)
{
    run_on_device(t);
    run_on_reference(t);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (t->out[i].there && !t->out[i].skip)
            compare(t, i);
}
