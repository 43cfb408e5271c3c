// SPDX-License-Identifier: MIT
// The device inside: what the files of this layer share.
#ifndef CLRNN_SRC_DEVICE_DEVICE_H
#define CLRNN_SRC_DEVICE_DEVICE_H

#include <jansson.h>

#include "device/list/list.h"
#include "device/opencl.h"

enum clrnn_gemm_choice { CLRNN_GEMM_AUTO, CLRNN_GEMM_OWN, CLRNN_GEMM_CLBLAST };

/** The driver's handles of a row of a device list. */
struct clrnn_handles {
    cl_platform_id platform;
    cl_device_id id;
};

/** What a list's `strings_` points to. */
struct clrnn_list_private {
    char **string;
    size_t string_count, string_room, info_room;
    struct clrnn_handles *handles; // one a row of the list
};

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

/** A program built from a stem and defines. */
struct clrnn_program {
    char *key; // "rnn -D H=64"
    cl_program program;
    struct clrnn_program *next;
};

struct clrnn_device {
    const struct clrnn_log *log;
    struct clrnn_device_info info;
    struct clrnn_device_list *list; // owns the strings of info
    bool ref, profile, no_tune;
    bool spoil_scratch;   // CLRNN_TEST_SCRATCH: each op finds its scratch memory unwritten
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

#define CLRNN_NO_DEVICES "no devices" // the trouble of a sound platform without any

/** Fills `list` with all platforms and devices that OpenCL knows (not ref), in clinfo's order. */
enum clrnn_status clrnn_list_opencl(const struct clrnn_log *log, struct clrnn_device_list *list);
enum clrnn_status clrnn_list_init(const struct clrnn_log *log, struct clrnn_device_list **list);
/** Appends a row. Texts are NULL until set. */
enum clrnn_status clrnn_list_row(const struct clrnn_log *log, struct clrnn_device_list *list,
                                 struct clrnn_handles handles, struct clrnn_device_info **row);
/** Hands fresh text (NULL: no memory) over to the list, which returns it, or NULL. */
const char *clrnn_list_keep(struct clrnn_device_list *list, char *text);
/** Fills in `same_as`. */
void clrnn_list_mark_same(struct clrnn_device_list *list);
enum clrnn_status clrnn_list_ref(const struct clrnn_log *log, struct clrnn_device_list *list);

/** Finds the row that `select` (NULL: the default) means. */
enum clrnn_status clrnn_list_select(const struct clrnn_log *log, const struct clrnn_device_list *list,
                                    const char *select, size_t *row);

/** Waits for all, then frees staging memory and tokens. */
void clrnn_transfers_finish(struct clrnn_device *device);

/** The program of a stem with defines, from memory, disk or the compiler; belongs to the device. */
enum clrnn_status clrnn_program_get(struct clrnn_device *device, const char *stem,
                                    struct clrnn_defines defines, cl_program *program);
/** The program of a text made at run time, that of cl/<stem>.cl in the end; otherwise as above. */
enum clrnn_status clrnn_program_of(struct clrnn_device *device, const char *stem, const char *source,
                                   cl_program *program);
void clrnn_programs_finish(struct clrnn_device *device);

/** The folder for binaries in fresh memory; NULL where there is none (no HOME, no memory). */
char *clrnn_cache_folder(void);
/** A binary by its key, in fresh memory; NULL where none is there or it is damaged. */
unsigned char *clrnn_cache_read(const char *folder, const char *key, size_t *size);
/** Keeps a binary; failing costs only time, so it is not told. */
void clrnn_cache_write(const char *folder, const char *key, const unsigned char *data, size_t size);

#endif
