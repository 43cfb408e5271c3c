// SPDX-License-Identifier: MIT
// Internals of the doctor, used by all its stages. Stage 1 checks the config and the data, stage 2 probes the model
// with a few passes and overfits one batch, and stage 3 trains the model for a short time.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_DOCTOR_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_DOCTOR_H

#include "clrnn/diagnose.h"
#include "diagnose/thresholds.h"
#include "model/layer.h"
#include "train/dataset.h"
#include "train/evaluate.h"
#include "train/findings.h"

/** Statistics of a data set from one pass over it. A row is a sample of the set: X is [S, T, C], and the valid steps of
 * a row are the time steps before its length. Owns its arrays: clrnn_doctor_scan_finish frees them. */
struct clrnn_scan {
    const struct clrnn_dataset *set;
    const struct clrnn_dataset_info *info;
    uint32_t C; // features; 1 for tokens
    // statistics of X over valid steps
    uint64_t bad_values,                     // number of values that are NaN or infinite
        steps;                               // number of valid steps of all rows
    uint32_t bad_row, bad_step, bad_feature; // position of the first bad value
    double bad_value;                        // the first bad value
    double *mean, *rms, *least, *most;       // [C], of finite values
    uint32_t sample_count;
    float *sample;              // [sample_count, C] features at (row, step) pairs spread over the set
    uint64_t (*hash)[2];        // [S] 128-bit hash of each row's valid steps
    uint32_t shortest, longest; // lengths of the shortest and longest row, in valid steps
    double pad_rows,            // fraction of rows that are padded
        pad_share;              // mean fraction of padding in the steps of a padded row
    uint64_t bad_tokens,        // number of tokens out of range
        real_tokens;            // number of tokens that are not whole numbers
    double least_token, most_token;
    uint32_t bad_token_row, real_token_row;
    double real_token; // the first token that is not a whole number
    // rows relative to their neighbours, from a sample of rows
    double front_rows;                  // of the padded rows, the fraction with padding in front
    uint32_t counter;                   // index of a feature that numbers the rows; UINT32_MAX: none
    double counter_first, counter_last; // lowest and highest value of the feature `counter`
    double across_features,             // mean correlation of neighbouring features
        across_steps;                   // mean correlation of neighbouring steps
    bool series;                        // rows are overlapping windows of one series
    // If X was stored as (T, N, C) and wrongly reshaped to (N, T, C) (reshaped.c): number of steps of X from one step
    // of a sample to the sample's next step. 0: X was not reshaped.
    uint32_t reshaped;
    double reshaped_near,   // correlation of neighbouring steps of X
        reshaped_far;       // correlation of steps of X that are `reshaped` steps apart
    double feature_windows; // T = 1: fraction of rows that equal the row before, shifted by one feature
    // statistics of y
    uint64_t labels,         // number of labels that are not ignored
        bad_labels,          // number of these that do not suit the loss
        soft_labels;         // bce: number of these between 0 and 1
    unsigned char *labelled; // [S] whether a row has a label that is not ignored, and a sample weight above 0
    uint32_t bad_label_row;
    double bad_label, least_label, most_label;
    uint32_t classes; // size of `count`: the model's outputs; bce: 2; regression: 0
    uint64_t *count;  // [classes] number of labels of each class
    // [classes] sum of the sample weights of each class's labels. bce: of zeros and ones; a target y between 0 and 1
    // adds the fraction 1 - y of its weight to the zeros and y to the ones
    double *weight;
    uint64_t (*label)[2];      // [targets, 2] number of zeros and ones of each label; NULL: samples have one label
    double (*label_weight)[2]; // [targets, 2] as `weight`, for each label; NULL if `label` is
    // ctc only
    uint64_t blank_labels; // labels equal to the blank
    uint32_t long_targets, // number of rows with too few steps for their labels
        blank_row;         // first row with a blank
    uint32_t long_row,     // first row with too few steps for its labels
        long_need,         // number of steps that its labels need
        long_steps;        // number of its output steps
    // train.stateful: median distance from a row's last step to a later row's first step. Both are divided by the
    // median distance between neighbouring steps of a row. 0: not measured
    double join_next,     // to the next row
        join_batch;       // to the row one batch later
    double y_mean, y_std, // of real targets
        y_variance,       // variance, with sample weights
        y_square;         // mean of squares, with sample weights
    double *y_sample;     // [y_sample_count] first target of up to 4096 rows spread over the set, if finite
    uint32_t y_sample_count;
    // number of rows whose label differs from the label of the previous row; 0: not applicable
    double changes,           // in the order of the file
        changes_expected;     // expected in a random order
    bool order_known;         // samples have one label, so that `changes` or y_autocorrelation says how it is sorted
    double y_autocorrelation; // regression: correlation of neighbouring rows' targets
};

/** The result of a short training of the config as given, or of a changed config. Owns its arrays: clrnn_trial_finish
 * frees them. */
