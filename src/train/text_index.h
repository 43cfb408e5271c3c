// SPDX-License-Identifier: MIT
// Finds texts of a list by hash: open addressing over their indices.
#ifndef CLRNN_SRC_TRAIN_TEXT_INDEX_H
#define CLRNN_SRC_TRAIN_TEXT_INDEX_H

#include "model/names.h"

/** Zeroed but for `texts`: nothing is known yet. `slot` is to be freed. */
struct clrnn_text_index {
    struct clrnn_texts *texts; // grown by nobody else
    uint32_t *slot;            // [size] index + 1, 0: free
    size_t size;               // a power of two, or 0
};

/** The index of a text, which is added unless `fixed`; SIZE_MAX: no memory, or not there. */
size_t clrnn_text_index_find(struct clrnn_text_index *index, const char *text, bool fixed);

#endif
