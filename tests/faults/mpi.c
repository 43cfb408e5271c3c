// SPDX-License-Identifier: MIT
// Preloaded by tests: makes a call of MPI fail, by MPI's profiling interface.
//
//     FAIL_MPI=FUNCTION:N      the N-th call, from 1, of threads other than the process's first
//     FAIL_RANK=RANK           in this rank alone
//     FAIL_REPORT=FILE         a line, written when it fails
//
// What fails does nothing.
#include <mpi.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long count;

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

int MPI_Isend(const void *data, int bytes, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    return fails("MPI_Isend") ? MPI_ERR_OTHER : PMPI_Isend(data, bytes, type, to, tag, comm, request);
}

int MPI_Irecv(void *data, int bytes, MPI_Datatype type, int from, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    return fails("MPI_Irecv") ? MPI_ERR_OTHER : PMPI_Irecv(data, bytes, type, from, tag, comm, request);
}

int MPI_Ibcast(void *data, int bytes, MPI_Datatype type, int root, MPI_Comm comm, MPI_Request *request)
{
    return fails("MPI_Ibcast") ? MPI_ERR_OTHER : PMPI_Ibcast(data, bytes, type, root, comm, request);
}

int MPI_Test(MPI_Request *request, int *done, MPI_Status *status)
{
    return fails("MPI_Test") ? MPI_ERR_OTHER : PMPI_Test(request, done, status);
}
