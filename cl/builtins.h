// SPDX-License-Identifier: MIT
// Declares the OpenCL functions that kernels use. It replaces clang's header, which declares all OpenCL functions in
// 18000 lines. PoCL reads clang's header twice for each program unless _OPENCL_H_ is defined. Reading it takes an
// eighth of a second, longer than most programs take to build. So programs for PoCL are built with _OPENCL_H_ defined
// and begin with this file (src/device/program/program.c).
//
// A program that uses a function that is missing here does not build with this file. It is then built with clang's
// header, which only takes longer. Each function is declared here with all overloads that a kernel's call could match.
// So a call means the same with either header.
//
// SIZES(X, f, T) declares f for scalars and vectors: X(f, float) X(f, float2) ... if T is float.
#define SIZES(X, f, T) X(f, T) X(f, T##2) X(f, T##4) X(f, T##8) X(f, T##16)
#define VECTORS(X, f, T) X(f, T, 2) X(f, T, 4) X(f, T, 8) X(f, T, 16)
#define INTEGERS(X, f) SIZES(X, f, int) SIZES(X, f, uint) SIZES(X, f, long) SIZES(X, f, ulong)

#define ANY __attribute__((overloadable))
#define MATHS __attribute__((overloadable, const))
#define READS __attribute__((overloadable, pure))

#define ONE(f, T) T MATHS f(T);
#define TWO(f, T) T MATHS f(T, T);
#define THREE(f, T) T MATHS f(T, T, T);
#define WITH_SCALAR(f, T, n) T##n MATHS f(T##n, T);
#define WITH_SCALARS(f, T, n) T##n MATHS f(T##n, T, T);
SIZES(ONE, erfc, float)
SIZES(ONE, exp, float)
SIZES(ONE, expm1, float)
SIZES(ONE, fabs, float)
SIZES(ONE, log, float)
SIZES(ONE, log1p, float)
SIZES(ONE, log2, float)
SIZES(ONE, rint, float)
SIZES(ONE, sqrt, float)
SIZES(ONE, tanh, float)
SIZES(TWO, copysign, float)
SIZES(THREE, fma, float)
SIZES(TWO, fmax, float)
VECTORS(WITH_SCALAR, fmax, float)
SIZES(TWO, fmin, float)
VECTORS(WITH_SCALAR, fmin, float)

#define OF_ALL_TYPES(SAME, MIXED, f) \
    SAME(f, char) SAME(f, uchar) SAME(f, short) SAME(f, ushort) INTEGERS(SAME, f) SIZES(SAME, f, float) \
    VECTORS(MIXED, f, int) VECTORS(MIXED, f, uint) VECTORS(MIXED, f, long) VECTORS(MIXED, f, ulong) \
    VECTORS(MIXED, f, float)
OF_ALL_TYPES(TWO, WITH_SCALAR, max)
OF_ALL_TYPES(TWO, WITH_SCALAR, min)
OF_ALL_TYPES(THREE, WITH_SCALARS, clamp)
INTEGERS(TWO, mul_hi)

#define TO_INT(f, n) int##n MATHS f(float##n);
#define TO_INTS(f) TO_INT(f, ) TO_INT(f, 2) TO_INT(f, 4) TO_INT(f, 8) TO_INT(f, 16)
TO_INTS(ilogb)
TO_INTS(isinf)
TO_INTS(isnan)

#define SCALED(n) float##n MATHS ldexp(float##n, int##n);
SCALED() SCALED(2) SCALED(4) SCALED(8) SCALED(16)

#define CHOSEN(T, n) \
    T##n MATHS select(T##n, T##n, int##n); \
    T##n MATHS select(T##n, T##n, uint##n);
#define CHOSEN_SIZES(T) CHOSEN(T, ) CHOSEN(T, 2) CHOSEN(T, 4) CHOSEN(T, 8) CHOSEN(T, 16)
CHOSEN_SIZES(float)
CHOSEN_SIZES(int)
CHOSEN_SIZES(uint)

float8 MATHS shuffle2(float8, float8, uint8);
float16 MATHS shuffle2(float16, float16, uint16);

#define CONVERTED(n) \
    float##n MATHS convert_float##n(int##n); \
    float##n MATHS convert_float##n(uint##n); \
    float##n MATHS convert_float##n(float##n); \
    int##n MATHS convert_int##n(float##n); \
    int##n MATHS convert_int##n(uint##n); \
    int##n MATHS convert_int##n(int##n); \
    uint##n MATHS convert_uint##n(float##n); \
    uint##n MATHS convert_uint##n(int##n); \
    uint##n MATHS convert_uint##n(uint##n);
CONVERTED(2) CONVERTED(4) CONVERTED(8) CONVERTED(16)

#define MOVED_IN(where, T, n) \
    T##n READS vload##n(size_t, const where T *); \
    void ANY vstore##n(T##n, size_t, where T *);
#define MOVED(f, T, n) MOVED_IN(global, T, n) MOVED_IN(local, T, n) MOVED_IN(private, T, n)
VECTORS(MOVED, , float) VECTORS(MOVED, , int) VECTORS(MOVED, , uint)

#define ADDED_IN(where, T) \
    T ANY atomic_add(volatile where T *, T); \
    T ANY atomic_inc(volatile where T *);
ADDED_IN(global, int) ADDED_IN(global, uint) ADDED_IN(local, int) ADDED_IN(local, uint)

size_t MATHS get_global_id(uint);
size_t MATHS get_global_size(uint);
size_t MATHS get_group_id(uint);
size_t MATHS get_local_id(uint);
size_t MATHS get_local_size(uint);
size_t MATHS get_num_groups(uint);

void __attribute__((overloadable, convergent)) barrier(cl_mem_fence_flags);
void ANY mem_fence(cl_mem_fence_flags);

#undef SIZES
#undef VECTORS
#undef INTEGERS
#undef ANY
#undef MATHS
#undef READS
#undef ONE
#undef TWO
#undef THREE
#undef WITH_SCALAR
#undef WITH_SCALARS
#undef OF_ALL_TYPES
#undef TO_INT
#undef TO_INTS
#undef SCALED
#undef CHOSEN
#undef CHOSEN_SIZES
#undef CONVERTED
#undef MOVED_IN
#undef MOVED
#undef ADDED_IN
