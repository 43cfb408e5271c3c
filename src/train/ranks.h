// SPDX-License-Identifier: MIT
// The processes that train together, by MPI: messages between them. Only ranks.c and messages.c know MPI.
//
// Threads: MPI is asked for MPI_THREAD_SERIALIZED, and called by one thread at a time. Each channel is a
// communicator of its own: messages and broadcasts of different channels do not meet, whatever their order.
// On one channel, every rank must call broadcasts and clrnn_ranks_same in the same order, from one thread.
#ifndef CLRNN_SRC_TRAIN_RANKS_H
#define CLRNN_SRC_TRAIN_RANKS_H

#include <stddef.h>
#include <stdint.h>

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
 * `tag`, a number below 32767. Several threads may do so at once where channel or tag differ.
 * CLRNN_ERR_DEVICE if the connection is lost. */
enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to,
                                   uint32_t tag, void *data, size_t bytes);
enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t from,
                                      uint32_t tag, void *data, size_t bytes);
/** Gives all ranks what rank 0 has. */
enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, enum clrnn_channel channel, void *data,
                                        size_t bytes);

/** The same as something that is on its way meanwhile, so that several messages share a connection: those of
 * a channel, a rank and a tag arrive in the order in which they have begun. The caller fills in all but the
 * last members; `data` must stay until it is done. MPI goes on with what is on its
 * way while a thread of the process waits, tests or calls clrnn_ranks_progress. */
struct clrnn_message {
    enum clrnn_message_kind { CLRNN_MESSAGE_SEND, CLRNN_MESSAGE_RECEIVE, CLRNN_MESSAGE_BROADCAST } kind;
    enum clrnn_channel channel;
    uint32_t other, tag; // not those of a broadcast
    bool patient;        // nobody needs it soon: a wait for it looks less often
    char *data;
    size_t bytes;

    size_t begun; // bytes, those that are done included
    uint32_t bit; // of a broadcast: the next rank is that of the own number and this bit
    bool sends, done;
    uintptr_t request; // MPI's
};
/** Errors as clrnn_ranks_send, at which the message is not begun, or is given up. */
enum clrnn_status clrnn_message_begin(const struct clrnn_log *log, struct clrnn_message *message);
enum clrnn_status clrnn_message_test(const struct clrnn_log *log, struct clrnn_message *message, bool *done);
enum clrnn_status clrnn_message_wait(const struct clrnn_log *log, struct clrnn_message *message);
/** Has MPI go on with the messages of this process; *busy: there are some on their way. */
enum clrnn_status clrnn_ranks_progress(const struct clrnn_log *log, bool *busy);
/** Whether messages that were given up are still on their way: their `data` must stay until the process ends,
 * which it does soon. */
bool clrnn_ranks_keep_memory(void);

/** The pause of a thread that looks again and again for a message of so many bytes: *ns, which grows; 0: the
 * first. Each look takes a core from the device, so there are few while many bytes are on their way, and
 * fewer where the thread is `patient`. */
void clrnn_ranks_pause(size_t bytes, bool patient, long *ns);

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
