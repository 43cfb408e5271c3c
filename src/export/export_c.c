// SPDX-License-Identifier: MIT
// clrnn_model_export_c: writes a model as C source into a folder.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/random.h"
#include "base/words.h"
#include "export/c_files.h"

enum { TEST_STEPS = 16, FILES = 4 };

static const char *const suffixes[FILES] = {".c", ".h", "_main.c", "_test.h"};

// ---------------------------------------------------------------- names

static enum clrnn_status take_name(const struct clrnn_log *log, const char *name, struct clrnn_c_text *text)
{
    static const char *const keywords[] = {
        "alignas",  "alignof", "and",      "asm",       "auto",     "bool",     "break",     "case",     "catch",
        "char",     "class",   "concept",  "const",     "continue", "default",  "delete",    "do",       "double",
        "else",     "enum",    "explicit", "export",    "extern",   "false",    "float",     "for",      "friend",
        "goto",     "if",      "inline",   "int",       "long",     "mutable",  "namespace", "new",      "not",
        "operator", "or",      "private",  "protected", "public",   "register", "requires",  "restrict", "return",
        "short",    "signed",  "sizeof",   "static",    "struct",   "switch",   "template",  "this",     "throw",
        "true",     "try",     "typedef",  "typename",  "union",    "unsigned", "using",     "virtual",  "void",
        "volatile", "while",   "xor",
    };
    bool good = isalpha((unsigned char)name[0]) && strlen(name) < sizeof(text->name);

    for (const char *c = name; *c; c++)
        good &= (*c & 0x80) == 0 && (isalnum((unsigned char)*c) || *c == '_');
    for (size_t i = 0; i < ARRAY_SIZE(keywords); i++)
        good &= strcmp(name, keywords[i]) != 0;
    if (!good)
        return clrnn_error(log, CLRNN_ERR_ARG,
                           "the name \"%s\" cannot begin the names of C functions: expected a letter and up to %zu "
                           "letters, digits and underscores, and no keyword",
                           name, sizeof(text->name) - 2);
    for (size_t i = 0; i <= strlen(name); i++) {
        text->name[i] = name[i];
        text->upper[i] = (char)toupper((unsigned char)name[i]);
    }
    return CLRNN_OK;
}

// Returns CLRNN_ERR_ARG if the file exists and was not written by an export.
static enum clrnn_status check_ours(const struct clrnn_log *log, const char *path)
{
    char line[sizeof(CLRNN_C_MARK)] = "";
    FILE *file = fopen(path, "rb");
    size_t got;

    if (!file && errno == ENOMEM)
        return clrnn_error_memory(log, 0, path);
    if (!file)
        return CLRNN_OK; // the file is missing, or clrnn_out_open will report what is wrong
    got = fread(line, 1, sizeof(line) - 1, file);
    fclose(file);
    if (got == sizeof(line) - 1 && !strcmp(line, CLRNN_C_MARK))
        return CLRNN_OK;
    return clrnn_error(log, CLRNN_ERR_ARG,
                       "%s: was not written by clrnn export: it is not replaced; name another folder", path);
}

// ---------------------------------------------------------------- test vector

static void draw_vector(const struct clrnn_c_code *code, const double *affine, struct clrnn_c_vector *v)
{
    const struct clrnn_model *m = code->program.model;
    const struct clrnn_random r = {.seed = 1, .stream = RANDOM_INIT, .a = UINT32_MAX};
    const size_t C = m->shape.features;

    for (size_t t = 0; m->shape.tokens && t < v->T; t++)
        v->tokens[t] = (int32_t)(clrnn_random_u32(&r, t) % m->config->layer[0].num_embeddings);
    for (size_t i = 0; !m->shape.tokens && i < v->T * C; i++) {
        const double z = (double)clrnn_random_normal_portable(&r, i);

        v->x[i] = (double)(float)(affine ? affine[i % C] + z / affine[C + i % C] : z);
    }
}

static enum clrnn_status predict_vector(struct clrnn_model *m, struct clrnn_c_vector *v)
{
    const size_t count = v->T * (size_t)MAX2(m->shape.features, 1u);
    float *x = calloc(count, sizeof(*x)), *out = calloc(v->out_count, sizeof(*out));
    const struct clrnn_batch batch = {
        .N = 1, .T = v->T, .x = m->shape.tokens ? NULL : x, .tokens = m->shape.tokens ? v->tokens : NULL};
    enum clrnn_status st = x && out ? CLRNN_OK : clrnn_error_memory(m->log, count * sizeof(*x), "a test vector");

    for (size_t i = 0; st == CLRNN_OK && !m->shape.tokens && i < count; i++)
        x[i] = (float)v->x[i];
    if (st == CLRNN_OK)
        st = clrnn_model_predict(m, &batch, out);
    for (size_t i = 0; st == CLRNN_OK && i < v->out_count; i++)
        v->out[i] = (double)out[i];
    free(x);
    free(out);
    return st;
}

static void vector_finish(struct clrnn_c_vector *v)
{
    free(v->x);
    free(v->tokens);
    free(v->out);
}

