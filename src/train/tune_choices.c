// SPDX-License-Identifier: MIT
// Times the variants of an op on the inputs that the op has in a real step. Every run begins with the same values.
#include "train/tune_choices.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "reference/bound.h"
#include "train/session.h"

enum { MOST_RUNS = 100, FEWEST_RUNS = 3, TURNS = 3 };

static const double SPENT_S = 0.1;    // rough limit for all runs of one alternative
static const double WORTH = 0.97;     // an alternative is better only below this fraction of the standard's time
static const double WORTH_MS = 1e-3;  // and only with a larger gain in milliseconds: smaller gains are noise
static const double TOLERANCE = 1e-3; // largest error / largest value of a tensor; only wrong kernels exceed it

_Static_assert(sizeof(((struct clrnn_tuned_choice *)0)->key) == CLRNN_CHOICE_KEY &&
                   sizeof(((struct clrnn_tuned_choice *)0)->use) == CLRNN_CHOICE_OPTION,
               "the public struct holds what choices have");

static const struct clrnn_log silent;

struct tuning {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    struct clrnn_choice_file *file;
    const volatile sig_atomic_t *stop;
    double end; // clock time at which to stop
    struct clrnn_tuned_list *list;
};

// ---------------------------------------------------------------- running an op repeatedly

// An op, and copies of the buffers that it changes.
struct subject {
    const struct clrnn_graph *graph;
    const struct clrnn_op *op;
    size_t count;
    struct {
        struct clrnn_buffer *of, *copy;
    } saved[CLRNN_OP_MAX_IN + CLRNN_OP_MAX_OUT];
    float *expected[CLRNN_OP_MAX_OUT]; // results of the standard variant; NULL: none stored
};

static enum clrnn_status save(struct subject *s, struct clrnn_buffer *of)
{
    struct clrnn_buffer *copy = NULL;

    if (!of)
        return CLRNN_OK;
    for (size_t i = 0; i < s->count; i++)
        if (s->saved[i].of == of)
            return CLRNN_OK;
    TRY(clrnn_buffer_create(clrnn_buffer_device(of), clrnn_buffer_type(of), clrnn_buffer_count(of), "a tensor's copy",
                            &copy));
    s->saved[s->count].of = of;
    s->saved[s->count++].copy = copy;
    return clrnn_buffer_copy(copy, 0, of, 0, clrnn_buffer_count(of));
}

static void finish(struct subject *s)
{
    for (size_t i = 0; i < s->count; i++)
        clrnn_buffer_destroy(&s->saved[i].copy);
    for (size_t i = 0; i < CLRNN_OP_MAX_OUT; i++)
        free(s->expected[i]);
}

// Saves the buffers that one run may overwrite and the next run reads: inputs that are activations, and outputs that
// are no activations, such as parameters.
static enum clrnn_status prepare(struct subject *s)
{
    for (int i = 0; i < CLRNN_OP_MAX_IN; i++)
        if (s->op->in[i] >= 0 && s->graph->tensor[s->op->in[i]].role == CLRNN_ROLE_ACTIVATION)
            TRY(save(s, clrnn_in(s->graph, s->op, i)));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        if (s->op->out[i] >= 0 && s->graph->tensor[s->op->out[i]].role != CLRNN_ROLE_ACTIVATION)
            TRY(save(s, clrnn_out(s->graph, s->op, i)));
    return CLRNN_OK;
}

static enum clrnn_status restore(const struct subject *s)
{
    for (size_t i = 0; i < s->count; i++)
        TRY(clrnn_buffer_copy(s->saved[i].of, 0, s->saved[i].copy, 0, clrnn_buffer_count(s->saved[i].of)));
    return CLRNN_OK;
}

static enum clrnn_status launch(struct tuning *t, const struct subject *s, struct clrnn_launches **launches)
{
    TRY(clrnn_launches_create(t->device, launches));
    return clrnn_op_launch(*launches, s->graph, s->op);
}

// ---------------------------------------------------------------- one alternative

static enum clrnn_status run_once(struct tuning *t, const struct subject *s, struct clrnn_launches *launches,
                                  double *ms)
{
    double start;

    TRY(restore(s));
    TRY(clrnn_device_finish(t->device));
    start = clrnn_clock();
    TRY(clrnn_launches_run(launches));
    TRY(clrnn_device_finish(t->device));
    *ms = 1e3 * (clrnn_clock() - start);
    return CLRNN_OK;
}

