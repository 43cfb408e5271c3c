// SPDX-License-Identifier: MIT
// Children that try OpenCL drivers, and putting broken drivers out of the loader's sight.
#include "device/probe.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "device/opencl.h"

#ifndef PATIENCE_MS // tests have less
#define PATIENCE_MS 10000
#endif
#define MAX_PLATFORMS 64
#define MAX_DRIVERS 64

/** What a child says before each step that may be its last. */
struct report {
    int platform; // -1: the drivers are being loaded
    char name[240];
};

static void child_says(int fd, int platform, const char *name)
{
    struct report r = {.platform = platform};

    snprintf(r.name, sizeof(r.name), "%s", name);
    if (write(fd, &r, sizeof(r)) != (ssize_t)sizeof(r)) // below PIPE_BUF: whole or not at all
        _exit(2);
}

/** In the child: touches every platform that is not skipped as listing will touch it. */
static void try_platforms(int fd, const bool *skip)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_device_id devices[MAX_PLATFORMS];
    char text[4096] = "";
    cl_uint count = 0, device_count;

    child_says(fd, -1, "");
    if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &count) != CL_SUCCESS)
        return;
    for (cl_uint i = 0; i < MIN2(count, MAX_PLATFORMS); i++) {
        if (skip[i])
            continue;
        child_says(fd, (int)i, "");
        clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof(text) - 1, text, NULL);
        child_says(fd, (int)i, text);
        clGetPlatformInfo(platforms[i], CL_PLATFORM_VERSION, sizeof(text) - 1, text, NULL);
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MAX_PLATFORMS, devices, &device_count) !=
            CL_SUCCESS)
            continue;
        for (cl_uint j = 0; j < MIN2(device_count, MAX_PLATFORMS); j++) {
            clGetDeviceInfo(devices[j], CL_DEVICE_NAME, sizeof(text) - 1, text, NULL);
            clGetDeviceInfo(devices[j], CL_DRIVER_VERSION, sizeof(text) - 1, text, NULL);
        }
    }
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/**
 * Runs one child. True where it ended well or could not be started; else `last` is where it stood and
 * `text` how it ended. A hang is counted from the child's last word.
 */
static bool run_child(const bool *skip, struct report *last, char text[160])
{
    struct pollfd end;
    int64_t deadline = now_ms() + PATIENCE_MS;
    int fd[2], status = 0;
    bool hung = false;
    pid_t child;

    *last = (struct report){.platform = -1};
    if (pipe(fd))
        return true;
    fflush(NULL); // what stands in buffers is the parent's to write
    child = fork();
    if (child < 0) {
        close(fd[0]);
        close(fd[1]);
        return true;
    }
    if (child == 0) {
        close(fd[0]);
        if (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)) // drivers chatter
            _exit(2);
        signal(SIGSEGV, SIG_DFL);
        signal(SIGABRT, SIG_DFL);
        try_platforms(fd[1], skip);
        _exit(0); // no exit handlers: they are the parent's
    }
    close(fd[1]);
    end = (struct pollfd){.fd = fd[0], .events = POLLIN};
    for (;;) {
        const int64_t left = deadline - now_ms();
        struct report r;
        ssize_t size;
        int ready;

        ready = left > 0 ? poll(&end, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready <= 0) {
            hung = true;
            kill(child, SIGKILL);
            break;
        }
        size = read(fd[0], &r, sizeof(r));
        if (size < 0 && errno == EINTR)
            continue;
        if (size != (ssize_t)sizeof(r))
            break; // the child is gone
        if (r.platform != last->platform)
            deadline = now_ms() + PATIENCE_MS;
        *last = r;
    }
    close(fd[0]);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (hung)
        snprintf(text, 160, "its driver hung for %d s while being asked for its devices", PATIENCE_MS / 1000);
    else if (WIFSIGNALED(status))
        snprintf(text, 160, "its driver crashed with signal %d (%s) while being asked for its devices",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status))
        snprintf(text, 160, "its driver ended the process with status %d while being asked for its devices",
                 WEXITSTATUS(status));
    else
        return true;
    return false;
}

