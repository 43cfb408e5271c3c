// SPDX-License-Identifier: MIT
// Label sequences out of the class scores of each step, and how far they are from targets.
#ifndef CLRNN_SRC_TRAIN_DECODE_H
#define CLRNN_SRC_TRAIN_DECODE_H

#include "clrnn/base.h"

/** The index of the largest of `count` numbers, the first of equal ones. */
uint32_t clrnn_argmax(const float *x, uint32_t count);

/** The likeliest class of each step, equal neighbours merged, blanks dropped. x [T, C]; out [T]. Returns how
 * many. */
uint32_t clrnn_decode_greedy(const float *x, uint32_t T, uint32_t C, uint32_t blank, int32_t *out);

/** Prefix beam search: the likeliest label sequence among those that `width` prefixes a step lead to. x [T,
 * C] may be logits or log-probabilities. out [T], *count of them. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_decode_beam(const struct clrnn_log *log, const float *x, uint32_t T, uint32_t C,
                                    uint32_t blank, uint32_t width, int32_t *out, uint32_t *count);

/** Fewest insertions, deletions and replacements that make a out of b. row [b_count + 1]: scratch. */
uint32_t clrnn_edit_distance(const int32_t *a, uint32_t a_count, const int32_t *b, uint32_t b_count,
                             uint32_t *row);

#endif
