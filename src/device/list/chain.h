// SPDX-License-Identifier: MIT
// Chains: consecutive launches of a list, compiled into one kernel (cl/chain.cl).
#ifndef CLRNN_SRC_DEVICE_LIST_CHAIN_H
#define CLRNN_SRC_DEVICE_LIST_CHAIN_H

#include "device/list/internal.h"

/** A kernel that a chain calls as a function: cl/<stem>.cl with the defines, "WIDTH=16 LANES=1". */
struct clrnn_chain_function {
    const char *stem, *name, *defines; // strings of the launch
    size_t arg_count;
    const struct clrnn_arg *args;
};

/** The text of a chain's program, in fresh memory. Errors: as clrnn_source_flatten. */
enum clrnn_status clrnn_chain_source(const struct clrnn_device *device,
                                     const struct clrnn_chain_function *function, size_t count,
                                     uint32_t slots, char **source);

/** Launches first..last-1 as one kernel. */
struct clrnn_chain {
    size_t first, last;
    struct clrnn_buffer *state, *stages, *args; // owned
    cl_kernel kernel;                           // owned
    size_t groups;
};

/** A list's chains, in order; launches outside of chains are queued by themselves. */
struct clrnn_chains {
    struct clrnn_chain *chain;
    size_t count;
};

/** Builds all chains of a list into `chains`, which must be empty. Errors: as clrnn_launch_kernel; it
 * then stays empty. */
enum clrnn_status clrnn_chains_create(struct clrnn_launches *launches, struct clrnn_chains *chains);
void clrnn_chains_destroy(struct clrnn_chains *chains);
/** Queues launches first..last-1 of the list, as chains where there are any. Runs may stop at both ends of
 * this range, so that no chain crosses them. */
enum clrnn_status clrnn_chains_run(const struct clrnn_chains *chains, struct clrnn_launches *launches,
                                   size_t first, size_t last);
/** Number of commands that the list would become: chains, and launches outside of them. */
size_t clrnn_chains_queued(struct clrnn_launches *launches);

#endif
