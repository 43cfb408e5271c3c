// SPDX-License-Identifier: MIT
// Computes what counts as a large regression loss, from the standard deviation of the targets.
#include <math.h>

#include "base/array.h"
#include "diagnose/floor.h"

// Returns the loss of an error whose square is `square`, without factors such as 1/2.
static double loss_of(const struct clrnn_loss_config *loss, double square)
{
    const double error = sqrt(square);

    switch (loss->kind) {
    case CLRNN_LOSS_MSE:
        return square;
    case CLRNN_LOSS_SMOOTH_L1: // squared below beta
        return error < loss->beta ? square / loss->beta : error;
    case CLRNN_LOSS_HUBER: // squared below delta
        return error * fmin(error, loss->delta);
    default: // linear
        return error;
    }
}

// Sums of w, w y and w y^2 over the targets y of one output that are not missing, with sample weights w.
struct moments {
    double count, y, yy;
};

static struct moments output_moments(const struct clrnn_dataset *set, uint32_t output, uint32_t outputs, float *y)
{
    struct moments m = {0};

    for (uint32_t n = 0; n < clrnn_dataset_info(set)->S; n++) {
        const double weight = clrnn_dataset_weight(set, n);

        clrnn_dataset_targets(set, n, y);
        for (size_t i = output; i < clrnn_dataset_y_valid(set, n); i += outputs) {
            if (isnan(y[i]))
                continue;
            m.count += weight;
            m.y += weight * y[i];
            m.yy += weight * y[i] * y[i];
        }
    }
    return m;
}

// Returns the loss of an error of one standard deviation of an output's targets, averaged over the outputs. If all
// outputs have constant targets, the root mean square of all targets is used instead.
double clrnn_target_scale(const struct clrnn_loss_config *loss, const struct clrnn_dataset *set, float *y)
{
    const uint32_t outputs = MAX2(clrnn_dataset_info(set)->targets, 1u);
    double scale = 0, squares = 0, all = 0;

    for (uint32_t k = 0; k < outputs; k++) {
        const struct moments m = output_moments(set, k, outputs, y);
        const double variance = m.count > 0 ? m.yy / m.count - m.y * m.y / (m.count * m.count) : 0;

        if (m.count > 0 && variance > 1e-12 * m.yy / m.count)
            scale += m.count * loss_of(loss, variance);
        squares += m.yy;
        all += m.count;
    }
    return scale > 0 ? scale / all : loss_of(loss, squares > 0 ? squares / all : 1);
}
