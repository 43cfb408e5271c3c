// SPDX-License-Identifier: MIT
// Messages between ranks. MPI's own blocking calls poll without a pause. The waits here sleep between polls, so that a
// rank that waits does not slow down a rank that computes on the same core. Only one thread at a time calls MPI.
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/array.h"
#include "base/log.h"
#include "train/ranks_mpi.h"

#define MOST_BYTES ((size_t)1 << 30) // most bytes of one MPI call, whose count is an int
#define LEAST_SLEEP_NS 1000
#define MOST_SLEEP_NS 500000
#define PATIENT_SLEEP_NS 2000000 // at 10 Gbit/s, 2.5 MB arrive in this time; the system's buffers hold that much
#define BROADCAST_TAG 32767

struct clrnn_mpi clrnn_mpi = {.count = 1};

static atomic_int given_up;     // error that all waits return; CLRNN_OK: no error
static atomic_int on_their_way; // number of messages under way

uint32_t clrnn_ranks_count(void)
{
    return clrnn_mpi.count;
}

uint32_t clrnn_ranks_own(void)
{
    return clrnn_mpi.own;
}

void clrnn_ranks_give_up(enum clrnn_status status)
{
    atomic_store(&given_up, (int)status);
}

bool clrnn_ranks_keep_memory(void)
{
    return atomic_load(&on_their_way) && atomic_load(&given_up) != CLRNN_OK;
}

void clrnn_ranks_pause(size_t bytes, bool patient, long *ns)
{
    const long first = (long)MIN2(bytes, MOST_SLEEP_NS / 4); // assumes 1 byte per ns, that is 8 Gbit/s

    *ns = *ns ? MIN2(2 * *ns, MOST_SLEEP_NS) : MAX2(first, LEAST_SLEEP_NS);
    if (patient)
        *ns = PATIENT_SLEEP_NS;
}

#ifdef CLRNN_HAVE_MPI

static pthread_mutex_t calls = PTHREAD_MUTEX_INITIALIZER; // locked while a thread calls MPI

enum clrnn_status clrnn_mpi_check(const struct clrnn_log *log, int result, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;

    if (result == MPI_SUCCESS)
        return CLRNN_OK;
    MPI_Error_string(result, text, &length);
    return clrnn_error(log, CLRNN_ERR_DEVICE, "MPI: %s failed: %.*s", what, length, text);
}

_Static_assert(sizeof(MPI_Request) <= sizeof(((struct clrnn_message *)0)->request), "a request fits");

static int begin_part(const struct clrnn_message *m, MPI_Request *request)
{
    const MPI_Comm comm = clrnn_mpi.comm[m->channel];
    const int bytes = (int)MIN2(m->bytes - m->begun, MOST_BYTES);
    char *data = m->data + m->begun;

    return m->sends ? MPI_Isend(data, bytes, MPI_BYTE, (int)m->other, (int)m->tag, comm, request)
                    : MPI_Irecv(data, bytes, MPI_BYTE, (int)m->other, (int)m->tag, comm, request);
}

static enum clrnn_status check_message(const struct clrnn_log *log, int result, const struct clrnn_message *m)
{
    static const char *const what[] = {[CLRNN_MESSAGE_SEND] = "sending",
                                       [CLRNN_MESSAGE_RECEIVE] = "receiving",
                                       [CLRNN_MESSAGE_BROADCAST] = "a broadcast"};

    return clrnn_mpi_check(log, result, what[m->kind]);
}

// Begins the transfer of the next part of a message, at most MOST_BYTES.
static enum clrnn_status begin_next(const struct clrnn_log *log, struct clrnn_message *m)
{
    MPI_Request request;
    int result;

    pthread_mutex_lock(&calls);
    result = begin_part(m, &request);
    pthread_mutex_unlock(&calls);
    TRY(check_message(log, result, m));
    memcpy(&m->request, &request, sizeof(request));
    m->begun += MIN2(m->bytes - m->begun, MOST_BYTES);
    return CLRNN_OK;
}

// Sets the next rank to which this rank sends a broadcast; returns false when it has sent to all its receivers.
// Broadcasts use a binomial tree. A rank receives from the rank whose number is its own without the lowest set bit. It
// then sends to the ranks (own number + bit) for each lower bit, the highest first.
static bool next_receiver(struct clrnn_message *m)
{
    do
        m->bit >>= 1;
    while (m->bit && clrnn_ranks_own() + m->bit >= clrnn_ranks_count());
    m->other = clrnn_ranks_own() + m->bit;
    m->sends = true;
    m->begun = 0;
    return m->bit;
}

// Sets the members of a message for its first transfer. Returns false if the message needs no transfer.
static bool set_out(struct clrnn_message *m)
{
    m->begun = 0;
    m->sends = m->kind == CLRNN_MESSAGE_SEND;
    if (m->kind != CLRNN_MESSAGE_BROADCAST)
        return m->bytes;
    m->tag = BROADCAST_TAG;
    m->bit = clrnn_ranks_own() & (0 - clrnn_ranks_own());
    m->other = clrnn_ranks_own() - m->bit;
    if (!clrnn_ranks_own())
        for (m->bit = 1; m->bit < clrnn_ranks_count(); m->bit *= 2)
            continue;
    return m->bytes && (clrnn_ranks_own() || next_receiver(m));
}

