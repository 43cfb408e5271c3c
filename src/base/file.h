// SPDX-License-Identifier: MIT
// Files: mapped for reading; written beside, synced and renamed. Folders and paths.
#ifndef CLRNN_SRC_BASE_FILE_H
#define CLRNN_SRC_BASE_FILE_H

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

/** A file mapped read-only. `data` is NULL when `size` is 0. */
struct clrnn_map {
    const unsigned char *data;
    size_t size;
    int file;                      // its descriptor; nothing is open where data is NULL
    struct clrnn_map_range *range; // private
};

/** For programs, once at their start: pages of mapped files that the file no longer has read as zeros from
 * then on, where they would end the program by SIGBUS. Other bus errors end as before. */
void clrnn_map_catch(void);

/** Maps a regular file. Errors: CLRNN_ERR_DATA, with the path and what the system says. */
enum clrnn_status clrnn_map_open(const struct clrnn_log *log, const char *path, struct clrnn_map *map);
void clrnn_map_close(struct clrnn_map *map);

/** CLRNN_ERR_DATA where the file has become shorter since it was mapped: what was read of it is worth
 * nothing. */
enum clrnn_status clrnn_map_check(const struct clrnn_log *log, const struct clrnn_map *map, const char *path);

/** Copies bytes first to first + size - 1, which the file has, without touching the mapping: pages that are
 * read once would count as the process's memory and cost a fault each. */
void clrnn_map_read(const struct clrnn_map *map, size_t first, size_t size, void *out);

/**
 * A file that becomes visible whole or not at all: bytes go to a temporary file in the same folder
 * (base/temporary.h); commit flushes, syncs, renames over `path` and syncs the folder; abort removes it.
 * Every write is checked; the first failure is logged (CLRNN_ERR_DISK: path, what the system says) and
 * remembered, so that a caller may write on and look at the commit alone.
 *
 * What `path` leads to by symbolic links is replaced, also where it does not exist yet; the links stay. A new
 * file has the permissions that the umask leaves, one in place of another has those of the other. Terminals,
 * pipes and other devices that take bytes in their order are written to as they are, and so is a descriptor
 * of this process (/dev/stdout); folders, block devices, sockets and files that may not be written are
 * refused.
 */
struct clrnn_out;
enum clrnn_status clrnn_out_open(const struct clrnn_log *log, const char *path, struct clrnn_out **out);
enum clrnn_status clrnn_out_write(struct clrnn_out *out, const void *data, size_t size);
enum clrnn_status clrnn_out_printf(struct clrnn_out *out, const char *format, ...) CLRNN_PRINTF(2, 3);
enum clrnn_status clrnn_out_commit(struct clrnn_out **out); // sets *out to NULL in any case
void clrnn_out_abort(struct clrnn_out **out);               // nothing to abort is fine

/** Writes a whole text file that way. */
enum clrnn_status clrnn_write_text(const struct clrnn_log *log, const char *path, const char *text);

/** Whether both paths lead to the same file, by whatever names. */
bool clrnn_same_file(const char *a, const char *b);

/** Whether a path names an open descriptor (/dev/stdin, /dev/fd/63) or a pipe, whose folder says nothing. */
bool clrnn_is_stream(const char *path);

/** Makes a folder and its parents; one that exists is fine. CLRNN_ERR_DISK. */
enum clrnn_status clrnn_make_folder(const struct clrnn_log *log, const char *path);

/** "dir/name" in fresh memory; `name` alone where it is absolute or `dir` is NULL or "". NULL: no memory. */
char *clrnn_path_join(const char *dir, const char *name);
/** The folder part of a path in fresh memory, "." where it has none. NULL: no memory. */
char *clrnn_path_folder(const char *path);
/** printf into fresh memory. NULL: no memory. */
char *clrnn_format(const char *format, ...) CLRNN_PRINTF(1, 2);
char *clrnn_format_va(const char *format, va_list arguments) CLRNN_PRINTF(1, 0);

#endif
