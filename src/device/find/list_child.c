// SPDX-License-Identifier: MIT
// Creates the list of devices in a child process and copies it to this process.
#include "device/find/list_child.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/child.h"
#include "base/file.h"
#include "base/temporary.h"
#include "device/find/find.h"
#include "device/core/pocl.h"

#define PATIENCE_S 120 // time limit in seconds for listing all devices; a single driver gets less (drivers.c)
#define TEXT_BYTES ((size_t)1 << 20)
#define MOST_ROWS 256

// Shared memory has the same address in parent and child, so pointers into it are valid in both processes.
struct shared_list {
    struct clrnn_child_report report;
    bool done;
    enum clrnn_status status; // the error if `done` is false
    size_t count, used;
    struct clrnn_device_info info[MOST_ROWS];
    char text[TEXT_BYTES];
};

#define TEXTS 8
static const char **text_of(struct clrnn_device_info *info, int i)
{
    const char **const texts[TEXTS] = {
        &info->name,   &info->vendor,        &info->version,          &info->opencl_c_version,
        &info->driver, &info->platform_name, &info->platform_version, &info->extensions};

    return texts[i];
}

static const char *share(struct shared_list *b, const char *text)
{
    const size_t size = text ? strlen(text) + 1 : 0;
    char *to = b->text + b->used;

    if (!text)
        return NULL;
    if (size > TEXT_BYTES - b->used)
        return "";
    b->used += size;
    return memcpy(to, text, size);
}

static void list_in_child(void *user)
{
    struct shared_list *b = user;
    const struct clrnn_log log = {.fn = clrnn_child_log, .user = &b->report, .level = CLRNN_LOG_ERROR};
    struct clrnn_device_list *list;

    clrnn_child_doing(&b->report, "listing devices");
    b->status = clrnn_device_list_create(&log, &list);
    if (b->status != CLRNN_OK)
        return;
    for (size_t i = 0; i < MIN2(list->count, MOST_ROWS); i++) {
        b->info[i] = list->info[i];
        b->info[i].trouble = share(b, list->info[i].trouble);
        for (int t = 0; t < TEXTS; t++)
            *text_of(&b->info[i], t) = share(b, *text_of(&list->info[i], t));
    }
    b->count = MIN2(list->count, MOST_ROWS);
    b->done = true;
}

static enum clrnn_status copy_list(const struct clrnn_log *log, struct shared_list *b, struct clrnn_device_list *list)
{
    for (size_t i = 0; i < b->count; i++) {
        struct clrnn_device_info *row;

        TRY(clrnn_list_row(log, list, (struct clrnn_handles){NULL, NULL}, &row));
        *row = b->info[i];
        for (int t = 0; t < TEXTS; t++) {
            *text_of(row, t) = clrnn_list_keep(list, clrnn_format("%s", *text_of(&b->info[i], t)));
            if (!*text_of(row, t))
                return clrnn_error_memory(log, 0, "the list of devices");
        }
        if (!row->trouble)
            continue;
        row->trouble = clrnn_list_keep(list, clrnn_format("%s", b->info[i].trouble));
        if (!row->trouble)
            return clrnn_error_memory(log, 0, "the list of devices");
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_device_list_in_child(const struct clrnn_log *log, struct clrnn_device_list **list)
{
    struct shared_list *b = clrnn_shared_create(sizeof(*b));
    char ending[CLRNN_ENDING_SIZE];
    struct clrnn_child child;
    enum clrnn_status st;

    *list = NULL;
    if (!b)
        return clrnn_error_memory(log, sizeof(*b), "the list of devices");
    st = clrnn_child_start(log, list_in_child, b, &b->report, &child);
    if (st == CLRNN_OK) {
        clrnn_child_wait(&child, PATIENCE_S, NULL, ending);
        if (!b->done && b->status == CLRNN_ERR_MEMORY)
            st = clrnn_error(log, b->status, "%s", b->report.error);
        else if (!b->done)
            st = clrnn_error(log, CLRNN_ERR_DEVICE, "OpenCL's devices cannot be listed: the process %s; see clinfo",
                             ending);
    }
    if (st == CLRNN_OK)
        st = clrnn_list_init(log, list);
    if (st == CLRNN_OK)
        st = copy_list(log, b, *list);
    if (st != CLRNN_OK && *list)
        clrnn_device_list_destroy(list);
    clrnn_shared_destroy(b, sizeof(*b));
    return st;
}

enum clrnn_status clrnn_device_list_find(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                         const char *spec, size_t *row)
{
    for (size_t i = 0; spec && i < list->count; i++)
        if (list->info[i].type == CLRNN_DEVICE_REF && strcmp(spec, "ref") == 0) {
            *row = i;
            return CLRNN_OK;
        }
    return clrnn_list_select(log, list, spec, row);
}

void clrnn_caches_keep_in(const char *folder)
{
    static const char *const names[] = {"XDG_CACHE_HOME",  "POCL_CACHE_DIR", "MESA_SHADER_CACHE_DIR",
                                        "CUDA_CACHE_PATH", "NEO_CACHE_DIR",  "AMD_COMGR_CACHE_DIR"};

    for (size_t i = 0; folder && i < ARRAY_SIZE(names); i++)
        setenv(names[i], folder, 1);
}

enum clrnn_status clrnn_caches_suspect(const struct clrnn_log *log, const char *device, const char *ending,
                                       char **folder)
{
    char *cache;

    *folder = NULL;
    if (strncmp(ending, "crashed", 7) != 0 && !strstr(ending, "POCL_CACHE_DIR"))
        return CLRNN_OK;
    TRY(clrnn_temporary_folder(log, folder));
    cache = strstr(ending, "POCL_CACHE_DIR") ? NULL : clrnn_pocl_cache_folder(); // `ending` names the folder
    clrnn_log(log, CLRNN_LOG_WARNING, "%s: %s: tried once more with fresh caches; if that helps, delete %s", device,
              ending, cache ? cache : "the driver's");
    free(cache);
    return CLRNN_OK;
}
