// SPDX-License-Identifier: MIT
#include "clrnn/train.h"
