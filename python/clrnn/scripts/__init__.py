# SPDX-License-Identifier: MIT
"""`python3 -m clrnn doctor train.py`: what keeps the model of a PyTorch script from learning."""
from __future__ import annotations

from .run import examine, main

__all__ = ["examine", "main"]
