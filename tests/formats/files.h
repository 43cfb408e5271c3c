// SPDX-License-Identifier: MIT
// Files that a test program of the formats writes, in a temporary folder, and the errors that are logged.
#ifndef CLRNN_TESTS_FORMATS_FILES_H
#define CLRNN_TESTS_FORMATS_FILES_H

#include "base/file.h"
#include "base/temporary.h"
#include "tests/test.h"

static struct test_log kept = {.log = {.fn = test_log_fn, .user = &kept, .level = CLRNN_LOG_ERROR}};

static char *folder;

static char *file_path(const char *name)
{
    char *path = clrnn_path_join(folder, name);

    assert_non_null(path);
    return path;
}

static char *write_file(const char *name, const void *data, size_t size)
{
    char *path = file_path(name);
    struct clrnn_out *out;

    assert_int_equal(clrnn_out_open(&kept.log, path, &out), CLRNN_OK);
    clrnn_out_write(out, data, size);
    assert_int_equal(clrnn_out_commit(&out), CLRNN_OK);
    return path;
}

// Setup and teardown of the group.
static int make_folder(void **state)
{
    (void)state;
    return clrnn_temporary_folder(&kept.log, &folder) == CLRNN_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    clrnn_remove_folder(folder);
    free(folder);
    return 0;
}

#endif
