// SPDX-License-Identifier: MIT
// Allocates buffers for the states that one run of a plan passes on to the next run. Each level of a recurrent layer
// (one of num_layers) has states of its own.
#include "base/array.h"
#include "base/log.h"
#include "model/model.h"

// Replaces *buffer by a buffer of `count` zeros, unless `count` is 0 or *buffer has that many elements.
static enum clrnn_status fit(struct clrnn_model *m, size_t count, struct clrnn_buffer **buffer)
{
    if (!count || (*buffer && clrnn_buffer_count(*buffer) >= count))
        return CLRNN_OK;
    clrnn_buffer_destroy(buffer);
    return clrnn_buffer_create(m->device, CLRNN_REAL, count, "states of recurrent layers", buffer);
}

enum clrnn_status clrnn_model_carry(struct clrnn_model *m, size_t level, uint32_t samples, uint32_t P, uint32_t H)
{
    while (m->carried_count <= level) {
        if (!ARRAY_GROW(m->carried, m->carried_count))
            return clrnn_error_memory(m->log, 2 * m->carried_count * sizeof(*m->carried), "states");
        m->carried[m->carried_count++] = (struct clrnn_carried){0};
    }
    TRY(fit(m, (size_t)samples * P, &m->carried[level].h));
    return fit(m, (size_t)samples * H, &m->carried[level].c);
}