static bool agrees(const float *got, const float *want, size_t count)
{
    double largest = 0;

    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)want[i]));
    for (size_t i = 0; i < count; i++)
        if (isnan(got[i]) ? !isnan(want[i]) : fabs((double)got[i] - want[i]) > TOLERANCE * largest)
            return false;
    return true;
}

// Clears *right if the output in `slot` differs from s->expected. If nothing is expected yet, stores the output there.
static enum clrnn_status look_at(struct subject *s, int slot, bool *right)
{
    struct clrnn_buffer *b = clrnn_out(s->graph, s->op, slot);
    const size_t count = b ? clrnn_buffer_count(b) : 0;
    enum clrnn_status st;
    float *got;

    if (!b || clrnn_buffer_type(b) != CLRNN_REAL || clrnn_bound_get(s->op, slot).internal)
        return CLRNN_OK;
    got = malloc(count * sizeof(*got));
    if (!got)
        return clrnn_error_memory(s->graph->log, count * sizeof(*got), "a tensor");
    st = clrnn_buffer_read_f32(b, 0, count, got);
    if (st == CLRNN_OK && !s->expected[slot]) {
        s->expected[slot] = got;
        return CLRNN_OK;
    }
    *right = *right && st == CLRNN_OK && agrees(got, s->expected[slot], count);
    free(got);
    return st;
}

// Sets *ms to the time of the fastest of several runs, or to infinity if the results are wrong. A first run, which is
// not timed, builds the kernels; its results are compared.
static enum clrnn_status measure(struct tuning *t, struct subject *s, struct clrnn_launches *launches, double best,
                                 double *ms)
{
    bool right = true;
    double spent = 0, one;

    TRY(run_once(t, s, launches, &one));
    for (int i = 0; i < CLRNN_OP_MAX_OUT; i++)
        TRY(look_at(s, i, &right));
    *ms = INFINITY;
    for (int run = 0; right && run < MOST_RUNS && (run < FEWEST_RUNS || 1e-3 * spent < SPENT_S); run++) {
        TRY(run_once(t, s, launches, &one));
        *ms = fmin(*ms, one);
        spent += one;
        if (*ms > 3 * best && run > 0) // one slow run may be an interruption, two are not
            break;
    }
    return CLRNN_OK;
}

// Measures the op with alternative `option` of the choice.
static enum clrnn_status measure_option(struct tuning *t, struct subject *s, const struct clrnn_choice *c,
                                        unsigned option, double best, double *ms)
{
    struct clrnn_launches *launches = NULL;
    enum clrnn_status st = clrnn_device_force(t->device, c->key, c->option[option]);

    if (st == CLRNN_OK)
        st = launch(t, s, &launches);
    if (st == CLRNN_OK)
        st = measure(t, s, launches, best, ms);
    clrnn_launches_destroy(&launches);
    return st;
}

// Returns the milliseconds of one alternative. Returns infinity if it fails, so that tuning goes on.
static double try_alternative(struct tuning *t, struct subject *s, const struct clrnn_choice *c, unsigned option,
                              double best)
{
    const struct clrnn_log *former = clrnn_device_set_log(t->device, &silent);
    double ms = INFINITY;
    const enum clrnn_status st = measure_option(t, s, c, option, best, &ms);

    clrnn_device_set_log(t->device, former);
    return st == CLRNN_OK ? ms : INFINITY;
}

// ---------------------------------------------------------------- one choice

static size_t count_multiplies(const struct clrnn_launches *launches)
{
    size_t count = 0;

    for (size_t i = 0; i < clrnn_launches_count(launches); i++)
        count += strcmp(clrnn_launches_info(launches, i)->kernel, "gemm") == 0;
    return count;
}

