// SPDX-License-Identifier: MIT
// The config of a run: model, training and data, read from YAML or filled in by code.
#ifndef CLRNN_CONFIG_H
#define CLRNN_CONFIG_H

#include "clrnn/base.h"

CLRNN_BEGIN

/** Kinds of layers, as model.layers names them. */
enum clrnn_layer_kind {
    CLRNN_LAYER_RNN,
    CLRNN_LAYER_LSTM,
    CLRNN_LAYER_GRU,
    CLRNN_LAYER_BATCHNORM,
    CLRNN_LAYER_LAYERNORM,
    CLRNN_LAYER_LINEAR,
    CLRNN_LAYER_EMBEDDING,
    CLRNN_LAYER_DROPOUT,
    CLRNN_LAYER_RELU,
    CLRNN_LAYER_TANH,
    CLRNN_LAYER_SIGMOID,
    CLRNN_LAYER_SOFTMAX,
    CLRNN_LAYER_LOG_SOFTMAX,
    CLRNN_LAYER_ROUND,
    CLRNN_LAYER_POOL,
    CLRNN_LAYER_LEAKY_RELU,
    CLRNN_LAYER_ELU,
    CLRNN_LAYER_GELU,
    CLRNN_LAYER_SILU,
    CLRNN_LAYER_SOFTPLUS,
    CLRNN_LAYER_RESIDUAL,
    CLRNN_LAYER_CONCAT,
    CLRNN_LAYER_GROUPNORM,
    CLRNN_LAYER_CONV1D,
    CLRNN_LAYER_MAX_POOL1D,
    CLRNN_LAYER_AVG_POOL1D,
    CLRNN_LAYER_ATTENTION_POOL,
    CLRNN_LAYER_FLATTEN,
    CLRNN_LAYER_KINDS
};

/** What a pool returns over the time steps: the last valid one, h_n, the mean, the maximum. */
enum clrnn_pool_over { CLRNN_POOL_LAST, CLRNN_POOL_FINAL, CLRNN_POOL_MEAN, CLRNN_POOL_MAX };

/** Initialisers, as torch.nn.init has them. */
enum clrnn_initializer_kind {
    CLRNN_INITIALIZER_DEFAULT, // the layer's own
    CLRNN_INITIALIZER_ZEROS,
    CLRNN_INITIALIZER_ONES,
    CLRNN_INITIALIZER_XAVIER_UNIFORM,
    CLRNN_INITIALIZER_XAVIER_NORMAL,
    CLRNN_INITIALIZER_KAIMING_UNIFORM,
    CLRNN_INITIALIZER_KAIMING_NORMAL,
    CLRNN_INITIALIZER_ORTHOGONAL,
    CLRNN_INITIALIZER_UNIFORM, // from `first` to `second`
    CLRNN_INITIALIZER_NORMAL,  // mean `first`, deviation `second`
    CLRNN_INITIALIZER_CONSTANT // `first`
};
/** One initialiser. */
struct clrnn_initializer {
    enum clrnn_initializer_kind kind;
    double first, second;
};

/** `init` of a layer: initialisers by the parameter's name, and of what is not named. */
struct clrnn_layer_init {
    bool on;
    struct clrnn_initializer all, weight, bias, weight_ih, weight_hh, weight_hr, bias_ih,
        bias_hh; // bias: both
    struct clrnn_initializer gamma_ih, gamma_hh, gamma_c, beta_c, v;
    double forget_bias; // is added to the forget gate's part of bias_ih
    bool forget_default;
};

