// SPDX-License-Identifier: MIT
// clrnn devices: lists the OpenCL devices, and tests whether each computes right.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/log.h"
#include "base/text.h"
#include "tools/compare.h"
#include "tools/interrupt.h"

// OpenCL extensions that clRNN uses or might use, with a description for users.
static const struct {
    const char *name, *word;
} extensions[] = {
    {"cl_khr_fp64", "fp64"},
    {"cl_khr_fp16", "fp16"},
    {"cl_khr_subgroups", "subgroups"},
    {"cl_intel_subgroups", "subgroups (Intel)"},
    {"cl_khr_command_buffer", "command buffers"},
    {"cl_khr_il_program", "SPIR-V"},
    {"cl_khr_integer_dot_product", "integer dot product"},
    {"cl_khr_pci_bus_info", "PCI address"},
    {"cl_nv_device_attribute_query", "NVIDIA attributes"},
    {"cl_amd_device_attribute_query", "AMD attributes"},
    {"cl_khr_device_uuid", "UUID"},
};

static const char *type_word(enum clrnn_device_type type)
{
    static const char *const words[] = {"CPU", "GPU", "accelerator", "reference"};

    return words[type];
}

static bool has_extension(const struct clrnn_device_info *info, const char *name)
{
    const size_t length = strlen(name);

    for (const char *at = info->extensions; at && (at = strstr(at, name)); at += length)
        if ((at == info->extensions || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}

static bool is_ref(const struct clrnn_device_info *info)
{
    return info->type == CLRNN_DEVICE_REF;
}

// ---------------------------------------------------------------- output as text

static void print_extensions(const struct clrnn_device_info *info)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
        if (has_extension(info, extensions[i].name))
            printf("%s%s", count++ ? ", " : "      with ", extensions[i].word);
    if (count)
        printf("\n");
}

static uint32_t count_cases(const struct clrnn_selftest_result *r)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < r->op_count; i++)
        count += r->op[i].cases;
    return count;
}

static void print_ops(const struct clrnn_selftest_result *r, bool all)
{
    for (uint32_t i = 0; i < r->op_count; i++) {
        const struct clrnn_selftest_op *op = &r->op[i];

        if (!op->cases || (!all && !op->wrong))
            continue;
        printf("        %-14s %3u cases, largest error %.1e, %5.1f%% of what rounding explains%s\n", op->op, op->cases,
               op->error, 100 * op->share, op->wrong ? ": WRONG" : "");
        if (op->wrong)
            printf("            %s\n", cli_shown(op->fault));
    }
}

static void print_test(const struct clrnn_device_test *test, bool verbose)
{
    const struct clrnn_selftest_result *r = &test->result;
    const struct clrnn_selftest_op *worst = &r->op[0];

    for (uint32_t i = 1; i < r->op_count; i++)
        if (r->op[i].share > worst->share)
            worst = &r->op[i];
    switch (test->verdict) {
    case CLRNN_VERDICT_NONE:
        return;
    case CLRNN_VERDICT_OK:
        printf("      self-test ok: %u cases in %.1f s, largest error %.1e in %s, %.0f%% of what rounding "
               "explains%s\n",
               count_cases(r), r->seconds, worst->error, worst->op, 100 * worst->share,
               r->shortened ? "; only the smaller sizes, to end in time" : "");
        break;
    case CLRNN_VERDICT_WRONG:
        printf("      self-test WRONG: do not trust what this device computes\n");
        break;
    case CLRNN_VERDICT_BROKEN:
        printf("      self-test BROKEN: %s\n", cli_shown(test->reason));
        break;
    }
    print_ops(r, verbose);
}

// The device that is used without --device, and why.
struct standard {
    size_t row;
    char why[160];
};

