// SPDX-License-Identifier: MIT
// Programs built from kernel files; the device keeps them.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_PROGRAM_H
#define CLRNN_SRC_DEVICE_PROGRAM_PROGRAM_H

#include "device/list/list.h"
#include "device/core/opencl.h"

/** The program of a stem with defines, from memory, disk or the compiler; belongs to the device. */
enum clrnn_status clrnn_program_get(struct clrnn_device *device, const char *stem,
                                    struct clrnn_defines defines, cl_program *program);
/** As clrnn_program_get, but builds from `source`, made at run time, whose last file is cl/<stem>.cl. */
enum clrnn_status clrnn_program_of(struct clrnn_device *device, const char *stem, const char *source,
                                   cl_program *program);
void clrnn_programs_finish(struct clrnn_device *device);

#endif
