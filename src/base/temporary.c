// SPDX-License-Identifier: MIT
// Naming, locking and removing temporary files and folders.
#include "base/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define MOST_TRIES 1000 // a name may be in use by another process, or by another machine that shares the folder

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct clrnn_temporary *all; // temporary files of this process; protected by `lock`
static unsigned counter;            // protected by `lock`

static bool remove_at(int parent, const char *name);

// Removes the entries of a folder; returns whether any entry was removed. Does not use opendir, because opendir
// allocates memory, and temporary files must be removed even if memory has run out.
static bool remove_entries(int folder)
{
    _Alignas(struct dirent64) char entries[2048];
    bool some = false;
    ssize_t size;

    lseek(folder, 0, SEEK_SET);
    while ((size = getdents64(folder, entries, sizeof(entries))) > 0)
        for (ssize_t at = 0; at < size;) {
            const struct dirent64 *e = (const void *)(entries + at);

            at += e->d_reclen;
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                some |= remove_at(folder, e->d_name);
        }
    return some;
}

// Removes a file, or a folder with its contents; symbolic links are removed, not followed. If an entry of the folder
// cannot be removed, the other entries are still removed. Returns whether the file or folder was removed.
static bool remove_at(int parent, const char *name)
{
    int folder;

    if (!unlinkat(parent, name, 0))
        return true;
    folder = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return false;
    while (remove_entries(folder)) // repeated: after a removal, some file systems do not list all entries
        ;
    close(folder);
    return !unlinkat(parent, name, AT_REMOVEDIR);
}

static void remove_tree(const char *path)
{
    remove_at(AT_FDCWD, path);
}

// ---------------------------------------------------------------- removing files that killed processes left

static void remove_leftover(int parent, const char *folder, const char *name)
{
    const int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char *path = clrnn_path_join(folder, name);
    struct stat st;

    if (fd >= 0 && path && !fstat(fd, &st) && st.st_uid == geteuid() && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) &&
        !flock(fd, LOCK_EX | LOCK_NB))
        remove_tree(path);
    if (fd >= 0)
        close(fd);
    free(path);
}

static void remove_leftovers(const char *folder)
{
    DIR *dir = opendir(folder);

    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));)
        if (!strncmp(e->d_name, CLRNN_TEMPORARY_PREFIX, sizeof(CLRNN_TEMPORARY_PREFIX) - 1))
            remove_leftover(dirfd(dir), folder, e->d_name);
    closedir(dir);
}

// ---------------------------------------------------------------- creating

// Creates and opens a file or folder. Returns -1 on failure; errno EEXIST: the caller should try another name.
static int open_new(const char *path, bool is_folder)
{
    int fd;

    if (!is_folder)
        return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (mkdir(path, 0700))
        return -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        errno = EEXIST; // another process removed the folder as a leftover, because it was not locked yet
    return fd;
}

// Locks the new file `fd`. Returns false if another process locked it first, or removed it before the lock.
static bool take(int fd)
{
    struct stat st;

    if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) // other errors: the file system has no locks
        return false;
    return !fstat(fd, &st) && st.st_nlink > 0;
}

int clrnn_temporary_create(const char *folder, bool is_folder, struct clrnn_temporary **temporary)
{
    struct clrnn_temporary *t = calloc(1, sizeof(*t));
    int error = t ? EEXIST : ENOMEM;

    *temporary = NULL;
    remove_leftovers(folder);
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_TRIES && error == EEXIST; i++) {
        t->path = clrnn_format("%s%s" CLRNN_TEMPORARY_PREFIX "%ld-%u", folder,
                               folder[strlen(folder) - 1] == '/' ? "" : "/", (long)getpid(), counter++);
        t->fd = t->path ? open_new(t->path, is_folder) : -1;
        error = !t->path ? ENOMEM : t->fd < 0 ? errno : take(t->fd) ? 0 : EEXIST;
        if (!error)
            break;
        if (t->fd >= 0)
            close(t->fd);
        free(t->path);
    }
    if (error) {
        free(t);
    } else {
        t->next = all;
        all = *temporary = t;
    }
    pthread_mutex_unlock(&lock);
    return error;
}

// ---------------------------------------------------------------- renaming and removing

// Removes *temporary from the list `all`, closes and frees it. The caller holds `lock`.
static void forget(struct clrnn_temporary **temporary)
{
    struct clrnn_temporary *t = *temporary, **at = &all;

    *temporary = NULL;
    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    close(t->fd);
    free(t->path);
    free(t);
}

void clrnn_temporary_remove(struct clrnn_temporary **temporary)
{
    if (!*temporary)
        return;
    pthread_mutex_lock(&lock);
    remove_tree((*temporary)->path);
    forget(temporary);
    pthread_mutex_unlock(&lock);
}

int clrnn_temporary_rename(struct clrnn_temporary **temporary, const char *path)
{
    int error = 0;

    pthread_mutex_lock(&lock);
    if (rename((*temporary)->path, path))
        error = errno;
    else
        forget(temporary);
    pthread_mutex_unlock(&lock);
    return error;
}

void clrnn_temporary_remove_all(void)
{
    pthread_mutex_lock(&lock); // never unlocked, so that no other thread creates a temporary file
    for (const struct clrnn_temporary *t = all; t; t = t->next)
        remove_tree(t->path);
}

enum clrnn_status clrnn_temporary_folder(const struct clrnn_log *log, char **path)
{
    const char *base = getenv("TMPDIR");
    const char *const parent = base && *base ? base : "/tmp";
    struct clrnn_temporary *t;
    const int error = clrnn_temporary_create(parent, true, &t);

    *path = error ? NULL : clrnn_format("%s", t->path);
    if (*path)
        return CLRNN_OK;
    clrnn_temporary_remove(&t);
    if (error && error != ENOMEM)
        return clrnn_error(log, CLRNN_ERR_DISK, "%s: a temporary folder cannot be made there: %s", parent,
                           strerror(error));
    return clrnn_error_memory(log, 0, parent);
}

void clrnn_remove_folder(const char *path)
{
    struct clrnn_temporary *t;

    if (!path)
        return;
    pthread_mutex_lock(&lock);
    remove_tree(path);
    for (t = all; t && strcmp(t->path, path) != 0; t = t->next)
        ;
    if (t)
        forget(&t);
    pthread_mutex_unlock(&lock);
}
