// SPDX-License-Identifier: MIT
// A 128-bit hash for cache keys and data fingerprints; not cryptographic. It has two lanes of 64 bits: one in the style
// of FNV-1a, the other with the finaliser of MurmurHash3.
#ifndef CLRNN_SRC_BASE_HASH_H
#define CLRNN_SRC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct clrnn_hash {
    uint64_t lane[2];
};

void clrnn_hash_init(struct clrnn_hash *h);
void clrnn_hash_add(struct clrnn_hash *h, const void *data, size_t size);
void clrnn_hash_add_text(struct clrnn_hash *h, const char *text); // also adds the length; NULL counts as ""
void clrnn_hash_hex(const struct clrnn_hash *h, char hex[33]);

#endif
