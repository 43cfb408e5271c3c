// SPDX-License-Identifier: MIT
#include "clrnn/train.h"
#include "train/feed.h"
