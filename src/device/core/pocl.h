// SPDX-License-Identifier: MIT
// PoCL's own cache of compiled kernels: where it is, whether it can be used, and what to do if it is damaged.
#ifndef CLRNN_SRC_DEVICE_CORE_POCL_H
#define CLRNN_SRC_DEVICE_CORE_POCL_H

#include "clrnn/device.h"

/** Returns the path of PoCL's cache folder (to be freed), by PoCL's own rules. NULL: out of memory. */
char *clrnn_pocl_cache_folder(void);

/** Creates PoCL's cache folder if it is missing, and checks whether PoCL can use it. If not, returns text (to be freed)
 * that says why and what to do about it. NULL: PoCL can use the folder, or memory is short. */
char *clrnn_pocl_cache_trouble(void);

#endif
