// SPDX-License-Identifier: MIT
// Cutting the gradients into buckets. Parameters lie in the order of the forward, so backward completes the
// last ones first.
#include "base/array.h"
#include "base/environment.h"
#include "base/log.h"
#include "model/model.h"

#define BYTES ((uint64_t)4 << 20)     // a few ms on 10 Gbit/s, and many buckets that go up and down at once
#define FIRST_BYTES ((size_t)1 << 20) // of the first bucket at most, so that its way begins early

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

enum clrnn_status clrnn_model_cut(struct clrnn_model *m, uint64_t bytes)
{
    const size_t real = clrnn_type_bytes(m->device, CLRNN_REAL), align = clrnn_buffer_align(m->device) / real;
    size_t end = MAX2(m->flat_count, 1);

    clrnn_model_uncut(m);
    while (end) {
        const uint64_t most = (m->bucket_count ? bytes : MIN2(bytes, FIRST_BYTES)) / sizeof(float);
        const size_t first = bytes && end > most ? (size_t)(end - most) / align * align : 0;
        struct clrnn_bucket *b;

        if (!ARRAY_GROW(m->bucket, m->bucket_count))
            return clrnn_error_memory(m->log, 2 * m->bucket_count * sizeof(*b), "buckets of gradients");
        b = &m->bucket[m->bucket_count];
        *b = (struct clrnn_bucket){.first = first, .count = end - first};
        TRY(clrnn_buffer_sub(m->grads, first * real, CLRNN_REAL, b->count, &b->grads));
        m->bucket_count++;
        end = first;
    }
    return CLRNN_OK;
}
