// SPDX-License-Identifier: MIT
// Those that train together: each device of each process (rank) is a worker with a thread, and computes some
// of the shards. Messages between them go from thread to thread in a process, by MPI between processes. A
// worker may exchange messages on several channels at once, with a thread for each.
#ifndef CLRNN_SRC_TRAIN_WORKERS_H
#define CLRNN_SRC_TRAIN_WORKERS_H

#include <pthread.h>

#include "device/device.h"
#include "train/ranks.h"

#define CLRNN_MOST_DEVICES 64u // of one process

/** The workers of this process. */
struct clrnn_team;

/** Read-only for callers. Worker 0, on the first device of rank 0, leads. */
struct clrnn_worker {
    struct clrnn_team *team;
    struct clrnn_device *device;
    uint32_t number, count; // among all workers
    uint32_t local;         // among those of this process; 0: the thread that called clrnn_train
    enum clrnn_channel channel;
    bool computes;        // between clrnn_worker_begin and _end
    struct clrnn_log log; // of its device while there is a team
    const struct clrnn_log *next;
};

/** Writes `device` and the `count` further ones to `all`. CLRNN_ERR_ARG where they are too many, or not all
 * different. */
enum clrnn_status clrnn_team_devices(struct clrnn_device *device, struct clrnn_device *const *further,
                                     size_t count, struct clrnn_device *all[CLRNN_MOST_DEVICES]);

/** For `count` devices of this process, at most CLRNN_MOST_DEVICES, which must outlive the team; all ranks
 * must call it, with any counts. CLRNN_ERR_MEMORY, CLRNN_ERR_ARG where MPI cannot serve several threads. */
enum clrnn_status clrnn_team_create(const struct clrnn_log *log, struct clrnn_device *const *devices,
                                    uint32_t count, struct clrnn_team **team);
void clrnn_team_destroy(struct clrnn_team **team);

uint32_t clrnn_team_count(const struct clrnn_team *team);
/** The worker on the device `local` of this process. */
struct clrnn_worker *clrnn_team_worker(struct clrnn_team *team, uint32_t local);
/** The same worker for messages on another channel than the main one. */
const struct clrnn_worker *clrnn_worker_on(const struct clrnn_worker *worker, enum clrnn_channel channel);

/** What a worker's thread does. */
typedef enum clrnn_status clrnn_team_work(void *user);

/** Runs work(user[local]) in a thread for each worker but the caller's. Where one returns an error, the waits
 * of all threads for messages end with it; the first error is logged, with its device if that was computing,
 * by clrnn_team_join. CLRNN_ERR_MEMORY: no more threads; clrnn_team_join is due all the same. */
enum clrnn_status clrnn_team_start(struct clrnn_team *team, clrnn_team_work *work, void *const *user);
/** Ends the threads where the caller's `status` is an error, and waits for them; returns the first error,
 * else `status`. */
enum clrnn_status clrnn_team_join(struct clrnn_team *team, enum clrnn_status status);

/** Starts a thread that gets no signals to the process; returns as pthread_create. */
int clrnn_worker_thread(pthread_t *thread, void *(*work)(void *), void *user);
/** Ends the waits of all threads of this process for messages, now and from now on, with `status`: after an
 * error of a worker's further thread, or before that is joined. */
void clrnn_worker_fail(const struct clrnn_worker *worker, enum clrnn_status status);

/** From begin to end the worker's thread computes, so that errors are those of its device. */
void clrnn_worker_begin(struct clrnn_worker *worker);
void clrnn_worker_end(struct clrnn_worker *worker);

/** Sends bytes to, or receives them from, another worker, which must do the opposite on the same channel.
 * Called by the worker's thread of that channel; returns when `data` is free again. CLRNN_ERR_DEVICE: the
 * connection is lost; any error that another worker's thread has had. */
enum clrnn_status clrnn_worker_send(const struct clrnn_worker *worker, uint32_t to, void *data, size_t bytes);
enum clrnn_status clrnn_worker_receive(const struct clrnn_worker *worker, uint32_t from, void *data,
                                       size_t bytes);
/** The same in two steps. Between processes the message is on its way from begin to finish, so that others
 * may be, too: those between two workers must begin, and finish, in the same order in both. To another worker
 * of this process it goes when the sender begins and the receiver finishes. */
struct clrnn_transfer {
    const struct clrnn_worker *worker;
    uint32_t other;
    bool remote; // it is a message to or from another process
    struct clrnn_message message;
};
enum clrnn_status clrnn_transfer_begin(const struct clrnn_worker *worker, enum clrnn_message_kind kind,
                                       uint32_t other, void *data, size_t bytes,
                                       struct clrnn_transfer *transfer);
/** Whether finish need not wait for another process. */
enum clrnn_status clrnn_transfer_test(struct clrnn_transfer *transfer, bool *done);
enum clrnn_status clrnn_transfer_finish(struct clrnn_transfer *transfer);

/** Gives all workers what worker 0 has. */
enum clrnn_status clrnn_worker_broadcast(const struct clrnn_worker *worker, void *data, size_t bytes);

#endif
