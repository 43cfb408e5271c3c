// SPDX-License-Identifier: MIT
// Makes files in memory from inputs, and defines the log of the fuzz targets.
#include "fuzz.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned errors;

static void listen(void *user, enum clrnn_log_level level, const char *line)
{
    (void)user;
    FUZZ_CHECK(*line);
    errors += level == CLRNN_LOG_ERROR;
}

const struct clrnn_log fuzz_log = {.fn = listen, .level = CLRNN_LOG_WARNING};

void fuzz_start(void)
{
    errors = 0;
}

void fuzz_check_status(enum clrnn_status status)
{
    FUZZ_CHECK(errors == (status != CLRNN_OK));
}

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int file = -1;

    if (file < 0) {
        file = memfd_create("fuzz", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    }
    FUZZ_CHECK(file >= 0 && !ftruncate(file, 0) && pwrite(file, data, size, 0) == (ssize_t)size);
    return path;
}

const char *fuzz_safetensors(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    const uint64_t length = end ? (uint64_t)(end - data) : size;
    const size_t skipped = end ? 1 : 0;
    const char *path;
    uint8_t *whole;

    if (!size || *data != '{')
        return fuzz_file(data, size);
    whole = malloc(size + 8);
    FUZZ_CHECK(whole);
    memcpy(whole, &length, 8);
    memcpy(whole + 8, data, length);
    memcpy(whole + 8 + length, data + length + skipped, size - length - skipped);
    path = fuzz_file(whole, size + 8 - skipped);
    free(whole);
    return path;
}

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    FUZZ_CHECK(text);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    return text;
}
