// SPDX-License-Identifier: MIT
// Reads recordings: one CSV file per sequence, and a table of their labels.
#include <glob.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "formats/cell.h"
#include "formats/csv.h"
#include "train/sequences.h"

struct entry {
    char *key;    // file name without folder and .csv
    size_t index; // position in the list of names that make_entries was given
    bool used;    // a file of this set has this key
};

struct label_table {
    struct clrnn_sequences *b;
    char *path;
    size_t file, label; // indices of the two columns
    struct clrnn_texts files, labels;
};

static char *key_of(const char *path)
{
    const char *name = strrchr(path, '/');
    char *key = clrnn_format("%s", name ? name + 1 : path);
    const size_t length = key ? strlen(key) : 0;

    if (length > 4 && !strcmp(key + length - 4, ".csv"))
        key[length - 4] = 0;
    return key;
}

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
    return strcmp(((const struct entry *)a)->key, ((const struct entry *)b)->key);
}

static void free_entries(struct entry *entry, size_t count)
{
    for (size_t i = 0; entry && i < count; i++)
        free(entry[i].key);
    free(entry);
}

// Makes an entry for each file name, and sorts the entries by key. Returns NULL if there is no memory.
static struct entry *make_entries(char *const *path, size_t count)
{
    struct entry *entry = calloc(MAX2(count, 1u), sizeof(*entry));

    for (size_t i = 0; entry && i < count; i++) {
        entry[i] = (struct entry){key_of(path[i]), i, false};
        if (!entry[i].key) {
            free_entries(entry, count);
            return NULL;
        }
    }
    if (entry)
        qsort(entry, count, sizeof(*entry), compare_entries);
    return entry;
}

// Checks whether the recording with this key (struct entry) is in the training, validation or test set of the config.
static bool is_of_another_set(const struct clrnn_config *config, const char *key)
{
    const struct clrnn_source *const set[] = {&config->data.train, &config->data.valid, &config->data.test};
    bool found = false;

    for (size_t i = 0; i < ARRAY_SIZE(set) && !found; i++) {
        char *pattern = set[i]->csv ? clrnn_path_join(config->folder, set[i]->csv) : NULL;
        glob_t files;

        if (pattern && !glob(pattern, 0, NULL, &files)) {
            for (size_t k = 0; k < files.gl_pathc && !found; k++) {
                char *other = key_of(files.gl_pathv[k]);

                found = other && !strcmp(other, key);
                free(other);
            }
            globfree(&files);
        }
        free(pattern);
    }
    return found;
}

// Adds the label of each file, from the file's row of the table. Fails if a file has no row, or if a row has no file in
// any set of the config.
static enum clrnn_status match(struct label_table *l, const struct clrnn_config *config, const glob_t *files)
{
    const struct clrnn_log *log = l->b->d->log;
    struct entry *entry = make_entries(l->files.text, l->files.count);
    enum clrnn_status st = entry ? CLRNN_OK : clrnn_sequences_memory(l->b, l->files.count * sizeof(*entry));

    for (size_t i = 1; st == CLRNN_OK && i < l->files.count; i++)
        if (!strcmp(entry[i].key, entry[i - 1].key))
            st = clrnn_error(log, CLRNN_ERR_DATA, "%s: names the recording %s twice, in rows %zu and %zu", l->path,
                             entry[i].key, entry[i - 1].index + 1, entry[i].index + 1);
    for (size_t i = 0; st == CLRNN_OK && i < files->gl_pathc; i++) {
        struct entry wanted = {key_of(files->gl_pathv[i]), 0, false}, *found;

        if (!wanted.key)
            st = clrnn_sequences_memory(l->b, 0);
        found = st == CLRNN_OK ? bsearch(&wanted, entry, l->files.count, sizeof(*entry), compare_entries) : NULL;
        free(wanted.key);
        if (st == CLRNN_OK && !found)
            st = clrnn_error(log, CLRNN_ERR_DATA, "%s: has no row for the recording %s: add it or move the file",
                             l->path, files->gl_pathv[i]);
        else if (found)
            found->used = true;
        if (found && !clrnn_texts_add(&l->b->labels, l->labels.text[found->index]))
            st = clrnn_sequences_memory(l->b, 0);
    }
    for (size_t i = 0; st == CLRNN_OK && i < l->files.count; i++)
        if (!entry[i].used && !is_of_another_set(config, entry[i].key))
            st = clrnn_error(log, CLRNN_ERR_DATA,
                             "%s: row %zu names the recording %s, which is not among the %zu files of %s: "
                             "drop the row or add the file",
                             l->path, entry[i].index + 1, l->files.text[entry[i].index], files->gl_pathc,
                             l->b->d->x_path);
    free_entries(entry, l->files.count);
    return st;
}

static enum clrnn_status read_labels(struct clrnn_sequences *b, const struct clrnn_config *config, const char *folder,
                                     const glob_t *files)
{
    struct label_table l = {.b = b, .path = clrnn_path_join(folder, b->source->label_from)};
    const struct clrnn_csv_rules rules = {0, b->source->comment ? *b->source->comment : 0};
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

enum clrnn_status clrnn_source_is_files(const struct clrnn_log *log, const struct clrnn_config *config,
                                        const struct clrnn_source *source, bool *files)
{
    const struct clrnn_source *train = &config->data.train;
    const bool table = train->csv && !clrnn_source_ts(train) && !train->label_from;

    *files = source->csv && (source->label_from || strpbrk(source->csv, "*?[") || (train->csv && train->label_from));
    if (!*files || !table || source == train)
        return CLRNN_OK;
    return clrnn_error(log, CLRNN_ERR_ARG, "%s: %s, but the model is trained on %s of one table: %s", source->csv,
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
    failed = glob(d->x_path, 0, NULL, &files);
    if (failed == GLOB_NOSPACE)
        return clrnn_sequences_memory(&b, 0);
    if (failed)
        return clrnn_error(d->log, CLRNN_ERR_DATA, "%s: no file has such a name%s", d->x_path,
                           strpbrk(d->x_path, "*?[") ? "" : ": name several as in \"recordings/*.csv\"");
    st = read_files(&b, config, folder, &files);
    globfree(&files);
    if (st == CLRNN_OK)
        st = clrnn_sequences_finish(&b, config, false);
    clrnn_texts_finish(&b.labels);
    return st;
}
