// SPDX-License-Identifier: MIT
// Compiles with a warning, which must not make the build fail.
#include "common.h"
#warning "a warning that nobody minds"

kernel void warns(global real *x)
{
    int unused;
    x[get_global_id(0)] = 2;
}
