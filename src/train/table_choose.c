// SPDX-License-Identifier: MIT
// Chooses a table's columns from a CSV file's header.
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/words.h"
#include "model/layer.h"
#include "train/table.h"

struct chooser {
    const struct clrnn_log *log;
    const struct clrnn_table_wish *wish;
    size_t columns;
    char *const *names;
    struct clrnn_table *table;
    struct clrnn_place *place;
    unsigned char *used; // [columns] bits: 1: used as a feature, 2: used otherwise
};

enum clrnn_missing clrnn_source_missing(const struct clrnn_source *source)
{
    static const char *const word[] = {"error", "zero", "mean", "forward"};

    for (size_t i = 1; i < ARRAY_SIZE(word) && source->missing; i++)
        if (!strcmp(source->missing, word[i]))
            return (enum clrnn_missing)i;
    return CLRNN_MISSING_ERROR;
}

struct clrnn_csv_rules clrnn_source_csv_rules(const struct clrnn_source *source)
{
    const char *delimiter = source->delimiter ? source->delimiter : "";
    const bool tab = !strcmp(delimiter, "tab") || !strcmp(delimiter, "\\t");

    return (struct clrnn_csv_rules){.delimiter = tab ? '\t' : *delimiter,
                                    .comment = source->comment ? *source->comment : 0,
                                    .decimal = source->decimal ? *source->decimal : 0};
}

// ---------------------------------------------------------------- finding one column

// Returns the index of the `nth` column (from 0) called `name`. If there is none, and `name` is not one that a model
// keeps, it may be a column number (from 0). Returns SIZE_MAX if no column is found.
static size_t find(const struct chooser *c, const char *name, size_t nth, bool of_model)
{
    bool negative;
    uint64_t number;

    for (size_t i = 0; i < c->columns; i++)
        if (!strcmp(c->names[i], name) && nth-- == 0)
            return i;
    if (!of_model && clrnn_integer_parse(name, &negative, &number) && !negative && number < c->columns)
        return (size_t)number;
    return SIZE_MAX;
}

static enum clrnn_status no_column(const struct chooser *c, const char *name, const char *what)
{
    char list[256] = "", hint[128] = "", *end;
    size_t best = SIZE_MAX, n = 0;

    for (size_t i = 0; i < c->columns; i++) {
        const size_t distance = clrnn_word_distance(name, c->names[i]);

        if (distance < best) {
            best = distance;
            snprintf(hint, sizeof(hint), "; did you mean \"%.80s\"?", c->names[i]);
        }
        if (n < sizeof(list) && (i < 8 || i + 1 == c->columns))
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%.40s", !i ? "" : i > 8 ? " ... " : ", ", c->names[i]);
    }
    strtod(c->names[0], &end);
    return clrnn_error(
        c->log, CLRNN_ERR_DATA, "%s: has no column %s (%s), its columns are %s%s", c->wish->path, name, what, list,
        *c->names[0] == '#'                ? ": a line that begins with # is a comment where comment: \"#\" says so"
        : !strncmp(c->names[0], "sep=", 4) ? ": the first line tells Excel the delimiter, delete it"
        : end != c->names[0] && !*end      ? ": the first line holds numbers, put one with the columns' names above it"
                                           : hint);
}

// ---------------------------------------------------------------- adding columns

static bool add_index(size_t **list, size_t *count, size_t value)
{
    if (!ARRAY_GROW(*list, *count))
        return false;
    (*list)[(*count)++] = value;
    return true;
}

static enum clrnn_status add(struct chooser *c, enum clrnn_place_kind kind, size_t column)
{
    struct clrnn_table *t = c->table;
    const size_t at = t->width;
    bool good = ARRAY_GROW(c->place, at);

