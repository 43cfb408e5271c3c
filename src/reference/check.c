// SPDX-License-Identifier: MIT
// A test case of one op: its tensors, and the comparison of a device's results with the reference.
#include "reference/check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "reference/reference.h"

enum { NOISE_FACTOR = 8 };

static void *allocate(size_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

static enum clrnn_status no_memory(const struct clrnn_check *c)
{
    return clrnn_error_memory(c->log, 0, "checking an op");
}

void clrnn_check_finish(struct clrnn_check *c)
{
    for (size_t i = 0; i < CLRNN_OP_MAX_IN; i++) {
        free(c->in[i].real);
        free(c->in[i].word);
    }
    for (size_t i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        free(c->out[i].real);
        free(c->out[i].word);
        free(c->got[i]);
        free(c->want[i]);
    }
    memset(c->in, 0, sizeof(c->in));
    memset(c->out, 0, sizeof(c->out));
    memset(c->got, 0, sizeof(c->got));
    memset(c->want, 0, sizeof(c->want));
}

// ---------------------------------------------------------------- adding inputs and outputs

uint32_t clrnn_check_u32(struct clrnn_check *c)
{
    return clrnn_random_u32(&c->random, c->drawn++);
}

static float normal(struct clrnn_check *c)
{
    return clrnn_random_normal_portable(&c->random, c->drawn++);
}

void clrnn_check_begin(struct clrnn_check *c, enum clrnn_op_kind kind, uint32_t T, uint32_t N, uint32_t C,
                       uint64_t seed)
{
    clrnn_check_finish(c);
    memset(&c->op, 0, sizeof(c->op));
    c->op.kind = kind;
    c->op.T = T;
    c->op.N = N;
    c->op.C = C;
    for (size_t i = 0; i < CLRNN_OP_MAX_IN; i++)
        c->op.in[i] = CLRNN_NONE;
    for (size_t i = 0; i < CLRNN_OP_MAX_OUT; i++)
        c->op.out[i] = CLRNN_NONE;
    c->lengths_slot = -1;
    c->random = (struct clrnn_random){.seed = seed, .stream = RANDOM_PROBE};
    c->drawn = 0;
    c->what[0] = c->fault[0] = '\0';
    c->fault_slot = -1;
    c->no_memory = false;
    c->error = c->share = 0;
}

float *clrnn_check_real(struct clrnn_check *c, int slot, size_t count)
{
    float *v = allocate(count, sizeof(*v));

    for (size_t i = 0; v && i < count; i++)
        v[i] = normal(c);
    clrnn_check_given(c, slot, v, count);
    return v;
}

void clrnn_check_given(struct clrnn_check *c, int slot, float *values, size_t count)
{
    c->no_memory = c->no_memory || !values;
    c->in[slot] = (struct clrnn_check_slot){.there = true, .type = CLRNN_REAL, .count = count, .real = values};
}

int32_t *clrnn_check_int(struct clrnn_check *c, int slot, size_t count, int32_t low, int32_t high)
{
    int32_t *v = allocate(count, sizeof(*v));

    c->no_memory = c->no_memory || !v;
    for (size_t i = 0; v && i < count; i++)
        v[i] = low + (int32_t)(clrnn_check_u32(c) % (uint32_t)(high - low + 1));
    c->in[slot] = (struct clrnn_check_slot){.there = true, .type = CLRNN_I32, .count = count, .word = v};
    return v;
}

int32_t *clrnn_check_lengths(struct clrnn_check *c, int slot)
{
    int32_t *v = clrnn_check_int(c, slot, c->op.N, 1, (int32_t)c->op.T);

    if (v)
        v[clrnn_check_u32(c) % c->op.N] = (int32_t)c->op.T;
    c->lengths_slot = slot;
    return v;
}

void clrnn_check_counter(struct clrnn_check *c, int slot, uint32_t step, uint32_t record)
{
    int32_t *v = allocate(COUNTER_FIELDS, sizeof(*v)); // zeros

    c->no_memory = c->no_memory || !v;
    c->in[slot] = (struct clrnn_check_slot){.there = true, .type = CLRNN_U32, .count = COUNTER_FIELDS, .word = v};
    if (!v)
        return;
    // The fields after COUNTER_SLOT stay 0. They were added later, and drawing them would change all numbers that a
    // case draws after its counter.
    for (int i = 0; i <= COUNTER_SLOT; i++)
        v[i] = (int32_t)(clrnn_check_u32(c) % ((1u << 30) + 1));
    v[COUNTER_STEP] = (int32_t)step;
    v[COUNTER_SLOT] = (int32_t)record;
}

void clrnn_check_out(struct clrnn_check *c, int slot, enum clrnn_type type, size_t count, double tolerance)
{
    c->out[slot] =
        (struct clrnn_check_slot){.there = true, .type = type, .count = count, .tolerance = tolerance, .same_as = -1};
}

void clrnn_check_out_rows(struct clrnn_check *c, int slot, uint32_t row_size, double tolerance)
{
    clrnn_check_out(c, slot, CLRNN_REAL, (size_t)c->op.T * c->op.N * row_size, tolerance);
    c->out[slot].row_size = row_size;
}

float *clrnn_check_updated(struct clrnn_check *c, int slot, size_t count, double tolerance)
{
    float *v = allocate(count, sizeof(*v));

    c->no_memory = c->no_memory || !v;
    for (size_t i = 0; v && i < count; i++)
        v[i] = normal(c);
    clrnn_check_out(c, slot, CLRNN_REAL, count, tolerance);
    c->out[slot].updated = true;
    c->out[slot].real = v;
    return v;
}

void clrnn_check_updated_input(struct clrnn_check *c, int slot, int in_slot, double tolerance)
{
    clrnn_check_out(c, slot, c->in[in_slot].type, c->in[in_slot].count, tolerance);
    c->out[slot].updated = true;
    c->out[slot].same_as = in_slot;
}

static bool is_padding(const struct clrnn_check *c, size_t row)
{
    return c->lengths_slot >= 0 && (int32_t)(row / c->op.N) >= c->in[c->lengths_slot].word[row % c->op.N];
}

void clrnn_check_poison_padding(struct clrnn_check *c, int slot, uint32_t row_size)
{
    for (size_t i = 0; !c->no_memory && i < c->in[slot].count; i++)
        if (is_padding(c, i / row_size))
            c->in[slot].real[i] = NAN;
}

// ---------------------------------------------------------------- recording a fault

void clrnn_check_blame(struct clrnn_check *c, const char *format, ...)
{
    char text[200];
    va_list arguments;

    if (c->fault[0])
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(c->fault, sizeof(c->fault), "%s T=%u N=%u C=%u seed=%llu %.100s: %s", clrnn_op_name(c->op.kind), c->op.T,
             c->op.N, c->op.C, (unsigned long long)c->random.seed, c->what, text);
}

static void blame_at(struct clrnn_check *c, int slot, size_t index, double got, double want, const char *why)
{
    if (!c->fault[0]) {
        c->fault_slot = slot;
        c->fault_index = index;
    }
    clrnn_check_blame(c, "output %d [%zu]: got %.9g, want %.9g (%s)", slot, index, got, want, why);
}

// ---------------------------------------------------------------- the reference

// The tensors on which the reference works, by slot: arrays of doubles or of 32-bit integers.
struct sides {
    void *in[CLRNN_OP_MAX_IN], *out[CLRNN_OP_MAX_OUT];
};

static void sides_finish(const struct clrnn_check *c, struct sides *s)
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (c->out[i].same_as < 0)
            free(s->out[i]);
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        free(s->in[i]);
}

