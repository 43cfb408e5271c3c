// SPDX-License-Identifier: MIT
// Files and folders that must not outlive the process that made them, however it ends.
//
// All are named CLRNN_TEMPORARY_PREFIX and more, and are locked (flock) by their maker until they are gone.
// So whatever has such a name and no lock was left by a process that was killed, and the next one that writes
// to the same folder removes it.
#ifndef CLRNN_SRC_BASE_TEMPORARY_H
#define CLRNN_SRC_BASE_TEMPORARY_H

#include "base/log.h"

#define CLRNN_TEMPORARY_PREFIX ".clrnn-tmp-"

struct clrnn_temporary {
    char *path;
    int fd; // of the file, open for reading and writing, or of the folder; holds the lock
    struct clrnn_temporary *next; // of those that this process has
};

/** Makes an empty file (0666 less the umask) or a folder (0700) in `folder`, and removes there what killed
 *  processes left. 0 or an errno; *temporary is NULL then. */
int clrnn_temporary_create(const char *folder, bool is_folder, struct clrnn_temporary **temporary);

/** Removes it; NULL is fine. */
void clrnn_temporary_remove(struct clrnn_temporary **temporary);

/** Gives a file its final name, in place of what has that name; then it is no temporary file any more.
 *  0 or an errno, and then it is as before. */
int clrnn_temporary_rename(struct clrnn_temporary **temporary, const char *path);

/** Removes all that this process has, for one that ends at once: whoever makes or renames one afterwards
 *  waits for ever. */
void clrnn_temporary_remove_all(void);

/** Makes such a folder below $TMPDIR, or /tmp, that only this user may enter; *path is fresh memory. Errors:
 *  CLRNN_ERR_DISK, CLRNN_ERR_MEMORY; *path is NULL then. */
enum clrnn_status clrnn_temporary_folder(const struct clrnn_log *log, char **path);
/** Removes any folder with all that is in it; links are removed, not followed. NULL: nothing to remove. */
void clrnn_remove_folder(const char *path);

#endif
