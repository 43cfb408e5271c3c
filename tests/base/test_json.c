// SPDX-License-Identifier: MIT
// Reads JSON, and runs out of memory while JSON is read, built or written.
#include "base/json.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/folder.h"

static void test_read(void **state)
{
    char *path = test_folder_path("x.json");
    json_t *value;

    (void)state;
    assert_int_equal(clrnn_json_read(NULL, path, &value), CLRNN_ERR_DATA);
    assert_int_equal(mkfifo(path, 0600), 0);
    // a pipe must be refused, not waited for
    assert_int_equal(clrnn_json_read(NULL, path, &value), CLRNN_ERR_DATA);
    unlink(path);
    assert_int_equal(clrnn_write_text(NULL, path, "{\"a\": "), CLRNN_OK);
    assert_int_equal(clrnn_json_read(NULL, path, &value), CLRNN_ERR_DATA);
    assert_null(value);
    assert_int_equal(clrnn_write_text(NULL, path, ""), CLRNN_OK);
    assert_int_equal(clrnn_json_read(NULL, path, &value), CLRNN_ERR_DATA);
    assert_int_equal(clrnn_write_text(NULL, path, "{\"a\": [1]}"), CLRNN_OK);
    assert_int_equal(clrnn_json_read(NULL, path, &value), CLRNN_OK);
    assert_int_equal(json_array_size(json_object_get(value, "a")), 1);
    json_decref(value);
    free(path);
}

static json_malloc_t given;
static json_free_t given_free;
static unsigned left;

static void *scarce(size_t size)
{
    return left && --left ? given(size) : NULL;
}

// Makes all allocations fail from the first on, then from the second on, and so on: in writing, then in reading. The
// result must be complete, or the failure must be reported.
static void test_shortage(void **state)
{
    static const char text[] = "{\"a\": [1, 2.5, \"b\"], \"c\": {\"d\": null}}";
    char *good = NULL, *dumped;
    json_t *value;
    unsigned n, told = 0;

    (void)state;
    assert_int_equal(clrnn_json_parse(NULL, "it", text, sizeof(text) - 1, 0, NULL, &value), CLRNN_OK);
    good = clrnn_json_dumps(value, JSON_COMPACT);
    assert_non_null(good);
    for (n = 1, dumped = NULL; !dumped; n++) {
        left = n;
        dumped = clrnn_json_dumps(value, JSON_COMPACT);
        told += !dumped;
        assert_true(n < 100);
    }
    assert_string_equal(dumped, good);
    free(dumped);
    free(good);
    json_decref(value);
    for (n = 1, value = NULL; !value; n++) {
        left = n;
        if (clrnn_json_parse(NULL, "it", text, sizeof(text) - 1, 0, NULL, &value) != CLRNN_OK)
            assert_null(value);
        told += !value;
        assert_true(n < 100);
    }
    json_decref(value);
    assert_true(told > 10);
    left = ~0u;
    value = json_pack("[s?]", "c");
    clrnn_json_lacks_memory(); // reports that clRNN itself ran out of memory while it built `value`
    assert_null(clrnn_json_dumps(value, 0));
    json_decref(value);
}

// Runs before the constructor of base/json.c. That constructor wraps the allocation functions that it finds: those set
// here. Thus the test shows that failures of an application's own functions are noticed, too.
__attribute__((constructor(101))) static void be_scarce(void)
{
    left = ~0u;
    json_get_alloc_funcs(&given, &given_free);
    json_set_alloc_funcs(scarce, given_free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_shortage)};

    return cmocka_run_group_tests(tests, test_folder_make, test_folder_remove);
}