static enum clrnn_status add_trouble(const struct clrnn_log *log, struct clrnn_probe *probe, int platform,
                                     const char *name, const char *text)
{
    struct clrnn_probe_trouble *t = realloc(probe->trouble, (probe->count + 1) * sizeof(*t));

    if (!t)
        return clrnn_error_memory(log, sizeof(*t), "the list of devices");
    probe->trouble = t;
    t += probe->count++;
    t->platform = platform;
    snprintf(t->name, sizeof(t->name), "%s", name);
    snprintf(t->text, sizeof(t->text), "%s", text);
    return CLRNN_OK;
}

// ---------------------------------------------------------------- driver files

struct drivers {
    char *path[MAX_DRIVERS]; // absolute, in the order of their names
    size_t count;
};

static void drivers_finish(struct drivers *d)
{
    for (size_t i = 0; i < d->count; i++)
        free(d->path[i]);
    d->count = 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text), b = strlen(end);

    return a >= b && strcmp(text + a - b, end) == 0;
}

/** The loader's .icd files; none where OCL_ICD_VENDORS names a library or nothing is found. */
static void drivers_find(struct drivers *d)
{
    const char *named = getenv("OCL_ICD_VENDORS");
    struct dirent *entry;
    DIR *folder;

    d->count = 0;
    if (!named || !*named)
        named = getenv("OPENCL_VENDOR_PATH");
    if (!named || !*named)
        named = "/etc/OpenCL/vendors";
    if (ends_with(named, ".icd")) {
        d->path[0] = realpath(named, NULL);
        d->count = d->path[0] != NULL;
        return;
    }
    folder = opendir(named);
    if (!folder)
        return;
    while (d->count < MAX_DRIVERS && (entry = readdir(folder))) {
        char *path;

        if (!ends_with(entry->d_name, ".icd"))
            continue;
        path = clrnn_path_join(named, entry->d_name);
        if (path && (d->path[d->count] = realpath(path, NULL)))
            d->count++;
        free(path);
    }
    closedir(folder);
    qsort(d->path, d->count, sizeof(d->path[0]), by_name);
}

/** The library that an .icd file names, in fresh memory, or NULL. */
static char *driver_library(const char *path)
{
    struct clrnn_map map;
    char *name = NULL;

    if (clrnn_map_open(NULL, path, &map) != CLRNN_OK)
        return NULL;
    if (map.data) {
        size_t length = 0;

        while (length < map.size && map.data[length] != '\n' && map.data[length] != '\r')
            length++;
        name = clrnn_format("%.*s", (int)length, (const char *)map.data);
    }
    clrnn_map_close(&map);
    return name;
}

/** Whether this process has loaded a driver: then they are known to load, and a fork would be unsafe. */
static bool drivers_loaded(const struct drivers *d)
{
    bool loaded = false;

    for (size_t i = 0; i < d->count && !loaded; i++) {
        char *name = driver_library(d->path[i]);
        void *library = name && *name ? dlopen(name, RTLD_LAZY | RTLD_NOLOAD) : NULL;

        if (library) {
            loaded = true;
            dlclose(library);
        }
        free(name);
    }
    return loaded;
}

