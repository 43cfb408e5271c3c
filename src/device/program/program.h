// SPDX-License-Identifier: MIT
// Programs built from kernel files; the device keeps them.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_PROGRAM_H
#define CLRNN_SRC_DEVICE_PROGRAM_PROGRAM_H

#include "device/list/list.h"
#include "device/core/opencl.h"

/** Gets the program of cl/<stem>.cl with the defines: from memory, from disk or by compiling. The program belongs to
 * the device. */
enum clrnn_status clrnn_program_get(struct clrnn_device *device, const char *stem, struct clrnn_defines defines,
                                    cl_program *program);
/** As clrnn_program_get, but builds the program from the text `source`, which was written at run time. cl/<stem>.cl is
 * the last file in that text and names the program in messages. */
enum clrnn_status clrnn_program_of(struct clrnn_device *device, const char *stem, const char *source,
                                   cl_program *program);
void clrnn_programs_finish(struct clrnn_device *device);

#endif
