// SPDX-License-Identifier: MIT
// Finds windows: sorts rows by group, finds gaps in time, and divides each group at the split point.
#include "train/series.h"

#include <math.h>
#include <stdio.h>

#include "base/array.h"
#include "base/stats.h"

#define DIFFERENCES 65536u // most differences between neighbouring times that the median is taken of
#define GAP 1.5            // a difference above GAP times the usual difference is a gap

struct finder {
    const struct clrnn_log *log;
    const char *path;
    const struct clrnn_table *table;
    const struct clrnn_source *source;
    enum clrnn_split_part part;
    struct clrnn_series *w;
    double usual; // median difference between neighbouring times
    size_t gaps,  // gaps found
        at_gap,   // index of the row after the first gap
        longest,  // rows in the longest span
        empty,    // groups without a window
        at_empty; // index of the first row of the first of them
    uint64_t samples;
};

static double value_at(const struct finder *f, size_t at, size_t place)
{
    return f->table->values[clrnn_series_row(f->w, at) * f->table->width + place];
}

static const char *group_name(const struct finder *f, size_t at)
{
    return f->table->group == SIZE_MAX ? "" : f->table->groups.text[(size_t)value_at(f, at, f->table->group)];
}

// If the rows of some group are not contiguous in the table, sets f->w->order to the indices of all rows, stably sorted
// by group.
static enum clrnn_status find_order(struct finder *f)
{
    const struct clrnn_table *t = f->table;
    size_t *start, last = 0;
    bool apart = false;

    if (t->group == SIZE_MAX)
        return CLRNN_OK;
    for (size_t i = 0; i < t->rows; i++) { // groups are numbered in order of first appearance
        const size_t group = (size_t)t->values[i * t->width + t->group];

        apart = apart || group < last;
        last = group;
        clrnn_table_passed(t, i);
    }
    if (!apart)
        return CLRNN_OK;
    start = calloc(t->groups.count + 1, sizeof(*start));
    f->w->order = malloc(t->rows * sizeof(*f->w->order));
    if (!start || !f->w->order) {
        free(start);
        return clrnn_error_memory(f->log, t->rows * sizeof(*f->w->order), f->path);
    }
    for (size_t i = 0; i < t->rows; clrnn_table_passed(t, i++))
        start[(size_t)t->values[i * t->width + t->group] + 1]++;
    for (size_t k = 1; k <= t->groups.count; k++)
        start[k] += start[k - 1];
    for (size_t i = 0; i < t->rows; clrnn_table_passed(t, i++))
        f->w->order[start[(size_t)t->values[i * t->width + t->group]]++] = (uint32_t)i;
    free(start);
    return CLRNN_OK;
}

// Returns the index after the last row of the group that begins at index `first`.
static size_t group_end(const struct finder *f, size_t first)
{
    size_t end = first + 1;

    if (f->table->group == SIZE_MAX)
        return f->table->rows;
    while (end < f->table->rows && value_at(f, end, f->table->group) == value_at(f, first, f->table->group))
        clrnn_table_passed(f->table, end++);
    return end;
}

static enum clrnn_status check_times(const struct finder *f)
{
    const size_t time = f->table->time, group = f->table->group;

    for (size_t i = 1; i < f->table->rows; i++) {
        const double now = value_at(f, i, time), before = value_at(f, i - 1, time);
        const bool grouped = group != SIZE_MAX;

        clrnn_table_passed(f->table, i);
        if ((grouped && value_at(f, i, group) != value_at(f, i - 1, group)) || now > before)
            continue;
        return clrnn_error(f->log, CLRNN_ERR_DATA, "%s: row %zu, column \"%s\": %s row %zu%s%.60s%s: %s", f->path,
                           clrnn_series_row(f->w, i) + 1, f->table->column.text[time],
                           now == before ? "the same time as in" : "earlier than in", clrnn_series_row(f->w, i - 1) + 1,
                           grouped ? " of group \"" : "", group_name(f, i), grouped ? "\"" : "",
                           now != before ? "sort the rows by time"
                           : grouped     ? "drop one of the two rows"
                                     : "drop one of the two, or name the column that tells series apart by `group`");
    }
    return CLRNN_OK;
}

// Sets f->usual to the median difference between neighbouring times of the same group. Takes a sample of the
// differences if there are many.
static enum clrnn_status find_usual(struct finder *f)
{
    const struct clrnn_table *t = f->table;
    const size_t stride = t->rows / DIFFERENCES + 1;
    double *difference = malloc((t->rows / stride + 1) * sizeof(*difference));
    size_t count = 0;

    if (!difference)
        return clrnn_error_memory(f->log, t->rows / stride * sizeof(*difference), f->path);
    for (size_t i = 1, n = 1; i < t->rows; i += stride, n++) {
        if (n % 64 == 0)
            clrnn_table_release(t);
        if (t->group == SIZE_MAX || value_at(f, i, t->group) == value_at(f, i - 1, t->group))
            difference[count++] = value_at(f, i, t->time) - value_at(f, i - 1, t->time);
    }
    clrnn_sort(difference, count);
    f->usual = count ? difference[count / 2] : INFINITY;
    free(difference);
    return CLRNN_OK;
}

static enum clrnn_status add_span(struct finder *f, size_t first, size_t end)
{
    struct clrnn_series *w = f->w;
    const size_t rows = end - first, needed = (size_t)w->window + w->after;

