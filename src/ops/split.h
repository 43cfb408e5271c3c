// SPDX-License-Identifier: MIT
// How a kernel's work is split among work-items: long float16 loops on CPUs, one number each or groups
// that add up together on GPUs. The kernels' side is cl/vector.h.
#ifndef CLRNN_SRC_OPS_SPLIT_H
#define CLRNN_SRC_OPS_SPLIT_H

#include "device/list/list.h"

struct clrnn_split {
    uint32_t width; // -D WIDTH: numbers in a vector, 1 or 16
    uint32_t lanes; // -D LANES: work-items that share a row, 1 or a power of two
    uint32_t chunk; // elements or rows that one team works through
    uint32_t teams; // how many chunks there are
    struct clrnn_range range;
};

/** The argument `room` of kernels whose lanes add up together. */
#define LANE_SUMS(split) LOCAL((split).lanes * sizeof(float))

/** `count` numbers, each for itself; chunk counts numbers. */
struct clrnn_split clrnn_split_flat(const struct clrnn_launches *launches, size_t count);

/** The same for [rows, C] where rows differ (padding): vectors only where a row fills them. */
struct clrnn_split clrnn_split_elements(const struct clrnn_launches *launches, size_t rows, uint32_t C,
                                        bool ragged);

/** Rows of C numbers that are reduced to one each; chunk counts rows. */
struct clrnn_split clrnn_split_rows(struct clrnn_launches *launches, size_t rows, uint32_t C);

/** Columns that are reduced over blocks of `chunk` rows, `teams` blocks: range is (column groups, blocks). */
struct clrnn_split clrnn_split_columns(const struct clrnn_launches *launches, size_t rows, uint32_t C);

/** `rows` of something split in blocks of at least `least`, at most 512 blocks; a team of `lanes` each. */
struct clrnn_split clrnn_split_blocks(size_t rows, size_t least, uint32_t width, uint32_t lanes);

/** Whether the launches go to a CPU, or environment CLRNN_KERNEL_FORM says that they do. */
bool clrnn_on_cpu(const struct clrnn_launches *launches);

/** Lanes of a group: `standard`, a power of two, less where the device has no larger groups, or what was
 * measured to be fastest. For all kernels of an op that add up. */
uint32_t clrnn_lanes(struct clrnn_launches *launches, uint32_t standard);

#endif
