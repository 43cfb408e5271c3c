// SPDX-License-Identifier: MIT
// Divides the flat gradients into buckets, which workers exchange while backward still runs.
//
// Parameters lie in the order of the layers. Backward therefore completes the gradients at the end of the buffer first,
// and the gradients of one layer at about the same time. So a bucket has whole layers, unless they are very large. If
// the gradients exceed the wanted size, there are at least two buckets: one can go up the reduction tree (train/tree.h)
// while another comes down.
//
// Backward completes the gradients of the lowest (first) layer last, when no computation is left that could hide their
// exchange. All of these but weight_ih of a recurrent layer are complete early: their buckets are exchanged first.
#include "base/array.h"
#include "base/environment.h"
#include "base/log.h"
#include "model/model.h"

// Default size of a bucket: large enough for an efficient read from the device.
#define BYTES ((uint64_t)1 << 20)
// A bucket has at most MOST times the wanted size. A larger layer gets several buckets, so that one of them can be read
// from the device while another is sent.
#define MOST 16

uint64_t clrnn_bucket_bytes(void)
{
    return clrnn_environment_bytes("CLRNN_BUCKET_BYTES", BYTES);
}

void clrnn_model_uncut(struct clrnn_model *m)
{
    for (size_t i = 0; i < m->bucket_count; i++)
        clrnn_buffer_destroy(&m->bucket[i].grads);
    free(m->bucket);
    m->bucket = NULL;
    m->bucket_count = 0;
}

// Returns the offset of the last layer, or level of a recurrent layer, that begins at least `count` numbers before
// offset `end`; 0: there is none.
static size_t layer_before(const struct clrnn_model *m, size_t end, size_t count)
{
    size_t first = 0;

    for (size_t i = 0; i < m->entry_count; i++)
        if (m->entry[i].begins && m->entry[i].first + count <= end)
            first = m->entry[i].first;
    return first;
}

// Returns the offset at which the bucket that ends before offset `end` begins: the last beginning of a layer with
// which the bucket has at least `count` numbers, or 0. The first bucket, at the end of the buffer, may have fewer, so
// that there are at least two buckets. No bucket has more than MOST * count numbers.
static size_t begin_of(const struct clrnn_model *m, size_t end, size_t count, size_t align)
{
    size_t first = layer_before(m, end, count);

    if (!first && end == m->flat_count && end > count)
        first = layer_before(m, end, 1);
    if (!first && end == m->flat_count && end > count)
        first = end / 2 / align * align;
    return MAX2(first, end > MOST * count ? (end - MOST * count) / align * align : 0);
}

static enum clrnn_status add_bucket(struct clrnn_model *m, size_t first, size_t end)
{
    struct clrnn_bucket *b;

    if (!ARRAY_GROW(m->bucket, m->bucket_count))
        return clrnn_error_memory(m->log, 2 * m->bucket_count * sizeof(*b), "buckets of gradients");
    b = &m->bucket[m->bucket_count];
    *b = (struct clrnn_bucket){.first = first, .count = end - first};
    TRY(clrnn_buffer_sub(m->grads, first * clrnn_type_bytes(m->device, CLRNN_REAL), CLRNN_REAL, b->count, &b->grads));
    m->bucket_count++;
    return CLRNN_OK;
}

// Whether an entry belongs to the lowest layer and its gradient is complete only after that layer's other gradients.
static bool is_late(const struct clrnn_model *m, size_t entry)
{
    for (size_t i = 1; i <= entry; i++)
        if (m->entry[i].begins)
            return false;
    return m->entry[entry].late;
}

// Returns how many of the numbers before offset `end` belong to gradients for which is_late is false.
static size_t early_before(const struct clrnn_model *m, size_t end)
{
    size_t count = end;

    for (size_t i = 0; i < m->entry_count; i++)
        if (is_late(m, i) && m->entry[i].first < end)
            count -= MIN2(m->entry[i].param.count, end - m->entry[i].first);
    return count;
}

// Adds a bucket for each contiguous range, before offset `end`, of gradients for which is_late returns `late`.
static enum clrnn_status add_ranges(struct clrnn_model *m, size_t end, bool late)
{
    size_t first = end;

    for (size_t i = m->entry_count; i--;) {
        const size_t begin = m->entry[i].first;

        if (!m->entry[i].param.trained || begin >= end)
            continue;
        if (is_late(m, i) != late) {
            TRY(first < end ? add_bucket(m, first, end) : CLRNN_OK);
            end = begin;
        }
        first = begin;
    }
    return first < end ? add_bucket(m, first, end) : CLRNN_OK;
}

enum clrnn_status clrnn_model_cut(struct clrnn_model *m, uint64_t bytes)
{
    const size_t align = clrnn_buffer_align(m->device) / clrnn_type_bytes(m->device, CLRNN_REAL);
    const size_t count = (size_t)MIN2(MAX2(bytes / sizeof(float), 1), MAX2(m->flat_count, 1));
    size_t end = MAX2(m->flat_count, 1);

    clrnn_model_uncut(m);
    while (end) {
        const size_t first = bytes ? begin_of(m, end, count, align) : 0;

        if (bytes && !first && early_before(m, end) >= count) {
            TRY(add_ranges(m, end, false));
            return add_ranges(m, end, true);
        }
        TRY(add_bucket(m, first, end));
        end = first;
    }
    return CLRNN_OK;
}
