// SPDX-License-Identifier: MIT
// Reads recordings: one CSV file per sequence, and a table of their labels.
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/glob.h"
#include "formats/cell.h"
#include "formats/csv.h"
#include "model/layer.h"
#include "train/sequences.h"

struct entry {
    const char *path; // as in the column file, without leading ./ and ../
    size_t index;     // position in the list of paths that make_entries was given
    const char *file; // the file of this set that the row is of, or NULL
};

struct label_table {
    struct clrnn_sequences *b;
    char *path;
    size_t file, label; // indices of the two columns
    struct clrnn_texts files, labels;
};

// ---------------------------------------------------------------- paths

static const char *without_dots(const char *path)
{
    while (!strncmp(path, "./", 2) || !strncmp(path, "../", 3))
        path = strchr(path, '/') + 1;
    return path;
}

// Returns the length of a path without .csv.
static size_t length_of(const char *path)
{
    const size_t length = strlen(path);

    return length > 4 && !strcmp(path + length - 4, ".csv") ? length - 4 : length;
}

// Returns where the last name of path [0, end) starts.
static size_t last_name(const char *path, size_t end)
{
    while (end && path[end - 1] != '/')
        end--;
    return end;
}

// Compares two paths, without .csv, name by name from the last one. *fit: one of them is the end of the other, as
// s1/walk is of data/s1/walk.csv.
static int compare_paths(const char *a, const char *b, bool *fit)
{
    size_t i = length_of(a), k = length_of(b);

    *fit = false;
    while (i && k) {
        const size_t at_a = last_name(a, i), at_b = last_name(b, k);
        const int order = memcmp(a + at_a, b + at_b, MIN2(i - at_a, k - at_b));

        if (order || i - at_a != k - at_b)
            return order ? order : i - at_a < k - at_b ? -1 : 1;
        for (i = at_a; i && a[i - 1] == '/'; i--)
            ;
        for (k = at_b; k && b[k - 1] == '/'; k--)
            ;
    }
    *fit = true;
    return (i > 0) - (k > 0);
}

static bool fit(const char *a, const char *b)
{
    bool yes;

    compare_paths(a, b, &yes);
    return yes;
}

// ---------------------------------------------------------------- the table of labels

static enum clrnn_status label_header(void *user, size_t columns, char *const *names)
{
    struct label_table *l = user;

    l->file = l->label = SIZE_MAX;
    for (size_t i = 0; i < columns; i++) {
        if (!strcmp(names[i], "file"))
            l->file = i;
        if (!strcmp(names[i], "label"))
            l->label = i;
    }
    if (l->file != SIZE_MAX && l->label != SIZE_MAX)
        return CLRNN_OK;
    return clrnn_error(l->b->d->log, CLRNN_ERR_DATA,
                       "%s: has no column %s: label_from wants a table with the columns file and label", l->path,
                       l->file == SIZE_MAX ? "file" : "label");
}

// Whether a label such as NA or nan is left to clrnn_sequences_finish, since it can be a class of the model, or a
// target that the loss leaves out.
static bool may_be_missing(const struct clrnn_sequences *b)
{
    return (b->rules->names && b->rules->names->classes.count) || (b->d->goal.missing && !b->d->goal.classes);
}

static enum clrnn_status label_cell(void *user, size_t row, size_t column, const char *text, size_t length)
{
    struct label_table *l = user;

    if (column != l->file && column != l->label)
        return CLRNN_OK;
    if (!length || (column == l->label && !may_be_missing(l->b) && clrnn_cell_is_missing(text, length)))
        return clrnn_error(l->b->d->log, CLRNN_ERR_DATA, "%s: row %zu: its %s is missing%s%s%s", l->path, row,
                           column == l->file ? "file" : "label", length ? " (\"" : "", text,
                           length ? "\"): fill it in, or call the class otherwise" : "");
    return clrnn_texts_add(column == l->file ? &l->files : &l->labels, text) ? CLRNN_OK
                                                                             : clrnn_sequences_memory(l->b, length);
}

