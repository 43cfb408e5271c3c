// SPDX-License-Identifier: MIT
// The 128-bit hash behind cache keys and fingerprints.
#include "base/hash.h"

#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t x) // finaliser of MurmurHash3 (public domain)
{
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdULL;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ULL;
    return x ^ (x >> 33);
}

void clrnn_hash_init(struct clrnn_hash *h)
{
    h->lane[0] = 0xcbf29ce484222325ULL;
    h->lane[1] = 0x9e3779b97f4a7c15ULL;
}

static void add_word(struct clrnn_hash *h, uint64_t word)
{
    h->lane[0] = (h->lane[0] ^ mix(word)) * 0x100000001b3ULL;
    h->lane[1] = mix(h->lane[1] + word * 0x9ddfea08eb382d69ULL);
}

void clrnn_hash_add(struct clrnn_hash *h, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t word;

    for (; size >= 8; size -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        add_word(h, word);
    }
    word = (uint64_t)size << 56; // the last word also has the number of remaining bytes
    memcpy(&word, bytes, size);
    add_word(h, word);
}

void clrnn_hash_add_text(struct clrnn_hash *h, const char *text)
{
    const size_t length = text ? strlen(text) : 0;

    add_word(h, length);
    if (length)
        clrnn_hash_add(h, text, length);
}

void clrnn_hash_hex(const struct clrnn_hash *h, char hex[33])
{
    snprintf(hex, 33, "%016llx%016llx", (unsigned long long)mix(h->lane[0]),
             (unsigned long long)mix(h->lane[1] ^ h->lane[0]));
}
