// SPDX-License-Identifier: MIT
// Kernels whose code a compiler generates once instead of several times.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_BODIES_H
#define CLRNN_SRC_DEVICE_PROGRAM_BODIES_H

/** A program's text in which each kernel only calls a function, which has the kernel's former body and gets
 * the ids as an argument. For the CPU form, whose kernels use only global ids and sizes. A kernel that is not
 * formatted like those in cl/ stays as it is. In fresh memory; NULL: no memory. */
char *clrnn_source_bodies(const char *text);

#endif
