# SPDX-License-Identifier: MIT
"""`python3 -m clrnn`: the doctor of scripts; everything else is the command `clrnn`."""
from __future__ import annotations

import sys


def main() -> int:
    """Runs `doctor SCRIPT.py`; returns the exit status."""
    argv = sys.argv[1:]
    if argv[:1] == ["doctor"]:
        from .scripts import main as doctor
        return doctor(argv[1:])
    print("usage: python3 -m clrnn doctor SCRIPT.py [ARGS...] [--steps N] [--json] [--to-config DIR]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
