// SPDX-License-Identifier: MIT
// Functions that add findings; all checks of the doctor use them.
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

// Appends text to the field of the last finding at byte `offset` of struct clrnn_finding. To `set` it adds a new line.
// In all other fields it escapes line breaks, which can only come from names.
static void CLRNN_PRINTF(3, 0) add_text(struct clrnn_doctor *d, size_t offset, const char *format, va_list arguments)
{
    const bool line = offset == offsetof(struct clrnn_finding, set);
    char **text, *more, *joined;

    if (d->status != CLRNN_OK || !d->result->count)
        return;
    d->fix_count += line;
    text = (char **)((char *)&d->result->finding[d->result->count - 1] + offset);
    more = clrnn_format_va(format, arguments);
    if (!line)
        more = clrnn_text_take(more, CLRNN_TEXT_SHOWN);
    joined = more && *text ? clrnn_format("%s%s%s", *text, line ? "\n" : "", more) : more;
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
TEXT_FUNCTION(set)

void clrnn_doctor_where_layer(struct clrnn_doctor *d, size_t layer)
{
    const struct clrnn_layer *l = &d->config->layer[layer];
    char entry[CLRNN_ENTRY_SIZE];

    // `entry` is a text such as "model.layers.1.residual.layers.0"; the loop writes it with brackets, as
    // "model.layers[1].residual.layers[0]"
    clrnn_layer_entry(d->config, layer, entry);
    for (const char *word = entry; *word;) {
        const size_t length = strcspn(word, ".");
        const bool index = isdigit((unsigned char)*word);

        clrnn_doctor_where(d, "%s%.*s%s", index ? "[" : word > entry ? "." : "", (int)length, word, index ? "]" : "");
        word += length + (word[length] == '.');
    }
    clrnn_doctor_where(d, " (%s%s%s)", clrnn_layer_word(l->kind), l->name ? " " : "", l->name ? l->name : "");
    if (d->config->path && l->line > 0)
        clrnn_doctor_where(d, ", %s:%d", d->config->path, l->line);
}

void clrnn_doctor_layer_finding(struct clrnn_doctor *d, size_t layer, enum clrnn_finding_kind kind,
                                enum clrnn_severity severity)
{
    clrnn_doctor_finding(d, kind, severity);
    clrnn_doctor_where_layer(d, layer);
}

void clrnn_doctor_set_layer(struct clrnn_doctor *d, size_t layer, const char *setting)
{
    char entry[CLRNN_ENTRY_SIZE];

    clrnn_doctor_set(d, "%s.%s.%s", clrnn_layer_entry(d->config, layer, entry),
                     clrnn_layer_word(d->config->layer[layer].kind), setting);
}

void clrnn_doctor_remove_layer(struct clrnn_doctor *d, size_t layer)
{
    char entry[CLRNN_ENTRY_SIZE];

    clrnn_doctor_set(d, "delete %s (%s)", clrnn_layer_entry(d->config, layer, entry),
                     clrnn_layer_word(d->config->layer[layer].kind));
}

void clrnn_doctor_balance(struct clrnn_doctor *d)
{
    const enum clrnn_loss_kind kind = d->config->train.loss.kind;

    clrnn_doctor_set(d, "train.loss.%s.%s=balanced", clrnn_loss_word(kind),
                     kind == CLRNN_LOSS_BCE_WITH_LOGITS ? "pos_weight" : "weight");
}

bool clrnn_doctor_found(const struct clrnn_doctor *d, enum clrnn_finding_kind kind)
{
    for (size_t i = 0; i < d->result->count; i++)
        if (d->result->finding[i].id == clrnn_finding_table[kind].id &&
            d->result->finding[i].severity != CLRNN_SEVERITY_NOTE)
            return true;
    return false;
}
