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
    // X over valid steps
    uint64_t bad_values, steps;
    uint32_t bad_row, bad_step, bad_feature; // the first
    double bad_value;
    double *mean, *rms, *least, *most; // [C], of finite values
    uint32_t sample_count;
    float *sample;              // [sample_count, C] values spread over rows and steps
    uint64_t (*hash)[2];        // [S] of each row's valid steps
    uint32_t shortest, longest; // row, in valid steps
    double pad_rows, pad_share; // fraction of rows that end in a repeated common step; fraction of such steps
    uint64_t bad_tokens, real_tokens; // out of range; not whole numbers
    double least_token, most_token;
    uint32_t bad_token_row, real_token_row;
    double real_token; // the first
    // rows relative to their neighbours, from a sample of rows
    double front_rows; // fraction of the rows with a shorter length whose padding stands in front
    uint32_t counter;  // a feature that counts rows; UINT32_MAX: none
    double counter_first, counter_last;   // its lowest and highest value
    double across_features, across_steps; // mean correlation of neighbouring features, of a feature's steps
    bool series;                          // rows are windows of a series, one or some steps apart
    uint32_t reshaped; // steps that lie so far apart, in different rows, follow each other; 0: none do
    double reshaped_near, reshaped_far; // correlation of neighbouring steps, and of those
    double feature_windows; // T = 1: fraction of rows that are the one before, moved by one feature
    // y
    uint64_t labels, bad_labels;
    unsigned char *labelled; // [S] whether a row has a label, and a sample weight, that counts
    uint32_t bad_label_row;
    double bad_label, least_label, most_label;
    uint32_t classes;     // size of `count`: outputs, or 2
    uint64_t *count;      // [classes], labels in range
    double *weight;       // [classes] sum of the sample weights of these labels; NULL: no sample weights
    uint64_t (*label)[2]; // [targets] of each label: how many are 0, how many 1; NULL: not several labels
    // ctc
    uint64_t blank_labels;            // labels that are the blank
    uint32_t long_targets, blank_row; // rows whose labels need more steps than there are; the first row each,
    uint32_t long_row, long_need, long_steps; //   and its steps
    // stateful: jumps from a row's last step to the first of the next row and of the row a batch later, over
    // those inside of rows; 0: not measured
    double join_next, join_batch;
    double y_mean, y_std, y_square; // of real targets; y_square: mean of squares
    double *y_sample;               // mse: [min(S, 4096)]
    uint32_t y_sample_count;
    double changes, changes_expected; // changes of the label from row to row; 0 if not applicable
    double y_autocorrelation;         // mse: of neighbouring rows
};

/** A short training of the config, as asked or changed. Owns its arrays: clrnn_trial_finish. */
struct clrnn_trial {
    bool ran;        // to its end
    bool finite;     // the loss stayed so
    uint32_t steps;  // done,
    uint64_t wanted; //   of so many of the run
    double seconds;  // that it took
    char why[400];   // why it was not run, or ""
    double *loss;    // [steps] of each training step
    enum clrnn_loss_kind loss_kind;
    bool weighted;                         // the loss has weights
    struct clrnn_eval_result train, valid; // of some thousand rows; counted 0: none
    uint32_t pairs;
    float *target, *prediction; // [pairs] regression: of some rows; NULL: none
};

struct clrnn_doctor {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_config *config; // as asked, or `enlarged`
    struct clrnn_config *enlarged;     // with larger batches, as its batchnorm needs; NULL: as configured
    const struct clrnn_doctor_params *params;
    struct clrnn_doctor_result *result;
    enum clrnn_status status; // of adding findings: CLRNN_OK or CLRNN_ERR_MEMORY
    double seconds;           // params.seconds, or the default

    struct clrnn_dataset *train, *valid; // valid may be NULL
    struct clrnn_scan train_scan, valid_scan;
    uint32_t outputs; // classes or columns of the last layer's output
    bool per_step;
    uint32_t T;          // steps of the training data
    uint64_t batches;    // of an epoch
    const char *not_run; // why the model cannot be run; NULL: it can
    bool sorted; // rows are not shuffled, and rows with one label or similar targets are next to each other
    bool gradient_blocked; // a layer lets no gradient through

    size_t fix_count; // changes that findings offer

    double chance; // loss of the best constant answer; NaN: not known
    struct {
        double *layer, *time; // [layers], [T] gradient norms; NULL: not measured
        uint32_t T;
    } gradient[2];            // before and after the short training
    double started;           // on clrnn_clock
    bool only_linear;         // it has no nonlinear layer, and a fitted linear model is no better
    bool generalises;         // clrnn_trace_generalises
    struct clrnn_trial asked; // the short training of the config as it is; steps 0: not trained
    struct clrnn_trial best;  // with all changes that were kept; ran false: there are none
};

// ---------------------------------------------------------------- findings

/** Adds a finding. The functions below fill in the last one; a cost or remedy that is not set is taken from
 * the table. Out of memory is reported in d->status. */
