// SPDX-License-Identifier: MIT
// Checks the environment variables CLRNN_..., so that no invalid value is silently ignored.
#include "base/environment.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/array.h"

const char *clrnn_environment(const char *name)
{
    const char *value = getenv(name);

    return value && *value ? value : NULL;
}

// ---------------------------------------------------------------- checks of a variable's value

static bool is_whole(const char *text)
{
    errno = 0;
    strtoull(text, NULL, 10);
    return !text[strspn(text, "0123456789")] && !errno;
}

static bool is_number_or_never(const char *text)
{
    return is_whole(text) || !strcmp(text, "never");
}

static bool is_gemm(const char *text)
{
    return !strcmp(text, "auto") || !strcmp(text, "own") || !strcmp(text, "clblast");
}

static bool is_form(const char *text)
{
    return !strcmp(text, "cpu") || !strcmp(text, "gpu");
}

static bool is_switch(const char *text)
{
    return !strcmp(text, "0") || !strcmp(text, "1");
}

static bool is_folder(const char *text)
{
    struct stat st;

    return stat(text, &st) == 0 && S_ISDIR(st.st_mode);
}

// Whether the text has the form "0:0=FOLDER,1:0=FOLDER".
static bool is_folders(const char *text)
{
    while (*text) {
        int platform, device, used = 0;

        if (sscanf(text, "%4d:%4d=%n", &platform, &device, &used) != 2 || !used || !text[used])
            return false;
        text += used + (int)strcspn(text + used, ",");
        text += *text == ',' && text[1];
    }
    return true;
}

// Whether the text has the form "variant=steps,group=128". For a name in `number`, the value is a whole number.
// For the names `variant` and `weights`, the value is a word of the table with that name.
static bool is_choices(const char *text)
{
    static const char *const number[] = {"group", "lanes", "items", "rows"};
    static const char *const variant[] = {"steps", "sequence", "shared", "group"};
    static const char *const weights[] = {"registers", "memory"};

    while (*text) {
        char name[16], word[16];
        int used = 0;
        bool known = false;

        if (sscanf(text, "%15[a-z]=%15[a-z0-9]%n", name, word, &used) != 2 || !used)
            return false;
        for (size_t i = 0; i < ARRAY_SIZE(number); i++)
            known |= !strcmp(name, number[i]) && is_whole(word);
        for (size_t i = 0; i < ARRAY_SIZE(variant); i++)
            known |= !strcmp(name, "variant") && !strcmp(word, variant[i]);
        for (size_t i = 0; i < ARRAY_SIZE(weights); i++)
            known |= !strcmp(name, "weights") && !strcmp(word, weights[i]);
        text += used;
        if (!known || (*text && (*text++ != ',' || !*text)))
            return false;
    }
    return true;
}

enum clrnn_status clrnn_environment_check(const struct clrnn_log *log)
{
    static const struct {
        const char *name;
        bool (*fits)(const char *text);
        const char *expected;
    } variable[] = {
        {"CLRNN_GEMM", is_gemm, "auto, own or clblast"},
        {"CLRNN_BUILDERS", is_whole, "a number of processes, 0 for none"},
        {"CLRNN_CACHE_BYTES", is_whole, "a whole number of bytes, as 268435456"},
        {"CLRNN_BUCKET_BYTES", is_whole, "a whole number of bytes, as 1048576"},
        {"CLRNN_RESIDENT_BYTES", is_whole, "a whole number of bytes, as 268435456"},
        {"CLRNN_KERNEL_DIR", is_folder, "a folder that is there"},
        {"CLRNN_CHAIN_AFTER", is_number_or_never, "a number of runs, or never"},
        {"CLRNN_CHOICES", is_choices,
         "variant=steps, sequence, shared or group, weights=registers or memory, and group, lanes, items, rows "
         "with a number, with commas between, as in variant=steps,group=128"},
        {"CLRNN_KERNEL_FORM", is_form, "cpu or gpu"},
        {"CLRNN_TEST_KERNEL_DIRS", is_folders, "devices and folders, as in 0:0=FOLDER,1:0=FOLDER"},
        {"CLRNN_TEST_SCRATCH", is_switch, "0 or 1"},
        {"CLRNN_TEST_SMALL", is_switch, "0 or 1"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(variable); i++) {
        const char *value = clrnn_environment(variable[i].name);

        if (value && !variable[i].fits(value))
            return clrnn_error(log, CLRNN_ERR_ARG, "the environment variable %s is \"%s\", expected %s",
                               variable[i].name, value, variable[i].expected);
    }
    return CLRNN_OK;
}

uint64_t clrnn_environment_bytes(const char *name, uint64_t standard)
{
    const char *value = clrnn_environment(name);

    return value && is_whole(value) ? strtoull(value, NULL, 10) : standard;
}
