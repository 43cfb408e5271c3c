// SPDX-License-Identifier: MIT
// An OpenCL layer (the ICD loader's OPENCL_LAYERS) for tools/gpu-compile: every device reports the limits of a GPU that
// is not there, so that plans choose the kernels and tilings that they would choose on that GPU. The source of each
// program is also kept, for compilers that need no device.
//
//     CLRNN_GPU_LIMITS=KEY=VALUE;...   Every device is reported as a GPU with these values. The keys are name,
//                                      vendor, platform, units, work_group, local, global, alloc and clock.
//     CLRNN_GPU_SOURCES=FOLDER         Each program is written to FOLDER as HASH.cl. The first line of the
//                                      file is a comment with the program's build options.
#include "tests/opencl_layer.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// Copies the value of `key` in CLRNN_GPU_LIMITS into `value` and returns 1. Returns 0 if there is no such key.
static int limit(const char *key, char *value, size_t size)
{
    const size_t length = strlen(key);
    const char *at = getenv("CLRNN_GPU_LIMITS");

    for (; at && *at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL) {
        if (strncmp(at, key, length) != 0 || at[length] != '=')
            continue;
        snprintf(value, size, "%.*s", (int)strcspn(at + length + 1, ";"), at + length + 1);
        return 1;
    }
    return 0;
}

static cl_int put(const void *from, size_t bytes, size_t size, void *value, size_t *size_ret)
{
    if (size_ret)
        *size_ret = bytes;
    if (value && size < bytes)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, from, bytes);
    return CL_SUCCESS;
}

static cl_int CL_API_CALL my_clGetPlatformInfo(cl_platform_id p, cl_platform_info name, size_t size, void *value,
                                               size_t *size_ret)
{
    char text[256];

    if (name == CL_PLATFORM_NAME && limit("platform", text, sizeof(text)))
        return put(text, strlen(text) + 1, size, value, size_ret);
    return layer_next->clGetPlatformInfo(p, name, size, value, size_ret);
}

static cl_int CL_API_CALL my_clGetDeviceInfo(cl_device_id d, cl_device_info name, size_t size, void *value,
                                             size_t *size_ret)
{
    static const struct {
        cl_device_info name;
        const char *key;
        enum { TEXT, UINT, ULONG, SIZE } type;
    } known[] = {{CL_DEVICE_NAME, "name", TEXT},
                 {CL_DEVICE_VENDOR, "vendor", TEXT},
                 {CL_DEVICE_MAX_COMPUTE_UNITS, "units", UINT},
                 {CL_DEVICE_MAX_CLOCK_FREQUENCY, "clock", UINT},
                 {CL_DEVICE_MAX_WORK_GROUP_SIZE, "work_group", SIZE},
                 {CL_DEVICE_LOCAL_MEM_SIZE, "local", ULONG},
                 {CL_DEVICE_GLOBAL_MEM_SIZE, "global", ULONG},
                 {CL_DEVICE_MAX_MEM_ALLOC_SIZE, "alloc", ULONG}};
    char text[256];

    if (getenv("CLRNN_GPU_LIMITS") && name == CL_DEVICE_TYPE) {
        const cl_device_type type = CL_DEVICE_TYPE_GPU;

        return put(&type, sizeof(type), size, value, size_ret);
    }
    if (getenv("CLRNN_GPU_LIMITS") && name == CL_DEVICE_LOCAL_MEM_TYPE) {
        const cl_device_local_mem_type type = CL_LOCAL;

        return put(&type, sizeof(type), size, value, size_ret);
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (name != known[i].name || !limit(known[i].key, text, sizeof(text)))
            continue;
        const cl_ulong number = strtoull(text, NULL, 10);
        const cl_uint small = (cl_uint)number;
        const size_t count = (size_t)number;

        return known[i].type == TEXT    ? put(text, strlen(text) + 1, size, value, size_ret)
               : known[i].type == UINT  ? put(&small, sizeof(small), size, value, size_ret)
               : known[i].type == ULONG ? put(&number, sizeof(number), size, value, size_ret)
                                        : put(&count, sizeof(count), size, value, size_ret);
    }
    return layer_next->clGetDeviceInfo(d, name, size, value, size_ret);
}

// Ends the process: if a source is missing, its kernel must not count as checked.
static void give_up(const char *what)
{
    perror(what);
    abort();
}

// Continues an FNV-1a hash with a text.
static uint64_t hash(const char *text, uint64_t state)
{
    for (; *text; text++)
        state = (state ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return state;
}

static void keep(const char *folder, const char *options, const char *source)
{
    const uint64_t id = hash(source, hash(options, UINT64_C(14695981039346656037)));
    char path[4096], part[4096 + 32];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%016" PRIx64 ".cl", folder, id);
    // several processes may build at the same time
    snprintf(part, sizeof(part), "%s.%d", path, (int)getpid());
    file = fopen(part, "w");
    if (!file || fprintf(file, "// %s\n%s", options, source) < 0 || fclose(file) != 0 || rename(part, path) != 0)
        give_up(path);
}

static cl_int CL_API_CALL my_clBuildProgram(cl_program program, cl_uint count, const cl_device_id *devices,
                                            const char *options, void(CL_CALLBACK *done)(cl_program, void *),
                                            void *data)
{
    const char *folder = getenv("CLRNN_GPU_SOURCES");
    size_t size = 0;
    char *source;

    if (folder && layer_next->clGetProgramInfo(program, CL_PROGRAM_SOURCE, 0, NULL, &size) == CL_SUCCESS && size > 1) {
        source = calloc(size + 1, 1);
        if (!source || layer_next->clGetProgramInfo(program, CL_PROGRAM_SOURCE, size, source, NULL) != CL_SUCCESS)
            give_up("clGetProgramInfo");
        keep(folder, options ? options : "", source);
        free(source);
    }
    return layer_next->clBuildProgram(program, count, devices, options, done, data);
}

static void layer_init(void)
{
    layer_table.clGetPlatformInfo = my_clGetPlatformInfo;
    layer_table.clGetDeviceInfo = my_clGetDeviceInfo;
    layer_table.clBuildProgram = my_clBuildProgram;
}
