// SPDX-License-Identifier: MIT
// Reads files by memory mapping, although another program may truncate a file while it is mapped.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// A mapped address range, for the signal handler. The handler takes no lock, so a range is never freed, but reused for
// another file.
struct clrnn_map_range {
    atomic_uintptr_t first; // first address; 0: the range is not in use
    atomic_size_t size;
    atomic_bool torn; // the file was truncated, and zeros were read beyond its new end
    struct clrnn_map_range *next;
};
static _Atomic(struct clrnn_map_range *) ranges;
static pthread_mutex_t ranges_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction action_before;

static struct clrnn_map_range *range_create(const void *data, size_t size)
{
    struct clrnn_map_range *r;

    pthread_mutex_lock(&ranges_lock);
    for (r = atomic_load(&ranges); r && atomic_load(&r->first); r = r->next)
        ;
    if (!r && (r = calloc(1, sizeof(*r)))) {
        r->next = atomic_load(&ranges);
        atomic_store(&ranges, r);
    }
    if (r) {
        atomic_store(&r->torn, false);
        atomic_store(&r->size, size);
        atomic_store(&r->first, (uintptr_t)data);
    }
    pthread_mutex_unlock(&ranges_lock);
    return r;
}

// The SIGBUS handler. Replaces pages of a truncated file's mapping by zeros: the faulting page and all pages after it.
static void on_bus_error(int signal, siginfo_t *info, void *context)
{
    const uintptr_t at = (uintptr_t)info->si_addr, page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)context;
    for (struct clrnn_map_range *r = info->si_code > 0 ? atomic_load(&ranges) : NULL; r; r = r->next) {
        const uintptr_t first = atomic_load(&r->first), end = first + atomic_load(&r->size);
        const uintptr_t from = at / page * page;

        if (!first || at < first || at >= end ||
            mmap((void *)from, end - from, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            continue;
        atomic_store(&r->torn, true);
        return;
    }
    // The address is in no mapped file. The access is then repeated, and the previous action handles the error.
    sigaction(SIGBUS, &action_before, NULL);
    if (info->si_code <= 0)
        raise(signal);
}

void clrnn_map_catch(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &action_before);
}

enum clrnn_status clrnn_map_open(const struct clrnn_log *log, const char *path, struct clrnn_map *map)
{
    struct clrnn_map_range *range;
    enum clrnn_status status;
    struct stat st;
    void *data;
    int fd;

    *map = (struct clrnn_map){NULL, 0, -1, NULL};
    // O_NONBLOCK: otherwise, opening a pipe without a writer would block.
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st)) {
        status = clrnn_error(log, CLRNN_ERR_DATA, "%s: cannot be examined: %s", path, strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        status = clrnn_error(log, CLRNN_ERR_DATA, "%s: is %s, expected a file", path,
                             S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
        goto fail;
    }
    if (st.st_size == 0) {
        close(fd);
        return CLRNN_OK;
    }
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        status = clrnn_error(log, errno == ENOMEM ? CLRNN_ERR_MEMORY : CLRNN_ERR_DATA,
                             "%s: %lld bytes cannot be mapped: %s", path, (long long)st.st_size, strerror(errno));
        goto fail;
    }
    range = range_create(data, (size_t)st.st_size);
    if (!range) {
        munmap(data, (size_t)st.st_size);
        status = clrnn_error_memory(log, sizeof(*range), path);
        goto fail;
    }
    *map = (struct clrnn_map){data, (size_t)st.st_size, fd, range};
    return CLRNN_OK;

fail:
    close(fd);
    return status;
}

void clrnn_map_close(struct clrnn_map *map)
{
    if (map->data) {
        atomic_store(&map->range->first, 0);
        munmap((void *)(uintptr_t)map->data, map->size);
        close(map->file);
    }
    *map = (struct clrnn_map){NULL, 0, -1, NULL};
}

void clrnn_map_read(const struct clrnn_map *map, size_t first, size_t size, void *out)
{
    char *to = out;

    while (size > 0) {
        const ssize_t got = pread(map->file, to, size, (off_t)first);

        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0) { // the file was truncated
            atomic_store(&map->range->torn, true);
            memset(to, 0, size);
            return;
        }
        if (got < 0) // pread failed: the rest is read through the mapping
            break;
        to += got;
        first += (size_t)got;
        size -= (size_t)got;
    }
    memcpy(to, map->data + first, size);
}

enum clrnn_status clrnn_map_check(const struct clrnn_log *log, const struct clrnn_map *map, const char *path)
{
    struct stat st;

    if (!map->data ||
        (!atomic_load(&map->range->torn) && (fstat(map->file, &st) || (uintmax_t)st.st_size >= map->size)))
        return CLRNN_OK;
    return clrnn_error(log, CLRNN_ERR_DATA,
                       "%s: became shorter than its %zu bytes while it was read: another program writes it; try again "
                       "when that is done",
                       path, map->size);
}
