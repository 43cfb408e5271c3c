// SPDX-License-Identifier: MIT
// Reads a CSV file into a table: cells become numbers, classes, groups and times.
#include "train/table.h"

#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "formats/cell.h"
#include "train/dataset_advice.h"
#include "train/table_file.h"
#include "train/text_index.h"

#define MOST_TEXTS 1000000u // most distinct classes or groups

struct loader {
    const struct clrnn_log *log;
    const struct clrnn_table_wish *wish;
    struct clrnn_table *table;
    struct clrnn_place *place; // [width]
    // Linked lists: one column of the file may have several places. Values are places + 1; 0 ends a list.
    size_t *first,                 // [columns] first place of each column
        *next;                     // [width] for each place, the next place of the same column
    size_t capacity;               // numbers that `values` can hold
    struct clrnn_table_file *file; // for a large CSV file: receives the rows; else NULL
    double *row;                   // [width] the next row for `file`
    struct clrnn_text_index classes, groups;
    size_t encoded[2]; // [0]: first row with UTF-8 beyond ASCII; [1]: first row that is not UTF-8; 0: no such row
    bool text_label;   // labels are texts, not numbers
    bool dates;        // at least one time is a date, not a number
    bool again;        // read the file again: a label turned out to be text
    bool in_memory;    // hold the table in memory, without `file`
    bool disk_full;    // `file` could not be written: the CSV file is read again, in memory
};

// ---------------------------------------------------------------- cells

static const char *name_of(const struct loader *l, size_t place)
{
    return l->table->column.text[place];
}

static CLRNN_PRINTF(4, 5) enum clrnn_status
    bad(const struct loader *l, size_t row, size_t place, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    clrnn_error(l->log, CLRNN_ERR_DATA, "%s: row %zu, column \"%s\": %s", l->wish->path, row, name_of(l, place),
                text ? text : "is wrong");
    free(text);
    return CLRNN_ERR_DATA;
}

static char decimal_of(const struct loader *l)
{
    return l->wish->source->decimal ? *l->wish->source->decimal : '.';
}

static enum clrnn_status no_number(const struct loader *l, size_t row, size_t place, const char *text)
{
    char *sentence = clrnn_no_number(text, decimal_of(l), l->wish->names, name_of(l, place));

    bad(l, row, place, "%s", sentence ? sentence : "is no number");
    free(sentence);
    return CLRNN_ERR_DATA;
}

static enum clrnn_status read_number(const struct loader *l, size_t row, size_t place, const char *text, size_t length,
                                     double *value)
{
    const bool feature = l->place[place].kind == CLRNN_PLACE_FEATURE;
    const enum clrnn_missing missing =
        !feature && l->wish->missing_targets ? CLRNN_MISSING_MEAN : clrnn_source_missing(l->wish->source);

    if (clrnn_cell_is_missing(text, length) &&
        (missing != CLRNN_MISSING_ERROR || !clrnn_cell_number(text, length, '.', value))) {
        *value = missing == CLRNN_MISSING_ZERO ? 0.0 : (double)NAN;
        l->table->missing[place]++;
        if (missing == CLRNN_MISSING_ERROR)
            return bad(l, row, place,
                       "missing value%s%s%s; fill it in, drop the row, or %s missing: zero, mean or forward%s%s",
                       length ? " \"" : "", text, length ? "\"" : "", l->wish->names ? "train with" : "set",
                       *name_of(l, place) ? "" : ", or leave the column, which has no name, out by `columns`",
                       feature ? "" : ", or data.missing_targets: ignore for real targets");
        return CLRNN_OK;
    }
    return clrnn_cell_number(text, length, decimal_of(l), value) ? CLRNN_OK : no_number(l, row, place, text);
}

// Refuses a file that mixes encodings: the same word in two encodings would become two classes or two groups.
static enum clrnn_status check_encoding(struct loader *l, size_t row, size_t place, const char *text)
{
    const bool other = !clrnn_text_is_clean(text, CLRNN_TEXT_BYTES);
    const char *at = text;

