// SPDX-License-Identifier: MIT
// Storing long vectors, in the CPUs' form of kernels. Depends on no define.
#ifndef CLRNN_CL_WRITE_H
#define CLRNN_CL_WRITE_H

// vwrite16(v, i, p) is vstore16(v, i, p), in one piece: PoCL 3.1 stores a vstore's vector in three, and a load of the
// whole that follows must wait until all are in the cache. Likewise 8 and 4.
#if defined(__clang__)
#define DEFINE_VWRITE(n, space)                                                  \
    static inline __attribute__((overloadable)) void vwrite##n(float##n v, size_t i, space float *p) \
    {                                                                            \
        typedef float##n __attribute__((aligned(4))) anywhere;                   \
        *(space anywhere *)(p + i * n) = v;                                      \
    }
DEFINE_VWRITE(4, global)
DEFINE_VWRITE(4, local)
DEFINE_VWRITE(4, private)
DEFINE_VWRITE(8, global)
DEFINE_VWRITE(8, local)
DEFINE_VWRITE(8, private)
DEFINE_VWRITE(16, global)
DEFINE_VWRITE(16, local)
DEFINE_VWRITE(16, private)
#else
#define vwrite4(v, i, p) vstore4(v, i, p)
#define vwrite8(v, i, p) vstore8(v, i, p)
#define vwrite16(v, i, p) vstore16(v, i, p)
#endif

#endif
