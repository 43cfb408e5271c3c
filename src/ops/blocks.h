// SPDX-License-Identifier: MIT
// Multiplies of long sequences that have the same bits whether all steps are multiplied at once or some at a
// time, as train.recompute does: steps are taken in blocks.
#ifndef CLRNN_SRC_OPS_BLOCKS_H
#define CLRNN_SRC_OPS_BLOCKS_H

#include "device/gemm/gemm.h"

/** Blocks of rows: the first, `lead`, and the others. rows 0: none, all are taken at once. */
struct clrnn_blocks {
    uint32_t lead, rows;
    bool descending; // backward comes to the last block first
};

/** Steps in a block on this device. */
uint32_t clrnn_block_steps(const struct clrnn_device *device);

/** The blocks of steps [begin, steps) of direction d, N rows each. They are counted from the direction's
 * first step; where a part of the sequence is multiplied, it begins with a block. `all`: steps of the
 * sequence. */
struct clrnn_blocks clrnn_blocks_of(const struct clrnn_launches *launches, uint32_t d, uint32_t begin,
                                    uint32_t steps, uint32_t all, uint32_t N);

/** Appends one or two multiplies as clrnn_launch_gemm_batch. _rows: the blocks are those of C's rows, and no
 * sum depends on how many rows there are. _sum: they are those of K; each is added when its own sum is
 * complete. */
enum clrnn_status clrnn_launch_gemm_rows(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                         uint32_t count, const struct clrnn_blocks *blocks);
enum clrnn_status clrnn_launch_gemm_sum(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                        uint32_t count, const struct clrnn_blocks *blocks);

#endif
