// SPDX-License-Identifier: MIT
// Losses of constant answers (the same output for every input), the baselines that a model must beat.
#ifndef CLRNN_SRC_DIAGNOSE_CONSTANT_H
#define CLRNN_SRC_DIAGNOSE_CONSTANT_H

#include "train/dataset.h"

/** Returns the lowest mean loss that a constant answer can have. For losses on classes and for bce it follows from
 * `counts` [classes], the number of labels of each class (bce: of zeros and ones), and from `weights` [classes], the
 * sum of the sample weights of each class's labels; for mse it is target_variance.
 * Returns NaN for nll unless the last layer is a log_softmax, since the loss then has no lower bound. Returns NaN also
 * for ctc, l1, smooth_l1, huber and quantile: use the functions below. */
double clrnn_constant_loss(const struct clrnn_config *config, uint32_t classes, const uint64_t *counts,
                           const double *weights, double target_variance);
/** Returns the factor by which bce's argument `weight` multiplies the loss of a label; 1 if `weight` is not given. */
double clrnn_bce_weight(const struct clrnn_loss_config *loss, size_t label);
/** Returns the mean of these factors over all labels. */
double clrnn_bce_mean_weight(const struct clrnn_loss_config *loss);
/** Returns the lowest sum of bce that one logit can have for labels of weight `zeros` and `ones` in all. */
double clrnn_least_bce(double zeros, double ones);
/** Adds the sample weight of each label of the set to the element of weights [classes] for its class. bce: weights [2],
 * of zeros and ones; a target y between 0 and 1 adds the fraction 1 - y of its weight to the zeros and y to the ones.
 * Leaves out ignored labels and missing targets. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_class_weights(const struct clrnn_log *log, const struct clrnn_loss_config *loss,
                                      const struct clrnn_dataset *set, uint32_t classes, double *weights);

/** Returns the lowest weighted mean of a regression loss over the targets y [count] that a constant answer can have.
 * weight [count]: the targets' weights; NULL: all are 1. For the quantile loss each quantile has its own answer, and
 * the result is the mean over the quantiles. Returns NaN if the weights' sum is 0 or the loss is not a regression loss.
 */
double clrnn_constant_target_loss(const struct clrnn_loss_config *loss, size_t count, const double *y,
                                  const double *weight);
/** Returns the weighted mean loss over the targets y [count] if every prediction is 0. */
double clrnn_zero_loss(const struct clrnn_loss_config *loss, size_t count, const double *y, const double *weight);

/** Computes mean regression losses over the finite targets of a set, each with its sample's weight: *best as
 * clrnn_constant_target_loss, with an answer for each output, and *zero as clrnn_zero_loss. Both are NaN if no
 * finite target has a weight above 0. Reads up to 2048 rows spread over the set, and up to 20,000 targets of an output.
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_target_baseline(const struct clrnn_log *log, const struct clrnn_loss_config *loss,
                                        const struct clrnn_dataset *set, double *best, double *zero);

/** Computes the mean ctc loss, with sample weights, of constant answers; such an answer gives every time step the same
 * class probabilities. Reads up to 200 samples spread over the set. *best: the lowest loss of several answers that are
 * tried. *equal: the loss if all `classes` are equally probable. Leaves out samples that have too few steps for their
 * labels; if no sample remains, both are NaN. Skips labels that are the blank or not below `classes`. CLRNN_ERR_MEMORY.
 */
enum clrnn_status clrnn_ctc_constant_loss(const struct clrnn_log *log, const struct clrnn_config *config,
                                          const struct clrnn_dataset *set, uint32_t classes, double *best,
                                          double *equal);

#endif
