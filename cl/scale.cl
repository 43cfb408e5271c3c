// SPDX-License-Identifier: MIT
// Replaces a matrix multiply whose inner size K is 0: C = beta C.
#include "common.h"

// Multiplies M rows of N numbers of c by beta. The rows begin at element `first` and are ld elements apart. If beta is
// 0, c is not read.
kernel void scale_matrix(global real *c, uint first, uint ld, uint M, uint N, real beta)
{
    const uint j = get_global_id(0), i = get_global_id(1);

    if (i >= M || j >= N)
        return;
    global real *e = c + first + (size_t)i * ld + j;
    *e = beta == 0.0f ? 0.0f : beta * *e;
}
