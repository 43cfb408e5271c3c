// SPDX-License-Identifier: MIT
// A temporary folder for the tests of a program. test_folder_make and test_folder_remove are setup and teardown of a
// group of tests, or of each test.
#ifndef CLRNN_TESTS_FOLDER_H
#define CLRNN_TESTS_FOLDER_H

#include "base/file.h"
#include "base/temporary.h"
#include "tests/test.h"

static char *test_folder;

static inline int test_folder_make(void **state)
{
    (void)state;
    return clrnn_temporary_folder(&test_print_log, &test_folder) == CLRNN_OK ? 0 : -1;
}

static inline int test_folder_remove(void **state)
{
    (void)state;
    clrnn_remove_folder(test_folder);
    free(test_folder);
    return 0;
}

/** Returns "<folder>/<name>", which the caller frees. */
static inline char *test_folder_path(const char *name)
{
    char *path = clrnn_path_join(test_folder, name);

    assert_non_null(path);
    return path;
}

#endif
