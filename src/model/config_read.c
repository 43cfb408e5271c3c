// SPDX-License-Identifier: MIT
// Fills a config from a YAML tree, as the option tables (options.h) describe it.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/words.h"
#include "model/layer.h"
#include "model/nest.h"
#include "model/options.h"

#define PATH_SIZE 256

struct reader {
    const struct clrnn_log *log;
    const char *name;
    struct clrnn_config *config;
};

// Keys of PyTorch and Keras that configs do not have, and what to write instead.
static const struct {
    const char *key, *advice;
} foreign[] = {
    {"input_size", "leave it out: it follows from the data or the layer before"},
    {"in_features", "leave it out: it follows from the data or the layer before"},
    {"num_features", "leave it out: it follows from the data or the layer before"},
    {"normalized_shape", "leave it out: it is the features of the layer before"},
    {"batch_first", "leave it out: X is always (N, T, C)"},
    {"dim", "leave it out: it is always over features"},
    {"device", "say --device on the command line"},
    {"learning_rate", "write lr"},
    {"num_epochs", "write epochs"},
    {"n_epochs", "write epochs"},
    {"max_epochs", "write epochs"},
    {"units", "write hidden_size or out_features"},
    {"random_seed", "write seed"},
    {"gradient_clip_val", "write clip_grad_norm"},
    {"max_norm", "write clip_grad_norm under train"},
    {"val", "write valid"},
    {"validation", "write valid"},
    {"inplace", "leave it out: it changes no number"},
};

static CLRNN_PRINTF(4, 5) enum clrnn_status
    fail(const struct reader *r, const struct clrnn_node *node, const char *path, const char *format, ...)
{
    va_list arguments;
    char *text;

    va_start(arguments, format);
    text = clrnn_format_va(format, arguments);
    va_end(arguments);
    if (node->line > 0)
        clrnn_error(r->log, CLRNN_ERR_CONFIG, "%s:%d:%d: %s%s%s", r->name, node->line, node->column, path,
                    *path ? ": " : "", text ? text : "is wrong");
    else
        clrnn_error(r->log, CLRNN_ERR_CONFIG, "%s %s%s%s", node->file ? node->file : r->name, path, *path ? ": " : "",
                    text ? text : "is wrong");
    free(text);
    return CLRNN_ERR_CONFIG;
}

// Writes "path.word" to `below`, or only the word if the path is empty; truncated if too long.
static void join(char below[PATH_SIZE], const char *path, const char *word)
{
    size_t n = strlen(path);

    memmove(below, path, n + 1);
    if (n && n + 1 < PATH_SIZE)
        below[n++] = '.';
    while (*word && n + 1 < PATH_SIZE)
        below[n++] = *word++;
    below[n] = '\0';
}

static bool is_null(const struct clrnn_node *node)
{
    return node->kind == CLRNN_NODE_SCALAR && !node->quoted && clrnn_null_word(node->text);
}

static const char *known_word(const void *table, size_t index)
{
    const struct clrnn_option_group *const *groups = table;

    return groups[index] ? groups[index]->word : NULL;
}

static const char *known_key(const void *table, size_t index)
{
    const struct clrnn_option_group *group = table;

    return index < group->count ? group->option[index].key : NULL;
}

// Reports an unknown word: "unknown key; did you mean "lr"? (known: lr, betas)".
static enum clrnn_status fail_unknown(const struct reader *r, const struct clrnn_node *node, const char *path,
                                      const char *what, const char *word,
                                      const char *(*known)(const void *table, size_t index), const void *table)
{
    char list[512] = "none", hint[128] = "";
    size_t best = SIZE_MAX, n = 0;
    const char *candidate;

    for (size_t i = 0; (candidate = known(table, i)) && n < sizeof(list); i++) {
        const size_t distance = clrnn_word_distance(word, candidate);

        if (distance < best) {
            best = distance;
            snprintf(hint, sizeof(hint), "; did you mean \"%s\"?", candidate);
        }
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", candidate);
    }
    for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
        if (!strcmp(foreign[i].key, word))
            snprintf(hint, sizeof(hint), "; %s", foreign[i].advice);
    }
    return fail(r, node, path, "unknown %s%s (known: %s)", what, hint, list);
}

static enum clrnn_status read_group(const struct reader *r, const struct clrnn_node *node,
                                    const struct clrnn_option_group *group, void *object, const char *path);
