// SPDX-License-Identifier: MIT
// Faults that the tests plant in made-up numbers: faults of norms, nested layers, windows over time, attention,
// train.stateful, train.bptt, ctc, several labels and huber.
#include "faults.h"

#include "base/array.h"

static void padded(struct made *m)
{
    m->d.train_scan.pad_rows = 0.9;
    m->d.train_scan.pad_share = 0.4;
}

static void blanks_as_labels(struct made *m)
{
    m->d.train_scan.blank_labels = 5;
}

static void more_labels_than_steps(struct made *m)
{
    m->d.train_scan.long_targets = 3;
    m->d.train_scan.long_need = 9;
    m->d.train_scan.long_steps = T;
}

static void blanks_everywhere(struct made *m)
{
    m->trace.blank_steps = 1;
}

static void thousands_by_sign(struct made *m)
{
    m->d.outputs = 1;
    m->d.train_scan.classes = m->d.valid_scan.classes = 0;
    m->d.train_scan.y_std = 800;
    m->v.chance = 800;
    m->trace.trained.loss = m->trace.train_mode = 780;
}

static void jumps_between_rows(struct made *m)
{
    m->d.train_scan.join_batch = 9;
    m->d.train_scan.join_next = 1;
}

// y (N, 2): each sample has two labels, and each label is 1 in half of the samples.
static void several_labels(struct made *m)
{
    static uint64_t count[2][2] = {{S / 2, S / 2}, {S / 2, S / 2}};
    static double weight[2][2] = {{S / 2, S / 2}, {S / 2, S / 2}};

    m->train.info.targets = m->valid.info.targets = 2;
    m->d.train_scan.label = m->d.valid_scan.label = count;
    m->d.train_scan.label_weight = m->d.valid_scan.label_weight = weight;
}

const struct made_fault made_faults_of_layers[] = {
    {WANT(NORM_OF_ONE_VALUE, ERROR), GRU ", groupnorm: {num_groups: 8}, " LAST ", " HEAD, TRAIN, NULL},
    {WANT(NORM_OF_ONE_VALUE, WARNING), "residual: {layers: [groupnorm: {num_groups: 3}]}, " NET, TRAIN, NULL},
    {WANT(WINDOWS_OF_PADDING, WARNING), "conv1d: {out_channels: 4, kernel_size: 3, padding: 3}, " NET, TRAIN, NULL},
    {WANT(WINDOW_LONGER_THAN_ROWS, WARNING), "conv1d: {out_channels: 4, kernel_size: 9, padding: same}, " NET, TRAIN,
     NULL},
    {WANT(ATTENTION_OVER_PADDING, WARNING), GRU ", attention_pool: {attention_size: 4}, " HEAD, TRAIN, padded},
    {WANT(CONCAT_OF_ONE, NOTE), "concat: {branches: [[" GRU "]]}, " LAST ", " HEAD, TRAIN, NULL},
    {WANT(STATEFUL_ORDER, WARNING), NET, ADAM ", stateful: true", jumps_between_rows},
    {WANT(BPTT_LONGER_THAN_ROWS, NOTE), GRU ", " HEAD, TRAIN ", bptt: 6", NULL},
    {WANT(CTC_BLANK_LABEL, ERROR), GRU ", " HEAD, CTC, blanks_as_labels},
    {WANT(CTC_TARGET_TOO_LONG, ERROR), GRU ", " HEAD, CTC, more_labels_than_steps},
    {WANT(CTC_BLANK_ONLY, WARNING), GRU ", " HEAD, CTC, blanks_everywhere},
    {WANT(ACTIVATION_LOSS_MISMATCH, ERROR), GRU ", " HEAD ", softmax", CTC, NULL},
    {WANT(ACTIVATION_LOSS_MISMATCH, ERROR), NET ", softmax",
     "loss: bce_with_logits, optimizer: {adam: {lr: 0.001}}, epochs: 20, batch_size: 16, shuffle: true",
     several_labels},
    {WANT(ROBUST_LOSS_SCALE, WARNING), ONE,
     "loss: huber, optimizer: {adam: {lr: 0.001}}, epochs: 20, batch_size: 16, shuffle: true", thousands_by_sign},
};
const size_t made_fault_of_layers_count = ARRAY_SIZE(made_faults_of_layers);
