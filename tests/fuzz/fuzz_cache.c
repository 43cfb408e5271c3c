// SPDX-License-Identifier: MIT
// Fuzz target: an entry of the program cache. Reading it must give an intact entry or nothing.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "device/program/cache.h"
#include "fuzz.h"

static char folder[] = "/dev/shm/clrnn-fuzz-XXXXXX", elsewhere[] = "/tmp/clrnn-fuzz-XXXXXX", *chosen;

static void remove_all(void)
{
    static const char *const name[] = {"seed.bin", "entry.bin", ""};

    for (size_t i = 0; i < sizeof(name) / sizeof(*name); i++) {
        char *path = clrnn_path_join(chosen, name[i]);

        if (path)
            remove(path);
        free(path);
    }
}

// Creates a cache folder in memory with one valid entry. *whole: the bytes of its file.
static void start(uint8_t **whole, size_t *size)
{
    static const unsigned char binary[] = "the binary of a program";
    struct clrnn_map map;
    char *path;

    chosen = mkdtemp(folder) ? folder : mkdtemp(elsewhere);
    FUZZ_CHECK(chosen && !atexit(remove_all));
    clrnn_cache_write(chosen, "seed", binary, sizeof(binary));
    path = clrnn_path_join(chosen, "seed.bin");
    FUZZ_CHECK(path && clrnn_map_open(NULL, path, &map) == CLRNN_OK && (*whole = malloc(map.size)));
    memcpy(*whole, map.data, *size = map.size);
    clrnn_map_close(&map);
    free(path);
}

// The input is the file of an entry. If it begins with an 'x', it is a change of a valid file: the next byte is a
// position, and the bytes after it replace those at this position.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *seed;
    static size_t seed_size;
    static int file = -1;
    size_t got_size = 0;
    unsigned char *got;

    if (file < 0) {
        char *path;

        start(&seed, &seed_size);
        path = clrnn_path_join(chosen, "entry.bin");
        file = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
        free(path);
    }
    FUZZ_CHECK(file >= 0 && !ftruncate(file, 0));
    if (size > 2 && *data == 'x') {
        FUZZ_CHECK(pwrite(file, seed, seed_size, 0) == (ssize_t)seed_size);
        FUZZ_CHECK(pwrite(file, data + 2, size - 2, data[1]) == (ssize_t)(size - 2));
    } else {
        FUZZ_CHECK(pwrite(file, data, size, 0) == (ssize_t)size);
    }
    got = clrnn_cache_read(chosen, "entry", &got_size);
    if (got) { // reads all bytes, so that a sanitizer notices memory that is not valid
        volatile unsigned char sum = 0;

        for (size_t i = 0; i < got_size; i++)
            sum = (unsigned char)(sum + got[i]);
        FUZZ_CHECK(got_size > 0);
    }
    free(got);
    return 0;
}
