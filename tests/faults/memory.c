// SPDX-License-Identifier: MIT
// Preloaded by tests: makes an allocation fail, in a process and in its children.
//
//     FAIL_AT=N        The N-th allocation, counted from 1, returns NULL.
//     FAIL_ALL=1       All later allocations return NULL, too.
//     FAIL_OWN=1       Counts only allocations by the program's own code, not by libraries.
//     FAIL_THREADS=1   Counts only allocations in threads other than a process's first thread.
//     FAIL_RANK=RANK   Allocations fail only in this MPI rank.
//     FAIL_REPORT=FILE The started process writes the number of counted allocations to FILE when it ends.
//                      With FAIL_RANK, its guarded child (tools/guard.h) does so instead.
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
// glibc's headers do not declare these functions
void *memalign(size_t alignment, size_t size);

static unsigned long count, fail_at;
static bool all, own, threads, is_rank;
static uintptr_t first, end; // address range of the program's code
static pid_t process;

// Whether allocations are to fail in this process.
static bool is_wanted(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK"};
    const char *const wanted = getenv("FAIL_RANK");

    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && wanted; i++) {
        const char *const rank = getenv(names[i]);

        if (rank)
            return strcmp(rank, wanted) == 0;
    }
    return !wanted;
}

__attribute__((constructor)) static void start(void)
{
    const ElfW(Phdr) *segment = (const void *)getauxval(AT_PHDR); // NOLINT: the kernel gives addresses as numbers
    const char *at = getenv("FAIL_AT");

    for (size_t i = 0; i < getauxval(AT_PHNUM); i++)
        if (segment[i].p_type == PT_LOAD && (segment[i].p_flags & PF_X)) {
            first = (uintptr_t)segment - segment[0].p_vaddr + segment[i].p_vaddr; // segment 0 is the table itself
            end = first + segment[i].p_memsz;
        }
    all = getenv("FAIL_ALL");
    own = getenv("FAIL_OWN");
    threads = getenv("FAIL_THREADS");
    is_rank = getenv("FAIL_RANK");
    process = is_wanted() ? getpid() : 0;
    count = 0;
    fail_at = at && process ? strtoul(at, NULL, 10) : 0;
}

__attribute__((destructor)) static void finish(void)
{
    const char *report = getenv("FAIL_REPORT");
    int file;

    fail_at = 0;
    if (!report || (is_rank ? getppid() : getpid()) != process ||
        (file = open(report, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
        return;
    dprintf(file, "%lu\n", count);
    close(file);
}

static bool fails(const void *caller)
{
    unsigned long n;

    if (own && ((uintptr_t)caller < first || (uintptr_t)caller >= end))
        return false;
    if (threads && syscall(SYS_gettid) == getpid())
        return false;
    n = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
    if (!fail_at || (all ? n < fail_at : n != fail_at))
        return false;
    errno = ENOMEM;
    return true;
}

#define FAILS() fails(__builtin_return_address(0))

void *malloc(size_t size)
{
    return FAILS() ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    return FAILS() ? NULL : __libc_calloc(number, size);
}

void *realloc(void *old, size_t size)
{
    return FAILS() ? NULL : __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size)
{
    return FAILS() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return FAILS() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *got = FAILS() ? NULL : __libc_memalign(alignment, size);

    if (got)
        *memory = got;
    return got ? 0 : ENOMEM;
}
