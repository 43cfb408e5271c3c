// SPDX-License-Identifier: MIT
// Applies the changes that findings offer to a copy of the config.
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "diagnose/doctor/doctor.h"
#include "model/nest.h"

struct changes {
    const struct clrnn_config *as_asked; // the config whose entries the changes name
    struct clrnn_config *config;
    size_t layer_count;
    size_t *order; // [layer_count] order[i]: old index of the layer that comes at index i
    bool *removed; // [layer_count] by old index
    char **key;    // [key_count] keys that were set so far
    size_t key_count;
};

// Applies a setting, unless an earlier change has set the same key.
static enum clrnn_status apply_setting(struct changes *c, const char *line)
{
    const struct clrnn_log silent = {0};
    const size_t length = strcspn(line, "=");

    for (size_t i = 0; i < c->key_count; i++)
        if (strlen(c->key[i]) == length && !strncmp(c->key[i], line, length))
            return CLRNN_OK;
    if (!ARRAY_GROW(c->key, c->key_count) || !(c->key[c->key_count] = strndup(line, length)))
        return CLRNN_ERR_MEMORY;
    c->key_count++;
    return clrnn_config_set(&silent, c->config, line);
}

static enum clrnn_status apply_line(struct changes *c, const char *line)
{
    const char *other = strstr(line, ") and ");
    size_t at, to;

    if (!strncmp(line, "delete ", 7)) {
        at = clrnn_layer_find(c->as_asked, line + 7);
        if (at == SIZE_MAX)
            return CLRNN_ERR_CONFIG;
        c->removed[at] = true;
        return CLRNN_OK;
    }
    if (!strncmp(line, "exchange ", 9) && other) {
        at = clrnn_layer_find(c->as_asked, line + 9);
        to = clrnn_layer_find(c->as_asked, other + 6);
        if (at == SIZE_MAX || to == SIZE_MAX || c->as_asked->layer[at].inner || c->as_asked->layer[to].inner)
            return CLRNN_ERR_CONFIG;
        c->order[at] = to;
        c->order[to] = at;
        return CLRNN_OK;
    }
    return apply_setting(c, line);
}

static enum clrnn_status apply_text(struct changes *c, const char *set)
{
    enum clrnn_status st = CLRNN_OK;

    while (st == CLRNN_OK && *set) {
        const size_t length = strcspn(set, "\n");
        char *line = strndup(set, length);

        st = line ? apply_line(c, line) : CLRNN_ERR_MEMORY;
        free(line);
        set += length + (set[length] == '\n');
    }
    return st;
}

// Counts the layers inside layer `at` that are not removed.
static size_t kept_inside(const struct changes *c, const struct clrnn_layer *layer, size_t at)
{
    size_t kept = 0;

    for (size_t i = at + 1; i <= at + layer[at].inner; i++)
        kept += !c->removed[c->order[i]];
    return kept;
}

// Exchanges and deletes layers. Must be called after all settings are applied, since settings name layers by their
// index in the file. Deleting a layer also deletes the layers inside it.
static enum clrnn_status move_layers(struct changes *c)
{
    struct clrnn_layer *layer = malloc(MAX2(c->layer_count, 1) * sizeof(*layer));
    size_t kept = 0;

    if (!layer)
        return CLRNN_ERR_MEMORY;
    memcpy(layer, c->config->layer, c->layer_count * sizeof(*layer));
    for (size_t i = 0; i < c->layer_count; i++)
        for (size_t inside = i + 1; c->removed[i] && inside <= i + layer[i].inner; inside++)
            c->removed[inside] = true;
    for (size_t i = 0; i < c->layer_count; i++) {
        struct clrnn_layer *from = &layer[c->order[i]];

        if (c->removed[c->order[i]]) {
            free(from->name);
            continue;
        }
        c->config->layer[kept] = *from;
        c->config->layer[kept++].inner = kept_inside(c, layer, i);
    }
    c->config->layer_count = kept;
    free(layer);
    return kept ? CLRNN_OK : CLRNN_ERR_CONFIG;
}

static enum clrnn_status apply_all(struct changes *c, size_t count, const char *const *set)
{
    c->order = calloc(MAX2(c->layer_count, 1), sizeof(*c->order));
    c->removed = calloc(MAX2(c->layer_count, 1), sizeof(*c->removed));
    if (!c->order || !c->removed)
        return CLRNN_ERR_MEMORY;
    for (size_t i = 0; i < c->layer_count; i++)
        c->order[i] = i;
    for (size_t i = 0; i < count; i++)
        TRY(apply_text(c, set[i]));
    return move_layers(c);
}

enum clrnn_status clrnn_doctor_apply(const struct clrnn_doctor *d, size_t count, const char *const *set,
                                     struct clrnn_config **changed)
{
    const struct clrnn_log silent = {0};
    struct changes c = {.as_asked = d->config, .layer_count = d->config->layer_count};
    enum clrnn_status st;
    char *text = NULL;

    *changed = NULL;
    TRY(clrnn_config_copy(d->log, d->config, &c.config));
    st = apply_all(&c, count, set);
    if (st == CLRNN_OK && !(text = clrnn_config_text(c.config)))
        st = CLRNN_ERR_MEMORY;
    if (st == CLRNN_OK)
        st = clrnn_config_parse(&silent, text, NULL, changed);
    if (st == CLRNN_ERR_MEMORY)
        clrnn_error_memory(d->log, 0, "the repaired config");
    for (size_t i = 0; i < c.key_count; i++)
        free(c.key[i]);
    free(c.key);
    free(c.order);
    free(c.removed);
    free(text);
    clrnn_config_destroy(&c.config);
    return st;
}
