// SPDX-License-Identifier: MIT
// Rewrites kernels so that a compiler generates their machine code once instead of several times.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_BODIES_H
#define CLRNN_SRC_DEVICE_PROGRAM_BODIES_H

/** Returns a copy of a program's text (to be freed) in which each kernel only calls a function. The function has the
 * kernel's former body and gets the work-item's global ids and sizes as an argument. The text must have the form for
 * CPUs (clrnn_device_cpu_form), whose kernels use no other ids. A kernel that is not formatted like those in cl/ is
 * copied unchanged. NULL: out of memory. */
char *clrnn_source_bodies(const char *text);

#endif
