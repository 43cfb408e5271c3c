// SPDX-License-Identifier: MIT
#include "tools/device_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

// Writes the numbers of all GPUs, "0:0,0:1", or "gpu" where there is none, whose opening then says so.
static enum clrnn_status all_gpus(const struct cli *cli, char **names)
{
    struct clrnn_device_list *there;
    size_t used = 0, size;

    TRY(clrnn_device_list_create(&cli->log, &there));
    size = 24 * (there->count + 1);
    *names = malloc(size);
    for (size_t i = 0; *names && i < there->count; i++) {
        const struct clrnn_device_info *info = &there->info[i];
        char spec[24];

        if (info->type == CLRNN_DEVICE_GPU && !info->trouble && info->same_as < 0)
            used += (size_t)snprintf(*names + used, size - used, "%s%s", used ? "," : "",
                                     clrnn_device_spec(info, spec));
    }
    if (*names && !used)
        snprintf(*names, size, "gpu");
    clrnn_device_list_destroy(&there);
    return *names ? CLRNN_OK : clrnn_error_memory(&cli->log, size, "the list of devices");
}

// Opens the device of that name.
static enum clrnn_status add(struct cli *cli, const char *name, bool profile, struct device_list *list)
{
    const struct clrnn_device_info *info, *other;
    char spec[24];

    if (!*name)
        return clrnn_error(&cli->log, CLRNN_ERR_ARG,
                           "--devices %s: a name is missing before or after a comma", list->names);
    if (list->count == ARRAY_SIZE(list->device))
        return clrnn_error(&cli->log, CLRNN_ERR_ARG, "--devices %s: expected at most %zu devices",
                           list->names, ARRAY_SIZE(list->device));
    cli->device = name;
    TRY(cli_device(cli, profile, &list->device[list->count]));
    info = clrnn_device_info(list->device[list->count++]);
    for (size_t i = 0; i + 1 < list->count; i++) {
        other = clrnn_device_info(list->device[i]);
        if (other->platform == info->platform && other->device == info->device && other->type == info->type)
            return clrnn_error(&cli->log, CLRNN_ERR_ARG, "--devices %s: names %s (%s) twice", list->names,
                               clrnn_device_spec(info, spec), info->name);
    }
    return CLRNN_OK;
}

static enum clrnn_status add_all(struct cli *cli, char *names, bool profile, struct device_list *list)
{
    for (char *name = names, *end; name; name = end) {
        name += strspn(name, " ");
        end = strchr(name, ',');
        if (end)
            *end++ = 0;
        TRY(add(cli, name, profile, list));
    }
    return CLRNN_OK;
}

static void warn_of_kinds(const struct cli *cli, const struct device_list *list)
{
    const struct clrnn_device_info *first = clrnn_device_info(list->device[0]), *other;
    char spec[2][24];

    for (size_t i = 1; i < list->count; i++) {
        other = clrnn_device_info(list->device[i]);
        if (!strcmp(first->name, other->name) && !strcmp(first->driver, other->driver))
            continue;
        clrnn_log(
            &cli->log, CLRNN_LOG_WARNING,
            "%s (%s) and %s (%s) are of different kinds: the last bits of the result may depend on which of "
            "them computes what",
            clrnn_device_spec(first, spec[0]), first->name, clrnn_device_spec(other, spec[1]), other->name);
        return;
    }
}

enum clrnn_status device_list_open(struct cli *cli, bool profile, struct device_list *list)
{
    enum clrnn_status st;
    char *names;

    if (!list->names) {
        TRY(cli_device(cli, profile, &list->device[0]));
        list->count = 1;
        return CLRNN_OK;
    }
    if (cli->device)
        return clrnn_error(&cli->log, CLRNN_ERR_ARG, "--device and --devices exclude each other");
    if (!strcmp(list->names, "all-gpus"))
        TRY(all_gpus(cli, &names));
    else if (!(names = strdup(list->names)))
        return clrnn_error_memory(&cli->log, strlen(list->names) + 1, "the list of devices");
    st = add_all(cli, names, profile, list);
    cli->device = NULL;
    free(names);
    TRY(st);
    cli->used = clrnn_device_info(list->device[0]);
    warn_of_kinds(cli, list);
    return CLRNN_OK;
}

void device_list_close(struct device_list *list)
{
    while (list->count)
        clrnn_device_destroy(&list->device[--list->count]);
}