static enum clrnn_status read_row(const struct reader *r, const struct clrnn_node *node, const struct clrnn_option *o,
                                  void *object, const char *path);

// Reads a choice, which is written as "adam", "adam:" or "{adam: {...}}". Sets *group to the group with that name, and
// *arguments to the node with its arguments (NULL: none).
static enum clrnn_status read_choice(const struct reader *r, const struct clrnn_node *node,
                                     const struct clrnn_option_group *const *groups, const char *what, const char *path,
                                     const struct clrnn_option_group **group, const struct clrnn_node **arguments)
{
    const char *word = node->text;

    *arguments = NULL;
    if (node->kind == CLRNN_NODE_LIST || (node->kind == CLRNN_NODE_MAP && node->count == 0))
        return fail(r, node, path, "is %s, expected a name or a map such as {%s: {...}}",
                    node->count ? "a list" : "empty", groups[0]->word);
    if (node->kind == CLRNN_NODE_MAP) {
        if (node->count > 1 && is_null(node->child[0]) && clrnn_options_word(groups, node->child[0]->key) &&
            !clrnn_options_word(groups, node->child[1]->key))
            return fail(r, node->child[1], path,
                        "\"%s\" stands beside \"%s\"; its arguments go below it, indented further", node->child[1]->key,
                        node->child[0]->key);
        if (node->count > 1)
            return fail(r, node->child[1], path, "names two %ss, \"%s\" and \"%s\"; one is wanted", what,
                        node->child[0]->key, node->child[1]->key);
        node = node->child[0];
        word = node->key;
        *arguments = node;
    }
    *group = clrnn_options_word(groups, word);
    if (!*group) {
        char below[PATH_SIZE];

        join(below, path, word);
        return fail_unknown(r, node, below, what, word, known_word, groups);
    }
    return CLRNN_OK;
}

static enum clrnn_status read_one_of(const struct reader *r, const struct clrnn_node *node,
                                     const struct clrnn_option *o, void *object, const char *path)
{
    const struct clrnn_option_group *group;
    const struct clrnn_node *arguments;
    char below[PATH_SIZE];

    if (o->null &&
        (is_null(node) || (node->kind == CLRNN_NODE_SCALAR && !node->quoted && !strcmp(node->text, "none")))) {
        *(unsigned *)object = 0;
        return CLRNN_OK;
    }
    if (is_null(node))
        return fail(r, node, path, "is empty, expected one such as %s", o->groups[0]->word);
    TRY(read_choice(r, node, o->groups, o->key, path, &group, &arguments));
    for (size_t i = 0; o->groups[i]; i++) // struct members that only other kinds use get their defaults
        clrnn_options_default(o->groups[i], object);
    clrnn_options_default(group, object); // no call can fail: these groups have no texts, which alone need memory
    *(unsigned *)object = (unsigned)group->kind;
    join(below, path, group->word);
    return read_group(r, arguments ? arguments : node, group, object, below);
}

static enum clrnn_status read_layers(const struct reader *r, const struct clrnn_node *node, uint32_t branch,
                                     unsigned depth, const char *path);

// Reads the layers inside the residual or concat with index `at`, which is already in the config.
static enum clrnn_status read_inner(const struct reader *r, size_t at, const struct clrnn_node *arguments,
                                    unsigned depth, const char *path)
{
    const bool concat = r->config->layer[at].kind == CLRNN_LAYER_CONCAT;
    const char *key = concat ? "branches" : "layers";
    const struct clrnn_node *node = clrnn_node_find(arguments, key);
    char below[PATH_SIZE], index[24];

    join(below, path, key);
    if (depth == CLRNN_DEEPEST)
        return fail(r, node, below, "lies inside %d others, expected at most %d", CLRNN_DEEPEST, CLRNN_DEEPEST - 1);
    if (!concat) {
        TRY(read_layers(r, node, 0, depth + 1, below));
    } else if (node->kind != CLRNN_NODE_LIST || node->count < 1 || node->count > CLRNN_MOST_BRANCHES) {
        return fail(r, node, below, "is no list of 1 to %d branches such as \"- [lstm: {hidden_size: 64}]\"",
                    CLRNN_MOST_BRANCHES);
    }
    for (size_t b = 0; concat && b < node->count; b++) {
        char branch[PATH_SIZE];

        snprintf(index, sizeof(index), "%zu", b);
        join(branch, below, index);
        if (node->child[b]->kind == CLRNN_NODE_LIST && node->child[b]->count == 0)
            continue; // an empty branch passes its input on
        TRY(read_layers(r, node->child[b], (uint32_t)b, depth + 1, branch));
    }
    if (concat)
        r->config->layer[at].branches = (uint32_t)node->count;
    r->config->layer[at].inner = r->config->layer_count - at - 1;
    return CLRNN_OK;
}

