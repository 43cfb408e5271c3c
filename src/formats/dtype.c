// SPDX-License-Identifier: MIT
// The element types that files can have, and conversion from them.
#include "formats/dtype.h"

#include <math.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "files are little endian and read as they lie: a big-endian host needs swaps here"
#endif

size_t clrnn_dtype_bytes(enum clrnn_dtype dtype)
{
    static const unsigned char bytes[] = {
#define X(name, size, npy, safetensors, word) size,
        CLRNN_DTYPE_LIST(X)
#undef X
    };
    return bytes[dtype];
}

const char *clrnn_dtype_word(enum clrnn_dtype dtype)
{
    static const char *const words[] = {
#define X(name, size, npy, safetensors, word) word,
        CLRNN_DTYPE_LIST(X)
#undef X
    };
    return words[dtype];
}

bool clrnn_dtype_is_float(enum clrnn_dtype dtype)
{
    return dtype <= CLRNN_DTYPE_F64;
}

// Converts IEEE binary16 to binary32.
static float half_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = (half >> 10) & 31;
    const uint32_t fraction = half & 0x3ff;
    uint32_t bits;
    float value;

    if (exponent == 0) {
        value = ldexpf((float)fraction, -24);
        return sign ? -value : value;
    }
    bits = exponent == 31 ? sign | 0x7f800000 | fraction << 13 : sign | (exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &bits, 4);
    return value;
}

static float bfloat_to_float(uint16_t half)
{
    const uint32_t bits = (uint32_t)half << 16;
    float value;

    memcpy(&value, &bits, 4);
    return value;
}

static bool byte_to_bool(uint8_t byte)
{
    return byte != 0;
}

// Converts a double to int64. A value out of range becomes the nearest int64, and NaN becomes INT64_MIN.
static int64_t double_to_i64(double value)
{
    if (value >= 0x1p63)
        return INT64_MAX;
    return value >= -0x1p63 ? (int64_t)value : INT64_MIN;
}

static int64_t u64_to_i64(uint64_t value)
{
    return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

#define SAME(x) (x)
// One case of a switch over the dtype: reads elements of type `ctype` at any alignment, and converts each by `widen`,
// then by `to`.
#define CASE(name, ctype, widen, to) \
    case CLRNN_DTYPE_##name: \
        for (size_t i = 0; i < count; i++) { \
            ctype element; \
            memcpy(&element, bytes + i * sizeof(element), sizeof(element)); \
            out[i] = to(widen(element)); \
        } \
        break;
#define ALL_CASES(to, to_unsigned, from_float) \
    CASE(F16, uint16_t, half_to_float, from_float) \
    CASE(BF16, uint16_t, bfloat_to_float, from_float) \
    CASE(F32, float, SAME, from_float) \
    CASE(F64, double, SAME, from_float) \
    CASE(I8, int8_t, SAME, to) \
    CASE(I16, int16_t, SAME, to) \
    CASE(I32, int32_t, SAME, to) \
    CASE(I64, int64_t, SAME, to) \
    CASE(U8, uint8_t, SAME, to) \
    CASE(U16, uint16_t, SAME, to) \
    CASE(U32, uint32_t, SAME, to) \
    CASE(U64, uint64_t, SAME, to_unsigned) \
    CASE(BOOL, uint8_t, byte_to_bool, to)

void clrnn_dtype_to_f32(enum clrnn_dtype dtype, const void *in, size_t count, float *out)
{
    const unsigned char *bytes = in;

    switch (dtype) {
        ALL_CASES((float), (float), (float))
    }
}

void clrnn_dtype_to_f64(enum clrnn_dtype dtype, const void *in, size_t count, double *out)
{
    const unsigned char *bytes = in;

    switch (dtype) {
        ALL_CASES((double), (double), (double))
    }
}

void clrnn_dtype_to_i64(enum clrnn_dtype dtype, const void *in, size_t count, int64_t *out)
{
    const unsigned char *bytes = in;

    switch (dtype) {
        ALL_CASES((int64_t), u64_to_i64, double_to_i64)
    }
}
