// SPDX-License-Identifier: MIT
// Reads, writes and checks one initialiser of a config.
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/words.h"
#include "model/options.h"

// The names of the initialisers. CONSTANT has none, because a config writes its number.
static const struct {
    const char *word;
    enum clrnn_initializer_kind kind;
} initializers[] = {
    {"zeros", CLRNN_INITIALIZER_ZEROS},
    {"ones", CLRNN_INITIALIZER_ONES},
    {"xavier_uniform", CLRNN_INITIALIZER_XAVIER_UNIFORM},
    {"xavier_normal", CLRNN_INITIALIZER_XAVIER_NORMAL},
    {"kaiming_uniform", CLRNN_INITIALIZER_KAIMING_UNIFORM},
    {"kaiming_normal", CLRNN_INITIALIZER_KAIMING_NORMAL},
    {"orthogonal", CLRNN_INITIALIZER_ORTHOGONAL},
    {"uniform", CLRNN_INITIALIZER_UNIFORM},
    {"normal", CLRNN_INITIALIZER_NORMAL},
};

static bool has_numbers(enum clrnn_initializer_kind kind)
{
    return kind == CLRNN_INITIALIZER_UNIFORM || kind == CLRNN_INITIALIZER_NORMAL;
}

static bool find(const char *word, enum clrnn_initializer_kind *kind)
{
    for (size_t i = 0; i < ARRAY_SIZE(initializers); i++) {
        *kind = initializers[i].kind;
        if (!strcmp(initializers[i].word, word))
            return true;
    }
    return false;
}

bool clrnn_initializer_is(const struct clrnn_node *node)
{
    enum clrnn_initializer_kind kind;

    return node->kind != CLRNN_NODE_MAP || (node->count == 1 && find(node->child[0]->key, &kind));
}

static bool read_scalar(const struct clrnn_node *node, double *value)
{
    return node->kind == CLRNN_NODE_SCALAR && !node->quoted && clrnn_number_parse(node->text, value) &&
           isfinite(*value);
}

bool clrnn_initializer_read(const struct clrnn_node *node, struct clrnn_initializer *initializer)
{
    struct clrnn_initializer read = {0};
    const struct clrnn_node *pair;

    if (node->kind == CLRNN_NODE_SCALAR) {
        if (!find(node->text, &read.kind) || has_numbers(read.kind)) {
            read.kind = CLRNN_INITIALIZER_CONSTANT;
            if (!read_scalar(node, &read.first))
                return false;
        }
        *initializer = read;
        return true;
    }
    if (node->kind != CLRNN_NODE_MAP || node->count != 1 || !find(node->child[0]->key, &read.kind) ||
        !has_numbers(read.kind))
        return false;
    pair = node->child[0];
    if (pair->kind != CLRNN_NODE_LIST || pair->count != 2 || !read_scalar(pair->child[0], &read.first) ||
        !read_scalar(pair->child[1], &read.second) || !clrnn_initializer_fits(&read))
        return false;
    *initializer = read;
    return true;
}

static struct clrnn_node *number(double value)
{
    char text[CLRNN_NUMBER_SIZE];

    clrnn_number_text(value, text);
    return clrnn_node_scalar("%s", text);
}

struct clrnn_node *clrnn_initializer_write(const struct clrnn_initializer *initializer)
{
    struct clrnn_node *map, *pair;
    size_t i = 0;

    if (initializer->kind == CLRNN_INITIALIZER_CONSTANT)
        return number(initializer->first);
    while (i + 1 < ARRAY_SIZE(initializers) && initializers[i].kind != initializer->kind)
        i++;
    if (!has_numbers(initializer->kind))
        return clrnn_node_scalar("%s", initializers[i].word);
    map = clrnn_node_map();
    pair = map ? clrnn_node_list() : NULL;
    if (pair && (!clrnn_node_add(pair, NULL, number(initializer->first)) ||
                 !clrnn_node_add(pair, NULL, number(initializer->second))))
        clrnn_yaml_destroy(&pair);
    if (map && !clrnn_node_add(map, initializers[i].word, pair))
        clrnn_yaml_destroy(&map);
    return map;
}

bool clrnn_initializer_fits(const struct clrnn_initializer *initializer)
{
    const double first = initializer->first, second = initializer->second;

    if ((unsigned)initializer->kind > CLRNN_INITIALIZER_CONSTANT || !isfinite(first) || !isfinite(second))
        return false;
    return initializer->kind == CLRNN_INITIALIZER_UNIFORM  ? first <= second
           : initializer->kind == CLRNN_INITIALIZER_NORMAL ? second >= 0
                                                           : true;
}
