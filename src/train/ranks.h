// SPDX-License-Identifier: MIT
// Messages between the processes that train together (ranks), by MPI. Only ranks.c and messages.c call MPI.
//
// Threads: the library asks MPI for MPI_THREAD_SERIALIZED and calls it from one thread at a time. Each channel is a
// communicator of its own. Therefore messages and broadcasts of different channels never match, in whatever order they
// are sent. On one channel, every rank must call broadcasts and clrnn_ranks_same in the same order, from one thread.
#ifndef CLRNN_SRC_TRAIN_RANKS_H
#define CLRNN_SRC_TRAIN_RANKS_H

#include <stddef.h>
#include <stdint.h>

#include "clrnn/train.h"

/** Return the number of processes (1 without MPI) and the rank of this process (0 without MPI). */
uint32_t clrnn_ranks_count(void);
uint32_t clrnn_ranks_own(void);

enum clrnn_channel {
    CLRNN_CHANNEL_MAIN,   // for each worker's own thread, which leads or computes
    CLRNN_CHANNEL_REDUCE, // for the threads that sum gradients
    CLRNN_CHANNEL_SHARE,  // for the threads that distribute the sums
    CLRNN_CHANNELS
};

/** Send `data` to another rank, or receive it from another rank. That rank must make the opposite call with the same
 * channel and `tag`, a number below 32767. Several threads may call these functions at once if their channels or tags
 * differ. Errors: CLRNN_ERR_DEVICE if the connection is lost. */
enum clrnn_status clrnn_ranks_send(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t to, uint32_t tag,
                                   void *data, size_t bytes);
enum clrnn_status clrnn_ranks_receive(const struct clrnn_log *log, enum clrnn_channel channel, uint32_t from,
                                      uint32_t tag, void *data, size_t bytes);
/** Copies `data` of rank 0 to all ranks. */
enum clrnn_status clrnn_ranks_broadcast(const struct clrnn_log *log, enum clrnn_channel channel, void *data,
                                        size_t bytes);

/** A non-blocking message, so that several messages can be in transit at once. Messages of one channel, rank and tag
 * arrive in the order in which they were begun. The caller fills in the members up to `bytes`; `data` must stay valid
 * until the message is done. MPI makes progress only while a thread of this process waits, tests or calls
 * clrnn_ranks_progress. */
struct clrnn_message {
    enum clrnn_message_kind { CLRNN_MESSAGE_SEND, CLRNN_MESSAGE_RECEIVE, CLRNN_MESSAGE_BROADCAST } kind;
    enum clrnn_channel channel;
    uint32_t other, tag; // unused in a broadcast
    bool patient;        // the message is not needed soon: clrnn_message_wait polls less often
    char *data;
    size_t bytes;

    size_t begun; // bytes handed to MPI so far, transferred or not
    uint32_t bit; // in a broadcast: the next receiver is this rank plus `bit`
    bool sends, done;
    uintptr_t request; // an MPI_Request
};
/** Begin a message; test without waiting whether it is done; wait until it is done. Errors: as clrnn_ranks_send. After
 * an error of clrnn_message_begin the message is not begun. After an error of the other two functions it is given
 * up. */
enum clrnn_status clrnn_message_begin(const struct clrnn_log *log, struct clrnn_message *message);
enum clrnn_status clrnn_message_test(const struct clrnn_log *log, struct clrnn_message *message, bool *done);
enum clrnn_status clrnn_message_wait(const struct clrnn_log *log, struct clrnn_message *message);
/** Lets MPI make progress with the messages of this process. *busy: whether any messages are in transit. */
enum clrnn_status clrnn_ranks_progress(const struct clrnn_log *log, bool *busy);
/** Returns whether messages that were given up are still in transit. Their `data` must then stay allocated until the
 * process ends, which it does soon. */
bool clrnn_ranks_keep_memory(void);

/** Sets *ns to how long a thread that polls for a message of this many bytes should sleep before its next poll. Set *ns
 * to 0 before the first call; the time grows from call to call. Each poll takes a CPU core from the device, so polls
 * are few for large messages, and fewer still if the thread is `patient`. */
void clrnn_ranks_pause(size_t bytes, bool patient, long *ns);

/** Sets *same to whether this rank's `text`, shorter than 128 bytes, equals the text of rank 0. All ranks must call it.
 * Errors: as clrnn_ranks_send. */
enum clrnn_status clrnn_ranks_same(const struct clrnn_log *log, const char *text, bool *same);

/** clrnn_ranks_have_threads returns whether several threads of a process can exchange messages with other ranks.
 * clrnn_ranks_check_threads returns CLRNN_ERR_ARG, with a message, if they cannot. */
bool clrnn_ranks_have_threads(void);
enum clrnn_status clrnn_ranks_check_threads(const struct clrnn_log *log);
/** Makes all waits of this process for other ranks return `status`: those that have begun, and all later ones. Logs
 * nothing. Called when another thread has failed and clrnn_ranks_abort will follow. */
void clrnn_ranks_give_up(enum clrnn_status status);

/** Ends the processes of all ranks. Called when one rank has failed and others may wait for it. If this process is
 * alone, does nothing and returns. */
void clrnn_ranks_abort(enum clrnn_status status);

#endif
