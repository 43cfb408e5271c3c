// SPDX-License-Identifier: MIT
// Reading YAML into a tree of nodes with libyaml.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <yaml.h>

#include "base/file.h"
#include "base/yaml.h"

// Limits, as doc/config.md states them.
#define MAX_BYTES ((size_t)4 << 20) // configs have a few kilobytes; a data set given by mistake is refused
#define MAX_NODES 200000            // needed because aliases of aliases can expand exponentially
#define MAX_DEPTH 64
#define MAX_KEYS 4096
#define MAX_ANCHORS 256
#define MAX_DIRECTIVES 32

struct anchor {
    char *name;
    struct clrnn_node *node;
    yaml_mark_t mark;
    bool owned; // `node` is a copy of a key and not part of the tree
    bool open;  // the node is still being read
};

// The tree is built from libyaml's events, so that the limits are checked while reading. libyaml's document loader
// would read everything first, and is quadratic in nesting and anchors.
struct loader {
    const struct clrnn_log *log;
    // name: the document's name, as the caller gave it.
    // file: the copy of `name` in the root node.
    const char *name, *file;
    yaml_parser_t *parser;
    // nodes: number of nodes so far.
    // bytes: bytes of all texts and keys so far.
    size_t nodes, bytes;
    struct anchor anchor[MAX_ANCHORS];
    size_t anchors;
};

static enum clrnn_status fail_parse(const struct clrnn_log *log, const char *name, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "cannot be understood";
    const char *hint = strstr(problem, "cannot start any token") ? " (a tab? YAML is indented with spaces)" : "";

    if (parser->error == YAML_MEMORY_ERROR)
        return clrnn_error(log, CLRNN_ERR_MEMORY, "%s: out of memory while reading YAML", name);
    if (parser->error == YAML_READER_ERROR)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: byte %zu: is no YAML text: %s", name, parser->problem_offset,
                           problem);
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s:%zu:%zu: is no YAML: %s%s (%s that begins in line %zu)", name,
                           parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem, hint,
                           parser->context, parser->context_mark.line + 1);
    return clrnn_error(log, CLRNN_ERR_CONFIG, "%s:%zu:%zu: is no YAML: %s%s", name, parser->problem_mark.line + 1,
                       parser->problem_mark.column + 1, problem, hint);
}

static enum clrnn_status fail_at(const struct loader *l, yaml_mark_t mark, const char *what)
{
    return clrnn_error(l->log, CLRNN_ERR_CONFIG, "%s:%zu:%zu: %s", l->name, mark.line + 1, mark.column + 1, what);
}

static enum clrnn_status next_event(const struct loader *l, yaml_event_t *event)
{
    return yaml_parser_parse(l->parser, event) ? CLRNN_OK : fail_parse(l->log, l->name, l->parser);
}

// Adds a text of `length` bytes to the total, and checks the limit.
static enum clrnn_status count_text(struct loader *l, yaml_mark_t mark, size_t length)
{
    l->bytes += length;
    return l->bytes > MAX_BYTES ? fail_at(l, mark, "the document unfolds to more than 4 MiB") : CLRNN_OK;
}

static enum clrnn_status count_node(struct loader *l, yaml_mark_t mark, int depth)
{
    if (depth == MAX_DEPTH)
        return fail_at(l, mark, "is nested more than 64 levels deep");
    if (++l->nodes > MAX_NODES)
        return fail_at(l, mark, "the document unfolds to more than 200000 values");
    return CLRNN_OK;
}

static enum clrnn_status load_text(struct loader *l, const yaml_event_t *event, char **text)
{
    const char *value = (const char *)event->data.scalar.value;
    const size_t length = event->data.scalar.length;

    if (memchr(value, 0, length))
        return fail_at(l, event->start_mark, "the text holds a NUL character");
    TRY(count_text(l, event->start_mark, length));
    *text = malloc(length + 1);
    if (!*text)
        return clrnn_error_memory(l->log, length + 1, "a YAML text");
    memcpy(*text, value, length);
    (*text)[length] = '\0';
    return CLRNN_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const struct clrnn_node *const *x = a, *const *y = b;
    const int order = strcmp((*x)->key, (*y)->key);

    return order ? order : (*x)->line != (*y)->line ? (*x)->line - (*y)->line : (*x)->column - (*y)->column;
}

// Checks that no two keys of a map are equal; the error message has the position of the second key.
static enum clrnn_status check_keys(const struct loader *l, const struct clrnn_node *map)
{
    struct clrnn_node **sorted;
    enum clrnn_status st = CLRNN_OK;

