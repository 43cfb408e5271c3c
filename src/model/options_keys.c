// SPDX-License-Identifier: MIT
// Lists the config's keys, from which help, manual, completions and the tables of doc/config.md are made.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "model/options.h"

// One pass over all keys of the config. The first pass has key and text NULL, and only counts keys and bytes of text.
// The second pass also stores them.
struct pass {
    struct clrnn_config_key *key;
    char *text;
    size_t count, used;
};

static const char *keep(struct pass *p, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *to = p->text ? p->text + p->used : NULL;

    if (to)
        memcpy(to, text, size);
    p->used += size;
    return to;
}

static void add_key(struct pass *p, const char *path, const struct clrnn_option *o,
                    const struct clrnn_option_group *group)
{
    struct clrnn_config_key key = {.path = keep(p, path)};
    char expects[384] = "a map";

    if (o)
        clrnn_option_expects(o, expects, sizeof(expects));
    key.expects = keep(p, expects);
    key.standard = o ? o->def : NULL;
    key.required = o && o->required;
    key.help = o ? o->help : group->help;
    if (p->key)
        p->key[p->count] = key;
    p->count++;
}

static void add_group(struct pass *p, const char *path, const struct clrnn_option_group *group)
{
    char below[256], named[512];

    for (size_t i = 0; i < group->count; i++) {
        const struct clrnn_option *o = &group->option[i];

        snprintf(below, sizeof(below), "%s%s%s", path, *path ? "." : "", o->key);
        add_key(p, below, o, group);
        for (size_t g = 0; o->groups && o->groups[g]; g++) {
            if (o->type == CLRNN_OPTION_GROUP) {
                add_group(p, below, o->groups[g]);
                continue;
            }
            snprintf(named, sizeof(named), "%s.%s", below, o->groups[g]->word);
            add_key(p, named, NULL, o->groups[g]);
            add_group(p, named, o->groups[g]);
        }
    }
}

enum clrnn_status clrnn_config_keys(const struct clrnn_log *log, struct clrnn_config_key **keys, size_t *count)
{
    NEED(log, keys);
    *keys = NULL;
    NEED(log, count);

    struct pass p = {.key = NULL};
    size_t bytes;

    add_group(&p, "", &clrnn_options_root);
    bytes = p.count * sizeof(*p.key) + p.used;
    *keys = malloc(bytes);
    *count = 0;
    if (!*keys)
        return clrnn_error_memory(log, bytes, "the config's keys");
    p = (struct pass){.key = *keys, .text = (char *)(*keys + p.count)};
    add_group(&p, "", &clrnn_options_root);
    *count = p.count;
    return CLRNN_OK;
}