/** One entry of model.layers. Fields that do not apply to the kind keep their defaults. */
struct clrnn_layer {
    enum clrnn_layer_kind kind;
    char *name; // state-dict prefix, from malloc; NULL: the layer's index
    int line;   // in the config file, 0 where made in code
    // recurrent
    uint32_t hidden_size, num_layers;
    bool bidirectional, bias, relu; // bias: linear too; relu: nonlinearity of rnn
    double dropout;                 // between the layers of a recurrent stack
    // normalising
    double eps, momentum;
    bool cumulative; // batchnorm momentum: null
    bool affine;     // layernorm: elementwise_affine
    bool track_running_stats;
    bool sync; // train.shards: statistics of the whole batch, not of each shard
    // dense
    uint32_t out_features, num_embeddings, embedding_dim;
    int32_t padding_idx; // -1: none
    double p;            // dropout
    enum clrnn_pool_over over;
    uint32_t proj_size;                            // lstm: features of its projected hidden state; 0: none
    double recurrent_dropout;                      // of the hidden state where it enters the gates
    bool layer_norm;                               // in the cell
    double negative_slope, alpha, beta, threshold; // leaky_relu; elu; softplus, the last two
    // conv1d, max_pool1d, avg_pool1d; a stride of 0 is the kernel's size
    uint32_t out_channels, kernel_size, stride, padding, dilation;
    bool padding_same;       // conv1d, in place of `padding`
    bool count_include_pad;  // avg_pool1d
    uint32_t attention_size; // attention_pool
    bool variational;        // dropout: one mask for all steps
    uint32_t num_groups;     // groupnorm
    bool gelu_tanh;          // gelu: approximate: tanh
    struct clrnn_layer_init init;
    // Layers inside residual and concat follow it in the config's list: `inner` counts all of them, those
    // inside them as well.
    size_t inner;
    uint32_t branches, branch; // concat: how many it has; of a layer directly inside one: which it is in
};

/** Losses, as train.loss names them. */
enum clrnn_loss_kind {
    CLRNN_LOSS_CROSS_ENTROPY,
    CLRNN_LOSS_NLL,
    CLRNN_LOSS_BCE_WITH_LOGITS,
    CLRNN_LOSS_MSE,
    CLRNN_LOSS_L1,
    CLRNN_LOSS_SMOOTH_L1,
    CLRNN_LOSS_HUBER,
    CLRNN_LOSS_QUANTILE,
    CLRNN_LOSS_CTC // the last: it has an op and tests of its own
};
/** Optimisers, as train.optimizer names them. */
enum clrnn_optimizer_kind {
    CLRNN_OPTIMIZER_SGD,
    CLRNN_OPTIMIZER_ADAM,
    CLRNN_OPTIMIZER_ADAMW,
    CLRNN_OPTIMIZER_RMSPROP
};
/** Schedulers, as train.scheduler names them. */
enum clrnn_scheduler_kind {
    CLRNN_SCHEDULER_NONE,
    CLRNN_SCHEDULER_STEP_LR,
    CLRNN_SCHEDULER_MULTISTEP_LR,
    CLRNN_SCHEDULER_EXPONENTIAL_LR,
    CLRNN_SCHEDULER_COSINE_ANNEALING_LR,
    CLRNN_SCHEDULER_LINEAR_LR,
    CLRNN_SCHEDULER_ONE_CYCLE_LR,
    CLRNN_SCHEDULER_REDUCE_LR_ON_PLATEAU,
};

/** train.loss and its arguments. */
struct clrnn_loss_config {
    enum clrnn_loss_kind kind;
    size_t weight_count; // cross_entropy, nll: classes; bce: labels; or 0
    double *weight;      // class weights or pos_weight
    bool balanced;       // weight: balanced; without `weight` it is still to be measured on a training set
    double label_smoothing;
    int32_t ignore_index;
    size_t label_weight_count, quantile_count;
    double *label_weight; // bce: its weight, one a label, or NULL
    double beta, delta;   // smooth_l1, huber
    double *quantile;     // quantile: those to be predicted; NULL: 0.1, 0.5, 0.9
    uint32_t blank;       // ctc: the class of no label
    bool zero_infinity;   // ctc: targets that no path reaches have no loss
};

/** train.optimizer and its arguments; those that do not apply to the kind are ignored. */
struct clrnn_optimizer_config {
    enum clrnn_optimizer_kind kind;
    double lr, momentum, dampening, weight_decay, beta1, beta2, eps, alpha;
    bool nesterov, amsgrad, centered;
};

/** train.scheduler and its arguments; those that do not apply to the kind are ignored. */
struct clrnn_scheduler_config {
    enum clrnn_scheduler_kind kind;
    bool per_batch;          // interval: batch
    double step_size, gamma; // step, multistep, exponential
    size_t milestone_count;
    double *milestone;                                                                   // multistep
    double T_max, eta_min;                                                               // cosine
    double start_factor, end_factor, total_iters;                                        // linear
    double max_lr, pct_start, base_momentum, max_momentum, div_factor, final_div_factor; // one cycle
    int64_t total_steps, epochs, steps_per_epoch; // one cycle; 0: from the run itself
    bool linear_anneal, three_phase, cycle_momentum;
    double factor, threshold, min_lr, plateau_eps; // plateau
    int64_t patience, cooldown;
    bool mode_max, threshold_abs;
};

