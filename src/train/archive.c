// SPDX-License-Identifier: MIT
// Reads a .ts file (the format of the UCR and UEA archives of time series) as a data set: a case is a sample.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/ts.h"
#include "train/sequences.h"

static enum clrnn_status take_case(void *user, const struct clrnn_ts_case *c)
{
    struct clrnn_sequences *b = user;
    struct clrnn_table *t = b->d->table;
    const enum clrnn_missing missing = clrnn_source_missing(b->source);
    double *values = NULL;
    char name[32];

    for (size_t k = t->width; k < c->dimensions; k++) {
        snprintf(name, sizeof(name), "dim_%zu", k);
        TRY(clrnn_sequences_column(b, name));
    }
    TRY(clrnn_sequences_add(b, c->steps, &values));
    for (size_t k = 0; k < c->dimensions; k++)
        for (size_t i = 0; i < c->steps; i++) {
            double *to = &values[i * c->dimensions + k];

            *to = c->values[k * c->steps + i];
            if (!isnan(*to))
                continue;
            t->missing[k]++;
            if (missing == CLRNN_MISSING_ERROR || (missing == CLRNN_MISSING_FORWARD && !i))
                return clrnn_error(b->d->log, CLRNN_ERR_DATA,
                                   "%s: case %zu, dimension %zu, step %zu: missing value; set missing: zero%s",
                                   b->d->x_path, c->number, k, i,
                                   missing == CLRNN_MISSING_ERROR ? ", mean or forward" : " or mean");
            if (missing != CLRNN_MISSING_MEAN)
                *to = missing == CLRNN_MISSING_ZERO ? 0 : values[(i - 1) * c->dimensions + k];
        }
    if (c->label && !b->rules->no_targets && !clrnn_texts_add(&b->labels, c->label))
        return clrnn_sequences_memory(b, strlen(c->label));
    return CLRNN_OK;
}

enum clrnn_status clrnn_dataset_open_ts(struct clrnn_dataset *d, const struct clrnn_config *config,
                                        const struct clrnn_source *source, const struct clrnn_open_rules *rules)
{
    struct clrnn_sequences b = {.d = d, .source = source, .rules = rules};
    const struct clrnn_ts_sink sink = {&b, take_case};
    enum clrnn_status st;

    st = clrnn_sequences_begin(&b);
    if (st == CLRNN_OK)
        st = clrnn_ts_stream(d->log, d->x_path, &sink);
    if (st == CLRNN_OK)
        st = clrnn_sequences_finish(&b, config, true);
    clrnn_texts_finish(&b.labels);
    return st;
}