// Returns `value` made larger or smaller, at random, by 2^-23 of itself, a unit in the last place of float32.
static double disturbed(double value, const struct clrnn_random *noise, uint64_t index)
{
    return clrnn_random_u32(noise, index / 32) >> index % 32 & 1 ? value * (1 + 0x1p-23) : value * (1 - 0x1p-23);
}

// Returns a copy of the elements that a slot has before the run, as doubles if they are REAL. Unless `noise` is NULL,
// each REAL element is changed by `disturbed`. Returns NULL if there is no memory.
static void *reference_values(const struct clrnn_check_slot *s, const struct clrnn_random *noise)
{
    double *real;
    int32_t *word;

    if (s->type != CLRNN_REAL) {
        word = allocate(s->count, sizeof(*word));
        if (word && s->word)
            memcpy(word, s->word, s->count * sizeof(*word));
        return word;
    }
    real = allocate(s->count, sizeof(*real));
    for (size_t i = 0; real && i < s->count; i++)
        real[i] = !s->real ? NAN : noise ? disturbed(s->real[i], noise, i) : s->real[i];
    return real;
}

static enum clrnn_status run_on_reference(struct clrnn_check *c, unsigned noise_run, struct sides *s)
{
    struct clrnn_op op = c->op;

    *s = (struct sides){{NULL}, {NULL}};
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++) {
        const struct clrnn_random noise = {c->random.seed, RANDOM_PROBE, noise_run, (uint32_t)i};

        op.in[i] = c->in[i].there ? i : CLRNN_NONE; // the reference only checks whether the slot is CLRNN_NONE
        if (c->in[i].there && !(s->in[i] = reference_values(&c->in[i], noise_run ? &noise : NULL)))
            return no_memory(c);
    }
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        const struct clrnn_random noise = {c->random.seed, RANDOM_PROBE, noise_run, 64 + (uint32_t)i};

        op.out[i] = c->out[i].there ? i : CLRNN_NONE;
        if (c->out[i].there && c->out[i].same_as >= 0)
            s->out[i] = s->in[c->out[i].same_as];
        else if (c->out[i].there && !(s->out[i] = reference_values(&c->out[i], noise_run ? &noise : NULL)))
            return no_memory(c);
    }
    return clrnn_reference_run(c->log, &op, s->in, s->out);
}

