// SPDX-License-Identifier: MIT
// The option tables: the keys of a config, with PyTorch's names, defaults and ranges.
#include "model/options.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/array.h"

#define MAX_COUNT 9007199254740992.0
#define NO_ROWS NULL, 0
#define ROWS(rows) rows, ARRAY_SIZE(rows)

// Each row of the tables below is an option. The rows are laid out by hand.
// clang-format off

static const char *const inits[] = {"pytorch", "keras", NULL};
static const struct clrnn_option model_rows[] = {
    {"layers", CLRNN_OPTION_LAYERS, .required = true, .groups = clrnn_options_layers,
     .help = "as torch.nn.Sequential, top to bottom"},
    {"init", CLRNN_OPTION_FLAG, .offset = offsetof(struct clrnn_config, init_keras), .def = "pytorch", .words = inits,
     .help = "whose first values of parameters, where a layer's init has no other: pytorch, or keras "
             "(weights xavier_uniform, weight_hh orthogonal, biases zeros, forget_bias 1)"},
};
static const struct clrnn_option_group model_group = {"model", 0, CLRNN_NO_LINE, ROWS(model_rows),
                                                      "what is trained"};

// Rows of the losses
#define C(member) offsetof(struct clrnn_loss_config, member)
static const char *const balanced[] = {"balanced", NULL};
#define CLASS_WEIGHT \
    {"weight", CLRNN_OPTION_LIST, .offset = C(weight), .second = C(weight_count), .third = C(balanced), \
     .words = balanced, .def = "null", .null = "", .min = 0, .max = DBL_MAX, \
     .help = "a weight for each class; balanced: n / (k count) of n labels in k classes of the training set"}
#define IGNORE_INDEX \
    {"ignore_index", CLRNN_OPTION_I32, .offset = C(ignore_index), .def = "-100", .min = -2147483648.0, \
     .max = 2147483647, .help = "labels of this value take no part"}

static const struct clrnn_option cross_entropy_rows[] = {
    CLASS_WEIGHT,
    {"label_smoothing", CLRNN_OPTION_NUMBER, .offset = C(label_smoothing), .def = "0.0", .min = 0, .max = 1,
     .help = "share of the target that is spread over all classes"},
    IGNORE_INDEX,
};
static const struct clrnn_option nll_rows[] = {CLASS_WEIGHT, IGNORE_INDEX};
static const struct clrnn_option bce_rows[] = {
    {"weight", CLRNN_OPTION_LIST, .offset = C(label_weight), .second = C(label_weight_count), .def = "null",
     .null = "", .quiet = true, .min = 0, .max = DBL_MAX, .help = "a factor for the loss of each label"},
    {"pos_weight", CLRNN_OPTION_LIST, .offset = C(weight), .second = C(weight_count), .third = C(balanced),
     .words = balanced, .def = "null", .null = "", .min = 0, .max = DBL_MAX,
     .help = "weight of the positive class, a list of one for each label; balanced: negatives / positives of the "
             "training set"},
};
static const struct clrnn_option smooth_l1_rows[] = {
    {"beta", CLRNN_OPTION_NUMBER, .offset = C(beta), .def = "1.0", .min = 0, .max = DBL_MAX,
     .help = "error below which it is a square; 0: l1"},
};
static const struct clrnn_option huber_rows[] = {
    {"delta", CLRNN_OPTION_NUMBER, .offset = C(delta), .def = "1.0", .min = 0, .max = DBL_MAX, .above = true,
     .help = "error below which it is a square"},
};
static const struct clrnn_option quantile_rows[] = {
    {"quantiles", CLRNN_OPTION_LIST, .offset = C(quantile), .second = C(quantile_count), .def = "null", .null = "",
     .min = 0, .max = 1, .above = true, .below = true,
     .help = "the quantiles to predict: output o * Q + q of the last layer is quantile q of target o; "
             "null: [0.1, 0.5, 0.9]"},
};
static const struct clrnn_option_group loss_ce = {"cross_entropy", CLRNN_LOSS_CROSS_ENTROPY, CLRNN_NO_LINE,
                                                  ROWS(cross_entropy_rows),
                                                  "torch.nn.CrossEntropyLoss on logits, classes from 0"};
