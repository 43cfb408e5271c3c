// SPDX-License-Identifier: MIT
// A lock between processes for updating a shared file: read, change, replace.
#ifndef CLRNN_SRC_BASE_LOCK_H
#define CLRNN_SRC_BASE_LOCK_H

#include "base/log.h"

/** A lock that a process holds while it reads, changes and replaces a file. {0}: not held. */
struct clrnn_lock {
    char *path; // path of the lock file, "<file>.lock"; NULL: not held
    int fd;
};

/** Waits for the lock of the file `path` and takes the lock. The lock is on a lock file, "<file>.lock", because the
 * file itself is replaced. clrnn_lock_release removes the lock file. If the file system has no locks, the function
 * succeeds without a lock. Errors: CLRNN_ERR_DISK (the folder cannot be written), CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_lock_take(const struct clrnn_log *log, const char *path, struct clrnn_lock *lock);
void clrnn_lock_release(struct clrnn_lock *lock); // no effect if not held

#endif
