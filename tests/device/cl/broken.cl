// SPDX-License-Identifier: MIT
// Does not compile: the error is in line 8, after an include.
#include "common.h"

kernel void broken(global real *x)
{
    x[get_global_id(0)] = 0;
    x[get_global_id(0)] = no_such_thing;
}
