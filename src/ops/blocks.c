// SPDX-License-Identifier: MIT
// Matrix multiplies over the time steps of long sequences, in blocks of steps. One launch computes all blocks if
// clrnn_device_sums_blocks is true; otherwise each block takes a launch.
#include "ops/blocks.h"

#include "base/array.h"
#include "ops/split.h"

// Time steps in a block, for the CPU and the GPU form of kernels. In the GPU form each block takes a launch, so blocks
// are long: GPU_STEPS recurrent steps take far longer than one more launch.
enum { CPU_STEPS = 64, GPU_STEPS = 256 };

uint32_t clrnn_block_steps(const struct clrnn_device *device)
{
    return clrnn_device_cpu_form(device) ? CPU_STEPS : GPU_STEPS;
}

struct clrnn_blocks clrnn_blocks_of(const struct clrnn_launches *l, uint32_t d, uint32_t begin, uint32_t steps,
                                    uint32_t all, uint32_t N)
{
    const uint32_t each = clrnn_block_steps(clrnn_launches_device(l));

    if (all <= each)
        return (struct clrnn_blocks){0};
    return (struct clrnn_blocks){
        .lead = (d ? (steps - 1) % each + 1 : each - begin) * N, .rows = each * N, .descending = d == 0};
}

// Finds block i in the order in which blocks are computed, from 0. The block has the rows [*first, *first + *count) of
// `all` rows. Returns false if there are at most i blocks.
static bool block_at(const struct clrnn_blocks *b, uint32_t all, uint32_t i, uint32_t *first, uint32_t *count)
{
    const uint32_t blocks = all > b->lead ? 1 + clrnn_divide_up(all - b->lead, b->rows) : 1;
    const uint32_t block = b->descending ? blocks - 1 - i : i;

    if (i >= blocks)
        return false;
    *first = block ? b->lead + (block - 1) * b->rows : 0;
    *count = MIN2(block ? b->rows : b->lead, all - *first);
    return true;
}

static enum clrnn_status at_once(struct clrnn_launches *l, const struct clrnn_gemm *gemm, uint32_t count)
{
    bool fused;

    return clrnn_launch_gemm_batch(l, gemm, count, NULL, &fused);
}

enum clrnn_status clrnn_launch_gemm_rows(struct clrnn_launches *l, const struct clrnn_gemm *gemm, uint32_t count,
                                         const struct clrnn_blocks *blocks)
{
    struct clrnn_gemm m[2] = {gemm[0], gemm[count - 1]};
    uint32_t first, rows;

    m[0].fixed = m[1].fixed = blocks->rows > 0;
    if (!blocks->rows || clrnn_device_sums_blocks(clrnn_launches_device(l)))
        return at_once(l, m, count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; block_at(&blocks[i], gemm[i].M, k, &first, &rows); k++) {
            struct clrnn_gemm part = gemm[i];

            part.M = rows;
            part.a_offset += (size_t)first * part.a_ld;
            part.c_offset += (size_t)first * part.c_ld;
            TRY(clrnn_launch_gemm(l, &part));
        }
    return CLRNN_OK;
}

enum clrnn_status clrnn_launch_gemm_sum(struct clrnn_launches *l, const struct clrnn_gemm *gemm, uint32_t count,
                                        const struct clrnn_blocks *blocks)
{
    struct clrnn_gemm m[2] = {gemm[0], gemm[count - 1]};
    uint32_t first, rows;

    for (uint32_t i = 0; i < count; i++) {
        m[i].fixed = blocks[i].rows > 0;
        m[i].k_lead = blocks[i].lead;
        m[i].k_block = blocks[i].rows;
        m[i].descending = blocks[i].descending;
    }
    if (!blocks->rows || clrnn_device_sums_blocks(clrnn_launches_device(l)))
        return at_once(l, m, count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; block_at(&blocks[i], gemm[i].K, k, &first, &rows); k++) {
            struct clrnn_gemm part = gemm[i];

            part.K = rows;
            part.a_offset += (size_t)first * part.a_ld;
            part.b_offset += (size_t)first * part.b_ld;
            part.beta = k ? 1 : part.beta;
            TRY(clrnn_launch_gemm(l, &part));
        }
    return CLRNN_OK;
}