    while (*at && (unsigned char)*at < 0x80)
        at++;
    if (!*at)
        return CLRNN_OK;
    if (!l->encoded[other])
        l->encoded[other] = row;
    return !l->encoded[!other]
               ? CLRNN_OK
               : bad(l, row, place,
                     "\"%.40s\" is %sin UTF-8, but a text in row %zu is%s: the file mixes encodings; bring all of "
                     "it to UTF-8",
                     text, other ? "not " : "", l->encoded[!other], other ? "" : " not");
}

static enum clrnn_status read_label(struct loader *l, size_t row, size_t place, const char *text, size_t length,
                                    double *value)
{
    const bool fixed = l->wish->names && l->wish->names->classes.count;
    size_t index;

    if (l->wish->missing_targets && clrnn_cell_is_missing(text, length)) {
        *value = (double)NAN;
        l->table->missing[place]++;
        return CLRNN_OK;
    }
    if (!length || (!fixed && clrnn_cell_is_missing(text, length)))
        return bad(l, row, place, "missing value%s%s%s; fill the label in or drop the row%s", length ? " \"" : "", text,
                   length ? "\"" : "", length ? ", or call the class otherwise" : "");
    if (!l->text_label && clrnn_cell_number(text, length, decimal_of(l), value))
        return CLRNN_OK;
    if (!l->text_label && l->wish->names)
        return bad(l, row, place, "\"%.40s\" is no number, and the model was trained with numbers as classes", text);
    if (!l->text_label) {
        l->text_label = true;
        l->again = row > 1;
        if (l->again)
            return CLRNN_ERR_DATA; // not logged: the file is read again
    }
    TRY(check_encoding(l, row, place, text));
    index = clrnn_text_index_find(&l->classes, text, fixed);
    if (index == SIZE_MAX && fixed)
        return bad(l, row, place, "\"%.40s\" is none of the model's %zu classes, which are %.40s ... %.40s", text,
                   l->classes.texts->count, l->classes.texts->text[0],
                   l->classes.texts->text[l->classes.texts->count - 1]);
    if (index == SIZE_MAX)
        return clrnn_error_memory(l->log, length, l->wish->path);
    *value = (double)index;
    if (index >= MOST_TEXTS)
        return bad(l, row, place, "is the label number %u that differs: is it the right column?", MOST_TEXTS);
    return CLRNN_OK;
}

static enum clrnn_status read_cell(void *user, size_t row, size_t column, const char *text, size_t length)
{
    struct loader *l = user;
    struct clrnn_table *t = l->table;

    for (size_t at = l->first[column]; at; at = l->next[at - 1]) {
        struct clrnn_place *p = &l->place[at - 1];
        double *value = l->file ? &l->row[at - 1] : &t->values[t->rows * t->width + at - 1];
        size_t index;

        switch (p->kind) {
        case CLRNN_PLACE_FEATURE:
        case CLRNN_PLACE_TARGET:
            TRY(read_number(l, row, at - 1, text, length, value));
            if (!t->rows)
                p->first = *value;
            p->row_count = p->row_count && *value == p->first + (double)t->rows;
            p->numbers = p->numbers && *value == floor(*value) && (!t->rows || *value > p->last);
            p->last = *value;
            break;
        case CLRNN_PLACE_LABEL:
            TRY(read_label(l, row, at - 1, text, length, value));
            break;
        case CLRNN_PLACE_TIME:
            l->dates = l->dates || !clrnn_cell_number(text, length, decimal_of(l), value);
            if (!clrnn_cell_time(text, length, decimal_of(l), value))
                return bad(l, row, at - 1,
                           "\"%.40s\" is no time, expected a number or a date such as 2024-05-31 12:00:00", text);
            break;
        case CLRNN_PLACE_GROUP:
            TRY(check_encoding(l, row, at - 1, text));
            index = clrnn_text_index_find(&l->groups, text, false);
            if (index == SIZE_MAX)
                return clrnn_error_memory(l->log, length, l->wish->path);
            if (index >= MOST_TEXTS)
                return bad(l, row, at - 1, "is the group number %u that differs: is it the right column?", MOST_TEXTS);
            *value = (double)index;
            break;
        }
    }
    return CLRNN_OK;
}

