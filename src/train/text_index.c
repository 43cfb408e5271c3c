// SPDX-License-Identifier: MIT
// A hash table over a list of texts.
#include "train/text_index.h"

#include <stdlib.h>
#include <string.h>

static size_t hash_of(const char *text)
{
    uint64_t h = 14695981039346656037u;

    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return (size_t)(h ^ (h >> 29));
}

static bool grow(struct clrnn_text_index *x)
{
    const size_t size = x->size ? 2 * x->size : 64;
    uint32_t *slot = calloc(size, sizeof(*slot));

    if (!slot)
        return false;
    for (size_t i = 0; i < x->texts->count; i++) {
        size_t at = hash_of(x->texts->text[i]) & (size - 1);

        while (slot[at])
            at = (at + 1) & (size - 1);
        slot[at] = (uint32_t)i + 1;
    }
    free(x->slot);
    x->slot = slot;
    x->size = size;
    return true;
}

size_t clrnn_text_index_find(struct clrnn_text_index *x, const char *text, bool fixed)
{
    size_t at;

    if (2 * (x->texts->count + 1) > x->size && !grow(x))
        return SIZE_MAX;
    for (at = hash_of(text) & (x->size - 1); x->slot[at]; at = (at + 1) & (x->size - 1))
        if (!strcmp(x->texts->text[x->slot[at] - 1], text))
            return x->slot[at] - 1;
    if (fixed || !clrnn_texts_add(x->texts, text))
        return SIZE_MAX;
    x->slot[at] = (uint32_t)x->texts->count;
    return x->texts->count - 1;
}
