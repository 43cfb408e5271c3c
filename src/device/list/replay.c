// SPDX-License-Identifier: MIT
// Replays a list, and decides whether the list runs as chains.
#include "device/list/replay.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "device/list/chain.h"

// Chains are built after this many runs and this many seconds. Building a chain costs as much time as thousands of
// small launches, so short trainings are faster without chains.
enum { CHAIN_AFTER = 32 };
#define CHAIN_AFTER_S 1.0

// The trial times runs with and without chains in alternating windows. The first two windows have one run each. In the
// first, drivers build kernels; the time of the second sets the number of runs of later windows. Only later windows
// count: each has as many runs as take TRIAL_S seconds, at most TRIAL_RUNS. Chains that take more than MOST_SLOWDOWN
// times as long are dropped. This factor exceeds the noise of a busy machine.
enum { TRIAL_WINDOWS = 6, TRIAL_RUNS = 32 };
#define TRIAL_S 0.02
#define MOST_SLOWDOWN 1.25

struct clrnn_replay {
    struct clrnn_launches *launches;
    struct clrnn_chains chains; // empty before they are built and after they are dropped
    enum { REPLAY_OPEN, REPLAY_TRIAL, REPLAY_SETTLED } state;
    size_t queued; // commands that a run queues with chains
    uint64_t count;
    double first_s; // clrnn_clock() at the first run
    bool chained;   // whether the run in progress uses chains
    struct {
        // window: number of the current window, from 0.
        // runs: runs so far in the current window.
        // size: runs per window, from the third window on.
        unsigned window, runs, size;
        uint64_t replays; // value of device->replays at the previous run
        bool apart;       // whether runs are timed one by one, because other lists are replayed between them
        // start_s: clrnn_clock() when the current timing began.
        // window_s: seconds so far of the current window.
        double start_s, window_s;
        double taken_s[2]; // total seconds of the windows without [0] and with chains [1]
    } trial;
};

enum clrnn_status clrnn_replay_create(struct clrnn_launches *launches, struct clrnn_replay **replay)
{
    struct clrnn_replay *r = *replay = calloc(1, sizeof(*r));

    if (!r)
        return clrnn_error_memory(launches->device->log, sizeof(*r), "a list of launches");
    r->launches = launches;
    r->queued = clrnn_chains_queued(launches);
    r->state = r->queued < launches->count ? REPLAY_OPEN : REPLAY_SETTLED;
    return CLRNN_OK;
}

void clrnn_replay_destroy(struct clrnn_replay **replay)
{
    if (*replay)
        clrnn_chains_destroy(&(*replay)->chains);
    free(*replay);
    *replay = NULL;
}

enum clrnn_status clrnn_replay_chain(struct clrnn_replay *r)
{
    struct clrnn_device *d = r->launches->device;
    enum clrnn_status st;

    if (r->state != REPLAY_OPEN)
        return CLRNN_OK;
    if (!d->told_of_chain)
        clrnn_log(d->log, CLRNN_LOG_INFO,
                  "building the %zu kernels of a step into few, to try whether that is faster on %s",
                  r->launches->count, d->info.name);
    d->told_of_chain = true;
    d->ops = 0; // progress messages then name no op, because a chain spans several ops
    st = clrnn_chains_create(r->launches, &r->chains);
    r->state = st != CLRNN_OK || r->launches->device->chain_forced ? REPLAY_SETTLED : REPLAY_TRIAL;
    return st;
}

bool clrnn_replay_settled(const struct clrnn_replay *r)
{
    return r->state == REPLAY_SETTLED;
}

bool clrnn_replay_chained(const struct clrnn_replay *r)
{
    return r->chains.count > 0;
}

size_t clrnn_replay_queued(const struct clrnn_replay *r)
{
    return r->state == REPLAY_SETTLED && !r->chains.count ? r->launches->count : r->queued;
}

static void end_trial(struct clrnn_replay *r)
{
    const double *taken_s = r->trial.taken_s;

    r->state = REPLAY_SETTLED;
    clrnn_log(r->launches->device->log, CLRNN_LOG_DEBUG, "%u runs of %zu launches each take %.3f s, as chains %.3f s",
              r->trial.size * (TRIAL_WINDOWS - 2) / 2, r->launches->count, taken_s[0], taken_s[1]);
    if (taken_s[1] > MOST_SLOWDOWN * taken_s[0])
        clrnn_chains_destroy(&r->chains);
}

// Begins one run of the trial. If another list was replayed between two runs of a window, the window
// begins again. From then on each run is timed by itself: the host waits for the device before and after it.
static enum clrnn_status begin_trial(struct clrnn_replay *r)
{
    struct clrnn_device *d = r->launches->device;

    r->chained = r->trial.window % 2 == 0;
    if (r->trial.runs && !r->trial.apart && d->replays != r->trial.replays + 1) {
        r->trial.apart = true;
        r->trial.runs = 0;
    }
    r->trial.replays = d->replays;
    if (!r->trial.runs || r->trial.apart) {
        TRY(clrnn_device_finish(d));
        r->trial.start_s = clrnn_clock();
    }
    return CLRNN_OK;
}

static enum clrnn_status end_run_of_trial(struct clrnn_replay *r)
{
    bool over;

    over = ++r->trial.runs == r->trial.size || r->trial.window < 2;
    if (!over && !r->trial.apart)
        return CLRNN_OK;
    TRY(clrnn_device_finish(r->launches->device));
    r->trial.window_s += clrnn_clock() - r->trial.start_s;
    if (!over)
        return CLRNN_OK;
    if (r->trial.window < 2)
        r->trial.size = (unsigned)fmin(fmax(TRIAL_S / r->trial.window_s, 1), TRIAL_RUNS);
    else
        r->trial.taken_s[r->chained] += r->trial.window_s;
    r->trial.runs = 0;
    r->trial.window_s = 0;
    if (++r->trial.window == TRIAL_WINDOWS)
        end_trial(r);
    return CLRNN_OK;
}

static bool worth_chaining(const struct clrnn_replay *r)
{
    const struct clrnn_device *d = r->launches->device;

    return d->chain_forced ? r->count > d->chain_after
                           : r->count > CHAIN_AFTER && clrnn_clock() - r->first_s > CHAIN_AFTER_S;
}

static enum clrnn_status begin_run(struct clrnn_replay *r)
{
    r->launches->device->replays++;
    if (r->state == REPLAY_OPEN) {
        if (r->count++ == 0)
            r->first_s = clrnn_clock();
        if (worth_chaining(r))
            TRY(clrnn_replay_chain(r));
    }
    r->chained = r->chains.count > 0;
    return r->state == REPLAY_TRIAL ? begin_trial(r) : CLRNN_OK;
}

enum clrnn_status clrnn_replay_run_part(struct clrnn_replay *r, size_t first, size_t last)
{
    if (!first)
        TRY(begin_run(r));
    TRY(r->chained ? clrnn_chains_run(&r->chains, r->launches, first, last)
                   : clrnn_launches_run_part(r->launches, first, last));
    TRY(clrnn_device_flush(r->launches->device));
    return r->state == REPLAY_TRIAL && last == r->launches->count ? end_run_of_trial(r) : CLRNN_OK;
}

enum clrnn_status clrnn_replay_run(struct clrnn_replay *r)
{
    return clrnn_replay_run_part(r, 0, r->launches->count);
}