static const struct clrnn_option_group loss_nll = {"nll", CLRNN_LOSS_NLL, CLRNN_NO_LINE, ROWS(nll_rows),
    "torch.nn.NLLLoss on log-probabilities (after log_softmax)"};
static const struct clrnn_option_group loss_bce = {"bce_with_logits", CLRNN_LOSS_BCE_WITH_LOGITS, CLRNN_NO_LINE,
                                                   ROWS(bce_rows),
    "torch.nn.BCEWithLogitsLoss on a logit for each label, targets 0 to 1"};
static const struct clrnn_option_group loss_mse = {"mse", CLRNN_LOSS_MSE, CLRNN_NO_LINE, NO_ROWS,
                                                   "torch.nn.MSELoss, real targets"};
static const struct clrnn_option_group loss_l1 = {"l1", CLRNN_LOSS_L1, CLRNN_NO_LINE, NO_ROWS,
                                                  "torch.nn.L1Loss, real targets"};
static const struct clrnn_option_group loss_smooth_l1 = {"smooth_l1", CLRNN_LOSS_SMOOTH_L1, CLRNN_NO_LINE,
    ROWS(smooth_l1_rows), "torch.nn.SmoothL1Loss, real targets"};
static const struct clrnn_option_group loss_huber = {"huber", CLRNN_LOSS_HUBER, CLRNN_NO_LINE, ROWS(huber_rows),
                                                     "torch.nn.HuberLoss, real targets"};
static const struct clrnn_option_group loss_quantile = {"quantile", CLRNN_LOSS_QUANTILE, CLRNN_NO_LINE,
    ROWS(quantile_rows), "pinball loss: several quantiles of each real target"};
static const struct clrnn_option ctc_rows[] = {
    {"blank", CLRNN_OPTION_U32, .offset = C(blank), .def = "0", .min = 0, .max = CLRNN_MAX_SIZE,
     .help = "the class that stands for no label"},
    {"zero_infinity", CLRNN_OPTION_BOOL, .offset = C(zero_infinity), .def = "false",
     .help = "targets with too many labels for their steps have loss and gradient 0; they count in the mean"},
};
static const struct clrnn_option_group loss_ctc = {"ctc", CLRNN_LOSS_CTC, CLRNN_NO_LINE, ROWS(ctc_rows),
    "torch.nn.CTCLoss on the log-softmax of each step: labels without their places"};
const struct clrnn_option_group *const clrnn_options_losses[] = {
    &loss_ce, &loss_nll, &loss_bce, &loss_mse, &loss_l1, &loss_smooth_l1, &loss_huber, &loss_quantile,
    &loss_ctc, NULL};

// Rows of the optimisers
#define O(member) offsetof(struct clrnn_optimizer_config, member)
#define OPT(key_, member, def_, ...) \
    {key_, CLRNN_OPTION_NUMBER, .offset = O(member), .def = def_, .min = 0, .max = DBL_MAX, __VA_ARGS__}
#define SWITCH(key_, member, help_) \
    {key_, CLRNN_OPTION_BOOL, .offset = O(member), .def = "false", .help = help_}
#define BETAS \
    {"betas", CLRNN_OPTION_PAIR, .offset = O(beta1), .second = O(beta2), .def = "[0.9, 0.999]", .min = 0, \
     .max = 1, .below = true, .help = "decay of the mean of gradients and of their squares"}
#define LR "learning rate"
#define DECAY "share of the weights that is added to their gradients"

