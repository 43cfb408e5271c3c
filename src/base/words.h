// SPDX-License-Identifier: MIT
// Parsing and printing numbers and words, and suggestions for misspelt words.
#ifndef CLRNN_SRC_BASE_WORDS_H
#define CLRNN_SRC_BASE_WORDS_H

#include <locale.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Sets the C locale, in which numbers have a decimal point, for the calling thread. Returns the previous locale, which
 * clrnn_locale_leave restores. */
locale_t clrnn_locale_enter(void);
void clrnn_locale_leave(const locale_t *before);

/** Makes the calling thread format and parse numbers as in the C locale until the end of the block, whatever locale the
 * program has set. Needed in each public function that reads or writes numbers as text. */
#define CLRNN_C_LOCALE \
    __attribute__((cleanup(clrnn_locale_leave), unused)) const locale_t locale_before_ = clrnn_locale_enter()

/** Parses a decimal number: "3", "-0.5", "1e-4", "1_000", ".inf". Returns false if the text is not a number.
 * Independent of the locale. */
bool clrnn_number_parse(const char *text, double *value);

/** Parses an integer, decimal or 0x..., into sign and magnitude. Accepts every int64 and every uint64 value. */
bool clrnn_integer_parse(const char *text, bool *negative, uint64_t *magnitude);

/** Parses "true", "yes", "on", "false", "no" and "off", as in YAML 1.1. */
bool clrnn_bool_parse(const char *text, bool *value);

/** Whether the text is null in YAML: "", "~" or "null". */
bool clrnn_null_word(const char *text);

#define CLRNN_NUMBER_SIZE 32
/** Prints the shortest decimal number that parses back to the same bits, always with a decimal point. */
void clrnn_number_text(double value, char text[CLRNN_NUMBER_SIZE]);

/** Returns the value; a NaN is returned without its sign, because printf would print "-nan". */
static inline double clrnn_unsigned_nan(double value)
{
    return isnan(value) ? fabs(value) : value;
}

/** Returns a distance from a misspelt `word` to the word `candidate`, for suggestions: smaller is closer, and SIZE_MAX
 * is too far for a suggestion. */
size_t clrnn_word_distance(const char *word, const char *candidate);

#endif
