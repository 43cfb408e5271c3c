// SPDX-License-Identifier: MIT
// Decodes class scores of each step into label sequences, and measures how far these are from targets.
#ifndef CLRNN_SRC_TRAIN_DECODE_H
#define CLRNN_SRC_TRAIN_DECODE_H

#include "clrnn/base.h"

/** The index of the largest of `count` numbers; the lowest one of several. */
uint32_t clrnn_argmax(const float *x, uint32_t count);

/** Greedy CTC decoding: takes the likeliest class of each step, merges equal neighbours, drops blanks. x [T,
 * C]; out [T]. Returns the number of labels. */
uint32_t clrnn_decode_greedy(const float *x, uint32_t T, uint32_t C, uint32_t blank, int32_t *out);

/** Prefix beam search that keeps `width` prefixes after each step; finds the likeliest label sequence among
 * them. x [T, C] may be logits or log-probabilities. out [T] gets *count labels. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_decode_beam(const struct clrnn_log *log, const float *x, uint32_t T, uint32_t C,
                                    uint32_t blank, uint32_t width, int32_t *out, uint32_t *count);

/** Fewest insertions, deletions and replacements that turn b into a. row [b_count + 1]: scratch. */
uint32_t clrnn_edit_distance(const int32_t *a, uint32_t a_count, const int32_t *b, uint32_t b_count,
                             uint32_t *row);

#endif