static enum clrnn_status read_layers(const struct reader *r, const struct clrnn_node *node, uint32_t branch,
                                     unsigned depth, const char *path)
{
    if (node->kind != CLRNN_NODE_LIST)
        return fail(r, node, path, "is %s, expected a list of layers such as \"- lstm: {hidden_size: 64}\"",
                    node->kind == CLRNN_NODE_MAP ? "a map (are the dashes missing?)" : "no list");
    if (node->count == 0)
        return fail(r, node, path, "is empty, expected at least one layer");
    if (node->count > CLRNN_MAX_LAYERS - r->config->layer_count)
        return fail(r, node, path, "holds %zu layers, expected at most %d in all", node->count, CLRNN_MAX_LAYERS);
    for (size_t i = 0; i < node->count; i++) {
        const struct clrnn_node *entry = node->child[i], *arguments;
        const size_t at = r->config->layer_count;
        const struct clrnn_option_group *group;
        struct clrnn_layer *layer;
        char below[PATH_SIZE], index[24];

        snprintf(index, sizeof(index), "%zu", i);
        join(below, path, index);
        if (is_null(entry))
            return fail(r, entry, below, "is empty, expected a layer");
        TRY(read_choice(r, entry, clrnn_options_layers, "layer", below, &group, &arguments));
        layer = clrnn_config_add_layer(r->config, (enum clrnn_layer_kind)group->kind);
        if (!layer)
            return clrnn_error_memory(r->log, sizeof(*layer), "a layer");
        join(below, below, group->word);
        TRY(read_group(r, arguments ? arguments : entry, group, layer, below));
        layer->line = entry->line;
        layer->branch = branch;
        if (clrnn_layer_nests(layer))
            TRY(read_inner(r, at, arguments, depth, below));
    }
    return CLRNN_OK;
}

static enum clrnn_status read_nested(const struct reader *r, const struct clrnn_node *node,
                                     const struct clrnn_option *o, void *object, const char *path)
{
    bool *there = o->second == SIZE_MAX ? NULL : (bool *)((char *)object + o->second), on = true;

    if (is_null(node) || (there && node->kind == CLRNN_NODE_SCALAR && clrnn_bool_parse(node->text, &on) && !on)) {
        if (there)
            *there = false;
        return o->required ? fail(r, node, path, "is empty") : CLRNN_OK;
    }
    if (there)
        *there = true;
    if (o->groups[0]->count && o->groups[0]->option[0].type == CLRNN_OPTION_INITIALIZER && clrnn_initializer_is(node))
        return read_row(r, node, &o->groups[0]->option[0], (char *)object + o->offset, path);
    return read_group(r, node, o->groups[0], (char *)object + o->offset, path);
}

static enum clrnn_status read_row(const struct reader *r, const struct clrnn_node *node, const struct clrnn_option *o,
                                  void *object, const char *path)
{
    char wrong[512];
    enum clrnn_status st;

    switch (o->type) {
    case CLRNN_OPTION_GROUP:
        return read_nested(r, node, o, object, path);
    case CLRNN_OPTION_ONE_OF:
        return read_one_of(r, node, o, (char *)object + o->offset, path);
    case CLRNN_OPTION_LAYERS:
        return read_layers(r, node, 0, 0, path);
    case CLRNN_OPTION_INNER:
    case CLRNN_OPTION_BRANCHES:
        return CLRNN_OK; // read_inner reads them after the layer itself
    default:
        break;
    }
    st = clrnn_option_read(o, node, object, wrong, sizeof(wrong));
    if (st == CLRNN_ERR_MEMORY)
        return clrnn_error_memory(r->log, node->text ? strlen(node->text) + 1 : node->count * sizeof(double), path);
    return st == CLRNN_OK ? st : fail(r, node, path, "%s", wrong);
}

