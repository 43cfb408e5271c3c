// SPDX-License-Identifier: MIT
// Medians and the Kolmogorov-Smirnov distance of samples with known results.
#include <math.h>

#include "base/stats.h"
#include "tests/test.h"

static void medians(void **state)
{
    double odd[] = {3, -1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};

    (void)state;
    assert_true(clrnn_median(odd, 3) == 2);
    assert_true(odd[0] == -1 && odd[1] == 2 && odd[2] == 3); // the array is sorted
    assert_true(clrnn_median(even, 4) == 2.5);
    assert_true(clrnn_median(one, 1) == 7);
    assert_true(isnan(clrnn_median(one, 0)));
}

// The distance of disjoint samples is 1, of a sample from itself 0, and of {1, 2, 3, 4} from {3, 4, 5, 6} 0.5. Values
// that are equal in both samples are counted in both before the distance is taken.
static void distances(void **state)
{
    const double missing[] = {NAN, NAN};
    const double a[] = {1, 2, 3, 4}, b[] = {3, 4, 5, 6}, c[] = {10, 11}, ties[] = {2, 2, 2};

    (void)state;
    assert_true(clrnn_ks_distance(a, 4, a, 4) == 0);
    assert_true(clrnn_ks_distance(a, 4, c, 2) == 1);
    assert_true(clrnn_ks_distance(a, 4, b, 4) == 0.5);
    assert_true(clrnn_ks_distance(ties, 3, a, 4) == 0.5);
    assert_true(clrnn_ks_distance(a, 4, ties, 3) == 0.5);
    assert_true(clrnn_ks_distance(a, 0, b, 4) == 0);
    assert_true(clrnn_ks_distance(missing, 2, missing, 2) == 0); // must not loop forever
}

// 1.358 sqrt(2 / n) is the limit in tables for two samples of n values at 5 %.
static void limits(void **state)
{
    (void)state;
    assert_true(fabs(clrnn_ks_limit(100, 100, 0.05) - 1.358 * sqrt(0.02)) < 1e-3);
    assert_true(clrnn_ks_limit(1000, 1000, 0.05) < clrnn_ks_limit(100, 100, 0.05));
    assert_true(clrnn_ks_limit(100, 100, 1e-6) > clrnn_ks_limit(100, 100, 0.05));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(medians),
        cmocka_unit_test(distances),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
