// SPDX-License-Identifier: MIT
// A YAML document as a tree whose nodes store file, line and column. Parsed with libyaml.
#ifndef CLRNN_SRC_BASE_YAML_H
#define CLRNN_SRC_BASE_YAML_H

#include "base/log.h"

enum clrnn_node_kind { CLRNN_NODE_SCALAR, CLRNN_NODE_LIST, CLRNN_NODE_MAP };

/** A node of the tree. Each node owns its children. */
struct clrnn_node {
    enum clrnn_node_kind kind;
    bool quoted;      // the scalar is written in quotes: it is text, never null, a number or a bool
    char *text;       // text of a scalar
    char *key;        // key of this node, if its parent is a map
    const char *file; // "config.yaml", owned by the root node (clrnn_node_create); or "--set", static
    int line, column; // from 1; 0: the node does not come from a file
    struct clrnn_node **child;
    size_t count;
};

/** Parse a file, or a text that is called `name` in messages. CLRNN_ERR_CONFIG: the file cannot be read, or the YAML is
 * invalid, has several documents or duplicate keys, or exceeds a limit in doc/config.md. An alias inside the node that
 * it refers to is an error, too. If the position is known, the message begins with it: "file:line:column: ". */
enum clrnn_status clrnn_yaml_read(const struct clrnn_log *log, const char *path, struct clrnn_node **root);
enum clrnn_status clrnn_yaml_parse(const struct clrnn_log *log, const char *text, const char *name,
                                   struct clrnn_node **root);
void clrnn_yaml_destroy(struct clrnn_node **root);

/** Returns the child with the key `key`. Returns NULL if there is none, or if `map` is NULL or not a map. */
struct clrnn_node *clrnn_node_find(const struct clrnn_node *map, const char *key);

/** Applies `--set KEY=VALUE` to the tree: KEY is a dotted path ("train.optimizer.adam.lr",
 * "model.layers.0.rnn.hidden_size"), VALUE is parsed as YAML. Missing maps are created. A scalar on the
 * path becomes a map: "optimizer: adam" becomes a map with the key adam. Some maps, such as train.optimizer, may have
 * only one entry; setting another key of such a map replaces the old entry.
 * Errors  CLRNN_ERR_CONFIG: an index is out of range, there is no '=', KEY has an empty part or more than 64 parts,
 *         or VALUE is no YAML.
 *         CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_node_set(const struct clrnn_log *log, struct clrnn_node *root, const char *assignment);

/** Returns the tree as YAML text, which the caller frees. Lists and maps below the root's children are written in flow
 * style ([a, b], {a: b}) if they fit on a line and contain no map. Returns NULL if memory runs out. */
char *clrnn_yaml_text(const struct clrnn_node *root);

/** Return a new node; NULL: out of memory. */
struct clrnn_node *clrnn_node_map(void);
struct clrnn_node *clrnn_node_list(void);
struct clrnn_node *clrnn_node_scalar(const char *format, ...) CLRNN_PRINTF(1, 2);
/** Appends `child` to `parent` and returns `child`. Takes ownership of `child`, even on failure. `key` is the child's
 * key; NULL: the child has its key already, or the parent is a list. Returns NULL if `parent` or `child` is NULL, or if
 * memory runs out. */
struct clrnn_node *clrnn_node_add(struct clrnn_node *parent, const char *key, struct clrnn_node *child);
/** Creates an empty node of any kind. Its `file` is a copy of `name` (may be NULL) that is stored with the node.
 * Returns NULL if memory runs out. */
struct clrnn_node *clrnn_node_create(enum clrnn_node_kind kind, const char *name);
/** Frees the node and its children; `node` may be NULL. */
void clrnn_node_destroy(struct clrnn_node *node);

#endif
