// SPDX-License-Identifier: MIT
// Multiplies over the steps of long sequences, which take the steps in blocks: results have the same bits
// whether all steps are multiplied at once or, as train.recompute does, some at a time.
#ifndef CLRNN_SRC_OPS_BLOCKS_H
#define CLRNN_SRC_OPS_BLOCKS_H

#include "device/gemm/gemm.h"

/** Blocks of rows: the first has `lead` rows, the others `rows`. rows 0: no blocks, all are taken at once. */
struct clrnn_blocks {
    uint32_t lead, rows;
    bool descending; // backward comes to the last block first
};

/** Steps in a block on this device. */
uint32_t clrnn_block_steps(const struct clrnn_device *device);

/** Divides steps [begin, steps), with N rows each, into blocks. Steps are numbered in the order in which
 * direction d takes them. A part of a sequence must begin where a block begins. `all`: steps of the whole
 * sequence; if they fit in one block, there are no blocks (rows 0). */
struct clrnn_blocks clrnn_blocks_of(const struct clrnn_launches *launches, uint32_t d, uint32_t begin,
                                    uint32_t steps, uint32_t all, uint32_t N);

/** Appends one or two multiplies, like clrnn_launch_gemm_batch. _rows: the blocks divide C's rows, and no sum
 * depends on how many rows there are. _sum: the blocks divide K, and each is added to C when its own sum is
 * complete. */
enum clrnn_status clrnn_launch_gemm_rows(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                         uint32_t count, const struct clrnn_blocks *blocks);
enum clrnn_status clrnn_launch_gemm_sum(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                        uint32_t count, const struct clrnn_blocks *blocks);

#endif