static void print_device(const struct clrnn_device_list *list, size_t i, const struct clrnn_device_test *test,
                         const struct standard *standard, bool verbose)
{
    const struct clrnn_device_info *info = &list->info[i];
    const double step_ms = clrnn_device_step_ms(info);
    char spec[24], memory[32], other[24];

    clrnn_device_spec(info, spec);
    if (info->device < 0 && !is_ref(info)) {
        printf("%-5s %s: %s\n", spec, cli_shown(info->platform_name),
               cli_shown(info->trouble ? info->trouble : "no devices"));
        return;
    }
    printf("%-5s %s\n", spec, cli_shown(info->name));
    if (is_ref(info)) {
        printf("      plain C in double precision, for checking; slow\n");
        return;
    }
    printf("      %s, %s, driver %s, %s\n", type_word(info->type), cli_shown(info->platform_name),
           cli_shown(info->driver), cli_shown(info->opencl_c_version));
    printf("      %u compute units, %s memory, local memory %u kB\n", info->compute_units,
           cli_bytes((double)info->global_bytes, memory), (unsigned)(info->local_bytes / 1024));
    print_extensions(info);
    if (info->same_as >= 0)
        printf("      the same hardware as %s\n", clrnn_device_spec(&list->info[info->same_as], other));
    if (info->trouble)
        printf("      BROKEN: %s\n", cli_shown(info->trouble));
    if (i == standard->row)
        printf("      the default: %s\n", standard->why);
    if (!isnan(step_ms))
        printf("      a training step (" CLRNN_STEP_MODEL ") takes %.3g ms\n", step_ms);
    if (clrnn_device_is_tuned(info))
        printf("      tuned by `clrnn tune`\n");
    print_test(test, verbose);
}

// ---------------------------------------------------------------- output as JSON

static json_t *features_json(const struct clrnn_device_info *info)
{
    json_t *words = json_array();

    for (size_t i = 0; i < ARRAY_SIZE(extensions); i++)
        if (has_extension(info, extensions[i].name))
            cli_json_append(&words, json_string(extensions[i].name));
    return words;
}

static json_t *device_json(const struct clrnn_device_list *list, size_t i, const struct clrnn_device_test *test,
                           const struct standard *standard)
{
    const struct clrnn_device_info *info = &list->info[i];
    const struct clrnn_device_info *same = info->same_as < 0 ? NULL : &list->info[info->same_as];
    char spec[24], other[24];

    return json_pack(
        "{s:s, s:s, s:b, s:o, s:i, s:i, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:b, "
        "s:b, s:o, s:o, s:s?, s:s?, s:o, s:o}",
        "version", clrnn_version(), "device", clrnn_device_spec(info, spec), "default", (int)(i == standard->row),
        "default_why", clrnn_json_text(i == standard->row ? standard->why : NULL), "platform_number", info->platform,
        "device_number", info->device, "type", type_word(info->type), "name", clrnn_json_text(info->name), "vendor",
        clrnn_json_text(info->vendor), "platform", clrnn_json_text(info->platform_name), "driver",
        clrnn_json_text(info->driver), "opencl", clrnn_json_text(info->version), "opencl_c",
        clrnn_json_text(info->opencl_c_version), "extensions", clrnn_json_text(info->extensions), "features",
        features_json(info), "compute_units", (json_int_t)info->compute_units, "global_bytes",
        (json_int_t)info->global_bytes, "max_alloc_bytes", (json_int_t)info->max_alloc_bytes, "local_bytes",
        (json_int_t)info->local_bytes, "fp64", (int)info->has_fp64, "tuned", (int)clrnn_device_is_tuned(info),
        "step_ms", cli_json_number(clrnn_device_step_ms(info)), "trouble", clrnn_json_text(info->trouble), "same_as",
        same ? clrnn_device_spec(same, other) : NULL, "verdict", clrnn_verdict_word(test->verdict), "reason",
        clrnn_json_text(test->reason[0] ? test->reason : NULL), "self_test",
        test->verdict == CLRNN_VERDICT_NONE ? json_null() : compare_selftest_json(&test->result));
}

static enum clrnn_status print_json(const struct cli *cli, const struct clrnn_device_list *list,
                                    const struct clrnn_device_test *tests, size_t only, const struct standard *standard)
{
    json_t *array = json_array();

    for (size_t i = 0; i < list->count; i++)
        if (only == list->count || only == i)
            cli_json_append(&array, device_json(list, i, &tests[i], standard));
    return cli_print_json(cli, array);
}

