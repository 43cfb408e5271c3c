// SPDX-License-Identifier: MIT
// Parsing and printing numbers and words.
#include "base/words.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/array.h"

#define MAX_TEXT 64 // most bytes of a number's text (with the final NUL), and of a word that may be misspelt

// Copies `text` without the underscores between digits or letters. Returns false if the text is empty or too long, or
// has an underscore elsewhere.
static bool strip(const char *text, char plain[MAX_TEXT])
{
    size_t n = 0;

    for (size_t i = 0; text[i]; i++) {
        if (text[i] == '_') {
            if (i == 0 || !isalnum((unsigned char)text[i - 1]) || !isalnum((unsigned char)text[i + 1]))
                return false;
            continue;
        }
        if (n + 1 == MAX_TEXT)
            return false;
        plain[n++] = text[i];
    }
    plain[n] = '\0';
    return n > 0;
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale; // never freed; 0: memory ran out

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

locale_t clrnn_locale_enter(void)
{
    pthread_once(&c_locale_once, make_c_locale);
    return c_locale ? uselocale(c_locale) : (locale_t)0;
}

void clrnn_locale_leave(const locale_t *before)
{
    if (*before)
        uselocale(*before);
}

bool clrnn_number_parse(const char *text, double *value)
{
    static const char *const infinite[] = {".inf", ".Inf", ".INF"};
    const bool sign = *text == '+' || *text == '-';
    const char *digits = text + sign;
    char plain[MAX_TEXT], *end;
    CLRNN_C_LOCALE;

    for (size_t i = 0; i < ARRAY_SIZE(infinite); i++) {
        if (!strcmp(digits, infinite[i])) {
            *value = *text == '-' ? -(double)INFINITY : (double)INFINITY;
            return true;
        }
    }
    // strtod also accepts "nan", "inf" and hexadecimal numbers, which are refused here
    if (!isdigit((unsigned char)digits[0]) && !(digits[0] == '.' && isdigit((unsigned char)digits[1])))
        return false;
    if (!strip(text, plain) || strpbrk(plain, "xXpP"))
        return false;
    *value = strtod(plain, &end);
    return *end == '\0';
}

bool clrnn_integer_parse(const char *text, bool *negative, uint64_t *magnitude)
{
    const char *digits = text + (*text == '+' || *text == '-');
    char plain[MAX_TEXT], *end;
    int base = 10;

    *negative = *text == '-';
    if (!strncmp(digits, "0x", 2)) {
        base = 16;
        digits += 2;
    }
    if (!isxdigit((unsigned char)*digits) || !strip(digits, plain) || strpbrk(plain, "xX"))
        return false;
    errno = 0;
    *magnitude = strtoull(plain, &end, base);
    return *end == '\0' && errno == 0;
}

bool clrnn_bool_parse(const char *text, bool *value)
{
    static const char *const word[2][3] = {{"false", "no", "off"}, {"true", "yes", "on"}};

    for (int truth = 0; truth < 2; truth++) {
        for (int i = 0; i < 3; i++) {
            const char *w = word[truth][i];
            const size_t n = strlen(w);
            bool lower = true, upper = true, title = true; // accepts true, TRUE and True, not tRUE

            if (strlen(text) != n || strcasecmp(text, w))
                continue;
            for (size_t j = 0; j < n; j++) {
                const bool big = isupper((unsigned char)text[j]);

                lower &= !big;
                upper &= big;
                title &= big == (j == 0);
            }
            *value = truth;
            return lower || upper || title;
        }
    }
    return false;
}

bool clrnn_null_word(const char *text)
{
    return !*text || !strcmp(text, "~") || !strcmp(text, "null") || !strcmp(text, "Null") || !strcmp(text, "NULL");
}

void clrnn_number_text(double value, char text[CLRNN_NUMBER_SIZE])
{
    CLRNN_C_LOCALE;

    if (!isfinite(value)) {
        strcpy(text, isnan(value) ? ".nan" : value < 0 ? "-.inf" : ".inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, CLRNN_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (!strchr(text, '.')) { // YAML 1.1 takes 1.0e-05 as a number, but not 1e-05
        const size_t mantissa = strcspn(text, "e");

        memmove(text + mantissa + 2, text + mantissa, strlen(text + mantissa) + 1);
        memcpy(text + mantissa, ".0", 2);
    }
}

// The optimal string alignment distance: the number of insertions, deletions, changes and swaps of neighbouring
// letters; ignores case.
size_t clrnn_word_distance(const char *word, const char *candidate)
{
    size_t row[3][MAX_TEXT + 1];
    const size_t a = strlen(word), b = strlen(candidate);
    size_t distance;

    if (a == 0 || b == 0 || a > MAX_TEXT || b > MAX_TEXT)
        return SIZE_MAX;
    for (size_t j = 0; j <= b; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a; i++) {
        size_t *now = row[i % 3];
        const size_t *last = row[(i - 1) % 3], *before = row[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= b; j++) {
            const int x = tolower((unsigned char)word[i - 1]), y = tolower((unsigned char)candidate[j - 1]);

            now[j] = MIN2(MIN2(last[j], now[j - 1]) + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)candidate[j - 2]) &&
                y == tolower((unsigned char)word[i - 2]))
                now[j] = MIN2(now[j], before[j - 2] + 1);
        }
    }
    distance = row[a % 3][b];
    if (distance <= 1 + MAX2(a, b) / 4 && distance < MAX2(a, b))
        return distance;
    // One word contains the other, as "batchnorm1d" contains "batchnorm". The result is larger than any distance
    // returned above, so a candidate with few changed letters is preferred.
    if (MIN2(a, b) >= 3 && (strcasestr(word, candidate) || strcasestr(candidate, word)))
        return MAX_TEXT + MAX2(a, b) - MIN2(a, b);
    return SIZE_MAX;
}
