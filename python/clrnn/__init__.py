# SPDX-License-Identifier: MIT
"""clRNN: recurrent networks on any OpenCL device, and what keeps a PyTorch script's model from learning."""
from __future__ import annotations

from ._library import ArgumentError, ConfigError, DataError, DeviceError, Error, ResourceError, findings, library

__all__ = ["ArgumentError", "ConfigError", "DataError", "DeviceError", "Error", "ResourceError", "findings", "version"]


def version() -> str:
    """The version of the loaded library. Raises ImportError where there is none."""
    return library().clrnn_version().decode()
