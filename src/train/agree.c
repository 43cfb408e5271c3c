// SPDX-License-Identifier: MIT
// Compares, by hashes, what the ranks train with: version, config, parameter layout and weights.
#include "train/agree.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/hash.h"
#include "base/log.h"
#include "train/ranks.h"

static enum clrnn_status hash_config(const struct clrnn_model *m, char hex[33])
{
    char *text = clrnn_config_text(m->config);
    struct clrnn_hash hash;

    if (!text)
        return clrnn_error_memory(m->log, 0, "the config's text");
    clrnn_hash_init(&hash);
    clrnn_hash_add_text(&hash, text);
    clrnn_hash_hex(&hash, hex);
    free(text);
    return CLRNN_OK;
}

static enum clrnn_status hash_weights(const struct clrnn_model *m, char hex[33])
{
    float *values = malloc(m->flat_count * sizeof(*values));
    struct clrnn_hash hash;
    enum clrnn_status st;

    if (!values)
        return clrnn_error_memory(m->log, m->flat_count * sizeof(*values), "the weights");
    st = clrnn_buffer_read_f32(m->params, 0, m->flat_count, values);
    clrnn_hash_init(&hash);
    clrnn_hash_add(&hash, values, st == CLRNN_OK ? m->flat_count * sizeof(*values) : 0);
    clrnn_hash_hex(&hash, hex);
    free(values);
    return st;
}

// Hashes the position of each parameter in the device's flat buffer.
static void hash_layout(const struct clrnn_model *m, char hex[33])
{
    struct clrnn_hash hash;

    clrnn_hash_init(&hash);
    clrnn_hash_add(&hash, &m->flat_count, sizeof(m->flat_count));
    for (size_t i = 0; i < m->entry_count; i++)
        clrnn_hash_add(&hash, &m->entry[i].first, sizeof(m->entry[i].first));
    clrnn_hash_hex(&hash, hex);
}

enum clrnn_status clrnn_agree(const struct clrnn_log *log, const struct clrnn_model *model, enum clrnn_status status)
{
    char config[33] = "", layout[33] = "", weights[33] = "";
    const char *const text[] = {clrnn_version(), config, layout, weights};
    const char *const what[] = {"version of clrnn is not that", "config is not that",
                                "device places numbers in memory in other ways than that", "weights are not those"};
    const char *differs = NULL;

    if (clrnn_ranks_count() == 1)
        return status;
    if (status == CLRNN_OK)
        status = hash_config(model, config);
    if (status == CLRNN_OK)
        hash_layout(model, layout);
    if (status == CLRNN_OK)
        status = hash_weights(model, weights);
    TRY(clrnn_rank_agree(status));
    for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
        bool same;

        TRY(clrnn_ranks_same(log, text[i], &same));
        if (!same && !differs)
            differs = what[i];
    }
    if (differs)
        status = clrnn_error(
            log, CLRNN_ERR_CONFIG,
            "its %s of rank 0: processes train together with the same version, config, data and weights, on "
            "devices of one kind",
            differs);
    return clrnn_rank_agree(status);
}

enum clrnn_status clrnn_agree_layout(const struct clrnn_log *log, const struct clrnn_model *first,
                                     const struct clrnn_model *other)
{
    const struct clrnn_device_info *a = clrnn_device_info(first->device), *b = clrnn_device_info(other->device);
    bool same = first->flat_count == other->flat_count;
    char spec[2][24];

    for (size_t i = 0; same && i < first->entry_count; i++)
        same = first->entry[i].first == other->entry[i].first;
    return same ? CLRNN_OK
                : clrnn_error(log, CLRNN_ERR_ARG,
                              "%s (%s) and %s (%s) place numbers in memory in other ways: devices that train "
                              "together must be of one kind",
                              clrnn_device_spec(a, spec[0]), a->name, clrnn_device_spec(b, spec[1]), b->name);
}
