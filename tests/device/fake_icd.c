// SPDX-License-Identifier: MIT
// An OpenCL driver that fails as the environment variable FAKE_ICD says. When it is asked for its platforms, it crashes
// with "load" and hangs with "load-hang". When it is asked for its devices, it crashes with "devices", hangs with
// "hang" and ends the process with "exit". Without these values it has one platform, without devices.
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl_icd.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct _cl_platform_id {
    const cl_icd_dispatch *dispatch; // the ICD loader requires it to be the first member
};

CL_API_ENTRY void *CL_API_CALL clGetExtensionFunctionAddress(const char *name);

static cl_icd_dispatch dispatch;
static struct _cl_platform_id platform = {&dispatch};

static void misbehave(const char *when, const char *hang, const char *leave)
{
    const char *mode = getenv("FAKE_ICD");

    if (!mode)
        return;
    if (strcmp(mode, when) == 0)
        raise(SIGSEGV);
    while (strcmp(mode, hang) == 0)
        pause();
    if (strcmp(mode, leave) == 0)
        _exit(3);
}

static cl_int CL_API_CALL platform_info(cl_platform_id id, cl_platform_info what, size_t size, void *value,
                                        size_t *used)
{
    const char *text = what == CL_PLATFORM_ICD_SUFFIX_KHR ? "FAKE"
                       : what == CL_PLATFORM_EXTENSIONS   ? "cl_khr_icd"
                       : what == CL_PLATFORM_VERSION      ? "OpenCL 1.2 fake"
                                                          : "Fake";
    const size_t length = strlen(text) + 1;

    (void)id;
    if (value && size < length)
        return CL_INVALID_VALUE;
    if (value)
        memcpy(value, text, length);
    if (used)
        *used = length;
    return CL_SUCCESS;
}

static cl_int CL_API_CALL get_devices(cl_platform_id id, cl_device_type type, cl_uint capacity, cl_device_id *devices,
                                      cl_uint *count)
{
    (void)id;
    (void)type;
    (void)capacity;
    (void)devices;
    if (count)
        *count = 0;
    misbehave("devices", "hang", "exit");
    return CL_DEVICE_NOT_FOUND;
}

static cl_int CL_API_CALL get_platforms(cl_uint capacity, cl_platform_id *platforms, cl_uint *count)
{
    misbehave("load", "load-hang", "");
    dispatch.clGetPlatformInfo = platform_info;
    dispatch.clGetDeviceIDs = get_devices;
    if (count)
        *count = 1;
    if (platforms && capacity)
        platforms[0] = &platform;
    return CL_SUCCESS;
}

CL_API_ENTRY void *CL_API_CALL clGetExtensionFunctionAddress(const char *name)
{
    cl_int(CL_API_CALL * platforms)(cl_uint, cl_platform_id *, cl_uint *) = get_platforms;
    cl_int(CL_API_CALL * info)(cl_platform_id, cl_platform_info, size_t, void *, size_t *) = platform_info;
    void *address = NULL; // set by memcpy: C has no cast from function to data pointers

    if (strcmp(name, "clIcdGetPlatformIDsKHR") == 0)
        memcpy(&address, &platforms, sizeof(address));
    else if (strcmp(name, "clGetPlatformInfo") == 0)
        memcpy(&address, &info, sizeof(address));
    return address;
}
