// SPDX-License-Identifier: MIT
// A chain is one kernel that runs many launches, each as a stage. Chains are for CPUs, where queueing a small kernel
// and waking the threads for it takes longer than the kernel itself. src/device/list/chain_source.c writes the program.
// The program consists of the kernels' source, turned into functions, of the following macros, and of this file.
//   CHAIN_SLOTS  the parameters of the kernel `chain` that are buffers
//   CHAIN_BASES  the names of these parameters, to initialise an array
//   CHAIN_CALLS  a switch case for each function
//
// A work-group of the chain has a single work-item, so that one thread of the driver runs it to its end. It is called a
// group below. The work-items of the launch that a stage replaces are called the stage's items. Groups go through the
// stages in order: a group takes items of the stage while there are any, then waits until the items that other groups
// took are done. This cannot deadlock, whichever groups the driver runs at the same time: a group waits only for items
// that a running group has taken, and a single group would do all the work.
//
// The items of a stage are divided into shares, one for each group, but at most CHAIN_LINE (slots.h) shares. A group
// first takes items of its own share, then items that are left in other shares. So a core mostly reads rows that it has
// itself written in the stage before, and that are still in its cache.
//
// Results do not depend on which group computes an item. They have the same bits as those of separate launches.

#include "slots.h"

// Each kernel argument has two 32-bit words in `args`, which begins at the arguments of the stage. The first word is:
// - for a number: the number
// - for local memory: its offset in `scratch`, in bytes
// - for a struct: the index in `args` of its first word
// - for a buffer: its index in `base`, or CHAIN_NO_BUFFER for NULL
// Only a buffer uses the second word: the offset at which it begins, in words.
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

// Runs work-items [i, last) of a stage. Consecutive numbers are consecutive ids in dimension 0 of the stage's range,
// then in dimensions 1 and 2.
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

// Runs the stages that `stages` [count, STAGE_FIELDS] describes. A group takes one portion of items at a time, as many
// as the stage's field STAGE_PORTION says.
//
// state [CHAIN_LINE * (1 + 2 count)] is all zero before and after the launch. Its first cache line counts the groups
// that have ended. Then follow two lines for each stage: the first has for each share the number of portions that were
// taken from it; the second has the number of items that are done.
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
