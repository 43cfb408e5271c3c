// SPDX-License-Identifier: MIT
// Statistics that need sorted samples, in double.
#include "base/stats.h"

#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void clrnn_sort(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare);
}

double clrnn_median(double *values, size_t count)
{
    if (!count)
        return NAN;
    clrnn_sort(values, count);
    return count % 2 ? values[count / 2] : 0.5 * (values[count / 2 - 1] + values[count / 2]);
}

double clrnn_ks_distance(const double *a, size_t n, const double *b, size_t m)
{
    double most = 0;

    for (size_t i = 0, j = 0; i < n && j < m;) {
        const double x = fmin(a[i], b[j]);

        while (i < n && !(a[i] > x)) // also skips NaN
            i++;
        while (j < m && !(b[j] > x))
            j++;
        most = fmax(most, fabs((double)i / (double)n - (double)j / (double)m));
    }
    return most;
}

double clrnn_ks_limit(double n, double m, double alpha)
{
    return sqrt(-0.5 * log(alpha / 2)) * sqrt((n + m) / (n * m));
}
