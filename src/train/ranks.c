// SPDX-License-Identifier: MIT
// Ranks by MPI. A wait for a message sleeps between looks, so that ranks that share a core do not take it
// from each other: MPI's own waits spin. Threads call MPI one at a time.
#include "train/ranks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef CLRNN_HAVE_MPI
#include <mpi.h>
#endif

#include "base/array.h"
#include "base/child.h"
#include "base/hash.h"
#include "base/log.h"

#define MOST_BYTES ((size_t)1 << 30) // of one message: MPI counts in int
#define PATIENCE_NS 1000             // of the first sleep
#define MOST_SLEEP_NS 200000

static struct {
    bool joined, own_mpi; // own_mpi: this library started MPI
    uint32_t own, count;
    struct clrnn_log next; // where messages go
    char host[256];
    struct clrnn_child_report said; // by other ranks than 0: the first error
    atomic_int given_up;            // the status that waits return; CLRNN_OK: they wait
#ifdef CLRNN_HAVE_MPI
    MPI_Comm comm[CLRNN_CHANNELS];
    int threads; // what MPI allows them
#endif
} ranks = {.count = 1};

uint32_t clrnn_ranks_count(void)
{
    return ranks.count;
}

uint32_t clrnn_ranks_own(void)
{
    return ranks.own;
}

unsigned clrnn_rank_launched(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *text = getenv(names[i]);

        if (text && *text)
            return (unsigned)strtoul(text, NULL, 10);
    }
    return getenv("PMIX_RANK") || getenv("PMI_RANK") ? 1 : 0;
}

void clrnn_ranks_give_up(enum clrnn_status status)
{
    atomic_store(&ranks.given_up, (int)status);
}

#ifdef CLRNN_HAVE_MPI

static pthread_mutex_t calls = PTHREAD_MUTEX_INITIALIZER; // held while MPI is called

static enum clrnn_status check(const struct clrnn_log *log, int result, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;

    if (result == MPI_SUCCESS)
        return CLRNN_OK;
    MPI_Error_string(result, text, &length);
    return clrnn_error(log, CLRNN_ERR_DEVICE, "MPI: %s failed: %.*s", what, length, text);
}

// One message, or part of a broadcast.
struct message {
    enum { SEND, RECEIVE, BROADCAST } kind;
    enum clrnn_channel channel;
    uint32_t other, tag;
    void *data;
    int bytes;
};

static int begin(const struct message *m, MPI_Request *request)
{
    const MPI_Comm comm = ranks.comm[m->channel];

    switch (m->kind) {
    case SEND:
        return MPI_Isend(m->data, m->bytes, MPI_BYTE, (int)m->other, (int)m->tag, comm, request);
    case RECEIVE:
        return MPI_Irecv(m->data, m->bytes, MPI_BYTE, (int)m->other, (int)m->tag, comm, request);
    case BROADCAST:
        break;
    }
    return MPI_Ibcast(m->data, m->bytes, MPI_BYTE, 0, comm, request);
}

static enum clrnn_status exchange(const struct clrnn_log *log, const struct message *m)
{
    static const char *const what[] = {
        [SEND] = "sending", [RECEIVE] = "receiving", [BROADCAST] = "a broadcast"};
    struct timespec pause = {.tv_nsec = PATIENCE_NS};
    MPI_Request request;
    int done = 0, result;

    pthread_mutex_lock(&calls);
    result = begin(m, &request);
    pthread_mutex_unlock(&calls);
    TRY(check(log, result, what[m->kind]));
    while (atomic_load(&ranks.given_up) == CLRNN_OK) {
        pthread_mutex_lock(&calls);
        result = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        pthread_mutex_unlock(&calls);
        TRY(check(log, result, what[m->kind]));
        if (done)
            return CLRNN_OK;
        nanosleep(&pause, NULL);
        pause.tv_nsec = MIN2(2 * pause.tv_nsec, MOST_SLEEP_NS);
    }
    return (enum clrnn_status)atomic_load(&ranks.given_up);
}

// The same in messages that MPI can count.
static enum clrnn_status exchange_all(const struct clrnn_log *log, struct message m, char *data, size_t bytes)
{
    for (size_t first = 0; first < bytes; first += MOST_BYTES) {
        m.data = data + first;
        m.bytes = (int)MIN2(bytes - first, MOST_BYTES);
        TRY(exchange(log, &m));
    }
    return CLRNN_OK;
}

enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to,
                                   uint32_t tag, void *data, size_t bytes)
{
    return exchange_all(log, (struct message){SEND, channel, to, tag, NULL, 0}, data, bytes);
}

enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t from,
                                      uint32_t tag, void *data, size_t bytes)
{
    return exchange_all(log, (struct message){RECEIVE, channel, from, tag, NULL, 0}, data, bytes);
}

enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, enum clrnn_channel channel, void *data,
                                        size_t bytes)
{
    return ranks.count > 1
               ? exchange_all(log, (struct message){BROADCAST, channel, 0, 0, NULL, 0}, data, bytes)
               : CLRNN_OK;
}

bool clrnn_ranks_have_threads(void)
{
    return ranks.count == 1 || ranks.threads >= MPI_THREAD_SERIALIZED;
}

enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log)
{
    return clrnn_ranks_have_threads()
               ? CLRNN_OK
               : clrnn_error(log, CLRNN_ERR_ARG,
                             "this MPI allows one thread of a process to call it: use one device in each "
                             "process");
}

static enum clrnn_status start(const struct clrnn_log *log, uint32_t *local)
{
    int there = 0, size, own, among;
    MPI_Comm node;

    TRY(check(log, MPI_Initialized(&there), "asking for MPI"));
    if (!there)
        TRY(check(log, MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &ranks.threads), "starting"));
    else
        TRY(check(log, MPI_Query_thread(&ranks.threads), "asking for threads"));
    ranks.own_mpi = !there;
    for (int i = 0; i < CLRNN_CHANNELS; i++) {
        ranks.comm[i] = MPI_COMM_NULL;
        TRY(check(log, MPI_Comm_dup(MPI_COMM_WORLD, &ranks.comm[i]), "a communicator"));
        MPI_Comm_set_errhandler(ranks.comm[i], MPI_ERRORS_RETURN);
    }
    ranks.joined = true;
    TRY(check(log, MPI_Comm_size(ranks.comm[0], &size), "the number of ranks"));
    TRY(check(log, MPI_Comm_rank(ranks.comm[0], &own), "the rank"));
    TRY(check(log, MPI_Comm_split_type(ranks.comm[0], MPI_COMM_TYPE_SHARED, own, MPI_INFO_NULL, &node),
              "the ranks of a host"));
    TRY(check(log, MPI_Comm_rank(node, &among), "the rank on its host"));
    MPI_Comm_free(&node);
    ranks.count = (uint32_t)size;
    ranks.own = (uint32_t)own;
    *local = (uint32_t)among;
    if (!there && clrnn_rank_launched() > 1 && size == 1)
        return clrnn_error(
            log, CLRNN_ERR_ARG,
            "started as one of %u processes, but MPI sees one alone: mpirun and clrnn must be of "
            "the same MPI (clrnn has %s)",
            clrnn_rank_launched(),
#ifdef OPEN_MPI
            "Open MPI"
#else
            "MPICH"
#endif
        );
    return CLRNN_OK;
}

static enum clrnn_status share(uint32_t kind, uint32_t *own, uint32_t *count)
{
    MPI_Comm host, same;
    int rank, size;

    TRY(check(
        &ranks.next,
        MPI_Comm_split_type(ranks.comm[CLRNN_CHANNEL_MAIN], MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
        "the ranks of a host"));
    TRY(check(&ranks.next, MPI_Comm_split(host, (int)(kind & INT32_MAX), 0, &same), "some ranks of a host"));
    TRY(check(&ranks.next, MPI_Comm_rank(same, &rank), "the rank among them"));
    TRY(check(&ranks.next, MPI_Comm_size(same, &size), "their number"));
    MPI_Comm_free(&same);
    MPI_Comm_free(&host);
    *own = (uint32_t)rank;
    *count = (uint32_t)size;
    return CLRNN_OK;
}

void clrnn_ranks_abort(enum clrnn_status status)
{
    if (ranks.count <= 1)
        return;
    if (ranks.own)
        clrnn_log(&ranks.next, CLRNN_LOG_ERROR, "rank %u on %s: %s", ranks.own, ranks.host, ranks.said.error);
    MPI_Abort(ranks.comm[0], clrnn_status_exit(status));
}

void clrnn_rank_leave(void)
{
    if (!ranks.joined)
        return;
    for (int i = 0; i < CLRNN_CHANNELS; i++)
        MPI_Comm_free(&ranks.comm[i]);
    if (ranks.own_mpi)
        MPI_Finalize();
    ranks.joined = false;
    ranks.own = 0;
    ranks.count = 1;
}

#else

enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to,
                                   uint32_t tag, void *data, size_t bytes)
{
    (void)channel;
    (void)tag;
    (void)data;
    return clrnn_error(log, CLRNN_ERR_ARG, "%zu bytes for rank %u, but clrnn was built without MPI", bytes,
                       to);
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

bool clrnn_ranks_have_threads(void)
{
    return true;
}

enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log)
{
    (void)log;
    return CLRNN_OK;
}

