// SPDX-License-Identifier: MIT
// Reading YAML into a tree of nodes with libyaml, and building such trees by hand.
#include "base/yaml.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <yaml.h>

#include "base/file.h"

#define MAX_BYTES ((size_t)16 << 20) // a config is a few kilobytes; a data set by mistake is refused
#define MAX_NODES 200000             // aliases of aliases grow exponentially
#define MAX_DEPTH 64
#define MAX_KEYS 4096

// The memory of a node; a root that was read carries the name that its nodes point to.
struct holder {
    struct clrnn_node node;
    char name[];
};

static struct clrnn_node *node_create(enum clrnn_node_kind kind, const char *name)
{
    struct holder *h = calloc(1, sizeof(*h) + (name ? strlen(name) + 1 : 0));

    if (!h)
        return NULL;
    h->node.kind = kind;
    if (name)
        h->node.file = strcpy(h->name, name);
    return &h->node;
}

static void node_destroy(struct clrnn_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++)
        node_destroy(node->child[i]);
    free(node->child);
    free(node->text);
    free(node->key);
    free(node);
}

void clrnn_yaml_destroy(struct clrnn_node **root)
{
    if (!root)
        return;
    node_destroy(*root);
    *root = NULL;
}

struct clrnn_node *clrnn_node_map(void)
{
    return node_create(CLRNN_NODE_MAP, NULL);
}

struct clrnn_node *clrnn_node_list(void)
{
    return node_create(CLRNN_NODE_LIST, NULL);
}

struct clrnn_node *clrnn_node_scalar(const char *format, ...)
{
    struct clrnn_node *node = node_create(CLRNN_NODE_SCALAR, NULL);
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
    if ((parent->count & (parent->count - 1)) == 0) { // full at each power of two
        struct clrnn_node **grown =
            realloc(parent->child, (parent->count ? 2 * parent->count : 1) * sizeof(*grown));

        if (!grown)
            goto fail;
        parent->child = grown;
    }
    parent->child[parent->count++] = child;
    return child;
fail:
    node_destroy(child);
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

struct loader {
    const struct clrnn_log *log;
    const char *name, *file; // as the caller says it; the root's own copy of it
    yaml_document_t *document;
    size_t nodes;
    int on_path[MAX_DEPTH];
};

static enum clrnn_status fail_at(const struct loader *l, yaml_mark_t mark, const char *what)
{
    return clrnn_error(l->log, CLRNN_ERR_CONFIG, "%s:%zu:%zu: %s", l->name, mark.line + 1, mark.column + 1,
                       what);
}

static enum clrnn_status load_text(const struct loader *l, const yaml_node_t *source, char **text)
{
    const char *value = (const char *)source->data.scalar.value;
    const size_t length = source->data.scalar.length;

    if (memchr(value, 0, length))
        return fail_at(l, source->start_mark, "the text holds a NUL character");
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

// Points at the second of two equal keys.
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

static enum clrnn_status load_below(struct loader *l, int id, int depth, struct clrnn_node *node);

static enum clrnn_status load_child(struct loader *l, int id, int depth, const yaml_node_t *key,
                                    struct clrnn_node *parent)
{
    const yaml_node_t *value = yaml_document_get_node(l->document, id);
    const yaml_node_t *place = key ? key : value;
    struct clrnn_node *child = node_create(CLRNN_NODE_SCALAR, NULL);
    enum clrnn_status st;

    if (!child)
        return clrnn_error_memory(l->log, sizeof(*child), "a YAML node");
    child->file = l->file;
    child->line = (int)place->start_mark.line + 1;
    child->column = (int)place->start_mark.column + 1;
    if (key && (st = load_text(l, key, &child->key)) != CLRNN_OK) {
        node_destroy(child);
        return st;
    }
    if (!clrnn_node_add(parent, NULL, child))
        return clrnn_error_memory(l->log, sizeof(child), "a YAML node");
    return load_below(l, id, depth, child);
}

static enum clrnn_status load_below(struct loader *l, int id, int depth, struct clrnn_node *node)
{
    const yaml_node_t *source = yaml_document_get_node(l->document, id);

    if (depth == MAX_DEPTH)
        return fail_at(l, source->start_mark, "is nested more than 64 levels deep");
    if (++l->nodes > MAX_NODES)
        return fail_at(l, source->start_mark, "the document unfolds to more than 200000 values");
    for (int i = 0; i < depth; i++) {
        if (l->on_path[i] == id)
            return fail_at(l, source->start_mark, "an alias refers to what it stands in");
    }
    l->on_path[depth] = id;
    if (source->tag && strncmp((const char *)source->tag, "tag:yaml.org,2002:", 18))
        return fail_at(l, source->start_mark, "the tag (!...) has no meaning here; leave it out");

