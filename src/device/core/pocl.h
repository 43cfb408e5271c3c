// SPDX-License-Identifier: MIT
// PoCL's own cache of compiled kernels: where it is, whether it can be used, and what to do where it is
// damaged.
#ifndef CLRNN_SRC_DEVICE_CORE_POCL_H
#define CLRNN_SRC_DEVICE_CORE_POCL_H

#include "clrnn/device.h"

/** The cache's folder, found by PoCL's own rules, in fresh memory. NULL: no memory. */
char *clrnn_pocl_cache_folder(void);

/** Why PoCL cannot use that folder and what to do about it, in fresh memory. NULL: it can, or no memory. */
char *clrnn_pocl_cache_trouble(void);

#endif
