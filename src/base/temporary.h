// SPDX-License-Identifier: MIT
// Temporary files and folders, removed even if the process that created them is killed.
//
// Their names begin with CLRNN_TEMPORARY_PREFIX, and the process that creates one holds a lock (flock) on it
// until it is removed. A file with such a name and no lock was left by a killed process; the next process
// that writes to the same folder removes it.
#ifndef CLRNN_SRC_BASE_TEMPORARY_H
#define CLRNN_SRC_BASE_TEMPORARY_H

#include "base/log.h"

#define CLRNN_TEMPORARY_PREFIX ".clrnn-tmp-"

struct clrnn_temporary {
    char *path;
    int fd;                       // descriptor of the file (read and write) or of the folder; holds the lock
    struct clrnn_temporary *next; // next temporary of this process
};

/** Creates an empty file (mode 0666 less the umask) or a folder (0700) in `folder`, and removes files there
 *  that killed processes left. Returns 0 or an errno; *temporary is NULL on failure. */
int clrnn_temporary_create(const char *folder, bool is_folder, struct clrnn_temporary **temporary);

/** Removes the file or folder and frees *temporary, which may be NULL. */
void clrnn_temporary_remove(struct clrnn_temporary **temporary);

/** Renames the file to its final name, replacing any file there; it is no longer temporary. Returns 0, or an
 *  errno with nothing changed. */
int clrnn_temporary_rename(struct clrnn_temporary **temporary, const char *path);

/** Removes all temporary files of this process before it exits. Threads that create or rename one afterwards
 *  block forever. */
void clrnn_temporary_remove_all(void);

/** Creates a temporary folder in $TMPDIR, or /tmp, with mode 0700; *path is to be freed. Errors:
 *  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY, with *path NULL. */
enum clrnn_status clrnn_temporary_folder(const struct clrnn_log *log, char **path);
/** Removes a folder with its contents; links are removed, not followed. `path` may be NULL. */
void clrnn_remove_folder(const char *path);

#endif
