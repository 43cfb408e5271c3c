// SPDX-License-Identifier: MIT
// Embedding. Forward copies, for each token, its row of the table `weight`, or zeros for a token outside [0, V).
// Backward adds up dy for each row of the table, without atomics. x [rows] tokens; weight, dweight [V, C]; y, dy
// [rows, C].
#include "vector.h"

kernel void embedding_fwd(global const int *x, global const real *weight, global real *y, uint rows, uint C,
                          uint V, uint chunk)
{
    const size_t last = min((size_t)rows * C, ((size_t)get_global_id(0) + 1) * chunk);

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last;) {
        const uint r = (uint)e / C, start = (uint)(e - (size_t)r * C);
        const uint stop = (uint)min((size_t)C, start + (last - e));
        const int token = x[r];
        const bool known = token >= 0 && (uint)token < V;

        for (uint c = start; c < stop; c += WIDTH)
            store(known ? load(weight + (size_t)(uint)token * C + c, stop - c) : (realv)(0.0f),
                  y + (size_t)r * C + c, stop - c);
        e += stop - start;
    }
}

// Work-item (g, s) computes columns [g * columns, (g + 1) * columns) of dweight for the tokens v with v % slices == s
// (slices is a power of two). The token `padding` gets no gradient. No two work-items write the same number, and each
// adds rows of dy in ascending order. So the order of additions is fixed.
kernel void embedding_bwd(global const int *x, global const real *dy, global real *dweight, uint rows, uint C,
                          uint V, int padding, uint slices, uint columns)
{
    const uint first = get_global_id(0) * columns, slice = get_global_id(1);
    const uint last = min(C, first + columns);

    if (first >= C || slice >= slices)
        return;
    for (uint v = slice; v < V; v += slices)
        for (uint c = first; c < last; c += WIDTH)
            store((realv)(0.0f), dweight + (size_t)v * C + c, last - c);
    for (uint r = 0; r < rows; r++) {
        const int token = x[r];
        global real *sum;

        if (token < 0 || (uint)token >= V || token == padding || ((uint)token & (slices - 1)) != slice)
            continue;
        sum = dweight + (size_t)(uint)token * C;
        for (uint c = first; c < last; c += WIDTH)
            store(load(sum + c, last - c) + load(dy + (size_t)r * C + c, last - c), sum + c, last - c);
    }
}
