// SPDX-License-Identifier: MIT
// clrnn devices: what OpenCL devices there are.
#include <jansson.h>
#include <stdlib.h>

#include "tools/cli.h"

static const char *type_word(enum clrnn_device_type type)
{
    static const char *const words[] = {"CPU", "GPU", "accelerator", "reference"};

    return words[type];
}

static void spec_text(const struct clrnn_device_info *info, char text[24])
{
    if (info->type == CLRNN_DEVICE_REF)
        snprintf(text, 24, "ref");
    else if (info->device < 0)
        snprintf(text, 24, "%d:-", info->platform);
    else
        snprintf(text, 24, "%d:%d", info->platform, info->device);
}

static void print_table(const struct clrnn_device_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct clrnn_device_info *info = &list->info[i];
        char spec[24], memory[32];

        spec_text(info, spec);
        if (info->device < 0 && info->type != CLRNN_DEVICE_REF) {
            printf("%-5s %s: %s\n", spec, info->platform_name, info->trouble ? info->trouble : "no devices");
            continue;
        }
        printf("%-5s %s\n", spec, info->name);
        if (info->type == CLRNN_DEVICE_REF) {
            printf("      plain C in double precision, for checking; slow\n");
            continue;
        }
        printf("      %s, %s, driver %s, %s\n", type_word(info->type), info->platform_name, info->driver,
               info->opencl_c_version);
        printf("      %u compute units, %s memory, local memory %u kB%s\n", info->compute_units,
               cli_bytes((double)info->global_bytes, memory), (unsigned)(info->local_bytes / 1024),
               info->has_fp64 ? ", fp64" : "");
        if (info->trouble)
            printf("      BROKEN: %s\n", info->trouble);
    }
}

static json_t *device_json(const struct clrnn_device_info *info)
{
    char spec[24];

    spec_text(info, spec);
    return json_pack("{s:s, s:i, s:i, s:s, s:s?, s:s?, s:s?, s:s?, s:s?, s:s?, s:I, s:I, s:I, s:I, s:b, s:s?}",
                     "device", spec, "platform_number", info->platform, "device_number", info->device, "type",
                     type_word(info->type), "name", info->name, "vendor", info->vendor, "platform",
                     info->platform_name, "driver", info->driver, "opencl_c", info->opencl_c_version,
                     "extensions", info->extensions, "compute_units", (json_int_t)info->compute_units,
                     "global_bytes", (json_int_t)info->global_bytes, "max_alloc_bytes",
                     (json_int_t)info->max_alloc_bytes, "local_bytes", (json_int_t)info->local_bytes, "fp64",
                     (int)info->has_fp64, "trouble", info->trouble);
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_device_list *list)
{
    json_t *array = json_array();
    char *text = NULL;

    for (size_t i = 0; array && i < list->count; i++)
        if (json_array_append_new(array, device_json(&list->info[i]))) {
            json_decref(array);
            array = NULL;
        }
    if (array)
        text = json_dumps(array, JSON_INDENT(1));
    if (text)
        puts(text);
    else
        cli->log.fn(cli->log.user, CLRNN_LOG_ERROR, "out of memory while writing the list as JSON");
    free(text);
    json_decref(array);
    return text ? CLRNN_OK : CLRNN_ERR_MEMORY;
}

int cmd_devices(int argc, char **argv)
{
    const struct cli_spec spec = {
        .usage = "[--json]",
        .text = "Lists every OpenCL device under the number that clinfo gives it, platforms without devices and\n"
                "drivers that fail included, and at the end the reference device. `clinfo -d P:D` tells more of\n"
                "one. The number, or part of a name, is what --device takes.",
        .takes_json = true,
    };
    struct clrnn_device_list *list = NULL;
    struct cli cli;
    enum clrnn_status st;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    st = clrnn_device_list_create(&cli.log, &list);
    if (st == CLRNN_OK && cli.json)
        st = print_json(&cli, list);
    else if (st == CLRNN_OK)
        print_table(list);
    clrnn_device_list_destroy(&list);
    return cli_finish(&cli, st);
}
