// SPDX-License-Identifier: MIT
// Tries OpenCL drivers in child processes, and hides broken drivers from the ICD loader.
#include "device/find/drivers.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/child.h"
#include "base/file.h"
#include "base/temporary.h"
#include "device/core/opencl.h"

#ifndef PATIENCE_MS // tests set a shorter time
#define PATIENCE_MS 10000
#endif
#define MAX_PLATFORMS 64
#define MAX_DRIVERS 64
#define TROUBLE_SIZE sizeof(((struct clrnn_probe_trouble *)NULL)->text)
#define STANDARD_FOLDER "/etc/OpenCL/vendors"

// ---------------------------------------------------------------- driver files

/** A driver that the ICD loader would load. */
struct driver {
    char *path;    // of the .icd file, absolute if the file exists; NULL: OCL_ICD_VENDORS names the library
    char *library; // the library that the .icd file names; "": it names none; NULL: the file cannot be read
};
struct drivers {
    struct driver driver[MAX_DRIVERS]; // sorted by name
    size_t count;
};

static void drivers_finish(struct drivers *d)
{
    for (size_t i = 0; i < d->count; i++) {
        free(d->driver[i].path);
        free(d->driver[i].library);
    }
    d->count = 0;
}

static const char *driver_name(const struct driver *d)
{
    return d->path ? d->path : d->library;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(driver_name(a), driver_name(b));
}

static bool ends_with(const char *text, const char *end)
{
    const size_t a = strlen(text), b = strlen(end);

    return a >= b && strcmp(text + a - b, end) == 0;
}

/** Returns the library that an .icd file names in its first line (to be freed). NULL: the file cannot be read, or out
 * of memory. */
static char *read_icd(const char *path)
{
    struct clrnn_map map;
    char *name = NULL;

    if (clrnn_map_open(NULL, path, &map) != CLRNN_OK)
        return NULL;
    name = clrnn_format("%.*s", (int)MIN2(map.size, PATH_MAX), map.data ? (const char *)map.data : "");
    if (name)
        name[strcspn(name, "\r\n")] = 0;
    clrnn_map_close(&map);
    return name;
}

/** Adds the driver of an .icd file to the list; takes ownership of `path`. */
static void add_icd(struct drivers *d, char *path)
{
    char *absolute = path ? realpath(path, NULL) : NULL;

    if (absolute) {
        free(path);
        path = absolute;
    }
    if (path && d->count < MAX_DRIVERS)
        d->driver[d->count++] = (struct driver){path, read_icd(path)};
    else
        free(path);
}

const char *clrnn_drivers_place(void)
{
    const char *named = getenv("OCL_ICD_VENDORS");

    if (!named || !*named)
        named = getenv("OPENCL_VENDOR_PATH");
    return named && *named ? named : STANDARD_FOLDER;
}

/** Lists the drivers that the ICD loader would find, by the rules of ocl-icd. clrnn_drivers_place returns a folder of
 * .icd files, a single .icd file or a single library. An .icd file without a slash in its name is in the standard
 * folder. */
static void drivers_find(struct drivers *d)
{
    const char *named = clrnn_drivers_place();
    DIR *folder = opendir(named);
    struct dirent *entry;

    d->count = 0;
    if (!folder && ends_with(named, ".icd")) {
        add_icd(d, clrnn_path_join(strchr(named, '/') ? "" : STANDARD_FOLDER, named));
    } else if (!folder && getenv("OCL_ICD_VENDORS") && strcmp(named, getenv("OCL_ICD_VENDORS")) == 0) {
        d->driver[0] = (struct driver){NULL, clrnn_format("%s", named)};
        d->count = d->driver[0].library != NULL;
    }
    if (!folder)
        return;
    while ((entry = readdir(folder)))
        if (ends_with(entry->d_name, ".icd"))
            add_icd(d, clrnn_path_join(named, entry->d_name));
    closedir(folder);
    qsort(d->driver, d->count, sizeof(d->driver[0]), by_name);
}

