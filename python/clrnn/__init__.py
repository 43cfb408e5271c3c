# SPDX-License-Identifier: MIT
"""clRNN: recurrent networks on any OpenCL device, and what keeps a PyTorch script's model from learning."""
from __future__ import annotations

from ._data import pad
from ._diagnose import compare, doctor, grow, overfit
from ._library import ArgumentError, ConfigError, DataError, DeviceError, Error, ResourceError, findings, library
from ._model import Model, devices, load
from ._train import Run, train

__all__ = ["ArgumentError", "ConfigError", "DataError", "DeviceError", "Error", "Model", "ResourceError", "Run",
           "compare", "devices", "doctor", "findings", "grow", "load", "overfit", "pad", "train", "version"]


def version() -> str:
    """The version of the loaded library. Raises ImportError where there is none."""
    return library().clrnn_version().decode()
