// SPDX-License-Identifier: MIT
// Launches used by several ops: sums over rows, copies with padding set to zero, and products with a bias.
#ifndef CLRNN_SRC_OPS_COLUMNS_H
#define CLRNN_SRC_OPS_COLUMNS_H

#include "device/gemm/gemm.h"

/** out [C] = sum over the valid rows of x [T * N, C]. lengths may be NULL. One launch, or two. */
enum clrnn_status clrnn_launch_column_sum(struct clrnn_launches *launches, struct clrnn_buffer *x,
                                          struct clrnn_buffer *lengths, uint32_t T, uint32_t N, uint32_t C,
                                          struct clrnn_buffer *out);

/** out [count] = sum of `blocks` rows of partial [..., count] that begin at element `start`. */
enum clrnn_status clrnn_launch_block_sum(struct clrnn_launches *launches, struct clrnn_buffer *partial,
                                         uint32_t start, uint32_t blocks, uint32_t count,
                                         struct clrnn_buffer *out);

/** Copies C numbers of each of `rows` rows. The rows of `from` begin at element from_first and are from_width
 * apart; those of `to` likewise. */
enum clrnn_status clrnn_launch_copy_columns(struct clrnn_launches *launches, size_t rows, uint32_t C,
                                            struct clrnn_buffer *from, size_t from_first, uint32_t from_width,
                                            struct clrnn_buffer *to, size_t to_first, uint32_t to_width);

/** Replaces *x [T * N, C] by a copy in scratch with zeros in padding. lengths NULL: leaves *x as it is. */
enum clrnn_status clrnn_launch_mask_rows(struct clrnn_launches *launches, struct clrnn_buffer *lengths,
                                         uint32_t T, uint32_t N, uint32_t C, struct clrnn_buffer **x);

/** Appends a product C = A B of T * N rows, and adds `bias` to each. Padding rows of C become 0, whatever A
 * has there. bias and lengths may be NULL. */
enum clrnn_status clrnn_launch_biased_product(struct clrnn_launches *launches,
                                              const struct clrnn_gemm *product, struct clrnn_buffer *bias,
                                              struct clrnn_buffer *lengths, uint32_t N);

#endif
