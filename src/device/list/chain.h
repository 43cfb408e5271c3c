// SPDX-License-Identifier: MIT
// Chains: launches of a list carried out as one (cl/chain.cl).
#ifndef CLRNN_SRC_DEVICE_LIST_CHAIN_H
#define CLRNN_SRC_DEVICE_LIST_CHAIN_H

#include "device/list/internal.h"

/** A kernel as a chain's function: cl/<stem>.cl with the defines, "WIDTH=16 LANES=1"; its arguments' kinds.
 */
struct clrnn_chain_function {
    const char *stem, *name, *defines; // the launch's
    size_t arg_count;
    const struct clrnn_arg *args;
};

/** The text of a chain's program, in fresh memory. Errors: as clrnn_source_flatten. */
enum clrnn_status clrnn_chain_source(const struct clrnn_device *device,
                                     const struct clrnn_chain_function *function, size_t count,
                                     uint32_t slots, char **source);

void clrnn_chains_destroy(struct clrnn_launches *launches);

#endif
