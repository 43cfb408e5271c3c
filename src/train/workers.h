// SPDX-License-Identifier: MIT
// Workers train together: each device of each process (rank) is a worker with a thread of its own, and computes some of
// the shards. Messages go from thread to thread within a process, and by MPI between processes. A worker may exchange
// messages on several channels at once, with one thread for each channel.
#ifndef CLRNN_SRC_TRAIN_WORKERS_H
#define CLRNN_SRC_TRAIN_WORKERS_H

#include <pthread.h>

#include "device/device.h"
#include "train/ranks.h"

#define CLRNN_MOST_DEVICES 64u // most devices of one process

/** The workers of this process. */
struct clrnn_team;

/** Read-only for callers. Worker 0, on the first device of rank 0, leads the training. */
struct clrnn_worker {
    struct clrnn_team *team;
    struct clrnn_device *device;
    uint32_t number, count; // number of this worker, and count of workers, in all processes
    uint32_t local;         // index in this process; 0: works in the thread that called clrnn_train
    enum clrnn_channel channel;
    bool computes;                // the thread is between clrnn_worker_begin and clrnn_worker_end
    struct clrnn_log log;         // log of the device while the team exists
    const struct clrnn_log *next; // log of the device before and after; `log` passes messages on to it
};

/** Writes `device` and the `count` devices of `further` to `all`. Errors: CLRNN_ERR_ARG if there are too many devices,
 * or if a further device is NULL or occurs twice. */
enum clrnn_status clrnn_team_devices(struct clrnn_device *device, struct clrnn_device *const *further, size_t count,
                                     struct clrnn_device *all[CLRNN_MOST_DEVICES]);

/** Creates the team for `count` devices of this process, at most CLRNN_MOST_DEVICES. The devices must outlive the team.
 * All ranks must call it; their counts may differ. After an error, too, the caller must destroy *team. Errors:
 * CLRNN_ERR_MEMORY; CLRNN_ERR_ARG if `count` is above 1 and MPI cannot serve several threads; as clrnn_ranks_send. */
enum clrnn_status clrnn_team_create(const struct clrnn_log *log, struct clrnn_device *const *devices, uint32_t count,
                                    struct clrnn_team **team);
void clrnn_team_destroy(struct clrnn_team **team);

uint32_t clrnn_team_count(const struct clrnn_team *team);
/** Returns the worker on device number `local` of this process. */
struct clrnn_worker *clrnn_team_worker(struct clrnn_team *team, uint32_t local);
/** Returns the same worker, for messages on another channel. */
const struct clrnn_worker *clrnn_worker_on(const struct clrnn_worker *worker, enum clrnn_channel channel);

/** The function that a worker's thread runs. */
typedef enum clrnn_status clrnn_team_work(void *user);

/** Runs work(user[local]) in a new thread for each worker except the caller's. If one call returns an error, all waits
 * for messages in this process end with the same error. The first error is logged, at the latest by clrnn_team_join;
 * the message names the device if it was computing. Errors: CLRNN_ERR_MEMORY if a thread cannot be started;
 * clrnn_team_join must be called even then. */
enum clrnn_status clrnn_team_start(struct clrnn_team *team, clrnn_team_work *work, void *const *user);
/** Waits for the threads to end. If the caller's `status` is an error, ends their waits for messages first. Returns the
 * first error of all threads, else `status`. */
enum clrnn_status clrnn_team_join(struct clrnn_team *team, enum clrnn_status status);

/** Starts a thread that receives no signals sent to the process. Returns like pthread_create. */
int clrnn_worker_thread(pthread_t *thread, void *(*work)(void *), void *user);
/** Makes all waits for messages in this process, those that have begun and all later ones, end with `status`. Called
 * after an error in a worker's additional thread, or before such a thread is joined. */
void clrnn_worker_fail(const struct clrnn_worker *worker, enum clrnn_status status);

/** Between clrnn_worker_begin and clrnn_worker_end the worker's thread computes: errors that are logged then are
 * reported as errors of its device. */
void clrnn_worker_begin(struct clrnn_worker *worker);
void clrnn_worker_end(struct clrnn_worker *worker);

/** Send bytes to another worker, or receive them from it. The other worker must make the opposite call on the same
 * channel. The worker's thread of that channel calls these functions. They return when `data` may be reused. Errors:
 * CLRNN_ERR_DEVICE if the connection is lost; the error of another worker's thread if that has failed. */
enum clrnn_status clrnn_worker_send(const struct clrnn_worker *worker, uint32_t to, void *data, size_t bytes);
enum clrnn_status clrnn_worker_receive(const struct clrnn_worker *worker, uint32_t from, void *data, size_t bytes);
/** A message that one call begins and another call finishes, so that several messages can be in transit between
 * processes at once. Two workers must begin the messages between them in the same order, and finish them in the same
 * order. Within a process, the sender's clrnn_transfer_begin waits for the receiver's clrnn_transfer_finish. */
struct clrnn_transfer {
    const struct clrnn_worker *worker;
    uint32_t other;
    bool remote; // the message goes to or comes from another process
    struct clrnn_message message;
};
enum clrnn_status clrnn_transfer_begin(const struct clrnn_worker *worker, enum clrnn_message_kind kind, uint32_t other,
                                       void *data, size_t bytes, struct clrnn_transfer *transfer);
/** Sets *done to whether clrnn_transfer_finish would return without waiting for another process. */
enum clrnn_status clrnn_transfer_test(struct clrnn_transfer *transfer, bool *done);
enum clrnn_status clrnn_transfer_finish(struct clrnn_transfer *transfer);

/** Copies `data` of worker 0 to all workers. */
enum clrnn_status clrnn_worker_broadcast(const struct clrnn_worker *worker, void *data, size_t bytes);

#endif
