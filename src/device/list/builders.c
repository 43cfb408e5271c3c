// SPDX-License-Identifier: MIT
// Builders: processes that compile kernels in parallel with this one. Before this process loads drivers, it forks a
// process, the keeper. The keeper sleeps until there is a kernel to compile, or until a program takes so long to build
// that it cannot have come from a cache. The keeper then forks builders. Each builder loads the driver, opens the
// device and takes one job after another from memory that all processes share. A builder runs a kernel's first
// work-group on zeros, which makes PoCL compile the kernel.
#include "device/list/builders.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/child.h"
#include "base/clock.h"
#include "device/core/internal.h"
#include "device/program/program.h"

enum { MOST_JOBS = 512, MOST_ARGS = 40, MOST_DEFINES = 24, MOST_DATA = 1024, NAME = 64, MOST_BUILDERS = 6 };
#define LARGEST_BYTES ((uint64_t)1 << 32) // limit for all buffers of a job in total; untouched pages take no memory
#define WIDE 65535                        // from this global size on, PoCL compiles another variant of a kernel
#define IDLE_S 1.0                        // seconds without a job after which a builder ends
#define PATIENCE_S 60.0                   // most seconds that the caller waits for the next job to be done
#define CACHED_S 0.1                      // seconds; a program that takes longer to build did not come from a cache
#define LOOK_NS 1000000                   // polling interval in nanoseconds

// A job: a kernel to compile. It has no pointers, because processes share it.
struct job {
    // stem: the kernel's file is cl/<stem>.cl.
    // name: the kernel's name.
    char stem[NAME], name[NAME];
    struct {
        char name[NAME];
        long value;
    } define[MOST_DEFINES];
    size_t define_count, arg_count;
    unsigned dims;
    size_t local[3];
    double flops;
    struct {
        enum clrnn_arg_kind kind;
        // Number of bytes of the buffer (0: the argument is NULL), of the local memory or of the struct. For a scalar,
        // its value as 32 bits.
        uint64_t size;
        size_t data; // offset of the struct in the job's `data`
    } arg[MOST_ARGS];
    unsigned char data[MOST_DATA];
    atomic_int taken;
};

// Memory that this process, the keeper and the builders share.
struct shared {
    struct clrnn_child_report report; // written by the keeper
    char select[24];
    unsigned most;
    atomic_uint posted, done;
    atomic_bool building; // a program is being built; jobs for its kernels may follow
    atomic_bool failed;   // a builder has crashed, or cannot open the device
    struct job job[MOST_JOBS];
};

struct clrnn_builders {
    struct shared *shared;
    struct clrnn_child keeper;
    clrnn_builder_open_fn *open;
    int wake[2];   // a socket pair: a byte sent from wake[1] to wake[0] wakes the keeper
    unsigned most; // number of builders; 0: one for each compute unit, at most MOST_BUILDERS
    bool holds;    // whether job[posted] is held back until another job is added
};

static bool is_builder;

static void doze(void)
{
    nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
}

// ---------------------------------------------------------------- in a builder

