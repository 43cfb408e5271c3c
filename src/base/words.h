// SPDX-License-Identifier: MIT
// Numbers and words as people write them: reading, writing, and guessing what a misspelt one meant.
#ifndef CLRNN_SRC_BASE_WORDS_H
#define CLRNN_SRC_BASE_WORDS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * A number in decimal: "3", "-0.5", "1e-4", "1_000", ".inf". False where the text is none. Never
 * depends on the locale.
 */
bool clrnn_number_parse(const char *text, double *value);

/** A whole number, decimal or 0x...: sign and magnitude, so that both int64 and uint64 fit. */
bool clrnn_integer_parse(const char *text, bool *negative, uint64_t *magnitude);

/** "true", "yes", "on" and their opposites, as YAML 1.1 has them. */
bool clrnn_bool_parse(const char *text, bool *value);

/** "", "~" or "null". */
bool clrnn_null_word(const char *text);

#define CLRNN_NUMBER_SIZE 32
/** The shortest text that reads back as the same bits, always with a point or an exponent. */
void clrnn_number_text(double value, char text[CLRNN_NUMBER_SIZE]);

/** The value, a NaN without its sign: printf writes "-nan" otherwise. */
static inline double clrnn_unsigned_nan(double value)
{
    return isnan(value) ? fabs(value) : value;
}

/** Whether `word` may be a slip for `candidate`; smaller is nearer, SIZE_MAX is "no". */
size_t clrnn_word_distance(const char *word, const char *candidate);

#endif