// ---------------------------------------------------------------- children

/** What a child is doing and has found, in memory shared with the parent. The child updates `platform` and `name`
 * before each step that may crash. */
struct progress {
    struct clrnn_child_report report;
    bool skip[MAX_PLATFORMS]; // the platforms of which the child makes no queries
    volatile int platform;    // index of the platform in use; -1: drivers are being loaded or examined
    char name[240];
    const struct drivers *drivers;       // the drivers that the child examines (see examine)
    bool broken[MAX_DRIVERS];            // the drivers that the child does not examine
    char why[MAX_DRIVERS][TROUBLE_SIZE]; // the results of `examine`
};

/** Runs in the child, after the ICD loader has loaded the driver. Sets `why` to the reason why the driver gives no
 * platform, or to "" if the driver gives one. */
static void examine(const struct driver *d, char why[TROUBLE_SIZE])
{
    cl_int(CL_API_CALL * platforms)(cl_uint, cl_platform_id *, cl_uint *);
    void *(*extension)(const char *);
    void *library, *address;
    cl_uint count = 0;
    cl_int error;

    why[0] = 0;
    if (!d->library || !*d->library) {
        snprintf(why, TROUBLE_SIZE, d->library ? "it names no library" : "it cannot be read");
        return;
    }
    library = dlopen(d->library, RTLD_LAZY | RTLD_LOCAL);
    if (!library) {
        snprintf(why, TROUBLE_SIZE, "its library does not load: %s", dlerror());
        return;
    }
    address = dlsym(library, "clGetExtensionFunctionAddress");
    memcpy(&extension, &address, sizeof(extension)); // C has no cast from data to function pointers
    address = address ? extension("clIcdGetPlatformIDsKHR") : NULL;
    if (!address) {
        snprintf(why, TROUBLE_SIZE, "its library %s is no OpenCL driver: it lacks %s", d->library,
                 dlsym(library, "clGetExtensionFunctionAddress") ? "clIcdGetPlatformIDsKHR"
                                                                 : "clGetExtensionFunctionAddress");
        return;
    }
    memcpy(&platforms, &address, sizeof(platforms));
    error = platforms(0, NULL, &count);
    if (error != CL_SUCCESS || !count)
        snprintf(why, TROUBLE_SIZE, "its driver %s finds no platform: clIcdGetPlatformIDsKHR gives %s (%d)", d->library,
                 error == CL_SUCCESS ? "none" : clrnn_cl_error_name(error), (int)error);
}

static void child_says(struct progress *b, int platform, const char *name)
{
    snprintf(b->name, sizeof(b->name), "%s", name);
    b->platform = platform;
    clrnn_child_doing(&b->report, platform < 0 ? "being loaded" : "being asked for its devices");
}

/** Runs in the child: makes the queries on which the device list depends, for every platform that is not in b->skip.
 * Then examines the drivers. */
static void try_platforms(void *user)
{
    struct progress *b = user;
    cl_platform_id platforms[MAX_PLATFORMS];
    cl_device_id devices[MAX_PLATFORMS];
    char text[4096] = "";
    cl_uint count = 0, device_count;

    child_says(b, -1, "");
    if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &count) != CL_SUCCESS)
        count = 0;
    for (cl_uint i = 0; i < MIN2(count, MAX_PLATFORMS); i++) {
        if (b->skip[i])
            continue;
        child_says(b, (int)i, "");
        clGetPlatformInfo(platforms[i], CL_PLATFORM_NAME, sizeof(text) - 1, text, NULL);
        child_says(b, (int)i, text);
        clGetPlatformInfo(platforms[i], CL_PLATFORM_VERSION, sizeof(text) - 1, text, NULL);
        if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, MAX_PLATFORMS, devices, &device_count) != CL_SUCCESS)
            continue;
        for (cl_uint j = 0; j < MIN2(device_count, MAX_PLATFORMS); j++) {
            clGetDeviceInfo(devices[j], CL_DEVICE_NAME, sizeof(text) - 1, text, NULL);
            clGetDeviceInfo(devices[j], CL_DRIVER_VERSION, sizeof(text) - 1, text, NULL);
        }
    }
    child_says(b, -1, "");
    for (size_t i = 0; i < b->drivers->count; i++)
        if (!b->broken[i])
            examine(&b->drivers->driver[i], b->why[i]);
}

