// SPDX-License-Identifier: MIT
// Arguments of cl/gemm.cl's kernels, declared once for the host and for them. Chains rename what .cl files define: no
// field is named as a function there.
#ifndef CLRNN_CL_GEMM_ARGS_H
#define CLRNN_CL_GEMM_ARGS_H

// The epilogue of a multiply: none, or biases, if there are any, and then an activation.
enum { EPILOGUE_NONE, EPILOGUE_BIAS, EPILOGUE_TANH, EPILOGUE_RELU };

// C = alpha op(A) op(B) + beta C for one multiply, or for a batched pair of the same shape.
struct gemm_args {
    unsigned int M, N, K, count /* of multiplies, 1 or 2 */;
    float alpha, beta;
    unsigned int a_offset[2], b_offset[2], c_offset[2], a_ld, b_ld;
    unsigned int c_ld, c_step; // elements between two rows of C, and between two columns
    unsigned int transpose_b;
    unsigned int m_block, n_block, k_part; // what a work-item owns
    unsigned int k_step;                   // depth of K between two accumulations into C
    unsigned int k_lead[2], k_block;       // K's first block and the others, each summed by itself; 0: one block
    unsigned int descending[2];            // blocks are added to C from the last one on
    unsigned int parts, c_part;            // split-K: parts of K, and elements between their results
    unsigned int paired;                   // a work-item computes its block of both multiplies, which share B
    unsigned int epilogue;
    unsigned int transposed; // C is computed transposed: the biases belong to its rows
};

#endif
