// SPDX-License-Identifier: MIT
// Mapped reading; writing beside, syncing and renaming; folders; paths.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum clrnn_status clrnn_map_open(const struct clrnn_log *log, const char *path, struct clrnn_map *map)
{
    struct stat st;
    void *data;
    int fd;

    *map = (struct clrnn_map){NULL, 0, -1};
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: cannot be opened: %s", path, strerror(errno));
    if (fstat(fd, &st)) {
        const int error = errno;

        close(fd);
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: cannot be examined: %s", path, strerror(error));
    }
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return clrnn_error(log, CLRNN_ERR_DATA, "%s: is %s, expected a file", path,
                           S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    }
    if (st.st_size == 0) {
        close(fd);
        return CLRNN_OK;
    }
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) {
        const int error = errno;

        close(fd);
        return clrnn_error(log, error == ENOMEM ? CLRNN_ERR_MEMORY : CLRNN_ERR_DATA,
                           "%s: %lld bytes cannot be mapped: %s", path, (long long)st.st_size,
                           strerror(error));
    }
    *map = (struct clrnn_map){data, (size_t)st.st_size, fd};
    return CLRNN_OK;
}

void clrnn_map_close(struct clrnn_map *map)
{
    if (map->data) {
        munmap((void *)(uintptr_t)map->data, map->size);
        close(map->file);
    }
    *map = (struct clrnn_map){NULL, 0, -1};
}

void clrnn_map_read(const struct clrnn_map *map, size_t first, size_t size, void *out)
{
    char *to = out;

    while (size > 0) {
        const ssize_t got = pread(map->file, to, size, (off_t)first);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) // what the system will not read, the mapping may still give
            break;
        to += got;
        first += (size_t)got;
        size -= (size_t)got;
    }
    memcpy(to, map->data + first, size);
}

struct clrnn_out {
    const struct clrnn_log *log;
    char *path, *temporary;
    FILE *file;
    enum clrnn_status status; // of the first failure
};

static enum clrnn_status out_fail(struct clrnn_out *out, int error, const char *what)
{
    if (out->status == CLRNN_OK)
        out->status = clrnn_error(out->log, CLRNN_ERR_DISK, "%s: %s: %s", out->path, what, strerror(error));
    return out->status;
}

enum clrnn_status clrnn_out_open(const struct clrnn_log *log, const char *path, struct clrnn_out **out)
{
    struct clrnn_out *o = calloc(1, sizeof(*o));
    enum clrnn_status st;
    int fd;

    *out = NULL;
    if (!o)
        return clrnn_error_memory(log, sizeof(*o), path);
    o->log = log;
    o->path = clrnn_format("%s", path);
    o->temporary = clrnn_format("%s.XXXXXX", path);
    if (!o->path || !o->temporary) {
        st = clrnn_error_memory(log, strlen(path) + 8, path);
        goto fail;
    }
    fd = mkstemp(o->temporary);
    if (fd < 0) {
        st = out_fail(o, errno, "cannot be written");
        free(o->temporary);
        o->temporary = NULL;
        goto fail;
    }
    if (fchmod(fd, 0644) || !(o->file = fdopen(fd, "wb"))) {
        st = out_fail(o, errno, "cannot be written");
        close(fd);
        goto fail;
    }
    *out = o;
    return CLRNN_OK;

fail:
    clrnn_out_abort(&o);
    return st;
}

enum clrnn_status clrnn_out_write(struct clrnn_out *out, const void *data, size_t size)
{
    if (out->status == CLRNN_OK && size && fwrite(data, 1, size, out->file) != size)
        return out_fail(out, errno, "cannot be written");
    return out->status;
}

enum clrnn_status clrnn_out_printf(struct clrnn_out *out, const char *format, ...)
{
    va_list arguments;
    int length = 0;

    if (out->status != CLRNN_OK)
        return out->status;
    va_start(arguments, format);
    length = vfprintf(out->file, format, arguments);
    va_end(arguments);
    return length < 0 ? out_fail(out, errno, "cannot be written") : CLRNN_OK;
}

