// SPDX-License-Identifier: MIT
// The list of platforms and devices, numbered as clinfo numbers them.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "device/find/drivers.h"
#include "device/find/find.h"
#include "device/core/pocl.h"
#include "device/core/quirks.h"

// Constants of OpenCL extensions, here because some OpenCL-Headers packages lack the extensions' headers.
#define PCI_BUS_INFO_KHR 0x410F // 4 cl_uint: domain, bus, device, function
#define PCI_BUS_ID_NV 0x4008
#define PCI_SLOT_ID_NV 0x4009
#define TOPOLOGY_AMD 0x4037 // 24 bytes: type (1: PCI) in byte 0; bus, device, function in bytes 21 to 23

#define MAX_PLATFORMS 64
#define MAX_DEVICES 64 // of one platform

enum clrnn_status clrnn_list_init(const struct clrnn_log *log, struct clrnn_device_list **list)
{
    *list = calloc(1, sizeof(**list));
    if (*list)
        (*list)->strings_ = calloc(1, sizeof(struct clrnn_list_private));
    if (!*list || !(*list)->strings_) {
        clrnn_device_list_destroy(list);
        return clrnn_error_memory(log, sizeof(**list), "the list of devices");
    }
    return CLRNN_OK;
}

void clrnn_device_list_destroy(struct clrnn_device_list **list)
{
    struct clrnn_device_list *l = list ? *list : NULL;

    if (!l)
        return;
    *list = NULL;
    if (l->strings_) {
        struct clrnn_list_private *p = l->strings_;

        for (size_t i = 0; i < p->string_count; i++)
            free(p->string[i]);
        free(p->string);
        free(p->handles);
        free(p);
    }
    free(l->info);
    free(l);
}

enum clrnn_status clrnn_list_row(const struct clrnn_log *log, struct clrnn_device_list *list,
                                 struct clrnn_handles handles, struct clrnn_device_info **row)
{
    struct clrnn_list_private *p = list->strings_;

    if (!ARRAY_GROW(list->info, list->count) || !ARRAY_GROW(p->handles, list->count))
        return clrnn_error_memory(log, 2 * list->count * sizeof(*list->info), "the list of devices");
    p->handles[list->count] = handles;
    *row = &list->info[list->count++];
    **row = (struct clrnn_device_info){.platform = -1,
                                       .device = -1,
                                       .same_as = -1,
                                       .name = "",
                                       .vendor = "",
                                       .version = "",
                                       .opencl_c_version = "",
                                       .driver = "",
                                       .extensions = "",
                                       .platform_name = "",
                                       .platform_version = ""};
    return CLRNN_OK;
}

const char *clrnn_list_keep(struct clrnn_device_list *list, char *text)
{
    struct clrnn_list_private *p = list->strings_;

    if (!text)
        return NULL;
    if (!ARRAY_GROW(p->string, p->string_count)) {
        free(text);
        return NULL;
    }
    return p->string[p->string_count++] = text;
}

enum clrnn_status clrnn_list_ref(const struct clrnn_log *log, struct clrnn_device_list *list)
{
    struct clrnn_device_info *row = NULL;

    TRY(clrnn_list_row(log, list, (struct clrnn_handles){NULL, NULL}, &row));
    row->type = CLRNN_DEVICE_REF;
    row->name = "ref";
    row->vendor = "clRNN";
    row->version = row->driver = row->platform_version = clrnn_version();
    row->platform_name = "plain C, double precision";
    row->compute_units = 1;
    row->max_work_group_size = 1;
    row->base_align_bytes = 64;
    row->float_vector_width = 1;
    row->global_bytes = row->max_alloc_bytes = SIZE_MAX / 2;
    row->has_fp64 = row->unified_memory = true;
    return CLRNN_OK;
}

static uint32_t device_uint(cl_device_id id, cl_device_info what)
{
    cl_uint value = 0;

    return clGetDeviceInfo(id, what, sizeof(value), &value, NULL) == CL_SUCCESS ? value : 0;
}

static uint64_t device_ulong(cl_device_id id, cl_device_info what)
{
    cl_ulong value = 0;

    return clGetDeviceInfo(id, what, sizeof(value), &value, NULL) == CL_SUCCESS ? value : 0;
}

/** Removes blanks at both ends of `text` in place: some drivers pad names with blanks. Returns `text`. */
static char *trimmed(char *text)
{
    if (text) {
        size_t length = strlen(text), blank = strspn(text, " \t");

        while (length > blank && strchr(" \t\n", text[length - 1]))
            length--;
        memmove(text, text + blank, length - blank);
        text[length - blank] = 0;
    }
    return text;
}

/** Sets the row's trouble if PoCL cannot use its cache folder. PoCL then has no devices, returns errors, or ends the
 * process at the first build. */
static void take_pocl_trouble(struct clrnn_device_list *list, struct clrnn_device_info *row)
{
    const char *trouble = row->is_pocl ? clrnn_list_keep(list, clrnn_pocl_cache_trouble()) : NULL;

    row->trouble = trouble ? trouble : row->trouble;
}