/** train.early_stopping. */
struct clrnn_early_stopping_config {
    bool on;
    char *monitor; // "valid_loss", "valid_accuracy", "train_loss", "train_accuracy"
    int64_t patience;
    double min_delta;
    bool mode_max;
};

/** The section train. */
struct clrnn_train_config {
    struct clrnn_loss_config loss;
    struct clrnn_optimizer_config optimizer;
    struct clrnn_scheduler_config scheduler;
    struct clrnn_early_stopping_config early_stopping;
    uint32_t epochs, batch_size, log_every; // log_every 0: no step lines
    bool shuffle, drop_last;
    bool tensorboard;   // write an event file into the run's folder
    uint32_t bptt;      // steps of a piece of the batch, 0: whole sequences
    bool stateful;      // states go on from batch to batch
    uint32_t shards;    // parts of a batch whose gradients are computed by themselves, 1: the whole
    uint32_t recompute; // N: recurrent layers keep every N-th state for backward; 0: all activations
    uint64_t seed;
    double clip_grad_norm;     // 0: off
    double checkpoint_minutes; // between checkpoints within an epoch, 0: at its end alone
    char *init;                // a safetensors file to start from, relative to the config's folder, or NULL
    bool init_partial;         // load what fits
};

/** An array of the caller's in C order, read where it lies. */
struct clrnn_array {
    const char *dtype; // NumPy's descriptor: "<f4", "<i8", "|b1"
    unsigned ndim;
    size_t shape[8];
    const void *data; // NULL: there is no such array
};

/** A data set in memory: what the files x, y, lengths and weights of the config hold. */
struct clrnn_arrays {
    struct clrnn_array x, y, lengths, weights, y_lengths;
};

/** A horizon that the config does not give: 1 with target, 0 with label. */
#define CLRNN_HORIZON_OF_TARGET UINT32_MAX

/** One data set: npy files, a CSV file, synthetic data, or arrays. Paths are as written in the config. */
struct clrnn_source {
    bool there;
    bool own; // clrnn_eval, clrnn_predict: data.test of the model's own config, else its validation data
    const struct clrnn_arrays *arrays; // in place of files; the caller's, as are their data. NULL: files
    int line;
    char *x, *y, *lengths, *weights, *y_lengths;
    char *csv, *label;
    char *columns, *target;              // csv: names or numbers of columns, one a line
    char *delimiter, *comment, *decimal; // csv: one character each; NULL: found by itself, none, a point
    char *label_from;                    // csv of several files: a table of their labels
    char *ts;                            // a .ts file, in place of x and csv
    char *missing;                       // csv: error (NULL), zero, mean or forward
    char *time, *group;                  // csv: columns
    uint32_t csv_steps;                  // 0: T = 1
    uint32_t window, horizon, stride;    // csv: 0: no windows; CLRNN_HORIZON_OF_TARGET; 0: 1
    uint32_t season;                     // csv: rows, of the seasonal baseline; 0: none
    bool split;
    double split_valid; // share of each group's rows, the last ones
    bool synthetic;
    uint32_t samples, steps, features, classes;
    uint64_t seed;
};

/** The section data. */
struct clrnn_data_config {
    struct clrnn_source train, valid, test;
    double valid_fraction; // 0: none
    bool standard;         // normalize: standard
    bool standard_targets; // normalize_targets: standard
    bool missing_ignore;   // missing_targets: ignore
    bool bucket;
};

/** A config. It owns its strings and arrays (allocated with malloc); clrnn_config_destroy frees them. Code
 * may change numbers directly before the config is used; use clrnn_config_set to change strings.
 * doc/config.md has the meaning and range of each value; functions that use the config check them.
 */
struct clrnn_config {
    char *path;   // NULL where made in code
    char *folder; // data paths are relative to it
    size_t layer_count;
    struct clrnn_layer *layer;
    bool init_keras; // model.init: keras
    struct clrnn_train_config train;
    struct clrnn_data_config data;
};

/** Reads a config file, then applies `set_count` assignments such as "train.epochs=3". Checks keys, types,
 * ranges, and whatever can be checked without the data. The data section is optional.
 *
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_CONFIG: no such file, or an invalid entry; the message has file, line, key, what was
 * found and what is expected, and suggests a key for a misspelt one. CLRNN_ERR_MEMORY. *config is then NULL.
 * Source  doc/config.md
 */
