// SPDX-License-Identifier: MIT
// Matrix multiplies: clRNN's kernels or CLBlast, whichever suits the device and shape.
#ifndef CLRNN_SRC_DEVICE_GEMM_GEMM_H
#define CLRNN_SRC_DEVICE_GEMM_GEMM_H

#include "device/list/list.h"
#include "gemm_args.h"

/**
 * C = alpha op(A) op(B) + beta C, all row-major float32. op(A) is M x K, op(B) is K x N. A is stored as (M,
 * K) or, with transpose_a, as (K, M); B likewise. ld counts elements between rows as stored, offset elements
 * from the buffer's start. With beta 0, C is never read. With K 0, C = beta C; with M or N 0, nothing is
 * done.
 *
 * Where clrnn_device_gathers, the stored rows of A or of B can be gathered: row i of A is then row a_rows[i].
 */
struct clrnn_gemm {
    bool transpose_a, transpose_b;
    uint32_t M, N, K;
    float alpha, beta;
    struct clrnn_buffer *a, *b, *c;
    size_t a_offset, b_offset, c_offset;
    uint32_t a_ld, b_ld, c_ld;
    struct clrnn_buffer *a_rows, *b_rows; // row indices, U32; at least one of the two is NULL
    // Both need clrnn_device_sums_blocks. fixed: no sum depends on M and N, so that multiplying some rows of
    // C by themselves gives the same bits. k_lead, k_block: K is summed in blocks, the first of k_lead and
    // the others of k_block; each complete sum is added to C, from the last block on if `descending`. One
    // multiply for each block in turn, with beta 1, gives the same bits. k_lead 0: no blocks.
    bool fixed, descending;
    uint32_t k_lead, k_block;
    // Lets multiplies of one shape in one list pack the B that they share once, if nothing in between
    // overwrites it: all point to one variable, which starts NULL and becomes scratch memory of the list. If
    // panels is NULL, or in a batch of two, each multiply packs for itself.
    struct clrnn_buffer **panels;
};

/** Whether A and B of a multiply are stored as they are (N) or transposed (T). */
enum clrnn_gemm_form { CLRNN_GEMM_NN, CLRNN_GEMM_NT, CLRNN_GEMM_TN };

/** C = op(A) op(B) of whole matrices: each starts at the start of its buffer and has contiguous rows. */
struct clrnn_gemm clrnn_gemm_dense(enum clrnn_gemm_form form, uint32_t M, uint32_t N, uint32_t K,
                                   struct clrnn_buffer *a, struct clrnn_buffer *b, struct clrnn_buffer *c);

/** Operations on C before it is stored: the biases are added to every row, then the activation is applied.
 * They need beta 0. */
struct clrnn_epilogue {
    int kind;                     // EPILOGUE_BIAS, _TANH or _RELU of cl/gemm_args.h
    struct clrnn_buffer *bias[2]; // [N] each; _BIAS: only the first; otherwise both, or both NULL
};

/** Appends one multiply. */
enum clrnn_status clrnn_launch_gemm(struct clrnn_launches *launches, const struct clrnn_gemm *gemm);

/** Appends the multiply that clrnn_gemm_dense returns. */
enum clrnn_status clrnn_launch_gemm_dense(struct clrnn_launches *launches, enum clrnn_gemm_form form,
                                          uint32_t M, uint32_t N, uint32_t K, struct clrnn_buffer *a,
                                          struct clrnn_buffer *b, struct clrnn_buffer *c);

/** Appends one multiply or, with count 2, a batched pair: two that differ only in buffers and offsets and may
 * run at the same time, as two small multiplies keep more cores busy than one. `epilogue` [count], all of one
 * kind, or NULL: it is fused if that costs no extra launch, and *fused says whether it was. */
enum clrnn_status clrnn_launch_gemm_batch(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                          uint32_t count, const struct clrnn_epilogue *epilogue, bool *fused);

/** Whether multiplies can gather rows of their operands: clRNN's kernels on CPUs can. */
bool clrnn_device_gathers(const struct clrnn_device *device);
/** Whether multiplies can be `fixed` and sum in blocks (k_lead): clRNN's on CPUs, if the driver does not
 * limit the rounds of a loop (quirk loop_rounds). */
bool clrnn_device_sums_blocks(const struct clrnn_device *device);

#endif
