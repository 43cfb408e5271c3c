// SPDX-License-Identifier: MIT
// Shared by the files that call MPI: ranks.c and messages.c.
#ifndef CLRNN_SRC_TRAIN_RANKS_MPI_H
#define CLRNN_SRC_TRAIN_RANKS_MPI_H

#include "train/ranks.h"

#ifdef CLRNN_HAVE_MPI
#include <mpi.h>
#endif

/** The state of MPI in this process. clrnn_rank_join sets it. */
struct clrnn_mpi {
    uint32_t own, // rank of this process
        count;    // number of ranks
#ifdef CLRNN_HAVE_MPI
    MPI_Comm comm[CLRNN_CHANNELS];
    int threads; // thread support that MPI provides, such as MPI_THREAD_SERIALIZED
#endif
};
extern struct clrnn_mpi clrnn_mpi;

#ifdef CLRNN_HAVE_MPI
/** If `result` is not MPI_SUCCESS, logs that `what` failed and MPI's reason, and returns CLRNN_ERR_DEVICE. */
enum clrnn_status clrnn_mpi_check(const struct clrnn_log *log, int result, const char *what);
#endif

#endif
