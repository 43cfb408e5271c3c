// SPDX-License-Identifier: MIT
// Building trees of YAML nodes.
#include "base/yaml.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

// The memory of a node. The memory of a root also has the file name to which all nodes of the tree point.
struct holder {
    struct clrnn_node node;
    char name[];
};

struct clrnn_node *clrnn_node_create(enum clrnn_node_kind kind, const char *name)
{
    struct holder *h = calloc(1, sizeof(*h) + (name ? strlen(name) + 1 : 0));

    if (!h)
        return NULL;
    h->node.kind = kind;
    if (name)
        h->node.file = strcpy(h->name, name);
    return &h->node;
}

void clrnn_node_destroy(struct clrnn_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++)
        clrnn_node_destroy(node->child[i]);
    free(node->child);
    free(node->text);
    free(node->key);
    free(node);
}

void clrnn_yaml_destroy(struct clrnn_node **root)
{
    if (!root)
        return;
    clrnn_node_destroy(*root);
    *root = NULL;
}

struct clrnn_node *clrnn_node_map(void)
{
    return clrnn_node_create(CLRNN_NODE_MAP, NULL);
}

struct clrnn_node *clrnn_node_list(void)
{
    return clrnn_node_create(CLRNN_NODE_LIST, NULL);
}

struct clrnn_node *clrnn_node_scalar(const char *format, ...)
{
    struct clrnn_node *node = clrnn_node_create(CLRNN_NODE_SCALAR, NULL);
    va_list arguments;

    if (!node)
        return NULL;
    va_start(arguments, format);
    node->text = clrnn_format_va(format, arguments);
    va_end(arguments);
    if (!node->text)
        clrnn_yaml_destroy(&node);
    return node;
}

struct clrnn_node *clrnn_node_add(struct clrnn_node *parent, const char *key, struct clrnn_node *child)
{
    if (!parent || !child)
        goto fail;
    if (key) {
        free(child->key);
        child->key = strdup(key);
        if (!child->key)
            goto fail;
    }
    if ((parent->count & (parent->count - 1)) == 0) { // the array is full when the count is a power of two
        struct clrnn_node **grown = realloc(parent->child, (parent->count ? 2 * parent->count : 1) * sizeof(*grown));

        if (!grown)
            goto fail;
        parent->child = grown;
    }
    parent->child[parent->count++] = child;
    return child;
fail:
    clrnn_node_destroy(child);
    return NULL;
}

struct clrnn_node *clrnn_node_find(const struct clrnn_node *map, const char *key)
{
    if (!map || map->kind != CLRNN_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++) {
        if (!strcmp(map->child[i]->key, key))
            return map->child[i];
    }
    return NULL;
}