static enum clrnn_status label_row(void *user, size_t row)
{
    (void)user;
    (void)row;
    return CLRNN_OK;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    bool fit;
    const int order = compare_paths(x->path, y->path, &fit);

    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int compare_with_path(const void *path, const void *entry)
{
    bool fit;

    return compare_paths(path, ((const struct entry *)entry)->path, &fit);
}

// Makes an entry for each path, and sorts the entries. Returns NULL if there is no memory.
static struct entry *make_entries(char *const *path, size_t count)
{
    struct entry *entry = calloc(MAX2(count, 1u), sizeof(*entry));

    for (size_t i = 0; entry && i < count; i++)
        entry[i] = (struct entry){without_dots(path[i]), i, NULL};
    if (entry)
        qsort(entry, count, sizeof(*entry), compare_entries);
    return entry;
}

// Checks whether a file of the training, validation or test set of the config fits the path of a row.
static bool is_of_another_set(const struct clrnn_config *config, const char *path)
{
    const struct clrnn_source *const set[] = {&config->data.train, &config->data.valid, &config->data.test};
    bool found = false;

    for (size_t i = 0; i < ARRAY_SIZE(set) && !found; i++) {
        glob_t files;

        if (!set[i]->csv || clrnn_glob(config->folder, set[i]->csv, &files))
            continue;
        for (size_t k = 0; k < files.gl_pathc && !found; k++)
            found = fit(without_dots(files.gl_pathv[k]), path);
        globfree(&files);
    }
    return found;
}

static enum clrnn_status named_twice(const struct label_table *l, const char *name, size_t a, size_t b)
{
    return clrnn_error(l->b->d->log, CLRNN_ERR_DATA, "%s: names the recording %.*s twice, in rows %zu and %zu", l->path,
                       (int)length_of(name), name, MIN2(a, b) + 1, MAX2(a, b) + 1);
}

static enum clrnn_status no_row(const struct label_table *l, const struct entry *entry, const char *file)
{
    const char *name = file + last_name(file, strlen(file));

    for (size_t i = 0; i < l->files.count; i++)
        if (fit(entry[i].path + last_name(entry[i].path, strlen(entry[i].path)), name))
            return clrnn_error(l->b->d->log, CLRNN_ERR_DATA,
                               "%s: has no row for the recording %s, row %zu is of %s in another folder: add a row or "
                               "correct the folder",
                               l->path, file, entry[i].index + 1, l->files.text[entry[i].index]);
    return clrnn_error(l->b->d->log, CLRNN_ERR_DATA, "%s: has no row for the recording %s: add it or move the file",
                       l->path, file);
}

// Finds the one entry that fits a file: its path leaves out folders of the file's, or has more of them.
static enum clrnn_status find_entry(const struct label_table *l, struct entry *entry, const char *file,
                                    struct entry **found)
{
    const char *const path = without_dots(file);
    size_t at = strlen(path), low = 0, high = l->files.count;

    *found = NULL;
    while (at) { // the last name, then a folder more each time
        struct entry *e;

        at = last_name(path, at);
        e = bsearch(path + at, entry, l->files.count, sizeof(*entry), compare_with_path);
        if (e && *found)
            return named_twice(l, path, e->index, (*found)->index);
        *found = e ? e : *found;
        for (; at && path[at - 1] == '/'; at--)
            ;
    }
    while (low < high) { // entries with more folders are next behind this path
        const size_t middle = low + (high - low) / 2;

        if (compare_with_path(path, &entry[middle]) < 0)
            high = middle;
        else
            low = middle + 1;
    }
    for (; low < l->files.count && fit(path, entry[low].path); low++) {
        if (*found)
            return named_twice(l, path, entry[low].index, (*found)->index);
        *found = &entry[low];
    }
    return *found ? CLRNN_OK : no_row(l, entry, file);
}

// Adds the label of each file, from the file's row of the table. Fails if a file has no row, or if a row has no file in
// any set of the config.
static enum clrnn_status match(struct label_table *l, const struct clrnn_config *config, const glob_t *files)
{
    const struct clrnn_log *log = l->b->d->log;
    struct entry *entry = make_entries(l->files.text, l->files.count);
    enum clrnn_status st = entry ? CLRNN_OK : clrnn_sequences_memory(l->b, l->files.count * sizeof(*entry));

