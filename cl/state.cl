// SPDX-License-Identifier: MIT
// The initial states of recurrent layers.
#include "slots.h"
#include "vector.h"

// Writes to [count]: a copy of from [count] if COUNTER_CARRY is set, otherwise zeros.
kernel void state(global const real *from, global const uint *counter, global real *to, uint count, uint chunk)
{
    const size_t last = min((size_t)count, ((size_t)get_global_id(0) + 1) * chunk);
    const bool carry = counter[COUNTER_CARRY];

    for (size_t e = (size_t)get_global_id(0) * chunk; e < last; e += WIDTH)
        store(carry ? load(from + e, (uint)(last - e)) : (realv)(0.0f), to + e, (uint)(last - e));
}
