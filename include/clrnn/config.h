// SPDX-License-Identifier: MIT
// The config of a run: model, training and data, read from YAML or filled in by code.
#ifndef CLRNN_CONFIG_H
#define CLRNN_CONFIG_H

#include "clrnn/base.h"

CLRNN_BEGIN

/** Kinds of layers: what an entry of the config's list model.layers can be. */
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

/** What a pool layer returns for each sample: the last valid time step, the final hidden states h_n of the recurrent
 * layer before the pool, or the mean or the maximum over the valid time steps. */
enum clrnn_pool_over { CLRNN_POOL_LAST, CLRNN_POOL_FINAL, CLRNN_POOL_MEAN, CLRNN_POOL_MAX };

/** Initialisers, as in torch.nn.init. */
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
    CLRNN_INITIALIZER_NORMAL,  // mean `first`, standard deviation `second`
    CLRNN_INITIALIZER_CONSTANT // all values are `first`
};
/** An initialiser with its arguments `first` and `second`, if its kind has any. */
struct clrnn_initializer {
    enum clrnn_initializer_kind kind;
    double first, second;
};

/** The key `init` of a layer: an initialiser for each parameter, by the parameter's name. `all` applies to the
 * parameters without an initialiser of their own. */
struct clrnn_layer_init {
    bool on; // the config gives `init` for the layer
    struct clrnn_initializer all, weight, bias, weight_ih, weight_hh, weight_hr, bias_ih,
        bias_hh; // in recurrent layers, `bias` applies to both bias_ih and bias_hh
    struct clrnn_initializer gamma_ih, gamma_hh, gamma_c, beta_c, v;
    double forget_bias;  // lstm: added to the forget gate's part of bias_ih
    bool forget_default; // the config gives no forget_bias; it is 1 with model.init: keras, else 0
};

/** One entry of model.layers. Fields that do not apply to the kind keep their defaults. */
struct clrnn_layer {
    enum clrnn_layer_kind kind;
    char *name; // prefix of the layer's parameters in the state dict, from malloc; NULL: its index
    int line;   // line of the layer's entry in the config file; 0: the layer was added in code
    // fields of recurrent layers
    uint32_t hidden_size, num_layers;
    bool bidirectional, bias, // bias: also a field of linear and conv1d
        relu;                 // rnn: the nonlinearity is relu, not tanh
    double dropout;           // probability of dropout between the stacked recurrent layers
    // fields of normalising layers
    double eps, momentum;
    bool cumulative; // batchnorm: momentum is null; running statistics are averages of all batches
    bool affine;     // called elementwise_affine in layernorm
    bool track_running_stats;
    bool sync; // batchnorm with train.shards: statistics are over the whole batch, not over each shard
    // fields of linear, embedding, dropout and pool layers
    uint32_t out_features, num_embeddings, embedding_dim;
    int32_t padding_idx; // -1: none
    double p;            // dropout: probability
    enum clrnn_pool_over over;
    uint32_t proj_size;       // lstm: features of the projected hidden state; 0: no projection
    double recurrent_dropout; // recurrent layers: dropout of h where h enters the gates
    bool layer_norm;          // recurrent layers: layer normalisation inside the cell
    double negative_slope,    // leaky_relu
        alpha,                // elu
        beta, threshold;      // softplus
    // fields of conv1d, max_pool1d and avg_pool1d; stride 0: stride is kernel_size
    uint32_t out_channels, kernel_size, stride, padding, dilation;
    bool padding_same;       // conv1d: the config has padding: same; the number `padding` is not used
    bool count_include_pad;  // avg_pool1d
    uint32_t attention_size; // attention_pool
    bool variational;        // dropout: one mask for all steps
    uint32_t num_groups;     // groupnorm
    bool gelu_tanh;          // gelu with approximate: tanh
    struct clrnn_layer_init init;
    // residual, concat: number of layers inside this layer, counted at all depths of nesting. The inner layers follow
    // this layer in the config's list.
    size_t inner;
    uint32_t branches, // number of branches of a concat
        branch;        // of a layer directly inside a concat: index of the layer's branch
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
    CLRNN_LOSS_CTC // must stay last: code loops over the losses above, which share an op
};
/** Optimisers, as train.optimizer names them. */
enum clrnn_optimizer_kind { CLRNN_OPTIMIZER_SGD, CLRNN_OPTIMIZER_ADAM, CLRNN_OPTIMIZER_ADAMW, CLRNN_OPTIMIZER_RMSPROP };
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
    bool balanced;       // the config has weight: balanced; until the training set is counted, `weight` is NULL
    double label_smoothing;
    int32_t ignore_index;
    size_t label_weight_count, quantile_count;
    double *label_weight; // [label_weight_count] weights of the labels, the argument `weight` of bce, or NULL
    double beta, delta;   // smooth_l1, huber
    double *quantile;     // quantile: [quantile_count] quantiles to predict; NULL: 0.1, 0.5, 0.9
    uint32_t blank;       // ctc: index of the blank class
    bool zero_infinity;   // ctc: a target that no alignment reaches adds 0 to the loss, not infinity
};

