// SPDX-License-Identifier: MIT
// How a kernel's work is divided among work-items: on CPUs loops over float16 vectors; on GPUs one element
// per work-item, or groups that reduce together. cl/vector.h is the kernels' part.
#ifndef CLRNN_SRC_OPS_SPLIT_H
#define CLRNN_SRC_OPS_SPLIT_H

#include "device/list/list.h"

struct clrnn_split {
    uint32_t width; // -D WIDTH: numbers in a vector, 1 or 16
    uint32_t lanes; // -D LANES: work-items per row, 1 or a power of two
    uint32_t chunk; // elements or rows per team of lanes
    uint32_t teams; // number of teams, one for each chunk
    struct clrnn_range range;
};

/** The local memory in which the lanes of a reduction add up: one float per lane. */
#define LANE_SUMS(split) LOCAL((split).lanes * sizeof(float))

/** The split of `count` independent elements; chunk is in elements. */
struct clrnn_split clrnn_split_flat(const struct clrnn_launches *launches, size_t count);

/** Like clrnn_split_flat for [rows, C]. `ragged`: rows differ (padding), so that a vector must not span rows.
 */
struct clrnn_split clrnn_split_elements(const struct clrnn_launches *launches, size_t rows, uint32_t C,
                                        bool ragged);

/** The split for reductions of each row of C elements; chunk is in rows. */
struct clrnn_split clrnn_split_rows(struct clrnn_launches *launches, size_t rows, uint32_t C);

/** The split for reductions of columns in `teams` blocks of `chunk` rows; range: (column groups, blocks). */
struct clrnn_split clrnn_split_columns(const struct clrnn_launches *launches, size_t rows, uint32_t C);

/** Divides `rows` into at most 512 blocks of at least `least` rows, with a team of `lanes` for each. */
struct clrnn_split clrnn_split_blocks(size_t rows, size_t least, uint32_t width, uint32_t lanes);

/** Whether to use the kernels' CPU form: the device is a CPU, unless CLRNN_KERNEL_FORM says otherwise. */
bool clrnn_on_cpu(const struct clrnn_launches *launches);

/** Lanes of a reduction, for all kernels of an op: the autotuned number, otherwise `standard` (a power of
 * two), limited by the device's largest work-group. */
uint32_t clrnn_lanes(struct clrnn_launches *launches, uint32_t standard);

#endif