static void sync_folder(const char *path)
{
    char *folder = clrnn_path_folder(path);
    const int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        fsync(fd); // some file systems refuse; the rename stands all the same
        close(fd);
    }
    free(folder);
}

enum clrnn_status clrnn_out_commit(struct clrnn_out **out)
{
    struct clrnn_out *o = *out;
    enum clrnn_status st;

    *out = NULL;
    if (o->status == CLRNN_OK && (fflush(o->file) || fsync(fileno(o->file))))
        out_fail(o, errno, "cannot be written");
    if (fclose(o->file))
        out_fail(o, errno, "cannot be written");
    o->file = NULL;
    if (o->status == CLRNN_OK && rename(o->temporary, o->path))
        out_fail(o, errno, "cannot be put in place");
    if (o->status == CLRNN_OK) {
        sync_folder(o->path);
        free(o->temporary); // it is `path` now
        o->temporary = NULL;
    }
    st = o->status;
    clrnn_out_abort(&o);
    return st;
}

void clrnn_out_abort(struct clrnn_out **out)
{
    struct clrnn_out *o = *out;

    *out = NULL;
    if (!o)
        return;
    if (o->file)
        fclose(o->file);
    if (o->temporary)
        unlink(o->temporary);
    free(o->temporary);
    free(o->path);
    free(o);
}

enum clrnn_status clrnn_write_text(const struct clrnn_log *log, const char *path, const char *text)
{
    struct clrnn_out *out;

    TRY(clrnn_out_open(log, path, &out));
    clrnn_out_write(out, text, strlen(text)); // commit reports
    return clrnn_out_commit(&out);
}

enum clrnn_status clrnn_make_folder(const struct clrnn_log *log, const char *path)
{
    char *part = clrnn_format("%s", path);
    struct stat st;
    enum clrnn_status status = CLRNN_OK;

    if (!part)
        return clrnn_error_memory(log, strlen(path) + 1, path);
    for (char *c = part + 1; *part; c++) {
        const char kept = *c;

        if (kept && kept != '/')
            continue;
        *c = 0;
        if (mkdir(part, 0777) && errno != EEXIST) {
            status =
                clrnn_error(log, CLRNN_ERR_DISK, "%s: the folder cannot be made: %s", part, strerror(errno));
            break;
        }
        *c = kept;
        if (!kept)
            break;
    }
    if (status == CLRNN_OK && (stat(path, &st) || !S_ISDIR(st.st_mode)))
        status = clrnn_error(log, CLRNN_ERR_DISK, "%s: is a file, expected a folder", path);
    free(part);
    return status;
}

enum clrnn_status clrnn_temporary_folder(const struct clrnn_log *log, const char *stem, char **path)
{
    const char *base = getenv("TMPDIR");
    enum clrnn_status st;

    *path = clrnn_format("%s/%s-XXXXXX", base && *base ? base : "/tmp", stem);
    if (!*path)
        return clrnn_error_memory(log, strlen(stem), stem);
    if (mkdtemp(*path))
        return CLRNN_OK;
    st = clrnn_error(log, CLRNN_ERR_DISK, "%s: the folder cannot be made: %s", *path, strerror(errno));
    free(*path);
    *path = NULL;
    return st;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    remove(path); // what cannot be removed stays; the rest goes all the same
    return 0;
}

void clrnn_remove_folder(const char *path)
{
    if (path)
        nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

char *clrnn_path_join(const char *dir, const char *name)
{
    if (!dir || !*dir || *name == '/')
        return clrnn_format("%s", name);
    return clrnn_format("%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", name);
}

char *clrnn_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return clrnn_format(".");
    return slash == path ? clrnn_format("/") : clrnn_format("%.*s", (int)(slash - path), path);
}

char *clrnn_format(const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    return text;
}

char *clrnn_format_va(const char *format, va_list arguments)
{
    char *text;

    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}