    switch (source->type) {
    case YAML_SCALAR_NODE:
        node->kind = CLRNN_NODE_SCALAR;
        node->quoted = source->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        return load_text(l, source, &node->text);
    case YAML_SEQUENCE_NODE:
        node->kind = CLRNN_NODE_LIST;
        for (yaml_node_item_t *i = source->data.sequence.items.start; i < source->data.sequence.items.top;
             i++)
            TRY(load_child(l, *i, depth + 1, NULL, node));
        return CLRNN_OK;
    case YAML_MAPPING_NODE:
        node->kind = CLRNN_NODE_MAP;
        if (source->data.mapping.pairs.top - source->data.mapping.pairs.start > MAX_KEYS)
            return fail_at(l, source->start_mark, "the map has more than 4096 keys");
        for (yaml_node_pair_t *p = source->data.mapping.pairs.start; p < source->data.mapping.pairs.top;
             p++) {
            const yaml_node_t *key = yaml_document_get_node(l->document, p->key);

            if (key->type != YAML_SCALAR_NODE)
                return fail_at(l, key->start_mark, "a key must be a plain word");
            TRY(load_child(l, p->value, depth + 1, key, node));
        }
        return check_keys(l, node);
    case YAML_NO_NODE:
        break;
    }
    return fail_at(l, source->start_mark, "is no YAML node");
}

static enum clrnn_status fail_parse(const struct clrnn_log *log, const char *name,
                                    const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "cannot be understood";
    const char *hint =
        strstr(problem, "cannot start any token") ? " (a tab? YAML is indented with spaces)" : "";

    if (parser->error == YAML_MEMORY_ERROR)
        return clrnn_error(log, CLRNN_ERR_MEMORY, "%s: out of memory while reading YAML", name);
    if (parser->error == YAML_READER_ERROR)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: byte %zu: is no YAML text: %s", name,
                           parser->problem_offset, problem);
    if (parser->context && parser->context_mark.line != parser->problem_mark.line)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s:%zu:%zu: is no YAML: %s%s (%s that begins in line %zu)",
                           name, parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem,
                           hint, parser->context, parser->context_mark.line + 1);
    return clrnn_error(log, CLRNN_ERR_CONFIG, "%s:%zu:%zu: is no YAML: %s%s", name,
                       parser->problem_mark.line + 1, parser->problem_mark.column + 1, problem, hint);
}

static enum clrnn_status load_document(struct loader *l, struct clrnn_node **root)
{
    const yaml_node_t *top = yaml_document_get_root_node(l->document);

    *root = node_create(CLRNN_NODE_SCALAR, l->name);
    if (!*root)
        return clrnn_error_memory(l->log, strlen(l->name) + 1, "a YAML document");
    (*root)->line = (*root)->column = 1;
    l->file = (*root)->file;
    if (!top) { // an empty file is null
        (*root)->text = calloc(1, 1);
        return (*root)->text ? CLRNN_OK : clrnn_error_memory(l->log, 1, "a YAML document");
    }
    (*root)->line = (int)top->start_mark.line + 1;
    (*root)->column = (int)top->start_mark.column + 1;
    return load_below(l, 1, 0, *root); // libyaml numbers nodes from 1, the root first
}

static enum clrnn_status parse_bytes(const struct clrnn_log *log, const char *text, size_t size,
                                     const char *name, struct clrnn_node **root)
{
    struct loader l = {.log = log, .name = name};
    yaml_document_t document, next;
    yaml_parser_t parser;
    enum clrnn_status st;

    *root = NULL;
    if (!yaml_parser_initialize(&parser))
        return clrnn_error_memory(log, sizeof(parser), "the YAML reader");
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (!yaml_parser_load(&parser, &document)) {
        st = fail_parse(log, name, &parser);
        yaml_parser_delete(&parser);
        return st;
    }
    l.document = &document;
    st = load_document(&l, root);
    if (st == CLRNN_OK && yaml_document_get_root_node(&document)) {
        if (!yaml_parser_load(&parser, &next)) {
            st = fail_parse(log, name, &parser);
        } else {
            const yaml_node_t *top = yaml_document_get_root_node(&next);

            if (top)
                st = fail_at(&l, top->start_mark, "a second document begins; one is expected");
            yaml_document_delete(&next);
        }
    }
    yaml_document_delete(&document);
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
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: has %zu bytes, a YAML text at most %zu", name, size,
                           MAX_BYTES);
    return parse_bytes(log, text, size, name, root);
}

enum clrnn_status clrnn_yaml_read(const struct clrnn_log *log, const char *path, struct clrnn_node **root)
{
    struct stat about;
    size_t size = 0, room = 0;
    char *text = NULL;
    enum clrnn_status st;
    FILE *file;

    *root = NULL;
    if (stat(path, &about))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: cannot be opened: %s", path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: is a folder, expected a YAML file", path);
    file = fopen(path, "rbe");
    if (!file)
        return clrnn_error(log, CLRNN_ERR_CONFIG, "%s: cannot be opened: %s", path, strerror(errno));
    do { // a pipe's size is not known beforehand
        if (size == room) {
            char *grown = room <= MAX_BYTES ? realloc(text, room ? 2 * room : 8192) : NULL;

            if (!grown) {
                st = room <= MAX_BYTES
                         ? clrnn_error_memory(log, 2 * room, path)
                         : clrnn_error(log, CLRNN_ERR_CONFIG,
                                       "%s: has more than %zu bytes, which no config has", path, MAX_BYTES);
                goto done;
            }
            text = grown;
            room = room ? 2 * room : 8192;
        }
        size += fread(text + size, 1, room - size, file);
    } while (size == room);
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
