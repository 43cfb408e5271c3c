// SPDX-License-Identifier: MIT
// Names of OpenCL errors, error messages, and text properties of devices and platforms.
#include "device/core/opencl.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/file.h"

// clang-format off
#define ERROR_LIST(X) \
    X(CL_SUCCESS) X(CL_DEVICE_NOT_FOUND) X(CL_DEVICE_NOT_AVAILABLE) X(CL_COMPILER_NOT_AVAILABLE) \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE) X(CL_OUT_OF_RESOURCES) X(CL_OUT_OF_HOST_MEMORY) \
    X(CL_PROFILING_INFO_NOT_AVAILABLE) X(CL_MEM_COPY_OVERLAP) X(CL_IMAGE_FORMAT_MISMATCH) \
    X(CL_IMAGE_FORMAT_NOT_SUPPORTED) X(CL_BUILD_PROGRAM_FAILURE) X(CL_MAP_FAILURE) \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET) X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST) \
    X(CL_COMPILE_PROGRAM_FAILURE) X(CL_LINKER_NOT_AVAILABLE) X(CL_LINK_PROGRAM_FAILURE) \
    X(CL_DEVICE_PARTITION_FAILED) X(CL_KERNEL_ARG_INFO_NOT_AVAILABLE) X(CL_INVALID_VALUE) \
    X(CL_INVALID_DEVICE_TYPE) X(CL_INVALID_PLATFORM) X(CL_INVALID_DEVICE) X(CL_INVALID_CONTEXT) \
    X(CL_INVALID_QUEUE_PROPERTIES) X(CL_INVALID_COMMAND_QUEUE) X(CL_INVALID_HOST_PTR) \
    X(CL_INVALID_MEM_OBJECT) X(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR) X(CL_INVALID_IMAGE_SIZE) \
    X(CL_INVALID_SAMPLER) X(CL_INVALID_BINARY) X(CL_INVALID_BUILD_OPTIONS) X(CL_INVALID_PROGRAM) \
    X(CL_INVALID_PROGRAM_EXECUTABLE) X(CL_INVALID_KERNEL_NAME) X(CL_INVALID_KERNEL_DEFINITION) \
    X(CL_INVALID_KERNEL) X(CL_INVALID_ARG_INDEX) X(CL_INVALID_ARG_VALUE) X(CL_INVALID_ARG_SIZE) \
    X(CL_INVALID_KERNEL_ARGS) X(CL_INVALID_WORK_DIMENSION) X(CL_INVALID_WORK_GROUP_SIZE) \
    X(CL_INVALID_WORK_ITEM_SIZE) X(CL_INVALID_GLOBAL_OFFSET) X(CL_INVALID_EVENT_WAIT_LIST) \
    X(CL_INVALID_EVENT) X(CL_INVALID_OPERATION) X(CL_INVALID_GL_OBJECT) X(CL_INVALID_BUFFER_SIZE) \
    X(CL_INVALID_MIP_LEVEL) X(CL_INVALID_GLOBAL_WORK_SIZE) X(CL_INVALID_PROPERTY) \
    X(CL_INVALID_IMAGE_DESCRIPTOR) X(CL_INVALID_COMPILER_OPTIONS) X(CL_INVALID_LINKER_OPTIONS) \
    X(CL_INVALID_DEVICE_PARTITION_COUNT) X(CL_PLATFORM_NOT_FOUND_KHR)
// clang-format on

const char *clrnn_cl_error_name(cl_int error)
{
    switch (error) {
#define X(name) \
    case name: \
        return #name;
        ERROR_LIST(X)
#undef X
    }
    return "unknown error";
}

enum clrnn_status clrnn_cl_error(const struct clrnn_log *log, cl_int error, const char *call, const char *format, ...)
{
    enum clrnn_status status = CLRNN_ERR_DEVICE;
    va_list arguments;
    char *about;

    if (error == CL_MEM_OBJECT_ALLOCATION_FAILURE || error == CL_OUT_OF_HOST_MEMORY)
        status = CLRNN_ERR_MEMORY;
    else if (error == CL_BUILD_PROGRAM_FAILURE)
        status = CLRNN_ERR_BUILD;
    va_start(arguments, format);
    about = clrnn_format_va(format, arguments);
    va_end(arguments);
    clrnn_error(log, status, "%s: %s failed with %s (%d)", about ? about : "device", call, clrnn_cl_error_name(error),
                (int)error);
    free(about);
    return status;
}

char *clrnn_cl_device_text(cl_device_id id, cl_device_info what)
{
    size_t size = 0;
    char *text;

    if (clGetDeviceInfo(id, what, 0, NULL, &size) != CL_SUCCESS)
        size = 0;
    text = calloc(size + 1, 1);
    if (text && size && clGetDeviceInfo(id, what, size, text, NULL) != CL_SUCCESS)
        text[0] = 0;
    return text;
}

char *clrnn_cl_platform_text(cl_platform_id id, cl_platform_info what)
{
    size_t size = 0;
    char *text;

    if (clGetPlatformInfo(id, what, 0, NULL, &size) != CL_SUCCESS)
        size = 0;
    text = calloc(size + 1, 1);
    if (text && size && clGetPlatformInfo(id, what, size, text, NULL) != CL_SUCCESS)
        text[0] = 0;
    return text;
}