// Checks whether the alternatives that work differ in their number of matrix multiplies.
static bool differ_in_multiplies(struct tuning *t, const struct subject *s, const struct clrnn_choice *c)
{
    const struct clrnn_log *former = clrnn_device_set_log(t->device, &silent);
    size_t least = SIZE_MAX, most = 0;

    for (unsigned i = 0; i < c->count; i++) {
        struct clrnn_launches *launches = NULL;

        if (clrnn_device_force(t->device, c->key, c->option[i]) == CLRNN_OK && launch(t, s, &launches) == CLRNN_OK) {
            const size_t count = count_multiplies(launches);

            least = MIN2(least, count);
            most = MAX2(most, count);
        }
        clrnn_launches_destroy(&launches);
    }
    clrnn_device_set_log(t->device, former);
    return least < most;
}

static unsigned best_of(const struct clrnn_choice *c, const struct clrnn_choice_ms *ms)
{
    const double standard = ms->ms[c->standard];
    unsigned best = c->standard;

    for (unsigned i = 0; i < c->count; i++)
        if (ms->ms[i] < ms->ms[best] && ms->ms[i] < WORTH * standard && ms->ms[i] < standard - WORTH_MS)
            best = i;
    return best;
}

// Measures the standard and the seemingly better alternative again, in turn, since other processes may have slowed down
// either. Keeps the smallest time of the standard and the largest time of the alternative. Ends when the alternative is
// not better any more.
static enum clrnn_status measure_again(struct tuning *t, struct subject *s, const struct clrnn_choice *c,
                                       struct clrnn_choice_ms *ms)
{
    const unsigned better = best_of(c, ms);

    for (int i = 0; i < 2 * TURNS && best_of(c, ms) == better && better != c->standard; i++) {
        double again = INFINITY;

        if (i % 2) {
            ms->ms[better] = fmax(ms->ms[better], try_alternative(t, s, c, better, INFINITY));
            continue;
        }
        TRY(measure_option(t, s, c, c->standard, INFINITY, &again));
        ms->ms[c->standard] = fmin(ms->ms[c->standard], again);
    }
    return CLRNN_OK;
}

// Measures the standard alternative first and compares the others with it. Before an alternative is tried, the file is
// made to say that the alternative fails. So an alternative that crashes the driver is tried only once.
static enum clrnn_status measure_choice(struct tuning *t, const struct subject *where, const struct clrnn_choice *c,
                                        bool multiplies, struct clrnn_choice_ms *ms)
{
    const struct clrnn_log *former = clrnn_device_set_log(t->device, &silent);
    struct subject s = *where;
    enum clrnn_status st = prepare(&s); // if there is no memory for copies, the choice stays as it is
    double best;

    clrnn_device_set_log(t->device, former);
    if (st == CLRNN_OK)
        st = measure_option(t, &s, c, c->standard, INFINITY, &ms->ms[c->standard]);
    best = ms->ms[c->standard];
    for (unsigned i = 0; i < c->count && st == CLRNN_OK && !(t->stop && *t->stop); i++) {
        if (i == c->standard || isinf(ms->ms[i]))
            continue;
        ms->ms[i] = INFINITY;
        st = clrnn_choice_file_put(t->file, c, multiplies, ms, best_of(c, ms));
        if (st == CLRNN_OK)
            ms->ms[i] = try_alternative(t, &s, c, i, best);
        best = fmin(best, ms->ms[i]);
    }
    if (st == CLRNN_OK)
        st = measure_again(t, &s, c, ms);
    if (st == CLRNN_OK)
        st = clrnn_choice_file_put(t->file, c, multiplies, ms, best_of(c, ms));
    if (st == CLRNN_OK)
        st = restore(&s);
    finish(&s);
    return st;
}

static struct clrnn_tuned_choice *find(const struct tuning *t, const char *key)
{
    for (size_t i = 0; i < t->list->count; i++)
        if (strcmp(t->list->tuned[i].key, key) == 0)
            return &t->list->tuned[i];
    return NULL;
}

static enum clrnn_status remember(struct tuning *t, const struct clrnn_choice *c, unsigned use,
                                  const struct clrnn_choice_ms *ms)
{
    struct clrnn_tuned_list *l = t->list;
    struct clrnn_tuned_choice *tuned;

    if (!ARRAY_GROW(l->tuned, l->count))
        return clrnn_error_memory(t->log, 2 * l->count * sizeof(*tuned), "what was tuned");
    tuned = &l->tuned[l->count++];
    snprintf(tuned->key, sizeof(tuned->key), "%s", c->key);
    snprintf(tuned->standard, sizeof(tuned->standard), "%s", c->option[c->standard]);
    snprintf(tuned->use, sizeof(tuned->use), "%s", c->option[use]);
    tuned->standard_ms = ms ? ms->ms[c->standard] : NAN;
    tuned->use_ms = ms ? ms->ms[use] : NAN;
    return CLRNN_OK;
}