    if (good)
        c->place[at] = (struct clrnn_place){.kind = kind, .column = column};
    if (good && kind == CLRNN_PLACE_FEATURE)
        good = add_index(&t->feature, &t->features, at);
    if (good && (kind == CLRNN_PLACE_TARGET || kind == CLRNN_PLACE_LABEL))
        good = add_index(&t->target, &t->targets, at);
    if (kind == CLRNN_PLACE_TIME)
        t->time = at;
    if (kind == CLRNN_PLACE_GROUP)
        t->group = at;
    if (!good || !clrnn_texts_add(&t->column, c->names[column]))
        return clrnn_error_memory(c->log, t->width * sizeof(*c->place), c->wish->path);
    c->used[column] |= kind == CLRNN_PLACE_FEATURE ? 1 : 2;
    t->width++;
    return CLRNN_OK;
}

static enum clrnn_status add_named(struct chooser *c, enum clrnn_place_kind kind, const char *name, size_t nth,
                                   bool of_model, const char *what)
{
    const size_t column = find(c, name, nth, of_model);

    if (column == SIZE_MAX && nth && find(c, name, 0, true) != SIZE_MAX)
        return clrnn_error(c->log, CLRNN_ERR_DATA, "%s: has %zu column%s named %s, expected %zu or more (%s)",
                           c->wish->path, nth, nth == 1 ? "" : "s", name, nth + 1, what);
    return column == SIZE_MAX ? no_column(c, name, what) : add(c, kind, column);
}

// Appends the names in `lines`, one per line, to `names`. Returns false if there is no memory.
static bool split_lines(const char *lines, struct clrnn_texts *names)
{
    while (*lines) {
        const size_t length = strcspn(lines, "\n");
        char *name = clrnn_format("%.*s", (int)length, lines);
        const bool good = name && clrnn_texts_add(names, name);

        free(name);
        if (!good)
            return false;
        lines += length + (lines[length] == '\n');
    }
    return true;
}

// Adds columns by name. If a name is in the list several times, its nth use means the file's nth column of that name.
static enum clrnn_status add_texts(struct chooser *c, enum clrnn_place_kind kind, const struct clrnn_texts *names,
                                   bool of_model, const char *what)
{
    for (size_t i = 0; i < names->count; i++) {
        size_t nth = 0;

        for (size_t k = 0; k < i; k++)
            nth += !strcmp(names->text[k], names->text[i]);
        TRY(add_named(c, kind, names->text[i], nth, of_model, what));
    }
    return CLRNN_OK;
}

static enum clrnn_status add_lines(struct chooser *c, enum clrnn_place_kind kind, const char *lines, const char *what)
{
    struct clrnn_texts names = {0};
    enum clrnn_status st = split_lines(lines, &names) ? add_texts(c, kind, &names, false, what)
                                                      : clrnn_error_memory(c->log, 0, c->wish->path);

    clrnn_texts_finish(&names);
    return st;
}

static enum clrnn_status choose_targets(struct chooser *c)
{
    const struct clrnn_source *s = c->wish->source;
    const struct clrnn_names *model = s->label || s->target ? NULL : c->wish->names;
    const bool several = model ? model->targets.count > 1 : !s->label && s->target && strchr(s->target, '\n');
    const enum clrnn_place_kind kind = c->wish->classes && !several ? CLRNN_PLACE_LABEL : CLRNN_PLACE_TARGET;
    struct clrnn_texts names = {0};
    enum clrnn_status st = CLRNN_OK;

    if (c->wish->targets && model)
        return add_texts(c, kind, &model->targets, true, "the target that the model was trained on");
    if (c->wish->targets && s->label)
        return add_named(c, kind, s->label, 0, false, "label");
    if (c->wish->targets)
        return s->target ? add_lines(c, kind, s->target, "target") : CLRNN_OK;
    if ((s->label && !clrnn_texts_add(&names, s->label)) || (s->target && !split_lines(s->target, &names)))
        st = clrnn_error_memory(c->log, 0, c->wish->path);
    for (size_t i = 0; i < names.count; i++) { // targets are not read, and must not become features
        const size_t column = find(c, names.text[i], 0, false);

        if (column != SIZE_MAX)
            c->used[column] |= 2;
    }
    clrnn_texts_finish(&names);
    return st;
}

static enum clrnn_status choose_features(struct chooser *c)
{
    const struct clrnn_source *s = c->wish->source;
    const bool past = s->window && clrnn_source_horizon(s); // past values of forecast targets are features

