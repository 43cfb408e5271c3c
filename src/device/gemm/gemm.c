// SPDX-License-Identifier: MIT
// The entry point of matrix multiplies: checks arguments, then dispatches to clRNN's kernels or CLBlast.
#include "device/gemm/internal.h"

#include <math.h>

#include "device/list/internal.h"
#include "device/remember/remember.h"

/** Checks that a stored matrix is within its buffer: rows x columns from `offset` on, with rows `ld` elements apart. If
 * `index` is not NULL, rows are gathered: checks only that `index` has `rows` indices and that one row is within the
 * buffer. */
static enum clrnn_status check_matrix(const struct clrnn_device *d, const char *letter, const struct clrnn_buffer *b,
                                      size_t offset, uint32_t ld, uint32_t rows, uint32_t columns,
                                      const struct clrnn_buffer *index)
{
    if (!b || b->device != d || b->type != CLRNN_REAL)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: %s is no buffer of reals on %s", letter, d->info.name);
    if (ld < columns)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: %s (%s) has rows of %u elements %u apart", letter, b->what,
                           (unsigned)columns, (unsigned)ld);
    if (index && (index->device != d || index->type != CLRNN_U32 || index->count < rows))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: the rows of %s (%s) are no %u indices", letter, b->what,
                           (unsigned)rows);
    if (index)
        rows = 1;
    if (rows && columns && (offset > b->count || (uint64_t)(rows - 1) * ld + columns > (uint64_t)(b->count - offset)))
        return clrnn_error(d->log, CLRNN_ERR_ARG,
                           "gemm: %s (%s) of %u rows of %u, %u apart, at %zu leaves its %zu elements", letter, b->what,
                           (unsigned)rows, (unsigned)columns, (unsigned)ld, offset, b->count);
    return CLRNN_OK;
}

/** Whether the ranges of two matrices overlap in memory, each from its first to its last element. */
static bool overlap(const struct clrnn_buffer *c, size_t c_offset, uint64_t c_extent, const struct clrnn_buffer *x,
                    size_t x_offset, uint64_t x_extent)
{
    const uint64_t c_first = c->first_byte / 4 + c_offset, x_first = x->first_byte / 4 + x_offset;

    if ((c->parent ? c->parent : c) != (x->parent ? x->parent : x))
        return false;
    return c_first < x_first + x_extent && x_first < c_first + c_extent;
}

/** Appends C = beta C, the result of a multiply with K = 0. */
static enum clrnn_status append_scale(struct clrnn_launches *launches, const struct clrnn_gemm *g)
{
    const struct clrnn_cost cost = {(double)g->M * g->N, 8.0 * g->M * g->N};

    if (g->c_offset > UINT32_MAX)
        return clrnn_error(launches->device->log, CLRNN_ERR_ARG, "gemm: C at %zu of %s lies beyond 2^32 elements",
                           g->c_offset, g->c->what);
    return clrnn_launch_kernel(
        launches, "scale", "scale_matrix", NO_DEFINES, RANGE2(g->N, g->M), cost,
        ARGS(BUF(g->c), UINT(g->c_offset), UINT(g->c_ld), UINT(g->M), UINT(g->N), REAL(g->beta)));
}

/** Appends one or two multiplies by clRNN's kernels, as clrnn_gemm_own_append. Each launch is listed as "gemm" with the
 * shape of the multiply. */
static enum clrnn_status append_own(struct clrnn_launches *launches, const struct clrnn_gemm *gemm, uint32_t count,
                                    const struct clrnn_epilogue *epilogue, bool *taken, bool *fused)
{
    size_t before, mark;
    double flops = 0;

    if (count == 1 && gemm->panels)
        TRY(clrnn_gemm_own_pack(launches, gemm));
    before = launches->count;
    mark = clrnn_launches_mark(launches);
    TRY(clrnn_gemm_own_append(launches, gemm, count, epilogue, taken, fused));
    clrnn_launches_reset(launches, mark); // the next multiply reuses the scratch memory
    for (size_t i = before; i < launches->count; i++) {
        struct clrnn_launch_info *info = &launches->launch[i].info;

        info->kernel = "gemm";
        clrnn_gemm_shape(gemm, info->shape);
        flops += info->cost.flops;
    }
    if (launches->count > before && flops == 0)
        launches->launch[before].info.cost = clrnn_gemm_cost(gemm);
    return CLRNN_OK;
}

/** Whether to use clRNN's kernels instead of CLBlast: if `clrnn tune` measured them as faster. If nothing was measured:
 * on CPUs (including Mesa's CPU device), but not on other devices. */
static bool prefers_own(const struct clrnn_device *d, const struct clrnn_gemm *g)
{
    const int measured = clrnn_tune_prefers_own(d->tune, g);

    return measured < 0 ? d->info.type == CLRNN_DEVICE_CPU : measured;
}

/** Returns the number of elements from a matrix's first to its last, both included. Rows that are gathered through
 * `index` may be anywhere up to the buffer's end. */
static uint64_t reach(const struct clrnn_buffer *b, size_t offset, uint32_t ld, uint32_t rows, uint32_t columns,
                      const struct clrnn_buffer *index)
{
    return index ? b->count - offset : (uint64_t)(rows - 1) * ld + columns;
}

static enum clrnn_status check_operands(const struct clrnn_device *d, const struct clrnn_gemm *g)
{
    const uint32_t a_rows = g->transpose_a ? g->K : g->M, a_columns = g->transpose_a ? g->M : g->K;
    const uint32_t b_rows = g->transpose_b ? g->N : g->K, b_columns = g->transpose_b ? g->K : g->N;
    const uint64_t extent = (uint64_t)(g->M - 1) * g->c_ld + g->N;