/** train.optimizer and its arguments. Fields that are not arguments of this kind are ignored. */
struct clrnn_optimizer_config {
    enum clrnn_optimizer_kind kind;
    double lr, momentum, dampening, weight_decay, beta1, beta2, eps, alpha;
    bool nesterov, amsgrad, centered;
};

/** train.scheduler and its arguments. Fields that are not arguments of this kind are ignored. */
struct clrnn_scheduler_config {
    enum clrnn_scheduler_kind kind;
    bool per_batch;          // interval: batch, so the scheduler steps after each batch, not after each epoch
    double step_size, gamma; // step, multistep, exponential
    size_t milestone_count;
    double *milestone;                                                                   // multistep
    double T_max, eta_min;                                                               // cosine
    double start_factor, end_factor, total_iters;                                        // linear
    double max_lr, pct_start, base_momentum, max_momentum, div_factor, final_div_factor; // one cycle
    int64_t total_steps, epochs, steps_per_epoch; // one cycle; 0: the value of the run
    bool linear_anneal, three_phase, cycle_momentum;
    double factor, threshold, min_lr, plateau_eps; // plateau
    int64_t patience, cooldown;
    bool mode_max, threshold_abs;
};

/** train.early_stopping. */
struct clrnn_early_stopping_config {
    bool on;
    char *monitor; // the metric that must improve: "valid_loss", "train_accuracy", ... (doc/config.md)
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
    uint32_t epochs, batch_size, log_every; // log_every: steps from one logged step to the next; 0: none
    bool shuffle, drop_last;
    bool tensorboard;   // write an event file into the run's folder
    uint32_t bptt;      // truncated backpropagation through time: time steps in each piece; 0: whole sequences
    bool stateful;      // each batch starts from the recurrent states with which the previous batch ended
    uint32_t shards;    // parts into which a batch is divided, each with gradients of its own; 1: no division
    uint32_t recompute; // N: recurrent layers store every N-th state and recompute the rest; 0: store all
    uint64_t seed;
    double clip_grad_norm;     // largest norm of all gradients together; 0: no clipping
    double checkpoint_minutes; // minutes between checkpoints in an epoch; 0: only at the end of each epoch
    char *init;                // safetensors file of initial weights, relative to the config's folder, or NULL
    bool init_partial;         // load the tensors of `init` that match, and only warn about the others
};

/** An array in C order. The caller owns the array, and the library reads it in place, without a copy. */
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

/** The value of clrnn_source.horizon if the config gives no horizon. It stands for a horizon of 1 if the source has
 * `target`, and of 0 if it has `label`. */
#define CLRNN_HORIZON_OF_TARGET UINT32_MAX

/** One data set: npy files, a CSV file, a .ts file, synthetic data, or arrays in memory. Paths are stored as they are
 * written in the config. */
struct clrnn_source {
    bool there; // the config has this data set
    // For clrnn_eval and clrnn_predict: use data.test of the model's config or, if there is none, the model's
    // validation data.
    bool own;
    const struct clrnn_arrays *arrays; // arrays to use in place of files, owned by the caller. NULL: files
    int line;                          // line of the data set's entry in the config file
    char *x, *y, *lengths, *weights, *y_lengths;
    char *csv, *label;
    char *columns, *target; // csv: names or numbers of columns, separated by newlines
    char *delimiter,        // csv: character between two cells, or "tab"; NULL: detected
        *comment,           // csv: character that starts a comment; NULL: no comments
        *decimal;           // csv: decimal point of numbers; NULL: "."
    char *label_from;       // csv of several files: path of a table with each file's label
    char *ts;               // a .ts file, in place of x and csv
    char *missing;          // csv: treatment of empty cells: error (NULL), zero, mean, forward
    char *time,             // csv: name of the column of times
        *group;             // csv: name of the column that says to which series a row belongs
    uint32_t csv_steps;     // csv: steps T into which a row's columns are folded; 0: T = 1
    uint32_t window,        // csv: number of rows in a window, which is a sample; 0: no windows
        horizon,            // csv: number of rows after a window whose targets are y; 0: y is of the window's last row
        stride;             // csv: number of rows from the start of a window to the start of the next; 0: 1
    uint32_t season;        // csv: rows after which the seasonal baseline repeats; 0: no such baseline
    bool split;             // csv: hold out the end of each group for validation
    double split_valid;     // fraction of each group's rows that is held out
    bool synthetic;
    uint32_t samples, steps, features, classes;
    uint64_t seed;
};

/** The section data. */
struct clrnn_data_config {
    struct clrnn_source train, valid, test;
    double valid_fraction; // fraction of the training set to hold out for validation; 0: none
    bool standard;         // normalize: standard
    bool standard_targets; // normalize_targets: standard
    bool missing_ignore;   // missing_targets: ignore
    bool bucket;           // batch samples of similar length together
};

/** A config. It owns its strings and arrays (allocated with malloc); clrnn_config_destroy frees them. Code may change
 * numbers directly before the config is used; use clrnn_config_set to change strings. doc/config.md has the meaning and
 * range of each value; functions that use the config check the values.
 */