static const struct clrnn_option sgd_rows[] = {
    OPT("lr", lr, NULL, .required = true, .help = LR),
    OPT("momentum", momentum, "0.0", .help = "share of the last step that is kept"),
    {"dampening", CLRNN_OPTION_NUMBER, .offset = O(dampening), .def = "0.0", .min = -DBL_MAX, .max = DBL_MAX,
     .help = "the gradient counts 1 - dampening in the momentum"},
    SWITCH("nesterov", nesterov, "Nesterov's momentum; needs a momentum, and dampening 0"),
    OPT("weight_decay", weight_decay, "0.0", .help = DECAY),
};
static const struct clrnn_option adam_rows[] = {
    OPT("lr", lr, "0.001", .help = LR),
    BETAS,
    OPT("eps", eps, "1.0e-08", .help = "added to the root"),
    OPT("weight_decay", weight_decay, "0.0", .help = DECAY),
    SWITCH("amsgrad", amsgrad, "use the largest second moment so far"),
};
static const struct clrnn_option adamw_rows[] = {
    OPT("lr", lr, "0.001", .help = LR),
    BETAS,
    OPT("eps", eps, "1.0e-08", .help = "added to the root"),
    OPT("weight_decay", weight_decay, "0.01", .help = "decay of the weights themselves, times lr"),
    SWITCH("amsgrad", amsgrad, "use the largest second moment so far"),
};
static const struct clrnn_option rmsprop_rows[] = {
    OPT("lr", lr, "0.01", .help = LR),
    OPT("alpha", alpha, "0.99", .help = "decay of the mean of squares"),
    OPT("eps", eps, "1.0e-08", .help = "added to the root"),
    OPT("momentum", momentum, "0.0", .help = "share of the last step that is kept"),
    OPT("weight_decay", weight_decay, "0.0", .help = DECAY),
    SWITCH("centered", centered, "divide by the deviation, not by the root of the mean of squares"),
};
#define OPTIMIZER(id, kind_, text) \
    static const struct clrnn_option_group optimizer_##id = {#id, CLRNN_OPTIMIZER_##kind_, CLRNN_NO_LINE, \
                                                             ROWS(id##_rows), text};
OPTIMIZER(sgd, SGD, "torch.optim.SGD")
OPTIMIZER(adam, ADAM, "torch.optim.Adam")
OPTIMIZER(adamw, ADAMW, "torch.optim.AdamW")
OPTIMIZER(rmsprop, RMSPROP, "torch.optim.RMSprop")
const struct clrnn_option_group *const clrnn_options_optimizers[] = {&optimizer_sgd, &optimizer_adam,
    &optimizer_adamw, &optimizer_rmsprop,
    NULL};

// Rows of the schedulers
#define S(member) offsetof(struct clrnn_scheduler_config, member)
static const char *const intervals[] = {"epoch", "batch", NULL};
static const char *const anneals[] = {"cos", "linear", NULL};
static const char *const modes[] = {"min", "max", NULL};
static const char *const threshold_modes[] = {"rel", "abs", NULL};

#define INTERVAL \
    {"interval", CLRNN_OPTION_FLAG, .offset = S(per_batch), .def = "epoch", .words = intervals, \
     .help = "step after each epoch or after each batch"}
#define NUM(key_, member, def_, max_, help_) \
    {key_, CLRNN_OPTION_NUMBER, .offset = S(member), .def = def_, .required = !(def_), .min = 0, \
     .max = max_, \
     .help = help_}
#define STEPS(key_, member, def_, min_, help_) \
    {key_, CLRNN_OPTION_WHOLE, .offset = S(member), .def = def_, .required = !(def_), .min = min_, \
     .max = MAX_COUNT, .help = help_}
#define FROM_RUN(key_, member, help_) \
    {key_, CLRNN_OPTION_I64, .offset = S(member), .def = "null", .null = "0", .min = 1, .max = MAX_COUNT, \
     .help = help_}

static const struct clrnn_option step_rows[] = {
    STEPS("step_size", step_size, NULL, 1, "steps from one drop to the next"),
    NUM("gamma", gamma, "0.1", DBL_MAX, "factor of a drop"),
    INTERVAL,
};
static const struct clrnn_option multistep_rows[] = {
    {"milestones", CLRNN_OPTION_LIST, .required = true, .whole_list = true, .offset = S(milestone),
     .second = S(milestone_count), .min = 0, .max = MAX_COUNT, .help = "steps at which it drops"},
    NUM("gamma", gamma, "0.1", DBL_MAX, "factor of a drop"),
    INTERVAL,
};
static const struct clrnn_option exponential_rows[] = {
    NUM("gamma", gamma, NULL, DBL_MAX, "factor of each step"),
    INTERVAL,
};
static const struct clrnn_option cosine_rows[] = {
    STEPS("T_max", T_max, NULL, 1, "steps down to eta_min; then it rises again"),
    NUM("eta_min", eta_min, "0.0", DBL_MAX, "smallest learning rate"),
    INTERVAL,
};
static const struct clrnn_option linear_lr_rows[] = {
    {"start_factor", CLRNN_OPTION_NUMBER, .offset = S(start_factor), .def = "0.3333333333333333", .min = 0,
     .max = 1, .above = true, .help = "factor at the start"},
    NUM("end_factor", end_factor, "1.0", 1, "factor at the end"),
    STEPS("total_iters", total_iters, "5", 0, "steps from start to end"),
    INTERVAL,
};
static const struct clrnn_option one_cycle_rows[] = {
    NUM("max_lr", max_lr, NULL, DBL_MAX, "largest learning rate; the optimiser's lr is not used"),
    FROM_RUN("total_steps", total_steps, "steps of the whole cycle; null: epochs * steps_per_epoch"),
    FROM_RUN("epochs", epochs, "epochs of the cycle; null: the run's"),
    FROM_RUN("steps_per_epoch", steps_per_epoch, "batches of an epoch; null: the run's"),
    NUM("pct_start", pct_start, "0.3", 1, "share of the steps in which it rises"),
    {"anneal_strategy", CLRNN_OPTION_FLAG, .offset = S(linear_anneal), .def = "cos", .words = anneals,
     .help = "shape of rise and fall"},
    {"cycle_momentum", CLRNN_OPTION_BOOL, .offset = S(cycle_momentum), .def = "true",
     .help = "drive momentum (Adam: beta1) against the learning rate"},
    NUM("base_momentum", base_momentum, "0.85", DBL_MAX, "momentum where lr is largest"),
    NUM("max_momentum", max_momentum, "0.95", DBL_MAX, "momentum at the start"),
    {"div_factor", CLRNN_OPTION_NUMBER, .offset = S(div_factor), .def = "25.0", .min = 0, .max = DBL_MAX,
     .above = true, .help = "lr starts at max_lr / div_factor"},
    {"final_div_factor", CLRNN_OPTION_NUMBER, .offset = S(final_div_factor), .def = "10000.0", .min = 0,
     .max = DBL_MAX, .above = true, .help = "and ends at that / final_div_factor"},
    {"three_phase", CLRNN_OPTION_BOOL, .offset = S(three_phase), .def = "false",
     .help = "rise, fall as long, then fade out"},
    INTERVAL,
};
static const struct clrnn_option plateau_rows[] = {
    {"mode", CLRNN_OPTION_FLAG, .offset = S(mode_max), .def = "min", .words = modes,
     .help = "whether less or more is better"},
    {"factor", CLRNN_OPTION_NUMBER, .offset = S(factor), .def = "0.1", .min = 0, .max = 1, .below = true,
     .help = "factor of a drop"},
    {"patience", CLRNN_OPTION_I64, .offset = S(patience), .def = "10", .min = 0, .max = MAX_COUNT,
     .help = "steps without improvement that are borne"},
    {"threshold", CLRNN_OPTION_NUMBER, .offset = S(threshold), .def = "0.0001", .min = -DBL_MAX,
     .max = DBL_MAX, .help = "what counts as an improvement"},
    {"threshold_mode", CLRNN_OPTION_FLAG, .offset = S(threshold_abs), .def = "rel", .words = threshold_modes,
     .help = "threshold relative to the best, or absolute"},
    {"cooldown", CLRNN_OPTION_I64, .offset = S(cooldown), .def = "0", .min = 0, .max = MAX_COUNT,
     .help = "steps after a drop in which nothing is counted"},
    NUM("min_lr", min_lr, "0.0", DBL_MAX, "smallest learning rate"),
    NUM("eps", plateau_eps, "1.0e-08", DBL_MAX, "smaller drops are left out"),
    INTERVAL,
};
#define SCHEDULER(id, kind_, rows, torch) \
    static const struct clrnn_option_group scheduler_##id = {#id, CLRNN_SCHEDULER_##kind_, CLRNN_NO_LINE, \
                                                             ROWS(rows), "torch.optim.lr_scheduler." torch};
