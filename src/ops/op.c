// SPDX-License-Identifier: MIT
#include "ops/graph.h"
