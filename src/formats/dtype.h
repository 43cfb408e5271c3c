// SPDX-License-Identifier: MIT
// The element types that files can have, and conversion from them.
#ifndef CLRNN_SRC_FORMATS_DTYPE_H
#define CLRNN_SRC_FORMATS_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Every type: X(name, bytes, npy descriptor or "" if npy lacks the type, safetensors name, NumPy's name)
#define CLRNN_DTYPE_LIST(X) \
    X(F16, 2, "<f2", "F16", "float16") \
    X(BF16, 2, "", "BF16", "bfloat16") \
    X(F32, 4, "<f4", "F32", "float32") \
    X(F64, 8, "<f8", "F64", "float64") \
    X(I8, 1, "|i1", "I8", "int8") \
    X(I16, 2, "<i2", "I16", "int16") \
    X(I32, 4, "<i4", "I32", "int32") \
    X(I64, 8, "<i8", "I64", "int64") \
    X(U8, 1, "|u1", "U8", "uint8") \
    X(U16, 2, "<u2", "U16", "uint16") \
    X(U32, 4, "<u4", "U32", "uint32") \
    X(U64, 8, "<u8", "U64", "uint64") \
    X(BOOL, 1, "|b1", "BOOL", "bool")

enum clrnn_dtype {
#define X(name, bytes, npy, safetensors, word) CLRNN_DTYPE_##name,
    CLRNN_DTYPE_LIST(X)
#undef X
};

size_t clrnn_dtype_bytes(enum clrnn_dtype dtype);
const char *clrnn_dtype_word(enum clrnn_dtype dtype);
bool clrnn_dtype_is_float(enum clrnn_dtype dtype);

/** Convert `count` elements of type `dtype` at `in`, which may be unaligned, to float32, float64 or int64. To int64, a
 * float is truncated, a value out of range becomes the nearest int64, and NaN becomes INT64_MIN. */
void clrnn_dtype_to_f32(enum clrnn_dtype dtype, const void *in, size_t count, float *out);
void clrnn_dtype_to_f64(enum clrnn_dtype dtype, const void *in, size_t count, double *out);
void clrnn_dtype_to_i64(enum clrnn_dtype dtype, const void *in, size_t count, int64_t *out);

#endif
