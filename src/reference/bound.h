// SPDX-License-Identifier: MIT
// Error bounds: how far each output of an op on a correct float32 device may be from the reference.
#ifndef CLRNN_SRC_REFERENCE_BOUND_H
#define CLRNN_SRC_REFERENCE_BOUND_H

#include "reference/check.h"

struct clrnn_bound {
    double tolerance; // allowed difference, relative to the tensor's largest magnitude
    bool each;        // tolerance is relative to the magnitude of each element instead
    bool internal;    // the output is internal to the device and is not compared
};

/** Returns the bound of output `slot` of an op. The bound does not allow for an op that makes rounding errors of its
 * inputs larger, for example by cancellation. So use it only if noise_runs of the check is not 0: clrnn_check_judge
 * then measures that effect and allows for it. */
struct clrnn_bound clrnn_bound_get(const struct clrnn_op *op, int slot);

/** Sets tolerance, each, skip and absolute of every output of a check, from the bounds of its op. */
void clrnn_bound_apply(struct clrnn_check *check);

#endif
