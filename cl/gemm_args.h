// SPDX-License-Identifier: MIT
// Arguments of the kernels in cl/gemm.cl, declared once for host and kernels. No field may have the name of a function
// in a .cl file, because chains rename those functions.
#ifndef CLRNN_CL_GEMM_ARGS_H
#define CLRNN_CL_GEMM_ARGS_H

// The epilogue of a multiply. BIAS adds one bias. TANH and RELU add up to two biases and then apply the activation.
enum { EPILOGUE_NONE, EPILOGUE_BIAS, EPILOGUE_TANH, EPILOGUE_RELU };

// C = alpha op(A) op(B) + beta C for one multiply, or for a batched pair of the same shape.
struct gemm_args {
    unsigned int M, N, K, count /* number of multiplies, 1 or 2 */;
    float alpha, beta;
    unsigned int a_offset[2], b_offset[2], c_offset[2], a_ld, b_ld;
    unsigned int c_ld, c_step; // elements between two rows of C, and between two columns
    unsigned int transpose_b;
    unsigned int m_block, n_block, k_part; // rows and columns of C, and part of K, that a work-item computes
    unsigned int k_step;                   // steps of K that are summed before the sums are added to C
    unsigned int k_lead[2], k_block;       // sizes of K's first block and of others, summed separately; 0: one block
    unsigned int descending[2];            // whether K's blocks are added to C from the last to the first
    unsigned int parts, c_part;            // split-K: number of parts of K; elements between their results
    unsigned int paired;                   // whether a work-item computes its block of both multiplies, which share B
    unsigned int epilogue;
    unsigned int transposed; // whether C is computed transposed, so that biases belong to its rows
};

#endif
