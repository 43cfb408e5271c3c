#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the test suites on every OpenCL implementation that is installed, and adds up.

    tests/run.py BUILD [--only NAME]

NAME is one of the passes below. Exit status 0 where nothing failed.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import oclgrind

# Intel's CPU runtime, in the virtual environment that the job intel of tests/jobs.py makes.
INTEL = pathlib.Path(__file__).resolve().parent.parent / "build-intel"
INTEL_LIBRARY = INTEL / "lib" / "libintelocl.so"

# The suites of a pass; None: all. Oclgrind simulates every instruction: kernels and one run, at tiny sizes; what its
# checks find fails the pass.
PASSES = {
    "pocl": {"suites": None, "env": {"CLRNN_DEVICE": "pocl"}},
    "rusticl": {
        "suites": ["device", "ops", "model", "run", "parity"],
        "env": {"CLRNN_DEVICE": "rusticl", "RUSTICL_ENABLE": "llvmpipe", "CLRNN_TEST_SMALL": "1"},
    },
    "oclgrind": {"suites": ["ops", "groups", "variants", "run"], "env": {}},
    "intel": {
        "suites": ["device", "ops", "groups", "variants", "model", "run", "parity"],
        "env": {"CLRNN_DEVICE": "intel", "OCL_ICD_VENDORS": str(INTEL_LIBRARY)},
    },
}
TAP_LINE = re.compile(r"^(not )?ok \d+(?: - (.*?))?(?:\s*#\s*(SKIP|skip).*)?$", re.M)


def installed(name):
    """Whether the implementation is there."""
    if name == "oclgrind":
        return oclgrind.installed()
    if name == "intel":
        return INTEL_LIBRARY.exists()
    listing = subprocess.run(["clinfo", "-l"], capture_output=True, text=True, check=False,
                             env={**os.environ, "RUSTICL_ENABLE": "llvmpipe"}).stdout.lower()
    return {"pocl": "portable computing language", "rusticl": "rusticl"}[name] in listing


def count(log):
    """(passed, failed, skipped, texts of what went wrong) of one meson log."""
    passed = failed = skipped = 0
    wrong = []
    for line in log.read_text().splitlines():
        test = json.loads(line)
        bad = 0
        lines = TAP_LINE.findall(test.get("stdout", ""))
        if not lines:  # no TAP: the program is one test
            passed += test["result"] == "OK"
            skipped += test["result"] == "SKIP"
        for line_failed, name, skip in lines:
            if skip:
                skipped += 1
            elif line_failed:
                bad += 1
                wrong.append(f"{test['name']}: {name}")
            else:
                passed += 1
        if test["result"] not in ("OK", "EXPECTEDFAIL", "SKIP") and bad == 0:
            bad = 1
            wrong.append(f"{test['name']}: {test['result']}")
        failed += bad
        if bad:
            wrong.append((test.get("stdout", "") + test.get("stderr", ""))[-6000:])
    return passed, failed, skipped, wrong


def test(name, build, words, env, findings=None, patience=4):
    """(passed, failed, skipped) of `meson test` with these words, environment and multiple of the time limits;
    findings() gives what else was found."""
    log = build / "meson-logs" / f"testlog-{name}.json"
    log.unlink(missing_ok=True)
    started = time.monotonic()
    subprocess.run(["meson", "test", "-C", str(build), "--no-rebuild", "--logbase", f"testlog-{name}",
                    "--timeout-multiplier", str(patience), *words],
                   env={**os.environ, **env}, check=False)
    found = findings() if findings else ""
    if not log.exists():
        print(f"{name}: meson test wrote no log")
        return 0, 1, 0
    passed, failed, skipped, wrong = count(log)
    if found is None or found:
        failed += 1
        wrong.append(f"oclgrind found:\n{found[:6000]}" if found else "oclgrind was not run")
    for text in wrong:
        print(text)
    print(f"{name}: {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - started:.0f} s\n",
          flush=True)
    return passed, failed, skipped


def run(name, build):
    """One pass; (passed, failed, skipped)."""
    words = [word for suite in PASSES[name]["suites"] or [] for word in ("--suite", suite)]
    if name != "oclgrind":
        return test(name, build, words, PASSES[name]["env"])
    with tempfile.TemporaryDirectory(prefix="clrnn-tests-") as folder:
        return test(name, build, words, oclgrind.environment(build, folder), lambda: oclgrind.findings(folder))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--only", choices=PASSES)
    options = parser.parse_args()
    total = [0, 0, 0]
    for name in [options.only] if options.only else PASSES:
        if not installed(name):
            print(f"{name}: not installed, its pass is skipped\n")
            total[2] += 1
            continue
        total = [a + b for a, b in zip(total, run(name, options.build))]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