    if (map->count < 2)
        return CLRNN_OK;
    sorted = malloc(map->count * sizeof(struct clrnn_node *));
    if (!sorted)
        return clrnn_error_memory(l->log, map->count * sizeof(struct clrnn_node *), "a YAML map's keys");
    memcpy(sorted, map->child, map->count * sizeof(struct clrnn_node *));
    qsort(sorted, map->count, sizeof(struct clrnn_node *), compare_keys);
    for (size_t i = 1; i < map->count && st == CLRNN_OK; i++) {
        if (!strcmp(sorted[i - 1]->key, sorted[i]->key))
            st = clrnn_error(l->log, CLRNN_ERR_CONFIG,
                             "%s:%d:%d: the key \"%s\" stands twice in one map (first in line %d)", l->name,
                             sorted[i]->line, sorted[i]->column, sorted[i]->key, sorted[i - 1]->line);
    }
    free(sorted);
    return st;
}

// Stores a node under the event's anchor. Sets *index to the anchor's index, or to SIZE_MAX without an anchor.
static enum clrnn_status add_anchor(struct loader *l, const yaml_event_t *event, struct clrnn_node *node, size_t *index)
{
    const yaml_char_t *name = event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
                              : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
                                                                         : event->data.mapping_start.anchor;

    *index = SIZE_MAX;
    if (!name)
        return CLRNN_OK;
    for (size_t i = 0; i < l->anchors; i++)
        if (!strcmp(l->anchor[i].name, (const char *)name))
            return fail_at(l, event->start_mark, "is no YAML: found duplicate anchor");
    if (l->anchors == MAX_ANCHORS)
        return fail_at(l, event->start_mark, "the document has more than 256 anchors (&...)");
    *index = l->anchors;
    l->anchor[*index] = (struct anchor){clrnn_format("%s", (const char *)name), node, event->start_mark, false, true};
    if (!l->anchor[*index].name)
        return clrnn_error_memory(l->log, strlen((const char *)name), "a YAML anchor");
    l->anchors++;
    return CLRNN_OK;
}

static enum clrnn_status find_anchor(const struct loader *l, const yaml_event_t *event, const struct clrnn_node **node)
{
    for (size_t i = 0; i < l->anchors; i++) {
        if (strcmp(l->anchor[i].name, (const char *)event->data.alias.anchor) != 0)
            continue;
        *node = l->anchor[i].node;
        return l->anchor[i].open ? fail_at(l, l->anchor[i].mark, "an alias refers to what it stands in") : CLRNN_OK;
    }
    return fail_at(l, event->start_mark, "is no YAML: found undefined alias");
}

static enum clrnn_status add_child(struct loader *l, struct clrnn_node *parent, yaml_mark_t mark, char *key,
                                   struct clrnn_node **child)
{
    *child = clrnn_node_create(CLRNN_NODE_SCALAR, NULL);
    if (!*child) {
        free(key);
        return clrnn_error_memory(l->log, sizeof(**child), "a YAML node");
    }
    (*child)->key = key;
    (*child)->file = l->file;
    (*child)->line = (int)mark.line + 1;
    (*child)->column = (int)mark.column + 1;
    if (!clrnn_node_add(parent, NULL, *child))
        return clrnn_error_memory(l->log, sizeof(*child), "a YAML node");
    return CLRNN_OK;
}

// Copies the node `from` and its children to `to`. The alias at `mark` refers to `from` or to an ancestor of `from`.
static enum clrnn_status copy_node(struct loader *l, yaml_mark_t mark, const struct clrnn_node *from, int depth,
                                   struct clrnn_node *to)
{
    TRY(count_node(l, mark, depth));
    to->kind = from->kind;
    to->quoted = from->quoted;
    if (from->text) {
        TRY(count_text(l, mark, strlen(from->text)));
        to->text = clrnn_format("%s", from->text);
        if (!to->text)
            return clrnn_error_memory(l->log, strlen(from->text) + 1, "a YAML text");
    }
    for (size_t i = 0; i < from->count; i++) {
        const struct clrnn_node *original = from->child[i];
        char *key = original->key ? clrnn_format("%s", original->key) : NULL;
        struct clrnn_node *child;

        if (original->key && !key)
            return clrnn_error_memory(l->log, strlen(original->key) + 1, "a YAML text");
        TRY(add_child(l, to, mark, key, &child));
        child->line = original->line;
        child->column = original->column;
        TRY(count_text(l, mark, key ? strlen(key) : 0));
        TRY(copy_node(l, mark, original, depth + 1, child));
    }
    return CLRNN_OK;
}

static enum clrnn_status load_key(struct loader *l, const yaml_event_t *event, char **key)
{
    const struct clrnn_node *node;
    struct clrnn_node *anchored;
    size_t index;

