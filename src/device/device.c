// SPDX-License-Identifier: MIT
#include "device/launch.h"