struct clrnn_trial {
    bool ran;        // the training ran to its end and was evaluated
    bool finite;     // the loss stayed finite
    uint32_t steps;  // steps that were trained
    uint64_t wanted; // steps of the config's whole run
    double seconds;  // duration
    char why[400];   // why the training was not run or not evaluated, or ""
    double *loss;    // [steps] loss of each training step
    enum clrnn_loss_kind loss_kind;
    bool weighted;                         // the loss has weights
    struct clrnn_eval_result train, valid; // results on up to 2048 rows of each set; `counted` 0: not evaluated
    uint32_t pairs;                        // number of rows in the two arrays below
    float *target, *prediction;            // [pairs] regression: target and prediction of some rows; NULL: none
};

struct clrnn_doctor {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_config *config; // the config as given, or `enlarged`
    struct clrnn_config *enlarged;     // copy with batches large enough for batchnorm; NULL: not needed
    const struct clrnn_doctor_params *params;
    struct clrnn_doctor_result *result;
    enum clrnn_status status; // CLRNN_ERR_MEMORY if memory for a finding ran out, else CLRNN_OK
    double seconds;           // params.seconds, or the default

    struct clrnn_dataset *train, *valid; // valid may be NULL
    struct clrnn_scan train_scan, valid_scan;
    uint32_t outputs;      // number of features of the last layer's output
    bool per_step;         // the model has an output for each time step
    uint32_t T;            // steps of the training data
    uint64_t batches;      // training batches in an epoch
    const char *not_run;   // why the model cannot be run; NULL: the model can be run
    bool sorted;           // shuffle is false, and neighbouring rows mostly have equal labels or similar targets
    bool gradient_blocked; // a layer lets no gradient through

    size_t fix_count; // number of config changes that findings offer

    double chance; // loss of the best constant answer (constant.h); NaN: not known
    struct {
        double *layer, // [layers] gradient norm of each layer; NULL: not measured
            *time;     // [T] gradient norm of each time step; NULL: not measured
        uint32_t T;
    } gradient[2];            // before and after the short training
    double started;           // start time on clrnn_clock
    bool only_linear;         // the net has no nonlinear layer, and a fitted linear model is no better
    bool generalises;         // result of clrnn_trace_generalises
    struct clrnn_trial asked; // short training of the config as given; if `steps` is 0: not trained
    struct clrnn_trial best;  // last trial that helped, with the changes kept until then; `ran` false: none helped
};

// ---------------------------------------------------------------- findings

/** Adds a finding. The functions below append text to a field of the finding that was added last. A cost or remedy that
 * no call sets is later taken from the table (train/findings.def). If memory runs out, these functions set d->status to
 * CLRNN_ERR_MEMORY. */