// Grows `values` if they have no memory for one more row.
static enum clrnn_status reserve_row(struct loader *l)
{
    struct clrnn_table *t = l->table;
    const size_t needed = (t->rows + 1) * t->width, capacity = MAX2(2 * l->capacity, 64 * t->width);
    double *larger;

    if (needed <= l->capacity || l->file)
        return CLRNN_OK;
    larger = realloc(t->values, capacity * sizeof(*larger));
    if (!larger)
        return clrnn_error_memory(l->log, capacity * sizeof(*larger), l->wish->path);
    t->values = larger;
    l->capacity = capacity;
    return CLRNN_OK;
}

// Ends this reading of the CSV file. clrnn_table_read then reads it again, into memory.
static enum clrnn_status give_up_file(struct loader *l)
{
    l->disk_full = true;
    return CLRNN_ERR_DISK;
}

static enum clrnn_status end_row(void *user, size_t row)
{
    struct loader *l = user;

    (void)row;
    if (l->file && !clrnn_table_file_append(l->file, l->row, l->table->width))
        return give_up_file(l);
    l->table->rows++;
    return reserve_row(l);
}

static enum clrnn_status read_header(void *user, size_t columns, char *const *names)
{
    struct loader *l = user;

    l->file = l->in_memory ? NULL : clrnn_table_file_begin(l->wish);
    if (l->place) // this is the second reading
        return reserve_row(l);
    TRY(clrnn_table_choose(l->log, l->wish, columns, names, l->table, &l->place));
    l->first = calloc(columns, sizeof(*l->first));
    l->next = calloc(l->table->width, sizeof(*l->next));
    l->row = calloc(l->table->width, sizeof(*l->row));
    l->table->missing = calloc(l->table->width, sizeof(*l->table->missing));
    if (!l->first || !l->next || !l->row || !l->table->missing)
        return clrnn_error_memory(l->log, columns * sizeof(*l->first), l->wish->path);
    for (size_t i = l->table->width; i-- > 0;) {
        l->next[i] = l->first[l->place[i].column];
        l->first[l->place[i].column] = i + 1;
    }
    return reserve_row(l);
}

// ---------------------------------------------------------------- after the last row

int clrnn_texts_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// Sorts classes that are texts, unless a model names them. Renumbers the labels: so far, classes are numbered in order
// of first appearance.
static enum clrnn_status sort_classes(struct loader *l)
{
    struct clrnn_table *t = l->table;
    char **sorted;
    size_t place;

    if (!l->text_label || !t->targets || l->wish->names)
        return CLRNN_OK;
    place = t->target[0];
    sorted = malloc(t->classes.count * sizeof(*sorted));
    if (!sorted)
        return clrnn_error_memory(l->log, t->classes.count * sizeof(*sorted), l->wish->path);
    memcpy(sorted, t->classes.text, t->classes.count * sizeof(*sorted));
    qsort(sorted, t->classes.count, sizeof(*sorted), clrnn_texts_compare);
    for (size_t i = 0; i < t->rows; i++) {
        double *value = &t->values[i * t->width + place];
        char *const *found = isnan(*value) ? NULL
                                           : bsearch(&t->classes.text[(size_t)*value], sorted, t->classes.count,
                                                     sizeof(*sorted), clrnn_texts_compare);

        if (found)
            *value = (double)(found - sorted);
        clrnn_table_passed(t, i);
    }
    free(t->classes.text);
    t->classes.text = sorted;
    return CLRNN_OK;
}

