// SPDX-License-Identifier: MIT
// Writes NAME.h, NAME.c, NAME_main.c and NAME_test.h.
#include "export/c_files.h"

#include <ctype.h>
#include <string.h>

#include "base/array.h"
#include "export/facts.h"

// the longest sequence, in steps, of a model with buffers, unless the user defines NAME_MAX_T
enum { LONGEST = 4096 };

// Returns the size in bytes of the static arrays for sequences of at most T steps.
static size_t static_bytes(const struct clrnn_c_code *code, int64_t T)
{
    size_t bytes = 0;

    for (size_t i = 0; i < code->passes.buffers; i++) {
        const struct clrnn_c_buffer *b = &code->passes.buffer[i];

        bytes += (size_t)clrnn_c_base_steps(&code->passes, b->base, T) * b->width * sizeof(float);
    }
    return bytes;
}

// Writes the number of steps of a base (struct clrnn_c_base) as a C expression. `T` is the C expression for the number
// of input steps.
static void put_steps(struct clrnn_c_code *code, size_t base, const char *T)
{
    const struct clrnn_c_base *b = &code->passes.base[base];

    if (!base) {
        clrnn_c_put(&code->text, "%s", T);
        return;
    }
    clrnn_c_put(&code->text, "((");
    put_steps(code, b->parent, T);
    clrnn_c_put(&code->text, " %s %lld) / %u + 1)", b->more < 0 ? "-" : "+",
                (long long)(b->more < 0 ? -b->more : b->more), b->stride);
}

static void put_mark(struct clrnn_c_code *code)
{
    clrnn_c_put(&code->text, CLRNN_C_MARK " --to c (clRNN %s). */\n", clrnn_version());
}

// ---------------------------------------------------------------- header

static void put_summary(struct clrnn_c_code *code)
{
    struct clrnn_c_text *t = &code->text;
    const size_t multiply = code->int8 && (code->helpers & CLRNN_C_MULTIPLY) ? 2 * (size_t)code->widest : 0;
    const uint32_t longest = code->passes.steps ? code->passes.steps : LONGEST;
    const size_t stack = code->state_bytes + code->pass_bytes + code->cell_bytes + multiply;

    clrnn_c_put(t, "/*\n * Weights: %s.\n * Flash: %zu bytes of constants, and a few kB of code.\n",
                code->int8 ? "int8 with a scale for each row; activations are float" : "float",
                code->text.constant_bytes);
    if (code->passes.buffers)
        clrnn_c_put(t,
                    " * RAM: %zu bytes for sequences of %u steps, static (so @_predict is not reentrant),\n"
                    " * and %zu bytes of arrays on the stack.%s\n",
                    static_bytes(code, longest), longest, stack,
                    code->passes.steps ? "" : " Set `_MAX_T to the longest sequence you have.");
    else
        clrnn_c_put(t, " * RAM: %zu bytes of arrays on the stack, of which %zu are the state; nothing static.\n", stack,
                    code->state_bytes);
    clrnn_c_put(t, " * Input and output belong to the caller. C99, no libraries but math.h; compile with -O3.\n */\n");
}

// Writes names as the initialiser of an array of strings. Characters other than letters, digits and some punctuation
// become octal escapes.
static void put_names(struct clrnn_c_text *t, const struct clrnn_texts *texts)
{
    clrnn_c_put(t, "{");
    for (size_t i = 0; i < texts->count; i++) {
        clrnn_c_put(t, i ? ", \"" : "\"");
        for (const char *c = texts->text[i]; *c; c++)
            clrnn_c_put(
                t, ((*c & 0x80) == 0 && isalnum((unsigned char)*c)) || strchr(" _-.,:;()[]+/%", *c) ? "%c" : "\\%03o",
                (unsigned char)*c);
        clrnn_c_put(t, "\"");
    }
    clrnn_c_put(t, "}");
}

static void put_numbers(struct clrnn_c_text *t, const double *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        clrnn_c_put(t, i ? ", " : "{");
        clrnn_c_float(t, (float)numbers[i]);
    }
    clrnn_c_put(t, "}");
}

static void put_facts(struct clrnn_c_code *code)
{
    struct clrnn_export_fact fact[CLRNN_EXPORT_FACTS];
    const size_t count = clrnn_export_facts(code->program.model, fact);
    struct clrnn_c_text *t = &code->text;

    for (size_t i = 0; i < count; i++) {
        clrnn_c_put(t, "#define `_%s ", fact[i].macro);
        if (fact[i].text)
            clrnn_c_put(t, "\"%s\"", fact[i].text);
        else if (fact[i].names)
            put_names(t, fact[i].names);
        else if (fact[i].numbers)
            put_numbers(t, fact[i].numbers, fact[i].count);
        else
            clrnn_c_put(t, "%u", fact[i].whole);
        clrnn_c_put(t, "\n");
    }
}

