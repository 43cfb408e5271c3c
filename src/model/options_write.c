// SPDX-License-Identifier: MIT
// Sets one option to its default, and writes its value as a node.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/words.h"
#include "model/options.h"

static struct clrnn_node *number_node(double value, bool whole)
{
    char text[CLRNN_NUMBER_SIZE];

    if (whole)
        return clrnn_node_scalar("%.0f", value);
    clrnn_number_text(value, text);
    return clrnn_node_scalar("%s", text);
}

static struct clrnn_node *numbers_node(const double *value, size_t count, bool whole)
{
    struct clrnn_node *list = clrnn_node_list();

    for (size_t i = 0; list && i < count; i++) {
        if (!clrnn_node_add(list, NULL, number_node(value[i], whole)))
            clrnn_yaml_destroy(&list);
    }
    return list;
}

struct clrnn_node *clrnn_option_write_text(const char *text)
{
    char *escaped = clrnn_text_escape(text, CLRNN_TEXT_STORED);
    struct clrnn_node *node = escaped ? clrnn_node_scalar("%s", escaped) : NULL;

    free(escaped);
    if (node)
        node->quoted = clrnn_null_word(node->text); // a column may be called "null"
    return node;
}

// Returns a list node with the names in `lines`, which has one name per line. A single name gives a scalar node.
static struct clrnn_node *names_node(const char *lines)
{
    struct clrnn_node *list = strchr(lines, '\n') ? clrnn_node_list() : NULL;

    if (!strchr(lines, '\n'))
        return clrnn_option_write_text(lines);
    while (list && *lines) {
        const size_t length = strcspn(lines, "\n");
        char *name = strndup(lines, length);

        if (!name || !clrnn_node_add(list, NULL, clrnn_option_write_text(name)))
            clrnn_yaml_destroy(&list);
        free(name);
        lines += length + (lines[length] == '\n');
    }
    return list;
}

struct clrnn_node *clrnn_option_write(const struct clrnn_option *o, const void *object)
{
    const void *at = clrnn_option_const_field(object, o->offset);

    if (clrnn_option_is_null(o, object))
        return clrnn_node_scalar("null");
    switch (o->type) {
    case CLRNN_OPTION_BOOL:
        return clrnn_node_scalar("%s", *(const bool *)at ? "true" : "false");
    case CLRNN_OPTION_U32:
        if (o->words && *(const bool *)clrnn_option_const_field(object, o->third))
            return clrnn_node_scalar("%s", o->words[0]);
        return clrnn_node_scalar("%" PRIu32, *(const uint32_t *)at);
    case CLRNN_OPTION_I32:
        return clrnn_node_scalar("%" PRId32, *(const int32_t *)at);
    case CLRNN_OPTION_U64:
        return clrnn_node_scalar("%" PRIu64, *(const uint64_t *)at);
    case CLRNN_OPTION_I64:
        return clrnn_node_scalar("%" PRId64, *(const int64_t *)at);
    case CLRNN_OPTION_WHOLE:
        return number_node(*(const double *)at, true);
    case CLRNN_OPTION_NUMBER:
        return number_node(*(const double *)at, false);
    case CLRNN_OPTION_TEXT:
    case CLRNN_OPTION_PATH:
        return clrnn_option_write_text(*(char *const *)at ? *(char *const *)at : "");
    case CLRNN_OPTION_NAMES:
        return names_node(*(char *const *)at ? *(char *const *)at : "");
    case CLRNN_OPTION_CHOICE:
        return clrnn_node_scalar("%s", o->words[*(const unsigned *)at]);
    case CLRNN_OPTION_FLAG:
        return clrnn_node_scalar("%s", o->words[*(const bool *)at]);
    case CLRNN_OPTION_PAIR: {
        const double pair[2] = {*(const double *)at, *(const double *)clrnn_option_const_field(object, o->second)};

        return numbers_node(pair, 2, false);
    }
    case CLRNN_OPTION_LIST:
        if (o->words && *(const bool *)clrnn_option_const_field(object, o->third))
            return clrnn_node_scalar("%s", o->words[0]);
        return numbers_node(*(double *const *)at, *(const size_t *)clrnn_option_const_field(object, o->second),
                            o->whole_list);
    case CLRNN_OPTION_INITIALIZER:
        return clrnn_initializer_write(at);
    case CLRNN_OPTION_GROUP:
    case CLRNN_OPTION_ONE_OF:
    case CLRNN_OPTION_LAYERS:
    case CLRNN_OPTION_INNER:
    case CLRNN_OPTION_BRANCHES:
        break;
    }
    return NULL;
}

// Sets an option to its default, which is a word or, for a pair, a list of two. The default is parsed here, not by
// libyaml, so that only a default string needs memory.
static bool set_default(const struct clrnn_option *o, void *object)
{
    struct clrnn_node value = {.kind = CLRNN_NODE_SCALAR}, pair[2] = {value, value};
    struct clrnn_node *child[2] = {&pair[0], &pair[1]};
    char text[64], wrong[64], *comma;

    snprintf(text, sizeof(text), "%s", o->def);
    value.text = text;
    if (o->type == CLRNN_OPTION_PAIR) {
        comma = strchr(text, ',');
        *comma = '\0';
        comma[1 + strcspn(comma + 1, "]")] = '\0';
        pair[0].text = text + 1;
        pair[1].text = comma + 2;
        value = (struct clrnn_node){.kind = CLRNN_NODE_LIST, .child = child, .count = 2};
    }
    return clrnn_option_read(o, &value, object, wrong, sizeof(wrong)) == CLRNN_OK;
}

bool clrnn_options_default(const struct clrnn_option_group *group, void *object)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct clrnn_option *o = &group->option[i];

        if (o->type == CLRNN_OPTION_GROUP) {
            if (!clrnn_options_default(o->groups[0], clrnn_option_field(object, o->offset)))
                return false;
        } else if (o->type == CLRNN_OPTION_ONE_OF) {
            const struct clrnn_option_group *chosen = clrnn_options_word(o->groups, o->def);

            *(unsigned *)clrnn_option_field(object, o->offset) = chosen ? (unsigned)chosen->kind : 0;
            if (chosen && !clrnn_options_default(chosen, clrnn_option_field(object, o->offset)))
                return false;
        } else if (o->def && !set_default(o, object)) {
            return false;
        }
    }
    return true;
}

void clrnn_layer_default(struct clrnn_layer *layer, enum clrnn_layer_kind kind)
{
    *layer = (struct clrnn_layer){.kind = kind};
    // Members that only other kinds use get their defaults as well. No call can fail, because no layer has a default
    // that needs memory.
    for (size_t i = 0; clrnn_options_layers[i]; i++)
        clrnn_options_default(clrnn_options_layers[i], layer);
    clrnn_options_default(clrnn_options_kind(clrnn_options_layers, (int)kind), layer);
}
