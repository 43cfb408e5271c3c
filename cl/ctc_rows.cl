// SPDX-License-Identifier: MIT
// Statistics of each row of x [T, N, C] for connectionist temporal classification, computed before cl/ctc.cl.
//
// Defines: LANES; WIDTH 1 or 16.
#include "reduce.h"

// Writes two numbers to stats for each row: the largest x, and ln(sum of e^(x - largest x)). Writes to best the first
// class with the largest x. A team of LANES work-items (reduce.h) computes `chunk` rows.
kernel void ctc_rows(global const real *x, global const int *lengths, global real *stats, global real *best,
                     uint rows, uint N, uint C, uint chunk, local real *scratch)
{
    const uint last = min(rows, (TEAM + 1) * chunk);

    for (uint r = TEAM * chunk; r < last; r++) {
        global const real *row = x + (size_t)r * C;
        const uint end = row_valid(lengths, N, r) ? C : 0;
        realv part = -INFINITY;
        real top, sum;
        uint at = 0;

        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH)
            part = fmax(part, load_or(row + c, C - c, -INFINITY));
        top = LANE_MAX(max_of(part), scratch);
        part = 0.0f;
        for (uint c = LANE * WIDTH; c < end; c += LANES * WIDTH)
            part += exp_vec(load_or(row + c, C - c, -INFINITY) - top);
        sum = LANE_SUM(sum_of(part), scratch);
        while (LANE == 0 && at < end && row[at] != top)
            at++;
        if (LANE == 0) {
            stats[2 * (size_t)r] = top;
            stats[2 * (size_t)r + 1] = log(sum);
            best[r] = (real)(at < end ? at : 0); // stored as a real, because scratch memory has only reals
        }
    }
}