// Returns the number of steps of the test vector: few, but enough for every window.
static uint32_t test_steps(const struct clrnn_c_passes *passes)
{
    uint32_t T = passes->steps ? passes->steps : TEST_STEPS;

    for (size_t i = 1; i < passes->bases && T < UINT32_MAX / 4;)
        if (clrnn_c_base_steps(passes, i, T) > 0)
            i++;
        else
            T *= 2;
    return T;
}

static enum clrnn_status vector_init(const struct clrnn_c_code *code, struct clrnn_c_vector *v)
{
    struct clrnn_model *m = code->program.model;
    const struct clrnn_export_op *normalize = clrnn_c_normalize(&code->program);
    enum clrnn_status st = CLRNN_OK;
    double *affine = normalize ? clrnn_export_read_affine(m, normalize, &st) : NULL;

    *v = (struct clrnn_c_vector){.T = test_steps(&code->passes)};
    v->out_count = m->outputs * (size_t)clrnn_c_output_steps(code, v->T);
    v->x = calloc(v->T * (size_t)MAX2(m->shape.features, 1u), sizeof(*v->x));
    v->tokens = m->shape.tokens ? calloc(v->T, sizeof(*v->tokens)) : NULL;
    v->out = calloc(v->out_count, sizeof(*v->out));
    if (st == CLRNN_OK && (!v->x || !v->out || (m->shape.tokens && !v->tokens)))
        st = clrnn_error_memory(m->log, v->out_count * sizeof(*v->out), "a test vector");
    if (st == CLRNN_OK) {
        draw_vector(code, affine, v);
        st = predict_vector(m, v);
    }
    free(affine);
    return st;
}

// ---------------------------------------------------------------- files

static enum clrnn_status write_file(struct clrnn_c_code *code, const struct clrnn_c_vector *vector, size_t which)
{
    switch (which) {
    case 0:
        TRY(clrnn_c_put_source(code));
        break;
    case 1:
        clrnn_c_put_header(code);
        break;
    case 2:
        clrnn_c_put_main(code);
        break;
    default:
        clrnn_c_put_vector(code, vector);
        break;
    }
    return code->text.failed ? clrnn_error_memory(code->program.model->log, 0, "C source") : CLRNN_OK;
}

// Writes all files under temporary names, and renames them only when all are complete.
static enum clrnn_status write_files(struct clrnn_c_code *code, const struct clrnn_c_vector *vector, const char *folder)
{
    const struct clrnn_log *log = code->program.model->log;
    const size_t constants = code->text.constant_bytes;
    struct clrnn_out *out[FILES] = {NULL};
    enum clrnn_status st = clrnn_make_folder(log, folder);

    for (size_t i = 0; i < FILES && st == CLRNN_OK; i++) {
        char *path = clrnn_format("%s/%s%s", folder, code->text.name, suffixes[i]);

        st = path ? check_ours(log, path) : clrnn_error_memory(log, strlen(folder), "a path");
        if (st == CLRNN_OK)
            st = clrnn_out_open(log, path, &out[i]);
        free(path);
    }
    for (size_t i = 0; i < FILES && st == CLRNN_OK; i++) {
        code->text.out = out[i];
        // write_file adds to constant_bytes, but the header must report the number from the dry run
        code->text.constant_bytes = constants;
        st = write_file(code, vector, i);
        if (st == CLRNN_OK)
            st = clrnn_out_flush(out[i]);
    }
    for (size_t i = 0; i < FILES; i++)
        if (st == CLRNN_OK)
            st = clrnn_out_commit(&out[i]);
        else
            clrnn_out_abort(&out[i]);
    return st;
}

// Generates constants, cells, state and functions once without output, to determine what the files need and whether the
// model can be exported.
static enum clrnn_status prepare(struct clrnn_c_code *code, struct clrnn_model *model)
{
    TRY(clrnn_export_program_init(&code->program, model));
    clrnn_c_order(&code->program);
    TRY(clrnn_c_divide(&code->program, &code->passes));
    TRY(clrnn_c_constants(code));
    clrnn_c_cells(code);
    clrnn_c_state(code);
    return clrnn_c_functions(code);
}

enum clrnn_status clrnn_model_export_c(struct clrnn_model *model, const char *folder, const char *name,
                                       enum clrnn_export_type type)
{
    CLRNN_C_LOCALE;
    NEED(NULL, model);
    NEED(model->log, folder);
    NEED(model->log, name);

    struct clrnn_c_code code = {.int8 = type == CLRNN_EXPORT_TYPE_INT8};
    struct clrnn_c_vector vector = {0};
    enum clrnn_status st = take_name(model->log, name, &code.text);

    if (st == CLRNN_OK)
        st = prepare(&code, model);
    if (st == CLRNN_OK)
        st = vector_init(&code, &vector);
    if (st == CLRNN_OK)
        st = write_files(&code, &vector, folder);
    vector_finish(&vector);
    clrnn_c_passes_finish(&code.passes);
    clrnn_export_program_finish(&code.program);
    return st;
}
