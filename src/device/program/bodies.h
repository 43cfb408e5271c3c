// SPDX-License-Identifier: MIT
// Kernels whose code a compiler generates once instead of several times.
#ifndef CLRNN_SRC_DEVICE_PROGRAM_BODIES_H
#define CLRNN_SRC_DEVICE_PROGRAM_BODIES_H

/** A program's text in which each kernel only calls a function that has its body, with its ids as an
 * argument; for the CPU form, whose kernels ask for nothing but global ids and sizes. A kernel that is not
 * formatted like those in cl/ stays as it is. In fresh memory; NULL: no memory. */
char *clrnn_source_bodies(const char *text);

#endif
