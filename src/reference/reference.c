// SPDX-License-Identifier: MIT
#include "reference/reference.h"