// Maps zeroed memory for all buffers of a job, one after the other, each in whole pages. NULL: out of memory, or the
// job has no buffers.
static unsigned char *map_buffers(const struct job *job, size_t *bytes)
{
    void *memory;

    *bytes = 0;
    for (size_t i = 0; i < job->arg_count; i++)
        if (job->arg[i].kind == CLRNN_ARG_BUFFER)
            *bytes += (job->arg[i].size + 4095) / 4096 * 4096;
    if (!*bytes)
        return NULL;
    memory = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static cl_int set_arg(cl_kernel kernel, const struct job *job, cl_uint i, const cl_mem *buffer)
{
    const uint64_t size = job->arg[i].size;
    const cl_uint word = (cl_uint)size;

    switch (job->arg[i].kind) {
    case CLRNN_ARG_BUFFER:
        return clSetKernelArg(kernel, i, sizeof(cl_mem), size ? buffer : NULL);
    case CLRNN_ARG_LOCAL:
        return clSetKernelArg(kernel, i, size, NULL);
    case CLRNN_ARG_STRUCT:
        return clSetKernelArg(kernel, i, size, job->data + job->arg[i].data);
    default:
        return clSetKernelArg(kernel, i, sizeof(word), &word);
    }
}

// Sets the kernel's arguments and runs its first work-group.
static void run(struct clrnn_device *d, cl_kernel kernel, const struct job *job, unsigned char *zeros)
{
    cl_mem buffer[MOST_ARGS] = {NULL};
    cl_int error = CL_SUCCESS;

    for (cl_uint i = 0; i < job->arg_count && error == CL_SUCCESS; i++) {
        if (job->arg[i].kind == CLRNN_ARG_BUFFER && job->arg[i].size) {
            buffer[i] =
                clCreateBuffer(d->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, job->arg[i].size, zeros, &error);
            zeros += (job->arg[i].size + 4095) / 4096 * 4096;
        }
        if (error == CL_SUCCESS)
            error = set_arg(kernel, job, i, &buffer[i]);
    }
    if (error == CL_SUCCESS)
        error = clEnqueueNDRangeKernel(d->queue, kernel, job->dims, NULL, job->local, job->local, 0, NULL, NULL);
    if (error == CL_SUCCESS)
        clFinish(d->queue);
    for (size_t i = 0; i < job->arg_count; i++)
        if (buffer[i])
            clReleaseMemObject(buffer[i]);
}

static void compile(struct clrnn_device *d, const struct job *job)
{
    struct clrnn_define define[MOST_DEFINES];
    cl_program program;
    cl_kernel kernel;
    unsigned char *zeros;
    size_t bytes;

    for (size_t i = 0; i < job->define_count; i++)
        define[i] = (struct clrnn_define){job->define[i].name, job->define[i].value};
    if (clrnn_program_get(d, job->stem, (struct clrnn_defines){job->define_count, define}, &program) != CLRNN_OK)
        return;
    kernel = clCreateKernel(program, job->name, NULL);
    zeros = map_buffers(job, &bytes);
    if (kernel && (zeros || !bytes))
        run(d, kernel, job, zeros);
    if (zeros)
        munmap(zeros, bytes);
    if (kernel)
        clReleaseKernel(kernel);
}

// Takes the job with the most FLOPs, because its kernel probably takes the longest to compile. NULL: all jobs are
// taken.
static struct job *take(struct shared *s)
{
    const unsigned posted = atomic_load(&s->posted);
    struct job *best;

    do {
        best = NULL;
        for (unsigned i = 0; i < posted; i++)
            if (!atomic_load(&s->job[i].taken) && (!best || s->job[i].flops > best->flops))
                best = &s->job[i];
    } while (best && atomic_exchange(&best->taken, 1));
    return best;
}

static void work(const struct clrnn_builders *b)
{
    struct shared *s = b->shared;
    struct clrnn_device *d;
    double since = clrnn_clock();

    is_builder = true;
    d = b->open(s->select);
    if (!d)
        _exit(1);
    while (clrnn_clock() - since < IDLE_S) {
        const struct job *job = take(s);

        if (!job) {
            if (atomic_load(&s->building))
                since = clrnn_clock();
            doze();
            continue;
        }
        compile(d, job);
        atomic_fetch_add(&s->done, 1);
        since = clrnn_clock();
    }
    _exit(0); // skips the driver's clean-up, which is not needed
}

// ---------------------------------------------------------------- in the keeper

// Starts the builders and waits until they have ended.
static void build(const struct clrnn_builders *b)
{
    const pid_t keeper = getpid();
    unsigned count = 0;
    int status;

    while (count < b->shared->most) {
        const pid_t pid = fork();

        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (getppid() != keeper)
                _exit(1);
            work(b);
        }
        if (pid < 0)
            break;
        count++;
    }
    if (!count)
        atomic_store(&b->shared->failed, true);
    for (; count && wait(&status) > 0; count--)
        if (!WIFEXITED(status) || WEXITSTATUS(status))
            atomic_store(&b->shared->failed, true);
}

