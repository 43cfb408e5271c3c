// SPDX-License-Identifier: MIT
// What a model stores of the tables (CSV) or .ts file that it was trained on: names of columns and classes, and the
// values that replace missing cells.
#ifndef CLRNN_SRC_MODEL_NAMES_H
#define CLRNN_SRC_MODEL_NAMES_H

#include <jansson.h>

#include "base/log.h"

/** A list of strings, which it owns. */
struct clrnn_texts {
    size_t count;
    char **text;
};

struct clrnn_names {
    struct clrnn_texts columns, targets, classes; // classes: none if labels are numbers
    double *fill; // with `missing: mean`, a value for each column and then for each target; else NULL
};

/** Appends a copy of `text`. Returns false if memory runs out. */
bool clrnn_texts_add(struct clrnn_texts *texts, const char *text);
void clrnn_texts_finish(struct clrnn_texts *texts);
/** Returns the strings as a JSON array. If memory runs out, returns NULL, or clrnn_json_out_of_memory returns true
 * afterwards. */
json_t *clrnn_texts_json(const struct clrnn_texts *texts);
/** Appends the strings of a JSON array. Returns false if `list` is not an array of strings, or if memory runs out. In
 * the second case clrnn_json_out_of_memory returns true afterwards. */
bool clrnn_texts_read(const json_t *list, struct clrnn_texts *texts);

void clrnn_names_destroy(struct clrnn_names **names);

/** Returns the names as JSON text, which the caller frees. NULL: out of memory. */
char *clrnn_names_text(const struct clrnn_names *names);
/** Parses JSON text that clrnn_names_text has made. `path`, the file with the text, is for messages. Errors:
 * CLRNN_ERR_DATA, CLRNN_ERR_MEMORY. */
enum clrnn_status clrnn_names_parse(const struct clrnn_log *log, const char *path, const char *text,
                                    struct clrnn_names **names);

#endif
