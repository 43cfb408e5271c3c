// SPDX-License-Identifier: MIT
// A YAML document as a tree that knows file, line and column of each node. Read with libyaml.
#ifndef CLRNN_SRC_BASE_YAML_H
#define CLRNN_SRC_BASE_YAML_H

#include "base/log.h"

enum clrnn_node_kind { CLRNN_NODE_SCALAR, CLRNN_NODE_LIST, CLRNN_NODE_MAP };

/** A node; its children belong to it. A map's child carries its key. */
struct clrnn_node {
    enum clrnn_node_kind kind;
    bool quoted;      // a scalar written in quotes: text, never null, number or bool
    char *text;       // scalar: its text
    char *key;        // set where the parent is a map
    const char *file; // "config.yaml", or "--set"; belongs to the root (see below)
    int line, column; // from 1
    struct clrnn_node **child;
    size_t count;
};

/**
 * Reads a file or a text (`name` stands for it in messages). Duplicate keys, several documents, anchors
 * that loop, and what is beyond the limits of doc/config.md are errors: CLRNN_ERR_CONFIG "file:line:column:
 * ...".
 */
enum clrnn_status clrnn_yaml_read(const struct clrnn_log *log, const char *path, struct clrnn_node **root);
enum clrnn_status clrnn_yaml_parse(const struct clrnn_log *log, const char *text, const char *name,
                                   struct clrnn_node **root);
void clrnn_yaml_destroy(struct clrnn_node **root);

/** The child of a map under `key`, or NULL. */
struct clrnn_node *clrnn_node_find(const struct clrnn_node *map, const char *key);

/**
 * Carries out `--set KEY=VALUE` on the tree: KEY is a dotted path ("train.optimizer.adam.lr",
 * "model.layers.0.rnn.hidden_size"), VALUE is parsed as YAML. Missing maps are made; a bare name on the
 * way ("optimizer: adam") becomes a map with that key. Changing from one optimizer or scheduler to
 * another by setting below a different name replaces the old one (such parents hold one entry).
 * Errors: CLRNN_ERR_CONFIG (an index out of range, no '=', broken YAML).
 */
enum clrnn_status clrnn_node_set(const struct clrnn_log *log, struct clrnn_node *root,
                                 const char *assignment);

/** The tree as YAML text in fresh memory (flow style for leaves that fit a line). NULL: no memory. */
char *clrnn_yaml_text(const struct clrnn_node *root);

/** Building trees: fresh nodes (NULL: no memory); add takes ownership of `child` in any case and
 *  returns it, NULL without memory. `key` NULL for lists. */
struct clrnn_node *clrnn_node_map(void);
struct clrnn_node *clrnn_node_list(void);
struct clrnn_node *clrnn_node_scalar(const char *format, ...) CLRNN_PRINTF(1, 2);
struct clrnn_node *clrnn_node_add(struct clrnn_node *parent, const char *key, struct clrnn_node *child);
/** A node of any kind without content; `name`, which its memory then holds, becomes its file. NULL: no
 * memory. */
struct clrnn_node *clrnn_node_create(enum clrnn_node_kind kind, const char *name);
/** With all below it; NULL is fine. */
void clrnn_node_destroy(struct clrnn_node *node);

#endif