static enum clrnn_status start(const struct clrnn_log *log, uint32_t *local)
{
    *local = 0;
    if (clrnn_rank_launched() <= 1)
        return CLRNN_OK;
    return clrnn_error(log, CLRNN_ERR_ARG,
                       "started as one of %u processes, but clrnn was built without MPI: install Open MPI or "
                       "MPICH, and build it again",
                       clrnn_rank_launched());
}

static enum clrnn_status share(uint32_t kind, uint32_t *own, uint32_t *count)
{
    (void)kind;
    (void)own;
    (void)count;
    return CLRNN_OK;
}

void clrnn_ranks_abort(enum clrnn_status status)
{
    (void)status;
}

void clrnn_rank_leave(void)
{
}

#endif

enum clrnn_status clrnn_rank_join(const struct clrnn_log *log, struct clrnn_rank *rank)
{
    NEED(log, rank);

    *rank = (struct clrnn_rank){.count = 1};
    if (log)
        rank->log = ranks.next = *log;
    if (!clrnn_rank_launched())
        return CLRNN_OK;
    if (gethostname(ranks.host, sizeof(ranks.host) - 1))
        snprintf(ranks.host, sizeof(ranks.host), "an unknown host");
    TRY(start(log, &rank->local));
    rank->own = ranks.own;
    rank->count = ranks.count;
    if (ranks.own)
        rank->log = (struct clrnn_log){.fn = clrnn_child_log, .user = &ranks.said, .level = ranks.next.level};
    return CLRNN_OK;
}

// What a rank tells rank 0 of how it fared.
struct report {
    enum clrnn_status status;
    char host[sizeof(ranks.host)], error[sizeof(ranks.said.error)];
};

enum clrnn_status clrnn_rank_agree(enum clrnn_status status)
{
    struct report own = {.status = status};

    if (ranks.count == 1)
        return status;
    memcpy(own.host, ranks.host, sizeof(own.host));
    memcpy(own.error, ranks.said.error, sizeof(own.error));
    if (ranks.own)
        TRY(clrnn_ranks_send(&ranks.next, CLRNN_CHANNEL_MAIN, 0, 0, &own, sizeof(own)));
    for (uint32_t rank = 1; rank < ranks.count && !ranks.own; rank++) {
        struct report other;

        TRY(clrnn_ranks_receive(&ranks.next, CLRNN_CHANNEL_MAIN, rank, 0, &other, sizeof(other)));
        if (own.status == CLRNN_OK && other.status != CLRNN_OK)
            clrnn_error(&ranks.next, other.status, "rank %u on %s: %s", rank, other.host, other.error);
        if (own.status == CLRNN_OK)
            own.status = other.status;
    }
    TRY(clrnn_ranks_broadcast(&ranks.next, CLRNN_CHANNEL_MAIN, &own.status, sizeof(own.status)));
    return own.status;
}

enum clrnn_status clrnn_rank_share(const char *text, uint32_t *own, uint32_t *count)
{
    struct clrnn_hash hash;

    NEED(&ranks.next, own);
    NEED(&ranks.next, count);
    *own = 0;
    *count = 1;
    clrnn_hash_init(&hash);
    clrnn_hash_add_text(&hash, text);
    return ranks.count > 1 ? share((uint32_t)hash.lane[0], own, count) : CLRNN_OK;
}

enum clrnn_status clrnn_ranks_same(const struct clrnn_log *log, const char *text, bool *same)
{
    char first[128] = "";

    snprintf(first, sizeof(first), "%s", text);
    TRY(clrnn_ranks_broadcast(log, CLRNN_CHANNEL_MAIN, first, sizeof(first)));
    *same = !strcmp(first, text);
    return CLRNN_OK;
}
