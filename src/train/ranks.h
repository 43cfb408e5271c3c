// SPDX-License-Identifier: MIT
// The processes that train together, by MPI: messages between them. The only part that knows MPI.
//
// Threads: MPI is asked for MPI_THREAD_SERIALIZED, and called by one thread at a time. Each channel is a
// communicator of its own: messages and broadcasts of different channels do not meet, whatever their order.
// On one channel, every rank must call broadcasts and clrnn_ranks_same in the same order, from one thread.
#ifndef CLRNN_SRC_TRAIN_RANKS_H
#define CLRNN_SRC_TRAIN_RANKS_H

#include <stddef.h>

#include "clrnn/train.h"

/** Number of processes, 1 without MPI; this one's number among them. */
uint32_t clrnn_ranks_count(void);
uint32_t clrnn_ranks_own(void);

enum clrnn_channel {
    CLRNN_CHANNEL_MAIN,   // of the threads that lead and compute
    CLRNN_CHANNEL_REDUCE, // of those that sum gradients, and
    CLRNN_CHANNEL_SHARE,  // share the sums
    CLRNN_CHANNELS
};

/** Sends bytes to, or receives from, another rank, which must do the opposite with the same channel and
 * `tag`, a number below 32768. Several threads may do so at once where channel or tag differ.
 * CLRNN_ERR_DEVICE if the connection is lost. */
enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to,
                                   uint32_t tag, void *data, size_t bytes);
enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t from,
                                      uint32_t tag, void *data, size_t bytes);
/** Gives all ranks what rank 0 has. */
enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, enum clrnn_channel channel, void *data,
                                        size_t bytes);

/** Whether this rank's `text`, below 128 bytes, is that of rank 0. */
enum clrnn_status clrnn_ranks_same(const struct clrnn_log *log, const char *text, bool *same);

/** Whether several threads of a process can exchange messages with other ranks; CLRNN_ERR_ARG if not. */
bool clrnn_ranks_have_threads(void);
enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log);
/** Has all waits of this process for other ranks, now and from now on, return `status` without a message:
 * another thread has failed, and clrnn_ranks_abort follows. */
void clrnn_ranks_give_up(enum clrnn_status status);

/** Ends the processes of all ranks where one of them has failed and others wait for it; does nothing, and
 * returns, where this process is alone. */
void clrnn_ranks_abort(enum clrnn_status status);

#endif
