// SPDX-License-Identifier: MIT
// Reads files by memory mapping, writes files atomically (temporary file, fsync, rename), and handles folders and
// paths.
#ifndef CLRNN_SRC_BASE_FILE_H
#define CLRNN_SRC_BASE_FILE_H

#include <stdarg.h>
#include <stdio.h>

#include "base/log.h"

/** Largest number of bytes of a mapped file that one access can make resident. On a page fault, Linux also maps
 * neighbouring pages that are in the page cache (fault-around). */
#define CLRNN_FAULT_BYTES ((size_t)64 << 10)

/** A file mapped read-only. `data` is NULL when `size` is 0. */
struct clrnn_map {
    const unsigned char *data;
    size_t size;
    int file;                      // file descriptor; valid only if data is not NULL
    struct clrnn_map_range *range; // private
};

/** Installs a SIGBUS handler. If another program truncates a mapped file, reading a page beyond the new end then gives
 * zeros instead of ending this program. Other bus errors have the same effect as without the handler. A program calls
 * this function once, at its start. */
void clrnn_map_catch(void);

/** Maps a regular file read-only. Errors: CLRNN_ERR_DATA (the message has path and reason), CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_map_open(const struct clrnn_log *log, const char *path, struct clrnn_map *map);
void clrnn_map_close(struct clrnn_map *map);

/** Checks that the file has not become shorter since it was mapped. CLRNN_ERR_DATA: it has become shorter, so data that
 * were read from the file are invalid. */
enum clrnn_status clrnn_map_check(const struct clrnn_log *log, const struct clrnn_map *map, const char *path);

/** Copies the bytes first to first + size - 1 to `out`. They must be within the file. Reads by pread instead of through
 * the mapping: there is no page fault for each page, and pages that are read only once do not count as resident
 * memory. */
void clrnn_map_read(const struct clrnn_map *map, size_t first, size_t size, void *out);

/** A file that is written atomically. Writes go to a temporary file in the same folder (base/temporary.h).
 * clrnn_out_commit flushes and syncs the temporary file, renames it to `path` and syncs the folder. clrnn_out_abort
 * removes the temporary file. Every write is checked. The first failure is logged (CLRNN_ERR_DISK: path and the
 * system's error text) and stored; a caller may therefore ignore the results of writes, and check only the result of
 * clrnn_out_commit.
 *
 * Symbolic links in `path` are followed and kept; the file that a link points to is replaced, or created if it does not
 * exist. A new file has the permissions that the umask allows; a replaced file keeps its permissions. Pipes, terminals,
 * other character devices and descriptors of this process (/dev/stdout) are written directly. Folders, block devices,
 * sockets and files without write permission are refused.
 */
struct clrnn_out;
enum clrnn_status clrnn_out_open(const struct clrnn_log *log, const char *path, struct clrnn_out **out);
enum clrnn_status clrnn_out_write(struct clrnn_out *out, const void *data, size_t size);
enum clrnn_status clrnn_out_printf(struct clrnn_out *out, const char *format, ...) CLRNN_PRINTF(2, 3);
enum clrnn_status clrnn_out_flush(struct clrnn_out *out);   // flushes and syncs; commit then only renames
enum clrnn_status clrnn_out_commit(struct clrnn_out **out); // sets *out to NULL in any case
void clrnn_out_abort(struct clrnn_out **out);               // *out may be NULL

/** Writes a text file atomically, as clrnn_out does. */
enum clrnn_status clrnn_write_text(const struct clrnn_log *log, const char *path, const char *text);

/** Whether both paths refer to the same file, directly or through links. */
bool clrnn_same_file(const char *a, const char *b);

/** Whether a path names an open file descriptor (/dev/stdin, /dev/fd/63), a pipe or another file that is not a regular
 * file. If a config is read from such a path, the paths in the config are relative to the current folder. */
bool clrnn_is_stream(const char *path);

/** Creates a folder and its parents; succeeds if the folder exists already. CLRNN_ERR_DISK, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_make_folder(const struct clrnn_log *log, const char *path);

/** Returns "dir/name", or a copy of `name` if `name` is absolute or `dir` is NULL or "". The caller frees the text.
 * Returns NULL if memory runs out. */
char *clrnn_path_join(const char *dir, const char *name);
/** Returns the folder part of a path, "." if it has none. The caller frees the text. NULL: out of memory. */
char *clrnn_path_folder(const char *path);
/** Whether a config's data path stands for an array in memory: "memory:x". */
bool clrnn_path_is_memory(const char *path);
/** Prints as printf into allocated memory, which the caller frees. Returns NULL if memory runs out. */
char *clrnn_format(const char *format, ...) CLRNN_PRINTF(1, 2);
char *clrnn_format_va(const char *format, va_list arguments) CLRNN_PRINTF(1, 0);

/** Opens a stream that writes into allocated memory (open_memstream). Returns NULL if memory runs out. */
FILE *clrnn_text_open(char **text, size_t *size);
/** Closes a stream of clrnn_text_open. Returns false and sets *text to NULL if memory ran out during a write. Streams
 * do not report this reliably, so the function also looks at errno: the caller must not clear errno while the stream is
 * open. */
bool clrnn_text_close(FILE *stream, char **text);

#endif
