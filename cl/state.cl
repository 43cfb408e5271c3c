// SPDX-License-Identifier: MIT
// The states with which recurrent layers begin.
#include "slots.h"

// to [count]: from, or 0 where the counter says that nothing is carried on.
kernel void state(global const float *from, global const uint *counter, global float *to, uint count)
{
    const uint i = get_global_id(0);

    if (i < count)
        to[i] = counter[COUNTER_CARRY] ? from[i] : 0.0f;
}
