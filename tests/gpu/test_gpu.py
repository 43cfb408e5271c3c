#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What tools/gpu-compile stands on, without GPUs' compilers, as TAP: the layer shows a GPU that is not there, and what
plans choose for it suits its registers.

    test_gpu.py CLRNN BUILD ROOT"""
import importlib.machinery
import importlib.util
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

CLRNN, BUILD, ROOT = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
LOADER = importlib.machinery.SourceFileLoader("gpu_compile", str(ROOT / "tools/gpu-compile"))
TOOL = importlib.util.module_from_spec(importlib.util.spec_from_loader("gpu_compile", LOADER))
LOADER.exec_module(TOOL)
CONFIGS = [ROOT / "bench" / f"{name}.yaml" for name in ("lstm-64x32x64-128", "rnn-16x256x256-512")]


def limits():
    """Every target's limits are what `clrnn devices` shows."""
    for target, gpu in TOOL.TARGETS.items():
        env = {**os.environ, "OPENCL_LAYERS": str(BUILD / "tests/gpu/gpu_layer.so"),
               "CLRNN_GPU_LIMITS": TOOL.limits(target)}
        out = subprocess.run([CLRNN, "devices", "--json", "--no-test"], env=env, check=True, capture_output=True).stdout
        row = next(row for row in json.loads(out) if row["platform"] == TOOL.PLATFORM[gpu["vendor"]])
        assert row["type"] == "GPU" and row["name"] == gpu["name"] and row["compute_units"] == gpu["units"], row


def tilings():
    """Persistent kernels: loads under way and weights that stay fit the registers, and no loop has a remainder."""
    for target, most in (("gfx1101", 224), ("sm_90", 128), ("gen9", 112)):
        with tempfile.TemporaryDirectory() as folder:
            found = []
            for path in TOOL.programs(BUILD, target, CONFIGS, pathlib.Path(folder)):
                text = path.read_text()
                sizes = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text.splitlines()[0])}
                if "HELD" in sizes:
                    found.append((sizes, "void\nrnn_group_backward" in text))
        assert len(found) >= 2, (target, found)
        for sizes, backward in found:
            assert sizes["PART"] // 4 % sizes["UNROLL"] == sizes["HELD"] % sizes["UNROLL"] == 0, sizes
            columns = sizes["LANE_UNITS"] * (1 if backward else (1, 4, 3)[sizes["CELL"]])
            operands = 4 * (sizes["UNROLL"] + sizes["HELD"]) * (columns + sizes["ROWS"])
            assert operands <= most, (target, sizes, operands)


def main():
    if "Portable" not in subprocess.run([CLRNN, "devices", "--no-test"], capture_output=True, text=True,
                                        check=False).stdout:
        print("1..0 # SKIP PoCL is not installed")
        return 0
    failed = False
    print("1..2")
    for number, test in enumerate((limits, tilings), 1):
        try:
            test()
            print(f"ok {number} - {test.__name__}")
        except (AssertionError, StopIteration, KeyError, subprocess.CalledProcessError, SystemExit) as error:
            print(f"# {error!r}\nnot ok {number} - {test.__name__}")
            failed = True
    return 1 if failed else 0


sys.exit(main())