static void put_sizes(struct clrnn_c_code *code)
{
    const struct clrnn_model *m = code->program.model;
    struct clrnn_c_text *t = &code->text;

    if (m->shape.tokens)
        clrnn_c_put(t, "#define `_TOKENS %u /* they count from 0 */\n#define `_FEATURES 1 /* tokens of a step */\n",
                    m->config->layer[0].num_embeddings);
    else
        clrnn_c_put(t, "#define `_FEATURES %u /* of a step */\n", m->shape.features);
    clrnn_c_put(t, "#define `_OUTPUTS %u\n#define `_PER_STEP %d /* 1: outputs for every step, 0: for the sequence */\n",
                m->outputs, m->per_step);
    if (m->per_step) {
        clrnn_c_put(t, "#define `_OUT_STEPS(T) ");
        put_steps(code, code->passes.place[code->program.output - 1].base, "(T)");
        clrnn_c_put(t, " /* of the output for T steps of the input */\n");
    }
    put_facts(code);
    clrnn_c_put(t, "#define `_CAUSAL %d /* 1: has @_step */\n", code->passes.causal);
    if (code->passes.steps)
        clrnn_c_put(t, "#define `_STEPS %u /* T, the number of steps of a sequence */\n", code->passes.steps);
    else if (code->passes.buffers)
        clrnn_c_put(t, "#ifndef `_MAX_T\n#define `_MAX_T %d\n#endif\n", LONGEST);
}