SCHEDULER(step_lr, STEP_LR, step_rows, "StepLR")
SCHEDULER(multistep_lr, MULTISTEP_LR, multistep_rows, "MultiStepLR")
SCHEDULER(exponential_lr, EXPONENTIAL_LR, exponential_rows, "ExponentialLR")
SCHEDULER(cosine_annealing_lr, COSINE_ANNEALING_LR, cosine_rows, "CosineAnnealingLR")
SCHEDULER(linear_lr, LINEAR_LR, linear_lr_rows, "LinearLR")
SCHEDULER(one_cycle_lr, ONE_CYCLE_LR, one_cycle_rows, "OneCycleLR")
SCHEDULER(reduce_lr_on_plateau, REDUCE_LR_ON_PLATEAU, plateau_rows, "ReduceLROnPlateau")
const struct clrnn_option_group *const clrnn_options_schedulers[] = {
    &scheduler_step_lr, &scheduler_multistep_lr, &scheduler_exponential_lr, &scheduler_cosine_annealing_lr,
    &scheduler_linear_lr, &scheduler_one_cycle_lr, &scheduler_reduce_lr_on_plateau, NULL,
};

// Rows of train
#define E(member) offsetof(struct clrnn_early_stopping_config, member)
static const char *const monitors[] = {"valid_loss", "valid_accuracy", "train_loss", "train_accuracy",
                                       "valid_balanced_accuracy", "valid_macro_f1", "valid_roc_auc", "valid_pr_auc",
                                       "valid_mae", "valid_rmse", "valid_r2", "valid_cer", "valid_wer", NULL};
