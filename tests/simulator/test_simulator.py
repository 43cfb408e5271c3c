#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Faults planted in kernels: Oclgrind, set up as tests/run.py does, must report each, and nothing else.

    test_simulator.py BUILD SOURCE
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import oclgrind  # noqa: E402

BUILD, SOURCE = map(pathlib.Path, sys.argv[1:])
ADDITION = """            scratch[LANE] += scratch[LANE + half_];
        barrier(CLK_LOCAL_MEM_FENCE);
"""
UNINITIALISED = "ninitialized value"
# What is planted: the file, its text, what stands there instead; and the report's words and kernel.
PLANTS = {
    "nothing": None,
    "a variable without a value":
        ("linear.cl", "            realv sum = 0.0f;\n            real total;",
         "            realv sum;\n            real total;", UNINITIALISED, "linear_fwd"),
    "an output that is read":
        ("linear.cl", "* O + o] = !valid ? 0.0f", "* O + o] = y[(size_t)r * O + o] > 0.0f ? 0.0f", UNINITIALISED,
         "linear_fwd"),
    "a tensor read from before its start":
        ("linear.cl", "*a = x + (size_t)r * C,", "*a = x + (size_t)r * C - 1,", UNINITIALISED, "linear_fwd"),
    "scratch memory that is left out":
        ("columns.cl", "store(load(x + e, (uint)(stop - e)), out + e, (uint)(stop - e))", "(void)out", UNINITIALISED,
         "gemm"),
    "local memory that is left out":
        ("reduce.h", "    scratch[LANE] = v;\n", "    if (LANE != 1)\n        scratch[LANE] = v;\n", UNINITIALISED,
         "linear_fwd"),
    "a lost barrier": ("reduce.h", ADDITION, ADDITION.splitlines(keepends=True)[0], "data race", "linear_fwd"),
    "a write far off":
        ("linear.cl", "y[(size_t)r * O + o] = !valid", "y[(size_t)r * O + o + 1000000] = !valid", "Invalid write",
         "linear_fwd"),
}


def look(plant, folder):
    """What Oclgrind finds in the tests of linear layers, in the GPUs' form."""
    kernels = pathlib.Path(folder) / "cl"
    shutil.copytree(SOURCE / "cl", kernels)
    if plant:
        name, old, new = plant[:3]
        text = (kernels / name).read_text(encoding="utf-8")
        assert old in text, f"cl/{name} no longer holds {old!r}"
        (kernels / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    env = {**os.environ, **oclgrind.environment(BUILD, folder), "CLRNN_KERNEL_DIR": str(kernels),
           "CLRNN_KERNEL_FORM": "gpu", "CMOCKA_MESSAGE_OUTPUT": "TAP"}
    result = subprocess.run([str(BUILD / "tests/ops/test_ops_linear")], env=env, capture_output=True, text=True,
                            check=False, timeout=200)
    found = oclgrind.findings(folder)
    assert found is not None, f"nothing was simulated:\n{result.stdout}{result.stderr}"
    assert plant or result.returncode == 0, result.stdout + result.stderr
    return found


def main():
    print(f"1..{len(PLANTS)}")
    failed = 0
    for number, (name, plant) in enumerate(PLANTS.items(), 1):
        if not oclgrind.installed():
            print(f"ok {number} - {name} # SKIP oclgrind is not installed")
            continue
        with tempfile.TemporaryDirectory(prefix="clrnn-simulator-") as folder:
            found = look(plant, folder)
        first = found.partition("Kernel: ")
        good = plant[3] in first[0] and first[2].startswith(plant[4]) if plant else not found
        failed += not good
        if not good:
            print("\n".join(f"# {line}" for line in found[:3000].splitlines()))
        print(f"{'ok' if good else 'not ok'} {number} - {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
