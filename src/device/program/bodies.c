// SPDX-License-Identifier: MIT
// Moves the bodies of kernels into functions, which saves compile time on PoCL. PoCL generates the machine code of a
// kernel three times: once for the kernel itself, and twice inlined into functions that run a work-group. A function
// that the kernel calls is generated only once. Like src/device/list/chain_source.c, this code relies on the format of
// kernel files: a kernel's first line begins with "kernel void NAME(".
#include "device/program/bodies.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

static const char KERNEL[] = "kernel void ";

// Text that is written before the program's text. The function with a kernel's former body reads global ids and sizes
// from its parameter item_.
static const char BEFORE[] =
    "static __attribute__((always_inline)) size_t id_in_kernel(uint d) { return get_global_id(d); }\n"
    "static __attribute__((always_inline)) size_t size_in_kernel(uint d) { return get_global_size(d); }\n"
    "#define get_global_id(d) (item_[d])\n"
    "#define get_global_size(d) (item_[3 + (d)])\n";
static const char IDS[] = "{id_in_kernel(0), id_in_kernel(1), id_in_kernel(2), "
                          "size_in_kernel(0), size_in_kernel(1), size_in_kernel(2)}";

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

struct kernel {
    const char *name, *parameters; // parameters: the text after the opening parenthesis
    size_t name_length, length;
};

// Parses the kernel signature that starts at `line`. False: no kernel with a body starts there, or the syntax is not as
// expected.
static bool read_head(const char *line, struct kernel *k)
{
    const char *end;

    if (strncmp(line, KERNEL, strlen(KERNEL)) != 0)
        return false;
    k->name = line + strlen(KERNEL);
    for (k->name_length = 0; is_word(k->name[k->name_length]);)
        k->name_length++;
    if (!k->name_length || k->name[k->name_length] != '(')
        return false;
    k->parameters = k->name + k->name_length + 1;
    k->length = strcspn(k->parameters, "()#/[");
    end = k->parameters + k->length;
    return *end == ')' && end[1 + strspn(end + 1, " \n")] == '{';
}

static void write_in_line(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        putc(text[i] == '\n' ? ' ' : text[i], out);
}

// Writes the names of the kernel's parameters as arguments of a call. A parameter's name is its last word.
static void write_arguments(FILE *out, const struct kernel *k)
{
    const char *at = k->parameters, *last = k->parameters + k->length;

    while (at < last) {
        const char *end = memchr(at, ',', (size_t)(last - at)), *first;

        end = end ? end : last;
        at = end + 1;
        while (end > k->parameters && !is_word(end[-1]))
            end--;
        for (first = end; first > k->parameters && is_word(first[-1]);)
            first--;
        fprintf(out, ", %.*s", (int)(end - first), first);
    }
}

// Writes a kernel that only calls the function NAME_body, and then the head of that function. The kernel's original
// body follows in the text, and so becomes the body of NAME_body. Writes one line, so that line numbers do not change.
static void write_kernel(FILE *out, const struct kernel *k)
{
    const int n = (int)k->name_length;

    fprintf(out, "static __attribute__((noinline)) void %.*s_body(const size_t *item_, ", n, k->name);
    write_in_line(out, k->parameters, k->length);
    fprintf(out, "); kernel void %.*s(", n, k->name);
    write_in_line(out, k->parameters, k->length);
    fprintf(out, ") { const size_t item_[6] = %s; %.*s_body(item_", IDS, n, k->name);
    write_arguments(out, k);
    fprintf(out, "); } static __attribute__((noinline)) void %.*s_body(const size_t *item_, ", n, k->name);
}

char *clrnn_source_bodies(const char *text)
{
    size_t size;
    char *all = NULL;
    FILE *out = clrnn_text_open(&all, &size);
    struct kernel k;

    if (!out)
        return NULL;
    fputs(BEFORE, out);
    while (*text) {
        const char *next = text + strcspn(text, "\n") + (strchr(text, '\n') != NULL);

        if (read_head(text, &k)) {
            write_kernel(out, &k);
            text = k.parameters;
        }
        fprintf(out, "%.*s", (int)(next - text), text);
        text = next;
    }
    clrnn_text_close(out, &all);
    return all;
}
