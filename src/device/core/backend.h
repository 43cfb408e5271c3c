// SPDX-License-Identifier: MIT
// How a kind of device keeps and moves numbers: OpenCL's memory and queue, or the host's memory on ref.
#ifndef CLRNN_SRC_DEVICE_BACKEND_H
#define CLRNN_SRC_DEVICE_BACKEND_H

#include "device/memory/buffer.h"
#include "device/core/opencl.h"

/** Numbers on the host's side of a transfer. */
enum clrnn_host_type { CLRNN_HOST_F32, CLRNN_HOST_F64, CLRNN_HOST_I32 };

/** Called with arguments that have been checked; `first` and `count` are elements of the buffer, count > 0.
 */
struct clrnn_backend {
    size_t real_bytes; // of one REAL
    /** Once the device's info is set; `close` also after a failure, and waits for what is queued. */
    enum clrnn_status (*open)(struct clrnn_device *device);
    void (*close)(struct clrnn_device *device);

    /** Memory of buffer->bytes for a buffer without a parent; content arbitrary. */
    enum clrnn_status (*buffer_create)(struct clrnn_buffer *buffer);
    /** The part of the parent's memory from buffer->first_byte on. */
    enum clrnn_status (*buffer_sub)(struct clrnn_buffer *buffer);
    void (*buffer_destroy)(struct clrnn_buffer *buffer);

    enum clrnn_status (*write)(struct clrnn_buffer *buffer, size_t first, size_t count,
                               enum clrnn_host_type type, const void *data);
    enum clrnn_status (*write_async)(struct clrnn_buffer *buffer, size_t first, size_t count,
                                     const float *data, uint64_t *token);
    enum clrnn_status (*read_async)(struct clrnn_buffer *buffer, size_t first, size_t count, float *data,
                                    uint64_t *token);
    enum clrnn_status (*wait)(struct clrnn_device *device, uint64_t token);
    enum clrnn_status (*read)(struct clrnn_buffer *buffer, size_t first, size_t count,
                              enum clrnn_host_type type, void *data);
    /** The whole buffer, with 32-bit words; `event` NULL: not wanted. */
    enum clrnn_status (*fill)(struct clrnn_buffer *buffer, cl_uint word, cl_event *event);
    enum clrnn_status (*copy)(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                              size_t from_first, size_t count);

    /** mark->event NULL: everything is done when it is asked for, and no mark is given to the others. */
    enum clrnn_status (*mark)(struct clrnn_device *device, struct clrnn_mark *mark);
    void (*mark_destroy)(struct clrnn_mark *mark);
    enum clrnn_status (*read_after)(struct clrnn_buffer *buffer, const struct clrnn_mark *mark, size_t first,
                                    size_t count, float *data);

    enum clrnn_status (*finish)(struct clrnn_device *device);
    enum clrnn_status (*flush)(struct clrnn_device *device);
};

extern const struct clrnn_backend clrnn_backend_opencl, clrnn_backend_ref;

#endif
