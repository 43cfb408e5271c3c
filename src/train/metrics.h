// SPDX-License-Identifier: MIT
// Metrics of an evaluation for classes, labels and real targets, as defined by scikit-learn.
#ifndef CLRNN_SRC_TRAIN_METRICS_H
#define CLRNN_SRC_TRAIN_METRICS_H

#include <signal.h>

#include "train/turns.h"

// Scalar metrics, in their order in metrics.jsonl. A metric that the loss does not have (clrnn_loss_has_metric) is NaN.
#define CLRNN_METRICS(X) \
    X(accuracy) X(balanced_accuracy) X(macro_f1) X(roc_auc) X(pr_auc) X(mae) X(rmse) X(r2) X(cer) X(wer)

enum clrnn_metric {
#define X(name) CLRNN_METRIC_##name,
    CLRNN_METRICS(X)
#undef X
        CLRNN_METRIC_COUNT
};

/** Returns the metric that a name in train.early_stopping.monitor, such as "valid_macro_f1", stands for, or
 * CLRNN_METRIC_COUNT for other names, such as "valid_loss". */
enum clrnn_metric clrnn_metric_monitored(const char *monitor);

struct clrnn_metrics {
    const struct clrnn_model *model;
    const struct clrnn_dataset *set;
    uint32_t outputs, targets;
    double value[CLRNN_METRIC_COUNT]; // set by clrnn_metrics_pass
    uint32_t groups;                  // number of classes, labels, or outputs of real targets; 0: no metrics per group
    double *group[3];                 // [groups] each: precision, recall, F1; or mae, rmse, r2

    uint64_t *confusion;       // [groups, groups] for classes, owned by the caller, or NULL
    uint64_t items,            // predictions that count
        correct;               // correct predictions among `items`
    double *sum;               // [groups, 6], columns as in metrics.c
    struct clrnn_score *score; // [scored, scores], for roc_auc and pr_auc; NULL: none, or too many
    size_t scores,             // scores per row
        scored;                // rows added
    float *out,                // scratch: outputs of a batch
        *real;                 // scratch: y of a sample as real numbers
    int32_t *class;            // scratch: y of a sample as classes
    // ctc only
    int32_t *labels; // scratch: decoded labels of a sample
    uint32_t *row;   // scratch of clrnn_edit_distance
    uint64_t edits,  // sum of the edit distances of all samples
        truth,       // number of target labels of all samples
        wrong;       // number of samples whose decoded labels are not the target
};

/** Prepares *m to compute the metrics of a model on a set with targets; clrnn_metrics_close frees the contents. Errors:
 * CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_metrics_open(struct clrnn_metrics *m, const struct clrnn_model *model,
                                     const struct clrnn_dataset *set);
void clrnn_metrics_close(struct clrnn_metrics *m);

/** Whether roc_auc and pr_auc are computed, that is, whether the loss has them and the scores are few enough to keep.
 */
bool clrnn_metrics_has_areas(const struct clrnn_metrics *m);

/** Whether each prediction is one class of several, at most 1000, so that `confusion` can be counted. */
bool clrnn_metrics_has_confusion(const struct clrnn_metrics *m);

/** Returns how many targets are of class `group` or, with several labels per sample, have label `group`. */
uint64_t clrnn_metrics_support(const struct clrnn_metrics *m, uint32_t group);

/** Evaluates like clrnn_session_pass, and computes the metrics. */
enum clrnn_status clrnn_metrics_pass(struct clrnn_metrics *m, struct clrnn_turns *turns,
                                     const volatile sig_atomic_t *stop, struct clrnn_session_record *record);

/** Returns the metrics as JSON members: ", \"valid_macro_f1\": 0.5, ...". These are all metrics that the loss has, but
 * not accuracy, mae, rmse and r2, which struct clrnn_epoch_row has. Lists per class or output are included if they have
 * 2 to 1000 entries. The caller frees the text. Returns NULL if there is no memory. */
char *clrnn_metrics_json(const struct clrnn_metrics *m);

#endif
