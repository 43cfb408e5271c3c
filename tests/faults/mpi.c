// SPDX-License-Identifier: MIT
// Preloaded by tests: makes a call of MPI fail, or counts messages, by MPI's profiling interface.
//
//     FAIL_MPI=FUNCTION:N      The N-th call of FUNCTION fails, counted from 1. Counts only calls in threads
//                              other than the process's first.
//     FAIL_RANK=RANK           The call fails only in this rank.
//     FAIL_REPORT=FILE         A line is appended to FILE when the call fails. FAIL_MPI requires this setting.
//
//     COUNT_MPI=FILE           FILE-RANK gets the largest number of messages in flight at the same time.
//
// A call that is made to fail does nothing.
#include <mpi.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long count;
static long begun, most; // messages in flight: now, and the largest number so far

static bool fails(const char *function)
{
    const char *const fault = getenv("FAIL_MPI"), *const wanted = getenv("FAIL_RANK"),
                      *const report = getenv("FAIL_REPORT");
    const size_t length = strlen(function);
    int rank, file;

    if (!fault || strncmp(fault, function, length) || fault[length] != ':' || syscall(SYS_gettid) == getpid())
        return false;
    PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (wanted && rank != atoi(wanted))
        return false;
    if (__atomic_add_fetch(&count, 1, __ATOMIC_RELAXED) != strtoul(fault + length + 1, NULL, 10))
        return false;
    file = report ? open(report, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file < 0 || write(file, fault, strlen(fault)) < 0 || write(file, "\n", 1) < 0)
        abort(); // a test without its report proves nothing
    close(file);
    return true;
}

static int counted(int error)
{
    const long now = error == MPI_SUCCESS ? __atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED) : 0;
    long before = __atomic_load_n(&most, __ATOMIC_RELAXED);

    while (now > before && !__atomic_compare_exchange_n(&most, &before, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        continue;
    return error;
}

int MPI_Isend(const void *data, int bytes, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
    return fails("MPI_Isend") ? MPI_ERR_OTHER : counted(PMPI_Isend(data, bytes, type, to, tag, comm, request));
}

int MPI_Irecv(void *data, int bytes, MPI_Datatype type, int from, int tag, MPI_Comm comm, MPI_Request *request)
{
    return fails("MPI_Irecv") ? MPI_ERR_OTHER : counted(PMPI_Irecv(data, bytes, type, from, tag, comm, request));
}

int MPI_Test(MPI_Request *request, int *done, MPI_Status *status)
{
    int error;

    if (fails("MPI_Test"))
        return MPI_ERR_OTHER;
    error = PMPI_Test(request, done, status);
    if (error == MPI_SUCCESS && *done)
        __atomic_sub_fetch(&begun, 1, __ATOMIC_RELAXED);
    return error;
}

int MPI_Iprobe(int from, int tag, MPI_Comm comm, int *there, MPI_Status *status)
{
    return fails("MPI_Iprobe") ? MPI_ERR_OTHER : PMPI_Iprobe(from, tag, comm, there, status);
}

int MPI_Finalize(void)
{
    const char *const report = getenv("COUNT_MPI");
    char path[4096];
    int rank;
    FILE *file;

    PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (report) {
        snprintf(path, sizeof(path), "%s-%d", report, rank);
        file = fopen(path, "w");
        if (!file || fprintf(file, "%ld\n", most) < 0 || fclose(file))
            abort();
    }
    return PMPI_Finalize();
}
