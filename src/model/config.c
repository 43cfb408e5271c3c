// SPDX-License-Identifier: MIT
// Creating, copying, destroying and reading configs.
#include "clrnn/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "model/options.h"

enum { OWNED_TEXTS = 4 + 3 * 17, OWNED_LISTS = 4 };

// Lists in slot[] the addresses of the string pointers that a config owns, except the layers' names.
static void owned_texts(struct clrnn_config *c, char **slot[OWNED_TEXTS])
{
    struct clrnn_source *source[3] = {&c->data.train, &c->data.valid, &c->data.test};
    size_t n = 0;

    slot[n++] = &c->path;
    slot[n++] = &c->folder;
    slot[n++] = &c->train.early_stopping.monitor;
    slot[n++] = &c->train.init;
    for (size_t i = 0; i < ARRAY_SIZE(source); i++) {
        slot[n++] = &source[i]->x;
        slot[n++] = &source[i]->y;
        slot[n++] = &source[i]->lengths;
        slot[n++] = &source[i]->weights;
        slot[n++] = &source[i]->y_lengths;
        slot[n++] = &source[i]->csv;
        slot[n++] = &source[i]->label;
        slot[n++] = &source[i]->columns;
        slot[n++] = &source[i]->target;
        slot[n++] = &source[i]->delimiter;
        slot[n++] = &source[i]->comment;
        slot[n++] = &source[i]->decimal;
        slot[n++] = &source[i]->label_from;
        slot[n++] = &source[i]->ts;
        slot[n++] = &source[i]->missing;
        slot[n++] = &source[i]->time;
        slot[n++] = &source[i]->group;
    }
}

// Lists in slot[] the addresses of the pointers to arrays of numbers that a config owns, and in count[] the arrays'
// lengths.
static void owned_lists(struct clrnn_config *c, double **slot[OWNED_LISTS], size_t count[OWNED_LISTS])
{
    size_t n = 0;

    count[n] = c->train.loss.weight_count;
    slot[n++] = &c->train.loss.weight;
    count[n] = c->train.loss.label_weight_count;
    slot[n++] = &c->train.loss.label_weight;
    count[n] = c->train.loss.quantile_count;
    slot[n++] = &c->train.loss.quantile;
    count[n] = c->train.scheduler.milestone_count;
    slot[n++] = &c->train.scheduler.milestone;
}

void clrnn_config_destroy(struct clrnn_config **config)
{
    double **list[OWNED_LISTS];
    size_t counts[OWNED_LISTS];
    char **slot[OWNED_TEXTS];
    struct clrnn_config *c;

    if (!config || !*config)
        return;
    c = *config;
    owned_texts(c, slot);
    for (size_t i = 0; i < OWNED_TEXTS; i++)
        free(*slot[i]);
    for (size_t i = 0; i < c->layer_count; i++)
        free(c->layer[i].name);
    free(c->layer);
    owned_lists(c, list, counts);
    for (size_t i = 0; i < OWNED_LISTS; i++)
        free(*list[i]);
    free(c);
    *config = NULL;
}

enum clrnn_status clrnn_config_create(const struct clrnn_log *log, struct clrnn_config **config)
{
    NEED(log, config);

    struct clrnn_config *c = calloc(1, sizeof(*c));

    *config = c;
    if (!c || !clrnn_options_default(&clrnn_options_root, c)) {
        clrnn_config_destroy(config);
        return clrnn_error_memory(log, sizeof(*c), "a config");
    }
    return CLRNN_OK;
}

static double *copy_numbers(const double *from, size_t count)
{
    double *to = malloc((count ? count : 1) * sizeof(double));

    if (to && count)
        memcpy(to, from, count * sizeof(double));
    return to;
}

enum clrnn_status clrnn_config_copy(const struct clrnn_log *log, const struct clrnn_config *config,
                                    struct clrnn_config **copy)
{
    NEED(log, copy);
    *copy = NULL;
    NEED(log, config);

    struct clrnn_config *c = malloc(sizeof(*c));
    char **slot[OWNED_TEXTS], *text[OWNED_TEXTS];
    double **list[OWNED_LISTS], *numbers[OWNED_LISTS];
    size_t counts[OWNED_LISTS];

    *copy = c;
    if (!c)
        return clrnn_error_memory(log, sizeof(*c), "a config");
    *c = *config;
    c->layer = NULL;
    c->layer_count = 0;
    owned_lists(c, list, counts);
    owned_texts(c, slot);
    for (size_t i = 0; i < OWNED_LISTS; i++) {
        numbers[i] = *list[i];
        *list[i] = NULL;
    }
    // After this loop, the copy shares no memory with `config`, so that clrnn_config_destroy is safe.
    for (size_t i = 0; i < OWNED_TEXTS; i++) {
        text[i] = *slot[i];
        *slot[i] = NULL;
    }
    for (size_t i = 0; i < OWNED_TEXTS; i++) {
        if (text[i] && !(*slot[i] = strdup(text[i])))
            goto fail;
    }
    c->layer = calloc(config->layer_count ? config->layer_count : 1, sizeof(*c->layer));
    if (!c->layer)
        goto fail;
    for (size_t i = 0; i < config->layer_count; i++) {
        c->layer[i] = config->layer[i];
        c->layer[i].name = NULL;
        c->layer_count = i + 1;
        if (config->layer[i].name && !(c->layer[i].name = strdup(config->layer[i].name)))
            goto fail;
    }
    for (size_t i = 0; i < OWNED_LISTS; i++) {
        if (numbers[i] && !(*list[i] = copy_numbers(numbers[i], counts[i])))
            goto fail;
    }
    return CLRNN_OK;
fail:
    clrnn_config_destroy(copy);
    return clrnn_error_memory(log, sizeof(*c), "a config");
}

