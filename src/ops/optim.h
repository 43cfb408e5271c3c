// SPDX-License-Identifier: MIT
// Ops of the gradients' norm and of the optimiser's update, over all parameters in one flat buffer.
#ifndef CLRNN_SRC_OPS_OPTIM_H
#define CLRNN_SRC_OPS_OPTIM_H

#include "clrnn/config.h"

// The op kinds of this header as X(KIND, stem, name). op.h says what a stem is, and declares these ops.
// clang-format off
#define CLRNN_OPTIM_OPS(X) \
    X(GRAD_NORM, optim, grad_norm) X(OPTIM, optim, optim)
// clang-format on

// GRAD_NORM: the Euclidean norm of all gradients together. It is used in a plan without OPTIM, or with an OPTIM that
// clips gradients.
enum {
    GRAD_NORM_GRADS, // flat
    GRAD_NORM_COUNTER,
};
enum {
    GRAD_NORM_NORM,   // REAL [1]
    GRAD_NORM_RECORD, // updated
};

// OPTIM: with clip_max_norm > 0, gradients are multiplied by min(1, clip_max_norm / (norm + 1e-6)) before the update.
// Without clipping, OPTIM itself computes the norm, as GRAD_NORM does.
// The moments of sgd: M is the momentum buffer (if the attribute `momentum` is set).
// Of adam and adamw: M is the first moment, V the second moment, VMAX the maximum of V (if amsgrad).
// Of rmsprop: M is the momentum buffer (if `momentum`), V the average of squares, VMAX the average of gradients (if
// centered).
enum {
    OPTIM_GRADS,
    OPTIM_HYPER, // REAL [HYPER_FIELDS]
    OPTIM_NORM,  // the norm for clipping, or CLRNN_NONE
    OPTIM_COUNTER,
};
enum {
    OPTIM_PARAMS, // updated, as are the moments; CLRNN_NONE for moments that the optimiser does not use
    OPTIM_M,
    OPTIM_V,
    OPTIM_VMAX,
    OPTIM_NORM_OUT, // the norm, like GRAD_NORM_NORM, or CLRNN_NONE
    OPTIM_RECORD,   // updated, or CLRNN_NONE
};

struct clrnn_optim_attributes { // GRAD_NORM uses only `count`, the number of parameters
    enum clrnn_optimizer_kind kind;
    size_t count;
    double beta2, eps, weight_decay, dampening, alpha, clip_max_norm;
    bool nesterov, amsgrad, centered, momentum;
};

#endif
