// SPDX-License-Identifier: MIT
// Random123's known-answer tests: kat_vectors of its distribution (1.14), "philox4x32 10".
#ifndef CLRNN_TESTS_BASE_PHILOX_KNOWN_H
#define CLRNN_TESTS_BASE_PHILOX_KNOWN_H

#include "base/random.h"

static const struct {
    struct clrnn_random stream; // key, and words 1 to 3 of the counter, as struct clrnn_random holds them
    uint32_t index,             // word 0 of the counter
        words[4];               // the words that Philox must give
} philox_known[] = {
    {{0, 0, 0, 0}, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffffffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     0xffffffff,
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x299f31d0a4093822, 0x03707344, 0x85a308d3, 0x13198a2e},
     0x243f6a88,
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

#endif
