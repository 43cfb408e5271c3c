// SPDX-License-Identifier: MIT
// A hash table that finds strings in a list. It holds the strings' indices, with open addressing.
#ifndef CLRNN_SRC_TRAIN_TEXT_INDEX_H
#define CLRNN_SRC_TRAIN_TEXT_INDEX_H

#include "model/names.h"

/** To begin, set `texts` and zero the other members. The caller frees `slot`. */
struct clrnn_text_index {
    struct clrnn_texts *texts; // the list; only clrnn_text_index_find may add to it
    uint32_t *slot;            // [size] index of a string + 1; 0: unused
    size_t size;               // a power of two, or 0
};

/** Returns the index of `text` in the list. A new text is added unless `fixed`. Returns SIZE_MAX if the text is new and
 * `fixed`, or if there is no memory. */
size_t clrnn_text_index_find(struct clrnn_text_index *index, const char *text, bool fixed);

#endif