    for (size_t i = 1; st == CLRNN_OK && i < l->files.count; i++)
        if (!compare_with_path(entry[i].path, &entry[i - 1]))
            st = named_twice(l, entry[i].path, entry[i - 1].index, entry[i].index);
    for (size_t i = 0; st == CLRNN_OK && i < files->gl_pathc; i++) {
        const char *file = files->gl_pathv[i];
        struct entry *found;

        st = find_entry(l, entry, file, &found);
        if (st == CLRNN_OK && found->file)
            st = clrnn_error(log, CLRNN_ERR_DATA,
                             "%s: row %zu names the recording %s, which can be %s or %s: give each a row with its "
                             "folder",
                             l->path, found->index + 1, l->files.text[found->index], found->file, file);
        if (st == CLRNN_OK && !clrnn_texts_add(&l->b->labels, l->labels.text[found->index]))
            st = clrnn_sequences_memory(l->b, 0);
        if (st == CLRNN_OK)
            found->file = file;
    }
    for (size_t i = 0; st == CLRNN_OK && i < l->files.count; i++)
        if (!entry[i].file && !is_of_another_set(config, entry[i].path))
            st = clrnn_error(log, CLRNN_ERR_DATA,
                             "%s: row %zu names the recording %s, which is not among the %zu files of %s: "
                             "drop the row or add the file",
                             l->path, entry[i].index + 1, l->files.text[entry[i].index], files->gl_pathc,
                             l->b->d->x_path);
    free(entry);
    return st;
}

static enum clrnn_status read_labels(struct clrnn_sequences *b, const struct clrnn_config *config, const char *folder,
                                     const glob_t *files)
{
    struct label_table l = {.b = b, .path = clrnn_path_join(folder, b->source->label_from)};
    const struct clrnn_csv_rules rules = {.comment = b->source->comment ? *b->source->comment : 0};
    const struct clrnn_csv_sink sink = {&l, label_header, label_cell, label_row};
    enum clrnn_status st = l.path ? CLRNN_OK : clrnn_sequences_memory(b, 0);

    if (st == CLRNN_OK)
        st = clrnn_csv_stream(b->d->log, l.path, &rules, &sink);
    if (st == CLRNN_OK)
        st = match(&l, config, files);
    free(b->d->y_path);
    b->d->y_path = l.path;
    clrnn_texts_finish(&l.files);
    clrnn_texts_finish(&l.labels);
    return st;
}

// ---------------------------------------------------------------- the recordings

static enum clrnn_status read_file(struct clrnn_sequences *b, const char *path, struct clrnn_names **names)
{
    struct clrnn_source alone = *b->source;
    const struct clrnn_table_wish wish = {
        .source = &alone, .path = path, .names = *names, .report = b->rules->report && !*names};
    struct clrnn_table *t;
    double *values = NULL;
    enum clrnn_status st = CLRNN_OK;

