// SPDX-License-Identifier: MIT
// Internals of the doctor, used by all its stages.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_DOCTOR_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_DOCTOR_H

#include "clrnn/diagnose.h"
#include "diagnose/thresholds.h"
#include "model/layer.h"
#include "train/dataset.h"
#include "train/evaluate.h"
#include "train/findings.h"

/** Statistics of a data set from one pass over it; owns its arrays. */
struct clrnn_scan {
    const struct clrnn_dataset *set;
    const struct clrnn_dataset_info *info;
    uint32_t C; // features; 1 for tokens
    // statistics of X over valid steps
    uint64_t bad_values, steps;
    uint32_t bad_row, bad_step, bad_feature; // of the first bad value
    double bad_value;
    double *mean, *rms, *least, *most; // [C], of finite values
    uint32_t sample_count;
    float *sample;                    // [sample_count, C] values spread over rows and steps
    uint64_t (*hash)[2];              // [S] 128-bit hash of each row's valid steps
    uint32_t shortest, longest;       // lengths of the shortest and longest row, in valid steps
    double pad_rows, pad_share;       // fraction of padded rows; mean fraction of such a row that is padding
    uint64_t bad_tokens, real_tokens; // tokens out of range; tokens that are not whole numbers
    double least_token, most_token;
    uint32_t bad_token_row, real_token_row;
    double real_token; // the first token that is not a whole number
    // rows relative to their neighbours, from a sample of rows
    double front_rows;                    // of the padded rows, the fraction with padding in front
    uint32_t counter;                     // a feature that counts rows; UINT32_MAX: none
    double counter_first, counter_last;   // lowest and highest value of `counter`
    double across_features, across_steps; // mean correlation of neighbouring features, of a feature's steps
    bool series;                          // rows are overlapping windows of one series
    uint32_t reshaped; // distance, in steps as stored, of consecutive steps of a reshaped series; 0: none
    double reshaped_near, reshaped_far; // correlation of neighbouring steps; of steps `reshaped` apart
    double feature_windows; // T = 1: fraction of rows that equal the row before, shifted by one feature
    // statistics of y
    uint64_t labels, bad_labels;
    unsigned char *labelled; // [S] whether a row has a label that is not ignored, and a sample weight above 0
    uint32_t bad_label_row;
    double bad_label, least_label, most_label;
    uint32_t classes;     // size of `count`: outputs, or 2
    uint64_t *count;      // [classes] number of labels of each class
    double *weight;       // [classes] sum of the sample weights of these labels; NULL: no sample weights
    uint64_t (*label)[2]; // [targets] zeros and ones of each label; NULL: a sample has one label
    // ctc only
    uint64_t blank_labels;            // labels equal to the blank
    uint32_t long_targets, blank_row; // rows with too few output steps for their labels; first with a blank
    uint32_t long_row, long_need, long_steps; // first such row: index, needed steps, present steps
    // stateful: median jump from a row's last step to the first step of the next row (join_next) and of the
    // row one batch later (join_batch), divided by the median jump between steps of a row; 0: not measured
    double join_next, join_batch;
    double y_mean, y_std, y_square; // of real targets; y_square: mean of squares
    double *y_sample;               // [min(S, 4096)] first target of each of the first rows
    uint32_t y_sample_count;
    double changes, changes_expected; // label changes from row to row; in a random order; 0: not applicable
    double y_autocorrelation;         // regression: correlation of neighbouring rows' targets
};

/** A short training of the config as given, or of a changed config. Owns its arrays: clrnn_trial_finish. */
struct clrnn_trial {
    bool ran;        // it ran to its end
    bool finite;     // the loss stayed finite
    uint32_t steps;  // steps that were trained
    uint64_t wanted; // steps of the config's whole run
    double seconds;  // duration
    char why[400];   // why it was not run, or ""
    double *loss;    // [steps] loss of each training step
    enum clrnn_loss_kind loss_kind;
    bool weighted;                         // the loss has weights
    struct clrnn_eval_result train, valid; // results on up to 2048 rows; counted 0: not evaluated
    uint32_t pairs;
    float *target, *prediction; // [pairs] regression: those of some rows; NULL: none
};

struct clrnn_doctor {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_config *config; // the config as given, or `enlarged`
    struct clrnn_config *enlarged;     // copy with larger batches, which batchnorm needs; NULL: not needed
    const struct clrnn_doctor_params *params;
    struct clrnn_doctor_result *result;
    enum clrnn_status status; // of adding findings: CLRNN_OK or CLRNN_ERR_MEMORY
    double seconds;           // params.seconds, or the default

    struct clrnn_dataset *train, *valid; // valid may be NULL
    struct clrnn_scan train_scan, valid_scan;
    uint32_t outputs; // classes or columns of the last layer's output
    bool per_step;
    uint32_t T;          // steps of the training data
    uint64_t batches;    // training batches in an epoch
    const char *not_run; // why the model cannot be run; NULL: it can
    bool sorted; // rows are not shuffled, and rows with one label or similar targets are next to each other
    bool gradient_blocked; // a layer lets no gradient through

    size_t fix_count; // number of config changes that findings offer

    double chance; // loss of the best constant answer; NaN: not known
    struct {
        double *layer, *time; // [layers], [T] gradient norms; NULL: not measured
        uint32_t T;
    } gradient[2];            // before and after the short training
    double started;           // start time on clrnn_clock
    bool only_linear;         // the net has no nonlinear layer, and a fitted linear model is no better
    bool generalises;         // result of clrnn_trace_generalises
    struct clrnn_trial asked; // the short training of the config as it is; steps 0: not trained
    struct clrnn_trial best;  // short training with all kept changes; ran false: none was kept
};

