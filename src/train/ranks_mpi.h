// SPDX-License-Identifier: MIT
// What the files that call MPI share: ranks.c and messages.c.
#ifndef CLRNN_SRC_TRAIN_RANKS_MPI_H
#define CLRNN_SRC_TRAIN_RANKS_MPI_H

#include "train/ranks.h"

#ifdef CLRNN_HAVE_MPI
#include <mpi.h>
#endif

/** Set by clrnn_rank_join. */
struct clrnn_mpi {
    uint32_t own, count;
#ifdef CLRNN_HAVE_MPI
    MPI_Comm comm[CLRNN_CHANNELS];
    int threads; // what MPI allows them
#endif
};
extern struct clrnn_mpi clrnn_mpi;

#ifdef CLRNN_HAVE_MPI
/** CLRNN_ERR_DEVICE, with what MPI says of it, where `result` is not MPI_SUCCESS; `what` failed. */
enum clrnn_status clrnn_mpi_check(const struct clrnn_log *log, int result, const char *what);
#endif

#endif