static enum clrnn_status decide(struct tuning *t, const struct subject *s, const struct clrnn_choice *c)
{
    const bool multiplies = differ_in_multiplies(t, s, c);
    struct clrnn_choice_ms ms;
    bool stays = false;
    unsigned use;

    if (!clrnn_choice_file_get(t->file, c, multiplies, &ms)) {
        stays = clrnn_clock() >= t->end || (t->stop && *t->stop);
        if (!stays) {
            const enum clrnn_status st = measure_choice(t, s, c, multiplies, &ms);

            stays = st == CLRNN_ERR_MEMORY; // no memory for copies of the buffers that the op changes
            if (!stays)
                TRY(st);
        }
    }
    if (stays) {
        TRY(clrnn_device_force(t->device, c->key, NULL));
        return remember(t, c, c->taken, NULL);
    }
    use = best_of(c, &ms);
    clrnn_log(t->log, CLRNN_LOG_INFO, "%s: standard %s %.3g ms, best %s %.3g ms", c->key, c->option[c->standard],
              ms.ms[c->standard], c->option[use], ms.ms[use]);
    TRY(clrnn_device_force(t->device, c->key, c->option[use]));
    return remember(t, c, use, &ms);
}

// ---------------------------------------------------------------- all ops

// Decides an op's choices one by one. Each decision may affect later choices, so the launches are made again after
// each.
static enum clrnn_status tune_op(struct tuning *t, const struct clrnn_graph *graph, const struct clrnn_op *op)
{
    const struct subject s = {.graph = graph, .op = op};

    for (;;) {
        struct clrnn_launches *launches = NULL;
        enum clrnn_status st = launch(t, &s, &launches);
        const struct clrnn_choice *c = NULL;
        struct clrnn_choice open = {.count = 0};

        for (size_t i = 0; st == CLRNN_OK && (c = clrnn_launches_choice(launches, i)) && find(t, c->key); i++)
            ;
        if (c)
            open = *c;
        clrnn_launches_destroy(&launches);
        if (st != CLRNN_OK || !open.count)
            return st;
        TRY(decide(t, &s, &open));
    }
}

// Tunes a plan's ops in order, each on the outputs of the ops before it.
static enum clrnn_status tune_plan(void *user, struct clrnn_plan *plan)
{
    struct tuning *t = user;

    for (size_t i = 0; i < plan->graph->op_count; i++) {
        TRY(tune_op(t, plan->graph, &plan->graph->op[i]));
        TRY(clrnn_launches_run_part(plan->launches, plan->op_launch[i], plan->op_launch[i + 1]));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_tune_choices(struct clrnn_device *device, const struct clrnn_config *config, double seconds,
                                     const volatile sig_atomic_t *stop, struct clrnn_tuned_list *list)
{
    const struct clrnn_log *log = clrnn_device_log(device);
    struct clrnn_session_params session = {.config = config, .endless = true};
    struct tuning t = {.device = device, .log = log, .stop = stop, .list = list, .end = clrnn_clock() + seconds};
    struct clrnn_session *s = NULL;
    enum clrnn_status st;

    TRY(clrnn_choice_file_open(device, &t.file));
    st = clrnn_dataset_open(log, config, &config->data.train, config->folder, "train", CLRNN_CHECK_ALL, &session.set);
    if (st == CLRNN_OK)
        st = clrnn_session_open(device, &session, &s);
    if (st == CLRNN_OK) {
        s->hook = tune_plan;
        s->user = &t;
        st = clrnn_session_queue(s, CLRNN_MODE_TRAIN, 0);
    }
    if (st == CLRNN_OK)
        st = clrnn_session_begin_epoch(s, 0, 0);
    if (st == CLRNN_OK)
        st = clrnn_session_queue(s, CLRNN_MODE_PREDICT, 0);
    clrnn_session_close(&s);
    clrnn_dataset_close(&session.set);
    clrnn_choice_file_close(&t.file);
    return st;
}
