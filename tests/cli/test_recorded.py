#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Small training runs recorded from PyTorch in double (tests/golden/record_training.py), trained with clrnn on ref and
on the device of CLRNN_DEVICE: losses of all steps, validation and last weights, as TAP. With CLRNN_TEST_SMALL a few.

    test_recorded.py CLRNN ROOT [CASE...]"""
import base64
import json
import math
import os
import pathlib
import sys

from harness import main, near, numbers, read_safetensors, write_safetensors

TOLERANCE = 2e-5  # float32 against double over a few steps of small nets
SMALL = 12


def save(c, case):
    for name, (descr, shape, text) in case["data"].items():
        header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple(shape)}, }}"
        header += " " * (63 - (10 + len(header)) % 64) + "\n"
        (c.folder / f"{name}.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") +
                                               header.encode() + base64.b64decode(text))
    write_safetensors(c.folder / "init.safetensors", {name: ("F32", shape, base64.b64decode(text))
                                                      for name, (_, shape, text) in case["init"].items()})
    c.write("case.json", json.dumps(case["config"]))


def compare(c, case, run):
    steps, epochs = c.steps(run), c.epochs(run)
    assert len(steps) == len(case["losses"]), f"{len(steps)} steps, expected {len(case['losses'])}"
    for number, (step, want) in enumerate(zip(steps, case["losses"]), 1):
        near(step["loss"], want, TOLERANCE, f"{run}: loss of step {number}")
    for number, (epoch, want) in enumerate(zip(epochs, case["epochs"]), 1):
        near(epoch["train_loss"], want[0], TOLERANCE, f"{run}: train_loss of epoch {number}")
        near(epoch["valid_loss"], want[1], TOLERANCE, f"{run}: valid_loss of epoch {number}")
    tensors = read_safetensors(c.folder / run / "last.safetensors")[0]
    assert not any(name.startswith("optim.state") for name in tensors), "the file of a finished run holds a state"
    for name, (_, shape, text) in case["final"].items():
        want = numbers(("F32", shape, base64.b64decode(text)))
        got = numbers(tensors[name])
        assert len(got) == len(want) and all(map(math.isfinite, got)), f"{run}: {name}"
        near(max(abs(a - b) for a, b in zip(got, want)), 0, 5 * TOLERANCE, f"{run}: {name}")


def test_of(name, case):
    def test(c):
        save(c, case)
        for device in ("ref", None):
            run = f"run_{device or 'device'}"
            c.run("train", "case.json", "--init", "init.safetensors", "--out", run, "--quiet",
                  *(("--device", device) if device else ()))
            compare(c, case, run)
    test.__name__ = name
    return test


if __name__ == "__main__":
    recorded = json.loads((pathlib.Path(sys.argv.pop(2)) / "tests/golden/training.json").read_text())
    names = list(recorded)[::len(recorded) // SMALL] if os.environ.get("CLRNN_TEST_SMALL") else recorded
    sys.exit(main([test_of(name, recorded[name]) for name in names]))
