// SPDX-License-Identifier: MIT
// Arguments of the kernels in cl/gemm.cl and cl/gemm_dot.cl, declared once for host and kernels. No field may have the
// name of a function in a .cl file: a chain renames those functions by #define (src/device/list/chain_source.c).
#ifndef CLRNN_CL_GEMM_ARGS_H
#define CLRNN_CL_GEMM_ARGS_H

// The epilogue of a multiply: what is done to an element of C before it is stored. BIAS adds one bias. TANH and RELU
// add the biases, if any (at most two), and then apply the activation.
enum { EPILOGUE_NONE, EPILOGUE_BIAS, EPILOGUE_TANH, EPILOGUE_RELU };

// Arguments of one multiply, C = alpha op(A) op(B) + beta C, or of a batched pair: two multiplies of the same shape in
// one launch.
struct gemm_args {
    unsigned int M, N, K, count /* number of multiplies, 1 or 2 */;
    float alpha, beta;
    unsigned int a_offset[2], b_offset[2], c_offset[2], a_ld, b_ld;
    unsigned int c_ld, c_step; // elements between two rows of C, and between two columns
    unsigned int transpose_b;
    unsigned int m_block, // rows of C that a work-item computes
        n_block,          // columns of C that a work-item computes
        k_part;           // length of the part of K that a work-item sums up
    unsigned int k_step;  // length of K that is summed before the sums are added to C
    // K can be divided into blocks that are summed separately.
    unsigned int k_lead[2],     // length of the first block; 0: K is a single block
        k_block;                // length of each other block
    unsigned int descending[2]; // whether K's blocks are added to C from the last to the first
    unsigned int parts,         // split-K: number of parts of K
        c_part;                 // split-K: elements between the results of two parts
    unsigned int paired;        // whether a work-item computes its block of C in both multiplies, which share B
    unsigned int epilogue;
    unsigned int transposed; // whether C is computed transposed, so that biases belong to its rows
};

#endif
