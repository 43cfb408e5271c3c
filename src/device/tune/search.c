// SPDX-License-Identifier: MIT
// Finds which of CLBlast's parameters are fastest for given multiplies, and whether clRNN's kernels are faster. CLBlast
// has two implementations. "XgemmDirect" is one kernel for any shape. "Xgemm" is a faster kernel, but needs other
// kernels that copy the matrices to and from padded ones. CLBlast uses Xgemm if M N K is at least the cube of
// XGEMM_MIN_INDIRECT_SIZE, a parameter that CLBlast stores under the name "GemmRoutine". Parameters apply to a whole
// device, so the best ones have the least total time over all shapes.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/file.h"
#include "device/gemm/internal.h"
#include "device/list/internal.h"
#include "device/remember/internal.h"
#include "device/tune/tune.h"

enum { SETTINGS = 160, RUNS = 100 };

struct search {
    struct clrnn_device *device;
    struct clrnn_tuned_multiply *shape;
    size_t count;
    struct clrnn_buffer *a, *b, *c;
    struct clrnn_launches **clblast, **own; // one list for each shape
    float **expected;                       // expected C of each shape, by clRNN's kernels or CLBlast's defaults
    json_t *root;
};

static struct clrnn_gemm gemm_of(const struct search *s, size_t i)
{
    const struct clrnn_tuned_multiply *h = &s->shape[i];

    return (struct clrnn_gemm){.transpose_a = h->transpose_a,
                               .transpose_b = h->transpose_b,
                               .M = h->M,
                               .N = h->N,
                               .K = h->K,
                               .alpha = 1,
                               .a = s->a,
                               .b = s->b,
                               .c = s->c,
                               .a_ld = h->transpose_a ? h->M : h->K,
                               .b_ld = h->transpose_b ? h->K : h->N,
                               .c_ld = h->N};
}

static void shape_text(const struct search *s, size_t i, char text[64])
{
    const struct clrnn_gemm g = gemm_of(s, i);

    clrnn_gemm_shape(&g, text);
}

// ---------------------------------------------------------------- measuring

/** Measures the fastest of several runs in milliseconds, after a first run in which the driver builds. Stops after
 * three runs if all are slower than `hopeless` milliseconds. */
static enum clrnn_status measure(struct clrnn_launches *launches, double hopeless, double *ms)
{
    struct clrnn_device *d = clrnn_launches_device(launches);
    double spent = 0;

    TRY(clrnn_launches_run(launches));
    TRY(clrnn_device_finish(d));
    *ms = INFINITY;
    for (int run = 0, inner = 1; run < RUNS && spent < 0.5; run++) {
        const double start = clrnn_clock();
        double one;

        for (int i = 0; i < inner; i++)
            TRY(clrnn_launches_run(launches));
        TRY(clrnn_device_finish(d));
        one = clrnn_clock() - start;
        spent += one;
        *ms = fmin(*ms, 1e3 * one / inner);
        if (*ms > hopeless && run >= 2) // three runs, as a single one may be slow by chance
            break;
        if (run == 0) // makes a run long enough to be measured, and so short that other programs seldom interrupt it
            inner = (int)fmin(100, 1 + 0.2 / *ms);
    }
    return CLRNN_OK;
}

static enum clrnn_status read_result(struct search *s, size_t i, float **result)
{
    const size_t count = (size_t)s->shape[i].M * s->shape[i].N;

    *result = malloc(count * sizeof(float));
    if (!*result)
        return clrnn_error_memory(s->device->log, count * sizeof(float), "a multiply's result");
    return clrnn_buffer_read_f32(s->c, 0, count, *result);
}

/** Sets *right to whether C of the last multiply is correct. Each element of C is a sum of K products of numbers in
 * [-1, 1]. */
static enum clrnn_status is_right(struct search *s, size_t i, bool *right)
{
    const double bound = 4e-7 * (s->shape[i].K + 16.0);
    float *got = NULL;
    enum clrnn_status st = read_result(s, i, &got);

