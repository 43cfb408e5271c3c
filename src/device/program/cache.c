// SPDX-License-Identifier: MIT
// Program binaries on disk: $XDG_CACHE_HOME/clrnn/programs/<key>.bin. A file has a magic word, the length and hash of
// the payload, and the payload. The key is a hash of everything that affects a binary, so an entry is never outdated. A
// file is written under a temporary name and renamed, so concurrent writers leave one complete file. A file that is
// damaged, or that another user may have written, counts as missing. If the folder exceeds its limit, the least
// recently used files are removed.
#include "device/program/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/environment.h"
#include "base/hash.h"
#include "clrnn/device.h"

#define MOST_BYTES ((uint64_t)256 << 20) // limit of the folder, unless CLRNN_CACHE_BYTES is set

struct header {
    char magic[16];
    uint64_t size;
    char hash[40]; // 32 hexadecimal digits
};
static const char MAGIC[16] = "clrnn binary 1\n";

// Returns $XDG_CACHE_HOME if it is an absolute path, otherwise $HOME. *below becomes the cache folder's path relative
// to the returned folder. NULL: there is neither.
static const char *cache_base(const char **below)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    *below = "clrnn/programs";
    if (base && *base == '/') // the XDG specification says to ignore relative paths
        return base;
    *below = ".cache/clrnn/programs";
    return home && *home ? home : NULL;
}

char *clrnn_cache_folder(void)
{
    const char *below, *base = cache_base(&below);

    return base ? clrnn_path_join(base, below) : NULL;
}

enum clrnn_status clrnn_cache_no_folder(const struct clrnn_log *log)
{
    const char *below;

    if (cache_base(&below))
        return clrnn_error_memory(log, 0, "the cache folder's path");
    return clrnn_error(log, CLRNN_ERR_DISK, "there is no folder for a cache: neither XDG_CACHE_HOME nor HOME is set");
}

static bool is_ours(const struct stat *st)
{
    return st->st_uid == geteuid() && !(st->st_mode & S_IWOTH);
}

bool clrnn_cache_is_ours(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && is_ours(&st);
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
    struct clrnn_map map = {0};
    struct header found, expected;
    unsigned char *data = NULL;

    if (path && clrnn_cache_is_ours(folder) && clrnn_cache_is_ours(path) &&
        clrnn_map_open(NULL, path, &map) == CLRNN_OK && map.size > sizeof(found)) {
        memcpy(&found, map.data, sizeof(found));
        make_header(&expected, map.data + sizeof(found), map.size - sizeof(found));
        if (memcmp(&found, &expected, sizeof(found)) == 0 && (data = malloc(map.size - sizeof(found)))) {
            *size = map.size - sizeof(found);
            memcpy(data, map.data + sizeof(found), *size);
            utimensat(AT_FDCWD, path, NULL,
                      0); // marks the file as used now; a failure (folder not writable) does not matter
        }
    }
    clrnn_map_close(&map);
    free(path);
    return data;
}

// ---------------------------------------------------------------- looking through the folder

struct entry {
    char *path;
    uint64_t bytes;
    struct timespec used;
};
struct entries {
    struct entry *entry;
    size_t count;
    uint64_t bytes;
};

static void entries_finish(struct entries *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->entry[i].path);
    free(e->entry);
    *e = (struct entries){0};
}

/** Adds the file `name` if it is named like a cache entry. False: out of memory. */
static bool entries_add(struct entries *e, const char *folder, const char *name)
{
    const char *suffix = strstr(name, ".bin");
    struct stat st;
    char *path;

    if (!suffix || suffix[4])
        return true;
    if (!ARRAY_GROW(e->entry, e->count))
        return false;
    path = clrnn_path_join(folder, name);
    if (!path)
        return false;
    if (lstat(path, &st) || !S_ISREG(st.st_mode)) {
        free(path);
        return true;
    }
    e->entry[e->count++] = (struct entry){path, (uint64_t)st.st_size, st.st_mtim};
    e->bytes += (uint64_t)st.st_size;
    return true;
}

