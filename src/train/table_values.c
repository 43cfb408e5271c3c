// SPDX-License-Identifier: MIT
// Manages a table's values, in memory or in a mapped file; closes a table; copies its names.
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/array.h"
#include "train/table.h"

#define RELEASE_BYTES ((size_t)16 << 20) // mapped pages are released after this many bytes

void clrnn_table_set_mapped(struct clrnn_table *t, void *base, size_t bytes, size_t offset)
{
    // Reading one group's rows touches file pages that are far apart if the groups alternate in the file. `apart`: most
    // bytes that become resident for each such row.
    const size_t row = MAX2(t->width, 1u) * sizeof(*t->values);
    const size_t apart = MIN2(row * MAX2(t->groups.count, 1u), MAX2(row, CLRNN_FAULT_BYTES));

    t->base = base;
    t->on_disk = bytes;
    t->values = (double *)(void *)((char *)base + offset);
    for (t->passes = 1; 2 * t->passes * apart <= RELEASE_BYTES;)
        t->passes *= 2;
}

void clrnn_table_unmap(struct clrnn_table *t)
{
    if (t->mapped)
        clrnn_map_close(&t->map);
    else if (t->on_disk)
        munmap(t->base, t->on_disk);
    else
        free(t->values);
    t->values = NULL;
    t->mapped = false;
    t->on_disk = 0;
}

void clrnn_table_release(const struct clrnn_table *t)
{
    if (t->on_disk) // only advice to release pages; values written to them stay in the file
        madvise(t->base, t->on_disk, MADV_DONTNEED);
}

void clrnn_table_close(struct clrnn_table **table)
{
    struct clrnn_table *t = *table;

    *table = NULL;
    if (!t || --t->references)
        return;
    clrnn_texts_finish(&t->column);
    clrnn_texts_finish(&t->classes);
    clrnn_texts_finish(&t->groups);
    clrnn_table_unmap(t);
    free(t->missing);
    free(t->fill);
    free(t->feature);
    free(t->target);
    free(t);
}

struct clrnn_names *clrnn_table_names(const struct clrnn_table *table)
{
    struct clrnn_names *n = calloc(1, sizeof(*n));
    const size_t numbers = table->features + table->targets;
    bool good = n;

    if (good && table->fill) {
        n->fill = malloc(numbers * sizeof(*n->fill));
        good = n->fill;
    }
    for (size_t i = 0; i < numbers && good; i++) {
        const bool feature = i < table->features;
        const size_t at = feature ? table->feature[i] : table->target[i - table->features];

        good = clrnn_texts_add(feature ? &n->columns : &n->targets, table->column.text[at]);
        if (n->fill)
            n->fill[i] = isnan(table->fill[at]) ? 0 : table->fill[at];
    }
    for (size_t i = 0; i < table->classes.count && good; i++)
        good = clrnn_texts_add(&n->classes, table->classes.text[i]);
    if (!good)
        clrnn_names_destroy(&n);
    return n;
}
