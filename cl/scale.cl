// SPDX-License-Identifier: MIT
// A matrix multiply with inner size 0: C = beta C.
#include "common.h"

// Multiplies M rows of N columns of c by beta; they begin at element `first` and are ld apart. beta 0: c is not read.
kernel void scale_matrix(global real *c, uint first, uint ld, uint M, uint N, real beta)
{
    const uint j = get_global_id(0), i = get_global_id(1);

    if (i >= M || j >= N)
        return;
    global real *e = c + first + (size_t)i * ld + j;
    *e = beta == 0.0f ? 0.0f : beta * *e;
}
