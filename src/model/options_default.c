// SPDX-License-Identifier: MIT
// The defaults of options.
#include <stdio.h>
#include <string.h>

#include "model/options.h"

static void *field(void *object, size_t offset)
{
    return (char *)object + offset;
}

// A default is a word, or for a pair a list of two: parsed without libyaml so that only texts need memory.
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
            if (!clrnn_options_default(o->groups[0], field(object, o->offset)))
                return false;
        } else if (o->type == CLRNN_OPTION_ONE_OF) {
            const struct clrnn_option_group *chosen = clrnn_options_word(o->groups, o->def);

            *(unsigned *)field(object, o->offset) = chosen ? (unsigned)chosen->kind : 0;
            if (chosen && !clrnn_options_default(chosen, field(object, o->offset)))
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
    for (size_t i = 0; clrnn_options_layers[i]; i++) // members of other kinds have defaults, too; no memory
        clrnn_options_default(clrnn_options_layers[i], layer);
    clrnn_options_default(clrnn_options_kind(clrnn_options_layers, (int)kind), layer);
}
