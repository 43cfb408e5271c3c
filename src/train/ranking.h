// SPDX-License-Identifier: MIT
// Computes the areas under the ROC curve and the precision-recall curve of scored items.
#ifndef CLRNN_SRC_TRAIN_RANKING_H
#define CLRNN_SRC_TRAIN_RANKING_H

#include <stdbool.h>
#include <stddef.h>

/** The score of an item, and whether the item is positive. */
struct clrnn_score {
    double value;
    bool positive;
};

/** Sorts the scores by value and computes *roc, the area under the ROC curve, and *pr, the average precision, like
 * scikit-learn's roc_auc_score and average_precision_score. Both are NaN if a score is NaN, or if there are no positive
 * or no negative items. */
void clrnn_ranking(struct clrnn_score *score, size_t count, double *roc, double *pr);

#endif