    *key = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        TRY(load_text(l, event, key));
        TRY(add_anchor(l, event, NULL, &index));
        if (index == SIZE_MAX)
            return CLRNN_OK;
        l->anchor[index].node = anchored = clrnn_node_scalar("%s", *key);
        l->anchor[index].owned = true;
        l->anchor[index].open = false;
        return anchored ? CLRNN_OK : clrnn_error_memory(l->log, sizeof(*anchored), "a YAML node");
    }
    if (event->type != YAML_ALIAS_EVENT)
        return fail_at(l, event->start_mark, "a key must be a plain word");
    TRY(find_anchor(l, event, &node));
    if (node->kind != CLRNN_NODE_SCALAR)
        return fail_at(l, event->start_mark, "a key must be a plain word");
    TRY(count_text(l, event->start_mark, strlen(node->text)));
    *key = clrnn_format("%s", node->text);
    return *key ? CLRNN_OK : clrnn_error_memory(l->log, strlen(node->text) + 1, "a YAML text");
}

static enum clrnn_status load_node(struct loader *l, const yaml_event_t *event, int depth, struct clrnn_node *node);

// Reads an entry of a list or map. `event` is the first event of the entry. In a map, it is the event of the key; in a
// list, it is the first event of the value.
static enum clrnn_status load_entry(struct loader *l, const yaml_event_t *event, int depth, struct clrnn_node *parent)
{
    const bool map = parent->kind == CLRNN_NODE_MAP;
    char *key = NULL;
    struct clrnn_node *child;
    yaml_event_t value;
    enum clrnn_status st;

    if (map && (st = load_key(l, event, &key)) != CLRNN_OK) {
        free(key);
        return st;
    }
    TRY(add_child(l, parent, event->start_mark, key, &child));
    if (!map)
        return load_node(l, event, depth, child);
    TRY(next_event(l, &value));
    st = load_node(l, &value, depth, child);
    yaml_event_delete(&value);
    return st;
}

static enum clrnn_status load_entries(struct loader *l, yaml_mark_t mark, yaml_event_type_t end, int depth,
                                      struct clrnn_node *node)
{
    for (;;) {
        yaml_event_t event;
        enum clrnn_status st;
        bool last;

        TRY(next_event(l, &event));
        last = event.type == end;
        if (last)
            st = CLRNN_OK;
        else if (node->kind == CLRNN_NODE_MAP && node->count == MAX_KEYS)
            st = fail_at(l, mark, "the map has more than 4096 keys");
        else
            st = load_entry(l, &event, depth, node);
        yaml_event_delete(&event);
        if (last || st != CLRNN_OK)
            return st;
    }
}

static bool tag_is_foreign(const yaml_char_t *tag)
{
    return tag && strcmp((const char *)tag, "!") != 0 && strncmp((const char *)tag, "tag:yaml.org,2002:", 18) != 0;
}

static enum clrnn_status load_node(struct loader *l, const yaml_event_t *event, int depth, struct clrnn_node *node)
{
    const yaml_char_t *tag = event->type == YAML_SCALAR_EVENT           ? event->data.scalar.tag
                             : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.tag
                             : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.tag
                                                                        : NULL;
    const struct clrnn_node *original;
    enum clrnn_status st = CLRNN_OK;
    size_t index;

    if (event->type == YAML_ALIAS_EVENT) {
        TRY(find_anchor(l, event, &original));
        return copy_node(l, event->start_mark, original, depth, node);
    }
    TRY(count_node(l, event->start_mark, depth));
    if (tag_is_foreign(tag))
        return fail_at(l, event->start_mark, "the tag (!...) has no meaning here; leave it out");
    TRY(add_anchor(l, event, node, &index));
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        node->kind = CLRNN_NODE_SCALAR;
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        st = load_text(l, event, &node->text);
        break;
    case YAML_SEQUENCE_START_EVENT:
        node->kind = CLRNN_NODE_LIST;
        st = load_entries(l, event->start_mark, YAML_SEQUENCE_END_EVENT, depth + 1, node);
        break;
    case YAML_MAPPING_START_EVENT:
        node->kind = CLRNN_NODE_MAP;
        st = load_entries(l, event->start_mark, YAML_MAPPING_END_EVENT, depth + 1, node);
        if (st == CLRNN_OK)
            st = check_keys(l, node);
        break;
    default:
        st = fail_at(l, event->start_mark, "is no YAML node");
        break;
    }
    if (index != SIZE_MAX)
        l->anchor[index].open = false;
    return st;
}

// Reads events until one is neither of type `a` nor of type `b`, and sets *event to this event.
static enum clrnn_status skip_events(const struct loader *l, yaml_event_type_t a, yaml_event_type_t b,
                                     yaml_event_t *event)
{
    for (;;) {
        TRY(next_event(l, event));
        if (event->type != a && event->type != b)
            return CLRNN_OK;
        yaml_event_delete(event);
    }
}

static enum clrnn_status load_stream(struct loader *l, struct clrnn_node **root)
{
    yaml_event_t event;
    enum clrnn_status st;

