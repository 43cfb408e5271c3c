// SPDX-License-Identifier: MIT
// Reads the metric of each epoch of a sweep's trials, and draws it as curves.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/stats.h"
#include "search/sweep.h"
#include "train/picture.h"

#define NAMED 5u // number of curves that the picture's legend names

char *clrnn_sweep_trial_folder(const struct clrnn_sweep *s, uint32_t number)
{
    return clrnn_format("%s/trial-%03u", s->result->folder, number);
}

enum clrnn_status clrnn_sweep_epochs(const struct clrnn_sweep *s, uint32_t number, const char *metric, uint32_t epochs,
                                     void (*visit)(void *user, uint32_t epoch, double value), void *user)
{
    char *folder = clrnn_sweep_trial_folder(s, number),
         *path = folder ? clrnn_path_join(folder, "metrics.jsonl") : NULL;
    struct clrnn_map map = {0};
    enum clrnn_status st = path ? clrnn_map_open(s->log, path, &map) : clrnn_error_memory(s->log, 0, "a path");
    const char *line = (const char *)map.data, *const after = line ? line + map.size : NULL, *end;

    for (; st == CLRNN_OK && line && line < after && (end = memchr(line, '\n', (size_t)(after - line)));
         line = end + 1) {
        json_t *object;

        st = clrnn_json_parse(s->log, path, line, (size_t)(end - line), 0, NULL, &object);
        if (st == CLRNN_OK) {
            const json_t *value = json_object_get(object, metric);
            const json_int_t epoch = json_integer_value(json_object_get(object, "epoch"));

            if (epoch > 0 && epoch <= (json_int_t)epochs)
                visit(user, (uint32_t)epoch, json_is_number(value) ? json_number_value(value) : NAN);
        } else if (st == CLRNN_ERR_DATA) {
            st = clrnn_error(s->log, st, "%s: has a line that is not JSON", path);
        }
        json_decref(object);
    }
    clrnn_map_close(&map);
    free(path);
    free(folder);
    return st;
}

// ---------------------------------------------------------------- sweep.svg

// The finite values of the metric in all epochs of all trials.
struct extent {
    size_t count;
    double *value;
};

static void collect(void *user, uint32_t epoch, double value)
{
    struct extent *e = user;

    (void)epoch;
    if (isfinite(value) && ARRAY_GROW(e->value, e->count))
        e->value[e->count++] = value;
}

// Sets *low and *high to the range of values to draw. Values that are far worse than the median lie outside the range:
// an axis that includes them would show all other curves as flat lines. Returns false if there is no value to draw.
static bool find_range(const struct clrnn_sweep *s, double *low, double *high)
{
    const struct clrnn_sweep_result *r = s->result;
    struct extent e = {0};
    double middle;

    for (size_t i = 0; i < r->trial_count; i++)
        if (r->trial[i].epochs)
            clrnn_sweep_epochs(s, r->trial[i].number, r->metric, r->trial[i].epochs, collect, &e);
    if (e.count) {
        clrnn_sort(e.value, e.count);
        *low = e.value[0];
        *high = e.value[e.count - 1];
        middle = e.value[e.count / 2];
        if (r->highest)
            *low = fmax(*low, *high - 4 * (*high - middle));
        else
            *high = fmin(*high, *low + 4 * (middle - *low));
    }
    free(e.value);
    return e.count;
}

static void write_point(void *user, uint32_t epoch, double value)
{
    if (isfinite(value))
        fprintf(user, "%u %.9g\n", epoch, value);
}

static void write_curves(const struct clrnn_sweep *s, const struct clrnn_picture *p)
{
    static const char *const colours[NAMED] = {"#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e"};
    const struct clrnn_sweep_result *r = s->result;
    bool first = true;

    fprintf(p->script, "set title 'Trials, the best %u in colour' textcolor '#303030'\nset xlabel 'epoch'\nset ylabel ",
            (unsigned)MIN2(r->trial_count, NAMED));
    clrnn_picture_text(p, r->metric);
    fprintf(p->script, "\nset key outside right top vertical\nset xrange [1:%u]\nplot ",
            MAX2(r->budget[r->rung_count - 1], 2u));
    for (size_t i = r->trial_count; i-- > 0;) { // backwards, so that the best is drawn on top
        if (!r->trial[i].epochs)
            continue;
        fprintf(p->script, "%s'-' using 1:2 with linespoints pointtype 7 pointsize 0.5 linewidth %d linecolor '%s' ",
                first ? "" : ", ", i < NAMED ? 2 : 1, i < NAMED ? colours[i] : "#c0c0c0");
        if (i < NAMED)
            fprintf(p->script, "title 'trial %u'", r->trial[i].number);
        else
            fprintf(p->script, "notitle");
        first = false;
    }
    fprintf(p->script, "\n");
    for (size_t i = r->trial_count; i-- > 0;)
        if (r->trial[i].epochs) {
            clrnn_sweep_epochs(s, r->trial[i].number, r->metric, r->trial[i].epochs, write_point, p->script);
            fprintf(p->script, "e\n");
        }
}

void clrnn_sweep_draw(const struct clrnn_sweep *s)
{
    struct clrnn_picture picture;
    double low = 0.0, high = 0.0;
    bool drawn = false;

    if (!clrnn_picture_wanted(s->log, s->params->plot, "no picture") || !find_range(s, &low, &high))
        return;
    if (clrnn_picture_begin(s->result->folder, "sweep.svg", &picture)) {
        clrnn_picture_range(&picture, low, high);
        write_curves(s, &picture);
        drawn = clrnn_picture_end(&picture);
    }
    if (!drawn)
        clrnn_log(s->log, CLRNN_LOG_WARNING, "%s: gnuplot could not draw the picture", s->result->folder);
}
