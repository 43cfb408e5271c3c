// SPDX-License-Identifier: MIT
// The processes that train together, by MPI: messages between them. The only part that knows MPI. All
// functions but count and own must be called by every rank in the same order, and by one thread.
#ifndef CLRNN_SRC_TRAIN_RANKS_H
#define CLRNN_SRC_TRAIN_RANKS_H

#include <stddef.h>

#include "clrnn/train.h"

/** Number of processes, 1 without MPI; this one's number among them. */
uint32_t clrnn_ranks_count(void);
uint32_t clrnn_ranks_own(void);

/** Sends bytes to, or receives from, another rank, which must do the opposite. CLRNN_ERR_DEVICE if the
 * connection is lost. */
enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, uint32_t to, void *data, size_t bytes);
enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, uint32_t from, void *data, size_t bytes);
/** Gives all ranks what rank 0 has. */
enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, void *data, size_t bytes);

/** Whether this rank's `text`, below 128 bytes, is that of rank 0. */
enum clrnn_status clrnn_ranks_same(const struct clrnn_log *log, const char *text, bool *same);

/** Ends the processes of all ranks where one of them has failed and others wait for it; does nothing, and
 * returns, where this process is alone. */
void clrnn_ranks_abort(enum clrnn_status status);

#endif