// Closes the file descriptors that the keeper has inherited, except `kept` and the standard streams. While the keeper
// has a pipe's writing end open, the pipe's reader sees no end of file.
static void close_others(int kept)
{
    for (int fd = STDERR_FILENO + 1, most = (int)sysconf(_SC_OPEN_MAX); fd < MIN2(most, 1024); fd++)
        if (fd != kept)
            close(fd);
}

static bool has_jobs(struct shared *s)
{
    return atomic_load(&s->done) < atomic_load(&s->posted);
}

// Whether builders are needed: there are jobs, or a program is still being built after CACHED_S seconds.
static bool needed(struct shared *s)
{
    const double start = clrnn_clock();

    while (!has_jobs(s) && atomic_load(&s->building) && clrnn_clock() - start < CACHED_S)
        doze();
    return has_jobs(s) || atomic_load(&s->building);
}

static void keep(void *user)
{
    const struct clrnn_builders *b = user;
    struct shared *s = b->shared;
    char bytes[64];

    close_others(b->wake[0]);
    while (!atomic_load(&s->failed) && read(b->wake[0], bytes, sizeof(bytes)) > 0)
        while (!atomic_load(&s->failed) && needed(s))
            build(b);
}

// ---------------------------------------------------------------- in this process

struct clrnn_builders *clrnn_builders_create(clrnn_builder_open_fn *open, unsigned most)
{
    struct clrnn_builders *b = is_builder ? NULL : calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    *b = (struct clrnn_builders){.open = open, .most = most, .wake = {-1, -1}};
    b->shared = clrnn_shared_create(sizeof(*b->shared));
    if (b->shared && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b->wake) == 0) {
        if (clrnn_child_start(NULL, keep, b, &b->shared->report, &b->keeper) == CLRNN_OK) {
            close(b->wake[0]);
            return b;
        }
        close(b->wake[0]);
        close(b->wake[1]);
    }
    clrnn_shared_destroy(b->shared, sizeof(*b->shared));
    free(b);
    return NULL;
}

void clrnn_builders_destroy(struct clrnn_builders **builders)
{
    struct clrnn_builders *b = *builders;
    char ending[CLRNN_ENDING_SIZE];

    *builders = NULL;
    if (!b)
        return;
    kill(b->keeper.pid, SIGKILL); // the builders die with the keeper
    close(b->wake[1]);
    clrnn_child_wait(&b->keeper, PATIENCE_S, NULL, ending);
    clrnn_shared_destroy(b->shared, sizeof(*b->shared));
    free(b);
}

static bool copy_name(char to[NAME], const char *from)
{
    if (strlen(from) >= NAME)
        return false;
    strcpy(to, from);
    return true;
}

// Copies an argument into a job. *used is the number of bytes in use in the job's `data`. False: the struct does not
// fit there.
static bool copy_arg(struct job *job, const struct clrnn_arg *a, size_t *used)
{
    const float real = (float)a->real;
    uint32_t word = a->word;

    if (a->kind == CLRNN_ARG_REAL)
        memcpy(&word, &real, sizeof(word));
    job->arg[job->arg_count].kind = a->kind;
    job->arg[job->arg_count].size = a->kind == CLRNN_ARG_BUFFER ? (a->buffer ? a->buffer->bytes : 0) : word;
    job->arg[job->arg_count++].data = *used;
    if (a->kind != CLRNN_ARG_STRUCT)
        return true;
    if (a->bytes > MOST_DATA - *used)
        return false;
    memcpy(job->data + *used, a->data, a->bytes);
    *used += (a->bytes + 15) / 16 * 16;
    return true;
}

