// SPDX-License-Identifier: MIT
// Loads and stores a long vector by one operation, for kernels on CPUs. This header does not depend on a kernel's
// defines, so a chain contains it only once (src/device/list/chain_source.c).
#ifndef CLRNN_CL_MOVE_H
#define CLRNN_CL_MOVE_H

// vread16(i, p) has the same result as vload16(i, p), and vwrite16(v, i, p) the same result as vstore16(v, i, p). The
// same holds for 8 and 4. Each is one operation, while PoCL 3.1 splits vload and vstore into several pieces. After such
// a store, a load of the whole vector must wait until all pieces are in the cache. And joining the pieces of the loads
// takes most of the compile time.
#if defined(__clang__)
#define DEFINE_MOVES(n, space)                                                   \
    static inline __attribute__((overloadable)) float##n vread##n(size_t i, const space float *p)    \
    {                                                                            \
        typedef float##n __attribute__((aligned(4))) anywhere;                   \
        return *(const space anywhere *)(p + i * n);                             \
    }                                                                            \
    static inline __attribute__((overloadable)) void vwrite##n(float##n v, size_t i, space float *p) \
    {                                                                            \
        typedef float##n __attribute__((aligned(4))) anywhere;                   \
        *(space anywhere *)(p + i * n) = v;                                      \
    }
DEFINE_MOVES(4, global)
DEFINE_MOVES(4, local)
DEFINE_MOVES(4, private)
DEFINE_MOVES(8, global)
DEFINE_MOVES(8, local)
DEFINE_MOVES(8, private)
DEFINE_MOVES(16, global)
DEFINE_MOVES(16, local)
DEFINE_MOVES(16, private)
#else
#define vread4(i, p) vload4(i, p)
#define vread8(i, p) vload8(i, p)
#define vread16(i, p) vload16(i, p)
#define vwrite4(v, i, p) vstore4(v, i, p)
#define vwrite8(v, i, p) vstore8(v, i, p)
#define vwrite16(v, i, p) vstore16(v, i, p)
#endif

#endif
