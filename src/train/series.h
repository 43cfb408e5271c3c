// SPDX-License-Identifier: MIT
// Windows over long series: which table rows belong to each sample. A sample's values are copied from the table only
// when the sample is read.
#ifndef CLRNN_SRC_TRAIN_SERIES_H
#define CLRNN_SRC_TRAIN_SERIES_H

#include "train/table.h"

/** Consecutive rows of one group without a gap in time, all in the same part of a train/validation split. */
struct clrnn_span {
    size_t first,    // index of the first row in clrnn_series.order
        rows;        // number of rows
    uint32_t before; // number of samples in the spans before this one
};

struct clrnn_series {
    uint32_t window, after, stride; // after: the horizon, the number of rows that follow a window and hold its targets
    uint32_t samples, season;       // season: the source's, in rows, for naive predictions; 0: none
    bool sequences;                 // each span is one sample; `window` is the length of the longest span
    uint32_t *order;                // [rows] the table's rows sorted by group, or NULL: as they are in the table
    size_t count;
    struct clrnn_span *span; // [count] spans that hold at least one window
};

/** Which rows of each group to use. ALL: all rows. TRAIN: the rows before the split point. VALID: the rows after it, a
 * fraction split.valid of the group's rows. */
enum clrnn_split_part { CLRNN_PART_ALL, CLRNN_PART_TRAIN, CLRNN_PART_VALID };

/** Finds the windows of a table by the source's window, stride, time, group and split. `after`: the horizon, or 0 where
 * no targets are wanted. Errors: CLRNN_ERR_DATA: rows out of time order, the same time twice, a group with too few
 * rows, or no window at all; CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_series_make(const struct clrnn_log *log, const char *path, const struct clrnn_table *table,
                                    const struct clrnn_source *source, uint32_t after, enum clrnn_split_part part,
                                    struct clrnn_series **windows);
void clrnn_series_destroy(struct clrnn_series **windows);

/** Returns the index in `order` of the first row of a sample. */
size_t clrnn_series_start(const struct clrnn_series *windows, uint32_t sample);

/** Returns the number of the table's row at index `at` of `order` (NULL: rows are in order). */
static inline size_t clrnn_series_row(const struct clrnn_series *windows, size_t at)
{
    return windows->order ? windows->order[at] : at;
}

#endif
