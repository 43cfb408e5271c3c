// SPDX-License-Identifier: MIT
// A YAML document as a tree whose nodes store file, line and column. Parsed with libyaml.
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
    const char *file; // "config.yaml", or "--set"; the root owns it (clrnn_node_create)
    int line, column; // from 1
    struct clrnn_node **child;
    size_t count;
};

/** Parses a file or a text (called `name` in messages). Duplicate keys, several documents, anchors that loop,
 * and documents beyond the limits in doc/config.md are errors: CLRNN_ERR_CONFIG "file:line:column: ...".
 */
enum clrnn_status clrnn_yaml_read(const struct clrnn_log *log, const char *path, struct clrnn_node **root);
enum clrnn_status clrnn_yaml_parse(const struct clrnn_log *log, const char *text, const char *name,
                                   struct clrnn_node **root);
void clrnn_yaml_destroy(struct clrnn_node **root);

/** The child of a map under `key`, or NULL. */
struct clrnn_node *clrnn_node_find(const struct clrnn_node *map, const char *key);

/** Applies `--set KEY=VALUE` to the tree: KEY is a dotted path ("train.optimizer.adam.lr",
 * "model.layers.0.rnn.hidden_size"), VALUE is parsed as YAML. Missing maps are created; a bare name along the
 * path ("optimizer: adam") becomes a map with that key. Setting a key of a different optimizer or scheduler
 * replaces the old one, because such parents hold one entry.
 * Errors: CLRNN_ERR_CONFIG (an index out of range, no '=', broken YAML).
 */
enum clrnn_status clrnn_node_set(const struct clrnn_log *log, struct clrnn_node *root,
                                 const char *assignment);

/** Returns the tree as YAML text (to be freed), with flow style for leaves that fit on a line. NULL: no
 *  memory. */
char *clrnn_yaml_text(const struct clrnn_node *root);

/** These functions build trees. They return a new node, or NULL if there is no memory. clrnn_node_add takes
 * ownership of `child`, even on failure, and returns it; `key` is NULL if the parent is a list. */
struct clrnn_node *clrnn_node_map(void);
struct clrnn_node *clrnn_node_list(void);
struct clrnn_node *clrnn_node_scalar(const char *format, ...) CLRNN_PRINTF(1, 2);
struct clrnn_node *clrnn_node_add(struct clrnn_node *parent, const char *key, struct clrnn_node *child);
/** Creates an empty node of any kind; its `file` is a copy of `name` that is stored with the node. NULL: no
 * memory. */
struct clrnn_node *clrnn_node_create(enum clrnn_node_kind kind, const char *name);
/** Frees the node and its children; `node` may be NULL. */
void clrnn_node_destroy(struct clrnn_node *node);

#endif
