// SPDX-License-Identifier: MIT
// Files: memory-mapped for reading; written atomically (temporary file, fsync, rename). Folders and paths.
#ifndef CLRNN_SRC_BASE_FILE_H
#define CLRNN_SRC_BASE_FILE_H

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

/** Most bytes of a mapped file that one access makes resident: Linux also maps the neighbouring pages if they
 * are in the page cache (fault-around). */
#define CLRNN_FAULT_BYTES ((size_t)64 << 10)

/** A file mapped read-only. `data` is NULL when `size` is 0. */
struct clrnn_map {
    const unsigned char *data;
    size_t size;
    int file;                      // descriptor; not open if data is NULL
    struct clrnn_map_range *range; // private
};

/** Installs a SIGBUS handler: a mapped page beyond the end of a file that was truncated reads as zeros
 * instead of ending the program. Other bus errors have the same effect as before. A program calls this once,
 * at its start.
 */
void clrnn_map_catch(void);

/** Maps a regular file read-only. Errors: CLRNN_ERR_DATA, with the path and the system's error text. */
enum clrnn_status clrnn_map_open(const struct clrnn_log *log, const char *path, struct clrnn_map *map);
void clrnn_map_close(struct clrnn_map *map);

/** CLRNN_ERR_DATA if the file became shorter after it was mapped: data read from it is then invalid. */
enum clrnn_status clrnn_map_check(const struct clrnn_log *log, const struct clrnn_map *map, const char *path);

/** Copies bytes first to first + size - 1, which must be within the file, by pread instead of through the
 * mapping: this avoids a page fault per page, and pages that are read once do not count as resident memory.
 */
void clrnn_map_read(const struct clrnn_map *map, size_t first, size_t size, void *out);

/** A file that is written atomically: writes go to a temporary file in the same folder (base/temporary.h);
 * commit flushes, syncs, renames it to `path` and syncs the folder; abort removes it. Every write is checked.
 * The first failure is logged (CLRNN_ERR_DISK: path and the system's error text) and stored, so that a caller
 * may keep writing and check only the commit.
 *
 * Symbolic links in `path` are followed and kept; their target is replaced, or created if it does not exist.
 * A new file has the permissions that the umask allows; a replaced file keeps its permissions. Terminals,
 * pipes, other character devices and descriptors of this process (/dev/stdout) are written directly. Folders,
 * block devices, sockets and files without write permission are refused.
 */
struct clrnn_out;
enum clrnn_status clrnn_out_open(const struct clrnn_log *log, const char *path, struct clrnn_out **out);
enum clrnn_status clrnn_out_write(struct clrnn_out *out, const void *data, size_t size);
enum clrnn_status clrnn_out_printf(struct clrnn_out *out, const char *format, ...) CLRNN_PRINTF(2, 3);
enum clrnn_status clrnn_out_flush(struct clrnn_out *out);   // syncs to the disk; commit then only renames
enum clrnn_status clrnn_out_commit(struct clrnn_out **out); // sets *out to NULL in any case
void clrnn_out_abort(struct clrnn_out **out);               // *out may be NULL

/** Writes a text file atomically, as clrnn_out does. */
enum clrnn_status clrnn_write_text(const struct clrnn_log *log, const char *path, const char *text);

/** Whether both paths refer to the same file, also through links. */
bool clrnn_same_file(const char *a, const char *b);

/** Whether a path names an open descriptor (/dev/stdin, /dev/fd/63), a pipe or another file that is not
 * regular. Other files are then not looked up in its folder. */
bool clrnn_is_stream(const char *path);

/** Creates a folder and its parents; no error if it exists. CLRNN_ERR_DISK. */
enum clrnn_status clrnn_make_folder(const struct clrnn_log *log, const char *path);

/** Returns "dir/name" (to be freed), or a copy of `name` if it is absolute or `dir` is NULL or "". NULL: no
 *  memory. */
char *clrnn_path_join(const char *dir, const char *name);
/** Returns the folder part of a path (to be freed), "." if it has none. NULL: no memory. */
char *clrnn_path_folder(const char *path);
/** Whether a config's data path stands for an array in memory: "memory:x". */
bool clrnn_path_is_memory(const char *path);
/** printf into allocated memory (to be freed). NULL: no memory. */
char *clrnn_format(const char *format, ...) CLRNN_PRINTF(1, 2);
char *clrnn_format_va(const char *format, va_list arguments) CLRNN_PRINTF(1, 0);

/** Opens a stream that writes into allocated memory (open_memstream). NULL: no memory. */
FILE *clrnn_text_open(char **text, size_t *size);
/** Closes a stream of clrnn_text_open. False: a write lacked memory, which streams do not report reliably,
 * and *text is NULL. errno must not be cleared while the stream is open. */
bool clrnn_text_close(FILE *stream, char **text);

#endif
