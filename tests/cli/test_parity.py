#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training runs recorded from PyTorch, reproduced number for number: a test for each case of the collections open and
open2 that lie beside this checkout (in ../shared/parity, or the folder that CLRNN_PARITY names), as TAP.

    test_parity.py CLRNN ROOT

With CLRNN_TEST_SMALL only the smallest cases of each, for devices that are simulated."""
import concurrent.futures
import json
import os
import pathlib
import re
import struct
import subprocess
import sys

JOBS = 2
SMALL_CASES = 8
SYSTEM_PYTHON = "/usr/bin/python3"


def interpreter():
    """A Python that has numpy, which the checker needs, or None."""
    for python in (sys.executable, SYSTEM_PYTHON):
        if os.path.exists(python) and subprocess.run([python, "-c", "import numpy"], capture_output=True,
                                                     check=False).returncode == 0:
            return python
    return None


def work(case):
    """About how many multiplications a case takes: weights times rows times epochs."""
    raw = (case / "X_train.npy").read_bytes()[:4096]
    header = raw[10:10 + struct.unpack("<H", raw[8:10])[0]].decode("latin-1")
    shape = [int(n) for n in re.findall(r"\d+", header[header.index("shape"):])]
    rows = shape[0] * (shape[1] if len(shape) == 3 else 1)
    weights = (case / "init.safetensors").stat().st_size
    return weights * rows * len(json.loads((case / "expected.json").read_text())["epochs"])


def run(python, checker, clrnn, case):
    """(passed, what the checker says) of one case."""
    result = subprocess.run([python, checker, clrnn, case, "--timeout", "600"], capture_output=True, text=True,
                            check=False)
    return result.returncode == 0, (result.stdout + result.stderr).strip()


def main():
    clrnn, root = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
    folder = pathlib.Path(os.environ.get("CLRNN_PARITY", root.parent / "shared" / "parity"))
    checker = folder / "check2.py"  # for both collections
    if not checker.exists():
        print("1..0 # SKIP no recorded runs lie beside this checkout")
        return 0
    python = interpreter()
    if python is None:
        print("1..0 # SKIP no Python with numpy")
        return 0
    cases = []
    for collection in ("open", "open2"):
        found = sorted(path.parent for path in (folder / collection).rglob("expected.json"))
        small = os.environ.get("CLRNN_TEST_SMALL")
        cases += sorted(sorted(found, key=work)[:SMALL_CASES]) if small else found
    print(f"1..{len(cases)}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        results = pool.map(lambda case: run(python, checker, clrnn, case), cases)
        for number, (case, (passed, text)) in enumerate(zip(cases, results), 1):
            failed += not passed
            if not passed:
                print("\n".join(f"# {line}" for line in text.splitlines()))
            print(f"{'ok' if passed else 'not ok'} {number} - {case.name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
