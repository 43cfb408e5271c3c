// SPDX-License-Identifier: MIT
// Typed memory on a device. On ref a REAL is a double on the host, elsewhere a float32.
#ifndef CLRNN_SRC_DEVICE_MEMORY_BUFFER_H
#define CLRNN_SRC_DEVICE_MEMORY_BUFFER_H

#include "device/device.h"

enum clrnn_type { CLRNN_REAL, CLRNN_I32, CLRNN_U32 };

/** A buffer. Opaque and reference counted: a sub-buffer has a reference to its parent. Destroy all buffers before the
 * device. */
struct clrnn_buffer;

/** Allocates a buffer of `count` elements, all zero; `what` is its name in messages. A count of 0 is treated as 1.
 * Errors: CLRNN_ERR_MEMORY (the message has the bytes requested, in use and available), CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_buffer_create(struct clrnn_device *device, enum clrnn_type type, size_t count, const char *what,
                                      struct clrnn_buffer **buffer);

/** As clrnn_buffer_create, for a buffer that clrnn_buffer_read_after will read. On a CPU whose
 * driver can share memory with the host (fine-grained SVM), clrnn_buffer_read_after then copies from that memory on the
 * calling thread. Without shared memory, the driver's threads do the read, but only after the kernels that were queued
 * in the meantime. */
enum clrnn_status clrnn_buffer_create_shared(struct clrnn_device *device, enum clrnn_type type, size_t count,
                                             const char *what, struct clrnn_buffer **buffer);

/** The bits of a NaN that no computation produces. Tests fill memory that is not yet written with this NaN. On the
 * simulator (Oclgrind), a kernel that reads such memory is an error (tests/simulator/layer.c). */
#define CLRNN_UNWRITTEN 0x7fc5e417u

/** Creates a sub-buffer: a part of `parent`, possibly with elements of another type. `parent` must not be a sub-buffer.
 * `first_byte` is the part's offset in bytes, and must be a multiple of clrnn_buffer_align. The number of bytes of an
 * element depends on the device (clrnn_type_bytes). */
enum clrnn_status clrnn_buffer_sub(struct clrnn_buffer *parent, size_t first_byte, enum clrnn_type type, size_t count,
                                   struct clrnn_buffer **buffer);
struct clrnn_buffer *clrnn_buffer_retain(struct clrnn_buffer *buffer);
void clrnn_buffer_destroy(struct clrnn_buffer **buffer); // drops one reference; the last one frees the buffer

size_t clrnn_type_bytes(const struct clrnn_device *device, enum clrnn_type type);
size_t clrnn_buffer_align(const struct clrnn_device *device); // bytes; at least 64

enum clrnn_type clrnn_buffer_type(const struct clrnn_buffer *buffer);
size_t clrnn_buffer_count(const struct clrnn_buffer *buffer);
struct clrnn_device *clrnn_buffer_device(const struct clrnn_buffer *buffer);
/** Returns the address of the elements (double or 32-bit integers) on a ref device; NULL on OpenCL. */
void *clrnn_buffer_host(const struct clrnn_buffer *buffer);

/**
 * Transfers between host and device, in queue order. A write copies `data`, so the caller may reuse `data` at once. It
 * waits for the device only if too many earlier writes are pending. A read waits until `data` is complete. f32 and f64
 * are for REAL buffers, and are converted if the device stores the other type. Errors: CLRNN_ERR_ARG: elements outside
 * the buffer, or a wrong type. CLRNN_ERR_MEMORY, CLRNN_ERR_DEVICE.
 */
enum clrnn_status clrnn_buffer_write_f32(struct clrnn_buffer *b, size_t first, size_t count, const float *data);
enum clrnn_status clrnn_buffer_write_f64(struct clrnn_buffer *b, size_t first, size_t count, const double *data);
enum clrnn_status clrnn_buffer_write_i32(struct clrnn_buffer *b, size_t first, size_t count,
                                         const int32_t *data); // I32, U32
enum clrnn_status clrnn_buffer_read_f32(struct clrnn_buffer *b, size_t first, size_t count, float *data);
enum clrnn_status clrnn_buffer_read_f64(struct clrnn_buffer *b, size_t first, size_t count, double *data);
enum clrnn_status clrnn_buffer_read_i32(struct clrnn_buffer *b, size_t first, size_t count, int32_t *data);
enum clrnn_status clrnn_buffer_zero(struct clrnn_buffer *b);
enum clrnn_status clrnn_buffer_copy(struct clrnn_buffer *to, size_t to_first, struct clrnn_buffer *from,
                                    size_t from_first, size_t count); // both REAL or both integers

/**
 * Queues a write that does not copy `data` on the host: `data` must not change until clrnn_device_wait for *token has
 * returned. Used to stage large batches in two host buffers in turn. Token 0 needs no wait.
 */
enum clrnn_status clrnn_buffer_write_async(struct clrnn_buffer *b, size_t first, size_t count, const float *data,
                                           uint64_t *token);
/** Queues a read and does not wait: `data` is complete only after clrnn_device_wait for *token, and must not be freed
 * before. Used to read several arrays at a time. Token 0 needs no wait; call clrnn_device_flush before waiting. */
enum clrnn_status clrnn_buffer_read_async(struct clrnn_buffer *b, size_t first, size_t count, float *data,
                                          uint64_t *token);
/** Waits for the asynchronous write or read that returned the token. */
enum clrnn_status clrnn_device_wait(struct clrnn_device *device, uint64_t token);

/** A point in the device's queue: a caller can wait for the work queued before it. */
struct clrnn_mark {
    void *event; // a cl_event; NULL: all work queued before the mark is done
};

/** Sets the mark after all work queued so far, and submits that work to the device. */
enum clrnn_status clrnn_device_mark(struct clrnn_device *device, struct clrnn_mark *mark);
/** As clrnn_buffer_read_f32, but waits only for the work queued before the mark. Reads by a separate queue, or from
 * memory shared with the host. Another thread, one at a time, may call this function while the device's own thread
 * queues further work. That work must not use a buffer or sub-buffer that contains elements which are being read. */
enum clrnn_status clrnn_buffer_read_after(struct clrnn_buffer *b, const struct clrnn_mark *mark, size_t first,
                                          size_t count, float *data);
/** Releases a mark; any thread may call it. */
void clrnn_mark_destroy(struct clrnn_device *device, struct clrnn_mark *mark);

#endif
