// SPDX-License-Identifier: MIT
// Temporary files and folders, removed even if the process that created them is killed.
//
// The names of temporary files begin with CLRNN_TEMPORARY_PREFIX. The process that creates a temporary file holds a
// lock (flock) on the file until the file is removed. A file with such a name but without a lock was left behind by a
// killed process; the next process that writes to the same folder removes the file.
#ifndef CLRNN_SRC_BASE_TEMPORARY_H
#define CLRNN_SRC_BASE_TEMPORARY_H

#include "base/log.h"

#define CLRNN_TEMPORARY_PREFIX ".clrnn-tmp-"

/** A temporary file or folder of this process. */
struct clrnn_temporary {
    char *path;
    int fd;                       // descriptor of the file (read and write) or of the folder; holds the lock
    struct clrnn_temporary *next; // next temporary file or folder of this process
};

/** Creates an empty temporary file (mode 0666 less the umask) or folder (0700) in `folder`, and removes temporary files
 * that killed processes left in `folder`. Returns 0 or an errno value; *temporary is NULL on failure. */
int clrnn_temporary_create(const char *folder, bool is_folder, struct clrnn_temporary **temporary);

/** Removes the file or folder and frees *temporary, which may be NULL. */
void clrnn_temporary_remove(struct clrnn_temporary **temporary);

/** Renames the file to its final name `path`, replacing any file of this name; the file is then no longer temporary.
 * Returns 0, or an errno value with nothing changed. */
int clrnn_temporary_rename(struct clrnn_temporary **temporary, const char *path);

/** Removes all temporary files and folders of this process, for use before the process exits. A thread that creates,
 * renames or removes a temporary file afterwards blocks forever. */
void clrnn_temporary_remove_all(void);

/** Creates a temporary folder in $TMPDIR, or in /tmp if that is not set, with mode 0700. The caller frees *path.
 * Errors: CLRNN_ERR_DISK, CLRNN_ERR_MEMORY; *path is then NULL. */
enum clrnn_status clrnn_temporary_folder(const struct clrnn_log *log, char **path);
/** Removes a folder with its contents. Symbolic links are removed, not followed. `path` may be NULL. */
void clrnn_remove_folder(const char *path);

#endif
