// SPDX-License-Identifier: MIT
// Windows of long series: which rows of a table each sample has. Samples are cut when they are read.
#ifndef CLRNN_SRC_TRAIN_SERIES_H
#define CLRNN_SRC_TRAIN_SERIES_H

#include "train/table.h"

/** Rows of one group that follow each other without a gap, in one part of a split. */
struct clrnn_span {
    size_t first, rows; // in the order of `order`
    uint32_t before;    // samples of the spans before
};

struct clrnn_series {
    uint32_t window, after, stride; // after: rows that the targets need behind a window
    uint32_t samples, season;
    bool sequences;  // each span is one sample; window: the longest
    uint32_t *order; // [rows] the table's rows group by group, or NULL: as they stand
    size_t count;
    struct clrnn_span *span; // [count] those with at least one window
};

/** Which rows of each group: all, or those before or after the split point; the share `valid` is after it. */
enum clrnn_split_part { CLRNN_PART_ALL, CLRNN_PART_TRAIN, CLRNN_PART_VALID };

/** Finds the windows of a table by the source's window, stride, time, group and split. `after`: the horizon,
 * or 0 where no targets are wanted. CLRNN_ERR_DATA: rows out of time order, the same time twice, a group
 * with too few rows, no window at all; CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_series_make(const struct clrnn_log *log, const char *path,
                                    const struct clrnn_table *table, const struct clrnn_source *source,
                                    uint32_t after, enum clrnn_split_part part,
                                    struct clrnn_series **windows);
void clrnn_series_destroy(struct clrnn_series **windows);

/** The place in the order at which a sample starts. */
size_t clrnn_series_start(const struct clrnn_series *windows, uint32_t sample);

/** The table's row at a place in the order. */
static inline size_t clrnn_series_row(const struct clrnn_series *windows, size_t at)
{
    return windows->order ? windows->order[at] : at;
}

#endif
