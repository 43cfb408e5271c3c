// SPDX-License-Identifier: MIT
#include "tools/device_list.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"

// Lists all GPUs in *names, as "0:0,0:1". If there are no GPUs, *names is "gpu": opening that device reports that there
// is none.
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
            used +=
                (size_t)snprintf(*names + used, size - used, "%s%s", used ? "," : "", clrnn_device_spec(info, spec));
    }
    if (*names && !used)
        snprintf(*names, size, "gpu");
    clrnn_device_list_destroy(&there);
    return *names ? CLRNN_OK : clrnn_error_memory(&cli->log, size, "the list of devices");
}

// Opens the device that `name` selects, and appends it to the list.
static enum clrnn_status add(struct cli *cli, const char *name, bool profile, struct device_list *list)
{
    const struct clrnn_device_info *info, *other;
    char spec[24];

    if (!*name)
        return clrnn_error(&cli->log, CLRNN_ERR_ARG, "--devices %s: a name is missing before or after a comma",
                           list->names);
    if (list->count == ARRAY_SIZE(list->device))
        return clrnn_error(&cli->log, CLRNN_ERR_ARG, "--devices %s: expected at most %zu devices", list->names,
                           ARRAY_SIZE(list->device));
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
        clrnn_log(&cli->log, CLRNN_LOG_WARNING,
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

// ---------------------------------------------------------------- ranks of a host

// Returns the device that is opened by default. With `gpu`, returns a GPU: the default device if it is one, else the
// first usable GPU. Returns NULL if there is no such device.
static const struct clrnn_device_info *standard(const struct clrnn_device_list *there, bool gpu)
{
    char why[160];
    const size_t row = clrnn_device_list_default(there, why);

    if (row == SIZE_MAX || !gpu || there->info[row].type == CLRNN_DEVICE_GPU)
        return row == SIZE_MAX ? NULL : &there->info[row];
    for (size_t i = 0; i < there->count; i++)
        if (there->info[i].type == CLRNN_DEVICE_GPU && !there->info[i].trouble)
            return &there->info[i];
    return NULL;
}

static bool same_kind(const struct clrnn_device_info *a, const struct clrnn_device_info *b)
{
    return a->platform == b->platform && a->type == b->type && !a->trouble && !strcmp(a->name, b->name) &&
           !strcmp(a->driver, b->driver);
}

// Lists in *names, separated by commas, the devices that this rank may have to share with other ranks on its host.
// *names is "" if --device or CLRNN_DEVICE names a device for this rank, or if there is no default device. *seen is a
// text that describes *names and all devices that this rank sees. Ranks with equal *seen share the devices in *names.
static enum clrnn_status list_common(const struct cli *cli, const struct device_list *list, char **names, char **seen)
{
    const char *spec = cli->device ? cli->device : getenv("CLRNN_DEVICE");
    const bool open = !list->names && (!spec || !*spec || !strcmp(spec, "gpu"));
    const struct clrnn_device_info *kind;
    struct clrnn_device_list *there;
    size_t size, used;
    char number[24];

    TRY(clrnn_device_list_create(&cli->log, &there));
    kind = open ? standard(there, spec && *spec) : NULL;
    size = 64 * (there->count + 1) + (list->names ? strlen(list->names) : 0);
    *names = calloc(1, size);
    *seen = calloc(1, size);
    for (size_t i = used = 0; kind && *names && i < there->count; i++)
        if (same_kind(&there->info[i], kind))
            used += (size_t)snprintf(*names + used, size - used, "%s%s", used ? "," : "",
                                     clrnn_device_spec(&there->info[i], number));
    if (*names && list->names)
        snprintf(*names, size, "%s", list->names);
    used = *names && *seen ? (size_t)snprintf(*seen, size, "%s %d", *names, list->names != NULL) : 0;
    for (size_t i = 0; used && i < there->count; i++)
        used += (size_t)snprintf(*seen + used, size - used, " %s %llx", clrnn_device_spec(&there->info[i], number),
                                 (unsigned long long)there->info[i].pci);
    clrnn_device_list_destroy(&there);
    return *names && *seen ? CLRNN_OK : clrnn_error_memory(&cli->log, 2 * size, "the list of devices");
}

// Reduces the list `names` to the devices of rank `own` of `count` ranks. With `one`, or if there are fewer devices
// than ranks, the rank gets one device, which several ranks may share. Otherwise the list is divided among the ranks.
static void divide(char *names, uint32_t own, uint32_t count, bool one)
{
    size_t there = 1, first, end;
    char *at = names;

    for (const char *c = names; *c; c++)
        there += *c == ',';
    first = one || count > there ? own % there : there * own / count;
    end = one || count > there ? first + 1 : there * (own + 1) / count;
    for (size_t i = 0; i < first; i++)
        at = strchr(at, ',') + 1;
    memmove(names, at, strlen(at) + 1);
    at = names;
    for (size_t i = first; at && i < end; i++)
        at = strchr(at + (i > first), ',');
    if (at)
        *at = 0;
}

enum clrnn_status device_list_divide(struct cli *cli, const struct clrnn_rank *rank, enum clrnn_status status,
                                     struct device_list *list)
{
    uint32_t own = 0, count = 1;
    char *names = NULL, *seen = NULL;

    if (rank->count == 1)
        return status;
    if (status == CLRNN_OK && list->names && !strcmp(list->names, "all-gpus")) {
        status = all_gpus(cli, &list->own);
        list->names = list->own;
    }
    if (status == CLRNN_OK)
        status = list_common(cli, list, &names, &seen);
    if (clrnn_rank_share(status == CLRNN_OK ? seen : "", &own, &count) != CLRNN_OK)
        status = status == CLRNN_OK ? CLRNN_ERR_DEVICE : status;
    free(seen);
    if (status != CLRNN_OK || !*names) {
        free(names);
        return status;
    }
    divide(names, own, count, !list->names);
    free(list->own);
    list->own = names;
    if (list->names)
        list->names = names;
    else
        cli->device = names;
    return CLRNN_OK;
}

void device_list_close(struct device_list *list)
{
    free(list->own);
    list->own = NULL;
    while (list->count)
        clrnn_device_destroy(&list->device[--list->count]);
}