    if (c->wish->names)
        return add_texts(c, CLRNN_PLACE_FEATURE, &c->wish->names->columns, true, "that the model was trained on");
    if (s->columns)
        return add_lines(c, CLRNN_PLACE_FEATURE, s->columns, "columns");
    for (size_t i = 0; i < c->columns; i++) {
        bool wanted = !c->used[i];

        for (size_t k = 0; k < c->table->targets && past && !wanted; k++)
            wanted = c->place[c->table->target[k]].column == i;
        if (!wanted)
            continue;
        TRY(add(c, CLRNN_PLACE_FEATURE, i));
        c->place[c->table->width - 1].row_count = c->place[c->table->width - 1].numbers =
            !c->wish->by_position && (!*c->names[i] || !strncmp(c->names[i], "Unnamed: ", 9));
    }
    return CLRNN_OK;
}

// Checks that no other column has the name of a column that is the label, a target, the time or the group. Otherwise
// the header does not tell which of them is meant, and the others would become features.
static enum clrnn_status check_unique(const struct chooser *c)
{
    const struct clrnn_table *t = c->table;

    for (size_t i = 0; i < t->width; i++) {
        const char *name = c->names[c->place[i].column];
        const enum clrnn_place_kind kind = c->place[i].kind;
        size_t in_file = 0, chosen = 0;

        for (size_t k = 0; k < c->columns; k++)
            in_file += !strcmp(c->names[k], name);
        for (size_t k = 0; k < t->width; k++)
            chosen += c->place[k].kind == kind && !strcmp(c->names[c->place[k].column], name);
        if (in_file > chosen)
            return clrnn_error(c->log, CLRNN_ERR_DATA,
                               "%s: %zu columns have the name \"%.80s\" of the %s: give each another name",
                               c->wish->path, in_file, name,
                               kind == CLRNN_PLACE_TIME    ? "time"
                               : kind == CLRNN_PLACE_GROUP ? "group"
                               : kind == CLRNN_PLACE_LABEL ? "label"
                                                           : "target");
    }
    return CLRNN_OK;
}

static void report_unused(const struct chooser *c)
{
    char list[256] = "";
    size_t n = 0, count = 0;

    for (size_t i = 0; i < c->columns; i++)
        if (!c->used[i] && count++ < 8 && n < sizeof(list))
            n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%.40s", count > 1 ? ", " : "",
                                  *c->names[i] ? c->names[i] : "\"\"");
    if (count)
        clrnn_log(c->log, CLRNN_LOG_INFO, "%s: %zu %s not used: %s%s", c->wish->path, count,
                  count == 1 ? "column is" : "columns are", list, count > 8 ? ", ..." : "");
}

enum clrnn_status clrnn_table_choose(const struct clrnn_log *log, const struct clrnn_table_wish *wish, size_t columns,
                                     char *const *names, struct clrnn_table *table, struct clrnn_place **place)
{
    const struct clrnn_source *s = wish->source;
    struct chooser c = {.log = log, .wish = wish, .columns = columns, .names = names, .table = table};
    enum clrnn_status st = CLRNN_OK;

    *place = NULL;
    table->time = table->group = SIZE_MAX;
    c.used = calloc(columns, 1);
    if (!c.used)
        return clrnn_error_memory(log, columns, wish->path);
    st = choose_targets(&c);
    if (st == CLRNN_OK && s->time)
        st = add_named(&c, CLRNN_PLACE_TIME, s->time, 0, false, "time");
    if (st == CLRNN_OK && s->group)
        st = add_named(&c, CLRNN_PLACE_GROUP, s->group, 0, false, "group");
    if (st == CLRNN_OK)
        st = check_unique(&c);
    if (st == CLRNN_OK)
        st = choose_features(&c);
    if (st == CLRNN_OK && !table->features)
        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: has no column beside the label", wish->path);
    if (st == CLRNN_OK && wish->report)
        report_unused(&c);
    free(c.used);
    *place = c.place;
    return st;
}
