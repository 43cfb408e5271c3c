// SPDX-License-Identifier: MIT
// Counter-based random numbers: Philox 4x32-10 of Random123, the same on the host and in every kernel.
//
// The generator has no state: (seed, stream, a, b, index) always gives the same 128 bits. Philox's key is the seed (64
// bits), and its counter is {index, a, b, stream}. cl/random.h does the same in kernels.
#ifndef CLRNN_SRC_BASE_RANDOM_H
#define CLRNN_SRC_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "slots.h" // RANDOM_...: the streams

struct clrnn_random {
    uint64_t seed;
    // stream: purpose of the numbers, RANDOM_... in slots.h.
    // a, b: their meanings depend on the stream (see slots.h).
    uint32_t stream, a, b;
};

/** Sets `words` to block `index` of the random numbers; each block has four 32-bit words. */
void clrnn_random_block(const struct clrnn_random *r, uint32_t index, uint32_t words[4]);

/** Returns random word `index` (below 2^34) of 32 bits: word index % 4 of block index / 4. */
uint32_t clrnn_random_u32(const struct clrnn_random *r, uint64_t index);

/** Returns a number uniform in [0, 1) with 24 bits: (word `index` >> 8) * 2^-24. Exact in float32. */
float clrnn_random_uniform(const struct clrnn_random *r, uint64_t index);

/** Returns a standard normal number, by Box-Muller in double from the words 2 * index and 2 * index + 1. The bits
 * depend on the machine's math library; if all machines must agree, use clrnn_random_normal_portable. */
double clrnn_random_normal(const struct clrnn_random *r, uint64_t index);

/** Returns an approximately standard normal number: the sum of twelve 16-bit uniform numbers (Irwin-Hall). The
 * arithmetic is in integers except for one division, so every machine gives the same bytes. Uses the words 6 * index to
 * 6 * index + 5. */
float clrnn_random_normal_portable(const struct clrnn_random *r, uint64_t index);

/** Sets order [count] to a random permutation of 0 to count - 1 (Fisher-Yates, unbiased by rejection). */
void clrnn_random_permutation(const struct clrnn_random *r, uint32_t count, uint32_t *order);

#endif
