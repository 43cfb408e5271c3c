// SPDX-License-Identifier: MIT
// A CSV file as a table of the numbers that a data set needs: its features and targets, chosen by name or
// number, and where they are named the times and groups of its rows.
#ifndef CLRNN_SRC_TRAIN_TABLE_H
#define CLRNN_SRC_TRAIN_TABLE_H

#include "clrnn/config.h"
#include "base/file.h"
#include "model/names.h"

/** What is wanted of a file. */
struct clrnn_table_wish {
    const struct clrnn_source *source; // csv, and how to read it
    const char *path;
    const struct clrnn_names *names; // of a trained model, whose columns and classes are wanted; or NULL
    bool classes;                    // the label is a class, which may be a text
    bool targets;                    // a label or target that is not there is an error
    bool missing_targets;            // missing cells of targets stay NaN
    bool report;                     // say which columns are not used
    bool by_position;                // of a model without names: a column that counts rows stays
};

/** Columns of a table; each is a place in a row of `values`. */
struct clrnn_table {
    unsigned references;
    size_t rows, width;
    void *base;     // of a mapped file that values lie in
    size_t on_disk; // its bytes, or 0
    size_t passes;  // its pages are released when so many rows have been passed: a power of two
    bool mapped;    // by `map`, for reading only
    struct clrnn_map map;
    double *values;            // [rows, width]; NaN: missing, to be filled by `fill`
    uint64_t *missing;         // [width] cells that were missing
    double *fill;              // [width] what stands for a missing cell, or NULL: nothing does
    size_t features, targets;  // counts
    size_t *feature, *target;  // their places
    size_t time, group;        // places, or SIZE_MAX
    struct clrnn_texts column; // [width] names in the file
    struct clrnn_texts classes, groups;
};

/** Where a table's columns are found in a file's header, and what is read into which place. */
enum clrnn_place_kind {
    CLRNN_PLACE_FEATURE,
    CLRNN_PLACE_TARGET,
    CLRNN_PLACE_LABEL,
    CLRNN_PLACE_TIME,
    CLRNN_PLACE_GROUP
};
struct clrnn_place {
    enum clrnn_place_kind kind;
    size_t column;  // of the file
    double first;   // value in the first row
    double last;    // value in the row before
    bool row_count; // has no name and counted the rows so far
    bool numbers;   // has no name and held growing whole numbers so far
};

/** Chooses the columns of `names` that the wish asks for: *place [table->width], ordered by column; the
 * table's columns are set. CLRNN_ERR_DATA: no such column, with the likeliest one. */
enum clrnn_status clrnn_table_choose(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                     size_t columns, char *const *names, struct clrnn_table *table,
                                     struct clrnn_place **place);

/** Reads a file. CLRNN_ERR_DATA with row, column, what stood there, and what would mend it. */
enum clrnn_status clrnn_table_read(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                   struct clrnn_table **table);
/** Sets where the values lie in a mapped file; its groups are known. */
void clrnn_table_set_mapped(struct clrnn_table *table, void *base, size_t bytes, size_t offset);
/** Lets go of the values. */
void clrnn_table_unmap(struct clrnn_table *table);
/** Releases the mapped pages read so far; they are read from the file again when accessed. */
void clrnn_table_release(const struct clrnn_table *table);

/** Gives up one reference. */
void clrnn_table_close(struct clrnn_table **table);

/** What becomes of a missing cell: an error, 0, its column's mean, the value before it. */
enum clrnn_missing { CLRNN_MISSING_ERROR, CLRNN_MISSING_ZERO, CLRNN_MISSING_MEAN, CLRNN_MISSING_FORWARD };
enum clrnn_missing clrnn_source_missing(const struct clrnn_source *source);

/** The delimiter that a source fixes, or 0. */
char clrnn_source_delimiter(const struct clrnn_source *source);

/** Call after each row of a pass over all rows, with the row's number in that pass: releases mapped pages at
 * intervals. */
static inline void clrnn_table_passed(const struct clrnn_table *table, size_t row)
{
    if (table->on_disk && (row & (table->passes - 1)) == table->passes - 1)
        clrnn_table_release(table);
}

/** A cell, filled where it is missing. */
static inline double clrnn_table_value(const struct clrnn_table *table, size_t row, size_t place)
{
    const double value = table->values[row * table->width + place];

    return value == value || !table->fill ? value : table->fill[place];
}

/** Copies the names of features, targets and classes. NULL: no memory. */
struct clrnn_names *clrnn_table_names(const struct clrnn_table *table);

/** Compares two elements of struct clrnn_texts, for qsort and bsearch. */
int clrnn_texts_compare(const void *a, const void *b);

/** Logs a warning if the first rows, each a sample of its own, stand in order of a column of times, used or
 * not, or resemble the rows before them. CLRNN_ERR_MEMORY, or the error of reading the file's first rows. */
enum clrnn_status clrnn_table_check_order(const struct clrnn_log *log, const struct clrnn_table_wish *wish,
                                          const struct clrnn_table *table);

#endif
