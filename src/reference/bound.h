// SPDX-License-Identifier: MIT
// How far a sound float32 device may be from the reference in each output of each op.
#ifndef CLRNN_SRC_REFERENCE_BOUND_H
#define CLRNN_SRC_REFERENCE_BOUND_H

#include "reference/check.h"

struct clrnn_bound {
    double tolerance; // times the tensor's largest magnitude,
    bool each;        //   or times each element's own
    bool internal;    // internal to the device: not compared
};

/** For the op's shape. To be used with noise_runs, which covers terms that cancel and steps that amplify. */
struct clrnn_bound clrnn_bound_get(const struct clrnn_op *op, int slot);

/** Gives every output of a check its bound. */
void clrnn_bound_apply(struct clrnn_check *check);

#endif
