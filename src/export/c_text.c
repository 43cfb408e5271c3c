// SPDX-License-Identifier: MIT
// C source as text.
#include "export/c_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/words.h"

enum { PER_LINE = 8, BYTES_PER_LINE = 20 };

void clrnn_c_template(struct clrnn_c_text *t, const char *text)
{
    if (!t->out)
        return;
    for (const char *at = text; *at;) {
        const size_t plain = strcspn(at, "@`");
        const char *name = at[plain] == '@' ? t->name : t->upper;

        clrnn_out_write(t->out, at, plain);
        at += plain;
        if (!*at)
            break;
        clrnn_out_write(t->out, name, strlen(name));
        at++;
    }
}

void clrnn_c_put_va(struct clrnn_c_text *t, const char *format, va_list arguments)
{
    char *text = t->out ? clrnn_format_va(format, arguments) : NULL;

    if (text)
        clrnn_c_template(t, text);
    else if (t->out)
        t->failed = true;
    free(text);
}

void clrnn_c_put(struct clrnn_c_text *t, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    clrnn_c_put_va(t, format, arguments);
    va_end(arguments);
}

void clrnn_c_float(struct clrnn_c_text *t, float value)
{
    char text[CLRNN_NUMBER_SIZE], *comma;

    if (!t->out)
        return;
    snprintf(text, sizeof(text), "%.9g", (double)value);
    comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    clrnn_out_printf(t->out, "%s%s", text, strpbrk(text, ".e") ? "f" : ".0f");
}

void clrnn_c_floats(struct clrnn_c_text *t, const char *label, const double *values, size_t count)
{
    t->constant_bytes += count * sizeof(float);
    if (!t->out)
        return;
    clrnn_c_put(t, "static const float @_%s[%zu] = {", label, count);
    for (size_t i = 0; i < count; i++) {
        clrnn_out_printf(t->out, "%s", i % PER_LINE ? " " : "\n    ");
        clrnn_c_float(t, (float)values[i]);
        clrnn_out_printf(t->out, "%s", i + 1 < count ? "," : "");
    }
    clrnn_out_printf(t->out, "\n};\n");
}

static void put_integers(struct clrnn_c_text *t, const char *label, const int8_t *values, size_t count)
{
    t->constant_bytes += count;
    clrnn_c_put(t, "static const int8_t @_%s[%zu] = {", label, count);
    for (size_t i = 0; i < count; i++)
        clrnn_out_printf(t->out, "%s%d%s", i % BYTES_PER_LINE ? " " : "\n    ", values[i], i + 1 < count ? "," : "");
    clrnn_out_printf(t->out, "\n};\n");
}

static bool put_columns(struct clrnn_c_text *t, const char *label, const double *values, size_t rows, size_t cols)
{
    double *turned = malloc(rows * cols * sizeof(*turned));

    if (!turned)
        return false;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < cols; c++)
            turned[c * rows + r] = values[r * cols + c];
    clrnn_c_floats(t, label, turned, rows * cols);
    free(turned);
    return true;
}

static bool put_int8(struct clrnn_c_text *t, const char *label, const double *values, size_t rows, size_t cols)
{
    int8_t *whole = malloc(rows * cols * sizeof(*whole));
    double *scale = malloc(rows * sizeof(*scale));
    const bool made = whole && scale;
    char scale_label[80];

    for (size_t r = 0; made && r < rows; r++) {
        double largest = 0;

        for (size_t c = 0; c < cols; c++)
            largest = fmax(largest, fabs(values[r * cols + c]));
        scale[r] = (double)(float)(largest / 127);
        for (size_t c = 0; c < cols; c++) {
            const double level = scale[r] > 0 ? nearbyint(values[r * cols + c] / scale[r]) : 0;

            whole[r * cols + c] = (int8_t)fmax(-127, fmin(127, level));
        }
    }
    if (made) {
        put_integers(t, label, whole, rows * cols);
        snprintf(scale_label, sizeof(scale_label), "%.60s_scale", label);
        clrnn_c_floats(t, scale_label, scale, rows);
    }
    free(whole);
    free(scale);
    return made;
}

void clrnn_c_matrix(struct clrnn_c_text *t, const char *label, const double *values, size_t rows, size_t cols,
                    bool int8)
{
    if (!t->out) {
        t->constant_bytes += int8 ? rows * (cols + sizeof(float)) : rows * cols * sizeof(float);
        return;
    }
    if (!(int8 ? put_int8 : put_columns)(t, label, values, rows, cols))
        t->failed = true;
}
