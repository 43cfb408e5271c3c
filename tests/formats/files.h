// SPDX-License-Identifier: MIT
// Writes files for the tests of the formats, and stores the errors that are logged.
#ifndef CLRNN_TESTS_FORMATS_FILES_H
#define CLRNN_TESTS_FORMATS_FILES_H

#include "tests/folder.h"

static struct test_log kept = {.log = {.fn = test_log_fn, .user = &kept, .level = CLRNN_LOG_ERROR}};

static char *write_file(const char *name, const void *data, size_t size)
{
    char *path = test_folder_path(name);
    struct clrnn_out *out;

    assert_int_equal(clrnn_out_open(&kept.log, path, &out), CLRNN_OK);
    clrnn_out_write(out, data, size);
    assert_int_equal(clrnn_out_commit(&out), CLRNN_OK);
    return path;
}

#endif