// ---------------------------------------------------------------- findings

/** Adds a finding. The functions below fill in the last one; a cost or remedy that is not set is taken from
 * the table. Out of memory is reported in d->status. */
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
/** Adds a line to the last finding's `set`: a config change that is certain to mend it, and that becomes part
 * of the result's `fixed`. */
void clrnn_doctor_set(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** As clrnn_doctor_set: sets a layer's key ("dropout=0.3"), deletes a layer, balances the class weights. */
void clrnn_doctor_set_layer(struct clrnn_doctor *d, size_t layer, const char *setting);
void clrnn_doctor_remove_layer(struct clrnn_doctor *d, size_t layer);
void clrnn_doctor_balance(struct clrnn_doctor *d);
/** Whether an error or warning of this kind was found. */
bool clrnn_doctor_found(const struct clrnn_doctor *d, enum clrnn_finding_kind kind);

/** Whether params.stop is set. */
bool clrnn_doctor_stopped(const struct clrnn_doctor *d);

/** Copies the config and applies `count` change texts, each in the format of a finding's `set`. If two
 * changes set the same key, the first wins. The copy is written as YAML and parsed again, which checks it.
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_CONFIG, not logged: a change that a config does not take. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_doctor_apply(const struct clrnn_doctor *d, size_t count, const char *const *set,
                                     struct clrnn_config **changed);

/** Sorts the findings so that each cause (follows_from) precedes its effects. find_causes: first sets every
 * follows_from from train/causes.def. */
enum clrnn_status clrnn_doctor_order(struct clrnn_doctor *d, bool find_causes);
/** The index of the first finding with this id (compared as pointers); SIZE_MAX: none, or `id` is NULL. */
size_t clrnn_doctor_place_of(const struct clrnn_doctor_result *result, const char *id);
/** Whether the finding `id`, a pointer into the table, shows in config or data alone, without running the
 * model, and no finding with this id offers a change of the config. */
bool clrnn_doctor_is_fact(const struct clrnn_doctor_result *result, const char *id);
/** Returns the sentence that says what to do first, to be freed; "": nothing. NULL: no memory. */
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
/** ctc: adds the `count` labels y of a row to the scan. */
void clrnn_ctc_scan_row(const struct clrnn_doctor *d, struct clrnn_scan *scan, uint32_t row, size_t count,
                        const float *y);
/** Checks ctc labels; part of clrnn_doctor_check_labels. */
void clrnn_doctor_check_ctc(struct clrnn_doctor *d);
void clrnn_doctor_check_training(struct clrnn_doctor *d);

enum clrnn_status clrnn_doctor_scan_data(struct clrnn_doctor *d, const struct clrnn_dataset *set,
                                         struct clrnn_scan *scan);
void clrnn_doctor_scan_finish(struct clrnn_scan *scan);
void clrnn_doctor_check_inputs(struct clrnn_doctor *d);
void clrnn_doctor_check_labels(struct clrnn_doctor *d);
enum clrnn_status clrnn_doctor_compare_sets(struct clrnn_doctor *d);

/** Reads a row of the scanned set, [T, C]; tokens as numbers. */
void clrnn_doctor_read_row(const struct clrnn_scan *scan, uint32_t row, float *x);
/** Fills in the fields of clrnn_scan below "rows relative to their neighbours". */
enum clrnn_status clrnn_doctor_look_at_rows(struct clrnn_doctor *d, struct clrnn_scan *scan);
/** Sets *share to the fraction of sampled validation rows that share at least half of their steps with one
 * training row, at a time shift other than 0; to 0 if steps recur so often that equal ones prove nothing. */
enum clrnn_status clrnn_doctor_shared_rows(struct clrnn_doctor *d, double *share);
/** Fills in `reshaped`, `reshaped_near` and `reshaped_far`. */
enum clrnn_status clrnn_doctor_find_reshaped(struct clrnn_doctor *d, struct clrnn_scan *scan);
void clrnn_doctor_check_rows(struct clrnn_doctor *d);
void clrnn_doctor_check_overlap(struct clrnn_doctor *d, double share);

/** Whether no layer before the last activation is nonlinear, so that the net is a linear model. */
bool clrnn_doctor_is_linear(const struct clrnn_config *config);
/** If d->only_linear, adds this reason and its remedy to the last finding. Returns d->only_linear. */
bool clrnn_doctor_blame_linear(struct clrnn_doctor *d);
/** Accuracy of the best constant answer; with several labels a sample, their mean. NaN: no labels. */
double clrnn_scan_constant_accuracy(const struct clrnn_scan *scan);
/** bce with several labels a sample: reports labels that are constant or rare. */
void clrnn_doctor_check_each_label(struct clrnn_doctor *d);
/** Reports sample weights (scan.weight) that favour the commonest class, or leave a class out. */
void clrnn_doctor_check_sample_weights(struct clrnn_doctor *d, uint32_t common, uint32_t rare);
/** Reports that rows are not shuffled, whether they are sorted or not. `harm`: text on how much better the
 * same training does with shuffled rows; NULL: not tried, or no better. */
void clrnn_doctor_report_order(struct clrnn_doctor *d, enum clrnn_severity severity, const char *harm);

/** Runs stages 2 and 3: the probes and the short training. */
enum clrnn_status clrnn_doctor_run_model(struct clrnn_doctor *d);
/** Call it before the work starts. CLRNN_ERR_ARG: the pictures would replace files not made by clrnn. */
enum clrnn_status clrnn_doctor_plot_check(const struct clrnn_doctor *d);
#endif
