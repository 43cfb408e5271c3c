// SPDX-License-Identifier: MIT
// Computes the losses of two answers that need no net: the best constant answer, and 0 for every target.
#include <math.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/constant.h"
#include "diagnose/doctor/run.h"

#define ROWS 2048u    // maximum number of training rows looked at
#define VALUES 20000u // maximum number of targets of one output

// Copies finite targets of one output, from rows spread over the set, to y [VALUES]. Returns how many it copied.
static size_t take_output(const struct clrnn_doctor *d, uint32_t output, float *row_y, double *y)
{
    const struct clrnn_dataset_info *info = d->train_scan.info;
    const uint32_t rows = MIN2(info->S, ROWS), stride = info->S / rows, targets = MAX2(info->targets, 1u);
    size_t count = 0;

    for (uint32_t i = 0; i < rows; i++) {
        clrnn_dataset_targets(d->train, i * stride, row_y);
        for (size_t k = output; k < clrnn_dataset_y_valid(d->train, i * stride) && count < VALUES; k += targets)
            if (isfinite(row_y[k]))
                y[count++] = row_y[k];
    }
    return count;
}

enum clrnn_status clrnn_doctor_target_baseline(struct clrnn_examination *v)
{
    const struct clrnn_doctor *d = v->d;
    const struct clrnn_loss_config *l = &d->config->train.loss;
    const uint32_t targets = MAX2(d->train_scan.info->targets, 1u);
    float *row_y = malloc(clrnn_dataset_y_count(d->train) * sizeof(*row_y));
    double *y = malloc(VALUES * sizeof(*y)), chance = 0, expected = 0;
    const bool there = row_y && y;

    for (uint32_t k = 0; k < targets && there; k++) {
        const size_t count = take_output(d, k, row_y, y);

        expected += clrnn_zero_loss(l, count, y) / targets;
        chance += clrnn_constant_target_loss(l, count, y) / targets;
    }
    free(y);
    free(row_y);
    if (!there)
        return clrnn_error_memory(d->log, VALUES * sizeof(*y), "the targets' baseline");
    v->chance = chance;
    v->expected = expected;
    return CLRNN_OK;
}
