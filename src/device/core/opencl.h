// SPDX-License-Identifier: MIT
// OpenCL errors as names and log messages; text properties of devices and platforms.
#ifndef CLRNN_SRC_DEVICE_OPENCL_H
#define CLRNN_SRC_DEVICE_OPENCL_H

#include "base/log.h"
#include "device/core/loader.h"

/** Returns an error code's name, "CL_INVALID_KERNEL_ARGS", or "unknown error" for other codes; never NULL. */
const char *clrnn_cl_error_name(cl_int error);

/**
 * Logs "<subject>: <call> failed with <NAME> (<number>)", where `format` and its arguments make the subject. Returns
 * the status that fits the error: CLRNN_ERR_MEMORY (out of memory), CLRNN_ERR_BUILD (a program does not build) or
 * CLRNN_ERR_DEVICE (any other error).
 */
enum clrnn_status clrnn_cl_error(const struct clrnn_log *log, cl_int error, const char *call, const char *format, ...)
    CLRNN_PRINTF(4, 5);

/** Return a text property of a device or platform (to be freed), "" if the driver fails. NULL: out of
 * memory. */
char *clrnn_cl_device_text(cl_device_id id, cl_device_info what);
char *clrnn_cl_platform_text(cl_platform_id id, cl_platform_info what);

#endif
