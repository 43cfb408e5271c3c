// SPDX-License-Identifier: MIT
// The structs of a device and a buffer, which the files of this layer share.
#ifndef CLRNN_SRC_DEVICE_INTERNAL_H
#define CLRNN_SRC_DEVICE_INTERNAL_H

#include <jansson.h>

#include "device/device.h"
#include "device/find/find.h"
#include "device/memory/buffer.h"

enum clrnn_gemm_choice { CLRNN_GEMM_AUTO, CLRNN_GEMM_OWN, CLRNN_GEMM_CLBLAST };

/** Host memory of a write under way; the queue is in order, so the ring's oldest ends first. */
struct clrnn_staging {
    void *memory;
    size_t room;
    cl_event event; // NULL: free
};
#define CLRNN_STAGING_SLOTS 256

/** A host's write without copy that nobody has waited for. */
struct clrnn_pending_write {
    uint64_t token;
    cl_event event;
};

struct clrnn_device {
    const struct clrnn_log *log;
    struct clrnn_device_info info;
    struct clrnn_device_list *list; // owns the strings of info
    struct clrnn_quirks quirks;
    bool ref, profile, no_tune;
    bool poison_scratch;  // CLRNN_TEST_SCRATCH: each op finds its scratch memory unwritten
    bool cpu_form;        // whether kernels take the CPUs' form
    bool chain_forced;    // CLRNN_CHAIN_AFTER is set
    uint64_t replays;     // of all lists
    uint64_t chain_after; // its number of replays; UINT64_MAX: never
    enum clrnn_gemm_choice gemm;
    struct clrnn_tune *tune; // NULL: nothing remembered, or not to be used
    json_t *forced;          // choices by key that are settled whatever the file says; NULL: none
    char *kernel_dir;        // CLRNN_KERNEL_DIR or NULL
    char *cache_dir;         // of program binaries, NULL: none

    struct clrnn_handles handles;
    cl_context context;
    cl_command_queue queue;

    uint64_t held_bytes, peak_bytes;

    struct clrnn_staging staging[CLRNN_STAGING_SLOTS];
    size_t staging_first, staging_count; // the ring's busy part
    size_t staging_bytes;                // of all slots
    uint64_t next_token;
    struct clrnn_pending_write *pending;
    size_t pending_count, pending_room;

    struct clrnn_program *programs;
    double build_seconds;
    unsigned built, cached;

    struct clrnn_buffer **scratch; // one a call of clrnn_launches_scratch within an op
    size_t scratch_count;
};

struct clrnn_buffer {
    struct clrnn_device *device;
    struct clrnn_buffer *parent; // retained; NULL: memory of its own
    enum clrnn_type type;
    size_t count, bytes, first_byte;
    unsigned references;
    cl_mem mem;
    void *host; // ref
    char what[48];
};

/** Waits for all, then frees staging memory and tokens. */
void clrnn_transfers_finish(struct clrnn_device *device);

#endif
