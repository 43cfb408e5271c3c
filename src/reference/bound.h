// SPDX-License-Identifier: MIT
// Error bounds: how far a correct float32 device may be from the reference, per op and output.
#ifndef CLRNN_SRC_REFERENCE_BOUND_H
#define CLRNN_SRC_REFERENCE_BOUND_H

#include "reference/check.h"

struct clrnn_bound {
    double tolerance; // relative to the tensor's largest magnitude
    bool each;        // tolerance is relative to each element's magnitude instead
    bool internal;    // internal to the device: not compared
};

/** The bound of an op's output `slot`, valid with noise_runs, which cover cancellation and amplification. */
struct clrnn_bound clrnn_bound_get(const struct clrnn_op *op, int slot);

/** Sets the bound of every output of a check. */
void clrnn_bound_apply(struct clrnn_check *check);

#endif