void clrnn_c_put_header(struct clrnn_c_code *code)
{
    const struct clrnn_model *m = code->program.model;
    struct clrnn_c_text *t = &code->text;

    put_mark(code);
    put_summary(code);
    clrnn_c_put(t, "#ifndef `_H\n#define `_H\n\n%s", m->shape.tokens ? "#include <stdint.h>\n\n" : "");
    put_sizes(code);
    clrnn_c_put(t, "\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
    clrnn_c_put(t,
                "/* x [T, %s]%s; out [%s%s]. Returns 0; -1 where T is %s, and out is then unchanged. */\n"
                "int @_predict(const %s *x, int T, float *out);\n",
                m->shape.tokens ? "1" : "`_FEATURES",
                clrnn_c_normalize(&code->program) ? ", not normalised: that is done inside" : "",
                m->per_step ? "`_OUT_STEPS(T), " : "", "`_OUTPUTS",
                code->passes.steps       ? "not `_STEPS"
                : code->passes.buffers   ? "too small or above `_MAX_T"
                : code->passes.bases > 1 ? "too small"
                                         : "below 1",
                clrnn_c_input_type(code));
    if (code->passes.causal) {
        clrnn_c_put(t, "\n/* What the model remembers between steps. */\n");
        clrnn_c_state(code);
        clrnn_c_put(t, "\n/* Before the first step of a sequence. */\nvoid @_reset(@_state *state);\n\n");
        clrnn_c_put(t,
                    "/* One step: x [%s]; out [`_OUTPUTS], %s. */\n"
                    "void @_step(@_state *state, const %s *x, float *out);\n",
                    m->shape.tokens ? "1" : "`_FEATURES",
                    m->per_step ? "of this step" : "of the sequence up to this step", clrnn_c_input_type(code));
    }
    clrnn_c_put(t, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
}

// ---------------------------------------------------------------- source

enum clrnn_status clrnn_c_put_source(struct clrnn_c_code *code)
{
    struct clrnn_c_text *t = &code->text;

    put_mark(code);
    clrnn_c_put(t, "#include \"@.h\"\n\n#include <math.h>\n#include <stddef.h>\n%s\n",
                code->int8 ? "#include <stdint.h>\n" : "");
    clrnn_c_put(t, "/* Loops over arrays are to be vectorised, also by -O2. */\n"
                   "#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__) && "
                   "!defined(__OPTIMIZE_SIZE__)\n#pragma GCC optimize(\"O3\")\n#endif\n\n");
    TRY(clrnn_c_constants(code)); // reads the weights a second time: the dry run read them without writing
    clrnn_c_put(t, "\n");
    clrnn_c_helpers(code);
    if (!code->passes.causal) {
        clrnn_c_state(code);
        clrnn_c_put(t, "\n");
    }
    for (size_t i = 0; i < code->passes.buffers; i++) {
        clrnn_c_put(t, "static float @_sequence%zu[(size_t)", i);
        put_steps(code, code->passes.buffer[i].base, code->passes.steps ? "`_STEPS" : "`_MAX_T");
        clrnn_c_put(t, " * %u];\n%s", code->passes.buffer[i].width, i + 1 == code->passes.buffers ? "\n" : "");
    }
    clrnn_c_cells(code);
    return clrnn_c_functions(code);
}

// ---------------------------------------------------------------- test vector and example

void clrnn_c_put_vector(struct clrnn_c_code *code, const struct clrnn_c_vector *v)
{
    struct clrnn_c_text *t = &code->text;

    put_mark(code);
    clrnn_c_put(t,
                "/* A sequence, and what clRNN's reference gives for it. */\n#ifndef `_TEST_H\n#define `_TEST_H\n\n");
    if (v->tokens)
        clrnn_c_put(t, "#include <stdint.h>\n\n");
    clrnn_c_put(t, "#define `_TEST_STEPS %u\n#define `_TEST_VALUES %zu\n\n", v->T, v->out_count);
    if (v->tokens) {
        clrnn_c_put(t, "static const int32_t @_test_x[%u] = {", v->T);
        for (uint32_t i = 0; i < v->T; i++)
            clrnn_c_put(t, "%s%d", i ? ", " : "", v->tokens[i]);
        clrnn_c_put(t, "};\n");
    } else {
        clrnn_c_floats(t, "test_x", v->x, (size_t)v->T * code->program.model->shape.features);
    }
    clrnn_c_floats(t, "test_out", v->out, v->out_count);
    clrnn_c_put(t, "\n#endif\n");
}

static const char main_head[] = //
    "/* Example: runs the test vector and says how far the result is from clRNN's. */\n"
    "#include <math.h>\n#include <stdio.h>\n\n#include \"@.h\"\n#include \"@_test.h\"\n\n"
    "static float whole[`_TEST_VALUES];\n\n";
static const char main_steps[] = //
    "/* The largest difference between the sequence as a whole and step by step. */\n"
    "static double compare_steps(void)\n"
    "{\n"
    "    @_state state;\n"
    "    float out[`_OUTPUTS];\n"
    "    double largest = 0.0;\n"
    "    int t, i;\n"
    "\n"
    "    @_reset(&state);\n"
    "    for (t = 0; t < `_TEST_STEPS; t++) {\n"
    "        @_step(&state, @_test_x + t * `_FEATURES, out);\n"
    "        for (i = 0; i < `_OUTPUTS; i++) {\n"
    "            const int at = `_PER_STEP ? t * `_OUTPUTS + i : i;\n"
    "\n"
    "            if (`_PER_STEP || t == `_TEST_STEPS - 1)\n"
    "                largest = fmax(largest, fabs((double)out[i] - (double)whole[at]));\n"
    "        }\n"
    "    }\n"
    "    return largest;\n"
    "}\n\n";
static const char main_body[] = //
    "int main(void)\n"
    "{\n"
    "    double error = 0.0, size = 0.0;\n"
    "    int i, failed;\n"
    "\n"
    "    failed = @_predict(@_test_x, `_TEST_STEPS, whole) != 0;\n"
    "    for (i = 0; i < `_TEST_VALUES; i++) {\n"
    "        error = fmax(error, fabs((double)whole[i] - (double)@_test_out[i]));\n"
    "        size = fmax(size, fabs((double)@_test_out[i]));\n"
    "        failed |= !(whole[i] - whole[i] >= 0.0f); /* not finite */\n"
    "    }\n"
    "    printf(\"largest output %%g, largest error %%g\\n\", size, error);\n"
    "%s%s"
    "    return failed;\n"
    "}\n";

void clrnn_c_put_main(struct clrnn_c_code *code)
{
    struct clrnn_c_text *t = &code->text;
    const char *error = code->int8 ? "" : "    failed |= !(error <= 1e-5 * size);\n";
    const char *steps = code->passes.causal ? "    failed |= !(compare_steps() <= 1e-5 * size);\n" : "";

    put_mark(code);
    clrnn_c_template(t, main_head);
    if (code->passes.causal)
        clrnn_c_template(t, main_steps);
    clrnn_c_put(t, main_body, error, steps);
}
