// SPDX-License-Identifier: MIT
// Launches the kernels of cl/columns.cl. Also launches copies of columns, and products with a bias.
#include "ops/columns.h"
#include "ops/split.h"

enum clrnn_status clrnn_launch_block_sum(struct clrnn_launches *launches, struct clrnn_buffer *partial, uint32_t start,
                                         uint32_t blocks, uint32_t count, struct clrnn_buffer *out)
{
    const uint32_t width = clrnn_on_cpu(launches) && count >= 8 ? 16 : 1;
    const struct clrnn_cost cost = {(double)blocks * count, 4.0 * ((double)blocks * count + count)};

    return clrnn_launch_kernel(launches, "columns", "block_sum", DEFINES({"WIDTH", width}),
                               RANGE1((count + width - 1) / width), cost,
                               ARGS(BUF(partial), UINT(start), BUF(out), UINT(blocks), UINT(count)));
}

enum clrnn_status clrnn_launch_column_sum(struct clrnn_launches *launches, struct clrnn_buffer *x,
                                          struct clrnn_buffer *lengths, uint32_t T, uint32_t N, uint32_t C,
                                          struct clrnn_buffer *out)
{
    const uint32_t rows = T * N;
    const struct clrnn_split s = clrnn_split_columns(launches, rows, C);
    const struct clrnn_cost cost = {(double)rows * C, 4.0 * ((double)rows * C + C)};
    struct clrnn_buffer *partial = out;

    if (s.teams > 1)
        TRY(clrnn_launches_scratch(launches, (size_t)s.teams * C, &partial));
    TRY(clrnn_launch_kernel(launches, "columns", "column_sum", DEFINES({"WIDTH", s.width}), s.range, cost,
                            ARGS(BUF(x), BUF(lengths), BUF(partial), UINT(rows), UINT(N), UINT(C), UINT(s.chunk))));
    return s.teams > 1 ? clrnn_launch_block_sum(launches, partial, 0, s.teams, C, out) : CLRNN_OK;
}

enum clrnn_status clrnn_launch_copy_columns(struct clrnn_launches *launches, size_t rows, uint32_t C,
                                            struct clrnn_buffer *from, size_t from_first, uint32_t from_width,
                                            struct clrnn_buffer *to, size_t to_first, uint32_t to_width)
{
    const struct clrnn_split s = clrnn_split_elements(launches, rows, C, true);

    return clrnn_launch_kernel(launches, "join", "copy_columns", DEFINES({"WIDTH", s.width}), s.range,
                               (struct clrnn_cost){0, 8.0 * rows * C},
                               ARGS(BUF(from), BUF(to), UINT(rows), UINT(C), UINT(from_first), UINT(from_width),
                                    UINT(to_first), UINT(to_width), UINT(s.chunk)));
}

enum clrnn_status clrnn_launch_mask_rows(struct clrnn_launches *launches, struct clrnn_buffer *lengths, uint32_t T,
                                         uint32_t N, uint32_t C, struct clrnn_buffer **x)
{
    const uint32_t rows = T * N;
    const struct clrnn_split s = clrnn_split_elements(launches, rows, C, true);
    const struct clrnn_cost cost = {0, 8.0 * rows * C};
    struct clrnn_buffer *given = *x;

    if (lengths == NULL)
        return CLRNN_OK;
    TRY(clrnn_launches_scratch(launches, (size_t)rows * C, x));
    return clrnn_launch_kernel(launches, "columns", "mask_rows", DEFINES({"WIDTH", s.width}), s.range, cost,
                               ARGS(BUF(given), BUF(lengths), BUF(*x), UINT(rows), UINT(N), UINT(C), UINT(s.chunk)));
}

enum clrnn_status clrnn_launch_biased_product(struct clrnn_launches *launches, const struct clrnn_gemm *product,
                                              struct clrnn_buffer *bias, struct clrnn_buffer *lengths, uint32_t N)
{
    const struct clrnn_epilogue epilogue = {EPILOGUE_BIAS, {bias, NULL}};
    const uint32_t rows = product->M, C = product->N;
    const struct clrnn_split s = clrnn_split_elements(launches, rows, C, true);
    bool fused;

    TRY(clrnn_launch_gemm_batch(launches, product, 1, bias && !lengths ? &epilogue : NULL, &fused));
    if (fused || (!bias && !lengths))
        return CLRNN_OK;
    return clrnn_launch_kernel(
        launches, "linear", "linear_bias", DEFINES({"WIDTH", s.width}), s.range,
        (struct clrnn_cost){(double)rows * C, 8.0 * rows * C + 4.0 * C},
        ARGS(BUF(product->c), BUF(lengths), BUF(bias), UINT(rows), UINT(N), UINT(C), UINT(s.chunk)));
}
