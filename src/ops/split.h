// SPDX-License-Identifier: MIT
// How a kernel's work is divided among work-items. In the CPU form of a kernel (clrnn_on_cpu), a work-item loops over
// many elements in vectors of up to 16 floats. In the GPU form, a work-item computes one element, or the work-items of
// a group reduce a row together. cl/vector.h and cl/reduce.h have the functions that kernels use for this.
#ifndef CLRNN_SRC_OPS_SPLIT_H
#define CLRNN_SRC_OPS_SPLIT_H

#include "device/list/list.h"

struct clrnn_split {
    uint32_t width; // -D WIDTH: numbers in a vector, 1 or 16
    uint32_t lanes; // -D LANES: work-items of a team, which reduce a row together: 1 or a power of two
    uint32_t chunk; // elements or rows that a team computes
    uint32_t teams; // number of teams, one for each chunk
    struct clrnn_range range;
};

/** Kernel argument: local memory in which a team adds up its partial sums, one float for each work-item. */
#define LANE_SUMS(split) LOCAL((split).lanes * sizeof(float))

/** Returns the split of `count` independent elements; its chunk counts elements. */
struct clrnn_split clrnn_split_flat(const struct clrnn_launches *launches, size_t count);

/** Like clrnn_split_flat, for the elements of a matrix [rows, C]. `ragged`: rows differ, since some are padding, and so
 * a vector must not extend from one row into the next. */
struct clrnn_split clrnn_split_elements(const struct clrnn_launches *launches, size_t rows, uint32_t C, bool ragged);

/** Returns the split for a kernel that reduces each row of C elements; its chunk counts rows. */
struct clrnn_split clrnn_split_rows(struct clrnn_launches *launches, size_t rows, uint32_t C);

/** Returns the split for a kernel that reduces the columns of a matrix [rows, C], in `teams` blocks of `chunk` rows.
 * Dimension 0 of the range counts vectors of `width` columns, dimension 1 counts blocks. */
struct clrnn_split clrnn_split_columns(const struct clrnn_launches *launches, size_t rows, uint32_t C);

/** Returns the split of `rows` rows into at most 512 blocks of at least `least` rows. Each block is for a team of
 * `lanes` work-items. */
struct clrnn_split clrnn_split_blocks(size_t rows, size_t least, uint32_t width, uint32_t lanes);

/** Whether kernels are built in their CPU form: a work-item computes many elements in vectors, and there are no
 * barriers. Otherwise they are built in their GPU form. CPUs get the CPU form, unless the environment variable
 * CLRNN_KERNEL_FORM says otherwise. */
bool clrnn_on_cpu(const struct clrnn_launches *launches);

/** Returns how many work-items reduce a row together, in all kernels of an op: the autotuned number if there is one,
 * otherwise `standard` (a power of two). It is at most the device's largest work-group size. */
uint32_t clrnn_lanes(struct clrnn_launches *launches, uint32_t standard);

#endif
