// SPDX-License-Identifier: MIT
// Matrix multiplies: clRNN's kernels or CLBlast, whichever suits the device and shape.
#ifndef CLRNN_SRC_DEVICE_GEMM_GEMM_H
#define CLRNN_SRC_DEVICE_GEMM_GEMM_H

#include "device/list/list.h"
#include "gemm_args.h"

/**
 * C = alpha op(A) op(B) + beta C, all row-major float32. op(A) is M x K, op(B) is K x N. A is stored (M, K)
 * or, with transpose_a, (K, M); likewise B. ld counts elements between rows as stored, offset elements from
 * the buffer's start. beta 0 never reads C. M, N or K of 0: beta alone is applied.
 *
 * Rows of A or of B, as stored, are gathered where clrnn_device_gathers: row i is row a_rows[i] then.
 */
struct clrnn_gemm {
    bool transpose_a, transpose_b;
    uint32_t M, N, K;
    float alpha, beta;
    struct clrnn_buffer *a, *b, *c;
    size_t a_offset, b_offset, c_offset;
    uint32_t a_ld, b_ld, c_ld;
    struct clrnn_buffer *a_rows, *b_rows; // U32; NULL both, or one of them
    // Where clrnn_device_sums_blocks. fixed: no sum depends on M and N, so that rows of C multiplied by
    // themselves have the same bits. k_lead, k_block: the first block of K and the others, each of which is
    // added to C when its own sum is complete, `descending`: from the last block on. So multiplies of one
    // block after the other with beta 1 have the same bits. k_lead 0: no blocks.
    bool fixed, descending;
    uint32_t k_lead, k_block;
    // Multiplies of one shape in one list with the same B, which nothing in between overwrites, pack it once
    // if they have one of these: *panels starts NULL, and is scratch of the list then. NULL, and in a batch
    // of two: each by itself.
    struct clrnn_buffer **panels;
};

/** Whether A and B of a multiply are stored as they are (N) or transposed (T). */
enum clrnn_gemm_form { CLRNN_GEMM_NN, CLRNN_GEMM_NT, CLRNN_GEMM_TN };

/** C = op(A) op(B) of whole matrices: each begins its buffer, and its rows follow one another. */
struct clrnn_gemm clrnn_gemm_dense(enum clrnn_gemm_form form, uint32_t M, uint32_t N, uint32_t K,
                                   struct clrnn_buffer *a, struct clrnn_buffer *b, struct clrnn_buffer *c);

/** What is done to C before it is stored, for beta 0: the biases are added to every row, then the
 * activation. */
struct clrnn_epilogue {
    int kind;                     // EPILOGUE_BIAS, _TANH or _RELU of cl/gemm_args.h
    struct clrnn_buffer *bias[2]; // [N] each; _BIAS: the first alone, else both, or NULL both
};

/** Appends one multiply. */
enum clrnn_status clrnn_launch_gemm(struct clrnn_launches *launches, const struct clrnn_gemm *gemm);

/** Appends clrnn_gemm_dense. */
enum clrnn_status clrnn_launch_gemm_dense(struct clrnn_launches *launches, enum clrnn_gemm_form form,
                                          uint32_t M, uint32_t N, uint32_t K, struct clrnn_buffer *a,
                                          struct clrnn_buffer *b, struct clrnn_buffer *c);

/** Appends one multiply or, with count 2, a batched pair: two that differ only in buffers and offsets and
 * may run at the same time, as two small multiplies keep more cores busy than one. `epilogue` [count], all
 * of one kind, or NULL, is a request: *fused is whether it was fused, which is done if it costs no launch.
 * */
enum clrnn_status clrnn_launch_gemm_batch(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                          uint32_t count, const struct clrnn_epilogue *epilogue, bool *fused);

/** Whether multiplies can gather rows of their operands: clRNN's kernels can. */
bool clrnn_device_gathers(const struct clrnn_device *device);
/** Whether multiplies can be `fixed` and sum in blocks: clRNN's kernels can, where loops may be long. */
bool clrnn_device_sums_blocks(const struct clrnn_device *device);

#endif
