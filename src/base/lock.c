// SPDX-License-Identifier: MIT
// Locks a file that several processes use, by flock on a lock file in the same folder.
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

// Whether `path` still refers to the open lock file: the previous holder of the lock may have removed it.
static bool is_current(int fd, const char *path)
{
    struct stat open_file, named;

    return fstat(fd, &open_file) == 0 && stat(path, &named) == 0 && open_file.st_dev == named.st_dev &&
           open_file.st_ino == named.st_ino;
}

enum clrnn_status clrnn_lock_take(const struct clrnn_log *log, const char *path, struct clrnn_lock *lock)
{
    char *name = clrnn_format("%s.lock", path);
    enum clrnn_status st;

    *lock = (struct clrnn_lock){NULL, -1};
    if (!name)
        return clrnn_error_memory(log, strlen(path) + 6, path);
    for (;;) {
        const int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        int locked;

        if (fd < 0) {
            st = clrnn_error(log, CLRNN_ERR_DISK, "%s: cannot be made: %s", name, strerror(errno));
            free(name);
            return st;
        }
        do
            locked = flock(fd, LOCK_EX);
        while (locked && errno == EINTR);
        if (locked || is_current(fd, name)) {
            *lock = (struct clrnn_lock){name, fd};
            return CLRNN_OK;
        }
        close(fd);
    }
}

void clrnn_lock_release(struct clrnn_lock *lock)
{
    if (!lock->path)
        return;
    unlink(lock->path); // before unlocking, so that a waiting process notices and creates a new lock file
    close(lock->fd);
    free(lock->path);
    *lock = (struct clrnn_lock){NULL, -1};
}
