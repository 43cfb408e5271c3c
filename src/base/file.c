// SPDX-License-Identifier: MIT
// Writes files atomically, compares paths and creates folders.
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temporary.h"

#define MOST_LINKS 40 // symbolic links that are followed for one path; Linux has the same limit

struct clrnn_out {
    const struct clrnn_log *log;
    char *path, *target;               // the path as given; the path after following links
    struct clrnn_temporary *temporary; // NULL: writes go directly to the target
    FILE *file;
    enum clrnn_status status; // status of the first failure
};

static enum clrnn_status out_fail(struct clrnn_out *out, int error, const char *what)
{
    if (out->status == CLRNN_OK)
        out->status = clrnn_error(out->log, CLRNN_ERR_DISK, "%s: %s: %s", out->path, what, strerror(error));
    return out->status;
}

// Returns the descriptor of this process that a path such as /dev/stdout or /dev/fd/3 names, or -1.
static int descriptor_of(const char *path)
{
    const char *name = strrchr(path, '/');
    char *folder = clrnn_path_folder(path), *found = folder ? realpath(folder, NULL) : NULL, own[64];
    int fd = -1;

    snprintf(own, sizeof(own), "/proc/%ld/fd", (long)getpid());
    if (found && name && !strcmp(found, own))
        fd = atoi(name + 1);
    free(folder);
    free(found);
    return fd;
}

// Follows symbolic links, the last of which may point to a file that does not exist. Sets *target to the path at the
// end, and *fd to the descriptor of this process that this path names, or to -1. Returns 0 or an errno value.
static int follow(const char *path, char **target, int *fd)
{
    char link[4096], *folder, *next;

    *target = clrnn_format("%s", path);
    for (int links = 0; *target; links++) {
        ssize_t length;

        *fd = descriptor_of(*target);
        length = *fd < 0 ? readlink(*target, link, sizeof(link) - 1) : -1;
        if (length < 0)
            return 0; // not a link, or does not exist
        if (links == MOST_LINKS)
            return ELOOP;
        link[length] = 0;
        folder = clrnn_path_folder(*target);
        next = folder ? clrnn_path_join(folder, link) : NULL;
        free(folder);
        free(*target);
        *target = next;
    }
    return ENOMEM;
}

static int dup_descriptor(int fd)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && (flags & O_ACCMODE) == O_RDONLY) {
        errno = EBADF;
        return -1;
    }
    return fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

static int open_beside(struct clrnn_out *o, const struct stat *former)
{
    char *folder = clrnn_path_folder(o->target);
    int error = folder ? 0 : ENOMEM, fd;

    if (former && faccessat(AT_FDCWD, o->target, W_OK, AT_EACCESS))
        error = errno;
    if (!error)
        error = clrnn_temporary_create(folder, false, &o->temporary);
    free(folder);
    if (!error && former && fchmod(o->temporary->fd, former->st_mode & 0777))
        error = errno;
    fd = error ? -1 : fcntl(o->temporary->fd, F_DUPFD_CLOEXEC, 0);
    if (error)
        errno = error;
    return fd;
}

static enum clrnn_status out_start(struct clrnn_out *o)
{
    int through = -1, fd, error = follow(o->path, &o->target, &through);
    struct stat st;
    bool there;

    if (error)
        return out_fail(o, error, "cannot be written");
    there = !stat(o->target, &st);
    if (through < 0 && there && !S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
        return clrnn_error(o->log, CLRNN_ERR_DISK, "%s: is %s, expected a file", o->path,
                           S_ISDIR(st.st_mode)   ? "a folder"
                           : S_ISBLK(st.st_mode) ? "a block device"
                                                 : "a socket");
    if (through >= 0)
        fd = dup_descriptor(through);
    else if (there && !S_ISREG(st.st_mode))
        fd = open(o->target, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    else
        fd = open_beside(o, there ? &st : NULL);
    if (fd < 0 || !(o->file = fdopen(fd, "wb"))) {
        out_fail(o, errno, "cannot be written");
        if (fd >= 0)
            close(fd);
    }
    return o->status;
}

enum clrnn_status clrnn_out_open(const struct clrnn_log *log, const char *path, struct clrnn_out **out)
{
    struct clrnn_out *o = calloc(1, sizeof(*o));
    enum clrnn_status st;

    *out = NULL;
    if (!o)
        return clrnn_error_memory(log, sizeof(*o), path);
    o->log = log;
    o->path = clrnn_format("%s", path);
    st = o->path ? out_start(o) : clrnn_error_memory(log, strlen(path) + 1, path);
    if (st == CLRNN_OK)
        *out = o;
    else
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
        fsync(fd); // may fail on some file systems; the file is renamed all the same
        close(fd);
    }
    free(folder);
}

enum clrnn_status clrnn_out_flush(struct clrnn_out *out)
{
    if (out->status == CLRNN_OK && (fflush(out->file) || (out->temporary && fsync(fileno(out->file)))))
        out_fail(out, errno, "cannot be written");
    return out->status;
}

enum clrnn_status clrnn_out_commit(struct clrnn_out **out)
{
    struct clrnn_out *o = *out;
    enum clrnn_status st;
    int error;

    *out = NULL;
    clrnn_out_flush(o);
    if (fclose(o->file))
        out_fail(o, errno, "cannot be written");
    o->file = NULL;
    if (o->status == CLRNN_OK && o->temporary) {
        error = clrnn_temporary_rename(&o->temporary, o->target);
        if (error)
            out_fail(o, error, "cannot be put in place");
        else
            sync_folder(o->target);
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
    clrnn_temporary_remove(&o->temporary);
    free(o->target);
    free(o->path);
    free(o);
}

enum clrnn_status clrnn_write_text(const struct clrnn_log *log, const char *path, const char *text)
{
    struct clrnn_out *out;

    TRY(clrnn_out_open(log, path, &out));
    clrnn_out_write(out, text, strlen(text)); // a failure is returned by clrnn_out_commit
    return clrnn_out_commit(&out);
}

bool clrnn_same_file(const char *a, const char *b)
{
    struct stat x, y;

    return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

bool clrnn_is_stream(const char *path)
{
    char *target = NULL;
    struct stat st;
    int fd = -1;

    follow(path, &target, &fd);
    free(target);
    return fd >= 0 || (!stat(path, &st) && !S_ISREG(st.st_mode));
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
            status = clrnn_error(log, CLRNN_ERR_DISK, "%s: the folder cannot be made: %s", part, strerror(errno));
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