enum clrnn_status clrnn_message_begin(const struct clrnn_log *log, struct clrnn_message *m)
{
    TRY((enum clrnn_status)atomic_load(&given_up));
    m->done = !set_out(m);
    if (m->done)
        return CLRNN_OK;
    TRY(begin_next(log, m));
    atomic_fetch_add(&on_their_way, 1);
    return CLRNN_OK;
}

enum clrnn_status clrnn_message_test(const struct clrnn_log *log, struct clrnn_message *m, bool *done)
{
    MPI_Request request;
    int there = 0, result;

    *done = m->done;
    TRY((enum clrnn_status)atomic_load(&given_up));
    if (m->done)
        return CLRNN_OK;
    memcpy(&request, &m->request, sizeof(request));
    pthread_mutex_lock(&calls);
    result = MPI_Test(&request, &there, MPI_STATUS_IGNORE);
    pthread_mutex_unlock(&calls);
    TRY(check_message(log, result, m));
    if (there && (m->begun < m->bytes || (m->kind == CLRNN_MESSAGE_BROADCAST && next_receiver(m))))
        return begin_next(log, m);
    *done = m->done = there;
    atomic_fetch_sub(&on_their_way, there ? 1 : 0);
    return CLRNN_OK;
}

enum clrnn_status clrnn_message_wait(const struct clrnn_log *log, struct clrnn_message *m)
{
    struct timespec pause = {0};
    bool done;

    for (;;) {
        TRY(clrnn_message_test(log, m, &done));
        if (done)
            return CLRNN_OK;
        clrnn_ranks_pause(m->bytes, m->patient, &pause.tv_nsec);
        nanosleep(&pause, NULL);
    }
}

enum clrnn_status clrnn_ranks_progress(const struct clrnn_log *log, bool *busy)
{
    int there, result;

    *busy = atomic_load(&on_their_way);
    TRY((enum clrnn_status)atomic_load(&given_up));
    if (!*busy)
        return CLRNN_OK;
    pthread_mutex_lock(&calls);
    result = MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, clrnn_mpi.comm[CLRNN_CHANNEL_MAIN], &there, MPI_STATUS_IGNORE);
    pthread_mutex_unlock(&calls);
    return clrnn_mpi_check(log, result, "a look for messages");
}

static enum clrnn_status exchange(const struct clrnn_log *log, enum clrnn_message_kind kind, enum clrnn_channel channel,
                                  uint32_t other, uint32_t tag, void *data, size_t bytes)
{
    struct clrnn_message m = {
        .kind = kind, .channel = channel, .other = other, .tag = tag, .data = data, .bytes = bytes};

    TRY(clrnn_message_begin(log, &m));
    return clrnn_message_wait(log, &m);
}

enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to, uint32_t tag,
                                   void *data, size_t bytes)
{
    return exchange(log, CLRNN_MESSAGE_SEND, channel, to, tag, data, bytes);
}

enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t from,
                                      uint32_t tag, void *data, size_t bytes)
{
    return exchange(log, CLRNN_MESSAGE_RECEIVE, channel, from, tag, data, bytes);
}

enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, enum clrnn_channel channel, void *data,
                                        size_t bytes)
{
    return clrnn_ranks_count() > 1 ? exchange(log, CLRNN_MESSAGE_BROADCAST, channel, 0, 0, data, bytes) : CLRNN_OK;
}

bool clrnn_ranks_have_threads(void)
{
    return clrnn_ranks_count() == 1 || clrnn_mpi.threads >= MPI_THREAD_SERIALIZED;
}

enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log)
{
    return clrnn_ranks_have_threads()
               ? CLRNN_OK
               : clrnn_error(log, CLRNN_ERR_ARG,
                             "this MPI allows one thread of a process to call it: use one device in each "
                             "process");
}

#else

enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to, uint32_t tag,
                                   void *data, size_t bytes)
{
    (void)channel;
    (void)tag;
    (void)data;
    return clrnn_error(log, CLRNN_ERR_ARG, "%zu bytes for rank %u, but clrnn was built without MPI", bytes, to);
}

enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t from,
                                      uint32_t tag, void *data, size_t bytes)
{
    return clrnn_ranks_send(log, channel, from, tag, data, bytes);
}

enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, enum clrnn_channel channel, void *data,
                                        size_t bytes)
{
    (void)log;
    (void)channel;
    (void)data;
    (void)bytes;
    return CLRNN_OK;
}

enum clrnn_status clrnn_message_begin(const struct clrnn_log *log, struct clrnn_message *message)
{
    return clrnn_ranks_send(log, message->channel, message->other, 0, NULL, message->bytes);
}

enum clrnn_status clrnn_message_test(const struct clrnn_log *log, struct clrnn_message *message, bool *done)
{
    *done = false;
    return clrnn_message_begin(log, message);
}

enum clrnn_status clrnn_message_wait(const struct clrnn_log *log, struct clrnn_message *message)
{
    return clrnn_message_begin(log, message);
}

enum clrnn_status clrnn_ranks_progress(const struct clrnn_log *log, bool *busy)
{
    (void)log;
    *busy = false;
    return CLRNN_OK;
}

bool clrnn_ranks_have_threads(void)
{
    return true;
}

enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log)
{
    (void)log;
    return CLRNN_OK;
}

#endif
