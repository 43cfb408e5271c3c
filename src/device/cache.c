// SPDX-License-Identifier: MIT
// Program binaries on disk, $XDG_CACHE_HOME/clrnn/programs/<key>.bin: the magic word, the payload's
// length and hash, the payload. The key hashes all that shapes a binary, so an entry is never outdated;
// files are written beside and renamed, so concurrent writers leave one whole file; whatever does not
// read back exactly counts as missing.
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "device/device.h"

struct header {
    char magic[16];
    uint64_t size;
    char hash[40]; // 32 hexadecimal digits
};
static const char MAGIC[16] = "clrnn binary 1\n";

char *clrnn_cache_folder(void)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (base && *base == '/') // relative ones are to be ignored, says the XDG specification
        return clrnn_path_join(base, "clrnn/programs");
    return home && *home ? clrnn_path_join(home, ".cache/clrnn/programs") : NULL;
}

static char *entry_path(const char *folder, const char *key)
{
    return clrnn_format("%s/%s.bin", folder, key);
}

static void make_header(struct header *h, const unsigned char *data, size_t size)
{
    struct clrnn_hash hash;

    memset(h, 0, sizeof(*h));
    memcpy(h->magic, MAGIC, sizeof(h->magic));
    h->size = size;
    clrnn_hash_init(&hash);
    clrnn_hash_add(&hash, data, size);
    clrnn_hash_hex(&hash, h->hash);
}

unsigned char *clrnn_cache_read(const char *folder, const char *key, size_t *size)
{
    char *path = entry_path(folder, key);
    struct clrnn_map map = {NULL, 0};
    struct header found, expected;
    unsigned char *data = NULL;

    if (path && clrnn_map_open(NULL, path, &map) == CLRNN_OK && map.size > sizeof(found)) {
        memcpy(&found, map.data, sizeof(found));
        make_header(&expected, map.data + sizeof(found), map.size - sizeof(found));
        if (memcmp(&found, &expected, sizeof(found)) == 0 && (data = malloc(map.size - sizeof(found)))) {
            *size = map.size - sizeof(found);
            memcpy(data, map.data + sizeof(found), *size);
        }
    }
    clrnn_map_close(&map);
    free(path);
    return data;
}

void clrnn_cache_write(const char *folder, const char *key, const unsigned char *data, size_t size)
{
    char *path = entry_path(folder, key);
    struct clrnn_out *out;
    struct header h;

    make_header(&h, data, size);
    if (path && clrnn_make_folder(NULL, folder) == CLRNN_OK && clrnn_out_open(NULL, path, &out) == CLRNN_OK) {
        clrnn_out_write(out, &h, sizeof(h));
        clrnn_out_write(out, data, size);
        clrnn_out_commit(&out);
    }
    free(path);
}
