// SPDX-License-Identifier: MIT
// Interprets a cell of a table: as a number, as a time, or as a missing value.
#ifndef CLRNN_SRC_FORMATS_CELL_H
#define CLRNN_SRC_FORMATS_CELL_H

#include <stdbool.h>
#include <stddef.h>

/** Parses a cell of `length` bytes, followed by NUL, as a decimal number; nan and inf are numbers. `decimal`, the
 * decimal point, is '.' or ','. Returns false unless the whole cell is a number. */
bool clrnn_cell_number(const char *text, size_t length, char decimal, double *value);

/** Whether a cell stands for a missing value: it is empty, or one of the words that pandas.read_csv treats as missing
 * (NA, n/a, nan, -nan, null). */
bool clrnn_cell_is_missing(const char *text, size_t length);

/** Parses a cell as a time: a finite number, or a date as year-month[-day], year/month[/day] or day.month.year, where
 * two digits stand for a year from 1969 to 2068. hours:minutes[:seconds] may follow the date, and a time zone (Z,
 * +01:00) may follow these. A date becomes seconds since 1970. In numbers and seconds, '.' and `decimal` are decimal
 * points. Returns false if the cell is no time. */
bool clrnn_cell_time(const char *text, size_t length, char decimal, double *value);

/** Converts a number whose digits are a date from 1900 to 2199, such as 20240531, into seconds since 1970. `digits`: 6
 * for year and month, 8 with the day, 10 with hours, 12 with minutes, 14 with seconds. Returns false if the number has
 * a different number of digits or is no date. */
bool clrnn_cell_compact_date(double number, unsigned digits, double *seconds);

#endif