CLRNN_API enum clrnn_status clrnn_config_read(const struct clrnn_log *log, const char *path, size_t set_count,
                                              const char *const *set, struct clrnn_config **config);

/** Like clrnn_config_read, from text. Data paths are relative to `folder` (NULL: the working directory). */
CLRNN_API enum clrnn_status clrnn_config_parse(const struct clrnn_log *log, const char *text,
                                               const char *folder, struct clrnn_config **config);

/** Creates a config without layers and data, with defaults for everything else. Add layers with
 * clrnn_config_add_layer, then set the fields.
 *
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_create(const struct clrnn_log *log, struct clrnn_config **config);

/** Appends a layer with the defaults of its kind and returns it. The config owns it; the pointer is valid
 * until the next call. NULL: no memory, or no such kind. */
CLRNN_API struct clrnn_layer *clrnn_config_add_layer(struct clrnn_config *config, enum clrnn_layer_kind kind);

/** Changes one value of a config, as `--set` does; its layers must exist: "train.epochs=3",
 * "model.layers.0.rnn.name=rnn", "train.scheduler={step_lr: {step_size: 30}}",
 * "data.train={x: X.npy, y: y.npy}".
 * Effect  pointers into the config (layers, strings) become invalid.
 * Errors  CLRNN_ERR_CONFIG: as clrnn_config_read; the config is then unchanged. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_set(const struct clrnn_log *log, struct clrnn_config *config,
                                             const char *assignment);

/** Makes arrays in memory a data set of the config, in place of files. They are neither copied nor changed.
 * The config's text names them `memory:x` and so on, which cannot be opened again.
 *
 * `set`   "train", "valid" or "test".
 * Owner   the caller; the arrays must stay as they are while the config or a copy of it is used.
 * Errors  CLRNN_ERR_ARG: no such set. CLRNN_ERR_CONFIG: as clrnn_config_set, or x or y is missing. Shapes and
 *         values are checked where the set is opened. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_set_arrays(const struct clrnn_log *log, struct clrnn_config *config,
                                                    const char *set, const struct clrnn_arrays *arrays);

/** Frees the config and sets *config to NULL; does nothing where it is NULL. */
CLRNN_API void clrnn_config_destroy(struct clrnn_config **config);

/** Makes a deep copy, to be freed with clrnn_config_destroy. CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_config_copy(const struct clrnn_log *log, const struct clrnn_config *config,
                                              struct clrnn_config **copy);

/** Returns the config as YAML with every argument written out; the caller frees it with free(). Reading it
 * gives the same config from any folder: data paths are absolute, and doubles read back bit for bit. NULL: no
 *  memory. */
CLRNN_API char *clrnn_config_text(const struct clrnn_config *config);

/** A key of the config. Its strings are owned by the list that clrnn_config_keys returns. */
struct clrnn_config_key {
    const char *path;    // "train.optimizer.adam.lr", "model.layers.lstm.bias"; a layer's without its index
    const char *expects; // allowed values: "a number from 0 to 1", "a map"
    const char
        *standard; // the default as YAML; NULL: required, or one of several maps ("train.optimizer.adam")
    bool required;
    const char *help; // one-line description
};

/** Lists every key that a config can hold, each map before its entries.
 *
 * Owner   the caller: free(*keys), which also frees all strings.
 * Errors  CLRNN_ERR_MEMORY. *keys is then NULL.
 */
CLRNN_API enum clrnn_status clrnn_config_keys(const struct clrnn_log *log, struct clrnn_config_key **keys,
                                              size_t *count);

/** The name of a layer kind in a config, "rnn"; static. NULL: no such kind. */
CLRNN_API const char *clrnn_layer_word(enum clrnn_layer_kind kind);
/** The name of a loss, "cross_entropy"; static. NULL: no such kind. */
CLRNN_API const char *clrnn_loss_word(enum clrnn_loss_kind kind);
/** The name of an optimiser, "adam"; static. NULL: no such kind. */
CLRNN_API const char *clrnn_optimizer_word(enum clrnn_optimizer_kind kind);
/** The name of a scheduler, "step_lr"; static. NULL for none. */
CLRNN_API const char *clrnn_scheduler_word(enum clrnn_scheduler_kind kind);

CLRNN_END

#endif
