// SPDX-License-Identifier: MIT
// Typed memory on a device. On ref a REAL is a double on the host, elsewhere a float32.
#ifndef CLRNN_SRC_DEVICE_MEMORY_BUFFER_H
#define CLRNN_SRC_DEVICE_MEMORY_BUFFER_H

#include "device/device.h"

enum clrnn_type { CLRNN_REAL, CLRNN_I32, CLRNN_U32 };

/** Opaque; reference counted: a sub-buffer holds its parent. Destroy all before the device. */
struct clrnn_buffer;

/** New memory of `count` elements, zeroed; `what` names it in messages. count 0 is treated as 1. Errors:
 * CLRNN_ERR_MEMORY with the bytes requested, in use and available. */
enum clrnn_status clrnn_buffer_create(struct clrnn_device *device, enum clrnn_type type, size_t count,
                                      const char *what, struct clrnn_buffer **buffer);

/** As clrnn_buffer_create, for one that clrnn_buffer_read_after will read. On CPUs that share memory, the
 * host then copies from it directly; the driver's threads would read only after the kernels that were queued
 * in the meantime. */
enum clrnn_status clrnn_buffer_create_shared(struct clrnn_device *device, enum clrnn_type type, size_t count,
                                             const char *what, struct clrnn_buffer **buffer);

/** A NaN that no computation produces: tests fill unwritten memory with it. On the simulator, reading it
 * is an error (tests/simulator/layer.c). */
#define CLRNN_UNWRITTEN 0x7fc5e417u

/** A part of `parent` (itself no sub-buffer), possibly of another type; `first_byte` as counted by
 *  clrnn_type_bytes must be a multiple of clrnn_buffer_align. */
enum clrnn_status clrnn_buffer_sub(struct clrnn_buffer *parent, size_t first_byte, enum clrnn_type type,
                                   size_t count, struct clrnn_buffer **buffer);
struct clrnn_buffer *clrnn_buffer_retain(struct clrnn_buffer *buffer);
void clrnn_buffer_destroy(struct clrnn_buffer **buffer); // drops one reference

size_t clrnn_type_bytes(const struct clrnn_device *device, enum clrnn_type type);
size_t clrnn_buffer_align(const struct clrnn_device *device); // bytes; at least 64

enum clrnn_type clrnn_buffer_type(const struct clrnn_buffer *buffer);
size_t clrnn_buffer_count(const struct clrnn_buffer *buffer);
struct clrnn_device *clrnn_buffer_device(const struct clrnn_buffer *buffer);
/** The buffer's elements (double or 32-bit integers) on a ref device; NULL on OpenCL. */
void *clrnn_buffer_host(const struct clrnn_buffer *buffer);

/**
 * Transfers, in queue order. Write copies `data` before it returns (it may be reused) without waiting
 * for the device; read waits. REAL buffers: f32 and f64 are converted if the device holds the other.
 * Errors: CLRNN_ERR_ARG outside the buffer or of the wrong type, CLRNN_ERR_DEVICE.
 */
enum clrnn_status clrnn_buffer_write_f32(struct clrnn_buffer *b, size_t first, size_t count,
                                         const float *data);
enum clrnn_status clrnn_buffer_write_f64(struct clrnn_buffer *b, size_t first, size_t count,
                                         const double *data);
enum clrnn_status clrnn_buffer_write_i32(struct clrnn_buffer *b, size_t first, size_t count,
                                         const int32_t *data); // I32, U32
enum clrnn_status clrnn_buffer_read_f32(struct clrnn_buffer *b, size_t first, size_t count, float *data);
enum clrnn_status clrnn_buffer_read_f64(struct clrnn_buffer *b, size_t first, size_t count, double *data);
enum clrnn_status clrnn_buffer_read_i32(struct clrnn_buffer *b, size_t first, size_t count, int32_t *data);
enum clrnn_status clrnn_buffer_zero(struct clrnn_buffer *b);
enum clrnn_status clrnn_buffer_copy(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                                    size_t from_first, size_t count); // same type

/**
 * A write that does not copy on the host: `data` must stay untouched until the returned token is
 * waited for. For double-buffered staging of large batches. Token 0 needs no wait.
 */
enum clrnn_status clrnn_buffer_write_async(struct clrnn_buffer *b, size_t first, size_t count,
                                           const float *data, uint64_t *token);
/** A read that does not wait: `data` is complete once the returned token has been waited for, and must stay
 * until then. For several arrays at a time. Token 0 needs no wait; flush before waiting. */
enum clrnn_status clrnn_buffer_read_async(struct clrnn_buffer *b, size_t first, size_t count, float *data,
                                          uint64_t *token);
/** Waits for the asynchronous write or read that returned the token. */
enum clrnn_status clrnn_device_wait(struct clrnn_device *device, uint64_t token);

/** A point in the device's queue; work queued before it can be waited for. */
struct clrnn_mark {
    void *event; // NULL: all work queued before the mark is done
};

/** Sets the mark behind all work queued so far, and submits that work. */
enum clrnn_status clrnn_device_mark(struct clrnn_device *device, struct clrnn_mark *mark);
/** As clrnn_buffer_read_f32, but waits only for what was queued before the mark: it reads by a queue of its
 * own, or from memory shared with the host. Another thread, one at a time, may call it while the device's own
 * thread queues further work, which must not touch these elements or any buffer that has them. */
enum clrnn_status clrnn_buffer_read_after(struct clrnn_buffer *b, const struct clrnn_mark *mark, size_t first,
                                          size_t count, float *data);
/** Releases a mark; any thread may call it. */
void clrnn_mark_destroy(struct clrnn_device *device, struct clrnn_mark *mark);

#endif