/** Lists the cache entries of a folder. A folder that does not exist, or that clrnn_cache_is_ours rejects, has none. */
static enum clrnn_status entries_read(const struct clrnn_log *log, const char *folder, struct entries *e)
{
    DIR *dir;
    bool enough = true;

    *e = (struct entries){0};
    errno = 0;
    dir = clrnn_cache_is_ours(folder) ? opendir(folder) : NULL;
    if (!dir)
        return errno == ENOMEM ? clrnn_error_memory(log, 0, "the program cache") : CLRNN_OK;
    for (const struct dirent *d; enough && (d = readdir(dir));)
        enough = entries_add(e, folder, d->d_name);
    closedir(dir);
    if (!enough) {
        entries_finish(e);
        return clrnn_error_memory(log, 0, "the program cache");
    }
    return CLRNN_OK;
}

static int by_use(const void *a, const void *b)
{
    const struct timespec *x = &((const struct entry *)a)->used, *y = &((const struct entry *)b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/** Removes the least recently used files until the folder is within its limit. Other processes may do the same at the
 * same time. */
static void prune(const char *folder)
{
    const uint64_t most = clrnn_environment_bytes("CLRNN_CACHE_BYTES", MOST_BYTES);
    struct entries e;

    if (entries_read(NULL, folder, &e) != CLRNN_OK)
        return;
    if (e.count)
        qsort(e.entry, e.count, sizeof(*e.entry), by_use);
    for (size_t i = 0; i < e.count; i++) {
        const struct entry *old = &e.entry[i];

        if (e.bytes > most) {
            unlink(old->path);
            e.bytes -= old->bytes;
        }
    }
    entries_finish(&e);
}

void clrnn_cache_write(const char *folder, const char *key, const unsigned char *data, size_t size)
{
    char *path = entry_path(folder, key);
    struct clrnn_out *out;
    struct header h;

    make_header(&h, data, size);
    if (path && clrnn_make_folder(NULL, folder) == CLRNN_OK && clrnn_cache_is_ours(folder) &&
        clrnn_out_open(NULL, path, &out) == CLRNN_OK) {
        clrnn_out_write(out, &h, sizeof(h));
        clrnn_out_write(out, data, size);
        if (clrnn_out_commit(&out) == CLRNN_OK)
            prune(folder);
    }
    free(path);
}

enum clrnn_status clrnn_cache_info(const struct clrnn_log *log, struct clrnn_cache_info *info)
{
    NEED(log, info);

    struct entries e;

    *info = (struct clrnn_cache_info){.folder = clrnn_cache_folder(),
                                      .most_bytes = clrnn_environment_bytes("CLRNN_CACHE_BYTES", MOST_BYTES)};
    if (!info->folder)
        return clrnn_cache_no_folder(log);
    if (entries_read(log, info->folder, &e) != CLRNN_OK) {
        free(info->folder);
        info->folder = NULL;
        return CLRNN_ERR_MEMORY;
    }
    info->programs = e.count;
    info->bytes = e.bytes;
    info->is_foreign = access(info->folder, F_OK) == 0 && !clrnn_cache_is_ours(info->folder);
    entries_finish(&e);
    return CLRNN_OK;
}

enum clrnn_status clrnn_cache_clear(const struct clrnn_log *log, size_t *programs, uint64_t *bytes)
{
    NEED(log, programs);
    NEED(log, bytes);

    char *folder = clrnn_cache_folder();
    struct entries e = {0};
    enum clrnn_status st;

    *programs = 0;
    *bytes = 0;
    if (!folder)
        return clrnn_cache_no_folder(log);
    st = entries_read(log, folder, &e);
    for (size_t i = 0; st == CLRNN_OK && i < e.count; i++) {
        if (unlink(e.entry[i].path) == 0) {
            ++*programs;
            *bytes += e.entry[i].bytes;
        } else if (errno != ENOENT) {
            st = clrnn_error(log, CLRNN_ERR_DISK, "%s: cannot be removed: %s", e.entry[i].path, strerror(errno));
        }
    }
    entries_finish(&e);
    free(folder);
    return st;
}
