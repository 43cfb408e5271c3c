// SPDX-License-Identifier: MIT
// Finds which launches of a list use which parts of a buffer.
#include "base/array.h"
#include "device/list/internal.h"

// Extends the range [begin, end) of each use whose elements overlap `b`, so that the range includes `launch`. If `b` is
// NULL, extends the ranges of all uses. The elements of use [count] are in `buffer`.
static void widen(const struct clrnn_buffer *b, size_t launch, const struct clrnn_buffer *buffer, size_t count,
                  struct clrnn_use *use)
{
    const size_t real = clrnn_type_bytes(buffer->device, buffer->type);

    if (b && b != buffer && b->parent != buffer)
        return;
    for (size_t i = 0; i < count; i++) {
        const size_t first = use[i].first * real, end = first + use[i].count * real;

        if (b && (b->first_byte >= end || b->first_byte + b->bytes <= first))
            continue;
        use[i].begin = MIN2(use[i].begin, launch);
        use[i].end = launch + 1;
    }
}

void clrnn_launches_use(const struct clrnn_launches *launches, const struct clrnn_buffer *buffer, size_t count,
                        struct clrnn_use *use)
{
    for (size_t i = 0; i < count; i++) {
        use[i].begin = launches->count;
        use[i].end = 0;
    }
    for (size_t at = 0; at < launches->count; at++) {
        const struct clrnn_launch *l = &launches->launch[at];

        if (l->run != clrnn_kernel_run && !l->operand[0]) // a launch whose buffers are not known
            widen(NULL, at, buffer, count, use);
        for (size_t i = 0; i < ARRAY_SIZE(l->operand); i++)
            if (l->operand[i])
                widen(l->operand[i], at, buffer, count, use);
        for (size_t i = 0; l->run == clrnn_kernel_run && i < l->kernel.arg_count; i++)
            if (l->kernel.args[i].kind == CLRNN_ARG_BUFFER && l->kernel.args[i].buffer)
                widen(l->kernel.args[i].buffer, at, buffer, count, use);
    }
}
