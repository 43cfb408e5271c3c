// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox 4x32-10 of Random123, the same on the host and in every kernel.
//
// A draw is addressed, never consumed: (seed, stream, a, b, index) always gives the same 128 bits. The
// key is the seed (64 bits); the counter is {index, a, b, stream}. cl/random.h does the same.
#ifndef CLRNN_SRC_BASE_RANDOM_H
#define CLRNN_SRC_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "slots.h" // RANDOM_...: the streams

struct clrnn_random {
    uint64_t seed;
    uint32_t stream, a, b;
};

/** Computes block `index` of the random numbers, which has four 32-bit words. */
void clrnn_random_block(const struct clrnn_random *r, uint32_t index, uint32_t words[4]);

/** The `index`-th 32-bit word: word index % 4 of block index / 4. */
uint32_t clrnn_random_u32(const struct clrnn_random *r, uint64_t index);

/** Uniform in [0, 1) with 24 bits: word >> 8, times 2^-24. Exact in float32. */
float clrnn_random_uniform(const struct clrnn_random *r, uint64_t index);

/** Standard normal, Box-Muller in double on words 2k, 2k+1 of the stream. Same bits on each machine
 *  up to its libm; where bytes must agree everywhere use clrnn_random_normal_portable. */
double clrnn_random_normal(const struct clrnn_random *r, uint64_t index);

/** Nearly normal from twelve 16-bit uniforms (Irwin-Hall), integer arithmetic but for one division:
 *  the same bytes on every machine. Uses words 6 * index to 6 * index + 5. */
float clrnn_random_normal_portable(const struct clrnn_random *r, uint64_t index);

/** A permutation of 0..count-1 (Fisher-Yates from the end, unbiased by rejection). */
void clrnn_random_permutation(const struct clrnn_random *r, uint32_t count, uint32_t *order);

#endif
