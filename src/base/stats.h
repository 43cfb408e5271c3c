// SPDX-License-Identifier: MIT
// Order statistics of samples in double.
#ifndef CLRNN_SRC_BASE_STATS_H
#define CLRNN_SRC_BASE_STATS_H

#include <stddef.h>

/** Sorts ascending, in place. */
void clrnn_sort(double *values, size_t count);

/** The median; for an even count the mean of the middle two; NaN for none. Sorts the values. */
double clrnn_median(double *values, size_t count);

/** Kolmogorov-Smirnov distance of two sorted samples: the largest difference of their distribution functions.
 *  0 if one is empty. */
double clrnn_ks_distance(const double *a, size_t n, const double *b, size_t m);

/** The distance that independent samples of one distribution exceed with probability `alpha` (Smirnov). */
double clrnn_ks_limit(double n, double m, double alpha);

#endif
