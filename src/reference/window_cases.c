// SPDX-License-Identifier: MIT
// Test cases of windows over time (cases.h).
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static bool set(struct clrnn_check *c, const struct clrnn_case_size *z, bool mean, uint32_t stride)
{
    const int64_t room = (int64_t)z->T + 2 - 2 - 1; // T + 2 padding - (kernel - 1) - 1: kernel 3, padding 1

    if (room < 0)
        return false;
    c->op.window = (struct clrnn_window_attributes){.T_out = (uint32_t)room / stride + 1,
                                                    .kernel = 3,
                                                    .stride = stride,
                                                    .dilation = 1,
                                                    .padding = 1,
                                                    .mean = mean,
                                                    .count_padding = stride == 1};
    snprintf(c->what, sizeof(c->what), "mean=%d stride=%u padded=%d", mean, stride, z->padded);
    return true;
}

// Adds the input in slot `new`, the number of windows of each sample. Slot `old` has the lengths of the samples.
static void new_lengths(struct clrnn_check *c, int old, int new)
{
    int32_t *out = clrnn_check_int(c, new, c->op.N, 1, 1);

    for (uint32_t n = 0; out && c->in[old].word && n < c->op.N; n++)
        out[n] = (c->in[old].word[n] - 1) / (int32_t)c->op.window.stride + 1;
}

static enum clrnn_status window(struct clrnn_cases *s, const struct clrnn_case_size *z, bool mean, uint32_t stride)
{
    struct clrnn_check *c = s->check;
    size_t count;
    int32_t *step;

    clrnn_case_begin(s, CLRNN_OP_WINDOW_FWD, z, z->C);
    if (!set(c, z, mean, stride))
        return CLRNN_OK;
    count = (size_t)c->op.window.T_out * z->N * z->C;
    clrnn_check_real(c, WINDOW_X, clrnn_case_rows(z) * z->C);
    clrnn_case_lengths(s, z, WINDOW_OLD_LENGTHS);
    clrnn_case_poison(s, z, WINDOW_X, z->C);
    if (z->padded)
        new_lengths(c, WINDOW_OLD_LENGTHS, WINDOW_NEW_LENGTHS);
    clrnn_case_out(s, WINDOW_Y, count);
    if (!mean)
        clrnn_check_out(c, WINDOW_ARGMAX, CLRNN_I32, count, 0);
    TRY(clrnn_case_run(s));

    clrnn_case_begin(s, CLRNN_OP_WINDOW_BWD, z, z->C);
    set(c, z, mean, stride);
    clrnn_case_lengths(s, z, WINDOW_BWD_OLD_LENGTHS);
    if (z->padded)
        new_lengths(c, WINDOW_BWD_OLD_LENGTHS, WINDOW_BWD_NEW_LENGTHS);
    step = mean ? NULL : clrnn_check_int(c, WINDOW_BWD_ARGMAX, count, 0, 2);
    for (size_t i = 0; step && i < count; i++) // replaces a tap, 0 to 2, by the step that it reads
        step[i] += (int32_t)(i / ((size_t)z->N * z->C) * stride) - 1;
    clrnn_check_real(c, WINDOW_BWD_DY, count);
    clrnn_check_out_rows(c, WINDOW_DX, z->C, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_window_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    struct clrnn_check *c = s->check;

    for (uint32_t i = 0; !z->sums && i < 4; i++)
        TRY(window(s, z, i & 1, 1 + i / 2));
    if (z->sums || !z->padded)
        return CLRNN_OK;
    clrnn_case_begin(s, CLRNN_OP_WINDOW_LENGTHS, z, z->C);
    set(c, z, true, 2);
    clrnn_check_lengths(c, LENGTHS_OLD);
    clrnn_check_out(c, LENGTHS_NEW, CLRNN_I32, z->N, 0);
    return clrnn_case_run(s);
}
