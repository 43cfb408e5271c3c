// SPDX-License-Identifier: MIT
// Functions of an open device for the layers above, in addition to clrnn/device.h.
#ifndef CLRNN_SRC_DEVICE_DEVICE_H
#define CLRNN_SRC_DEVICE_DEVICE_H

#include "base/log.h"
#include "clrnn/device.h"
#include "device/core/quirks.h"

const struct clrnn_log *clrnn_device_log(const struct clrnn_device *device);

/** Tells the device that op number `op` (from 0) of `ops` is built next, for progress messages. */
void clrnn_device_building(struct clrnn_device *device, size_t op, size_t ops);
/** Replaces the device's log and returns the previous one. With a silent log, a launch can be tried and may fail
 * without a message. */
const struct clrnn_log *clrnn_device_set_log(struct clrnn_device *device, const struct clrnn_log *log);

bool clrnn_device_is_cpu(const struct clrnn_device *device);
bool clrnn_device_is_ref(const struct clrnn_device *device);
/** Whether the kernels for CPUs are used: a work-group is one work-item, which does much work on one thread, and there
 * are no barriers. False: the kernels for GPUs are used, with many work-items per work-group. The device's type
 * decides, unless the environment variable CLRNN_KERNEL_FORM (cpu or gpu) overrides it. */
bool clrnn_device_cpu_form(const struct clrnn_device *device);
/** Returns the number of floats in a vector register of a CPU: 16, 8 or 4. */
uint32_t clrnn_device_vector_width(const struct clrnn_device *device);
const struct clrnn_quirks *clrnn_device_quirks(const struct clrnn_device *device);

/** Waits until all queued work is done. A blocking read of a buffer waits by itself. */
enum clrnn_status clrnn_device_finish(struct clrnn_device *device);
/** Flushes the queue: submits what is queued, without waiting. */
enum clrnn_status clrnn_device_flush(struct clrnn_device *device);

#endif
