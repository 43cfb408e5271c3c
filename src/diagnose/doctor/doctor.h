// SPDX-License-Identifier: MIT
// Inside of the doctor: what its stages share.
#ifndef CLRNN_SRC_DIAGNOSE_DOCTOR_DOCTOR_H
#define CLRNN_SRC_DIAGNOSE_DOCTOR_DOCTOR_H

#include "clrnn/diagnose.h"
#include "diagnose/thresholds.h"
#include "train/dataset.h"
#include "train/findings.h"

/** A change of the config that undoes a fault for sure. */
enum doctor_fix_kind {
    FIX_REMOVE_LAYER,  // layer
    FIX_SWAP_LAYERS,   // layer and the next
    FIX_LAYER_P,       // dropout's p = value
    FIX_LAYER_DROPOUT, // a recurrent stack's dropout = value
    FIX_POOL_FINAL,
    FIX_BATCHNORM, // PyTorch's momentum and running statistics
    FIX_LOSS_CROSS_ENTROPY,
    FIX_PER_EPOCH, // the scheduler's interval
    FIX_NO_SCHEDULER,
    FIX_LR, // value
    FIX_SHUFFLE,
    FIX_DROP_LAST,
    FIX_NORMALIZE,
};

struct doctor_fix {
    enum doctor_fix_kind kind;
    size_t layer;
    double value;
};

/** What one pass over a data set tells; arrays belong to it. */
struct doctor_scan {
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
    double pad_rows, pad_share; // share of rows that end in a repeated common step; of steps
    uint64_t bad_tokens;
    uint32_t bad_token_row;
    // y
    uint64_t labels, bad_labels;
    uint32_t bad_label_row;
    double bad_label, least_label, most_label;
    uint32_t classes;                                // room of counts: outputs, or 2
    uint64_t *count;                                 // [classes], labels in range
    double y_mean, y_std, y_least, y_most, y_square; // of real targets; y_square: mean of squares
    double *y_sample;                                // mse: [min(S, 4096)]
    uint32_t y_sample_count;
    double changes, changes_expected; // of the label from row to row; 0 where not meant
    double y_autocorrelation;         // mse: of neighbouring rows
};

struct doctor {
    struct clrnn_device *device;
    const struct clrnn_log *log;
    const struct clrnn_config *config;
    const struct clrnn_doctor_params *params;
    struct clrnn_doctor_result *result;
    enum clrnn_status status; // of adding findings: CLRNN_OK or CLRNN_ERR_MEMORY
    double seconds;           // params.seconds, or the default

    struct clrnn_dataset *train, *valid; // valid may be NULL
    struct doctor_scan train_scan, valid_scan;
    uint32_t outputs; // classes or columns that the last layer puts out
    bool per_step;
    uint32_t T;       // steps of the training data
    uint64_t batches; // of an epoch
    bool no_dynamic;  // found what keeps a model from being run: why, below
    const char *no_dynamic_reason;
    bool gradient_blocked; // a layer lets no gradient through

    size_t fix_count;
    struct doctor_fix fix[64];
};

// ---------------------------------------------------------------- findings

/** Begins a finding; the functions below fill in the last one, and what of cost and remedy they leave empty
 * is the table's. Running out of memory shows in d->status. */
void doctor_finding(struct doctor *d, enum clrnn_finding_kind kind, enum clrnn_severity severity);
void doctor_where(struct doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** "model.layers[5] (softmax), config.yaml:9" */
void doctor_where_layer(struct doctor *d, size_t layer);
void doctor_evidence(struct doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
void doctor_cost(struct doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
void doctor_remedy(struct doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
/** Adds a sure remedy to the last finding: to what `fixed` holds, and to `set`. */
void doctor_fix(struct doctor *d, enum doctor_fix_kind kind, size_t layer, double value);
/** Whether an error or warning of this kind was found. */
bool doctor_found(const struct doctor *d, enum clrnn_finding_kind kind);

/** Whether params.stop is set. */
bool doctor_stopped(const struct doctor *d);

bool doctor_is_recurrent(const struct clrnn_layer *layer);
/** Steps that reach a layer: T, or 1 behind a pool. */
uint32_t doctor_steps_at(const struct doctor *d, size_t layer);

/** The config with every fix carried out, as fresh YAML text; NULL in *text where there is none. */
enum clrnn_status doctor_apply_fixes(const struct doctor *d, char **text);
/** A fix as a --set assignment or "delete model.layers.5". */
void doctor_fix_text(const struct clrnn_config *config, const struct doctor_fix *fix, char *text,
                     size_t size);

// ---------------------------------------------------------------- stages

void doctor_check_layers(struct doctor *d);
void doctor_check_training(struct doctor *d);

enum clrnn_status doctor_scan_data(struct doctor *d, const struct clrnn_dataset *set,
                                   struct doctor_scan *scan);
void doctor_scan_finish(struct doctor_scan *scan);
void doctor_check_inputs(struct doctor *d);
void doctor_check_labels(struct doctor *d);
enum clrnn_status doctor_compare_sets(struct doctor *d);

/** Stages 2 and 3. */
enum clrnn_status doctor_run_model(struct doctor *d);

#endif