/** Finds which driver files cannot be loaded and makes a folder of links to the others. */
static enum clrnn_status hide_broken(const struct clrnn_log *log, struct clrnn_probe *probe,
                                     const struct drivers *d)
{
    const bool no_skip[MAX_PLATFORMS] = {false};
    const char *kept = getenv("OCL_ICD_VENDORS"), *base = getenv("TMPDIR");
    bool broken[MAX_DRIVERS] = {false};
    struct report last;
    char text[160];

    probe->folder = clrnn_format("%s/clrnn-icd-XXXXXX", base && *base ? base : "/tmp");
    probe->kept_vendors = kept ? clrnn_format("%s", kept) : NULL;
    if (!probe->folder || (kept && !probe->kept_vendors))
        return clrnn_error_memory(log, 64, "the list of devices");
    if (!mkdtemp(probe->folder)) {
        enum clrnn_status st =
            clrnn_error(log, CLRNN_ERR_DISK, "%s: a folder for OpenCL's loader cannot be made: %s",
                        probe->folder, strerror(errno));

        free(probe->folder);
        probe->folder = NULL;
        return st;
    }
    for (size_t i = 0; i < d->count; i++) {
        setenv("OCL_ICD_VENDORS", d->path[i], 1);
        // also one that fails only when asked for devices: the loader asks when there are several drivers
        broken[i] = !run_child(no_skip, &last, text);
        if (broken[i])
            TRY(add_trouble(log, probe, -1, last.name[0] ? last.name : d->path[i], text));
    }
    setenv("OCL_ICD_VENDORS", probe->folder, 1);
    for (size_t i = 0; i < d->count; i++) {
        char *link = broken[i] ? NULL : clrnn_format("%s/%03zu.icd", probe->folder, i);

        if (link && symlink(d->path[i], link))
            clrnn_log(log, CLRNN_LOG_WARNING, "%s: cannot be linked to: %s", d->path[i], strerror(errno));
        free(link);
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_probe_create(const struct clrnn_log *log, struct clrnn_probe **probe)
{
    struct clrnn_probe *p = calloc(1, sizeof(*p));
    bool skip[MAX_PLATFORMS] = {false};
    struct drivers d;
    struct report last;
    char text[160];
    enum clrnn_status st = CLRNN_OK;

    *probe = p;
    if (!p)
        return clrnn_error_memory(log, sizeof(*p), "the list of devices");
    drivers_find(&d);
    if (drivers_loaded(&d))
        goto end;
    // a child ends well, or one more platform is skipped, or the drivers are sorted out once
    for (int tries = 0; st == CLRNN_OK && tries < MAX_PLATFORMS && !run_child(skip, &last, text); tries++) {
        if (last.platform >= 0) {
            skip[last.platform] = true;
            st = add_trouble(log, p, last.platform, last.name[0] ? last.name : "unnamed", text);
        } else if (!p->folder && d.count) {
            st = hide_broken(log, p, &d);
        } else {
            st =
                clrnn_error(log, CLRNN_ERR_DEVICE, "OpenCL's drivers cannot be loaded: %s; see clinfo", text);
        }
    }

end:
    drivers_finish(&d);
    if (st != CLRNN_OK)
        clrnn_probe_destroy(probe);
    return st;
}

void clrnn_probe_restore(struct clrnn_probe *probe)
{
    struct dirent *entry;
    DIR *folder;

    if (!probe->folder)
        return;
    if (probe->kept_vendors)
        setenv("OCL_ICD_VENDORS", probe->kept_vendors, 1);
    else
        unsetenv("OCL_ICD_VENDORS");
    folder = opendir(probe->folder);
    while (folder && (entry = readdir(folder)))
        if (ends_with(entry->d_name, ".icd"))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    rmdir(probe->folder);
    free(probe->folder);
    probe->folder = NULL;
}

void clrnn_probe_destroy(struct clrnn_probe **probe)
{
    struct clrnn_probe *p = *probe;

    *probe = NULL;
    if (!p)
        return;
    clrnn_probe_restore(p);
    free(p->kept_vendors);
    free(p->trouble);
    free(p);
}

const struct clrnn_probe_trouble *clrnn_probe_find(const struct clrnn_probe *probe, int platform)
{
    for (size_t i = 0; i < probe->count; i++)
        if (probe->trouble[i].platform == platform)
            return &probe->trouble[i];
    return NULL;
}
