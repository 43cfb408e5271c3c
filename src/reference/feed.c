// SPDX-License-Identifier: MIT
// Gathers a batch from a data set and makes it time-major; doc/maths.md, "Feed".
#include "reference/rows.h"

static bool feed(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t T = op->T, N = op->N, C = op->C, T_data = op->feed.T_data;
    const size_t O = op->feed.targets ? op->feed.targets : 1;
    const bool own = op->feed.own_steps > 0;
    const size_t steps = own ? op->feed.own_steps : op->feed.target_steps ? T : 1;
    const size_t steps_data = own ? op->feed.own_steps_data : op->feed.target_steps ? T_data : 1;
    const int32_t *lengths = in[FEED_LENGTHS];
    const uint32_t *index = in[FEED_INDEX];
    const double *mean = in[FEED_MEAN], *std = in[FEED_STD];
    const uint32_t *counter = in[FEED_COUNTER];
    const size_t begin = counter ? counter[COUNTER_FIRST] : 0;

    for (size_t n = 0; n < N; n++) {
        const size_t s = index[n];
        const int64_t left = lengths ? (int64_t)lengths[s] - (int64_t)begin : (int64_t)T;
        const size_t length = left < 0 ? 0 : left > (int64_t)T ? T : (size_t)left;
        int32_t *out_lengths = out[FEED_OUT_LENGTHS];

        if (out_lengths)
            out_lengths[n] = (int32_t)length;
        if (out[FEED_OUT_WEIGHT])
            ((double *)out[FEED_OUT_WEIGHT])[n] = ((const double *)in[FEED_WEIGHT])[s];

        for (size_t t = 0; t < T; t++) {
            const bool valid = t < length;
            const size_t r = t * N + n, from = s * T_data + begin + t;

            if (op->feed.tokens) {
                ((int32_t *)out[FEED_OUT_X])[r] = valid ? ((const int32_t *)in[FEED_X])[from] : -1;
                continue;
            }
            for (size_t c = 0; c < C; c++) {
                double *x = (double *)out[FEED_OUT_X] + r * C + c;

                *x = valid ? ((const double *)in[FEED_X])[from * C + c] : 0.0;
                if (valid && mean)
                    *x = (*x - mean[c]) / std[c];
            }
        }

        if (!op->feed.target || !in[FEED_Y] || !out[FEED_OUT_Y])
            continue;
        if (out[FEED_OUT_Y_LENGTHS])
            ((int32_t *)out[FEED_OUT_Y_LENGTHS])[n] = ((const int32_t *)in[FEED_Y_LENGTHS])[s];
        for (size_t t = 0; t < steps; t++) {
            const size_t r = t * N + n, from = s * steps_data + (op->feed.target_steps && !own ? begin : 0) + t;
            const bool valid = own || !op->feed.target_steps || t < length;

            for (size_t o = 0; o < O && op->feed.target_real; o++)
                ((double *)out[FEED_OUT_Y])[r * O + o] = valid ? ((const double *)in[FEED_Y])[from * O + o] : 0.0;
            for (size_t o = 0; o < O && !op->feed.target_real; o++)
                ((int32_t *)out[FEED_OUT_Y])[r * O + o] =
                    valid ? ((const int32_t *)in[FEED_Y])[from * O + o] : INT32_MIN;
        }
    }
    return true;
}

// The error bounds: numbers are copied, or go through one subtraction and one division.
const struct clrnn_reference clrnn_feed_reference = {feed, {{ANY_SLOT, 4, TERMS_ONE, OF_ELEMENT}}};
