// SPDX-License-Identifier: MIT
// Writes and reads numbers of a struct as text in a file's metadata.
#include "model/fields.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Prints a number as a hexadecimal float of C with an integer mantissa. That is exact, and there is no decimal point,
// which would depend on the locale.
static void print_double(double value, char *text, size_t size)
{
    int exponent;
    double mantissa;

    if (isnan(value) || isinf(value)) {
        snprintf(text, size, "%s", isnan(value) ? "nan" : value > 0 ? "inf" : "-inf");
        return;
    }
    mantissa = ldexp(frexp(fabs(value), &exponent), 53); // an integer
    snprintf(text, size, "%s0x%" PRIx64 "p%d", signbit(value) ? "-" : "", (uint64_t)mantissa, exponent - 53);
}

static void print_field(const struct clrnn_field *f, const void *base, char *text, size_t size)
{
    const char *at = (const char *)base + f->offset;
    union {
        uint64_t u64;
        int64_t i64;
        double f64;
        bool boolean;
    } value = {0};

    switch (f->kind) {
    case CLRNN_FIELD_U64:
        memcpy(&value.u64, at, sizeof(value.u64));
        snprintf(text, size, "%" PRIu64, value.u64);
        break;
    case CLRNN_FIELD_I64:
        memcpy(&value.i64, at, sizeof(value.i64));
        snprintf(text, size, "%" PRId64, value.i64);
        break;
    case CLRNN_FIELD_F64:
        memcpy(&value.f64, at, sizeof(value.f64));
        print_double(value.f64, text, size);
        break;
    case CLRNN_FIELD_BOOL:
        memcpy(&value.boolean, at, sizeof(value.boolean));
        snprintf(text, size, "%d", value.boolean);
        break;
    }
}

static bool scan_field(const struct clrnn_field *f, const char *text, void *base, double *value)
{
    void *at = (char *)base + f->offset;
    unsigned long long u;
    long long i;
    double d;
    char *end;

    if (!*text || strchr(" \t\n\v\f\r+", *text))
        return false;
    errno = 0;
    switch (f->kind) {
    case CLRNN_FIELD_U64:
        u = strtoull(text, &end, 10);
        *(uint64_t *)at = u;
        *value = (double)u;
        return !*end && !errno && *text != '-';
    case CLRNN_FIELD_I64:
        i = strtoll(text, &end, 10);
        *(int64_t *)at = i;
        *value = (double)i;
        return !*end && !errno;
    case CLRNN_FIELD_F64:
        d = strtod(text, &end); // ERANGE: a denormal, which is fine
        *(double *)at = *value = d;
        return !*end;
    case CLRNN_FIELD_BOOL:
        *(bool *)at = !strcmp(text, "1");
        return !strcmp(text, "0") || !strcmp(text, "1");
    }
    return false;
}

enum clrnn_status clrnn_fields_put(struct clrnn_safetensors_writer *writer, const struct clrnn_field *field,
                                   size_t count, const void *base)
{
    char text[64];

    for (size_t i = 0; i < count; i++) {
        print_field(&field[i], base, text, sizeof(text));
        TRY(clrnn_safetensors_add_metadata(writer, field[i].key, text));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_fields_get(const struct clrnn_log *log, const struct clrnn_safetensors *file,
                                   const struct clrnn_field *field, size_t count, void *base)
{
    for (size_t i = 0; i < count; i++) {
        const char *text = clrnn_safetensors_metadata(file, field[i].key);
        double value = 0;

        if (!text)
            return clrnn_error(log, CLRNN_ERR_DATA, "%s: its metadata lack %s; it is no complete model file",
                               file->path, field[i].key);
        if (!scan_field(&field[i], text, base, &value))
            return clrnn_error(log, CLRNN_ERR_DATA, "%s: %s in its metadata is '%.60s', expected %s", file->path,
                               field[i].key, text, field[i].kind == CLRNN_FIELD_BOOL ? "0 or 1" : "a number");
        if ((field[i].least < field[i].most) && !(value >= field[i].least && value <= field[i].most))
            return clrnn_error(log, CLRNN_ERR_DATA,
                               "%s: %s in its metadata, %.60s, is out of range: expected %.10g to %.10g", file->path,
                               field[i].key, text, field[i].least, field[i].most);
    }
    return CLRNN_OK;
}
