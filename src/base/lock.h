// SPDX-License-Identifier: MIT
// A lock between processes around reading, changing and replacing a shared file.
#ifndef CLRNN_SRC_BASE_LOCK_H
#define CLRNN_SRC_BASE_LOCK_H

#include "base/log.h"

/** Held while a file is read, changed and replaced; {0} holds nothing. */
struct clrnn_lock {
    char *path; // of the lock file, "<file>.lock"; NULL: not held
    int fd;
};

/**
 * Waits until no other process holds the lock of the file `path`, then holds it. The lock is on a file beside
 * it, since the file itself is replaced; that one is removed again with the lock. Where the file system
 * cannot lock, it goes on without. Errors: CLRNN_ERR_DISK (the folder cannot be written), CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_lock_take(const struct clrnn_log *log, const char *path, struct clrnn_lock *lock);
void clrnn_lock_release(struct clrnn_lock *lock); // nothing held is fine

#endif
