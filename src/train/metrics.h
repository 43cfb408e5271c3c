// SPDX-License-Identifier: MIT
// Metrics of an evaluation: of classes, of labels and of real targets, as scikit-learn defines them.
#ifndef CLRNN_SRC_TRAIN_METRICS_H
#define CLRNN_SRC_TRAIN_METRICS_H

#include <signal.h>

#include "train/turns.h"

// Metrics of one number, in their order in metrics.jsonl. Those that a loss does not have
// (clrnn_loss_has_metric) are NaN.
#define CLRNN_METRICS(X) \
    X(accuracy) X(balanced_accuracy) X(macro_f1) X(roc_auc) X(pr_auc) X(mae) X(rmse) X(r2) X(cer) X(wer)

enum clrnn_metric {
#define X(name) CLRNN_METRIC_##name,
    CLRNN_METRICS(X)
#undef X
        CLRNN_METRIC_COUNT
};

/** The metric of a monitored "valid_macro_f1"; CLRNN_METRIC_COUNT: a loss. */
enum clrnn_metric clrnn_metric_monitored(const char *monitor);

struct clrnn_metrics {
    const struct clrnn_model *model;
    const struct clrnn_dataset *set;
    uint32_t outputs, targets;
    double value[CLRNN_METRIC_COUNT]; // after clrnn_metrics_finish
    uint32_t groups;                  // classes, labels, or outputs of real targets; 0: no figures of each
    double *group[3];                 // [groups]: precision, recall, F1; or mae, rmse, r2

    uint64_t *confusion;       // [groups, groups] of classes, owned by the caller, or NULL
    uint64_t items, correct;   // that count
    double *sum;               // [groups, 5]: see metrics.c
    struct clrnn_score *score; // [scored, scores]; too many: none
    size_t scores, scored;
    float *out, *real;
    int32_t *class;
    // ctc: decodings, their edits and labels, samples with an edit
    int32_t *labels;
    uint32_t *row; // scratch
    uint64_t edits, truth, wrong;
};

/** Makes the metrics of a model on a set with targets; finish frees the contents. CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_metrics_open(struct clrnn_metrics *m, const struct clrnn_model *model,
                                     const struct clrnn_dataset *set);
void clrnn_metrics_close(struct clrnn_metrics *m);

/** Whether each prediction is one class of several, so that `confusion` can be counted. */
bool clrnn_metrics_has_confusion(const struct clrnn_metrics *m);

/** Number of samples of a class, or of samples that have the label. */
uint64_t clrnn_metrics_support(const struct clrnn_metrics *m, uint32_t group);

/** As clrnn_session_pass, and computes the metrics. */
enum clrnn_status clrnn_metrics_pass(struct clrnn_metrics *m, struct clrnn_turns *turns,
                                     const volatile sig_atomic_t *stop, struct clrnn_session_record *record);

/** ", \"valid_accuracy\": 0.5, ..." of every metric that the loss has, lists included, in text that the
 * caller frees with free(). NULL: no memory. */
char *clrnn_metrics_json(const struct clrnn_metrics *m);

#endif