    TRY(skip_events(l, YAML_STREAM_START_EVENT, YAML_DOCUMENT_START_EVENT, &event));
    *root = clrnn_node_create(CLRNN_NODE_SCALAR, l->name);
    if (!*root) {
        yaml_event_delete(&event);
        return clrnn_error_memory(l->log, strlen(l->name) + 1, "a YAML document");
    }
    (*root)->line = (*root)->column = 1;
    l->file = (*root)->file;
    if (event.type == YAML_STREAM_END_EVENT) { // an empty file means null
        yaml_event_delete(&event);
        (*root)->text = calloc(1, 1);
        return (*root)->text ? CLRNN_OK : clrnn_error_memory(l->log, 1, "a YAML document");
    }
    (*root)->line = (int)event.start_mark.line + 1;
    (*root)->column = (int)event.start_mark.column + 1;
    st = load_node(l, &event, 0, *root);
    yaml_event_delete(&event);
    TRY(st);
    TRY(skip_events(l, YAML_DOCUMENT_END_EVENT, YAML_DOCUMENT_START_EVENT, &event));
    if (event.type != YAML_STREAM_END_EVENT)
        st = fail_at(l, event.start_mark, "a second document begins; one is expected");
    yaml_event_delete(&event);
    return st;
}

// Limits the number of directives, because libyaml compares each %TAG line with all before it.
static enum clrnn_status check_directives(const struct clrnn_log *log, const char *text, size_t size, const char *name)
{
    size_t count = 0, line = 1;

    for (const char *at = text, *end = text + size; at && at < end; line++) {
        if (*at == '%' && ++count > MAX_DIRECTIVES)
            return clrnn_error(log, CLRNN_ERR_CONFIG,
                               "%s:%zu:1: more than %d lines begin with %%, a directive; leave them out", name, line,
                               MAX_DIRECTIVES);
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    return CLRNN_OK;
}

static enum clrnn_status parse_bytes(const struct clrnn_log *log, const char *text, size_t size, const char *name,
                                     struct clrnn_node **root)
{
    yaml_parser_t parser;
    struct loader l = {.log = log, .name = name, .parser = &parser};
    enum clrnn_status st;

    *root = NULL;
    TRY(check_directives(log, text, size, name));
    if (!yaml_parser_initialize(&parser))
        return clrnn_error_memory(log, sizeof(parser), "the YAML reader");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    st = load_stream(&l, root);
    for (size_t i = 0; i < l.anchors; i++) {
        free(l.anchor[i].name);
        if (l.anchor[i].owned)
            clrnn_node_destroy(l.anchor[i].node);
    }
    yaml_parser_delete(&parser);
    if (st != CLRNN_OK)
        clrnn_yaml_destroy(root);
    return st;
}

enum clrnn_status clrnn_yaml_parse(const struct clrnn_log *log, const char *text, const char *name,
                                   struct clrnn_node **root)
{
    const size_t size = strlen(text);

    *root = NULL;
    if (size > MAX_BYTES)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: has %zu bytes, a YAML text at most %zu", name, size, MAX_BYTES);
    return parse_bytes(log, text, size, name, root);
}

enum clrnn_status clrnn_yaml_read(const struct clrnn_log *log, const char *path, struct clrnn_node **root)
{
    struct stat about;
    size_t size = 0, capacity = 0;
    char *text = NULL;
    enum clrnn_status st;
    FILE *file;

    *root = NULL;
    if (stat(path, &about))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: cannot be opened: %s", path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: is a folder, expected a YAML file", path);
    file = fopen(path, "rbe");
    if (!file && errno == ENOMEM)
        return clrnn_error_memory(log, 0, path);
    if (!file)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: cannot be opened: %s", path, strerror(errno));
    do { // reads to the end, since a pipe's size is unknown
        if (size == capacity) {
            char *grown = capacity <= MAX_BYTES ? realloc(text, capacity ? 2 * capacity : 8192) : NULL;

            if (!grown) {
                st = capacity <= MAX_BYTES
                         ? clrnn_error_memory(log, 2 * capacity, path)
                         : clrnn_error(log, CLRNN_ERR_CONFIG, "%s: has more than %zu bytes, which no config has", path,
                                       MAX_BYTES);
                goto done;
            }
            text = grown;
            capacity = capacity ? 2 * capacity : 8192;
        }
        size += fread(text + size, 1, capacity - size, file);
    } while (size == capacity);
    if (ferror(file)) {
        st = clrnn_error(log, CLRNN_ERR_CONFIG, "%s: cannot be read: %s", path, strerror(errno));
        goto done;
    }
    st = parse_bytes(log, text, size, path, root);
done:
    fclose(file);
    free(text);
    return st;
}
