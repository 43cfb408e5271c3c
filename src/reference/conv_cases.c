// SPDX-License-Identifier: MIT
// Test cases of convolution over time (cases.h).
#include <stdio.h>

#include "base/array.h"
#include "base/log.h"
#include "reference/cases.h"

// Adds the input in slot `new`, the number of windows of each sample. Slot `old` has the lengths of the samples.
static void new_lengths(struct clrnn_check *c, int old, int new)
{
    const struct clrnn_conv_attributes *a = &c->op.conv;
    int32_t *out = clrnn_check_int(c, new, c->op.N, 1, 1);

    for (uint32_t n = 0; out && c->in[old].word && n < c->op.N; n++) {
        const int32_t room =
            c->in[old].word[n] + (int32_t)(2 * a->padding) - (int32_t)(a->dilation * (a->kernel - 1)) - 1;

        out[n] = room < 0 ? 0 : MIN2(room / (int32_t)a->stride + 1, (int32_t)a->T_out);
    }
}

static bool set(struct clrnn_check *c, const struct clrnn_case_size *z, uint32_t kernel, uint32_t stride)
{
    const uint32_t padding = kernel / 2;
    const int64_t room = (int64_t)z->T + 2 * padding - 2 * (kernel - 1) - 1;

    if (room < 0)
        return false;
    c->op.conv = (struct clrnn_conv_attributes){.O = z->H,
                                                .T_out = (uint32_t)room / stride + 1,
                                                .kernel = kernel,
                                                .stride = stride,
                                                .dilation = 2,
                                                .padding = padding};
    snprintf(c->what, sizeof(c->what), "O=%u kernel=%u stride=%u padded=%d", z->H, kernel, stride, z->padded);
    return true;
}

static enum clrnn_status conv(struct clrnn_cases *s, const struct clrnn_case_size *z, uint32_t kernel, uint32_t stride)
{
    struct clrnn_check *c = s->check;
    const size_t weights = (size_t)z->H * z->C * kernel;

    clrnn_case_begin(s, CLRNN_OP_CONV_FWD, z, z->C);
    if (!set(c, z, kernel, stride))
        return CLRNN_OK;
    clrnn_check_real(c, CONV_X, clrnn_case_rows(z) * z->C);
    clrnn_case_lengths(s, z, CONV_LENGTHS);
    clrnn_case_poison(s, z, CONV_X, z->C);
    if (z->padded)
        new_lengths(c, CONV_LENGTHS, CONV_NEW_LENGTHS);
    clrnn_check_real(c, CONV_WEIGHT, weights);
    clrnn_check_real(c, CONV_BIAS, z->H);
    clrnn_case_out(s, CONV_Y, (size_t)c->op.conv.T_out * z->N * z->H);
    TRY(clrnn_case_run(s));

    clrnn_case_begin(s, CLRNN_OP_CONV_BWD, z, z->C);
    set(c, z, kernel, stride);
    clrnn_check_real(c, CONV_BWD_X, clrnn_case_rows(z) * z->C);
    clrnn_case_lengths(s, z, CONV_BWD_LENGTHS);
    clrnn_case_poison(s, z, CONV_BWD_X, z->C);
    if (z->padded)
        new_lengths(c, CONV_BWD_LENGTHS, CONV_BWD_NEW_LENGTHS);
    clrnn_check_real(c, CONV_BWD_WEIGHT, weights);
    clrnn_check_real(c, CONV_BWD_DY, (size_t)c->op.conv.T_out * z->N * z->H);
    clrnn_check_out_rows(c, CONV_DX, z->C, 0);
    clrnn_case_out(s, CONV_DWEIGHT, weights);
    clrnn_case_out(s, CONV_DBIAS, z->H);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_conv_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    if (z->sums)
        return CLRNN_OK;
    TRY(conv(s, z, 1, 1));
    TRY(conv(s, z, 3, 1));
    return conv(s, z, 4, 2);
}
