// SPDX-License-Identifier: MIT
// Computes ROC AUC (Mann-Whitney) and average precision from one sorted list.
#include "train/ranking.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = ((const struct clrnn_score *)a)->value, y = ((const struct clrnn_score *)b)->value;

    return (x > y) - (x < y);
}

void clrnn_ranking(struct clrnn_score *score, size_t count, double *roc, double *pr)
{
    double positives = 0, negatives = 0, rank_sum = 0, found = 0, precision = 0;

    *roc = *pr = NAN;
    for (size_t i = 0; i < count; i++) {
        if (isnan(score[i].value))
            return;
        positives += score[i].positive;
    }
    negatives = (double)count - positives;
    if (!(positives > 0 && negatives > 0))
        return;
    qsort(score, count, sizeof(*score), by_value);
    for (size_t end = count; end;) { // from the highest score down; equal scores in one turn
        size_t first = end;
        double ties = 0;

        for (; first && score[first - 1].value >= score[end - 1].value; first--)
            ties += score[first - 1].positive;
        rank_sum += ties * ((double)first + 1 + (double)end) / 2; // equal scores share their mean rank, counted from 1
        found += ties;
        precision += ties / positives * (found / (double)(count - first));
        end = first;
    }
    *roc = (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
    *pr = precision;
}
