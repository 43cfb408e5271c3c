// SPDX-License-Identifier: MIT
// Children that try OpenCL drivers, and putting broken drivers out of the loader's sight.
#include "device/find/drivers.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/child.h"
#include "base/file.h"
#include "device/opencl.h"

#ifndef PATIENCE_MS // tests have less
#define PATIENCE_MS 10000
#endif
#define MAX_PLATFORMS 64
#define MAX_DRIVERS 64

/** Where a child stands, in memory that it shares: written before each step that may be its last. */
struct board {
    struct clrnn_child_report report;
    bool skip[MAX_PLATFORMS];
    volatile int platform; // -1: the drivers are being loaded
    char name[240];
};

static void child_says(struct board *b, int platform, const char *name)
{
    snprintf(b->name, sizeof(b->name), "%s", name);
    b->platform = platform;
    clrnn_child_doing(&b->report, "being asked for its devices");
}

/** In the child: touches every platform that is not skipped as listing will touch it. */
static void try_platforms(void *user)
{
    struct board *b = user;
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_device_id devices[MAX_PLATFORMS];
    char text[4096] = "";
    cl_uint count = 0, device_count;

    child_says(b, -1, "");
    if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &count) != CL_SUCCESS)
        return;
    for (cl_uint i = 0; i < MIN2(count, MAX_PLATFORMS); i++) {
        if (b->skip[i])
            continue;
        child_says(b, (int)i, "");
        clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof(text) - 1, text, NULL);
        child_says(b, (int)i, text);
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

/** How a child ended. */
struct outcome {
    int platform;   // where it stood
    char name[256]; // that platform's
    char text[160]; // "its driver crashed ..."
};

/** Runs one child. True where it ended well or could not be started. */
static bool run_child(const bool *skip, struct outcome *outcome)
{
    struct board *b = clrnn_shared_create(sizeof(*b));
    char ending[CLRNN_ENDING_SIZE] = "";
    struct clrnn_child child;

    *outcome = (struct outcome){.platform = -1};
    if (!b)
        return true;
    memcpy(b->skip, skip, sizeof(b->skip));
    b->platform = -1;
    if (clrnn_child_start(NULL, try_platforms, b, &b->report, &child) == CLRNN_OK)
        clrnn_child_wait(&child, PATIENCE_MS * 1e-3, NULL, ending);
    b->name[sizeof(b->name) - 1] = 0;
    outcome->platform = b->platform >= 0 && b->platform < MAX_PLATFORMS ? b->platform : -1;
    snprintf(outcome->name, sizeof(outcome->name), "%s", b->name);
    snprintf(outcome->text, sizeof(outcome->text), "its driver %.140s", ending);
    clrnn_shared_destroy(b, sizeof(*b));
    return !ending[0];
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
    const char *kept = getenv("OCL_ICD_VENDORS");
    bool broken[MAX_DRIVERS] = {false};
    struct outcome last;

    probe->kept_vendors = kept ? clrnn_format("%s", kept) : NULL;
    if (kept && !probe->kept_vendors)
        return clrnn_error_memory(log, strlen(kept), "the list of devices");
    TRY(clrnn_temporary_folder(log, "clrnn-icd", &probe->folder));
    for (size_t i = 0; i < d->count; i++) {
        setenv("OCL_ICD_VENDORS", d->path[i], 1);
        // also one that fails only when asked for devices: the loader asks when there are several drivers
        broken[i] = !run_child(no_skip, &last);
        if (broken[i])
            TRY(add_trouble(log, probe, -1, last.name[0] ? last.name : d->path[i], last.text));
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
    struct outcome last;
    enum clrnn_status st = CLRNN_OK;

    *probe = p;
    if (!p)
        return clrnn_error_memory(log, sizeof(*p), "the list of devices");
    drivers_find(&d);
    if (drivers_loaded(&d))
        goto end;
    // a child ends well, or one more platform is skipped, or the drivers are sorted out once
    for (int tries = 0; st == CLRNN_OK && tries < MAX_PLATFORMS && !run_child(skip, &last); tries++) {
        if (last.platform >= 0) {
            skip[last.platform] = true;
            st = add_trouble(log, p, last.platform, last.name[0] ? last.name : "unnamed", last.text);
        } else if (!p->folder && d.count) {
            st = hide_broken(log, p, &d);
        } else {
            st = clrnn_error(log, CLRNN_ERR_DEVICE, "OpenCL's drivers cannot be loaded: %s; see clinfo",
                             last.text);
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
    if (!probe->folder)
        return;
    if (probe->kept_vendors)
        setenv("OCL_ICD_VENDORS", probe->kept_vendors, 1);
    else
        unsetenv("OCL_ICD_VENDORS");
    clrnn_remove_folder(probe->folder);
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
