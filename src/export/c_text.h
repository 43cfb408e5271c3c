// SPDX-License-Identifier: MIT
// Writing C source: text with the model's name filled in, and arrays of constants.
#ifndef CLRNN_SRC_EXPORT_C_TEXT_H
#define CLRNN_SRC_EXPORT_C_TEXT_H

#include <stdarg.h>
#include <stddef.h>

#include "base/file.h"

/** Destination of C source; out NULL: none, to find out first what is needed. */
struct clrnn_c_text {
    struct clrnn_out *out;
    char name[64], upper[64]; // the model's name, and in capitals for macros
    size_t constant_bytes;    // of the arrays written so far
    bool failed;              // no memory
};

/** printf, in which each @ of the format is replaced by the name and each ` by the name in capitals. */
void clrnn_c_put(struct clrnn_c_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

void clrnn_c_put_va(struct clrnn_c_text *t, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/** The same for a fixed text, in which % has no meaning. */
void clrnn_c_template(struct clrnn_c_text *t, const char *text);

/** A float literal that reads back as the same bits, in any locale. */
void clrnn_c_float(struct clrnn_c_text *t, float value);

/** `static const float NAME_<label>[count] = {...};` The values are rounded to float32. */
void clrnn_c_floats(struct clrnn_c_text *t, const char *label, const double *values, size_t count);

/** A matrix [rows, cols] as NAME_<label>, in the order in which NAME_multiply reads it: float32 column by
 * column; `int8` row by row, and NAME_<label>_scale with a factor for each row. */
void clrnn_c_matrix(struct clrnn_c_text *t, const char *label, const double *values, size_t rows, size_t cols,
                    bool int8);

#endif