/** How a child ended. */
struct outcome {
    int platform;   // the platform in use when the child ended; -1: drivers were being loaded or examined
    char name[256]; // the platform's name; "": unknown
    char text[160]; // for a message: "its driver crashed ..."
};

/** What the child processes have found out about platforms and drivers. */
struct found {
    struct drivers drivers;
    bool skip[MAX_PLATFORMS];            // platforms that crash or hang when asked for devices
    bool broken[MAX_DRIVERS];            // drivers that crash or hang when loaded or asked for devices
    char why[MAX_DRIVERS][TROUBLE_SIZE]; // why a driver that is not broken gives no platform, or ""
};

#define ALL SIZE_MAX
/** Runs try_platforms in a child process. Sets found->why to what `examine` found out about each driver, and *outcome
 * to how the child ended. Returns true if the child ended normally or could not be started. If `only` is ALL, the child
 * tries all platforms except those in found->skip. Otherwise `only` is the index of the one driver to examine. The
 * caller must then have set OCL_ICD_VENDORS so that the ICD loader loads no other driver. */
static bool run_child(struct found *found, size_t only, struct outcome *outcome)
{
    struct progress *b = clrnn_shared_create(sizeof(*b));
    char ending[CLRNN_ENDING_SIZE] = "";
    struct clrnn_child child;

    *outcome = (struct outcome){.platform = -1};
    if (!b)
        return true;
    b->drivers = &found->drivers;
    if (only == ALL)
        memcpy(b->skip, found->skip, sizeof(b->skip));
    for (size_t i = 0; i < found->drivers.count; i++)
        b->broken[i] = only == ALL ? found->broken[i] : i != only;
    b->platform = -1;
    if (clrnn_child_start(NULL, try_platforms, b, &b->report, &child) == CLRNN_OK)
        clrnn_child_wait(&child, PATIENCE_MS * 1e-3, NULL, ending);
    b->name[sizeof(b->name) - 1] = 0;
    outcome->platform = b->platform >= 0 && b->platform < MAX_PLATFORMS ? b->platform : -1;
    snprintf(outcome->name, sizeof(outcome->name), "%s", b->name);
    snprintf(outcome->text, sizeof(outcome->text), "its driver %.140s", ending);
    memcpy(found->why, b->why, sizeof(found->why));
    clrnn_shared_destroy(b, sizeof(*b));
    return !ending[0];
}

static enum clrnn_status add_trouble(const struct clrnn_log *log, struct clrnn_probe *probe, int platform,
                                     const char *name, const char *text)
{
    struct clrnn_probe_trouble *t;

    if (!ARRAY_GROW(probe->trouble, probe->count))
        return clrnn_error_memory(log, sizeof(*t), "the list of devices");
    t = &probe->trouble[probe->count++];
    t->platform = platform;
    snprintf(t->name, sizeof(t->name), "%s", name);
    snprintf(t->text, sizeof(t->text), "%s", text);
    return CLRNN_OK;
}

static bool drivers_loaded(const struct drivers *d)
{
    bool loaded = false;

    for (size_t i = 0; i < d->count && !loaded; i++) {
        const char *name = d->driver[i].library;
        void *library = name && *name ? dlopen(name, RTLD_LAZY | RTLD_NOLOAD) : NULL;

        if (library) {
            loaded = dlsym(library, "clGetExtensionFunctionAddress") != NULL; // a driver has this function
            dlclose(library);
        }
    }
    return loaded;
}