bool clrnn_monitor_is_better_higher(const char *monitor)
{
    static const char *const lower[] = {"loss", "mae", "rmse", "cer", "wer"};

    for (size_t i = 0; i < ARRAY_SIZE(lower); i++) {
        if (strstr(monitor, lower[i]))
            return false;
    }
    return true;
}

static bool mode_follows(const void *object)
{
    const struct clrnn_early_stopping_config *early = object;

    return early->monitor && early->mode_max == clrnn_monitor_is_better_higher(early->monitor);
}

static const struct clrnn_option early_stopping_rows[] = {
    {"monitor", CLRNN_OPTION_TEXT, .offset = E(monitor), .def = "valid_loss", .words = monitors,
     .help = "what must get better"},
    {"patience", CLRNN_OPTION_I64, .offset = E(patience), .def = "3", .min = 0, .max = MAX_COUNT,
     .help = "epochs in a row without improvement after which the run ends"},
    {"min_delta", CLRNN_OPTION_NUMBER, .offset = E(min_delta), .def = "0.0", .min = 0, .max = DBL_MAX,
     .help = "what counts as an improvement"},
    {"mode", CLRNN_OPTION_FLAG, .offset = E(mode_max), .follows = mode_follows, .def = "min", .words = modes,
     .help = "whether less or more is better; by itself min for a loss or an error, else max"},
};
static const struct clrnn_option_group early_stopping_group = {"early_stopping", 0, CLRNN_NO_LINE,
                                                               ROWS(early_stopping_rows),
                                                               "end before the last epoch"};
static const struct clrnn_option_group *const early_stopping_groups[] = {&early_stopping_group, NULL};

