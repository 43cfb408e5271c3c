// SPDX-License-Identifier: MIT
// Test cases of the feed (cases.h): features and tokens, with and without padding, batches that begin at step 0 and at
// a later step of the samples.
#include <stdio.h>

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status feed(struct clrnn_cases *s, const struct clrnn_case_size *z, bool tokens, bool target_real,
                              uint32_t first)
{
    const uint32_t targets = target_real && z->N % 2 ? 3 : 1;
    struct clrnn_check *c = s->check;
    const uint32_t S = z->N + 4, T_data = z->T + 2;
    const size_t count = (size_t)S * T_data * (tokens ? 1 : z->C);

    clrnn_case_begin(s, CLRNN_OP_FEED, z, z->C);
    snprintf(c->what, sizeof(c->what), "tokens=%d first=%u", tokens, (unsigned)first);
    c->op.feed.S = S;
    c->op.feed.T_data = T_data;
    c->op.feed.tokens = tokens;
    c->op.feed.target = true;
    c->op.feed.target_real = target_real;
    c->op.feed.target_steps = z->padded;
    c->op.feed.targets = targets;
    clrnn_check_int(c, FEED_INDEX, z->N, 0, (int32_t)S - 1);
    c->in[FEED_INDEX].type = CLRNN_U32;
    if (tokens)
        clrnn_check_int(c, FEED_X, count, 0, 99);
    else
        clrnn_check_real(c, FEED_X, count);
    if (target_real)
        clrnn_check_real(c, FEED_Y, (z->padded ? (size_t)S * T_data : S) * targets);
    else
        clrnn_check_int(c, FEED_Y, z->padded ? (size_t)S * T_data : S, 0, 9);
    if (!tokens) {
        clrnn_check_real(c, FEED_MEAN, z->C);
        clrnn_case_positive(clrnn_check_real(c, FEED_STD, z->C), z->C, 0.5f);
    }
    if (z->padded)
        clrnn_check_int(c, FEED_LENGTHS, S, 1, (int32_t)T_data);
    if (first) {
        clrnn_check_counter(c, FEED_COUNTER, 5, 0);
        if (!c->no_memory)
            c->in[FEED_COUNTER].word[COUNTER_FIRST] = (int32_t)first;
    }
    clrnn_check_out(c, FEED_OUT_X, tokens ? CLRNN_I32 : CLRNN_REAL, clrnn_case_rows(z) * (tokens ? 1 : z->C), 0);
    clrnn_check_out(c, FEED_OUT_Y, target_real ? CLRNN_REAL : CLRNN_I32,
                    (z->padded ? clrnn_case_rows(z) : z->N) * targets, 0);
    if (target_real) {
        clrnn_check_real(c, FEED_WEIGHT, S);
        clrnn_check_out(c, FEED_OUT_WEIGHT, CLRNN_REAL, z->N, 0);
    }
    if (z->padded)
        clrnn_check_out(c, FEED_OUT_LENGTHS, CLRNN_I32, z->N, 0);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_feed_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    if (z->sums)
        return CLRNN_OK;
    TRY(feed(s, z, false, true, 0));
    TRY(feed(s, z, true, false, 0));
    TRY(feed(s, z, false, true, 2)); // begins at step 2, after the end of short samples
    return feed(s, z, true, false, 1);
}
