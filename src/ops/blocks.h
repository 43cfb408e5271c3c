// SPDX-License-Identifier: MIT
// Matrix multiplies over the time steps of long sequences. They process the steps in blocks. So the bits of the results
// do not depend on how many multiplies cover the steps: one, or several as with train.recompute.
#ifndef CLRNN_SRC_OPS_BLOCKS_H
#define CLRNN_SRC_OPS_BLOCKS_H

#include "device/gemm/gemm.h"

/** How rows are divided into blocks: the first block has `lead` rows, the others `rows`. rows 0: there are no blocks,
 * and all rows are multiplied together. */
struct clrnn_blocks {
    uint32_t lead, rows;
    // The block with the last rows comes first in a sum, because backward reaches it first.
    bool descending;
};

/** Returns the number of time steps in a block on this device. */
uint32_t clrnn_block_steps(const struct clrnn_device *device);

/** Divides the time steps [begin, steps), with N rows each, into blocks. Steps are numbered in the order in which
 * direction d goes through them. If the steps are a part of a sequence, the part must begin where a block begins. `all`
 * is the number of steps of the whole sequence. If `all` steps fit in one block, there are no blocks (rows 0). */
struct clrnn_blocks clrnn_blocks_of(const struct clrnn_launches *launches, uint32_t d, uint32_t begin, uint32_t steps,
                                    uint32_t all, uint32_t N);

/** Appends `count` multiplies (1 or 2) like clrnn_launch_gemm_batch. blocks [count] divide the rows of each C. With
 * blocks, a multiply of some of the rows of C gives these rows the same bits as a multiply of all rows. */
enum clrnn_status clrnn_launch_gemm_rows(struct clrnn_launches *launches, const struct clrnn_gemm *gemm, uint32_t count,
                                         const struct clrnn_blocks *blocks);
/** As clrnn_launch_gemm_rows, but blocks [count] divide the dimension K, over which each multiply sums. The sum of each
 * block is computed by itself and then added to C. */
enum clrnn_status clrnn_launch_gemm_sum(struct clrnn_launches *launches, const struct clrnn_gemm *gemm, uint32_t count,
                                        const struct clrnn_blocks *blocks);

#endif