// Makes a config from a YAML tree, which the caller still owns.
static enum clrnn_status from_tree(const struct clrnn_log *log, const struct clrnn_node *root, const char *name,
                                   const char *path, const char *folder, struct clrnn_config **config)
{
    enum clrnn_status st;

    TRY(clrnn_config_create(log, config));
    st = clrnn_config_fill(log, root, name, *config);
    if (st != CLRNN_OK)
        goto fail;
    st = CLRNN_ERR_MEMORY;
    if ((path && !((*config)->path = strdup(path))) || (folder && !((*config)->folder = strdup(folder)))) {
        clrnn_error_memory(log, strlen(path ? path : folder) + 1, "a config");
        goto fail;
    }
    st = clrnn_config_check(log, *config, root, name);
    if (st == CLRNN_OK)
        return CLRNN_OK;
fail:
    clrnn_config_destroy(config);
    return st;
}

enum clrnn_status clrnn_config_read(const struct clrnn_log *log, const char *path, size_t set_count,
                                    const char *const *set, struct clrnn_config **config)
{
    struct clrnn_node *root;
    enum clrnn_status st;
    char *folder;

    NEED(log, config);
    *config = NULL;
    NEED(log, path);
    for (size_t i = 0; i < set_count; i++) {
        NEED(log, set);
        NEED(log, set[i]);
    }
    TRY(clrnn_yaml_read(log, path, &root));
    folder = clrnn_is_stream(path) ? clrnn_format(".") : clrnn_path_folder(path);
    st = folder ? CLRNN_OK : clrnn_error_memory(log, strlen(path) + 1, "a path");
    for (size_t i = 0; i < set_count && st == CLRNN_OK; i++)
        st = clrnn_node_set(log, root, set[i]);
    if (st == CLRNN_OK)
        st = from_tree(log, root, path, path, folder, config);
    free(folder);
    clrnn_yaml_destroy(&root);
    return st;
}

enum clrnn_status clrnn_config_parse(const struct clrnn_log *log, const char *text, const char *folder,
                                     struct clrnn_config **config)
{
    struct clrnn_node *root;
    enum clrnn_status st;

    NEED(log, config);
    *config = NULL;
    NEED(log, text);
    TRY(clrnn_yaml_parse(log, text, "config", &root));
    st = from_tree(log, root, "config", NULL, folder, config);
    clrnn_yaml_destroy(&root);
    return st;
}

// Copies the line numbers of the layers that still have the same index and kind.
static void keep_lines(const struct clrnn_config *old, struct clrnn_config *fresh)
{
    for (size_t i = 0; i < fresh->layer_count; i++)
        fresh->layer[i].line =
            i < old->layer_count && old->layer[i].kind == fresh->layer[i].kind ? old->layer[i].line : 0;
}

// Copies the pointer to the caller's arrays (clrnn_config_set_arrays) for each data set whose x is still in memory, not
// a file.
static void keep_arrays(const struct clrnn_config *old, struct clrnn_config *fresh)
{
    const struct clrnn_source *from[] = {&old->data.train, &old->data.valid, &old->data.test};
    struct clrnn_source *to[] = {&fresh->data.train, &fresh->data.valid, &fresh->data.test};

    for (size_t i = 0; i < ARRAY_SIZE(to); i++)
        to[i]->arrays = clrnn_path_is_memory(to[i]->x) ? from[i]->arrays : NULL;
}

enum clrnn_status clrnn_config_set(const struct clrnn_log *log, struct clrnn_config *config, const char *assignment)
{
    NEED(log, config);
    NEED(log, assignment);

    const char *name = config->path ? config->path : "config";
    char *text = clrnn_config_text(config);
    struct clrnn_config *fresh = NULL, old;
    struct clrnn_node *root = NULL;
    enum clrnn_status st;

    st = text ? clrnn_yaml_parse(log, text, name, &root) : clrnn_error_memory(log, 0, "a config's text");
    if (st == CLRNN_OK)
        st = clrnn_node_set(log, root, assignment);
    if (st == CLRNN_OK)
        st = from_tree(log, root, name, config->path, config->folder, &fresh);
    if (st == CLRNN_OK) {
        keep_lines(config, fresh);
        keep_arrays(config, fresh);
        old = *config;
        *config = *fresh;
        *fresh = old;
    }
    clrnn_config_destroy(&fresh);
    clrnn_yaml_destroy(&root);
    free(text);
    return st;
}

enum clrnn_status clrnn_config_set_arrays(const struct clrnn_log *log, struct clrnn_config *config, const char *set,
                                          const struct clrnn_arrays *arrays)
{
    NEED(log, config);
    NEED(log, set);
    NEED(log, arrays);

    const bool train = !strcmp(set, "train"), valid = !strcmp(set, "valid");
    char *assignment;
    enum clrnn_status st;

    if (!train && !valid && strcmp(set, "test") != 0)
        return clrnn_error(log, CLRNN_ERR_ARG, "there is no data set \"%s\", expected train, valid or test", set);
    assignment = clrnn_format("data.%s={%s%s%s%s%s}", set, arrays->x.data ? "x: \"memory:x\", " : "",
                              arrays->y.data ? "y: \"memory:y\", " : "",
                              arrays->lengths.data ? "lengths: \"memory:lengths\", " : "",
                              arrays->weights.data ? "weights: \"memory:weights\", " : "",
                              arrays->y_lengths.data ? "y_lengths: \"memory:y_lengths\"" : "");
    if (!assignment)
        return clrnn_error_memory(log, 0, "a data set");
    st = clrnn_config_set(log, config, assignment);
    free(assignment);
    if (st == CLRNN_OK)
        (train ? &config->data.train : valid ? &config->data.valid : &config->data.test)->arrays = arrays;
    return st;
}
