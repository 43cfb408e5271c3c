// SPDX-License-Identifier: MIT
// Applying `--set KEY=VALUE` to a YAML tree.
#include "base/yaml.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/text.h"
#include "base/words.h"

#define NAME "--set" // the file name of nodes that come from the command line; their line is 0

// Maps that may have only one entry, whose key is a kind (such as adam); * matches any path component.
static const char *const one_entry[] = {"train.loss", "train.optimizer", "train.scheduler", "model.layers.*"};
// Where a layer has layers inside, to any depth.
static const char *const inner_layer[] = {"residual.layers.*", "concat.branches.*.*"};

// Returns the number of steps that the pattern takes at the beginning of the path; 0 if they differ.
static size_t match(const char *pattern, char *const *step, size_t count)
{
    size_t at = 0;

    while (at < count && *pattern) {
        const size_t length = strcspn(pattern, ".");

        if (!(length == 1 && *pattern == '*') && (strlen(step[at]) != length || strncmp(pattern, step[at], length)))
            return 0;
        pattern += length + (pattern[length] == '.');
        at++;
    }
    return *pattern ? 0 : at;
}

static bool holds_one_entry(char *const *step, size_t count)
{
    size_t at = 0, below;

    for (size_t i = 0; i < ARRAY_SIZE(one_entry) && !at; i++)
        at = match(one_entry[i], step, count);
    while (at && at < count) {
        below = 0;
        for (size_t i = 0; i < ARRAY_SIZE(inner_layer) && !below; i++)
            below = match(inner_layer[i], step + at, count - at);
        if (!below)
            return false;
        at += below;
    }
    return at > 0;
}

static void place(struct clrnn_node *node)
{
    node->file = NAME;
    node->line = node->column = 0;
    for (size_t i = 0; i < node->count; i++)
        place(node->child[i]);
}

static void empty(struct clrnn_node *node)
{
    for (size_t i = 0; i < node->count; i++)
        clrnn_yaml_destroy(&node->child[i]);
    node->count = 0;
    free(node->child);
    node->child = NULL;
    free(node->text);
    node->text = NULL;
    node->quoted = false;
}

static bool is_null(const struct clrnn_node *node)
{
    return node->kind == CLRNN_NODE_SCALAR && !node->quoted && clrnn_null_word(node->text);
}

// Turns null into an empty map, and any other scalar into a map with the scalar's text as its only key.
static bool make_map(struct clrnn_node *node)
{
    struct clrnn_node *child = NULL;

    if (!is_null(node)) {
        child = clrnn_node_scalar("null");
        if (!child)
            return false;
        child->key = node->text;
        node->text = NULL;
        child->file = node->file;
        child->line = node->line;
        child->column = node->column;
    }
    empty(node);
    node->kind = CLRNN_NODE_MAP;
    return !child || clrnn_node_add(node, NULL, child);
}

// Replaces *at by its child that path component step[count - 1] names. A scalar becomes a map first; a child that a map
// lacks is created. Errors: CLRNN_ERR_CONFIG: a list has no such entry. CLRNN_ERR_MEMORY.
static enum clrnn_status descend(const struct clrnn_log *log, const char *assignment, char *const *step, size_t count,
                                 struct clrnn_node **at)
{
    struct clrnn_node *parent = *at, *child;
    const char *word = step[count - 1];

    if (parent->kind == CLRNN_NODE_LIST) {
        char *end;
        const unsigned long index = strtoul(word, &end, 10);

        if (*end || !*word || *word == '-' || *word == '+' || index >= parent->count)
            return clrnn_error(log, CLRNN_ERR_CONFIG,
                               NAME " %.100s: \"%.40s\" is no entry of the list, which has %zu, counted from 0",
                               assignment, word, parent->count);
        *at = parent->child[index];
        return CLRNN_OK;
    }
    if (parent->kind == CLRNN_NODE_SCALAR && !make_map(parent))
        return clrnn_error_memory(log, sizeof(*parent), NAME);
    child = clrnn_node_find(parent, word);
    if (!child) {
        if (holds_one_entry(step, count - 1))
            empty(parent);
        child = clrnn_node_add(parent, word, clrnn_node_scalar("null"));
        if (!child)
            return clrnn_error_memory(log, sizeof(*child), NAME);
        place(child);
    }
    *at = child;
    return CLRNN_OK;
}

static enum clrnn_status set_path(const struct clrnn_log *log, struct clrnn_node *root, const char *assignment,
                                  char *const *step, size_t count, struct clrnn_node **value)
{
    struct clrnn_node *at = root;

    for (size_t i = 0; i < count; i++)
        TRY(descend(log, assignment, step, i + 1, &at));
    empty(at);
    at->kind = (*value)->kind;
    at->quoted = (*value)->quoted;
    at->text = (*value)->text;
    at->child = (*value)->child;
    at->count = (*value)->count;
    (*value)->text = NULL;
    (*value)->child = NULL;
    (*value)->count = 0;
    place(at);
    return CLRNN_OK;
}

enum clrnn_status clrnn_node_set(const struct clrnn_log *log, struct clrnn_node *root, const char *assignment)
{
    const char *equals = strchr(assignment, '=');
    char *key = NULL, *name = NULL, *text = NULL, *step[64], *rest;
    struct clrnn_node *value = NULL;
    enum clrnn_status st;
    size_t count = 0;

    if (!equals || equals == assignment)
        return clrnn_error(log, CLRNN_ERR_CONFIG,
                           NAME " %.100s: expected KEY=VALUE, such as train.optimizer.adam.lr=0.01", assignment);
    key = clrnn_format("%.*s", (int)(equals - assignment), assignment);
    name = clrnn_format(NAME " %.*s", (int)MIN2(equals - assignment, 100), assignment);
    if (!key || !name) {
        st = clrnn_error_memory(log, (size_t)(equals - assignment) + 1, NAME);
        goto done;
    }
    for (rest = key; rest;) {
        char *word = strsep(&rest, ".");

        if (!*word || count == ARRAY_SIZE(step)) {
            st = clrnn_error(log, CLRNN_ERR_CONFIG, NAME " %.100s: the key %s", assignment,
                             *word ? "has more than 64 parts" : "has an empty part between its dots");
            goto done;
        }
        step[count++] = word;
    }
    text = clrnn_text_escape(equals + 1, CLRNN_TEXT_BYTES); // a path on the command line may have any bytes
    st = text ? clrnn_yaml_parse(log, text, name, &value) : clrnn_error_memory(log, 4 * strlen(assignment), assignment);
    if (st == CLRNN_OK)
        st = set_path(log, root, assignment, step, count, &value);
done:
    clrnn_yaml_destroy(&value);
    free(text);
    free(name);
    free(key);
    return st;
}
