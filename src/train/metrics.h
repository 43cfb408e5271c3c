// SPDX-License-Identifier: MIT
// Metrics of an evaluation for classes, labels and real targets, as defined by scikit-learn.
#ifndef CLRNN_SRC_TRAIN_METRICS_H
#define CLRNN_SRC_TRAIN_METRICS_H

#include <signal.h>

#include "train/turns.h"

// Scalar metrics, in their order in metrics.jsonl. A metric that the loss does not have
// (clrnn_loss_has_metric) is NaN.
#define CLRNN_METRICS(X) \
    X(accuracy) X(balanced_accuracy) X(macro_f1) X(roc_auc) X(pr_auc) X(mae) X(rmse) X(r2) X(cer) X(wer)

enum clrnn_metric {
#define X(name) CLRNN_METRIC_##name,
    CLRNN_METRICS(X)
#undef X
        CLRNN_METRIC_COUNT
};

/** The metric that a monitored name such as "valid_macro_f1" means; CLRNN_METRIC_COUNT for others, as
 * valid_loss. */
enum clrnn_metric clrnn_metric_monitored(const char *monitor);

struct clrnn_metrics {
    const struct clrnn_model *model;
    const struct clrnn_dataset *set;
    uint32_t outputs, targets;
    double value[CLRNN_METRIC_COUNT]; // set by clrnn_metrics_pass
    uint32_t groups;  // number of classes, labels, or outputs of real targets; 0: no metrics per group
    double *group[3]; // [groups] each: precision, recall, F1; or mae, rmse, r2

    uint64_t *confusion;       // [groups, groups] for classes, owned by the caller, or NULL
    uint64_t items, correct;   // predictions that count; those that are correct
    double *sum;               // [groups, 6], columns as in metrics.c
    struct clrnn_score *score; // [scored, scores], for the curves; NULL if there would be too many
    size_t scores, scored;
    float *out, *real;
    int32_t *class;
    // ctc: decoded labels; edit distances in all, target labels in all, samples with an edit
    int32_t *labels;
    uint32_t *row; // scratch
    uint64_t edits, truth, wrong;
};

/** Makes the metrics of a model on a set with targets; close frees the contents. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_metrics_open(struct clrnn_metrics *m, const struct clrnn_model *model,
                                     const struct clrnn_dataset *set);
void clrnn_metrics_close(struct clrnn_metrics *m);

/** Whether each prediction is one class of several, so that `confusion` can be counted. */
bool clrnn_metrics_has_confusion(const struct clrnn_metrics *m);

/** Number of samples of a class, or of samples that have a label. */
uint64_t clrnn_metrics_support(const struct clrnn_metrics *m, uint32_t group);

/** Evaluates like clrnn_session_pass, and computes the metrics. */
enum clrnn_status clrnn_metrics_pass(struct clrnn_metrics *m, struct clrnn_turns *turns,
                                     const volatile sig_atomic_t *stop, struct clrnn_session_record *record);

/** Text ", \"valid_accuracy\": 0.5, ..." with every metric that the loss has, lists included. The caller
 * frees it with free(). NULL: no memory. */
char *clrnn_metrics_json(const struct clrnn_metrics *m);

#endif
