// SPDX-License-Identifier: MIT
// Matrix multiplications, called multiplies: by clRNN's kernels or CLBlast, whichever suits the device and shape.
#ifndef CLRNN_SRC_DEVICE_GEMM_GEMM_H
#define CLRNN_SRC_DEVICE_GEMM_GEMM_H

#include "device/list/list.h"
#include "gemm_args.h"

/**
 * C = alpha op(A) op(B) + beta C, all row-major float32. op(A) is M x K, op(B) is K x N. A is stored as (M, K) or, with
 * transpose_a, as (K, M); B likewise. ld is the number of elements from one stored row's start to the next. An offset
 * counts elements from the buffer's start. With beta 0, C is never read. With K 0, C = beta C; with M or N 0, nothing
 * is done.
 *
 * If clrnn_device_gathers is true, the stored rows of A or of B can be gathered. Row i of A is then row a_rows[i] of
 * buffer a, counted from a_offset; B likewise.
 */
struct clrnn_gemm {
    bool transpose_a, transpose_b;
    uint32_t M, N, K;
    float alpha, beta;
    struct clrnn_buffer *a, *b, *c;
    size_t a_offset, b_offset, c_offset;
    uint32_t a_ld, b_ld, c_ld;
    struct clrnn_buffer *a_rows, *b_rows; // row indices, U32; at least one of the two is NULL
    // `fixed` and k_lead need clrnn_device_sums_blocks.
    // fixed: the order of additions in a sum does not depend on M and N. So a multiply of only some rows of C gives the
    // same bits.
    // descending: of the blocks of K (see k_lead), the last one is added to C first.
    bool fixed, descending;
    // k_lead: K is summed in blocks, and the first block has k_lead elements of K. The complete sum of each block is
    // added to C. One multiply per block in the same order, with beta 1, gives the same bits. k_lead > 0 needs `fixed`.
    // 0: K is not divided.
    // k_block: elements of K in each block after the first; the last block may have fewer.
    uint32_t k_lead, k_block;
    // panels: several multiplies of one shape in one list can share a packed copy of B, if B is not overwritten between
    // them. The `panels` of all these multiplies must point to one variable, which must start as NULL. The first
    // multiply sets that variable to scratch memory of the list, and packs B there. If panels is NULL, or in a batch of
    // two multiplies, no other call shares a packed copy.
    struct clrnn_buffer **panels;
};

/** Whether the stored matrices A (first letter) and B (second letter) are used as they are (N) or transposed (T). */
enum clrnn_gemm_form { CLRNN_GEMM_NN, CLRNN_GEMM_NT, CLRNN_GEMM_TN };

/** Returns the description of C = op(A) op(B) for whole matrices: each matrix starts at the start of its buffer, and
 * its rows are contiguous. */
struct clrnn_gemm clrnn_gemm_dense(enum clrnn_gemm_form form, uint32_t M, uint32_t N, uint32_t K,
                                   struct clrnn_buffer *a, struct clrnn_buffer *b, struct clrnn_buffer *c);

/** An epilogue: operations on C before C is stored. The biases are added to every row, then the activation is applied.
 * An epilogue needs beta 0. */
struct clrnn_epilogue {
    int kind;                     // EPILOGUE_BIAS, _TANH or _RELU of cl/gemm_args.h
    struct clrnn_buffer *bias[2]; // [N] each; _BIAS uses only the first; the others use both, or none (NULL)
};

/** Appends one multiply. */
enum clrnn_status clrnn_launch_gemm(struct clrnn_launches *launches, const struct clrnn_gemm *gemm);

/** Appends the multiply that clrnn_gemm_dense describes. */
enum clrnn_status clrnn_launch_gemm_dense(struct clrnn_launches *launches, enum clrnn_gemm_form form, uint32_t M,
                                          uint32_t N, uint32_t K, struct clrnn_buffer *a, struct clrnn_buffer *b,
                                          struct clrnn_buffer *c);

/** Appends one multiply or, with count 2, a batched pair: two multiplies of one shape. They may differ in buffers and
 * offsets and, if K is summed in blocks, in k_lead and `descending`. The two may run at the same time, because two
 * small multiplies keep more cores busy than one. epilogue [count], all of one kind; NULL: no epilogue. The epilogue is
 * fused into the multiply if that costs no extra launch, and *fused becomes true. If *fused is false, the caller must
 * compute the epilogue. */
enum clrnn_status clrnn_launch_gemm_batch(struct clrnn_launches *launches, const struct clrnn_gemm *gemm,
                                          uint32_t count, const struct clrnn_epilogue *epilogue, bool *fused);

/** Whether multiplies on this device can gather rows of A or B (a_rows, b_rows). Only clRNN's kernels on CPUs can. */
bool clrnn_device_gathers(const struct clrnn_device *device);
/** Whether multiplies on this device can be `fixed` and can sum K in blocks (k_lead). Only clRNN's kernels on CPUs can,
 * and only if the driver does not limit loop iterations (quirk loop_rounds). */
bool clrnn_device_sums_blocks(const struct clrnn_device *device);

#endif
