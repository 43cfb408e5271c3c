// SPDX-License-Identifier: MIT
// The op feed against the reference: every number is copied or normalised, so results are almost exact.
#include "op_test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"

struct variant {
    bool tokens, lengths, normal;
    int target; // 0 none, 1 classes, 2 reals
    bool steps;
};

static void feed(struct clrnn_check *t, uint32_t S, uint32_t T_data, uint32_t T, uint32_t N, uint32_t C,
                 const struct variant *v)
{
    const size_t count = (size_t)S * T_data * (v->tokens ? 1 : C), rows = (size_t)T * N;
    int32_t *lengths;
    float *deviation;

    clrnn_check_begin(t, CLRNN_OP_FEED, T, N, C, 6000 + C * 13 + S);
    snprintf(t->what, sizeof(t->what), "S=%u T_data=%u tokens=%d lengths=%d normal=%d target=%d steps=%d", S, T_data,
             v->tokens, v->lengths, v->normal, v->target, v->steps);
    t->op.feed.S = S;
    t->op.feed.T_data = T_data;
    t->op.feed.tokens = v->tokens;
    t->op.feed.target = v->target != 0;
    t->op.feed.target_real = v->target == 2;
    t->op.feed.target_steps = v->steps;
    // The index buffer is longer than the batch.
    clrnn_check_int(t, FEED_INDEX, N + 9, 0, (int32_t)S - 1);
    t->in[FEED_INDEX].type = CLRNN_U32;
    if (v->tokens)
        clrnn_check_int(t, FEED_X, count, 0, 99);
    else
        clrnn_check_real(t, FEED_X, count);
    if (v->target == 1)
        clrnn_check_int(t, FEED_Y, v->steps ? (size_t)S * T_data : S, 0, 9);
    if (v->target == 2)
        clrnn_check_real(t, FEED_Y, v->steps ? (size_t)S * T_data : S);
    if (v->normal && !v->tokens) {
        clrnn_check_real(t, FEED_MEAN, C);
        deviation = clrnn_check_real(t, FEED_STD, C);
        for (uint32_t c = 0; c < C; c++)
            deviation[c] = 0.5f + fabsf(deviation[c]);
    }
    if (v->lengths) {
        lengths = clrnn_check_int(t, FEED_LENGTHS, S, 1, (int32_t)T_data);
        for (uint32_t s = 0; s < S && !v->tokens; s++) // NaN in padding must not reach the outputs
            for (uint32_t i = (uint32_t)lengths[s] * C; i < T_data * C; i++)
                t->in[FEED_X].real[(size_t)s * T_data * C + i] = NAN;
    }
    clrnn_check_out(t, FEED_OUT_X, v->tokens ? CLRNN_I32 : CLRNN_REAL, rows * (v->tokens ? 1 : C),
                    v->normal ? 3e-7 : 0);
    if (v->target)
        clrnn_check_out(t, FEED_OUT_Y, v->target == 1 ? CLRNN_I32 : CLRNN_REAL, v->steps ? rows : N, 0);
    if (v->lengths)
        clrnn_check_out(t, FEED_OUT_LENGTHS, CLRNN_I32, N, 0);
    op_test_run(t);
}

static void shapes(void **state)
{
    static const uint32_t shape[][5] = {
        // S, T_data, T, N, C
        {1, 1, 1, 1, 1},   {9, 1, 1, 4, 31},   {5, 7, 7, 3, 16},
        {70, 6, 4, 65, 1}, {33, 20, 13, 8, 9}, {100, 1, 1, 64, 247},
    };
    const size_t count = op_test_small() ? 4 : ARRAY_SIZE(shape);

    for (size_t i = 0; i < count; i++)
        for (unsigned k = 0; k < 48; k++) {
            const struct variant v = {
                .tokens = k & 1, .lengths = k & 2, .normal = k & 4, .steps = k & 8, .target = (int)(k / 16)};
            const uint32_t *s = shape[i];

            if (op_test_small() && k % 3 != 0)
                continue;
            feed(*state, s[0], s[1], s[2], s[3], s[4], &v);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes)};

    return cmocka_run_group_tests_name("ops/feed", tests, op_test_open, op_test_close);
}
