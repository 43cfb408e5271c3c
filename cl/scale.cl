// SPDX-License-Identifier: MIT
// A matrix multiply with inner size 0: C = beta C.
#include "common.h"

// c [rows, ld], columns 0 to N - 1 from `first` on: multiplied by beta; beta 0 does not read.
kernel void scale_matrix(global real *c, uint first, uint ld, uint M, uint N, real beta)
{
    const uint j = get_global_id(0), i = get_global_id(1);

    if (i >= M || j >= N)
        return;
    global real *e = c + first + (size_t)i * ld + j;
    *e = beta == 0.0f ? 0.0f : beta * *e;
}
