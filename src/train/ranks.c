// SPDX-License-Identifier: MIT
// Lets ranks (processes) join by MPI, agree on a status, and end.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/child.h"
#include "base/hash.h"
#include "base/log.h"
#include "train/ranks_mpi.h"

static struct {
    bool joined, own_mpi;  // own_mpi: this library started MPI
    struct clrnn_log next; // the caller's log
    char host[256];
    struct clrnn_child_report said; // first error of this rank, if it is not rank 0
} ranks;

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

#ifdef CLRNN_HAVE_MPI

static enum clrnn_status start(const struct clrnn_log *log, uint32_t *local)
{
    int there = 0, size, own, among;
    MPI_Comm node;

    TRY(clrnn_mpi_check(log, MPI_Initialized(&there), "asking for MPI"));
    if (!there)
        TRY(clrnn_mpi_check(log, MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &clrnn_mpi.threads), "starting"));
    else
        TRY(clrnn_mpi_check(log, MPI_Query_thread(&clrnn_mpi.threads), "asking for threads"));
    ranks.own_mpi = !there;
    for (int i = 0; i < CLRNN_CHANNELS; i++) {
        clrnn_mpi.comm[i] = MPI_COMM_NULL;
        TRY(clrnn_mpi_check(log, MPI_Comm_dup(MPI_COMM_WORLD, &clrnn_mpi.comm[i]), "a communicator"));
        MPI_Comm_set_errhandler(clrnn_mpi.comm[i], MPI_ERRORS_RETURN);
    }
    ranks.joined = true;
    TRY(clrnn_mpi_check(log, MPI_Comm_size(clrnn_mpi.comm[0], &size), "the number of ranks"));
    TRY(clrnn_mpi_check(log, MPI_Comm_rank(clrnn_mpi.comm[0], &own), "the rank"));
    TRY(clrnn_mpi_check(log, MPI_Comm_split_type(clrnn_mpi.comm[0], MPI_COMM_TYPE_SHARED, own, MPI_INFO_NULL, &node),
                        "the ranks of a host"));
    TRY(clrnn_mpi_check(log, MPI_Comm_rank(node, &among), "the rank on its host"));
    MPI_Comm_free(&node);
    clrnn_mpi.count = (uint32_t)size;
    clrnn_mpi.own = (uint32_t)own;
    *local = (uint32_t)among;
    if (!there && clrnn_rank_launched() > 1 && size == 1)
        return clrnn_error(log, CLRNN_ERR_ARG,
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

    TRY(clrnn_mpi_check(
        &ranks.next,
        MPI_Comm_split_type(clrnn_mpi.comm[CLRNN_CHANNEL_MAIN], MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host),
        "the ranks of a host"));
    TRY(clrnn_mpi_check(&ranks.next, MPI_Comm_split(host, (int)(kind & INT32_MAX), 0, &same), "some ranks of a host"));
    TRY(clrnn_mpi_check(&ranks.next, MPI_Comm_rank(same, &rank), "the rank among them"));
    TRY(clrnn_mpi_check(&ranks.next, MPI_Comm_size(same, &size), "their number"));
    MPI_Comm_free(&same);
    MPI_Comm_free(&host);
    *own = (uint32_t)rank;
    *count = (uint32_t)size;
    return CLRNN_OK;
}

void clrnn_ranks_abort(enum clrnn_status status)
{
    if (clrnn_mpi.count <= 1)
        return;
    if (clrnn_mpi.own)
        clrnn_log(&ranks.next, CLRNN_LOG_ERROR, "rank %u on %s: %s", clrnn_mpi.own, ranks.host, ranks.said.error);
    MPI_Abort(clrnn_mpi.comm[0], clrnn_status_exit(status));
}

void clrnn_rank_leave(void)
{
    if (!ranks.joined)
        return;
    for (int i = 0; i < CLRNN_CHANNELS; i++)
        MPI_Comm_free(&clrnn_mpi.comm[i]);
    if (ranks.own_mpi)
        MPI_Finalize();
    ranks.joined = false;
    clrnn_mpi.own = 0;
    clrnn_mpi.count = 1;
}

#else

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
    rank->own = clrnn_mpi.own;
    rank->count = clrnn_mpi.count;
    if (clrnn_mpi.own)
        rank->log = (struct clrnn_log){.fn = clrnn_child_log, .user = &ranks.said, .level = ranks.next.level};
    return CLRNN_OK;
}

// What a rank reports to rank 0 in clrnn_rank_agree: its status, host name and error message.
struct report {
    enum clrnn_status status;
    char host[sizeof(ranks.host)], error[sizeof(ranks.said.error)];
};

enum clrnn_status clrnn_rank_agree(enum clrnn_status status)
{
    struct report own = {.status = status};

    if (clrnn_mpi.count == 1)
        return status;
    memcpy(own.host, ranks.host, sizeof(own.host));
    memcpy(own.error, ranks.said.error, sizeof(own.error));
    if (clrnn_mpi.own)
        TRY(clrnn_ranks_send(&ranks.next, CLRNN_CHANNEL_MAIN, 0, 0, &own, sizeof(own)));
    for (uint32_t rank = 1; rank < clrnn_mpi.count && !clrnn_mpi.own; rank++) {
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
    return clrnn_mpi.count > 1 ? share((uint32_t)hash.lane[0], own, count) : CLRNN_OK;
}

enum clrnn_status clrnn_ranks_same(const struct clrnn_log *log, const char *text, bool *same)
{
    char first[128] = "";

    snprintf(first, sizeof(first), "%s", text);
    TRY(clrnn_ranks_broadcast(log, CLRNN_CHANNEL_MAIN, first, sizeof(first)));
    *same = !strcmp(first, text);
    return CLRNN_OK;
}
