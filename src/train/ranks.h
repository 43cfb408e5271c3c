// SPDX-License-Identifier: MIT
// The processes that train together, by MPI: messages between them. The only part that knows MPI. Broadcasts
// and clrnn_ranks_same must be called by every rank in the same order, from one thread.
#ifndef CLRNN_SRC_TRAIN_RANKS_H
#define CLRNN_SRC_TRAIN_RANKS_H

#include <stddef.h>

#include "clrnn/train.h"

/** Number of processes, 1 without MPI; this one's number among them. */
uint32_t clrnn_ranks_count(void);
uint32_t clrnn_ranks_own(void);

/** Sends bytes to, or receives from, another rank, which must do the opposite with the same `tag`, a number
 * below 32768. Several threads may do so at once where their tags differ. CLRNN_ERR_DEVICE if the connection
 * is lost. */
enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, uint32_t to, uint32_t tag, void *data,
                                   size_t bytes);
enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, uint32_t from, uint32_t tag, void *data,
                                      size_t bytes);
/** Gives all ranks what rank 0 has. */
enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, void *data, size_t bytes);

/** Whether this rank's `text`, below 128 bytes, is that of rank 0. */
enum clrnn_status clrnn_ranks_same(const struct clrnn_log *log, const char *text, bool *same);

/** CLRNN_ERR_ARG where several threads of a process cannot exchange messages with other ranks. */
enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log);
/** Has all waits of this process for other ranks, now and from now on, return `status` without a message:
 * another thread has failed, and clrnn_ranks_abort follows. */
void clrnn_ranks_give_up(enum clrnn_status status);

/** Ends the processes of all ranks where one of them has failed and others wait for it; does nothing, and
 * returns, where this process is alone. */
void clrnn_ranks_abort(enum clrnn_status status);

#endif
