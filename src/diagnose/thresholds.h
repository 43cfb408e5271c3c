// SPDX-License-Identifier: MIT
// The doctor's thresholds, each with its source.
//
// "measured" means: in about seventy small runs with PyTorch 1.13, some with a planted fault and some healthy. The
// figures are values from these runs: those that lie closest to the threshold, below and above it.
#ifndef CLRNN_SRC_DIAGNOSE_THRESHOLDS_H
#define CLRNN_SRC_DIAGNOSE_THRESHOLDS_H

// X(name, value, source)
#define CLRNN_THRESHOLD_LIST(X) \
    /* ---- config */ \
    X(dropout_p, 0.7, "Srivastava et al. 2014, fig. 9: flat while 0.4 to 0.8 of the units are kept, worse below") \
    X(schedule_share, 0.25, "measured: 0.009, 0.02, 0.074 of a constant lr's total in spent schedules, 0.50 healthy") \
    X(schedule_end, 0.02, "and what is left of the lr at the end; measured: 1e-14 and less spent") \
    X(schedule_cycles, 4, "cosine is a single descent in Loshchilov & Hutter 2017; four turns are a unit mistaken") \
    X(half_ulp, 5.96e-8, "float32 has 24 bits: a relative change under 2^-24 rounds away") \
    X(adam_lr_high, 0.2, "an Adam step moves a weight by up to lr, and weights start within 1/sqrt(fan) < 0.2") \
    X(sgd_lr_high, 10.0, "lr / (1 - momentum); measured: 30, 80, 200 fail, 1 and less healthy") \
    X(travel_low, 3e-3, "sum of lr over the run, Adam; measured: 1.3e-5 and less learn nothing, 0.15 healthy") \
    X(sgd_travel_low, 1e-3, "the same for SGD and gradients of size 1; measured: 20 healthy") \
    X(long_sequence, 150, \
      "Bengio et al. 1994 (10 to 20 steps are hard), Pascanu et al. 2013; measured: 300, 400 fail") \
    /* ---- data */ \
    X(feature_rms, 100.0, "LeCun et al. 1998 (inputs near variance 1); measured: 1,260 and up fail, 49 learns") \
    X(median_rms, 10.0, "the same for half of the features; measured: 1.3 the largest healthy without normalising") \
    X(tiny_rms, 1e-3, "the same below; measured: 0.07 healthy") \
    X(constant_share, 0.05, "measured: 0.2 and 0.4 planted, 0 healthy; a few empty columns are usual in real sets") \
    X(rare_share, 0.035, "a warning from about 3% down; measured: 0.01, 0.03 planted, 0.1 (ten classes) healthy") \
    X(rare_of_balanced, 0.35, "and three times rarer than in a balanced set, so that many classes are no imbalance") \
    X(duplicate_share, 0.10, "measured: 0.67, 0.89 planted, 0 healthy; a few per cent are usual in real sets") \
    X(leak_share, 0.05, "Barz & Denzler 2020: 3 and 10% in CIFAR 10 and 100; measured: 1.0 planted, 0 healthy") \
    X(discrete_margin, 20.0, "rows that can be told apart at all, for each sample, where equal rows mean something") \
    X(shift_ks, 0.25, "Kolmogorov-Smirnov distance; measured: 1.0 planted, 0.29 healthy in 2,474 features") \
    X(shift_alpha, 1e-6, "significance of it, shared among the features (Bonferroni)") \
    X(label_shift, 0.15, "difference of label shares; measured: 0.47 planted, 0.07 healthy") \
    X(label_sigma, 4.0, "and so many standard errors") \
    X(samples, 24, "measured: 10 rows planted, 56 rows in 4 classes healthy") \
    X(samples_per_class, 10, "Peduzzi et al. 1996: ten events per variable, taken for a class") \
    X(sorted_share, 0.5, "label changes from row to row, of those a random order has; measured: 0.02 sorted, 0.9 not") \
    X(front_rows, 0.5, "of the shorter rows; measured: 1.0 in front, 0 behind") \
    X(axes, 0.4, "neighbouring features' correlation; measured: 0.78 swapped, 0.4 the largest other of few steps") \
    X(axes_other, 0.4, "and neighbouring steps', of it; measured: 0.07 swapped, 1.2 and up otherwise") \
    X(window_rows, 0.5, "rows that are the one before, moved by one feature; measured: 0.81 and up, 0 otherwise") \
    X(reshaped, 0.5, "correlation of steps of different rows; measured: 0.79 reshaped") \
    X(reshaped_other, 0.2, "and of neighbouring steps of a row; measured: 0.01 reshaped") \
    X(overlap_share, 0.2, "validation rows; measured: 1.0 shuffled windows, 0 split by time") \
    X(weights_ratio, 1.5, "a common class's weight over a rare one's, and their counts'") \
    X(momentum_high, 0.9, "of a batchnorm; PyTorch's default is 0.1, other frameworks write 0.9 to 0.99 for it") \
    X(schedule_gone, 0.01, "of the peak lr, under which a step hardly counts,") \
    X(schedule_part, 0.4, "and the part of the run before; measured: 0.2 spent, 0.94 a cosine") \
    X(target_size, 10.0, "mean or deviation of targets; measured: 1.5 healthy, 3,200 planted") \
    X(target_some, 3.0, "the same, where normalised targets are tried: far enough for outputs that start near 0") \
    X(sgd_run, 0.3, "the fastest weights' way in the run over their size; measured: 0.04 stuck") \
    X(hardly_answered, 0.1, "recall of a class") \
    X(majority_ratio, 2.0, "labels of the commonest class over those of one that is not answered") \
    X(naive, 0.3, "R2 of the last value, from which it is a forecast") \
    X(naive_gap, 1.05, "what the last value leaves unexplained, over what the net does") \
    X(weight_decay, 0.1, "of a weight a step; usual: 0.01 and less; measured: 1 planted") \
    X(join_apart, 2.5, \
      "jump between rows over that from step to step, medians; measured: 0.9 to 1.1 where rows go " \
      "on, 2.8 to 40 where they do not (white noise: 1, which tells nothing)") \
    X(join_near, 1.5, "and under which the second row goes on; measured: the same") \
    X(padding_rows, 0.3, "rows that end in the same repeated step; measured: 0.99 padded, 0.003 not") \
    X(padding_share, 0.05, "steps so taken up; measured: 0.46 padded, 0.0001 not") \
    /* ---- probes */ \
    X(initial_loss, 2.0, "Karpathy 2019 (verify the loss at init): ln C; measured: 12.6 times planted, 1.25 healthy") \
    X(harmless, 0.1, "the training loss that it still came down to, of the constant answer's") \
    X(initial_slack, 0.5, "and so much in nats, or in variances of the targets") \
    X(leak_output, 1e-4, "of the largest output; measured: 0.013, 0.04 planted, 1e-7 (rounding) healthy") \
    X(gradient_error, 0.1, \
      "float32 against double through a few steps, of a tensor's norm; measured: up to 0.003 right," \
      " a wrong backward is off by 1") \
    X(overfit_share, 0.2, "lowest loss on one batch, of the start's; measured: 0.45 and up fail, 0.17 falls slowly") \
    X(overfit_still, 0.02, "and it fell by no more than this share in the last quarter: it stands") \
    X(saturated, 0.5, \
      "units at their ends (|tanh| > 0.99, gate < 0.01 or > 0.99; Glorot & Bengio 2010); measured: " \
      "0.70 and up planted, 0.08 healthy") \
    X(dead, 0.5, "relu units never on (Lu et al. 2019); measured: 1.0 planted, 0.16 healthy") \
    X(vanishing_time, 1e-5, \
      "gradient of the first step's input over the largest step's, after training; measured: 5e-8 " \
      "and less stuck, 0.01 healthy (Pascanu et al. 2013)") \
    X(fading_time, 1e-2, "the same, under which the mean of all steps is tried where labels look random") \
    X(vanishing_layer, 1e-4, "first over last layer's gradient; measured: 2e-6 planted, 0.03 healthy") \
    X(exploding_norm, 1e3, \
      "gradient norm where the usual clip is 1 to 10 (Pascanu et al. 2013); measured: 4e6 and up " \
      "planted, 199 healthy") \
    X(exploding_time, 1e3, "first over last step's gradient with a norm above it; measured: 7e6 planted, 1 healthy") \
    /* ---- training */ \
    X(update_small, 1e-5, \
      "update over weight, the fastest tensor; Karpathy 2015: about 1e-3; measured: 6e-7 and less " \
      "fail, 5e-4 healthy") \
    X(update_large, 0.08, "the median tensor over the first epoch; measured: 0.105 and up fail, 0.059 healthy") \
    X(flat, 0.97, "epoch loss over the best constant answer's; measured: 0.98 and up flat, 0.3 healthy") \
    X(stuck, 0.7, "the same, for what matters only while the loss stays high; measured: 0.95 stuck, 0.3 healthy") \
    X(underfit, 0.8, "the same; measured: 0.86 and up underfit, 0.3 healthy") \
    X(oscillation, 0.1, \
      "rises of the epoch loss, mean, over the best constant answer's; measured: 0.71 planted, 0.03" \
      " healthy") \
    X(overfit_rise, 0.2, \
      "rise of the validation loss above its lowest, over the constant answer's; measured: 0.59 " \
      "planted, 0.05 healthy") \
    X(overfit_ratio, 1.5, "and the ratio of the two; measured: 2.1 planted") \
    X(mode_ratio, 2.0, "eval over train mode loss of the same rows; measured: 15 planted, 1.05 healthy") \
    X(mode_gap, 0.2, "and their difference, over the constant answer's loss") \
    X(linear_gap, 0.1, \
      "linear model's validation accuracy (R2) above the net's best; measured: 0.57 planted, 0.03 " \
      "healthy") \
    X(linear_sigma, 2.0, "and so many standard errors") \
    X(ignored, 0.01, \
      "how much worse, of the constant answer's loss, the net does without; measured: 0 planted, " \
      "0.3 and up healthy") \
    X(random_gain, 1.3, \
      "what real labels gained on the constant answer over what shuffled ones did; measured: 0.6 to" \
      " 1.5 random, 6 the nearest other") \
    X(random_slack, 0.02, \
      "and what may be scatter, of the constant answer's loss; measured: 0.012 random, 0.033 other") \
    X(random_sigma, 2.5, "standard errors by which validation must beat the largest class to be no chance")

struct clrnn_thresholds {
#define X(name, value, source) double name;
    CLRNN_THRESHOLD_LIST(X)
#undef X
};

static const struct clrnn_thresholds clrnn_threshold = {
#define X(name, value, source) .name = value,
    CLRNN_THRESHOLD_LIST(X)
#undef X
};

#endif
