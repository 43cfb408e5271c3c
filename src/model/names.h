// SPDX-License-Identifier: MIT
// What a model keeps of its training table: names of columns and classes, and the values that replace missing
// cells.
#ifndef CLRNN_SRC_MODEL_NAMES_H
#define CLRNN_SRC_MODEL_NAMES_H

#include <jansson.h>

#include "base/log.h"

/** A list of texts, owned. */
struct clrnn_texts {
    size_t count;
    char **text;
};

struct clrnn_names {
    struct clrnn_texts columns, targets, classes; // classes: none where labels are numbers
    double *fill;                                 // [columns, then targets] for `missing: mean`, or NULL
};

/** Appends a copy. False: no memory. */
bool clrnn_texts_add(struct clrnn_texts *texts, const char *text);
void clrnn_texts_finish(struct clrnn_texts *texts);
/** Returns the texts as a JSON array. No memory: NULL, or clrnn_json_out_of_memory is true afterwards. */
json_t *clrnn_texts_json(const struct clrnn_texts *texts);
/** Appends the strings of a JSON array. False: `list` is no array of strings, or memory ran out, which
 * clrnn_json_out_of_memory tells. */
bool clrnn_texts_read(const json_t *list, struct clrnn_texts *texts);

void clrnn_names_destroy(struct clrnn_names **names);

/** Returns the names as JSON text, to be freed. NULL: no memory. */
char *clrnn_names_text(const struct clrnn_names *names);
/** Parses such JSON text; `path` is the file that holds it. CLRNN_ERR_DATA, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_names_parse(const struct clrnn_log *log, const char *path, const char *text,
                                    struct clrnn_names **names);

#endif