void clrnn_doctor_finding(struct clrnn_doctor *d, enum clrnn_finding_kind kind, enum clrnn_severity severity);
void clrnn_doctor_where(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** Appends a layer to the last finding's place: "model.layers[5] (softmax), config.yaml:9". */
void clrnn_doctor_where_layer(struct clrnn_doctor *d, size_t layer);
/** Adds a finding whose place is this layer. */
void clrnn_doctor_layer_finding(struct clrnn_doctor *d, size_t layer, enum clrnn_finding_kind kind,
                                enum clrnn_severity severity);
void clrnn_doctor_evidence(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
void clrnn_doctor_cost(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
void clrnn_doctor_remedy(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** Adds a line to the `set` of the last finding. The line is a config change that certainly removes the fault. The
 * result's `fixed` is the config with all these changes. */
void clrnn_doctor_set(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** Add a config change, as clrnn_doctor_set does. set_layer: sets a key of a layer ("dropout=0.3"). remove_layer:
 * deletes a layer. balance: balances the class weights. */
void clrnn_doctor_set_layer(struct clrnn_doctor *d, size_t layer, const char *setting);
void clrnn_doctor_remove_layer(struct clrnn_doctor *d, size_t layer);
void clrnn_doctor_balance(struct clrnn_doctor *d);
/** Whether an error or warning of this kind was found. */
bool clrnn_doctor_found(const struct clrnn_doctor *d, enum clrnn_finding_kind kind);

/** Whether params.stop is set. */
bool clrnn_doctor_stopped(const struct clrnn_doctor *d);

/** Copies the config and applies `count` change texts, each in the format of a finding's `set`. If two changes set the
 * same key, the first wins. The copy is written as YAML and parsed again, to check that it is valid.
 * Owner   the caller frees *changed with clrnn_config_destroy.
 * Errors  CLRNN_ERR_CONFIG, not logged: a change makes the config invalid. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_doctor_apply(const struct clrnn_doctor *d, size_t count, const char *const *set,
                                     struct clrnn_config **changed);

/** Sorts the findings so that each finding comes after its cause (follows_from). If `find_causes`, first sets
 * follows_from of every finding by the table train/causes.def. */
enum clrnn_status clrnn_doctor_order(struct clrnn_doctor *d, bool find_causes);
/** Returns the index of the first finding whose id is the pointer `id`. SIZE_MAX: there is none, or `id` is NULL. */
size_t clrnn_doctor_place_of(const struct clrnn_doctor_result *result, const char *id);
/** Whether the finding `id`, a pointer into the table of findings, follows from the config and the data alone, without
 * running the model, and no finding with this id offers a change of the config. */
bool clrnn_doctor_is_fact(const struct clrnn_doctor_result *result, const char *id);
/** Returns the sentence that says what to do first; "": nothing need be done. The caller frees it. Returns NULL if
 * memory runs out. */
char *clrnn_doctor_first(const struct clrnn_doctor_result *result);

// ---------------------------------------------------------------- stages

void clrnn_doctor_check_layers(struct clrnn_doctor *d);
/** Checks whether the last activation fits the loss; part of clrnn_doctor_check_layers. */
void clrnn_doctor_check_loss(struct clrnn_doctor *d);
/** Checks norms, windows, attention and branches; part of clrnn_doctor_check_layers. */
void clrnn_doctor_check_blocks(struct clrnn_doctor *d);
/** Checks train.stateful and train.bptt; part of clrnn_doctor_check_training. */
void clrnn_doctor_check_states(struct clrnn_doctor *d);
/** Fills in scan->join_next and scan->join_batch. */
enum clrnn_status clrnn_doctor_measure_joins(const struct clrnn_doctor *d, struct clrnn_scan *scan);
/** For ctc: adds a row's labels y [count] to blank_labels and long_targets of the scan. */
void clrnn_ctc_scan_row(const struct clrnn_doctor *d, struct clrnn_scan *scan, uint32_t row, size_t count,
                        const float *y);
/** Checks ctc labels; part of clrnn_doctor_check_labels. */
void clrnn_doctor_check_ctc(struct clrnn_doctor *d);
/** Checks the learning rates, the schedule, train.shuffle and train.stateful. */
void clrnn_doctor_check_training(struct clrnn_doctor *d);

/** Computes the statistics of a set. Free them with clrnn_doctor_scan_finish, also after an error. */
enum clrnn_status clrnn_doctor_scan_data(struct clrnn_doctor *d, const struct clrnn_dataset *set,
                                         struct clrnn_scan *scan);
void clrnn_doctor_scan_finish(struct clrnn_scan *scan);
void clrnn_doctor_check_inputs(struct clrnn_doctor *d);
void clrnn_doctor_check_labels(struct clrnn_doctor *d);
/** Checks for duplicate rows, rows that are in both sets, and sets with different distributions. */
enum clrnn_status clrnn_doctor_compare_sets(struct clrnn_doctor *d);

/** Reads a row of the scanned set into x [T, C]. Tokens are converted to float, with C = 1. */
void clrnn_doctor_read_row(const struct clrnn_scan *scan, uint32_t row, float *x);
/** Fills in the fields of clrnn_scan below "rows relative to their neighbours". */
enum clrnn_status clrnn_doctor_look_at_rows(struct clrnn_doctor *d, struct clrnn_scan *scan);
/** Sets *share to the fraction of sampled validation rows that have at least half of their steps in common with one
 * training row, shifted in time by at least one step. If equal steps are so common in the training set that they prove
 * nothing, sets *share to 0. */
enum clrnn_status clrnn_doctor_shared_rows(struct clrnn_doctor *d, double *share);
/** Fills in `reshaped`, `reshaped_near` and `reshaped_far`. */
enum clrnn_status clrnn_doctor_find_reshaped(struct clrnn_doctor *d, struct clrnn_scan *scan);
void clrnn_doctor_check_rows(struct clrnn_doctor *d);
void clrnn_doctor_check_overlap(struct clrnn_doctor *d, double share);

/** Whether the net is a linear model: no layer is nonlinear, except perhaps an activation as the last layer. */
bool clrnn_doctor_is_linear(const struct clrnn_config *config);
/** If d->only_linear, adds to the last finding that the net is only a linear model, and the remedy. Returns
 * d->only_linear. */
bool clrnn_doctor_blame_linear(struct clrnn_doctor *d);
/** Returns the accuracy of the best constant answer; if a sample has several labels, the mean over them. NaN: the set
 * has no labels. */
double clrnn_scan_constant_accuracy(const struct clrnn_scan *scan);
/** For bce with several labels per sample: reports labels that are constant or rare. */
void clrnn_doctor_check_each_label(struct clrnn_doctor *d);
/** Reports sample weights (scan.weight) that favour the commonest class, or leave a class out. */
void clrnn_doctor_check_sample_weights(struct clrnn_doctor *d, uint32_t common, uint32_t rare);
/** Reports that training does not shuffle the rows (shuffle: false), both when the data set's rows are sorted by label
 * and when they are not. `harm`: text that says how much better the same training is if it shuffles the rows. NULL:
 * this was not tried, or it is no better. */
void clrnn_doctor_report_order(struct clrnn_doctor *d, enum clrnn_severity severity, const char *harm);

/** Runs stage 2, the probes, and stage 3, the short training. */
enum clrnn_status clrnn_doctor_run_model(struct clrnn_doctor *d);
/** Checks whether pictures may be written to params.plot; called before the work starts. CLRNN_ERR_ARG: they would
 * replace files that clRNN did not draw. */
enum clrnn_status clrnn_doctor_plot_check(const struct clrnn_doctor *d);
#endif
