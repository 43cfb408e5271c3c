// SPDX-License-Identifier: MIT
// What a cell of a table means: a number, a time, or nothing.
#ifndef CLRNN_SRC_FORMATS_CELL_H
#define CLRNN_SRC_FORMATS_CELL_H

#include <stdbool.h>
#include <stddef.h>

/** Reads a whole cell (`text` ends in NUL) as a number; nan and inf are numbers. `decimal` is '.' or ','. */
bool clrnn_cell_number(const char *text, size_t length, char decimal, double *value);

/** Whether a cell means that its value is missing: empty, or a word that programs write then (NA, nan, null).
 */
bool clrnn_cell_is_missing(const char *text, size_t length);

/** Reads a time: a number, or a date as year-month[-day] or day.month.year, with hours:minutes[:seconds] and
 * an offset (Z, +01:00) or without; a date becomes seconds since 1970. */
bool clrnn_cell_time(const char *text, size_t length, double *value);

#endif
