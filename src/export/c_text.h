// SPDX-License-Identifier: MIT
// Writing C source: text with the model's name filled in, and arrays of constants.
#ifndef CLRNN_SRC_EXPORT_C_TEXT_H
#define CLRNN_SRC_EXPORT_C_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "base/file.h"

/** Where generated C source is written. `out` NULL: a dry run, which only determines what the source will need. */
struct clrnn_c_text {
    struct clrnn_out *out;
    char name[64], upper[64]; // the model's name as given, and in capitals for macros
    size_t constant_bytes;    // size of the constant arrays written so far
    bool failed;              // out of memory
};

/** Writes formatted text as printf does, after replacing each @ of the text by the model's name and each ` by the name
 * in capitals. This includes @ and ` that come from the arguments. */
void clrnn_c_put(struct clrnn_c_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

void clrnn_c_put_va(struct clrnn_c_text *t, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/** Writes a text with the same replacements of @ and `; a % is written as it is. */
void clrnn_c_template(struct clrnn_c_text *t, const char *text);

/** Writes a float literal that reads back as the same bits, whatever the locale. */
void clrnn_c_float(struct clrnn_c_text *t, float value);

/** Writes `static const float NAME_<label>[count] = {...};` with the values rounded to float32. */
void clrnn_c_floats(struct clrnn_c_text *t, const char *label, const double *values, size_t count);

/** Writes a matrix [rows, cols] as the constant NAME_<label>, in the order in which NAME_multiply reads it. Float32
 * values are written column by column. With `int8`, values are written row by row, and the constant NAME_<label>_scale
 * gets a float factor for each row. */
void clrnn_c_matrix(struct clrnn_c_text *t, const char *label, const double *values, size_t rows, size_t cols,
                    bool int8);

#endif