// Copies the caller's job. False: the job exceeds a limit, or has such a large global size (WIDE) that PoCL would
// compile another variant of the kernel than the builder.
static bool copy(struct job *to, const struct clrnn_builders_job *from)
{
    uint64_t bytes = 0;
    size_t used = 0;

    *to = (struct job){.dims = from->dims, .flops = from->flops};
    memcpy(to->local, from->local, sizeof(to->local));
    if (from->arg_count > MOST_ARGS || from->defines.count > MOST_DEFINES || !copy_name(to->stem, from->stem) ||
        !copy_name(to->name, from->name))
        return false;
    for (unsigned k = 0; k < from->dims; k++)
        if (from->global[k] >= WIDE)
            return false;
    for (size_t i = 0; i < from->defines.count; i++) {
        to->define[to->define_count].value = from->defines.define[i].value;
        if (!copy_name(to->define[to->define_count++].name, from->defines.define[i].name))
            return false;
    }
    for (size_t i = 0; i < from->arg_count; i++) {
        if (used > MOST_DATA || !copy_arg(to, &from->args[i], &used))
            return false;
        bytes += from->args[i].kind == CLRNN_ARG_BUFFER ? to->arg[i].size : 0;
    }
    return bytes <= LARGEST_BYTES;
}

static bool same(const struct job *a, const struct job *b)
{
    bool equal = !strcmp(a->stem, b->stem) && !strcmp(a->name, b->name) &&
                 !memcmp(a->local, b->local, sizeof(a->local)) && a->define_count == b->define_count;

    for (size_t i = 0; equal && i < a->define_count; i++)
        equal = a->define[i].value == b->define[i].value && !strcmp(a->define[i].name, b->define[i].name);
    return equal;
}

// Wakes the keeper process; the first time, tells it the device and the number of builders.
static void wake(struct clrnn_builders *b, const struct clrnn_device *device)
{
    struct shared *s = b->shared;

    if (!s->most) {
        clrnn_device_spec(&device->info, s->select);
        s->most = b->most ? b->most : MAX2(MIN2(device->info.compute_units, MOST_BUILDERS), 1);
    }
    send(b->wake[1], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT); // if full, the keeper is being woken already
}

void clrnn_builders_expect(struct clrnn_builders *b, const struct clrnn_device *device, bool building)
{
    atomic_store(&b->shared->building, building);
    if (building)
        wake(b, device);
}

void clrnn_builders_add(struct clrnn_builders *b, const struct clrnn_device *device,
                        const struct clrnn_builders_job *job)
{
    struct shared *s = b->shared;
    const unsigned posted = atomic_load(&s->posted), next = posted + b->holds;

    if (atomic_load(&s->failed) || next >= MOST_JOBS || !copy(&s->job[next], job))
        return;
    for (unsigned i = 0; i < next; i++)
        if (same(&s->job[i], &s->job[next]))
            return;
    if (!b->holds && atomic_load(&s->done) == posted) {
        b->holds = true;
        return;
    }
    b->holds = false;
    atomic_store(&s->posted, next + 1);
    wake(b, device);
}

// Whether a child process has ended. Leaves it as a zombie for clrnn_child_wait to collect.
static bool has_ended(pid_t pid)
{
    siginfo_t info = {.si_pid = 0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid;
}

void clrnn_builders_wait(struct clrnn_builders *b)
{
    struct shared *s = b->shared;
    unsigned done = atomic_load(&s->done);
    double since = clrnn_clock();

    b->holds = false;
    while (atomic_load(&s->done) < atomic_load(&s->posted) && !atomic_load(&s->failed)) {
        if (done != atomic_load(&s->done)) {
            done = atomic_load(&s->done);
            since = clrnn_clock();
        }
        if (clrnn_clock() - since > PATIENCE_S || has_ended(b->keeper.pid))
            atomic_store(&s->failed, true);
        doze();
    }
}
