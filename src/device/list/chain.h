// SPDX-License-Identifier: MIT
// Chains: consecutive launches of a list, compiled into one kernel (cl/chain.cl).
#ifndef CLRNN_SRC_DEVICE_LIST_CHAIN_H
#define CLRNN_SRC_DEVICE_LIST_CHAIN_H

#include "device/list/internal.h"

/** A kernel that a chain calls as a function: kernel `name` of cl/<stem>.cl with `defines`, as "WIDTH=16 LANES=1". */
struct clrnn_chain_function {
    const char *stem, *name, *defines; // owned by the launch
    size_t arg_count;
    const struct clrnn_arg *args;
};

/** Writes the source of a chain's program to *source (to be freed). function [count]: the kernels that the chain calls.
 * slots: number of buffer arguments of the chain's kernel. Errors: as clrnn_source_flatten. */
enum clrnn_status clrnn_chain_source(const struct clrnn_device *device, const struct clrnn_chain_function *function,
                                     size_t count, uint32_t slots, char **source);

/** A chain: launches first to last - 1 of a list as one kernel. */
struct clrnn_chain {
    size_t first, last;
    struct clrnn_buffer *state, *stages, *args; // owned
    cl_kernel kernel;                           // owned
    size_t groups;
};

/** The chains of a list, in the list's order. Launches that are in no chain are queued one by one. */
struct clrnn_chains {
    struct clrnn_chain *chain;
    size_t count;
};

/** Builds all chains of a list into `chains`, which must be empty. Errors: as clrnn_launch_kernel; `chains` then stays
 * empty. */
enum clrnn_status clrnn_chains_create(struct clrnn_launches *launches, struct clrnn_chains *chains);
void clrnn_chains_destroy(struct clrnn_chains *chains);
/** Queues launches first to last - 1 of the list; launches of a chain are queued as that chain. `first` and `last` must
 * be places where runs may stop (clrnn_launches_stop), or the ends of the list: no chain crosses them. */
enum clrnn_status clrnn_chains_run(const struct clrnn_chains *chains, struct clrnn_launches *launches, size_t first,
                                   size_t last);
/** Returns the number of commands that a run of the list would queue: one for each chain, and one for each launch that
 * is in no chain. */
size_t clrnn_chains_queued(struct clrnn_launches *launches);

#endif
