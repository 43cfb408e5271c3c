// SPDX-License-Identifier: MIT
// Runs a fuzz target on the files of its corpus folder, as an ordinary test without a fuzzer.
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz.h"

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    size_t count = 0;

    if (!folder) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (struct dirent *entry; (entry = readdir(folder));) {
        char *path = clrnn_path_join(argv[1], entry->d_name);
        struct clrnn_map map;
        struct stat st;

        FUZZ_CHECK(path);
        if (!stat(path, &st) && S_ISREG(st.st_mode)) {
            fprintf(stderr, "%s\n", path); // after a crash, the last line names the input
            FUZZ_CHECK(clrnn_map_open(NULL, path, &map) == CLRNN_OK);
            LLVMFuzzerTestOneInput(map.data, map.size);
            for (size_t size = 0; size < map.size; size += 1 + map.size / 16) // shortened files, too
                LLVMFuzzerTestOneInput(map.data, size);
            clrnn_map_close(&map);
            count++;
        }
        free(path);
    }
    closedir(folder);
    printf("%zu inputs\n", count);
    return count == 0;
}
