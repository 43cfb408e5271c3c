// SPDX-License-Identifier: MIT
// Compares a made-up result with made-up files of earlier runs: which differences must be reported as changes.
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "clrnn/diagnose.h"
#include "tests/test.h"

#define DEVICE "\"name\": \"gpu\", \"platform\": \"p\", \"driver\": \"1\", \"opencl\": \"3.0\", \"verdict\": \"ok\""

static double curve[2] = {0.5, 0.25}, bound[2] = {1e-6, 1e-6};
static struct clrnn_compare_row row = {.spec = "0:0",
                                       .name = "gpu",
                                       .platform = "p",
                                       .driver = "1",
                                       .opencl = "3.0",
                                       .verdict = CLRNN_VERDICT_OK,
                                       .steps = 2,
                                       .curve = curve,
                                       .step_ms = {.median = 2, .min = 1.9, .max = 2.1},
                                       .peak_device_bytes = 1000};
static const struct clrnn_compare_result result = {
    .steps = 2, .speed = true, .bound = bound, .row_count = 1, .row = &row, .config_key = "k"};

// Writes `text` to a file, and compares with this file as the earlier run.
static enum clrnn_status against(const char *text, const struct clrnn_compare_result *r,
                                 struct clrnn_baseline_result *changes)
{
    char path[] = "baseline-XXXXXX";
    const int fd = mkstemp(path);
    enum clrnn_status st;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    st = clrnn_compare_baseline(NULL, path, r, changes);
    unlink(path);
    return st;
}

static void changes_are_named(void **state)
{
    static const struct {
        const char *top, *device, *change; // change: how the reported change begins; NULL: nothing changed
    } cases[] = {
        {"\"config_key\": \"k\"", DEVICE ", \"loss\": [0.5, 0.25]", NULL},
        {"\"config_key\": \"k\"", DEVICE ", \"loss\": [0.5, 0.2500001]", "other bits, within rounding: 1 of 2"},
        {"\"config_key\": \"k\"", DEVICE ", \"loss\": [0.5, 0.26]", "DIFFERENT: the loss of step 2"},
        {"\"config_key\": \"k\"", DEVICE ", \"loss\": [0.5, null]", "DIFFERENT: the loss of step 2"},
        {"\"config_key\": \"other\"", DEVICE ", \"loss\": [0.5, 0.26]", NULL},
        {"\"config_key\": 5", DEVICE ", \"loss\": 5", NULL},
        {"\"speed\": true", DEVICE ", \"step_ms\": {\"median\": 1, \"min\": 0.9, \"max\": 1.1}", "SLOWER: 2.000 ms"},
        {"\"speed\": true", DEVICE ", \"step_ms\": {\"median\": 4, \"min\": 3.9, \"max\": 4.1}", "faster: 2.000 ms"},
        {"\"speed\": false", DEVICE ", \"step_ms\": {\"median\": 1, \"min\": 0.9, \"max\": 1.1}", NULL},
        {"\"speed\": true", DEVICE ", \"peak_device_bytes\": 100", "more device memory: 1000 bytes, earlier 100"},
        {"\"steps\": 2", "\"name\": \"another\", \"platform\": \"p\"", "not in the earlier comparison"},
        {"\"steps\": 2",
         "\"name\": \"gpu\", \"platform\": \"p\", \"driver\": \"0\", \"opencl\": \"3.0\", "
         "\"verdict\": \"ok\"",
         "driver 1, earlier 0"},
        {"\"steps\": 2",
         "\"name\": \"gpu\", \"platform\": \"p\", \"driver\": \"1\", \"opencl\": \"3.0\", "
         "\"verdict\": \"wrong\"",
         "DIFFERENT: verdict ok, earlier wrong"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct clrnn_baseline_result changes;
        char text[512];

        snprintf(text, sizeof(text), "{%s, \"steps\": 2, \"devices\": [{%s}]}", cases[i].top, cases[i].device);
        assert_int_equal(against(text, &result, &changes), CLRNN_OK);
        if (changes.count != (cases[i].change ? 1 : 0) ||
            (cases[i].change && strncmp(changes.change[0].text, cases[i].change, strlen(cases[i].change))))
            fail_msg("case %zu: %s", i, changes.count ? changes.change[0].text : "nothing changed");
        clrnn_baseline_finish(&changes);
        clrnn_baseline_finish(&changes);
    }
}

static void files_without_a_comparison(void **state)
{
    static const char *const texts[] = {"", "[]", "{}", "{\"devices\": 5}"};
    struct clrnn_baseline_result changes;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(against(texts[i], NULL, NULL), CLRNN_ERR_DATA);
        assert_int_equal(against(texts[i], &result, &changes), CLRNN_ERR_DATA);
        assert_int_equal(changes.count, 0);
    }
    assert_int_equal(against("{\"devices\": []}", NULL, NULL), CLRNN_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(changes_are_named),
                                       cmocka_unit_test(files_without_a_comparison)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