void clrnn_doctor_finding(struct clrnn_doctor *d, enum clrnn_finding_kind kind, enum clrnn_severity severity);
void clrnn_doctor_where(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** "model.layers[5] (softmax), config.yaml:9" */
void clrnn_doctor_where_layer(struct clrnn_doctor *d, size_t layer);
/** Adds a finding and this as its place. */
void clrnn_doctor_layer_finding(struct clrnn_doctor *d, size_t layer, enum clrnn_finding_kind kind,
                                enum clrnn_severity severity);
void clrnn_doctor_evidence(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
void clrnn_doctor_cost(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
void clrnn_doctor_remedy(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** Adds a certain remedy to the last finding, a change of the config: a line of its `set`, which becomes part
 * of the result's `fixed`. */
void clrnn_doctor_set(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** The same for a key of a layer, "dropout=0.3"; for the layer as a whole; for the loss's class weights. */
void clrnn_doctor_set_layer(struct clrnn_doctor *d, size_t layer, const char *setting);
void clrnn_doctor_remove_layer(struct clrnn_doctor *d, size_t layer);
void clrnn_doctor_balance(struct clrnn_doctor *d);
/** Whether an error or warning of this kind was found. */
bool clrnn_doctor_found(const struct clrnn_doctor *d, enum clrnn_finding_kind kind);

/** Whether params.stop is set. */
bool clrnn_doctor_stopped(const struct clrnn_doctor *d);

/** Copies the config and carries out `count` texts of changes, each a finding's `set`; of two changes of one
 * key the first counts. The copy has been written as YAML and read again.
 * Owner   the caller: clrnn_config_destroy.
 * Errors  CLRNN_ERR_CONFIG, not logged: a change that a config does not take. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_doctor_apply(const struct clrnn_doctor *d, size_t count, const char *const *set,
                                     struct clrnn_config **changed);

/** Puts findings in the order of cause: by their follows_from, which `find_causes` sets before by
 * train/causes.def. */
enum clrnn_status clrnn_doctor_order(struct clrnn_doctor *d, bool find_causes);
/** The index of the first finding of this id, a pointer of the table; SIZE_MAX: none, or `id` is NULL. */
size_t clrnn_doctor_place_of(const struct clrnn_doctor_result *result, const char *id);
/** Whether config or data alone show what `id`, a pointer of the table, names, and no change of the config
 * mends it. */
bool clrnn_doctor_is_fact(const struct clrnn_doctor_result *result, const char *id);
/** Makes the sentence on what to do first (to be freed); "" where nothing need be done. NULL: no memory. */
char *clrnn_doctor_first(const struct clrnn_doctor_result *result);

// ---------------------------------------------------------------- stages

void clrnn_doctor_check_layers(struct clrnn_doctor *d);
/** The last activation and the loss; part of clrnn_doctor_check_layers. */
void clrnn_doctor_check_loss(struct clrnn_doctor *d);
/** Norms, windows, attention and branches; part of clrnn_doctor_check_layers. */
void clrnn_doctor_check_blocks(struct clrnn_doctor *d);
/** train.stateful and train.bptt; part of clrnn_doctor_check_training. */
void clrnn_doctor_check_states(struct clrnn_doctor *d);
/** Fills in join_next and join_batch. */
enum clrnn_status clrnn_doctor_measure_joins(const struct clrnn_doctor *d, struct clrnn_scan *scan);
/** Takes the `count` labels y of a row of ctc. */
void clrnn_ctc_scan_row(const struct clrnn_doctor *d, struct clrnn_scan *scan, uint32_t row, size_t count,
                        const float *y);
/** Labels of ctc; part of clrnn_doctor_check_labels. */
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
/** Sets *share to the fraction of validation rows (a sample of them) that have at least half of their steps
 * in common with one training row, moved by some steps; 0 where equal steps mean little. */
enum clrnn_status clrnn_doctor_shared_rows(struct clrnn_doctor *d, double *share);
/** Fills in `reshaped`. */
enum clrnn_status clrnn_doctor_find_reshaped(struct clrnn_doctor *d, struct clrnn_scan *scan);
void clrnn_doctor_check_rows(struct clrnn_doctor *d);
void clrnn_doctor_check_overlap(struct clrnn_doctor *d, double share);

/** Whether no layer before the last activation is nonlinear, so that the net is a linear model. */
bool clrnn_doctor_is_linear(const struct clrnn_config *config);
/** Where d->only_linear, adds that to the last finding's evidence, with its remedy; whether it did. */
bool clrnn_doctor_blame_linear(struct clrnn_doctor *d);
/** Accuracy of the best constant answer; of several labels its mean. NaN: no labels. */
double clrnn_scan_constant_accuracy(const struct clrnn_scan *scan);
/** Several labels with bce: labels that are constant or rare. */
void clrnn_doctor_check_each_label(struct clrnn_doctor *d);
/** Mean sample weights of the commonest and the rarest class, where samples have weights. */
void clrnn_doctor_check_sample_weights(struct clrnn_doctor *d, uint32_t common, uint32_t rare);
/** Reports rows that are sorted and not shuffled. `harm`: the better result of the same training with
 * shuffled rows; NULL: not tried. */
void clrnn_doctor_report_order(struct clrnn_doctor *d, enum clrnn_severity severity, const char *harm);

/** Stages 2 and 3. */
enum clrnn_status clrnn_doctor_run_model(struct clrnn_doctor *d);
/** Before the work: CLRNN_ERR_ARG where the pictures would replace files that are not ours. */
enum clrnn_status clrnn_doctor_plot_check(const struct clrnn_doctor *d);
#endif
