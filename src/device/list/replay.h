// SPDX-License-Identifier: MIT
// A list of launches that runs over and over, and the decision whether it runs as chains (doc/kernels.md).
#ifndef CLRNN_SRC_DEVICE_LIST_REPLAY_H
#define CLRNN_SRC_DEVICE_LIST_REPLAY_H

#include "device/list/list.h"

/**
 * On CPUs, consecutive kernels can run as one launch, a chain. A replay builds the chains once the list has
 * run often and long enough to be worth a build, times a few runs with and without them, and keeps what is
 * faster. There are no chains on GPUs, nor where launches are timed one by one. CLRNN_CHAIN_AFTER sets the
 * number of runs before the build instead, and no trial follows.
 */
struct clrnn_replay;

/** `launches` must be complete, and outlive the replay. */
enum clrnn_status clrnn_replay_create(struct clrnn_launches *launches, struct clrnn_replay **replay);
void clrnn_replay_destroy(struct clrnn_replay **replay);

/** Queues every launch once, in order; waits only where clrnn_launches_run does, and in a trial. Errors: as
 *  clrnn_launches_run and, when chains are made, as clrnn_launch_kernel. */
enum clrnn_status clrnn_replay_run(struct clrnn_replay *replay);
/** Like clrnn_replay_run, but queues only launches first..last-1. Successive calls continue each other until
 *  the list's last launch ends the run; they begin and end where runs may stop (clrnn_launches_stop). */
enum clrnn_status clrnn_replay_run_part(struct clrnn_replay *replay, size_t first, size_t last);

/** Makes the chains now, whatever their build costs; the trial follows as usual. */
enum clrnn_status clrnn_replay_chain(struct clrnn_replay *replay);
/** Whether the decision is made: there are no chains to build, or their trial is over. */
bool clrnn_replay_settled(const struct clrnn_replay *replay);
/** Whether runs use chains now. */
bool clrnn_replay_chained(const struct clrnn_replay *replay);
/** Number of commands that a run queues with chains, even if these are not built yet; if they were dropped,
 * without. */
size_t clrnn_replay_queued(const struct clrnn_replay *replay);

#endif