#define T(member) offsetof(struct clrnn_train_config, member)
static const struct clrnn_option train_rows[] = {
    {"loss", CLRNN_OPTION_ONE_OF, .offset = T(loss), .def = "cross_entropy", .groups = clrnn_options_losses,
     .help = "what is minimised"},
    {"optimizer", CLRNN_OPTION_ONE_OF, .offset = T(optimizer), .def = "adam",
     .groups = clrnn_options_optimizers, .help = "how weights are updated"},
    {"scheduler", CLRNN_OPTION_ONE_OF, .offset = T(scheduler), .def = "null", .null = "",
     .groups = clrnn_options_schedulers, .help = "how the learning rate changes; null: not at all"},
    {"epochs", CLRNN_OPTION_U32, .offset = T(epochs), .def = "10", .min = 1, .max = 2147483647,
     .help = "passes over the training set"},
    {"batch_size", CLRNN_OPTION_U32, .offset = T(batch_size), .def = "32", .min = 1, .max = 2147483647,
     .help = "samples of a step, N"},
    {"shuffle", CLRNN_OPTION_BOOL, .offset = T(shuffle), .def = "false",
     .help = "a new order for each epoch, drawn from seed"},
    {"drop_last", CLRNN_OPTION_BOOL, .offset = T(drop_last), .def = "false",
     .help = "leave out the last, smaller batch of training"},
    {"seed", CLRNN_OPTION_U64, .offset = T(seed), .def = "0", .min = 0, .max = 18446744073709551615.0,
     .help = "of weights, order and dropout; up to 2^64 - 1"},
    {"clip_grad_norm", CLRNN_OPTION_NUMBER, .offset = T(clip_grad_norm), .def = "null", .null = "0", .min = 0,
     .max = DBL_MAX, .help = "largest norm of all gradients together, as clip_grad_norm_; null or 0: no clipping"},
    {"log_every", CLRNN_OPTION_U32, .offset = T(log_every), .def = "0", .min = 0, .max = 4294967295.0,
     .help = "a line in metrics.jsonl every so many steps; 0: none"},
    {"bptt", CLRNN_OPTION_U32, .offset = T(bptt), .def = "null", .null = "0", .quiet = true, .min = 1,
     .max = CLRNN_MAX_SIZE,
     .help = "cut each batch into pieces of so many time steps, trained one after the other with the states carried "
             "on but not differentiated through; null: whole sequences"},
    {"recompute", CLRNN_OPTION_U32, .offset = T(recompute), .def = "null", .null = "0", .quiet = true, .min = 1,
     .max = CLRNN_MAX_SIZE,
     .help = "N: recurrent layers keep the state of every N-th time step only and compute the rest again in backward: "
             "the same bits in less memory; null: they keep everything"},
    {"stateful", CLRNN_OPTION_BOOL, .offset = T(stateful), .def = "false",
     .help = "sample n of a batch goes on from the states with which sample n of the batch before ended; zero at the "
             "start of an epoch"},
    {"checkpoint_minutes", CLRNN_OPTION_NUMBER, .offset = T(checkpoint_minutes), .def = "null", .null = "0",
     .quiet = true, .min = 0, .max = DBL_MAX,
     .help = "write last.safetensors after so many minutes, too, not only at the end of an epoch: for long epochs"},
    {"shards", CLRNN_OPTION_U32, .offset = T(shards), .def = "1", .min = 1, .max = 512,
     .help = "parts of a batch whose gradients are computed one by one and added in a fixed order: several "
             "devices (--devices) and processes (mpirun) share them, and any number gives the same bits"},
    {"tensorboard", CLRNN_OPTION_BOOL, .offset = T(tensorboard), .def = "false",
     .help = "write metrics, histograms, config and pictures into an event file of the run folder, for TensorBoard"},
    {"init", CLRNN_OPTION_PATH, .offset = T(init), .def = "null", .null = "", .quiet = true,
     .help = "start from the weights in a safetensors file, as --init; a run folder's config.yaml has what --init was"},
    {"init_partial", CLRNN_OPTION_BOOL, .offset = T(init_partial), .def = "false",
     .help = "with init: load what fits and say what does not"},
    {"early_stopping", CLRNN_OPTION_GROUP, .offset = T(early_stopping), .second = T(early_stopping.on),
     .def = "null", .null = "", .groups = early_stopping_groups,
     .help = "end before the last epoch; null: do not"},
};
static const struct clrnn_option_group train_group = {"train", 0, CLRNN_NO_LINE, ROWS(train_rows),
                                                      "how it is trained"};

// Rows of data
#define D(member) offsetof(struct clrnn_source, member)
#define FILE_ROW(key_, member, help_) \
    {key_, CLRNN_OPTION_PATH, .offset = D(member), .def = "null", .null = "", .quiet = true, .help = help_}
static const struct clrnn_option synthetic_rows[] = {
    {"samples", CLRNN_OPTION_U32, .required = true, .offset = D(samples), .min = 1, .max = 2147483647,
     .help = "number of samples, N"},
    {"steps", CLRNN_OPTION_U32, .offset = D(steps), .def = "1", .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "time steps, T"},
    {"features", CLRNN_OPTION_U32, .required = true, .offset = D(features), .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "features, C"},
    {"classes", CLRNN_OPTION_U32, .offset = D(classes), .def = "2", .min = 1, .max = CLRNN_MAX_SIZE,
     .help = "different labels; with ctc those beside the blank, a quarter as many a sample as steps or fewer"},
    {"seed", CLRNN_OPTION_U64, .offset = D(seed), .def = "0", .min = 0, .max = 18446744073709551615.0,
     .help = "of the numbers"},
};
static const struct clrnn_option_group synthetic_group = {"synthetic", 0, CLRNN_NO_LINE, ROWS(synthetic_rows),
                                                          "random numbers, for bench and tries"};