    TRY(check_matrix(d, "C", g->c, g->c_offset, g->c_ld, g->M, g->N, NULL));
    if (!g->M || !g->N || !g->K)
        return CLRNN_OK;
    TRY(check_matrix(d, "A", g->a, g->a_offset, g->a_ld, a_rows, a_columns, g->a_rows));
    TRY(check_matrix(d, "B", g->b, g->b_offset, g->b_ld, b_rows, b_columns, g->b_rows));
    if (overlap(g->c, g->c_offset, extent, g->a, g->a_offset,
                reach(g->a, g->a_offset, g->a_ld, a_rows, a_columns, g->a_rows)) ||
        overlap(g->c, g->c_offset, extent, g->b, g->b_offset,
                reach(g->b, g->b_offset, g->b_ld, b_rows, b_columns, g->b_rows)))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: C (%s) lies over A or B", g->c->what);
    return CLRNN_OK;
}

static bool same_shape(const struct clrnn_gemm *a, const struct clrnn_gemm *b)
{
    return a->M == b->M && a->N == b->N && a->K == b->K && a->transpose_a == b->transpose_a &&
           a->transpose_b == b->transpose_b && a->alpha == b->alpha && a->beta == b->beta && a->a_ld == b->a_ld &&
           a->b_ld == b->b_ld && a->c_ld == b->c_ld && a->a_rows == b->a_rows && a->b_rows == b->b_rows &&
           a->fixed == b->fixed && !a->k_lead == !b->k_lead && a->k_block == b->k_block;
}

bool clrnn_device_gathers(const struct clrnn_device *device)
{
    return device->info.type == CLRNN_DEVICE_CPU && device->gemm != CLRNN_GEMM_CLBLAST;
}

bool clrnn_device_sums_blocks(const struct clrnn_device *device)
{
    return clrnn_device_gathers(device) && isinf(clrnn_device_quirks(device)->loop_rounds);
}

static enum clrnn_status check_batch(const struct clrnn_device *d, const struct clrnn_gemm *g, uint32_t count,
                                     const struct clrnn_epilogue *epilogue)
{
    if (clrnn_device_is_ref(d))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: multiplies do not run on ref");
    if (count < 1 || count > 2 ||
        (count == 2 && (!same_shape(&g[0], &g[1]) || (epilogue && (epilogue[0].kind != epilogue[1].kind ||
                                                                   !epilogue[0].bias[0] != !epilogue[1].bias[0])))))
        return clrnn_error(d->log, CLRNN_ERR_ARG,
                           "gemm: a batch of %u multiplies, the first %ux%ux%u, expected one, or two of one shape",
                           (unsigned)count, (unsigned)g->M, (unsigned)g->N, (unsigned)g->K);
    for (uint32_t i = 0; i < count; i++)
        TRY(check_operands(d, &g[i]));
    if (g->M && g->N && (g->a_rows || g->b_rows) && (!clrnn_device_gathers(d) || (g->a_rows && g->b_rows)))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: no multiply of %s gathers rows of %s", d->info.name,
                           g->a_rows && g->b_rows ? "both A and B" : "A or B");
    if ((g->fixed || g->k_lead) && (!g->fixed || !clrnn_device_sums_blocks(d)))
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: no multiply of %s sums K in blocks", d->info.name);
    return CLRNN_OK;
}

enum clrnn_status clrnn_launch_gemm_batch(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                          uint32_t count, const struct clrnn_epilogue *epilogue, bool *fused)
{
    struct clrnn_device *d = launches->device;
    const bool own = gemm->a_rows || gemm->b_rows || gemm->fixed;
    bool taken = false;

    *fused = false;
    TRY(check_batch(d, gemm, count, epilogue));
    if (!gemm->M || !gemm->N)
        return CLRNN_OK;
    if (gemm->K && (own || d->gemm == CLRNN_GEMM_OWN || (d->gemm == CLRNN_GEMM_AUTO && prefers_own(d, gemm))))
        TRY(append_own(launches, gemm, count, epilogue, &taken, fused));
    if (taken)
        return CLRNN_OK;
    if (count > 1) {
        TRY(clrnn_launch_gemm(launches, &gemm[0]));
        return clrnn_launch_gemm(launches, &gemm[1]);
    }
    if (own)
        return clrnn_error(d->log, CLRNN_ERR_ARG, "gemm: no multiply of ours takes %ux%ux%u", (unsigned)gemm->M,
                           (unsigned)gemm->N, (unsigned)gemm->K);
    if (!gemm->K)
        return append_scale(launches, gemm);
    clrnn_tune_apply(d->tune, d);
    return clrnn_gemm_clblast_append(launches, gemm);
}

enum clrnn_status clrnn_launch_gemm(struct clrnn_launches *launches, const struct clrnn_gemm *gemm)
{
    bool fused;

    return clrnn_launch_gemm_batch(launches, gemm, 1, NULL, &fused);
}

enum clrnn_status clrnn_launch_gemm_dense(struct clrnn_launches *launches, enum clrnn_gemm_form form, uint32_t M,
                                          uint32_t N, uint32_t K, struct clrnn_buffer *a, struct clrnn_buffer *b,
                                          struct clrnn_buffer *c)
{
    const struct clrnn_gemm gemm = clrnn_gemm_dense(form, M, N, K, a, b, c);

    return clrnn_launch_gemm(launches, &gemm);
}
