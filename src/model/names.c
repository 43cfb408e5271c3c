// SPDX-License-Identifier: MIT
// Copies names of columns and classes, writes them as JSON and reads them again.
#include "model/names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "base/text.h"

bool clrnn_texts_add(struct clrnn_texts *texts, const char *text)
{
    char *copy = strdup(text);

    if (!copy || !ARRAY_GROW(texts->text, texts->count)) {
        free(copy);
        return false;
    }
    texts->text[texts->count++] = copy;
    return true;
}

void clrnn_texts_finish(struct clrnn_texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->text[i]);
    free(texts->text);
    *texts = (struct clrnn_texts){0};
}

void clrnn_names_destroy(struct clrnn_names **names)
{
    struct clrnn_names *n = *names;

    *names = NULL;
    if (!n)
        return;
    clrnn_texts_finish(&n->columns);
    clrnn_texts_finish(&n->targets);
    clrnn_texts_finish(&n->classes);
    free(n->fill);
    free(n);
}

// ---------------------------------------------------------------- as JSON

json_t *clrnn_texts_json(const struct clrnn_texts *texts)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < texts->count; i++)
        if (json_array_append_new(list, clrnn_json_text(texts->text[i])))
            clrnn_json_lacks_memory();
    return list;
}

bool clrnn_texts_read(const json_t *list, struct clrnn_texts *texts)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));

        if (text && !clrnn_texts_add(texts, text)) {
            clrnn_json_lacks_memory();
            text = NULL;
        }
        if (!text)
            return false;
        clrnn_text_unescape(texts->text[i]);
    }
    return json_is_array(list);
}

char *clrnn_names_text(const struct clrnn_names *names)
{
    const size_t numbers = names->columns.count + names->targets.count;
    json_t *fill = names->fill ? json_array() : NULL, *all;
    char *text;

    clrnn_json_out_of_memory();
    for (size_t i = 0; fill && i < numbers; i++)
        if (json_array_append_new(fill, json_real(names->fill[i])))
            clrnn_json_lacks_memory();
    all = json_pack("{s:o, s:o, s:o, s:o*}", "columns", clrnn_texts_json(&names->columns), "targets",
                    clrnn_texts_json(&names->targets), "classes", clrnn_texts_json(&names->classes), "fill", fill);
    text = clrnn_json_dumps(all, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(all);
    return text;
}

static bool read_fill(const json_t *list, struct clrnn_names *n)
{
    const size_t numbers = n->columns.count + n->targets.count;

    if (!list)
        return true;
    n->fill = malloc(MAX2(numbers, 1u) * sizeof(*n->fill));
    if (!n->fill)
        clrnn_json_lacks_memory();
    if (!n->fill || json_array_size(list) != numbers)
        return false;
    for (size_t i = 0; i < numbers; i++) {
        n->fill[i] = json_number_value(json_array_get(list, i));
        if (!json_is_number(json_array_get(list, i)) || !isfinite(n->fill[i]))
            return false;
    }
    return true;
}

enum clrnn_status clrnn_names_parse(const struct clrnn_log *log, const char *path, const char *text,
                                    struct clrnn_names **names)
{
    struct clrnn_names *n = calloc(1, sizeof(*n));
    json_t *value = NULL;
    enum clrnn_status st;

    *names = NULL;
    if (!n)
        return clrnn_error_memory(log, sizeof(*n), path);
    st = clrnn_json_parse(log, path, text, strlen(text), 0, NULL, &value);
    if (st == CLRNN_OK && clrnn_texts_read(json_object_get(value, "columns"), &n->columns) &&
        clrnn_texts_read(json_object_get(value, "targets"), &n->targets) &&
        clrnn_texts_read(json_object_get(value, "classes"), &n->classes) &&
        read_fill(json_object_get(value, "fill"), n)) {
        *names = n;
        n = NULL;
    } else if (st != CLRNN_ERR_MEMORY && clrnn_json_out_of_memory()) {
        st = clrnn_error_memory(log, 0, path);
    } else if (st != CLRNN_ERR_MEMORY) {
        st = clrnn_error(log, CLRNN_ERR_DATA, "%s: the names of the data's columns inside are damaged", path);
    }
    json_decref(value);
    clrnn_names_destroy(&n);
    return st;
}
