// SPDX-License-Identifier: MIT
// Decodes the class scores of each time step into a sequence of labels, and computes the edit distance between
// sequences of labels.
#ifndef CLRNN_SRC_TRAIN_DECODE_H
#define CLRNN_SRC_TRAIN_DECODE_H

#include "clrnn/base.h"

/** Returns the index of the largest of `count` numbers, the lowest index if several are equal. NaN counts as the
 * largest number. */
uint32_t clrnn_argmax(const float *x, uint32_t count);

/** Greedy CTC decoding: takes the likeliest class of each step, merges equal neighbours, and drops blanks. Reads x [T,
 * C], writes the labels to out [T], and returns the number of labels. */
uint32_t clrnn_decode_greedy(const float *x, uint32_t T, uint32_t C, uint32_t blank, int32_t *out);

/** CTC prefix beam search: keeps the `width` likeliest prefixes (beginnings of label sequences) after each step. Writes
 * the likeliest prefix after the last step to out [T]; *count becomes its length. x [T, C] may be logits or
 * log-probabilities. Errors: CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_decode_beam(const struct clrnn_log *log, const float *x, uint32_t T, uint32_t C, uint32_t blank,
                                    uint32_t width, int32_t *out, uint32_t *count);

/** Returns the edit distance (Levenshtein): the smallest number of insertions, deletions and replacements of labels
 * that turn `b` into `a`. row [b_count + 1]: scratch. */
uint32_t clrnn_edit_distance(const int32_t *a, uint32_t a_count, const int32_t *b, uint32_t b_count, uint32_t *row);

#endif
