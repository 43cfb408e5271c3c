// SPDX-License-Identifier: MIT
// Writes the source of a chain's program: kernels become functions of one program, each with its own defines.
//
// A chain can have several kernels of one file cl/<stem>.cl, and of several files. The program contains a file's text
// once for each set of defines. Names that the text defines would clash with those of the other texts. So #defines
// before the text add a suffix to every name. #undefs after the text remove these #defines and the text's own macros. A
// kernel becomes a function that gets the work-item's ids as an argument; get_global_id becomes a macro that reads this
// argument. The format of kernel files makes this possible: definitions begin at the start of a line, kernels with
// "kernel void NAME(".
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "device/list/chain.h"
#include "device/program/sources.h"

static const char KERNEL[] = "kernel void ";

struct word {
    const char *at;
    size_t length;
};

static bool starts(const char *line, const char *with)
{
    return strncmp(line, with, strlen(with)) == 0;
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

// Returns the identifier that ends right before `end` and begins at `line` or later; length 0: there is none.
static struct word word_before(const char *line, const char *end)
{
    const char *first = end;

    while (first > line && is_word(first[-1]))
        first--;
    return (struct word){first, (size_t)(end - first)};
}

static struct word word_at(const char *first)
{
    size_t length = 0;

    while (is_word(first[length]))
        length++;
    return (struct word){first, length};
}

// Returns the name of the function, type or struct that a line defines at file scope; length 0: there is none.
static struct word defined_name(const char *line, size_t length)
{
    const char *end = line + length, *at = line;

    if (!isalpha((unsigned char)*line) && *line != '}')
        return (struct word){line, 0};
    if (*line == '}' || starts(line, "typedef "))
        return length && end[-1] == ';' ? word_before(line, end - 1) : (struct word){line, 0};
    if (starts(line, "struct ") && memchr(line, '{', length))
        return word_at(line + strlen("struct "));
    while ((at = memchr(at, '(', (size_t)(end - at))) != NULL) {
        const struct word name = word_before(line, at);
        int depth = 0;

        if (name.length != strlen("__attribute__") || memcmp(name.at, "__attribute__", name.length) != 0)
            return name;
        do
            depth += *at == '(' ? 1 : *at == ')' ? -1 : 0;
        while (++at < end && depth > 0);
    }
    return (struct word){line, 0};
}

// Returns the name of the macro that a line defines with #define; length 0: there is none.
static struct word defined_macro(const char *line, size_t length)
{
    static const char define[] = "#define ";

    return length > strlen(define) && starts(line, define) ? word_at(line + strlen(define)) : (struct word){line, 0};
}

// Whether a file is a header that does not depend on a kernel's defines. The names of such a header are neither renamed
// nor undefined, so its include guard lets the program contain the header only once.
static bool is_common(const char *name)
{
    static const char *const header[] = {"Random123/", "common.h\"",   "gemm_args.h\"",
                                         "move.h\"",   "rnn_args.h\"", "slots.h\""};

    for (size_t i = 0; i < ARRAY_SIZE(header); i++)
        if (starts(name, header[i]))
            return true;
    return false;
}

enum pass { RENAME, TEXT, FORGET };

// Goes once over the text of a kernel file, whose includes are expanded. RENAME: writes #defines that rename the names
// which the text defines. TEXT: writes the text itself, with kernels made functions. FORGET: writes the #undefs of
// these names and of the text's macros. `piece` is the number that renamed names get as a suffix.
static void write_pass(FILE *out, const char *text, size_t piece, enum pass pass)
{
    bool common = false;

    for (const char *line = text, *next; *line; line = next) {
        const size_t length = strcspn(line, "\n");
        const char *file = starts(line, "#line ") ? memchr(line, '"', length) : NULL;
        const struct word name = defined_name(line, length), macro = defined_macro(line, length);

        next = line + length + (line[length] == '\n');
        if (file)
            common = is_common(file + 1);
        if (pass == TEXT && starts(line, KERNEL) && name.length)
            fprintf(out, "static __attribute__((noinline)) void %.*s(const uint *item_, %.*s\n", (int)name.length,
                    name.at, (int)(line + length - name.at - name.length - 1), name.at + name.length + 1);
        else if (pass == TEXT)
            fprintf(out, "%.*s\n", (int)length, line);
        else if (!common && name.length && pass == RENAME)
            fprintf(out, "#define %.*s %.*s_%zu\n", (int)name.length, name.at, (int)name.length, name.at, piece);
        else if (!common && name.length)
            fprintf(out, "#undef %.*s\n", (int)name.length, name.at);
        else if (!common && macro.length && pass == FORGET)
            fprintf(out, "#undef %.*s\n", (int)macro.length, macro.at);
    }
}

// Writes defines ("WIDTH=16 LANES=1") as #define lines (`begin` true) or as #undef lines (false).
static void write_defines(FILE *out, const char *defines, bool begin)
{
    while (*defines) {
        const size_t length = strcspn(defines, " "), name = strcspn(defines, "=");

        if (begin)
            fprintf(out, "#define %.*s %.*s\n", (int)name, defines, (int)(length - name - 1), defines + name + 1);
        else
            fprintf(out, "#undef %.*s\n", (int)name, defines);
        defines += length + (defines[length] == ' ');
    }
}

// Returns the index of the first function with the same stem and defines as function `at`. The program contains the
// text of their kernel file (cl/<stem>.cl) once for all of them, and the names in that text get this index as a suffix.
static size_t piece_of(const struct clrnn_chain_function *function, size_t at)
{
    size_t first = 0;

    while (strcmp(function[first].stem, function[at].stem) != 0 ||
           strcmp(function[first].defines, function[at].defines) != 0)
        first++;
    return first;
}

static enum clrnn_status write_piece(FILE *out, const struct clrnn_device *d, const struct clrnn_chain_function *f,
                                     size_t piece)
{
    char *text;

    TRY(clrnn_source_flatten(d->log, d->kernel_dir, f->stem, &text));
    write_defines(out, f->defines, true);
    write_pass(out, text, piece, RENAME);
    write_pass(out, text, piece, TEXT);
    write_pass(out, text, piece, FORGET);
    write_defines(out, f->defines, false);
    free(text);
    return CLRNN_OK;
}

static void write_call(FILE *out, const struct clrnn_chain_function *function, size_t at)
{
    static const char *const word[] = {
        [CLRNN_ARG_BUFFER] = "BUFFER", [CLRNN_ARG_UINT] = "UINT",   [CLRNN_ARG_INT] = "INT",
        [CLRNN_ARG_REAL] = "REAL",     [CLRNN_ARG_LOCAL] = "LOCAL",
    };
    const struct clrnn_chain_function *f = &function[at];

    fprintf(out, "case %zu: %s_%zu(item", at, f->name, piece_of(function, at));
    for (size_t i = 0; i < f->arg_count; i++)
        if (f->args[i].kind == CLRNN_ARG_STRUCT)
            fprintf(out, ", ARG_STRUCT(%zu, %s)", i, f->args[i].type);
        else
            fprintf(out, ", ARG_%s(%zu)", word[f->args[i].kind], i);
    fputs("); break; \\\n", out);
}

enum clrnn_status clrnn_chain_source(const struct clrnn_device *device, const struct clrnn_chain_function *function,
                                     size_t count, uint32_t slots, char **source)
{
    size_t size;
    char *rest = NULL;
    enum clrnn_status st = CLRNN_OK;
    FILE *out = clrnn_text_open(source, &size);

    if (!out)
        return clrnn_error_memory(device->log, 1 << 16, "a chain");
    fputs("#define get_global_id(d) ((size_t)item_[d])\n#define get_global_size(d) ((size_t)item_[3 + (d)])\n", out);
    for (size_t i = 0; i < count && st == CLRNN_OK; i++)
        if (piece_of(function, i) == i)
            st = write_piece(out, device, &function[i], i);
    if (st == CLRNN_OK)
        st = clrnn_source_flatten(device->log, device->kernel_dir, "chain", &rest);
    fputs("#undef get_global_id\n#undef get_global_size\n#define CHAIN_SLOTS global uint *b0", out);
    for (uint32_t i = 1; i < slots; i++)
        fprintf(out, ", global uint *b%u", (unsigned)i);
    fputs("\n#define CHAIN_BASES b0", out);
    for (uint32_t i = 1; i < slots; i++)
        fprintf(out, ", b%u", (unsigned)i);
    fputs("\n#define CHAIN_CALLS \\\n", out);
    for (size_t i = 0; i < count; i++)
        write_call(out, function, i);
    fprintf(out, "\n%s", rest ? rest : "");
    free(rest);
    if (!clrnn_text_close(out, source) && st == CLRNN_OK)
        st = clrnn_error_memory(device->log, size, "a chain");
    if (st != CLRNN_OK) {
        free(*source);
        *source = NULL;
    }
    return st;
}
