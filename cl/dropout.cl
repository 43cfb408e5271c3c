// SPDX-License-Identifier: MIT
// Dropout. Forward and backward run the same kernel, which draws the same mask again (doc/maths.md, "Dropout").
//
// Defines: WIDTH 16 or 1.
#include "random.h"
#include "slots.h"
#include "vector.h"

#if WIDTH == 16
// Philox 4x32-10, as in random.h, for 16 counters at a time. wide_product computes the high and the low halves of 32 x
// 32 bit products. It multiplies the even and the odd elements of the vector separately, as 64-bit numbers. Every
// compiler turns this into vector multiplies, while mul_hi on vectors often becomes 16 scalar multiplies.
static inline void wide_product(uint16 a, ulong m, uint16 *high, uint16 *low)
{
    const ulong8 whole = as_ulong8(a), even = (whole & 0xffffffffUL) * m, odd = (whole >> 32) * m;

    *high = as_uint16((even >> 32) | (odd & 0xffffffff00000000UL));
    *low = as_uint16((even & 0xffffffffUL) | (odd << 32));
}

static inline void philox16(uint16 w[4], uint key0, uint key1)
{
    for (uint i = 0; i < 10; i++) {
        uint16 high0, low0, high1, low1;

        wide_product(w[0], 0xD2511F53UL, &high0, &low0);
        wide_product(w[2], 0xCD9E8D57UL, &high1, &low1);
        w[0] = high1 ^ w[1] ^ key0;
        w[1] = low1;
        w[2] = high0 ^ w[3] ^ key1;
        w[3] = low0;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
}

// The random words of counters a to d, in the order of the elements: word k of counter i is for element 4 * i + k.
#define IN_ORDER(a, b, c, d) \
    (uint16)(w[0].s##a, w[1].s##a, w[2].s##a, w[3].s##a, w[0].s##b, w[1].s##b, w[2].s##b, w[3].s##b, \
             w[0].s##c, w[1].s##c, w[2].s##c, w[3].s##c, w[0].s##d, w[1].s##d, w[2].s##d, w[3].s##d)

static inline real16 kept(uint16 word, real16 x, uint threshold, real scale)
{
    return select((real16)(0.0f), x * scale, (word >> 8) >= threshold);
}
#endif

// Applies one mask [count] to all steps of x [steps, count] and writes the result to y. A work-item computes `chunk`
// elements of each step. `chunk` is a multiple of 64, or of 4 if WIDTH is 1.
kernel void dropout(global const real *x, global const uint *counter, global real *y, uint count, uint steps,
                    uint stream, uint threshold, real scale, uint chunk)
{
    const size_t last = min((size_t)count, ((size_t)get_global_id(0) + 1) * chunk);
    const uint seed_lo = counter[COUNTER_SEED_LO], seed_hi = counter[COUNTER_SEED_HI];
    const uint step = counter[COUNTER_STEP];

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint index = (uint)(e / 4);
#if WIDTH == 16
        uint16 w[4], word[4];

        w[0] = index + as_uint16(INDEXES);
        w[1] = step;
        w[2] = stream;
        w[3] = RANDOM_DROPOUT;
        philox16(w, seed_lo, seed_hi);
        word[0] = IN_ORDER(0, 1, 2, 3);
        word[1] = IN_ORDER(4, 5, 6, 7);
        word[2] = IN_ORDER(8, 9, a, b);
        word[3] = IN_ORDER(c, d, e, f);
        for (uint i = 0; i < 4 && e < last; i++, e += 16) {
            const uint n = (uint)(last - e);

            for (size_t at = e; at < (size_t)steps * count; at += count)
                store(kept(word[i], load(x + at, n), threshold, scale), y + at, n);
        }
#else
        const uint4 word = random_block(seed_lo, seed_hi, RANDOM_DROPOUT, step, stream, index) >> 8;
        const uint words[4] = {word.x, word.y, word.z, word.w};

        for (uint i = 0; i < 4 && e < last; i++, e++)
            for (size_t at = e; at < (size_t)steps * count; at += count)
                y[at] = words[i] >= threshold ? x[at] * scale : 0.0f;
#endif
    }
}

// Does what `dropout` does for a part of a batch. The whole batch has COUNTER_SAMPLES samples; the part begins at
// sample COUNTER_SAMPLE. The samples get the mask that they have in the whole batch. A row of x has `row` numbers, C
// for each sample of the part. A work-item computes `chunk` elements of each step.
kernel void dropout_part(global const real *x, global const uint *counter, global real *y, uint count,
                         uint steps, uint stream, uint threshold, real scale, uint chunk, uint row, uint C)
{
    const size_t last = min((size_t)count, ((size_t)get_global_id(0) + 1) * chunk);
    const uint seed_lo = counter[COUNTER_SEED_LO], seed_hi = counter[COUNTER_SEED_HI];
    const uint step = counter[COUNTER_STEP], skipped = counter[COUNTER_SAMPLES] * C - row;
    const uint first = counter[COUNTER_SAMPLE] * C;

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last; e += WIDTH) {
#if WIDTH == 16
        const uint16 here = (uint)e + as_uint16(INDEXES), index = here + here / row * skipped + first;
        const uint16 which = index & 3;
        const uint n = (uint)(last - e);
        uint16 w[4];

        w[0] = index / 4;
        w[1] = step;
        w[2] = stream;
        w[3] = RANDOM_DROPOUT;
        philox16(w, seed_lo, seed_hi);
        w[0] = select(select(w[0], w[1], which == 1), select(w[2], w[3], which == 3), which > 1);
        for (size_t at = e; at < (size_t)steps * count; at += count)
            store(kept(w[0], load(x + at, n), threshold, scale), y + at, n);
#else
        const uint index = (uint)e + (uint)e / row * skipped + first;
        const uint4 word = random_block(seed_lo, seed_hi, RANDOM_DROPOUT, step, stream, index / 4) >> 8;
        const uint words[4] = {word.x, word.y, word.z, word.w};

        for (size_t at = e; at < (size_t)steps * count; at += count)
            y[at] = words[index & 3] >= threshold ? x[at] * scale : 0.0f;
#endif
    }
}