static const struct clrnn_option_group *const synthetic_groups[] = {&synthetic_group, NULL};

static const struct clrnn_option split_rows[] = {
    {"valid", CLRNN_OPTION_NUMBER, .required = true, .offset = D(split_valid), .min = 0, .max = 1, .above = true,
     .below = true, .help = "share of the rows of each group, the last ones, that validate"},
};
static const struct clrnn_option_group split_group = {"split", 0, CLRNN_NO_LINE, ROWS(split_rows),
    "split in time: windows of the two parts share no row"};
static const struct clrnn_option_group *const split_groups[] = {&split_group, NULL};
static const char *const missing_cells[] = {"error", "zero", "mean", "forward", NULL};
#define CSV_TEXT(key_, member, type_, help_) \
    {key_, type_, .offset = D(member), .def = "null", .null = "", .quiet = true, .help = "csv: " help_}
#define CSV_COUNT(key_, member, null_, least, help_) \
    {key_, CLRNN_OPTION_U32, .offset = D(member), .def = "null", .null = null_, .quiet = true, .min = least, \
     .max = CLRNN_MAX_SIZE, .help = "csv: " help_}


static const struct clrnn_option source_rows[] = {
    FILE_ROW("x", x,
             ".npy, or FILE.npz:NAME: numbers (N, T, C), or (N, C) with T = 1; for an embedding integers (N, T)"),
    FILE_ROW("y", y, ".npy: (N), or (N, T) for a label per step; real targets and labels of several outputs "
                     "(N, O) or (N, T, O)"),
    FILE_ROW("lengths", lengths,
             ".npy: (N), valid steps of each sample; the rest is padding and takes part in nothing"),
    FILE_ROW("weights", weights,
             ".npy: (N), weights of the samples in the loss, whose mean divides by their sum; 0 takes one out"),
    FILE_ROW("y_lengths", y_lengths, ".npy: (N), ctc: labels of each sample in y (N, L)"),
    FILE_ROW("csv", csv,
             ".csv with a header, one sample a row, in place of x and y; or several files by a pattern, one sequence "
             "each"),
    FILE_ROW("label_from", label_from, "csv of several files: a .csv with the columns file and label"),
    FILE_ROW("ts", ts, "the UCR and UEA archives' .ts, in place of x and y"),
    CSV_TEXT("label", label, CLRNN_OPTION_TEXT,
             "the column that holds y; texts become classes in sorted order, whose names the model keeps"),
    CSV_TEXT("columns", columns, CLRNN_OPTION_NAMES,
             "the columns of X, by name or number (from 0); null: all others"),
    CSV_TEXT("target", target, CLRNN_OPTION_NAMES, "the columns of real targets, in place of label"),
    CSV_TEXT("delimiter", delimiter, CLRNN_OPTION_TEXT,
             "what separates cells, one character or tab; null: comma, semicolon or tab, found by itself"),
    CSV_TEXT("comment", comment, CLRNN_OPTION_TEXT, "the character that starts a comment; null: none"),
    CSV_TEXT("decimal", decimal, CLRNN_OPTION_TEXT, "the decimal point of numbers, . or ,; null: ."),
    {"missing", CLRNN_OPTION_TEXT, .offset = D(missing), .def = "null", .null = "", .quiet = true,
     .words = missing_cells, .help = "csv: an empty cell is an error (null), 0, the mean of its column in the training "
                                     "set, or the value of the row before in its group"},
    CSV_COUNT("steps", csv_steps, "0", 1, "fold a row's columns into so many time steps; null: one"),
    CSV_COUNT("window", window, "0", 1, "cut the rows into samples of so many steps; null: a row is a sample"),
    CSV_COUNT("horizon", horizon, "4294967295", 0,
              "rows after a window whose targets are y; 0: those of its last row; null: 1 with target, 0 with label"),
    CSV_COUNT("stride", stride, "0", 1, "rows from the start of a window to that of the next; null: 1"),
    CSV_COUNT("season", season, "0", 1,
              "rows of a season, which the seasonal baseline repeats; null: no such baseline"),
    CSV_TEXT("time", time, CLRNN_OPTION_TEXT, "the column of times, numbers or dates; windows do not cross gaps"),
    CSV_TEXT("group", group, CLRNN_OPTION_TEXT, "the column that says which series a row is of"),
    {"split", CLRNN_OPTION_GROUP, .second = D(split), .def = "null", .null = "", .quiet = true,
     .groups = split_groups, .help = "csv with window: split in time, in place of a set valid"},
    {"synthetic", CLRNN_OPTION_GROUP, .second = D(synthetic), .def = "null", .null = "", .quiet = true,
     .groups = synthetic_groups, .help = "random numbers in place of files"},
};
static const struct clrnn_option_group source_group = {"source", 0, D(line), ROWS(source_rows),
                                                       "x, y and lengths; csv and label; or synthetic"};
