// SPDX-License-Identifier: MIT
// Attention pooling over time; doc/maths.md, "Attention pool".
#include "reference/rows.h"

static bool attention_fwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t T = op->T, N = op->N, C = op->C, A = op->attention.A;
    const double *x = in[ATTENTION_X], *weight = in[ATTENTION_WEIGHT], *bias = in[ATTENTION_BIAS];
    const double *v = in[ATTENTION_V];
    double *y = out[ATTENTION_Y], *kept = out[ATTENTION_HIDDEN], *shares = out[ATTENTION_SHARE];
    double *hidden = malloc(A * sizeof(*hidden)), *score = malloc(T * sizeof(*score));
    const bool there = hidden && score;

    ref_zero(y, N * C);
    ref_zero(kept, ref_rows(op) * A);
    ref_zero(shares, ref_rows(op));
    for (size_t n = 0; there && n < N; n++) {
        const size_t length = ref_length(op, in[ATTENTION_LENGTHS], n);
        struct ref_logsumexp total;

        for (size_t t = 0; t < length; t++) {
            memcpy(hidden, bias, A * sizeof(*hidden));
            ref_matrix_vector(hidden, weight, x + (t * N + n) * C, A, C);
            score[t] = 0;
            for (size_t a = 0; a < A; a++) {
                hidden[a] = tanh(hidden[a]);
                score[t] += v[a] * hidden[a];
            }
            if (kept)
                memcpy(kept + (t * N + n) * A, hidden, A * sizeof(*hidden));
        }
        total = ref_logsumexp(score, length);
        for (size_t t = 0; t < length; t++) {
            const double share = exp(ref_log_softmax(score[t], total));

            if (shares)
                shares[t * N + n] = share;
            for (size_t c = 0; c < C; c++)
                y[n * C + c] += share * x[(t * N + n) * C + c];
        }
    }
    free(hidden);
    free(score);
    return there;
}

static bool attention_bwd(const struct clrnn_op *op, void *const in[], void *const out[])
{
    const size_t N = op->N, C = op->C, A = op->attention.A;
    const double *x = in[ATTENTION_BWD_X], *weight = in[ATTENTION_BWD_WEIGHT], *v = in[ATTENTION_BWD_V];
    const double *hidden = in[ATTENTION_BWD_HIDDEN], *share = in[ATTENTION_BWD_SHARE], *dy = in[ATTENTION_BWD_DY];
    double *dx = out[ATTENTION_DX], *dweight = out[ATTENTION_DWEIGHT], *dbias = out[ATTENTION_DBIAS];
    double *dv = out[ATTENTION_DV], *dhidden = malloc(A * sizeof(*dhidden));
    const bool there = dhidden;

    ref_zero(dx, ref_rows(op) * C);
    ref_zero(dweight, A * C);
    ref_zero(dbias, A);
    ref_zero(dv, A);
    for (size_t n = 0; there && n < N; n++) {
        const size_t length = ref_length(op, in[ATTENTION_BWD_LENGTHS], n);
        const double *d = dy + n * C;
        double mean = 0;

        for (size_t t = 0; t < length; t++)
            for (size_t c = 0; c < C; c++)
                mean += share[t * N + n] * d[c] * x[(t * N + n) * C + c];
        for (size_t t = 0; t < length; t++) {
            const size_t r = t * N + n;
            double dshare = 0, dscore;

            for (size_t c = 0; c < C; c++)
                dshare += d[c] * x[r * C + c];
            dscore = share[r] * (dshare - mean);
            for (size_t a = 0; a < A; a++) {
                const double h = hidden[r * A + a];

                dhidden[a] = dscore * v[a] * (1 - h * h);
                if (dv)
                    dv[a] += dscore * h;
            }
            if (dbias)
                ref_add(dbias, dhidden, A);
            if (dweight)
                ref_outer(dweight, dhidden, x + r * C, A, C);
            for (size_t c = 0; dx && c < C; c++)
                dx[r * C + c] = share[r] * d[c];
            if (dx)
                ref_matrix_vector_back(dx + r * C, weight, dhidden, A, C);
        }
    }
    free(dhidden);
    return there;
}

// The error bounds allow for a product summed over features, a softmax, and a sum over steps (in backward over rows).
const struct clrnn_reference clrnn_attention_fwd_reference = {attention_fwd,
                                                              {{ANY_SLOT, 16, TERMS_FEATURES, OF_TENSOR}}};
const struct clrnn_reference clrnn_attention_bwd_reference = {
    attention_bwd, {{ATTENTION_DX, 32, TERMS_FEATURES, OF_TENSOR}, {ANY_SLOT, 16, TERMS_ROWS, OF_TENSOR}}};
