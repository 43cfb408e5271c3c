// SPDX-License-Identifier: MIT
// Arrays inside .npz files, read with libzip.
#include "formats/npz.h"

#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/temporary.h"

#ifdef CLRNN_HAVE_LIBZIP
#include <zip.h>

#define PIECE_BYTES ((size_t)1 << 20)
#endif

const char *clrnn_npz_member(const char *path)
{
    const char *at = path;

    for (const char *next = strstr(at, ".npz:"); next; next = strstr(at, ".npz:"))
        at = next + 5;
    return at == path || !*at ? NULL : at;
}

#ifdef CLRNN_HAVE_LIBZIP

// Returns the names of the archive's first 20 arrays, as "X, y". Returns NULL if memory runs out.
static char *list_members(zip_t *zip)
{
    const zip_int64_t count = zip_get_num_entries(zip, 0);
    char *text = NULL;
    size_t size;
    FILE *stream = clrnn_text_open(&text, &size);

    for (zip_int64_t i = 0; stream && i < MIN2(count, 20); i++) {
        const char *name = zip_get_name(zip, (zip_uint64_t)i, 0);
        const size_t length = name ? strlen(name) : 0;
        const bool npy = length > 4 && !strcmp(name + length - 4, ".npy");

        fprintf(stream, "%s%.*s", i ? ", " : "", (int)(npy ? length - 4 : length), name ? name : "");
    }
    return stream && clrnn_text_close(stream, &text) ? text : NULL;
}

static enum clrnn_status copy_member(const struct clrnn_log *log, const char *path, zip_file_t *from, int to)
{
    char *piece = malloc(PIECE_BYTES);
    enum clrnn_status st = piece ? CLRNN_OK : clrnn_error_memory(log, PIECE_BYTES, path);
    zip_int64_t got = 0;

    while (st == CLRNN_OK && (got = zip_fread(from, piece, PIECE_BYTES)) > 0)
        if (write(to, piece, (size_t)got) != (ssize_t)got)
            st = clrnn_error(log, CLRNN_ERR_DISK, "%s: there is no space to unpack it in the temporary folder", path);
    if (st == CLRNN_OK && got < 0)
        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: is damaged: %s", path, zip_file_strerror(from));
    free(piece);
    return st;
}

static enum clrnn_status unpack(const struct clrnn_log *log, zip_t *zip, const char *path, const char *member,
                                struct clrnn_npy **npy)
{
    char *name = clrnn_format("%s.npy", member), *folder = NULL;
    struct clrnn_temporary *temporary = NULL;
    zip_file_t *from = name ? zip_fopen(zip, name, 0) : NULL;
    enum clrnn_status st = CLRNN_OK;

    if (!from)
        from = zip_fopen(zip, member, 0);
    if (!from) {
        char *members = list_members(zip);

        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: has no array of that name, it holds %s", path,
                         members ? members : "others");
        free(members);
    }
    if (st == CLRNN_OK)
        st = clrnn_temporary_folder(log, &folder);
    if (st == CLRNN_OK && clrnn_temporary_create(folder, false, &temporary))
        st = clrnn_error(log, CLRNN_ERR_DISK, "%s: no temporary file can be made to unpack it", path);
    if (st == CLRNN_OK)
        st = copy_member(log, path, from, temporary->fd);
    if (st == CLRNN_OK)
        st = clrnn_npy_open_as(log, temporary->path, path, npy); // the mapping stays when the file is removed
    if (from)
        zip_fclose(from);
    clrnn_temporary_remove(&temporary);
    clrnn_remove_folder(folder);
    free(folder);
    free(name);
    return st;
}

enum clrnn_status clrnn_npz_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy)
{
    const char *member = clrnn_npz_member(path);
    char *file = clrnn_format("%.*s", (int)(member - path - 1), path);
    zip_error_t error;
    enum clrnn_status st;
    zip_t *zip;
    int code = 0;

    *npy = NULL;
    if (!file)
        return clrnn_error_memory(log, strlen(path), path);
    zip = zip_open(file, ZIP_RDONLY, &code);
    if (zip) {
        st = unpack(log, zip, path, member, npy);
        zip_discard(zip);
    } else {
        zip_error_init_with_code(&error, code);
        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: cannot be opened: %s", file, zip_error_strerror(&error));
        zip_error_fini(&error);
    }
    free(file);
    return st;
}

#else

enum clrnn_status clrnn_npz_open(const struct clrnn_log *log, const char *path, struct clrnn_npy **npy)
{
    *npy = NULL;
    return clrnn_error(log, CLRNN_ERR_DATA,
                       "%s: this build has no libzip: numpy.save('X.npy', numpy.load('FILE.npz')['NAME'])", path);
}

#endif
