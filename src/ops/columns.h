// SPDX-License-Identifier: MIT
// Functions that append launches for several kinds of ops: sums over rows, copies with padding set to zero, and
// products with a bias.
#ifndef CLRNN_SRC_OPS_COLUMNS_H
#define CLRNN_SRC_OPS_COLUMNS_H

#include "device/gemm/gemm.h"

/** Appends launches that compute out [C] = the sum over the valid rows of x [T * N, C]: one launch, or two if there are
 * many rows. lengths NULL: all rows are valid. */
enum clrnn_status clrnn_launch_column_sum(struct clrnn_launches *launches, struct clrnn_buffer *x,
                                          struct clrnn_buffer *lengths, uint32_t T, uint32_t N, uint32_t C,
                                          struct clrnn_buffer *out);

/** Appends a launch that computes out [count] = the sum of `blocks` consecutive rows of partial [..., count]. The first
 * of these rows begins at element `start`. */
enum clrnn_status clrnn_launch_block_sum(struct clrnn_launches *launches, struct clrnn_buffer *partial, uint32_t start,
                                         uint32_t blocks, uint32_t count, struct clrnn_buffer *out);

/** Appends a launch that copies C numbers of each of `rows` rows. Row r of `from` begins at element from_first + r *
 * from_width. Row r of `to` begins at element to_first + r * to_width. */
enum clrnn_status clrnn_launch_copy_columns(struct clrnn_launches *launches, size_t rows, uint32_t C,
                                            struct clrnn_buffer *from, size_t from_first, uint32_t from_width,
                                            struct clrnn_buffer *to, size_t to_first, uint32_t to_width);

/** Appends a launch that copies *x [T * N, C] to scratch memory with zeros in padding, and sets *x to the copy. lengths
 * NULL: there is no padding, and *x stays as it is. */
enum clrnn_status clrnn_launch_mask_rows(struct clrnn_launches *launches, struct clrnn_buffer *lengths, uint32_t T,
                                         uint32_t N, uint32_t C, struct clrnn_buffer **x);

/** Appends launches that compute the product C = A B, which has T * N rows, and add `bias` to each row. Padding rows of
 * C become 0, even if A has NaN there. bias NULL: nothing is added. lengths NULL: there is
 * no padding. */
enum clrnn_status clrnn_launch_biased_product(struct clrnn_launches *launches, const struct clrnn_gemm *product,
                                              struct clrnn_buffer *bias, struct clrnn_buffer *lengths, uint32_t N);

#endif
