// SPDX-License-Identifier: MIT
// Parses cells as numbers and times.
#include "formats/cell.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

#define MOST_DIGITS 15 // a double represents every integer of so many decimal digits exactly

// Parses a plain decimal number of at most 15 digits, without an exponent. It is the quotient of two doubles that are
// exact, so the result is rounded as by strtod.
static bool read_plain(const char *text, size_t length, char decimal, double *value)
{
    static const double power[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const bool negative = length && *text == '-';
    size_t digits = 0, after = 0;
    bool point = false;
    double whole = 0;

    for (size_t i = negative; i < length; i++) {
        if (text[i] == decimal && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > MOST_DIGITS)
            return false;
        whole = whole * 10 + (text[i] - '0');
        after += point;
    }
    *value = (negative ? -whole : whole) / power[after];
    return digits > 0;
}

bool clrnn_cell_number(const char *text, size_t length, char decimal, double *value)
{
    char pointed[64], *end, *comma;

    if (read_plain(text, length, decimal, value))
        return true;
    if (!length || length >= sizeof(pointed) || text[strcspn(text, "xX(")]) // strtod reads 0x1f and nan(1)
        return false;
    if (decimal == '.') {
        *value = strtod(text, &end);
        return end == text + length;
    }
    if (memchr(text, '.', length))
        return false;
    memcpy(pointed, text, length + 1);
    comma = strchr(pointed, decimal);
    if (comma)
        *comma = '.';
    *value = strtod(pointed, &end);
    return end == pointed + length;
}

bool clrnn_cell_is_missing(const char *text, size_t length)
{
    static const char *const word[] = {"NA",       "N/A",     "n/a",      "nan",    "NaN",    "NAN",  "-nan",
                                       "-NaN",     "null",    "NULL",     "None",   "<NA>",   "#N/A", "#NA",
                                       "#N/A N/A", "1.#QNAN", "-1.#QNAN", "1.#IND", "-1.#IND"}; // as pandas.read_csv

    if (!length)
        return true;
    if (text[length - 1] >= '0' && text[length - 1] <= '9') // fast path: most cells end in a digit, no such word does
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(word); i++)
        if (length == strlen(word[i]) && !memcmp(text, word[i], length))
            return true;
    return false;
}

// Returns the days from 1970-01-01 to a date of the Gregorian calendar, for years from 1 (Howard Hinnant's
// days_from_civil).
static double days_of(int year, int month, int day)
{
    const int y = month <= 2 ? year - 1 : year, era = y / 400, of_era = y - era * 400;
    const int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return (double)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool is_date(int year, int month, int day)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (year < 1 || month < 1 || month > 12 || day < 1)
        return false;
    return day <= lengths[month - 1] + (month == 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0));
}

static bool read_date(const char *text, double *days, const char **rest)
{
    int year, month, day = 1, used = 0, before = 0;
    char separator;

    if (sscanf(text, "%4d%1[-/]%2d%n", &year, (char[2]){0}, &month, &used) == 3 && used >= 6) {
        separator = text[4];
        if (text[used] == separator) {
            int more = 0;

            if (sscanf(text + used + 1, "%2d%n", &day, &more) != 1)
                return false;
            used += 1 + more;
        }
    } else {
        if (sscanf(text, "%2d.%2d.%n%4d%n", &day, &month, &before, &year, &used) != 3 || !used)
            return false;
        if (used - before == 2) // as %y of strptime reads it
            year += year < 69 ? 2000 : 1900;
        else if (used - before != 4)
            return false;
    }
    if (!is_date(year, month, day))
        return false;
    *days = days_of(year, month, day);
    *rest = text + used;
    return true;
}

// Parses seconds, whose decimals, if any, follow '.' or `decimal`.
static bool read_seconds(const char *text, char decimal, double *seconds, const char **rest)
{
    static const char digits[] = "0123456789";
    size_t length = strspn(text, digits);

    if (text[length] == '.' || text[length] == decimal) {
        decimal = text[length++];
        length += strspn(text + length, digits);
    }
    *rest = text + length;
    return read_plain(text, length, decimal, seconds);
}

bool clrnn_cell_time(const char *text, size_t length, char decimal, double *value)
{
    int hours = 0, minutes = 0, used = 0, offset_hours = 0, offset_minutes = 0;
    double days, seconds = 0;
    const char *rest;

    if (clrnn_cell_number(text, length, decimal, value) || clrnn_cell_number(text, length, '.', value))
        return isfinite(*value);
    if (length > 64 || !read_date(text, &days, &rest))
        return false;
    if (*rest == 'T' || *rest == ' ') {
        if (sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || !used)
            return false;
        rest += 1 + used;
        if (*rest == ':' && !read_seconds(rest + 1, decimal, &seconds, &rest))
            return false;
        if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || !(seconds < 61))
            return false;
        used = 0;
        if (*rest == 'Z' && !rest[1])
            rest++;
        else if ((*rest == '+' || *rest == '-') &&
                 sscanf(rest + 1, "%2d:%2d%n", &offset_hours, &offset_minutes, &used) == 2 && used) {
            offset_hours = *rest == '-' ? -offset_hours : offset_hours;
            offset_minutes = *rest == '-' ? -offset_minutes : offset_minutes;
            rest += 1 + used;
        }
    }
    *value = days * 86400 + (hours - offset_hours) * 3600.0 + (minutes - offset_minutes) * 60.0 + seconds;
    return rest == text + length;
}

bool clrnn_cell_compact_date(double number, unsigned digits, double *seconds)
{
    int part[6] = {0, 0, 1, 0, 0, 0}; // year, month, day, hours, minutes, seconds
    uint64_t rest;

    if (digits < 6 || digits > 14 || digits % 2 || number != floor(number) || !(number >= 1900e2 && number < 2200e10))
        return false;
    rest = (uint64_t)number;
    for (unsigned i = (digits - 4) / 2; i > 0; i--, rest /= 100)
        part[i] = (int)(rest % 100);
    if (rest < 1900 || rest >= 2200)
        return false;
    part[0] = (int)rest;
    if (!is_date(part[0], part[1], part[2]) || part[3] > 23 || part[4] > 59 || part[5] > 59)
        return false;
    *seconds = days_of(part[0], part[1], part[2]) * 86400 + part[3] * 3600.0 + part[4] * 60.0 + part[5];
    return true;
}