struct clrnn_config {
    char *path;   // path of the config file; NULL: the config was made in code
    char *folder; // folder that data paths are relative to
    size_t layer_count;
    struct clrnn_layer *layer;
    bool init_keras; // model.init: keras
    struct clrnn_train_config train;
    struct clrnn_data_config data;
};

/** Reads a config file, then applies `set_count` assignments such as "train.epochs=3". Checks keys, types, ranges, and
 * whatever can be checked without the data. The data section is optional.
 *
 * `set`   [set_count] assignments; may be NULL if set_count is 0.
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_CONFIG: there is no such file, or an entry is invalid. The message has file, line, key,
 *         what was found and what is expected; for a misspelt key it suggests a known one. CLRNN_ERR_MEMORY.
 *         *config is NULL after an error.
 * Source  doc/config.md
 */
CLRNN_API enum clrnn_status clrnn_config_read(const struct clrnn_log *log, const char *path, size_t set_count,
                                              const char *const *set, struct clrnn_config **config);

/** Like clrnn_config_read, but parses the YAML text `text`, and applies no assignments. Data paths are relative to
 * `folder` (NULL: the working directory). */
CLRNN_API enum clrnn_status clrnn_config_parse(const struct clrnn_log *log, const char *text, const char *folder,
                                               struct clrnn_config **config);

/** Creates a config without layers and data, with defaults for everything else. Add layers with clrnn_config_add_layer,
 * then set their fields.
 *
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_create(const struct clrnn_log *log, struct clrnn_config **config);

/** Appends a layer with the defaults of its kind and returns a pointer to the layer. The config owns the layer; the
 * pointer is valid until the next call. Returns NULL if memory runs out or the kind is unknown. */
CLRNN_API struct clrnn_layer *clrnn_config_add_layer(struct clrnn_config *config, enum clrnn_layer_kind kind);

/** Changes one value of a config, as `--set` does, for example "train.epochs=3", "model.layers.0.rnn.name=rnn",
 * "train.scheduler={step_lr: {step_size: 30}}" or "data.train={x: X.npy, y: y.npy}". A layer that the assignment names
 * must exist.
 *
 * Effect  pointers into the config (layers, strings) become invalid.
 * Errors  CLRNN_ERR_CONFIG: as clrnn_config_read; the config is then unchanged. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_set(const struct clrnn_log *log, struct clrnn_config *config,
                                             const char *assignment);

/** Sets a data set of the config to arrays in memory, in place of files. The arrays are not copied or changed.
 * clrnn_config_text writes them as the paths `memory:x`, `memory:y` and so on. A config that is read from this text
 * cannot open these paths.
 *
 * `set`   "train", "valid" or "test".
 * Owner   the caller; `arrays` and the data must stay unchanged while the config or a copy of it is used.
 * Errors  CLRNN_ERR_ARG: no such set. CLRNN_ERR_CONFIG: as clrnn_config_set, or x or y is missing. Shapes and
 *         values are checked when the set is opened. CLRNN_ERR_MEMORY.
 */
CLRNN_API enum clrnn_status clrnn_config_set_arrays(const struct clrnn_log *log, struct clrnn_config *config,
                                                    const char *set, const struct clrnn_arrays *arrays);

/** Frees the config and sets *config to NULL; does nothing if *config is NULL. */
CLRNN_API void clrnn_config_destroy(struct clrnn_config **config);

/** Makes a deep copy, which the caller frees with clrnn_config_destroy. Errors: CLRNN_ERR_MEMORY. */
CLRNN_API enum clrnn_status clrnn_config_copy(const struct clrnn_log *log, const struct clrnn_config *config,
                                              struct clrnn_config **copy);

/** Returns the config as YAML text with every argument written out, defaults included; the caller frees the text with
 * free(). Reading the text gives the same config, whatever folder it is in: data paths are absolute, and doubles read
 * back bit for bit. Returns NULL if memory runs out. */
CLRNN_API char *clrnn_config_text(const struct clrnn_config *config);

/** A key of the config. Its strings are owned by the list that clrnn_config_keys returns. */
struct clrnn_config_key {
    const char *path;     // "train.optimizer.adam.lr", "model.layers.lstm.bias" (without the layer's index)
    const char *expects;  // allowed values: "a number from 0 to 1", "a map"
    const char *standard; // the default as YAML; NULL: required, or one of several maps to choose from
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

/** Returns the name of a layer kind in a config, such as "rnn"; static. NULL if there is no such kind. */
CLRNN_API const char *clrnn_layer_word(enum clrnn_layer_kind kind);
/** Returns the name of a loss, such as "cross_entropy"; static. NULL if there is no such kind. */
CLRNN_API const char *clrnn_loss_word(enum clrnn_loss_kind kind);
/** Returns the name of an optimiser, such as "adam"; static. NULL if there is no such kind. */
CLRNN_API const char *clrnn_optimizer_word(enum clrnn_optimizer_kind kind);
/** Returns the name of a scheduler, such as "step_lr"; static. NULL for CLRNN_SCHEDULER_NONE, or if there is no such
 * kind. */
CLRNN_API const char *clrnn_scheduler_word(enum clrnn_scheduler_kind kind);

CLRNN_END

#endif