    alone.label = alone.target = NULL;
    TRY(clrnn_table_read(b->d->log, &wish, &t));
    if (!*names) { // the first file: all other files must have the same columns
        for (size_t k = 0; k < t->features && st == CLRNN_OK; k++)
            st = clrnn_sequences_column(b, t->column.text[t->feature[k]]);
        *names = clrnn_table_names(t);
    }
    if (st == CLRNN_OK)
        st = *names ? clrnn_sequences_add(b, t->rows, &values) : clrnn_sequences_memory(b, 0);
    if (st == CLRNN_OK && !clrnn_texts_add(&b->d->recording, path))
        st = clrnn_sequences_memory(b, strlen(path));
    for (size_t i = 0; i < t->rows && st == CLRNN_OK; i++)
        for (size_t k = 0; k < t->features; k++)
            values[i * t->features + k] = t->values[i * t->width + t->feature[k]];
    for (size_t k = 0; k < t->features && st == CLRNN_OK; k++)
        b->d->table->missing[k] += t->missing[t->feature[k]];
    clrnn_table_close(&t);
    return st;
}

static enum clrnn_status read_files(struct clrnn_sequences *b, const struct clrnn_config *config, const char *folder,
                                    const glob_t *files)
{
    struct clrnn_names *names = NULL, *columns = NULL;
    enum clrnn_status st = CLRNN_OK;

    if (b->source->label_from && !b->rules->no_targets)
        TRY(read_labels(b, config, folder, files));
    if (b->rules->names) { // names as in training: use only the columns, not the classes and means
        columns = calloc(1, sizeof(*columns));
        for (size_t k = 0; columns && k < b->rules->names->columns.count && st == CLRNN_OK; k++) {
            st = clrnn_sequences_column(b, b->rules->names->columns.text[k]);
            if (st == CLRNN_OK && !clrnn_texts_add(&columns->columns, b->rules->names->columns.text[k]))
                st = clrnn_sequences_memory(b, 0);
        }
        if (!columns)
            return clrnn_sequences_memory(b, sizeof(*columns));
        names = columns;
    }
    for (size_t i = 0; i < files->gl_pathc && st == CLRNN_OK; i++)
        st = read_file(b, files->gl_pathv[i], &names);
    clrnn_names_destroy(&names);
    return st;
}

enum clrnn_status clrnn_source_is_files(const struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const char *folder, bool *files)
{
    const struct clrnn_source *train = &config->data.train;
    const bool table = train->csv && !clrnn_source_ts(train) && !train->label_from && source != train;

    *files = source->csv &&
             (source->label_from || clrnn_glob_is_pattern(folder, source->csv) || (train->csv && train->label_from));
    if (*files && !table && !source->label_from && (source->label || source->target))
        return clrnn_error(d->log, CLRNN_ERR_CONFIG,
                           "%s: each of several files is one sequence: their labels are in a table that label_from "
                           "names, not in a column that %s names",
                           d->x_path, source->label ? "label" : "target");
    if (!*files || !table)
        return CLRNN_OK;
    return clrnn_error(d->log, CLRNN_ERR_ARG, "%s: %s, but the model is trained on %s of one table: %s", source->csv,
                       source->label_from ? "label_from takes each file as one sequence"
                                          : "a pattern stands for several files, each one sequence",
                       train->window ? "windows" : "rows",
                       source->label_from ? "name the column of the labels by label" : "name one file");
}

enum clrnn_status clrnn_dataset_open_files(struct clrnn_dataset *d, const struct clrnn_config *config,
                                           const struct clrnn_source *source, const char *folder,
                                           const struct clrnn_open_rules *rules)
{
    struct clrnn_sequences b = {.d = d, .source = source, .rules = rules};
    glob_t files;
    int failed;
    enum clrnn_status st;

    TRY(clrnn_sequences_begin(&b));
    failed = clrnn_glob(folder, source->csv, &files);
    if (failed == GLOB_NOSPACE)
        return clrnn_sequences_memory(&b, 0);
    if (failed)
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: no file has such a name%s", d->x_path,
                           strpbrk(source->csv, "*?[") ? "" : ": name several as in \"recordings/*.csv\"");
    st = read_files(&b, config, folder, &files);
    globfree(&files);
    if (st == CLRNN_OK)
        st = clrnn_sequences_finish(&b, config, false);
    clrnn_texts_finish(&b.labels);
    return st;
}
