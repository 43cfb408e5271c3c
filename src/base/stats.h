// SPDX-License-Identifier: MIT
// Statistics that need sorted samples, in double.
#ifndef CLRNN_SRC_BASE_STATS_H
#define CLRNN_SRC_BASE_STATS_H

#include <stddef.h>

/** Sorts `values` [count] in ascending order, in place. */
void clrnn_sort(double *values, size_t count);

/** Returns the median (of an even count, the mean of the middle two); NaN if count is 0. Sorts `values`. */
double clrnn_median(double *values, size_t count);

/** Returns the Kolmogorov-Smirnov distance of two sorted samples, a [n] and b [m]: the largest difference between their
 * empirical distribution functions. Returns 0 if one sample is empty. */
double clrnn_ks_distance(const double *a, size_t n, const double *b, size_t m);

/** Returns the Kolmogorov-Smirnov distance that two independent samples of n and m values from the same distribution
 * exceed with probability `alpha` (Smirnov's formula for large samples). */
double clrnn_ks_limit(double n, double m, double alpha);

#endif
