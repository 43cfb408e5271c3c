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

/** What a pool layer returns for the time steps of a sample: the last valid step, the final states h_n of the
 * layer before, the mean, or the maximum. */
enum clrnn_pool_over { CLRNN_POOL_LAST, CLRNN_POOL_FINAL, CLRNN_POOL_MEAN, CLRNN_POOL_MAX };

/** Initialisers, as torch.nn.init has them. */
enum clrnn_initializer_kind {
    CLRNN_INITIALIZER_DEFAULT, // the layer's default initialiser
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

/** `init` of a layer: an initialiser for each parameter name, and `all` for parameters without one. */
struct clrnn_layer_init {
    bool on;
    struct clrnn_initializer all, weight, bias, weight_ih, weight_hh, weight_hr, bias_ih,
        bias_hh; // `bias` in recurrent layers: both bias_ih and bias_hh
    struct clrnn_initializer gamma_ih, gamma_hh, gamma_c, beta_c, v;
    double forget_bias;  // is added to the forget gate's part of bias_ih
    bool forget_default; // forget_bias is not given: 1 with model.init: keras, else 0
};

/** One entry of model.layers. Fields that do not apply to the kind keep their defaults. */
struct clrnn_layer {
    enum clrnn_layer_kind kind;
    char *name; // state-dict prefix, from malloc; NULL: the layer's index
    int line;   // of the layer's entry in the config file; 0: made in code
    // of recurrent layers
    uint32_t hidden_size, num_layers;
    bool bidirectional, bias, relu; // bias: also of linear; relu: rnn with nonlinearity relu
    double dropout;                 // between the layers of a recurrent stack
    // of normalising layers
    double eps, momentum;
    bool cumulative; // batchnorm: momentum is null, so that running statistics are averages of all batches
    bool affine;     // layernorm: elementwise_affine
    bool track_running_stats;
    bool sync; // with train.shards: take statistics over the whole batch, not over each shard
    // of linear, embedding, dropout and pool layers
    uint32_t out_features, num_embeddings, embedding_dim;
    int32_t padding_idx; // -1: none
    double p;            // dropout
    enum clrnn_pool_over over;
    uint32_t proj_size;                            // lstm: features of its projected hidden state; 0: none
    double recurrent_dropout;                      // dropout of the hidden state where it enters the gates
    bool layer_norm;                               // layer normalisation inside the cell
    double negative_slope, alpha, beta, threshold; // leaky_relu; elu; softplus (beta and threshold)
    // of conv1d, max_pool1d and avg_pool1d; stride 0: stride is kernel_size
    uint32_t out_channels, kernel_size, stride, padding, dilation;
    bool padding_same;       // conv1d: padding: same, in place of the number `padding`
    bool count_include_pad;  // avg_pool1d
    uint32_t attention_size; // attention_pool
    bool variational;        // dropout: one mask for all steps
    uint32_t num_groups;     // groupnorm
    bool gelu_tanh;          // gelu with approximate: tanh
    struct clrnn_layer_init init;
    // residual, concat: the layers inside one follow it in the config's list; `inner` is how many of them
    // there are at all depths.
    size_t inner;
    uint32_t branches, branch; // concat: number of branches; a layer directly inside one: index of its branch
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
    CLRNN_LOSS_CTC // stays last: unlike the losses above it has a separate op and tests
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
    size_t weight_count; // number of classes (cross_entropy, nll) or labels (bce); 0: no weights
    double *weight;      // [weight_count] class weights, or pos_weight of bce
    bool balanced;       // weight: balanced. While `weight` is NULL, the training set has yet to be counted
    double label_smoothing;
    int32_t ignore_index;
    size_t label_weight_count, quantile_count;
    double *label_weight; // bce: [label_weight_count], its argument `weight`, or NULL
    double beta, delta;   // smooth_l1, huber
    double *quantile;     // quantile: [quantile_count] quantiles to predict; NULL: 0.1, 0.5, 0.9
    uint32_t blank;       // ctc: index of the blank class
    bool zero_infinity;   // ctc: a target that no alignment reaches adds 0 to the loss, not infinity
};

/** train.optimizer and its arguments; arguments of other kinds are ignored. */
struct clrnn_optimizer_config {
    enum clrnn_optimizer_kind kind;
    double lr, momentum, dampening, weight_decay, beta1, beta2, eps, alpha;
    bool nesterov, amsgrad, centered;
};

/** train.scheduler and its arguments; arguments of other kinds are ignored. */
struct clrnn_scheduler_config {
    enum clrnn_scheduler_kind kind;
    bool per_batch;          // interval: batch
    double step_size, gamma; // step, multistep, exponential
    size_t milestone_count;
    double *milestone;                                                                   // multistep
    double T_max, eta_min;                                                               // cosine
    double start_factor, end_factor, total_iters;                                        // linear
    double max_lr, pct_start, base_momentum, max_momentum, div_factor, final_div_factor; // one cycle
    int64_t total_steps, epochs, steps_per_epoch; // one cycle; 0: taken from the run
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
    uint32_t bptt;      // truncated backpropagation: time steps of a piece; 0: whole sequences
    bool stateful;      // a batch starts from the recurrent states that the batch before ended with
    uint32_t shards;    // number of parts of a batch whose gradients are computed separately; 1: no division
    uint32_t recompute; // N: recurrent layers keep every N-th state for backward; 0: all activations
    uint64_t seed;
    double clip_grad_norm;     // largest norm of all gradients together; 0: no clipping
    double checkpoint_minutes; // between checkpoints within an epoch; 0: only at the end of each epoch
    char *init;                // a safetensors file to start from, relative to the config's folder, or NULL
    bool init_partial;         // load the tensors of `init` that match, and only warn about others
};

/** An array in C order that the caller owns; it is read in place, without a copy. */
struct clrnn_array {
    const char *dtype; // NumPy's descriptor: "<f4", "<i8", "|b1"
    unsigned ndim;
    size_t shape[8];
    const void *data; // NULL: no array is given
};

/** A data set in memory: arrays in place of the config's files x, y, lengths, weights and y_lengths. */
struct clrnn_arrays {
    struct clrnn_array x, y, lengths, weights, y_lengths;
};

/** The value of clrnn_source.horizon where the config gives none: it means 1 with target, 0 with label. */
#define CLRNN_HORIZON_OF_TARGET UINT32_MAX

/** One data set: npy files, a CSV file, synthetic data, or arrays. Paths are as written in the config. */
struct clrnn_source {
    bool there;
    bool own; // clrnn_eval, clrnn_predict: use data.test of the model's own config, else its validation data
    const struct clrnn_arrays *arrays; // in place of files; the caller owns them and their data. NULL: files
    int line;                          // in the config file
    char *x, *y, *lengths, *weights, *y_lengths;
    char *csv, *label;
    char *columns, *target;              // csv: names or numbers of columns, one a line
    char *delimiter, *comment, *decimal; // csv: a character each; NULL means detected, none, a point
    char *label_from;                    // csv of several files: path of a table with each file's label
    char *ts;                            // a .ts file, in place of x and csv
    char *missing;                       // csv: error (NULL), zero, mean or forward
    char *time, *group;                  // csv: names of the columns with times and with series
    uint32_t csv_steps;                  // csv: steps T into which a row's columns are folded; 0: T = 1
    uint32_t window, horizon, stride;    // csv, in rows. window 0: none; stride 0: 1; CLRNN_HORIZON_OF_TARGET
    uint32_t season;                     // csv: rows of a season of the seasonal baseline; 0: no baseline
    bool split;                          // csv: hold out the end of each group for validation
    double split_valid;                  // the share of each group's rows that is held out
    bool synthetic;
    uint32_t samples, steps, features, classes;
    uint64_t seed;
};

/** The section data. */
struct clrnn_data_config {
    struct clrnn_source train, valid, test;
    double valid_fraction; // share of the training set to hold out for validation; 0: none
    bool standard;         // normalize: standard
    bool standard_targets; // normalize_targets: standard
    bool missing_ignore;   // missing_targets: ignore
    bool bucket;           // batch samples of similar length together
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
 * clrnn_config_add_layer, then set their fields.
 *
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_create(const struct clrnn_log *log, struct clrnn_config **config);

/** Appends a layer with the defaults of its kind and returns it. The config owns it; the pointer is valid
 * until the next call. NULL: no memory, or no such kind. */
CLRNN_API struct clrnn_layer *clrnn_config_add_layer(struct clrnn_config *config, enum clrnn_layer_kind kind);

/** Changes one value of a config, as `--set` does, for example "train.epochs=3",
 * "model.layers.0.rnn.name=rnn", "train.scheduler={step_lr: {step_size: 30}}" or
 * "data.train={x: X.npy, y: y.npy}". A layer that is named must exist.
 * Effect  pointers into the config (layers, strings) become invalid.
 * Errors  CLRNN_ERR_CONFIG: as clrnn_config_read; the config is then unchanged. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_set(const struct clrnn_log *log, struct clrnn_config *config,
                                             const char *assignment);

/** Makes arrays in memory a data set of the config, in place of files. The arrays are not copied or changed.
 * clrnn_config_text names them `memory:x` and so on, which cannot be opened again.
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
 * gives the same config from any folder: data paths are absolute, and doubles read back bit for bit. NULL:
 * out of memory. */
CLRNN_API char *clrnn_config_text(const struct clrnn_config *config);

/** A key of the config. Its strings are owned by the list that clrnn_config_keys returns. */
struct clrnn_config_key {
    const char *path;    // "train.optimizer.adam.lr", "model.layers.lstm.bias" (without the layer's index)
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

/** The name of a layer kind in a config, such as "rnn"; static. NULL: no such kind. */
CLRNN_API const char *clrnn_layer_word(enum clrnn_layer_kind kind);
/** The name of a loss, such as "cross_entropy"; static. NULL: no such kind. */
CLRNN_API const char *clrnn_loss_word(enum clrnn_loss_kind kind);
/** The name of an optimiser, such as "adam"; static. NULL: no such kind. */
CLRNN_API const char *clrnn_optimizer_word(enum clrnn_optimizer_kind kind);
/** The name of a scheduler, such as "step_lr"; static. NULL: CLRNN_SCHEDULER_NONE, or no such kind. */
CLRNN_API const char *clrnn_scheduler_word(enum clrnn_scheduler_kind kind);

CLRNN_END

#endif
