// SPDX-License-Identifier: MIT
// Numbers as text and back, booleans, and suggestions for misspelt words.
#include <float.h>
#include <locale.h>
#include <math.h>

#include "base/array.h"
#include "base/random.h"
#include "base/words.h"
#include "tests/test.h"

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},    {"1e-4", 1e-4},     {"1.0e-3", 1e-3},     {"-2.5", -2.5},     {"+3", 3},
                {".5", .5},  {"5.", 5},          {"1_000", 1000},      {"1E5", 1e5},       {"1e+5", 1e5},
                {"010", 10}, {".inf", INFINITY}, {"-.INF", -INFINITY}, {"1e400", INFINITY}};
    static const char *const bad[] = {"",   " 1", "1 ",   "nan", ".nan", "inf", "0x10", "1e", "1.2.3", "1,5",
                                      "_1", "1_", "1__0", "--1", "e5",   ".",   "-",    "1f", "true",  "0x1p3"};
    double value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        if (!clrnn_number_parse(good[i].text, &value) || value != good[i].value)
            fail_msg("%s is read as %g", good[i].text, value);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (clrnn_number_parse(bad[i], &value))
            fail_msg("\"%s\" is taken for %g", bad[i], value);
    }
}

static void test_integers(void **state)
{
    static const char *const bad[] = {"",   "-", "1.0", "1e3", "0x", "0xg", "0x0x10", "18446744073709551616",
                                      "1 ", "x", "1_"};
    uint64_t magnitude;
    bool negative;

    (void)state;
    assert_true(clrnn_integer_parse("18446744073709551615", &negative, &magnitude));
    assert_true(!negative && magnitude == UINT64_MAX);
    assert_true(clrnn_integer_parse("-12", &negative, &magnitude) && negative && magnitude == 12);
    assert_true(clrnn_integer_parse("0x1F", &negative, &magnitude) && !negative && magnitude == 31);
    assert_true(clrnn_integer_parse("1_000_000", &negative, &magnitude) && magnitude == 1000000);
    assert_true(clrnn_integer_parse("007", &negative, &magnitude) && magnitude == 7);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        if (clrnn_integer_parse(bad[i], &negative, &magnitude))
            fail_msg("\"%s\" is taken for %llu", bad[i], (unsigned long long)magnitude);
    }
}

static void test_bools(void **state)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "on", "ON"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "off", "OFF"};
    static const char *const bad[] = {"", "1", "0", "y", "n", "tRUE", "truee", "null"};
    bool value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
        assert_true(clrnn_bool_parse(yes[i], &value) && value);
    for (size_t i = 0; i < ARRAY_SIZE(no); i++)
        assert_true(clrnn_bool_parse(no[i], &value) && !value);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_false(clrnn_bool_parse(bad[i], &value));
    assert_true(clrnn_null_word("") && clrnn_null_word("~") && clrnn_null_word("null"));
    assert_false(clrnn_null_word("none"));
}

static void check_round_trip(double value)
{
    char text[CLRNN_NUMBER_SIZE];
    double back;

    clrnn_number_text(value, text);
    if (!clrnn_number_parse(text, &back) || memcmp(&back, &value, sizeof(back)))
        fail_msg("%.17g is written %s and read as %.17g", value, text, back);
    if (isfinite(value) && !strchr(text, '.'))
        fail_msg("%.17g is written %s, which YAML 1.1 does not take for a float", value, text);
}

static void test_round_trip(void **state)
{
    static const double special[] = {0.0,
                                     -0.0,
                                     1,
                                     -1,
                                     0.1,
                                     1e-4,
                                     1e-298,
                                     1e22,
                                     1e23,
                                     DBL_MAX,
                                     DBL_MIN,
                                     DBL_EPSILON,
                                     4.9406564584124654e-324,
                                     1.0 / 3,
                                     100000,
                                     123456789,
                                     INFINITY,
                                     -INFINITY};
    const struct clrnn_random r = {.seed = 11};
    char text[CLRNN_NUMBER_SIZE];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(special); i++)
        check_round_trip(special[i]);
    for (uint64_t i = 0; i < 20000; i += 2) { // numbers with random bits
        const uint64_t bits = (uint64_t)clrnn_random_u32(&r, i) << 32 | clrnn_random_u32(&r, i + 1);
        double value;

        memcpy(&value, &bits, sizeof(value));
        if (isfinite(value))
            check_round_trip(value);
    }
    clrnn_number_text(0.1, text);
    assert_string_equal(text, "0.1");
    clrnn_number_text(1e-5, text);
    assert_string_equal(text, "1.0e-05");
}

// A locale with a decimal comma must change nothing.
static void test_locale(void **state)
{
    static const char *const comma[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ru_RU.UTF-8"};
    bool found = false;
    char text[CLRNN_NUMBER_SIZE];
    double value;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(comma) && !found; i++)
        found = setlocale(LC_ALL, comma[i]) != NULL;
    if (!found) {
        print_message("# skipped: no locale with a decimal comma is installed\n");
        return; // cmocka's skip() prints "not ok", which meson takes for a failure
    }
    assert_true(clrnn_number_parse("1.5", &value) && value == 1.5);
    assert_false(clrnn_number_parse("1,5", &value));
    clrnn_number_text(1.5, text);
    setlocale(LC_ALL, "C");
    assert_string_equal(text, "1.5");
}

static void test_guesses(void **state)
{
    (void)state;
    assert_int_equal(clrnn_word_distance("lr", "lr"), 0);
    assert_int_equal(clrnn_word_distance("lrr", "lr"), 1);
    assert_int_equal(clrnn_word_distance("hiden_size", "hidden_size"), 1);
    assert_int_equal(clrnn_word_distance("lsmt", "lstm"), 1);
    assert_int_equal(clrnn_word_distance("LSTM", "lstm"), 0);
    assert_true(clrnn_word_distance("batchnorm1d", "batchnorm") < SIZE_MAX);
    assert_true(clrnn_word_distance("cross_entropy_loss", "cross_entropy") < SIZE_MAX);
    assert_true(clrnn_word_distance("epoch", "epochs") < clrnn_word_distance("epoch", "eps"));
    assert_true(clrnn_word_distance("x", "y") == SIZE_MAX);
    assert_true(clrnn_word_distance("", "lr") == SIZE_MAX);
    assert_true(clrnn_word_distance("momentum", "weight_decay") == SIZE_MAX);
}

static void test_unsigned_nan(void **state)
{
    char text[64];

    (void)state;
    snprintf(text, sizeof(text), "%g %g %g", clrnn_unsigned_nan(copysign(NAN, -1.0)), clrnn_unsigned_nan(NAN),
             clrnn_unsigned_nan(-1.5));
    assert_string_equal(text, "nan nan -1.5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),      cmocka_unit_test(test_integers),   cmocka_unit_test(test_bools),
        cmocka_unit_test(test_locale),       cmocka_unit_test(test_round_trip), cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_unsigned_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
