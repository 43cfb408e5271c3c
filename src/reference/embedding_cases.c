// SPDX-License-Identifier: MIT
// Test cases of the embedding (cases.h).

#include "base/log.h"
#include "reference/cases.h"

static enum clrnn_status embedding(struct clrnn_cases *s, const struct clrnn_case_size *z, bool backward)
{
    struct clrnn_check *c = s->check;
    const uint32_t V = z->H + 2;

    clrnn_case_begin(s, backward ? CLRNN_OP_EMBEDDING_BWD : CLRNN_OP_EMBEDDING_FWD, z, z->C);
    c->op.embedding.V = V;
    c->op.embedding.padding_idx = z->padded ? 1 : -1;
    clrnn_check_int(c, EMBEDDING_X, clrnn_case_rows(z), -1, (int32_t)V - 1);
    clrnn_check_real(c, backward ? EMBEDDING_BWD_DY : EMBEDDING_WEIGHT, (backward ? clrnn_case_rows(z) : V) * z->C);
    clrnn_case_out(s, 0, (backward ? V : clrnn_case_rows(z)) * z->C);
    return clrnn_case_run(s);
}

enum clrnn_status clrnn_embedding_cases(struct clrnn_cases *s, const struct clrnn_case_size *z)
{
    if (z->sums)
        return CLRNN_OK;
    TRY(embedding(s, z, false));
    return embedding(s, z, true);
}