// Converts times that are numbers such as 20240531 into seconds, if all of them are dates with the same number of
// digits. Unconverted, they would seem to have a gap at the end of each month.
static void convert_times(const struct loader *l)
{
    const struct clrnn_table *t = l->table;
    const bool numbers = t->time != SIZE_MAX && !l->dates && t->rows;
    const unsigned digits = numbers ? (unsigned)log10(fmax(t->values[t->time], 1)) + 1 : 0;
    bool good = numbers;
    double seconds;

    for (size_t i = 0; i < t->rows && good; clrnn_table_passed(t, i++))
        good = clrnn_cell_compact_date(t->values[i * t->width + t->time], digits, &seconds);
    for (size_t i = 0; i < t->rows && good; clrnn_table_passed(t, i++)) {
        double *time = &t->values[i * t->width + t->time];

        clrnn_cell_compact_date(*time, digits, time);
    }
}

// Fills each missing cell with the previous value of its column in the same group (missing: forward).
static enum clrnn_status fill_forward(const struct loader *l)
{
    const struct clrnn_table *t = l->table;
    const size_t groups = MAX2(t->groups.count, 1u), numbers = t->features + t->targets;
    double *last;
    enum clrnn_status st = CLRNN_OK;

    if (clrnn_source_missing(l->wish->source) != CLRNN_MISSING_FORWARD)
        return CLRNN_OK;
    last = malloc(groups * t->width * sizeof(*last));
    if (!last)
        return clrnn_error_memory(l->log, groups * t->width * sizeof(*last), l->wish->path);
    for (size_t i = 0; i < groups * t->width; i++)
        last[i] = NAN;
    for (size_t i = 0; i < t->rows && st == CLRNN_OK; i++) {
        double *row = &t->values[i * t->width], *before = last;

        if (t->group != SIZE_MAX)
            before += (size_t)row[t->group] * t->width;
        for (size_t k = 0; k < numbers && st == CLRNN_OK; k++) {
            const size_t at = k < t->features ? t->feature[k] : t->target[k - t->features];

            if (l->place[at].kind != CLRNN_PLACE_FEATURE && l->wish->missing_targets)
                continue;
            if (!isnan(row[at]))
                before[at] = row[at];
            else if (isnan(before[at]))
                st = bad(l, i + 1, at,
                         "missing value, and none before it%s to carry forward: fill it in, drop the "
                         "row, or set missing: mean or zero",
                         t->group != SIZE_MAX ? " in its group" : "");
            else
                row[at] = before[at];
        }
        clrnn_table_passed(t, i);
    }
    free(last);
    return st;
}

// Warns of a feature without a name that holds growing whole numbers with gaps: these may be the row numbers of a
// larger table.
static void check_numbers(const struct loader *l, size_t at)
{
    if (l->place[at].numbers && !l->place[at].row_count && l->table->rows > 1 && l->wish->report)
        clrnn_log(l->log, CLRNN_LOG_WARNING,
                  "%s: column %zu (\"%s\") has no name and holds growing whole numbers, as the row numbers of a "
                  "larger table: it is taken as a feature; leave it out by `columns` where it says nothing of a row",
                  l->wish->path, l->place[at].column, name_of(l, at));
}

// Drops features that have no name and only count the rows, but keeps at least one feature.
static void drop_row_counts(struct loader *l)
{
    struct clrnn_table *t = l->table;
    size_t kept = 0;

    for (size_t i = 0; i < t->features; i++) {
        const size_t at = t->feature[i];

        if (!l->place[at].row_count || t->rows < 2 || t->features - i + kept < 2) {
            t->feature[kept++] = at;
            check_numbers(l, at);
            continue;
        }
        clrnn_log(l->log, CLRNN_LOG_WARNING,
                  "%s: column %zu (\"%s\") has no name and counts the rows: left out; name it by `columns` to "
                  "use it",
                  l->wish->path, l->place[at].column, name_of(l, at));
    }
    t->features = kept;
}

static enum clrnn_status fill_from_names(const struct loader *l)
{
    const struct clrnn_names *names = l->wish->names;
    struct clrnn_table *t = l->table;

