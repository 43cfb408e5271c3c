// SPDX-License-Identifier: MIT
// A replay: a list of launches that runs many times, and the decision whether it runs as chains (doc/kernels.md).
#ifndef CLRNN_SRC_DEVICE_LIST_REPLAY_H
#define CLRNN_SRC_DEVICE_LIST_REPLAY_H

#include "device/list/list.h"

/**
 * A replay of a list. On CPUs, consecutive kernels can run as one launch, a chain. A replay builds the chains when the
 * list has run so often and so long that the build pays off. It then times a few runs with and without chains (the
 * trial), and drops the chains if they are clearly slower. There are no chains on GPUs, nor if launches are timed one
 * by one. If CLRNN_CHAIN_AFTER is set, chains are built after that number of runs, and there is no trial.
 */
struct clrnn_replay;

/** Creates the replay of a list. The list must be complete, and must outlive the replay. */
enum clrnn_status clrnn_replay_create(struct clrnn_launches *launches, struct clrnn_replay **replay);
void clrnn_replay_destroy(struct clrnn_replay **replay);

/** Queues every launch once, in order; waits only where clrnn_launches_run does, and in a trial. Errors: as
 *  clrnn_launches_run and, when chains are made, as clrnn_launch_kernel. */
enum clrnn_status clrnn_replay_run(struct clrnn_replay *replay);
/** Like clrnn_replay_run, but queues only launches first to last - 1. Successive calls continue one run, which the
 * list's last launch ends. `first` and `last` must be places where runs may stop (clrnn_launches_stop), or the ends of
 * the list. */
enum clrnn_status clrnn_replay_run_part(struct clrnn_replay *replay, size_t first, size_t last);

/** Builds the chains now, however long the build takes; the trial follows as usual. */
enum clrnn_status clrnn_replay_chain(struct clrnn_replay *replay);
/** Whether the decision about chains is made: there are no chains to build, or the trial is over. */
bool clrnn_replay_settled(const struct clrnn_replay *replay);
/** Whether the list has chains now: they are built and not dropped. During the trial, only some runs use them. */
bool clrnn_replay_chained(const struct clrnn_replay *replay);
/** Returns the number of commands that a run queues with chains, even if the chains are not built yet. If the chains
 * were dropped, returns the number without chains. */
size_t clrnn_replay_queued(const struct clrnn_replay *replay);

#endif
