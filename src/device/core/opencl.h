// SPDX-License-Identifier: MIT
// OpenCL's errors as names and sentences.
#ifndef CLRNN_SRC_DEVICE_OPENCL_H
#define CLRNN_SRC_DEVICE_OPENCL_H

#include "base/log.h"
#include "device/core/loader.h"

/** Name of an error: "CL_INVALID_KERNEL_ARGS"; "unknown error" if no header defines it. Never NULL. */
const char *clrnn_cl_error_name(cl_int error);

/**
 * Logs "<what the caller was about>: <call> failed with <NAME> (<number>)" and returns the status that
 * fits: CLRNN_ERR_MEMORY where memory lacked, CLRNN_ERR_BUILD for programs, else CLRNN_ERR_DEVICE.
 */
enum clrnn_status clrnn_cl_error(const struct clrnn_log *log, cl_int error, const char *call,
                                 const char *format, ...) CLRNN_PRINTF(4, 5);

/** A text property of a device or platform in fresh memory, "" if the driver fails. NULL: no memory. */
char *clrnn_cl_device_text(cl_device_id id, cl_device_info what);
char *clrnn_cl_platform_text(cl_platform_id id, cl_platform_info what);

#endif
