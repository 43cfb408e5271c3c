// SPDX-License-Identifier: MIT
#include "formats/dtype.h"
