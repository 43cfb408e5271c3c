// SPDX-License-Identifier: MIT
// Writes a config as YAML, with the values of all options in the option tables (options.h).
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "model/nest.h"
#include "model/options.h"

// Returns the absolute path of a data file; the caller frees this path. A copy of the config in a run folder needs
// absolute paths, because relative paths refer to the folder of the original. Symbolic links in the folder's path are
// resolved. The file itself need not exist. NULL: out of memory.
static char *absolute(const char *folder, const char *path)
{
    char *joined = clrnn_path_join(folder, path), *dir = NULL, *real = NULL, *whole = NULL, *here = NULL;
    const char *slash;

    if (!joined)
        return NULL;
    dir = clrnn_path_folder(joined);
    if (dir)
        real = realpath(dir, NULL);
    slash = strrchr(joined, '/');
    if (real)
        whole = clrnn_path_join(real, slash ? slash + 1 : joined);
    else if (*joined == '/')
        whole = strdup(joined);
    else if ((here = getcwd(NULL, 0)))
        whole = clrnn_path_join(here, joined);
    free(here);
    free(real);
    free(dir);
    free(joined);
    return whole;
}

static struct clrnn_node *write_group(const struct clrnn_config *config, const struct clrnn_option_group *group,
                                      const void *object);

static struct clrnn_node *write_choice(const struct clrnn_config *config,
                                       const struct clrnn_option_group *const *groups, const void *object)
{
    const struct clrnn_option_group *group = clrnn_options_kind(groups, (int)*(const unsigned *)object);
    struct clrnn_node *map = group ? clrnn_node_map() : NULL;

    if (map && !clrnn_node_add(map, group->word, write_group(config, group, object)))
        clrnn_yaml_destroy(&map);
    return map;
}

// Returns the layers [first, end) of config->layer as a list node.
static struct clrnn_node *write_layers(const struct clrnn_config *config, size_t first, size_t end)
{
    struct clrnn_node *list = clrnn_node_list();

    for (size_t i = first; list && i < end; i = clrnn_layer_end(config, i)) {
        if (!clrnn_node_add(list, NULL, write_choice(config, clrnn_options_layers, &config->layer[i])))
            clrnn_yaml_destroy(&list);
    }
    return list;
}

static struct clrnn_node *write_branches(const struct clrnn_config *config, size_t concat)
{
    struct clrnn_node *list = clrnn_node_list();
    size_t first, end;

    for (uint32_t b = 0; list && b < config->layer[concat].branches; b++) {
        clrnn_layer_branch(config, concat, b, &first, &end);
        if (!clrnn_node_add(list, NULL, write_layers(config, first, end)))
            clrnn_yaml_destroy(&list);
    }
    return list;
}

static struct clrnn_node *write_row(const struct clrnn_config *config, const struct clrnn_option *o, const void *object)
{
    const void *at = (const char *)object + o->offset;
    struct clrnn_node *node;
    size_t at_layer;
    char *path;

    if (clrnn_option_is_null(o, object))
        return clrnn_node_scalar("null");
    switch (o->type) {
    case CLRNN_OPTION_GROUP:
        return write_group(config, o->groups[0], at);
    case CLRNN_OPTION_ONE_OF:
        return write_choice(config, o->groups, at);
    case CLRNN_OPTION_LAYERS:
        return write_layers(config, 0, config->layer_count);
    case CLRNN_OPTION_INNER:
        at_layer = (size_t)((const struct clrnn_layer *)object - config->layer);
        return write_layers(config, at_layer + 1, clrnn_layer_end(config, at_layer));
    case CLRNN_OPTION_BRANCHES:
        return write_branches(config, (size_t)((const struct clrnn_layer *)object - config->layer));
    case CLRNN_OPTION_PATH:
        path = clrnn_path_is_memory(*(char *const *)at) ? strdup(*(char *const *)at)
                                                        : absolute(config->folder, *(char *const *)at);
        node = path ? clrnn_option_write_text(path) : NULL;
        free(path);
        return node;
    default:
        return clrnn_option_write(o, object);
    }
}

static struct clrnn_node *write_group(const struct clrnn_config *config, const struct clrnn_option_group *group,
                                      const void *object)
{
    struct clrnn_node *map = clrnn_node_map();

    for (size_t i = 0; map && i < group->count; i++) {
        const struct clrnn_option *o = &group->option[i];

        if ((o->quiet && clrnn_option_is_null(o, object)) || (o->follows && o->follows(object)))
            continue;
        if (!clrnn_node_add(map, o->key, write_row(config, o, object)))
            clrnn_yaml_destroy(&map);
    }
    return map;
}

char *clrnn_config_text(const struct clrnn_config *config)
{
    struct clrnn_node *root = !config ? NULL : write_group(config, &clrnn_options_root, config);
    char *text = root ? clrnn_yaml_text(root) : NULL;

    clrnn_yaml_destroy(&root);
    return text;
}
