// SPDX-License-Identifier: MIT
// The gradients' norm and the optimiser's update, over the flat parameters.
#ifndef CLRNN_SRC_OPS_OPTIM_H
#define CLRNN_SRC_OPS_OPTIM_H

#include "clrnn/config.h"

// X(KIND, stem, name)
// clang-format off
#define CLRNN_OPTIM_OPS(X) \
    X(GRAD_NORM, optim, grad_norm) X(OPTIM, optim, optim)
// clang-format on

// GRAD_NORM: Euclidean norm of all gradients, for a plan without OPTIM, or with an OPTIM that clips.
enum {
    GRAD_NORM_GRADS, // flat
    GRAD_NORM_COUNTER,
};
enum {
    GRAD_NORM_NORM,   // REAL [1]
    GRAD_NORM_RECORD, // updated
};

// OPTIM: with clip_max_norm > 0, gradients are scaled by min(1, max_norm / (norm + 1e-6)) before the update.
// Without clipping, OPTIM itself computes the norm as GRAD_NORM does.
// sgd: M momentum buffer. adam(w): M, V, VMAX (amsgrad). rmsprop: V square average, M momentum buffer
// (momentum > 0), VMAX gradient average (centered).
enum {
    OPTIM_GRADS,
    OPTIM_HYPER, // REAL [HYPER_FIELDS]
    OPTIM_NORM,  // the norm to clip by, or NONE
    OPTIM_COUNTER,
};
enum {
    OPTIM_PARAMS, // updated, like the moments; moments that the optimiser does not have: NONE
    OPTIM_M,
    OPTIM_V,
    OPTIM_VMAX,
    OPTIM_NORM_OUT, // the norm, like GRAD_NORM_NORM, or NONE
    OPTIM_RECORD,   // updated, or NONE
};

struct clrnn_optim_attributes { // GRAD_NORM uses only count
    enum clrnn_optimizer_kind kind;
    size_t count;
    double beta2, eps, weight_decay, dampening, alpha, clip_max_norm;
    bool nesterov, amsgrad, centered, momentum;
};

#endif
