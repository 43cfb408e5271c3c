// SPDX-License-Identifier: MIT
// Compares the result of `clrnn compare` with an earlier result, which `clrnn compare --json` wrote to a file.
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "base/log.h"
#include "base/words.h"
#include "clrnn/diagnose.h"

#define SLOWER 1.1         // ratio to the earlier value above which a time or the memory has grown; see compare_speed
#define BUILD_SLOWER_S 0.5 // seconds by which a build must also be longer

const char *clrnn_verdict_word(enum clrnn_verdict verdict)
{
    static const char *const words[] = {NULL, "ok", "wrong", "broken"};

    return (size_t)verdict < ARRAY_SIZE(words) ? words[verdict] : NULL;
}

// A device that is in both results.
struct device_pair {
    const json_t *then; // the device's object in the earlier result
    const struct clrnn_compare_result *r;
    size_t row;
    struct clrnn_baseline_result *out;
    bool out_of_memory;
};

static void CLRNN_PRINTF(2, 3) note(struct device_pair *b, const char *format, ...)
{
    struct clrnn_baseline_change *change;
    va_list arguments;

    b->out_of_memory = b->out_of_memory || !ARRAY_GROW(b->out->change, b->out->count);
    if (b->out_of_memory)
        return;
    change = &b->out->change[b->out->count++];
    change->row = b->row;
    va_start(arguments, format);
    vsnprintf(change->text, sizeof(change->text), format, arguments);
    va_end(arguments);
}

// Returns the number under `key` in the device's object of the earlier result; NaN: there is none.
static double then_number(const struct device_pair *b, const char *key)
{
    const json_t *value = json_object_get(b->then, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *then_text(const struct device_pair *b, const char *key)
{
    const char *text = json_string_value(json_object_get(b->then, key));

    return text ? text : "";
}

static void compare_texts(struct device_pair *b)
{
    const struct clrnn_compare_row *row = &b->r->row[b->row];
    const char *verdict = clrnn_verdict_word(row->verdict);

    if (strcmp(then_text(b, "driver"), row->driver))
        note(b, "driver %s, earlier %s", row->driver, then_text(b, "driver"));
    if (strcmp(then_text(b, "opencl"), row->opencl))
        note(b, "%s, earlier %s", row->opencl, then_text(b, "opencl"));
    if (verdict && strcmp(then_text(b, "verdict"), verdict))
        note(b, "DIFFERENT: verdict %s, earlier %s", verdict, then_text(b, "verdict"));
}

static void compare_curve(struct device_pair *b)
{
    const struct clrnn_compare_row *row = &b->r->row[b->row];
    const json_t *curve = json_object_get(b->then, "loss");
    size_t differing = 0;

    if (!b->out->same_run)
        return;
    for (uint32_t s = 0; s < row->steps && s < json_array_size(curve); s++) {
        const json_t *value = json_array_get(curve, s);
        const double then = json_is_number(value) ? json_number_value(value) : NAN, now = row->curve[s];

        if (now == then || (isnan(now) && isnan(then)))
            continue;
        differing++;
        if (!(fabs(now - then) <= b->r->bound[s] * fmax(fabs(then), 0.01))) {
            note(b, "DIFFERENT: the loss of step %u is %.9g, earlier %.9g, more than rounding explains", s + 1, now,
                 then);
            return;
        }
    }
    if (differing)
        note(b, "other bits, within rounding: %zu of %u losses", differing, row->steps);
}

static void compare_speed(struct device_pair *b)
{
    const struct clrnn_compare_row *row = &b->r->row[b->row];
    const struct clrnn_timing *now = &row->step_ms;
    struct device_pair then = {.then = json_object_get(b->then, "step_ms")};
    const double median = then_number(&then, "median"), least = then_number(&then, "min");
    const double most = then_number(&then, "max"), bytes = then_number(b, "peak_device_bytes");
    static const char *const builds[] = {"build_cold_s", "build_warm_s"};

    if (now->median > SLOWER * median && now->min > median && now->median > most)
        note(b, "SLOWER: %.3f ms a step, earlier %.3f (%.2f times)", now->median, median, now->median / median);
    else if (median > SLOWER * now->median && least > now->median)
        note(b, "faster: %.3f ms a step, earlier %.3f (%.2f times)", now->median, median, median / now->median);
    for (int i = 0; i < 2; i++) {
        const double s = i ? row->build_warm_s : row->build_cold_s, earlier = then_number(b, builds[i]);

        if (s > SLOWER * earlier && s - earlier > BUILD_SLOWER_S)
            note(b, "SLOWER: %s build %.2f s, earlier %.2f s", i ? "warm" : "cold", s, earlier);
    }
    if ((double)row->peak_device_bytes > SLOWER * bytes)
        note(b, "more device memory: %llu bytes, earlier %.0f", (unsigned long long)row->peak_device_bytes, bytes);
}

// Finds the device in the earlier result by name and platform, since the numbers of devices may change.
static const json_t *find_then(const json_t *devices, const struct clrnn_compare_row *row)
{
    size_t i;
    json_t *d;

    json_array_foreach(devices, i, d)
    {
        struct device_pair b = {.then = d};

        if (!strcmp(then_text(&b, "name"), row->name) && !strcmp(then_text(&b, "platform"), row->platform))
            return d;
    }
    return NULL;
}

static enum clrnn_status read_baseline(const struct clrnn_log *log, const char *path, json_t **then)
{
    TRY(clrnn_json_read(log, path, then));
    if (json_is_array(json_object_get(*then, "devices")))
        return CLRNN_OK;
    json_decref(*then);
    *then = NULL;
    return clrnn_error(log, CLRNN_ERR_DATA, "%s: it holds no devices; expected what `clrnn compare --json FILE` wrote",
                       path);
}

static enum clrnn_status find_changes(const struct clrnn_log *log, const json_t *then,
                                      const struct clrnn_compare_result *r, struct clrnn_baseline_result *out)
{
    const char *key = json_string_value(json_object_get(then, "config_key"));
    const bool timed = r->speed && json_is_true(json_object_get(then, "speed"));

    out->same_run = key && !strcmp(key, r->config_key) &&
                    json_integer_value(json_object_get(then, "steps")) == (json_int_t)r->steps;
    for (size_t i = 0; i < r->row_count; i++) {
        struct device_pair b = {
            .then = find_then(json_object_get(then, "devices"), &r->row[i]), .r = r, .row = i, .out = out};

        if (b.then) {
            compare_texts(&b);
            compare_curve(&b);
            if (timed)
                compare_speed(&b);
        } else {
            note(&b, "not in the earlier comparison");
        }
        if (b.out_of_memory)
            return clrnn_error_memory(log, out->count * sizeof(*out->change), "the changes");
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_compare_baseline(const struct clrnn_log *log, const char *path,
                                         const struct clrnn_compare_result *result,
                                         struct clrnn_baseline_result *changes)
{
    CLRNN_C_LOCALE;
    NEED(log, path);
    if (result)
        NEED(log, changes);

    json_t *then;
    enum clrnn_status st;

    if (changes)
        *changes = (struct clrnn_baseline_result){0};
    TRY(read_baseline(log, path, &then));
    st = result ? find_changes(log, then, result, changes) : CLRNN_OK;
    json_decref(then);
    if (st != CLRNN_OK)
        clrnn_baseline_finish(changes);
    return st;
}

void clrnn_baseline_finish(struct clrnn_baseline_result *changes)
{
    if (!changes)
        return;
    free(changes->change);
    *changes = (struct clrnn_baseline_result){0};
}