static enum clrnn_status read_group(const struct reader *r, const struct clrnn_node *node,
                                    const struct clrnn_option_group *group, void *object, const char *path)
{
    const bool bare = node->kind == CLRNN_NODE_SCALAR && (is_null(node) || !strcmp(node->text, group->word));
    char below[PATH_SIZE];

    if (node->kind != CLRNN_NODE_MAP && !bare) {
        const size_t typical = group->count > 1 && !strcmp(group->option[0].key, "name");
        const char *key = group->count ? group->option[typical].key : "";

        return fail(r, node, path, "is %s, expected a map%s%s%s",
                    node->kind == CLRNN_NODE_LIST ? "a list" : "one value", *key ? " such as {" : " without keys", key,
                    *key ? ": ...}" : "");
    }
    if (group->line != CLRNN_NO_LINE)
        *(int *)((char *)object + group->line) = node->line;
    for (size_t i = 0; i < node->count; i++) {
        const struct clrnn_node *child = node->child[i];
        const struct clrnn_option *o = NULL;

        join(below, path, child->key);
        for (size_t k = 0; k < group->count && !o; k++)
            o = !strcmp(group->option[k].key, child->key) ? &group->option[k] : NULL;
        if (!o)
            return fail_unknown(r, child, below, "key", child->key, known_key, group);
        TRY(read_row(r, child, o, object, below));
    }
    for (size_t k = 0; k < group->count; k++) {
        const struct clrnn_option *o = &group->option[k];
        char expected[384];

        if (!o->required || clrnn_node_find(node, o->key))
            continue;
        clrnn_option_expects(o, expected, sizeof(expected));
        join(below, path, o->key);
        return fail(r, node, below, "is missing, expected %s", expected);
    }
    return CLRNN_OK;
}

// Converts a negative padding_idx as PyTorch does: -1 is the last token. An index that is too small stays negative, and
// clrnn_config_check reports it.
static void set_padding_idx(const struct clrnn_node *entry, struct clrnn_layer *layer)
{
    const struct clrnn_node *index = clrnn_node_find(clrnn_node_find(entry, "embedding"), "padding_idx");

    if (layer->kind == CLRNN_LAYER_EMBEDDING && index && !is_null(index) && layer->padding_idx < 0) {
        const int64_t from_end = (int64_t)layer->num_embeddings + layer->padding_idx;

        layer->padding_idx = from_end >= 0 ? (int32_t)from_end : INT32_MIN;
    }
}

// Sets the defaults that depend on other keys, and turns off options that have no effect.
static void set_dependent(const struct clrnn_log *log, const struct clrnn_node *root, const char *name,
                          struct clrnn_config *config)
{
    struct clrnn_early_stopping_config *early = &config->train.early_stopping;
    const struct clrnn_node *written = clrnn_node_find(clrnn_node_find(root, "train"), "early_stopping");

    if (early->on && !clrnn_node_find(written, "mode"))
        early->mode_max = clrnn_monitor_is_better_higher(early->monitor);
    if (config->data.standard && config->layer[0].kind == CLRNN_LAYER_EMBEDDING) {
        clrnn_log(log, CLRNN_LOG_WARNING, "%s: data.normalize: standard has no effect on tokens", name);
        config->data.standard = false;
    }
    if (config->data.standard_targets && !clrnn_loss_is_regression(config->train.loss.kind)) {
        clrnn_log(log, CLRNN_LOG_WARNING, "%s: data.normalize_targets: standard has no effect on classes", name);
        config->data.standard_targets = false;
    }
    if (config->data.missing_ignore && !clrnn_loss_is_real(config->train.loss.kind)) {
        clrnn_log(log, CLRNN_LOG_WARNING, "%s: data.missing_targets: ignore has no effect on classes", name);
        config->data.missing_ignore = false;
    }
    set_padding_idx(clrnn_node_find(clrnn_node_find(root, "model"), "layers")->child[0], &config->layer[0]);
}

enum clrnn_status clrnn_config_fill(const struct clrnn_log *log, const struct clrnn_node *root, const char *name,
                                    struct clrnn_config *config)
{
    const struct reader r = {log, name, config};

    if (is_null(root))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: is empty, expected a map with model, train and data", name);
    if (root->kind != CLRNN_NODE_MAP)
        return fail(&r, root, "", "is no map, expected one with model, train and data");
    TRY(read_group(&r, root, &clrnn_options_root, config, ""));
    set_dependent(log, root, name, config);
    return CLRNN_OK;
}