// ---------------------------------------------------------------- the command

static void show_progress(void *user, const struct clrnn_device_info *info)
{
    const struct cli *cli = user;
    char spec[24], line[512];

    if (cli->log.level < CLRNN_LOG_INFO)
        return;
    snprintf(line, sizeof(line), "testing %s %s (%s)", clrnn_device_spec(info, spec), info->name, info->platform_name);
    clrnn_log(&cli->log, CLRNN_LOG_INFO, "%s", line);
}

static enum clrnn_status show(const struct cli *cli, const struct clrnn_device_list *list,
                              const struct clrnn_device_test *tests, size_t only)
{
    enum clrnn_status st = CLRNN_OK;
    struct standard standard;

    standard.row = clrnn_device_list_default(list, standard.why);
    if (cli->json)
        st = print_json(cli, list, tests, only, &standard);
    for (size_t i = 0; st == CLRNN_OK && cli->text && i < list->count; i++)
        if (only == list->count || only == i)
            print_device(list, i, &tests[i], &standard, cli->verbose);
    for (size_t i = 0; st == CLRNN_OK && i < list->count; i++)
        if (tests[i].verdict == CLRNN_VERDICT_WRONG || tests[i].verdict == CLRNN_VERDICT_BROKEN)
            st = CLRNN_FAILED;
    return st;
}

static void print_warning(void *user, enum clrnn_log_level level, const char *line)
{
    const struct cli *cli = user;

    (void)level;
    cli->log.fn(cli->log.user, CLRNN_LOG_WARNING, line);
}

// Warns if ref is the only usable device. The command still succeeds.
static void warn_without_device(struct cli *cli, const struct clrnn_device_list *list)
{
    const struct clrnn_log log = {.fn = print_warning, .user = cli, .level = CLRNN_LOG_ERROR};

    clrnn_device_list_check(&log, list);
}

int cmd_devices(int argc, char **argv)
{
    struct clrnn_devices_params params = {0};
    const struct cli_option options[] = {
        {"no-test", CLI_FLAG, NULL, "only list them", &params.no_test},
        {"timeout", CLI_REAL, "SECONDS", "give a device up after so long without a sign of life (120)",
         &params.timeout_s},
    };
    const struct cli_spec spec = {
        .usage = "[--device SPEC] [--no-test] [--json]",
        .text = "Lists every OpenCL device under the number that clinfo gives it, platforms without devices,\n"
                "drivers that fail or do not load (with the reason), and at the end the reference device. The\n"
                "number, or part of a name, is what --device takes; `clinfo -d P:D` tells more of one.\n"
                "\n"
                "Each device runs a self-test in a process of its own, so that one that crashes or hangs is a row:\n"
                "every kernel at small and awkward sizes against the reference in double precision. --verbose\n"
                "shows each op. Exit status 1 where a device computes wrong or fails its test.",
        .takes_json = true,
        .without_config = true,
        .option_count = ARRAY_SIZE(options),
        .option = options,
        .examples = "  clrnn devices\n"
                    "  clrnn devices --device 0:0 --verbose\n"
                    "  clrnn devices --no-test --json\n",
    };
    struct clrnn_device_list *list = NULL;
    struct clrnn_device_test *tests = NULL;
    struct cli cli;
    enum clrnn_status st;
    size_t only;
    int status;

    if (!cli_parse(&cli, &spec, argc, argv, &status))
        return status;
    params.select = cli.device;
    params.stop = interrupt_flag();
    params.progress = show_progress;
    params.progress_user = &cli;
    st = clrnn_devices_test(&cli.log, &params, &list, &tests, &only);
    if (st == CLRNN_OK)
        st = show(&cli, list, tests, only);
    if (list)
        warn_without_device(&cli, list);
    free(tests);
    clrnn_device_list_destroy(&list);
    return cli_finish(&cli, st);
}