bool clrnn_drivers_loaded(void)
{
    struct drivers drivers;
    bool loaded;

    drivers_find(&drivers);
    loaded = drivers_loaded(&drivers);
    drivers_finish(&drivers);
    return loaded;
}

/** Finds the drivers that crash or hang when they are loaded or asked for devices. Makes a folder of links to the .icd
 * files of the other drivers, and sets OCL_ICD_VENDORS to this folder. */
static enum clrnn_status hide_broken(const struct clrnn_log *log, struct clrnn_probe *probe, struct found *found)
{
    const struct drivers *d = &found->drivers;
    const char *kept = getenv("OCL_ICD_VENDORS");
    struct outcome last;

    probe->kept_vendors = kept ? clrnn_format("%s", kept) : NULL;
    if (kept && !probe->kept_vendors)
        return clrnn_error_memory(log, strlen(kept), "the list of devices");
    TRY(clrnn_temporary_folder(log, &probe->folder));
    for (size_t i = 0; i < d->count; i++) {
        setenv("OCL_ICD_VENDORS", driver_name(&d->driver[i]), 1);
        // A driver that fails only when it is asked for devices counts as broken, too: if there are several drivers,
        // the ICD loader itself asks each of them for devices.
        found->broken[i] = !run_child(found, i, &last);
        if (found->broken[i])
            TRY(add_trouble(log, probe, -1, last.name[0] ? last.name : driver_name(&d->driver[i]), last.text));
    }
    setenv("OCL_ICD_VENDORS", probe->folder, 1);
    for (size_t i = 0; i < d->count; i++) {
        const char *path = d->driver[i].path;
        char *link = found->broken[i] || !path ? NULL : clrnn_format("%s/%03zu.icd", probe->folder, i);

        if (link && symlink(path, link))
            clrnn_log(log, CLRNN_LOG_WARNING, "%s: cannot be linked to: %s", path, strerror(errno));
        free(link);
    }
    return CLRNN_OK;
}

/** Runs child processes until one ends normally. After a failure, the next child skips the platform that failed. If
 * loading the drivers failed, the broken drivers are hidden from the ICD loader instead. */
static enum clrnn_status try_all(const struct clrnn_log *log, struct clrnn_probe *p, struct found *found)
{
    struct outcome last;

    for (int tries = 0; tries < MAX_PLATFORMS && !run_child(found, ALL, &last); tries++) {
        if (last.platform >= 0) {
            found->skip[last.platform] = true;
            TRY(add_trouble(log, p, last.platform, last.name[0] ? last.name : "unnamed", last.text));
        } else if (!p->folder && found->drivers.count) {
            TRY(hide_broken(log, p, found));
        } else {
            return clrnn_error(log, CLRNN_ERR_DEVICE, "OpenCL's drivers cannot be loaded: %s; see clinfo", last.text);
        }
    }
    for (size_t i = 0; i < found->drivers.count; i++)
        if (found->why[i][0])
            TRY(add_trouble(log, p, -1, driver_name(&found->drivers.driver[i]), found->why[i]));
    return CLRNN_OK;
}

enum clrnn_status clrnn_probe_create(const struct clrnn_log *log, struct clrnn_probe **probe)
{
    struct clrnn_probe *p = *probe = calloc(1, sizeof(*p));
    struct found *found = calloc(1, sizeof(*found));
    enum clrnn_status st = CLRNN_OK;

    if (!p || !found) {
        free(found);
        clrnn_probe_destroy(probe);
        return clrnn_error_memory(log, sizeof(*found), "the list of devices");
    }
    drivers_find(&found->drivers);
    if (!drivers_loaded(&found->drivers))
        st = try_all(log, p, found);
    drivers_finish(&found->drivers);
    free(found);
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
