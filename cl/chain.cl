// SPDX-License-Identifier: MIT
// A chain runs many launches as stages of one kernel, on CPUs, where queueing a small kernel and waking the threads for
// it takes longer than the kernel itself. This text follows the kernels' text, which src/device/list/chain_source.c
// turns into functions. CHAIN_CALLS has a case for each function; CHAIN_SLOTS and CHAIN_BASES list the buffers.
//
// A work-group is one work-item, which one thread runs to its end. Groups go through the stages in order: a group takes
// items of the stage while there are any, then waits until the items that other groups took are done. This cannot
// deadlock, whichever groups the driver runs at the same time: a group waits only for items that a running group has
// taken, and a single group would do all the work.
//
// Every group first takes items from its own share of a stage, then items that are left in other shares. The rows that
// one stage wrote are then in the cache of the core that reads them in the next.
//
// The result does not depend on which group computes an item; it has the same bits as that of separate launches.

#include "slots.h"

// An argument of a kernel takes two words of `args`. The first is a number, an offset in bytes into `scratch` for local
// memory, the index of a struct in `args`, or a buffer's slot. Only a buffer uses the second, an offset in words.
#define ARG_UINT(i) args[2 * (i)]
#define ARG_INT(i) as_int(args[2 * (i)])
#define ARG_REAL(i) as_float(args[2 * (i)])
#define ARG_LOCAL(i) ((local void *)(scratch + args[2 * (i)]))
#define ARG_BUFFER(i) buffer_at(base, args + 2 * (i))
#define ARG_STRUCT(i, type) (*(global const struct type *)(args + args[2 * (i)]))

static inline global void *buffer_at(global uint *const *base, global const uint *arg)
{
    return arg[0] == CHAIN_NO_BUFFER ? 0 : base[arg[0]] + arg[1];
}

static inline void run_item(uint function, const uint *item, global uint *const *base, global const uint *args,
                            local char *scratch)
{
    switch (function) {
        CHAIN_CALLS
    }
}

// Runs work-items [i, last) of a stage, which are numbered with the first dimension of its range fastest.
static inline void run_items(global const uint *stage, uint i, uint last, global uint *const *base,
                             global const uint *args, local char *scratch)
{
    global const uint *size = stage + STAGE_GLOBAL;

    for (; i < last; i++) {
        const uint row = i / size[0];
        const uint item[6] = {i % size[0], row % size[1], row / size[1], size[0], size[1], size[2]};

        run_item(stage[STAGE_FUNCTION], item, base, args + stage[STAGE_ARGS], scratch);
    }
}

// state [CHAIN_LINE (1 + 2 count)] is zero before and after the launch. One cache line counts the groups that are done.
// Each stage has two lines: portions taken from each of its shares, and items done. stages [count, STAGE_FIELDS].
kernel void chain(global uint *state, global const uint *stages, global const uint *args, uint count,
                  local char *scratch, CHAIN_SLOTS)
{
    global uint *const base[] = {CHAIN_BASES};
    const uint shares = min((uint)get_global_size(0), (uint)CHAIN_LINE);

    for (uint s = 0; s < count; s++) {
        global const uint *stage = stages + s * STAGE_FIELDS;
        volatile global uint *taken = state + CHAIN_LINE * (1 + 2 * s), *done = taken + CHAIN_LINE;
        const uint items = stage[STAGE_ITEMS], portion = stage[STAGE_PORTION];
        const uint portions = (items + portion - 1) / portion;
        uint mine = 0;

        for (uint i = 0, share = get_global_id(0) % shares; i < shares; i++, share = (share + 1) % shares) {
            const uint first = share * portions / shares, own = (share + 1) * portions / shares - first;

            if (taken[share] >= own)
                continue;
            for (uint p = atomic_inc(taken + share); p < own; p = atomic_inc(taken + share)) {
                const uint begin = (first + p) * portion, last = min(items, begin + portion);

                run_items(stage, begin, last, base, args, scratch);
                mine += last - begin;
            }
        }
        mem_fence(CLK_GLOBAL_MEM_FENCE);
        if (mine > 0)
            atomic_add(done, mine);
        while (*done < items)
            mem_fence(CLK_GLOBAL_MEM_FENCE);
        mem_fence(CLK_GLOBAL_MEM_FENCE);
    }
    if (atomic_inc((volatile global uint *)state) + 1 < get_global_size(0))
        return;
    for (uint i = 0; i < CHAIN_LINE * (1 + 2 * count); i++) // the last group to end resets `state`
        state[i] = 0;
}
