// SPDX-License-Identifier: MIT
// A hash table that finds strings of a list: open addressing over their indices.
#ifndef CLRNN_SRC_TRAIN_TEXT_INDEX_H
#define CLRNN_SRC_TRAIN_TEXT_INDEX_H

#include "model/names.h"

/** Starts empty: zeroed except `texts`. The caller frees `slot`. */
struct clrnn_text_index {
    struct clrnn_texts *texts; // must not be grown by others
    uint32_t *slot;            // [size] index + 1, 0: free
    size_t size;               // a power of two, or 0
};

/** The index of `text`, which is added if new, unless `fixed`. SIZE_MAX: not in the list, or no memory. */
size_t clrnn_text_index_find(struct clrnn_text_index *index, const char *text, bool fixed);

#endif
