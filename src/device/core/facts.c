// SPDX-License-Identifier: MIT
// Getters and small setters of an open device.
#include "device/core/internal.h"

const struct clrnn_device_info *clrnn_device_info(const struct clrnn_device *device)
{
    return device ? &device->info : NULL;
}

const struct clrnn_log *clrnn_device_log(const struct clrnn_device *device)
{
    return device ? device->log : NULL;
}

const struct clrnn_log *clrnn_device_set_log(struct clrnn_device *device, const struct clrnn_log *log)
{
    const struct clrnn_log *former = device->log;

    device->log = log;
    return former;
}

void clrnn_device_memory(const struct clrnn_device *device, uint64_t *now_bytes, uint64_t *peak_bytes)
{
    if (now_bytes)
        *now_bytes = device ? device->held_bytes : 0;
    if (peak_bytes)
        *peak_bytes = device ? device->peak_bytes : 0;
}

double clrnn_device_build_seconds(const struct clrnn_device *device, unsigned *built, unsigned *cached)
{
    if (built)
        *built = device ? device->built : 0;
    if (cached)
        *cached = device ? device->cached : 0;
    return device ? device->build_seconds : 0;
}

void clrnn_device_building(struct clrnn_device *device, size_t op, size_t ops)
{
    device->op = op;
    device->ops = ops;
}

bool clrnn_device_is_cpu(const struct clrnn_device *device)
{
    return device->info.type == CLRNN_DEVICE_CPU;
}

uint32_t clrnn_device_vector_width(const struct clrnn_device *device)
{
    const uint32_t native = device->info.float_vector_width;

    return native >= 16 ? 16 : native >= 8 ? 8 : 4;
}

bool clrnn_device_cpu_form(const struct clrnn_device *device)
{
    return device->cpu_form;
}

const struct clrnn_quirks *clrnn_device_quirks(const struct clrnn_device *device)
{
    return &device->quirks;
}

bool clrnn_device_is_ref(const struct clrnn_device *device)
{
    return device->info.type == CLRNN_DEVICE_REF;
}