    *right = st == CLRNN_OK;
    for (size_t k = 0; *right && k < (size_t)s->shape[i].M * s->shape[i].N; k++)
        *right = fabs((double)got[k] - s->expected[i][k]) <= bound; // false for NaN
    free(got);
    return st;
}

static double number(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

/** Measures one shape, whose key is `text`, with CLBlast's defaults and with clRNN's kernels, unless `entry` has its
 * times. Also computes the expected C, to check settings later: by clRNN's kernels, if they support the shape. */
static enum clrnn_status measure_default(struct search *s, size_t i, json_t *entry, const char *text)
{
    struct clrnn_tuned_multiply *h = &s->shape[i];

    h->default_ms = number(entry, "default_ms");
    h->own_ms = number(entry, "own_ms");
    if (!isfinite(h->default_ms)) {
        TRY(measure(s->clblast[i], INFINITY, &h->default_ms));
        json_object_set_new(entry, "default_ms", json_real(h->default_ms));
        if (s->own[i]) {
            TRY(measure(s->own[i], 10 * h->default_ms, &h->own_ms));
            json_object_set_new(entry, "own_ms", json_real(h->own_ms));
        }
    }
    TRY(clrnn_launches_run(s->own[i] ? s->own[i] : s->clblast[i]));
    TRY(read_result(s, i, &s->expected[i]));
    clrnn_log(s->device->log, CLRNN_LOG_INFO, "%s: CLBlast untuned %.3g ms, ours %.3g ms", text, h->default_ms,
              h->own_ms);
    return CLRNN_OK;
}

/** Measures shapes until the time `end`. A shape that then has no stored time, and all after it, are left out of this
 * search. The first shape is always measured. */
static enum clrnn_status measure_defaults(struct search *s, double end)
{
    json_t *shapes = json_object_get(s->root, "shapes");

    for (size_t i = 0; i < s->count; i++) {
        char text[64];
        json_t *entry;

        shape_text(s, i, text);
        entry = json_object_get(shapes, text);
        if (i > 0 && clrnn_clock() >= end && !isfinite(number(entry, "default_ms"))) {
            s->count = i;
            return CLRNN_OK;
        }
        if (!json_is_object(entry)) {
            entry = json_object();
            if (!entry || json_object_set_new(shapes, text, entry))
                return clrnn_error(s->device->log, CLRNN_ERR_MEMORY, "out of memory for what was measured");
        }
        TRY(measure_default(s, i, entry, text));
    }
    return CLRNN_OK;
}

// Returns a setting's key in "tried", "XgemmDirect WGD=32 MDIMCD=8 ..." (to be freed). NULL: out of memory.
static char *setting_key(bool direct, json_t *parameters)
{
    char *key = clrnn_format(direct ? "XgemmDirect" : "Xgemm"), *longer;
    const char *name;
    json_t *v;

    json_object_foreach(parameters, name, v)
    {
        longer = key ? clrnn_format("%s %s=%d", key, name, (int)json_integer_value(v)) : NULL;
        free(key);
        key = longer;
    }
    return key;
}

static bool has_all_shapes(const struct search *s, const json_t *entry)
{
    const json_t *ms = json_object_get(entry, "ms");

    if (json_object_get(entry, "trouble"))
        return true;
    for (size_t i = 0; i < s->count; i++) {
        char text[64];

        shape_text(s, i, text);
        if (!json_object_get(ms, text))
            return false;
    }
    return true;
}

/** Measures one setting with every shape and stores the times in `entry`. If CLBlast or the driver refuses the setting,
 * or a result is wrong, stores the reason in `entry` as "trouble". */
static enum clrnn_status try_setting(struct search *s, bool direct, const json_t *parameters, json_t *entry)
{
    const struct clrnn_log *log = s->device->log, silent = {.level = CLRNN_LOG_ERROR};
    json_t *ms = json_object_get(entry, "ms");
    const char *trouble = NULL;
    double total = 0;

    if (!clrnn_setting_override(s->device, direct ? "XgemmDirect" : "Xgemm", parameters) ||
        !clrnn_setting_route(s->device, direct))
        trouble = "CLBlast does not take it";
    for (size_t i = 0; !trouble && i < s->count; i++) {
        enum clrnn_status st;
        bool right = false;
        double one;
        char text[64];

        shape_text(s, i, text);
        s->device->log = &silent; // does not log the errors of a setting that fails
        st = clrnn_buffer_zero(s->c);
        if (st == CLRNN_OK)
            st = measure(s->clblast[i], 3 * s->shape[i].default_ms, &one);
        if (st == CLRNN_OK)
            st = is_right(s, i, &right);
        s->device->log = log;
        if (st != CLRNN_OK)
            trouble = "it does not run";
        else if (!right)
            trouble = "wrong result";
        else
            json_object_set_new(ms, text, json_real(one));
        total += trouble ? 0 : one * s->shape[i].count;
    }
    if (trouble)
        json_object_set_new(entry, "trouble", json_string(trouble));
    clrnn_log(log, CLRNN_LOG_INFO, trouble ? "%s: %s" : "%s: %s%.4g ms", direct ? "XgemmDirect" : "Xgemm",
              trouble ? trouble : "", total);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- choosing

/** Returns the tried setting of one kernel with the least time over all shapes; NULL: there is none. */
static const json_t *best_of(const struct search *s, const char *kernel)
{
    json_t *tried = json_object_get(s->root, "tried"), *entry;
    const json_t *best = NULL;
    double least = INFINITY;
    const char *key;

    json_object_foreach(tried, key, entry)
    {
        const char *of = json_string_value(json_object_get(entry, "kernel"));
        double total = 0;

        if (!of || strcmp(of, kernel) || json_object_get(entry, "trouble"))
            continue;
        for (size_t k = 0; k < s->count; k++) {
            char text[64];

            shape_text(s, k, text);
            total += s->shape[k].count * number(json_object_get(entry, "ms"), text);
        }
        if (total < least) { // false for NaN: a shape is not measured
            least = total;
            best = entry;
        }
    }
    return best;
}

static double size_of(const struct clrnn_tuned_multiply *h)
{
    return cbrt((double)h->M * h->N * h->K);
}

/** Returns the total milliseconds if shapes of size `min` or more (size_of) use Xgemm and the others XgemmDirect.
 * Writes the milliseconds of each shape to `ms`, unless `ms` is NULL. */
static double total_ms(const struct search *s, const json_t *direct, const json_t *indirect, double min, double *ms)
{
    double total = 0;

    for (size_t i = 0; i < s->count; i++) {
        const json_t *entry = size_of(&s->shape[i]) < min ? direct : indirect;
        char text[64];
        double one;

        shape_text(s, i, text);
        one = number(json_object_get(entry, "ms"), text);
        total += one * s->shape[i].count;
        if (ms)
            ms[i] = one;
    }
    return total;
}

// Returns the best parameters by kernel, as new JSON. Sets ms [count] to the shapes' times with these parameters.
// NULL: out of memory.
static json_t *best_use(const struct search *s, double *ms)
{
    const json_t *direct = best_of(s, "XgemmDirect"), *indirect = best_of(s, "Xgemm");
    json_t *use = json_object();
    double least = 0, min = -1;

    for (size_t i = 0; i < s->count; i++) {
        ms[i] = s->shape[i].default_ms;
        least += ms[i] * s->shape[i].count;
    }
    for (size_t i = 0; i < s->count + 2; i++) {
        const double bound = i < s->count ? ceil(size_of(&s->shape[i])) : i == s->count ? 0 : CLRNN_TUNE_NEVER;
        const double total = total_ms(s, direct, indirect, bound, NULL);

        if (total < least) {
            least = total;
            min = bound;
        }
    }
    if (use && min >= 0) {
        total_ms(s, direct, indirect, min, ms);
        json_object_set_new(use, "GemmRoutine", json_pack("{s:i}", "XGEMM_MIN_INDIRECT_SIZE", (int)min));
        if (direct)
            json_object_set(use, "XgemmDirect", json_object_get(direct, "parameters"));
        if (indirect)
            json_object_set(use, "Xgemm", json_object_get(indirect, "parameters"));
    }
    return use;
}

// Writes to the file the times of the shapes, the times of the settings in `tried` (may be NULL), and the best
// parameters so far.
static enum clrnn_status choose(struct search *s, json_t *tried)
{
    json_t *measured = json_object_get(s->root, "shapes"), *shapes = json_object(), *use, *changes;
    double *ms = calloc(s->count + 1, sizeof(*ms));
    enum clrnn_status st;

    use = ms ? best_use(s, ms) : NULL;
    for (size_t i = 0; use && i < s->count; i++) {
        struct clrnn_tuned_multiply *h = &s->shape[i];
        json_t *entry;
        char text[64];

        shape_text(s, i, text);
        h->clblast_ms = ms[i];
        entry = json_object_get(measured, text);
        json_object_set_new(entry, "clblast_ms", json_real(ms[i]));
        json_object_set_new(entry, "use", json_string(h->own_ms < ms[i] ? "own" : "clblast"));
        json_object_set(shapes, text, entry);
    }
    changes = json_pack("{s:o, s:o, s:O*}", "use", use, "shapes", shapes, "tried", tried);
    st = changes ? clrnn_tune_update(s->device->log, &s->device->info, false, changes, &s->root)
                 : clrnn_error(s->device->log, CLRNN_ERR_MEMORY, "out of memory for what was measured");
    json_decref(changes);
    free(ms);
    return st;
}

// ---------------------------------------------------------------- matrices, and a search over all shapes

static enum clrnn_status fill(struct clrnn_device *device, size_t seed, size_t count, struct clrnn_buffer **buffer)
{
    float *data = malloc(count * sizeof(*data));
    enum clrnn_status st;

    if (!data)
        return clrnn_error_memory(device->log, count * sizeof(*data), "a matrix");
    for (size_t i = 0; i < count; i++)
        data[i] = (float)((i * 7919 + seed * 104729) % 2001) / 1000.0f - 1;
    st = clrnn_buffer_create(device, CLRNN_REAL, count, "a matrix", buffer);
    if (st == CLRNN_OK)
        st = clrnn_buffer_write_f32(*buffer, 0, count, data);
    free(data);
    return st;
}

static enum clrnn_status prepare(struct search *s)
{
    size_t a = 1, b = 1, c = 1;

    for (size_t i = 0; i < s->count; i++) {
        a = MAX2(a, (size_t)s->shape[i].M * s->shape[i].K);
        b = MAX2(b, (size_t)s->shape[i].K * s->shape[i].N);
        c = MAX2(c, (size_t)s->shape[i].M * s->shape[i].N);
    }
    TRY(fill(s->device, 1, a, &s->a));
    TRY(fill(s->device, 2, b, &s->b));
    TRY(fill(s->device, 3, c, &s->c));
    for (size_t i = 0; i < s->count; i++) {
        const struct clrnn_gemm g = gemm_of(s, i);
        bool taken = false, fused = false;

        TRY(clrnn_launches_create(s->device, &s->clblast[i]));
        TRY(clrnn_launches_op(s->clblast[i], "tuning"));
        TRY(clrnn_gemm_clblast_append(s->clblast[i], &g));
        TRY(clrnn_launches_create(s->device, &s->own[i]));
        TRY(clrnn_launches_op(s->own[i], "tuning"));
        TRY(clrnn_gemm_own_append(s->own[i], &g, 1, NULL, &taken, &fused));
        if (!taken)
            clrnn_launches_destroy(&s->own[i]);
    }
    return CLRNN_OK;
}

// Measures one setting and stores its times. *measured: whether it was measured; false: its times were stored already.
static enum clrnn_status take_setting(struct search *s, bool direct, json_t *parameters, bool *measured)
{
    char *key = setting_key(direct, parameters);
    json_t *entry = key ? json_incref(json_object_get(json_object_get(s->root, "tried"), key)) : NULL;
    enum clrnn_status st = CLRNN_OK;

    *measured = !entry || !has_all_shapes(s, entry);
    if (!entry)
        entry =
            json_pack("{s:s, s:O, s:{}}", "kernel", direct ? "XgemmDirect" : "Xgemm", "parameters", parameters, "ms");
    if (!key || !entry || json_object_set(json_object_get(s->root, "tried"), key, entry))
        st = clrnn_error(s->device->log, CLRNN_ERR_MEMORY, "out of memory for what was measured");
    else if (*measured)
        st = try_setting(s, direct, parameters, entry);
    if (st == CLRNN_OK && *measured) {
        json_t *tried = json_pack("{s:O}", key, entry);

        st = choose(s, tried);
        json_decref(tried);
    }
    json_decref(entry);
    free(key);
    return st;
}

static enum clrnn_status search(struct search *s, const struct clrnn_tune_search *params)
{
    const double end = clrnn_clock() + (params->seconds > 0 ? params->seconds : 120);
    size_t settings = 0;

    TRY(measure_defaults(s, end));
    TRY(choose(s, NULL));
    if (params->defaults_only)
        return CLRNN_OK;
    for (size_t index = 0; index < SETTINGS; index++) {
        json_t *parameters;
        enum clrnn_status st;
        bool direct, measured = false;

        if (clrnn_clock() >= end || (params->stop && *params->stop) ||
            (params->most_settings && settings == params->most_settings))
            break;
        if (!clrnn_setting_get(&s->device->info, index, &direct, &parameters))
            continue;
        st = parameters ? take_setting(s, direct, parameters, &measured)
                        : clrnn_error(s->device->log, CLRNN_ERR_MEMORY, "out of memory for a setting");
        json_decref(parameters);
        TRY(st);
        settings += measured;
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_tune_run(struct clrnn_device *device, const struct clrnn_tune_search *params,
                                 struct clrnn_tuned_multiply *shape, size_t count)
{
    struct search s = {.device = device, .shape = shape, .count = count};
    enum clrnn_status st;

    if (clrnn_device_is_ref(device) || !device->no_tune)
        return clrnn_error(device->log, CLRNN_ERR_ARG, "%s cannot be tuned%s", device->info.name,
                           clrnn_device_is_ref(device) ? ": the reference has nothing to choose"
                                                       : " with what was remembered in use");
    for (size_t i = 0; i < count; i++)
        shape[i].default_ms = shape[i].clblast_ms = shape[i].own_ms = NAN;
    // update the file first: if it cannot be written, measuring is useless
    TRY(clrnn_tune_update(device->log, &device->info, params->restart, NULL, &s.root));
    s.clblast = calloc(count + 1, sizeof(*s.clblast));
    s.own = calloc(count + 1, sizeof(*s.own));
    s.expected = calloc(count + 1, sizeof(*s.expected));
    if (!s.clblast || !s.own || !s.expected) {
        st = clrnn_error_memory(device->log, (count + 1) * sizeof(*s.own), "tuning");
    } else {
        st = prepare(&s);
        if (st == CLRNN_OK)
            st = search(&s, params);
    }
    for (size_t i = 0; i < count; i++) {
        if (s.clblast)
            clrnn_launches_destroy(&s.clblast[i]);
        if (s.own)
            clrnn_launches_destroy(&s.own[i]);
        if (s.expected)
            free(s.expected[i]);
    }
    clrnn_buffer_destroy(&s.a);
    clrnn_buffer_destroy(&s.b);
    clrnn_buffer_destroy(&s.c);
    free(s.clblast);
    free(s.own);
    free(s.expected);
    json_decref(s.root);
    return st;
}