static enum clrnn_status find_want(struct clrnn_check *c)
{
    struct sides s;
    enum clrnn_status st = run_on_reference(c, 0, &s);

    for (int i = 0; i < CLRNN_OP_MAX_OUT && st == CLRNN_OK; i++) {
        if (!c->out[i].there)
            continue;
        c->want[i] = allocate(c->out[i].count, sizeof(double));
        if (!c->want[i])
            st = no_memory(c);
        for (size_t k = 0; c->want[i] && k < c->out[i].count; k++)
            c->want[i][k] = c->out[i].type == CLRNN_REAL ? ((double *)s.out[i])[k] : ((int32_t *)s.out[i])[k];
    }
    sides_finish(c, &s);
    return st;
}

// Computes noise[slot][count] for each REAL output: the largest change of each element in c->noise_runs runs of the
// reference on perturbed inputs.
static enum clrnn_status find_noise(struct clrnn_check *c, double *noise[])
{
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (c->out[i].there && c->out[i].type == CLRNN_REAL && !(noise[i] = allocate(c->out[i].count, sizeof(double))))
            return no_memory(c);
    for (unsigned run = 1; run <= c->noise_runs; run++) {
        struct sides s;
        enum clrnn_status st = run_on_reference(c, run, &s);

        for (int i = 0; st == CLRNN_OK && i < CLRNN_OP_MAX_OUT; i++)
            for (size_t k = 0; noise[i] && k < c->out[i].count; k++)
                noise[i][k] = fmax(noise[i][k], fabs(((double *)s.out[i])[k] - c->want[i][k]));
        sides_finish(c, &s);
        TRY(st);
    }
    return CLRNN_OK;
}

// ---------------------------------------------------------------- comparing

static void compare_integers(struct clrnn_check *c, int slot)
{
    for (size_t i = 0; i < c->out[slot].count; i++) {
        int32_t bits;

        memcpy(&bits, &c->got[slot][i], sizeof(bits));
        if (bits == (int32_t)c->want[slot][i])
            continue;
        blame_at(c, slot, i, bits, c->want[slot][i], "integers are equal");
        c->error = c->share = INFINITY;
    }
}

static void compare_reals(struct clrnn_check *c, int slot, const double *noise)
{
    const struct clrnn_check_slot *s = &c->out[slot];
    double scale = 0;

    for (size_t i = 0; i < s->count; i++)
        if (isfinite(c->want[slot][i]))
            scale = fmax(scale, fabs(c->want[slot][i]));
    for (size_t i = 0; i < s->count; i++) {
        const double want = c->want[slot][i], got = c->got[slot][i], off = fabs(got - want);
        const double magnitude = s->each ? fmax(fabs(want), s->real ? fabs((double)s->real[i]) : 0) : scale;
        const double allowed = s->tolerance * magnitude + s->absolute + (noise ? NOISE_FACTOR * noise[i] : 0);
        uint32_t bits;

        memcpy(&bits, &c->got[slot][i], sizeof(bits));
        if (bits == (uint32_t)CLRNN_UNWRITTEN && !s->updated)
            blame_at(c, slot, i, got, want, "never written");
        if (s->row_size && is_padding(c, i / s->row_size) && got != 0)
            blame_at(c, slot, i, got, 0, "padding is exactly 0");
        if ((isnan(want) && isnan(got)) || (isinf(want) && want == got) || off == 0)
            continue;
        c->error = fmax(c->error, isfinite(off) ? off / fmax(scale, 1e-37) : INFINITY);
        c->share = fmax(c->share, isfinite(off) && allowed > 0 ? off / allowed : INFINITY);
        if (!(off <= allowed))
            blame_at(c, slot, i, got, want, "too far apart");
    }
}

enum clrnn_status clrnn_check_judge(struct clrnn_check *c)
{
    double *noise[CLRNN_OP_MAX_OUT] = {NULL};
    enum clrnn_status st = c->no_memory ? no_memory(c) : find_want(c);

    if (st == CLRNN_OK && c->noise_runs)
        st = find_noise(c, noise);
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++) {
        if (st == CLRNN_OK && c->out[i].there && !c->out[i].skip) {
            if (c->out[i].type == CLRNN_REAL)
                compare_reals(c, i, noise[i]);
            else
                compare_integers(c, i);
        }
        free(noise[i]);
    }
    return st;
}