    if (!names || !names->fill || clrnn_source_missing(l->wish->source) != CLRNN_MISSING_MEAN)
        return CLRNN_OK;
    t->fill = malloc(t->width * sizeof(*t->fill));
    if (!t->fill)
        return clrnn_error_memory(l->log, t->width * sizeof(*t->fill), l->wish->path);
    for (size_t i = 0; i < t->width; i++)
        t->fill[i] = NAN;
    for (size_t i = 0; i < t->features; i++)
        t->fill[t->feature[i]] = names->fill[i];
    for (size_t i = 0; i < t->targets && !l->wish->missing_targets; i++)
        t->fill[t->target[i]] = names->fill[t->features + i];
    return CLRNN_OK;
}

static enum clrnn_status load(struct loader *l)
{
    const struct clrnn_source *s = l->wish->source;
    const struct clrnn_csv_rules rules = clrnn_source_csv_rules(s);
    const struct clrnn_csv_sink sink = {l, read_header, read_cell, end_row};
    const struct clrnn_names *names = l->wish->names;
    enum clrnn_status st;

    for (size_t i = 0; names && i < names->classes.count; i++)
        if (clrnn_text_index_find(&l->classes, names->classes.text[i], false) == SIZE_MAX)
            return clrnn_error_memory(l->log, 0, l->wish->path);
    l->text_label = l->classes.texts->count;
    st = clrnn_csv_stream(l->log, l->wish->path, &rules, &sink);
    if (l->again) {
        clrnn_table_file_abort(&l->file);
        l->table->rows = 0;
        memset(l->table->missing, 0, l->table->width * sizeof(*l->table->missing));
        clrnn_log(l->log, CLRNN_LOG_WARNING,
                  "%s: the labels of column \"%s\" are numbers and texts: all are taken as texts", l->wish->path,
                  name_of(l, l->table->target[0]));
        st = clrnn_csv_stream(l->log, l->wish->path, &rules, &sink);
    }
    TRY(st);
    if (l->file && !clrnn_table_file_map(l->file, l->table))
        return give_up_file(l);
    convert_times(l);
    TRY(sort_classes(l));
    TRY(fill_forward(l));
    drop_row_counts(l);
    if (l->file && !clrnn_table_file_commit(&l->file, l->table))
        return give_up_file(l);
    return fill_from_names(l);
}

// Reads the CSV file. *disk_full: the table could not be written to the disk cache.
static enum clrnn_status read_csv(const struct clrnn_log *log, const struct clrnn_table_wish *wish, bool in_memory,
                                  bool *disk_full, struct clrnn_table **table)
{
    struct clrnn_table *t = calloc(1, sizeof(*t));
    struct loader l = {.log = log, .wish = wish, .table = t, .in_memory = in_memory};
    enum clrnn_status st;

    *table = NULL;
    if (!t)
        return clrnn_error_memory(log, sizeof(*t), wish->path);
    t->references = 1;
    l.classes.texts = &t->classes;
    l.groups.texts = &t->groups;
    st = load(&l);
    free(l.classes.slot);
    free(l.groups.slot);
    free(l.place);
    free(l.first);
    free(l.next);
    free(l.row);
    clrnn_table_file_abort(&l.file);
    if (st != CLRNN_OK)
        clrnn_table_close(&t);
    *disk_full = l.disk_full;
    *table = t;
    return st;
}

enum clrnn_status clrnn_table_read(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table)
{
    bool disk_full;
    enum clrnn_status st;

    TRY(clrnn_table_find(log, wish, table));
    if (*table) {
        struct loader l = {.log = log, .wish = wish, .table = *table};

        st = fill_from_names(&l);
        if (st != CLRNN_OK)
            clrnn_table_close(table);
        return st;
    }
    st = read_csv(log, wish, false, &disk_full, table);
    if (st == CLRNN_OK || !disk_full)
        return st;
    clrnn_log(log, CLRNN_LOG_WARNING,
              "%s: its table cannot be kept, the cache folder's disk is full: it is held in memory "
              "(XDG_CACHE_HOME names another folder)",
              wish->path);
    return read_csv(log, wish, true, &disk_full, table);
}