/** Returns a GPU's PCI domain, bus, device and function as bit fields of one number, with bit 63 set. 0: the driver
 * does not report them. */
static uint64_t pci_address(cl_device_id id)
{
    cl_uint khr[4], bus, slot;
    unsigned char amd[24];

    if (clGetDeviceInfo(id, PCI_BUS_INFO_KHR, sizeof(khr), khr, NULL) == CL_SUCCESS)
        return 1ULL << 63 | (uint64_t)khr[0] << 32 | khr[1] << 16 | khr[2] << 8 | khr[3];
    if (clGetDeviceInfo(id, PCI_BUS_ID_NV, sizeof(bus), &bus, NULL) == CL_SUCCESS &&
        clGetDeviceInfo(id, PCI_SLOT_ID_NV, sizeof(slot), &slot, NULL) == CL_SUCCESS)
        return 1ULL << 63 | bus << 16 | slot << 8;
    if (clGetDeviceInfo(id, TOPOLOGY_AMD, sizeof(amd), amd, NULL) == CL_SUCCESS && amd[0] == 1)
        return 1ULL << 63 | (uint64_t)amd[21] << 16 | (uint64_t)amd[22] << 8 | amd[23];
    return 0;
}

static enum clrnn_status add_device(const struct clrnn_log *log, struct clrnn_device_list *list,
                                    const struct clrnn_device_info *platform, struct clrnn_handles h, int number)
{
    struct clrnn_device_info *row = NULL;
    cl_device_type type = 0;
    size_t group = 1;

    TRY(clrnn_list_row(log, list, h, &row));
    row->platform = platform->platform;
    row->platform_name = platform->platform_name;
    row->platform_version = platform->platform_version;
    row->is_pocl = platform->is_pocl;
    row->device = number;
    if (clGetDeviceInfo(h.id, CL_DEVICE_TYPE, sizeof(type), &type, NULL) != CL_SUCCESS)
        row->trouble = "its driver does not tell the device's type";
    row->type = type & CL_DEVICE_TYPE_CPU   ? CLRNN_DEVICE_CPU // Oclgrind claims all types
                : type & CL_DEVICE_TYPE_GPU ? CLRNN_DEVICE_GPU
                                            : CLRNN_DEVICE_ACCELERATOR;
    row->name = clrnn_list_keep(list, trimmed(clrnn_cl_device_text(h.id, CL_DEVICE_NAME)));
    row->vendor = clrnn_list_keep(list, trimmed(clrnn_cl_device_text(h.id, CL_DEVICE_VENDOR)));
    row->version = clrnn_list_keep(list, trimmed(clrnn_cl_device_text(h.id, CL_DEVICE_VERSION)));
    row->opencl_c_version = clrnn_list_keep(list, trimmed(clrnn_cl_device_text(h.id, CL_DEVICE_OPENCL_C_VERSION)));
    row->driver = clrnn_list_keep(list, trimmed(clrnn_cl_device_text(h.id, CL_DRIVER_VERSION)));
    row->extensions = clrnn_list_keep(list, trimmed(clrnn_cl_device_text(h.id, CL_DEVICE_EXTENSIONS)));
    if (!row->name || !row->vendor || !row->version || !row->opencl_c_version || !row->driver || !row->extensions)
        return clrnn_error_memory(log, 0, "the list of devices");

    if (clGetDeviceInfo(h.id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(group), &group, NULL) != CL_SUCCESS)
        group = 1;
    row->max_work_group_size = (uint32_t)group;
    row->compute_units = device_uint(h.id, CL_DEVICE_MAX_COMPUTE_UNITS);
    row->max_clock_mhz = device_uint(h.id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    row->global_bytes = device_ulong(h.id, CL_DEVICE_GLOBAL_MEM_SIZE);
    row->max_alloc_bytes = device_ulong(h.id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    row->local_bytes = device_ulong(h.id, CL_DEVICE_LOCAL_MEM_SIZE);
    row->base_align_bytes = device_uint(h.id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    row->float_vector_width = device_uint(h.id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    row->local_is_real = device_uint(h.id, CL_DEVICE_LOCAL_MEM_TYPE) == CL_LOCAL;
    row->has_fp64 = strstr(row->extensions, "cl_khr_fp64") != NULL;
    row->pci = row->type == CLRNN_DEVICE_GPU ? pci_address(h.id) : 0;
    row->unified_memory = device_uint(h.id, CL_DEVICE_HOST_UNIFIED_MEMORY) == CL_TRUE;
    if (!row->trouble && !device_uint(h.id, CL_DEVICE_AVAILABLE))
        row->trouble = "its driver says that it is not available";
    else if (!row->trouble && !device_uint(h.id, CL_DEVICE_COMPILER_AVAILABLE))
        row->trouble = "its driver has no OpenCL C compiler";
    take_pocl_trouble(list, row);
    return CLRNN_OK;
}

static enum clrnn_status add_platform(const struct clrnn_log *log, struct clrnn_device_list *list, cl_platform_id id,
                                      int number)
{
    struct clrnn_device_info platform = {.platform = number}, *row;
    cl_device_id devices[MAX_DEVICES];
    cl_uint count = 0;
    cl_int error;

    platform.platform_name = clrnn_list_keep(list, trimmed(clrnn_cl_platform_text(id, CL_PLATFORM_NAME)));
    platform.platform_version = clrnn_list_keep(list, trimmed(clrnn_cl_platform_text(id, CL_PLATFORM_VERSION)));
    if (!platform.platform_name || !platform.platform_version)
        return clrnn_error_memory(log, 0, "the list of devices");
    platform.is_pocl = clrnn_quirks_of(&platform).is_pocl;

    error = clGetDeviceIDs(id, CL_DEVICE_TYPE_ALL, MAX_DEVICES, devices, &count);
    count = error == CL_SUCCESS ? count < MAX_DEVICES ? count : MAX_DEVICES : 0;
    for (cl_uint i = 0; i < count; i++)
        TRY(add_device(log, list, &platform, (struct clrnn_handles){id, devices[i]}, (int)i));
    if (count)
        return CLRNN_OK;

    TRY(clrnn_list_row(log, list, (struct clrnn_handles){id, NULL}, &row));
    row->platform = number;
    row->platform_name = platform.platform_name;
    row->platform_version = platform.platform_version;
    row->is_pocl = platform.is_pocl;
    row->trouble = CLRNN_NO_DEVICES;
    if (error != CL_SUCCESS && error != CL_DEVICE_NOT_FOUND) {
        row->trouble = clrnn_list_keep(
            list, clrnn_format("clGetDeviceIDs failed with %s (%d)", clrnn_cl_error_name(error), (int)error));
        if (!row->trouble)
            return clrnn_error_memory(log, 0, "the list of devices");
    }
    take_pocl_trouble(list, row);
    return CLRNN_OK;
}

static enum clrnn_status add_trouble(const struct clrnn_log *log, struct clrnn_device_list *list, int platform,
                                     const char *name, const char *trouble)
{
    struct clrnn_device_info *row = NULL;

    TRY(clrnn_list_row(log, list, (struct clrnn_handles){NULL, NULL}, &row));
    row->platform = platform;
    row->platform_name = clrnn_list_keep(list, clrnn_text_escape(name, CLRNN_TEXT_SHOWN));
    row->trouble = clrnn_list_keep(list, clrnn_text_escape(trouble, CLRNN_TEXT_SHOWN));
    if (!row->platform_name || !row->trouble)
        return clrnn_error_memory(log, 0, "the list of devices");
    row->is_pocl = clrnn_quirks_of(row).is_pocl;
    return CLRNN_OK;
}

enum clrnn_status clrnn_list_opencl(const struct clrnn_log *log, struct clrnn_device_list *list)
{
    cl_platform_id platforms[MAX_PLATFORMS];
    char *why = clrnn_opencl_load();
    struct clrnn_probe *probe;
    cl_uint count = 0;
    enum clrnn_status st;

    if (why) {
        st = *why ? add_trouble(log, list, -1, CLRNN_NO_OPENCL, why)
                  : clrnn_error_memory(log, 0, "the libraries of OpenCL");
        free(why);
        return st;
    }
    TRY(clrnn_probe_create(log, &probe)); // first, so that only working drivers are called afterwards
    if (clGetPlatformIDs(MAX_PLATFORMS, platforms, &count) != CL_SUCCESS)
        count = 0; // there is no platform: the list gets only the drivers' troubles
    count = count < MAX_PLATFORMS ? count : MAX_PLATFORMS;
    clrnn_probe_restore(probe);

    st = CLRNN_OK;
    for (cl_uint i = 0; st == CLRNN_OK && i < count; i++) {
        const struct clrnn_probe_trouble *t = clrnn_probe_find(probe, (int)i);

        st = t ? add_trouble(log, list, (int)i, t->name, t->text) : add_platform(log, list, platforms[i], (int)i);
    }
    for (size_t i = 0; st == CLRNN_OK && i < probe->count; i++)
        if (probe->trouble[i].platform < 0)
            st = add_trouble(log, list, -1, probe->trouble[i].name, probe->trouble[i].text);
    clrnn_probe_destroy(&probe);
    if (st == CLRNN_OK)
        clrnn_list_mark_same(list);
    return st;
}

enum clrnn_status clrnn_device_list_create(const struct clrnn_log *log, struct clrnn_device_list **list)
{
    NEED(log, list);

    enum clrnn_status st;

    TRY(clrnn_list_init(log, list));
    st = clrnn_list_opencl(log, *list);
    if (st == CLRNN_OK)
        st = clrnn_list_ref(log, *list);
    if (st != CLRNN_OK)
        clrnn_device_list_destroy(list);
    return st;
}
