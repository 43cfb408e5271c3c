// SPDX-License-Identifier: MIT
#include "model/plan.h"
#include "model/checkpoint.h"
