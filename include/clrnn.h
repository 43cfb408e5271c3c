// SPDX-License-Identifier: MIT
// clRNN: recurrent networks on any OpenCL device. Includes every public header.
#ifndef CLRNN_H
#define CLRNN_H

#include "clrnn/base.h"
#include "clrnn/config.h"
#include "clrnn/device.h"
#include "clrnn/diagnose.h"
#include "clrnn/layer.h"
#include "clrnn/model.h"
#include "clrnn/search.h"
#include "clrnn/state.h"
#include "clrnn/train.h"
#include "clrnn/version.h"

#endif
