// SPDX-License-Identifier: MIT
// Adding findings; used by all checks of the doctor.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "diagnose/doctor/doctor.h"
#include "model/nest.h"

bool clrnn_doctor_stopped(const struct clrnn_doctor *d)
{
    return d->params->stop && *d->params->stop;
}

static void out_of_memory(struct clrnn_doctor *d)
{
    if (d->status == CLRNN_OK)
        d->status = clrnn_error_memory(d->log, 0, "the doctor's findings");
}

void clrnn_doctor_finding(struct clrnn_doctor *d, enum clrnn_finding_kind kind, enum clrnn_severity severity)
{
    struct clrnn_doctor_result *r = d->result;

    if (!ARRAY_GROW(r->finding, r->count)) {
        out_of_memory(d);
        return;
    }
    r->finding[r->count++] = (struct clrnn_finding){.id = clrnn_finding_table[kind].id, .severity = severity};
}

// Appends to a text field of the last finding. Only `set` has several lines: elsewhere a line break is part
// of a name.
static void CLRNN_PRINTF(3, 0)
    add_text(struct clrnn_doctor *d, size_t offset, const char *format, va_list arguments)
{
    char **text, *more, *joined;

    if (d->status != CLRNN_OK || !d->result->count)
        return;
    text = (char **)((char *)&d->result->finding[d->result->count - 1] + offset);
    more = clrnn_format_va(format, arguments);
    if (offset != offsetof(struct clrnn_finding, set))
        more = clrnn_text_take(more, CLRNN_TEXT_SHOWN);
    joined = more && *text ? clrnn_format("%s%s", *text, more) : more;
    if (!more || !joined) {
        free(more);
        out_of_memory(d);
        return;
    }
    if (joined != more)
        free(more);
    free(*text);
    *text = joined;
}

#define TEXT_FUNCTION(field) \
    void clrnn_doctor_##field(struct clrnn_doctor *d, const char *format, ...) \
    { \
        va_list arguments; \
\
        va_start(arguments, format); \
        add_text(d, offsetof(struct clrnn_finding, field), format, arguments); \
        va_end(arguments); \
    }
TEXT_FUNCTION(where)
TEXT_FUNCTION(evidence)
TEXT_FUNCTION(cost)
TEXT_FUNCTION(remedy)

static void add_set(struct clrnn_doctor *d, const char *format, ...) CLRNN_PRINTF(2, 3);
static void add_set(struct clrnn_doctor *d, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    add_text(d, offsetof(struct clrnn_finding, set), format, arguments);
    va_end(arguments);
}

void clrnn_doctor_where_layer(struct clrnn_doctor *d, size_t layer)
{
    const struct clrnn_layer *l = &d->config->layer[layer];
    char entry[CLRNN_ENTRY_SIZE];

    // "model.layers[1].residual.layers[0]"
    clrnn_layer_entry(d->config, layer, entry);
    for (const char *word = entry; *word;) {
        const size_t length = strcspn(word, ".");
        const bool index = isdigit((unsigned char)*word);

        clrnn_doctor_where(d, "%s%.*s%s",
                           index          ? "["
                           : word > entry ? "."
                                          : "",
                           (int)length, word, index ? "]" : "");
        word += length + (word[length] == '.');
    }
    clrnn_doctor_where(d, " (%s%s%s)", clrnn_layer_word(l->kind), l->name ? " " : "", l->name ? l->name : "");
    if (d->config->path && l->line > 0)
        clrnn_doctor_where(d, ", %s:%d", d->config->path, l->line);
}

void clrnn_doctor_fix(struct clrnn_doctor *d, enum clrnn_fix_kind kind, size_t layer, double value)
{
    const struct clrnn_doctor_fix fix = {kind, layer, value};
    const struct clrnn_finding *last = d->result->count ? &d->result->finding[d->result->count - 1] : NULL;
    char text[2 * CLRNN_ENTRY_SIZE + 100];

    clrnn_doctor_fix_text(d->config, &fix, text, sizeof(text));
    add_set(d, "%s%s", last && last->set ? "\n" : "", text);
    d->fix_count++;
}

bool clrnn_doctor_found(const struct clrnn_doctor *d, enum clrnn_finding_kind kind)
{
    for (size_t i = 0; i < d->result->count; i++)
        if (d->result->finding[i].id == clrnn_finding_table[kind].id &&
            d->result->finding[i].severity != CLRNN_SEVERITY_NOTE)
            return true;
    return false;
}