static const struct clrnn_option_group *const source_groups[] = {&source_group, NULL};

#define A(member) offsetof(struct clrnn_data_config, member)
#define SOURCE(key_, help_) \
    {#key_, CLRNN_OPTION_GROUP, .offset = A(key_), .second = A(key_.there), .def = "null", .null = "", \
     .quiet = true, .groups = source_groups, .help = help_}
static const char *const normalizations[] = {"none", "standard", NULL};
static const char *const missings[] = {"error", "ignore", NULL};
static const struct clrnn_option data_rows[] = {
    SOURCE(train, "the training set"),
    SOURCE(valid, "the validation set, looked at after each epoch"),
    SOURCE(test, "a set for clrnn eval"),
    {"valid_fraction", CLRNN_OPTION_NUMBER, .offset = A(valid_fraction), .def = "null", .null = "0", .min = 0,
     .max = 1, .below = true,
     .help = "share of the training set kept for validation (stratified, drawn from seed) "
             "where there is no valid"},
    {"normalize", CLRNN_OPTION_FLAG, .offset = A(standard), .def = "none", .words = normalizations,
     .help = "standard: mean 0 and deviation 1 for each feature, measured on the training set and kept in the model; "
             "without effect on tokens"},
    {"normalize_targets", CLRNN_OPTION_FLAG, .offset = A(standard_targets), .def = "none", .words = normalizations,
     .help = "standard: real targets are learnt with mean 0 and deviation 1, measured on the training set and kept in "
             "the model; losses, metrics and predictions stay in their units"},
    {"missing_targets", CLRNN_OPTION_FLAG, .offset = A(missing_ignore), .def = "error", .words = missings,
     .help = "real targets that are NaN: an error, or left out of loss and metrics"},
    {"bucket", CLRNN_OPTION_BOOL, .offset = A(bucket), .def = "false",
     .help = "batches of samples of like length: less padding, another order"},
};
static const struct clrnn_option_group data_group = {"data", 0, CLRNN_NO_LINE, ROWS(data_rows),
                                                     "what it learns from"};

static const struct clrnn_option_group *const model_groups[] = {&model_group, NULL};
static const struct clrnn_option_group *const train_groups[] = {&train_group, NULL};
static const struct clrnn_option_group *const data_groups[] = {&data_group, NULL};
static const struct clrnn_option root_rows[] = {
    {"model", CLRNN_OPTION_GROUP, .required = true, .second = SIZE_MAX, .groups = model_groups,
     .help = "what is trained"},
    {"train", CLRNN_OPTION_GROUP, .offset = offsetof(struct clrnn_config, train), .second = SIZE_MAX,
     .def = "{}", .groups = train_groups, .help = "how it is trained"},
    {"data", CLRNN_OPTION_GROUP, .offset = offsetof(struct clrnn_config, data), .second = SIZE_MAX,
     .def = "{}", .groups = data_groups, .help = "what it learns from"},
};
const struct clrnn_option_group clrnn_options_root = {"", 0, CLRNN_NO_LINE, ROWS(root_rows), "the config"};

// clang-format on

const struct clrnn_option_group *clrnn_options_kind(const struct clrnn_option_group *const *groups, int kind)
{
    for (size_t i = 0; groups[i]; i++) {
        if (groups[i]->kind == kind)
            return groups[i];
    }
    return NULL;
}

const struct clrnn_option_group *clrnn_options_word(const struct clrnn_option_group *const *groups, const char *word)
{
    for (size_t i = 0; groups[i]; i++) {
        if (!strcmp(groups[i]->word, word))
            return groups[i];
    }
    return NULL;
}
