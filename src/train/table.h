// SPDX-License-Identifier: MIT
// A CSV file as a table of numbers: the features and targets that a data set needs, chosen by column name or number,
// and the time and group of each row if the source names columns for them.
#ifndef CLRNN_SRC_TRAIN_TABLE_H
#define CLRNN_SRC_TRAIN_TABLE_H

#include "clrnn/config.h"
#include "base/file.h"
#include "formats/csv.h"
#include "model/names.h"

/** What to read from a CSV file. */
struct clrnn_table_wish {
    const struct clrnn_source *source; // the CSV file and how to read it
    const char *path;
    const struct clrnn_names *names; // a trained model's columns and classes, which the file must match; or NULL
    bool classes;                    // the label is a class and may be text
    bool targets;                    // read the label or targets; a missing column of these is an error
    bool missing_targets;            // missing cells of targets stay NaN
    bool report;                     // log which columns are not used
    bool by_position;                // for a model without names: also keep columns that only count rows
};

/** A table. Its columns are called places: a place is an index into a row of `values`. */
struct clrnn_table {
    unsigned references;
    size_t rows, width;
    void *base;     // start of the mapped file that holds `values`
    size_t on_disk; // bytes of that file, or 0: `values` are in memory
    size_t passes;  // rows after which mapped pages are released, a power of two
    bool mapped;    // `values` are in `map`, read-only
    struct clrnn_map map;
    double *values;                     // [rows, width]; NaN: missing cell, which `fill` replaces
    uint64_t *missing;                  // [width] number of missing cells
    double *fill;                       // [width] replacements for missing cells; NULL: there are none
    size_t features, targets;           // numbers of features and of targets
    size_t *feature, *target;           // places of the features and of the targets
    size_t time, group;                 // places of the time and of the group, or SIZE_MAX
    struct clrnn_texts column;          // [width] column names in the file
    struct clrnn_texts classes, groups; // names of the classes and of the groups; no classes if labels are numbers
};

/** What a place is for, and in which column of the file it is found. */
enum clrnn_place_kind {
    CLRNN_PLACE_FEATURE,
    CLRNN_PLACE_TARGET,
    CLRNN_PLACE_LABEL,
    CLRNN_PLACE_TIME,
    CLRNN_PLACE_GROUP
};
struct clrnn_place {
    enum clrnn_place_kind kind;
    size_t column;  // index of the column in the file
    double first;   // value in the first row
    double last;    // value in the previous row
    bool row_count; // the column has no name, and so far each value is the previous one + 1
    bool numbers;   // the column has no name, and so far its values are increasing whole numbers
};

/** Finds the columns that the wish asks for among `names` [columns] and sets the table's columns. *place
 * [table->width], which the caller frees, describes each place. Errors: CLRNN_ERR_DATA if there is no such column; the
 * message names the most similar column. */
enum clrnn_status clrnn_table_choose(const struct clrnn_log *log, const struct clrnn_table_wish *wish, size_t columns,
                                     char *const *names, struct clrnn_table *table, struct clrnn_place **place);

/** Reads the table of a CSV file, from the disk cache (table_file.h) if it is there. Errors: CLRNN_ERR_DATA, with row,
 * column, the cell's text, and how to fix it. */
enum clrnn_status clrnn_table_read(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table);
/** Makes `values` point into a mapped file of `bytes` bytes, at `offset`. The groups must be known, since `passes`
 * depends on them. */
void clrnn_table_set_mapped(struct clrnn_table *table, void *base, size_t bytes, size_t offset);
/** Unmaps or frees the values. */
void clrnn_table_unmap(struct clrnn_table *table);
/** Releases the mapped pages read so far; they are read from the file again when accessed. */
void clrnn_table_release(const struct clrnn_table *table);

/** Drops one reference; the last one frees the table. */
void clrnn_table_close(struct clrnn_table **table);

/** What to do with a missing cell: report an error, or use 0, its column's mean, or the previous value of its
 * column. */
enum clrnn_missing { CLRNN_MISSING_ERROR, CLRNN_MISSING_ZERO, CLRNN_MISSING_MEAN, CLRNN_MISSING_FORWARD };
enum clrnn_missing clrnn_source_missing(const struct clrnn_source *source);

/** Returns the dialect in which the source's CSV file is written. */
struct clrnn_csv_rules clrnn_source_csv_rules(const struct clrnn_source *source);

/** Call after each row of a pass over all rows, with the row's number in that pass: releases mapped pages at
 * intervals. */
static inline void clrnn_table_passed(const struct clrnn_table *table, size_t row)
{
    if (table->on_disk && (row & (table->passes - 1)) == table->passes - 1)
        clrnn_table_release(table);
}

/** Returns the value of a cell, or its replacement from `fill` if the cell is missing. */
static inline double clrnn_table_value(const struct clrnn_table *table, size_t row, size_t place)
{
    const double value = table->values[row * table->width + place];

    return value == value || !table->fill ? value : table->fill[place];
}

/** Returns a copy of the names of features, targets and classes, and of `fill`. Returns NULL if there is no memory. */
struct clrnn_names *clrnn_table_names(const struct clrnn_table *table);

/** Compares two strings in struct clrnn_texts, for qsort and bsearch. */
int clrnn_texts_compare(const void *a, const void *b);

/** For a table in which each row is a sample: logs a warning if the rows look like a series. They do if the first rows
 * are in the order of a column of times (even an unused column), or if each row resembles the previous row. Errors:
 * CLRNN_ERR_MEMORY, and errors of reading the file. */
enum clrnn_status clrnn_table_check_order(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                          const struct clrnn_table *table);

#endif