    f->longest = MAX2(f->longest, rows);
    if (rows < needed)
        return CLRNN_OK;
    if (!ARRAY_GROW(w->span, w->count))
        return clrnn_error_memory(f->log, 2 * w->count * sizeof(*w->span), f->path);
    w->span[w->count++] = (struct clrnn_span){first, rows, (uint32_t)f->samples};
    f->samples += (rows - needed) / w->stride + 1;
    if (f->samples > INT32_MAX)
        return clrnn_error(f->log, CLRNN_ERR_DATA, "%s: has more than %d windows: set a larger stride", f->path,
                           INT32_MAX);
    return CLRNN_OK;
}

static enum clrnn_status add_group(struct finder *f, size_t first, size_t end)
{
    const size_t rows = end - first, needed = (size_t)f->w->window + f->w->after;
    const size_t behind = (size_t)llround(f->source->split_valid * (double)rows);
    size_t from = first, to = end, start;

    if (f->table->group != SIZE_MAX && rows < needed)
        return clrnn_error(f->log, CLRNN_ERR_DATA,
                           "%s: the group \"%.60s\" has %zu %s, fewer than the %zu of window %u and horizon "
                           "%u: leave it out or choose a smaller window",
                           f->path, group_name(f, first), rows, rows == 1 ? "row" : "rows", needed, f->w->window,
                           f->w->after);
    if (f->part == CLRNN_PART_TRAIN)
        to = end - behind;
    if (f->part == CLRNN_PART_VALID)
        from = end - behind;
    start = from;
    for (size_t i = from + 1; i < to && f->table->time != SIZE_MAX; clrnn_table_passed(f->table, i++))
        if (value_at(f, i, f->table->time) - value_at(f, i - 1, f->table->time) > GAP * f->usual) {
            TRY(add_span(f, start, i));
            start = i;
            if (!f->gaps++)
                f->at_gap = i;
        }
    return start < to ? add_span(f, start, to) : CLRNN_OK;
}

// Warns of groups that take no part. If the series is divided by `split`, each part has a warning of its own.
static void warn_empty(const struct finder *f, const char *part)
{
    char groups[160];

    if (!f->empty || (f->part == CLRNN_PART_ALL && f->source->split))
        return;
    if (f->empty == 1)
        snprintf(groups, sizeof(groups), "the group \"%.60s\" has", group_name(f, f->at_empty));
    else
        snprintf(groups, sizeof(groups), "%zu of %zu groups, the first of them \"%.60s\", have", f->empty,
                 f->table->groups.count, group_name(f, f->at_empty));
    clrnn_log(f->log, CLRNN_LOG_WARNING, "%s: %s no window of %u and horizon %u%s", f->path, groups, f->w->window,
              f->w->after, *part ? part : " between two gaps in time");
}

static enum clrnn_status find(struct finder *f)
{
    const struct clrnn_table *t = f->table;
    const char *const part = f->part == CLRNN_PART_TRAIN   ? " in the training part of split.valid"
                             : f->part == CLRNN_PART_VALID ? " in the validation part of split.valid"
                                                           : "";
    char gaps[96] = "";

    TRY(find_order(f));
    if (t->time != SIZE_MAX) {
        TRY(check_times(f));
        TRY(find_usual(f));
    }
    for (size_t i = 0, end; i < t->rows; i = end) {
        const uint64_t before = f->samples;

        end = group_end(f, i);
        TRY(add_group(f, i, end));
        if (f->samples == before && !f->empty++)
            f->at_empty = i;
    }
    f->w->samples = (uint32_t)f->samples;
    if (f->gaps)
        snprintf(gaps, sizeof(gaps), " between two of the %zu gaps in time", f->gaps);
    if (!f->samples)
        return clrnn_error(f->log, CLRNN_ERR_DATA,
                           "%s: has at most %zu rows in a row%s%s, fewer than the %zu of window %u and "
                           "horizon %u: choose a smaller window%s",
                           f->path, f->longest, gaps, part, (size_t)f->w->window + f->w->after, f->w->window,
                           f->w->after,
                           *part     ? " or another share"
                           : f->gaps ? ", or leave `time` out"
                                     : "");
    if (f->gaps && f->part == CLRNN_PART_ALL)
        clrnn_log(f->log, CLRNN_LOG_INFO, "%s: no window crosses gaps in time: there %s %zu%s after row %zu", f->path,
                  f->gaps == 1 ? "is" : "are", f->gaps, f->gaps == 1 ? "," : ", the first",
                  clrnn_series_row(f->w, f->at_gap - 1) + 1);
    warn_empty(f, part);
    return CLRNN_OK;
}

enum clrnn_status clrnn_series_make(const struct clrnn_log *log, const char *path, const struct clrnn_table *table,
                                    const struct clrnn_source *source, uint32_t after, enum clrnn_split_part part,
                                    struct clrnn_series **windows)
{
    struct finder f = {.log = log, .path = path, .table = table, .source = source, .part = part};
    enum clrnn_status st;

    *windows = NULL;
    f.w = calloc(1, sizeof(*f.w));
    if (!f.w)
        return clrnn_error_memory(log, sizeof(*f.w), path);
    f.w->window = source->window;
    f.w->after = after;
    f.w->season = source->season;
    f.w->stride = MAX2(source->stride, 1u);
    st = find(&f);
    if (st != CLRNN_OK)
        clrnn_series_destroy(&f.w);
    *windows = f.w;
    return st;
}

void clrnn_series_destroy(struct clrnn_series **windows)
{
    if (*windows) {
        free((*windows)->order);
        free((*windows)->span);
        free(*windows);
    }
    *windows = NULL;
}

size_t clrnn_series_start(const struct clrnn_series *windows, uint32_t sample)
{
    size_t low = 0, high = windows->count;

    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;

        if (windows->span[middle].before <= sample)
            low = middle;
        else
            high = middle;
    }
    return windows->span[low].first + (size_t)(sample - windows->span[low].before) * windows->stride;
}
