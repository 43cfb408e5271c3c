// SPDX-License-Identifier: MIT
// Stage 1: checks norms over a single value, windows over time that read padding, attention over padding, and a concat
// of one branch.
#include "base/array.h"
#include "diagnose/doctor/doctor.h"
#include "model/nest.h"

// Whether the input of layer `at` also reaches the loss without that layer, because a residual or a concat with several
// branches contains the layer.
static bool is_bypassed(const struct clrnn_config *c, size_t at)
{
    for (size_t i = clrnn_layer_parent(c, at); i != SIZE_MAX; i = clrnn_layer_parent(c, i))
        if (c->layer[i].branches != 1)
            return true;
    return false;
}

// Reports a layernorm of one feature, and a groupnorm with as many groups as features.
static void check_norm(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const struct clrnn_layer *l = &c->layer[at];
    const uint32_t width = clrnn_layers_width(c, at, d->train_scan.C, d->T);
    const bool groups = l->kind == CLRNN_LAYER_GROUPNORM;
    char entry[CLRNN_ENTRY_SIZE];

    if (groups ? l->num_groups != width : width != 1)
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_NORM_OF_ONE_VALUE,
                               is_bypassed(c, at) ? CLRNN_SEVERITY_WARNING : CLRNN_SEVERITY_ERROR);
    clrnn_doctor_evidence(d, "it reads %u feature%s%s: each value is its own mean, and becomes 0 whatever it was",
                          width, width == 1 ? "" : "s", groups ? " in as many groups" : "");
    if (is_bypassed(c, at))
        clrnn_doctor_cost(d, "this branch throws its input away, and the layers before it in the branch do not learn");
    if (groups && width > 1) {
        clrnn_doctor_remedy(d, "%s.groupnorm.num_groups=1, or another number of which each group has several features",
                            clrnn_layer_entry(c, at, entry));
        clrnn_doctor_set_layer(d, at, "num_groups=1");
        return;
    }
    clrnn_doctor_remedy(d, "take the %s out of model.layers", clrnn_layer_word(l->kind));
    clrnn_doctor_remove_layer(d, at);
}

static void check_windows(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_config *c = d->config;
    const struct clrnn_windows w = clrnn_layer_windows(&c->layer[at]);
    const uint32_t T = clrnn_layers_steps(c, at, d->T), span = w.dilation * (w.kernel - 1) + 1;

    if (w.padding >= span) {
        clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_WINDOWS_OF_PADDING, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_evidence(
            d,
            "padding %u before and behind rows for windows of %u steps: the first %u windows and the last ones read "
            "padding alone",
            w.padding, span, (w.padding - span) / w.stride + 1);
        clrnn_doctor_remedy(d, "padding: %u, or padding: same", (span - 1) / 2);
    } else if (span > T && T > 1) {
        clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_WINDOW_LONGER_THAN_ROWS, CLRNN_SEVERITY_WARNING);
        clrnn_doctor_evidence(d, "its windows span %u steps, the rows here have T = %u: each window holds padding",
                              span, T);
        clrnn_doctor_remedy(d, "a kernel_size of at most %u with dilation %u", (T - 1) / w.dilation + 1, w.dilation);
    }
}

// Reports attention over padding: without lengths, padded steps take part in the softmax of the attention.
static void check_attention(struct clrnn_doctor *d, size_t at)
{
    const struct clrnn_scan *s = &d->train_scan;

    if (s->pad_rows < clrnn_threshold.padding_rows || s->pad_share < clrnn_threshold.padding_share)
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_ATTENTION_OVER_PADDING, CLRNN_SEVERITY_WARNING);
    clrnn_doctor_evidence(
        d,
        "%.0f%% of the rows end in padding, on average %.1f of T = %u steps, and %s: its softmax gives these steps "
        "weight as well",
        100 * s->pad_rows, s->pad_share * s->info->T, s->info->T,
        s->info->has_lengths ? "all `lengths` are T" : "no `lengths` are given");
}

static void check_branches(struct clrnn_doctor *d, size_t at)
{
    if (d->config->layer[at].branches != 1)
        return;
    clrnn_doctor_layer_finding(d, at, CLRNN_FINDING_CONCAT_OF_ONE, CLRNN_SEVERITY_NOTE);
    clrnn_doctor_evidence(d, "it has one branch, whose output it passes on as it is");
}

void clrnn_doctor_check_blocks(struct clrnn_doctor *d)
{
    static void (*const checks[CLRNN_LAYER_KINDS])(struct clrnn_doctor *, size_t) = {
        [CLRNN_LAYER_LAYERNORM] = check_norm,           [CLRNN_LAYER_GROUPNORM] = check_norm,
        [CLRNN_LAYER_CONV1D] = check_windows,           [CLRNN_LAYER_CONCAT] = check_branches,
        [CLRNN_LAYER_ATTENTION_POOL] = check_attention,
    };

    for (size_t i = 0; i < d->config->layer_count; i++)
        if (checks[d->config->layer[i].kind])
            checks[d->config->layer[i].kind](d, i);
}
