#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Training runs of convolutions, pools over time, attention, residual, concat and ctc, recorded from PyTorch by
tests/golden/record_graphs.py: losses of every step, weights and outputs at the end, number for number, as TAP.

    test_graphs.py CLRNN ROOT

On the device that CLRNN_DEVICE names, within ten times the rounding that PyTorch's own float32 has in that run, or the
reference (ref), within 1e-6; with CLRNN_TEST_SMALL every eighth run."""
import json
import math
import os
import pathlib
import struct
import sys

import harness

BATCH, EPOCHS, LR = 4, 2, 0.1
ROOT = pathlib.Path(sys.argv.pop(2))
CASES = json.loads((ROOT / "tests" / "golden" / "graphs.json").read_text())


def write_case(c, case):
    N, T, C = case["shape"]
    harness.write_npy(c.folder / "X.npy", "<f4", (N, T, C), case["x"])
    harness.write_npy(c.folder / "y.npy", "<i8", case["y_shape"], case["y"])
    names = {"x": "X.npy", "y": "y.npy"}
    for key in ("lengths", "y_lengths"):
        if case[key] is not None:
            harness.write_npy(c.folder / f"{key}.npy", "<i8", (N,), case[key])
            names[key] = f"{key}.npy"
    loss = {"ctc": "ctc", "ctc_blank": {"ctc": {"blank": 3}}, "ctc_zero": {"ctc": {"zero_infinity": True}}}
    config = {"model": {"layers": case["layers"]},
              "train": {"loss": loss.get(case["loss"], "cross_entropy"), "optimizer": {"sgd": {"lr": LR}},
                        "epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, "log_every": 1},
              "data": {"train": names}}
    c.write("config.yaml", json.dumps(config))
    harness.write_safetensors(c.folder / "init.safetensors",
                              {name: ("F32", shape, struct.pack(f"<{len(values)}f", *values))
                               for name, (shape, values) in case["init"].items()})


def compare(got, want, tolerance, what):
    assert len(got) == len(want), f"{what}: {len(got)} numbers, expected {len(want)}"
    for i, (a, b) in enumerate(zip(got, want)):
        assert math.isfinite(a) and abs(a - b) <= tolerance * max(1, abs(b)), f"{what}[{i}]: {a}, PyTorch has {b}"


def check(c, case):
    tolerance = 1e-6 + (0 if os.environ.get("CLRNN_DEVICE") == "ref" else 10 * case["drift"])
    device = ("--device", os.environ.get("CLRNN_DEVICE", "cpu"))
    write_case(c, case)
    c.run("train", "config.yaml", "--init", "init.safetensors", "--out", "run", *harness.QUIET, *device)
    compare([s["loss"] for s in c.steps("run")], case["losses"], tolerance, "loss")
    tensors = harness.tensors(c, "run")
    for name, want in case["final"].items():
        compare(harness.numbers(tensors[name]), want, tolerance, name)
    lengths = ("--lengths", "lengths.npy") if case["lengths"] else ()
    c.run("predict", "run", "--x", "X.npy", *lengths, "--out", "p.npy", "--logits", "--quiet", *device)
    shape, got = harness.read_npy(c.folder / "p.npy")
    row = len(got) // shape[0]
    for n, want in enumerate(case["logits"]):
        compare(got[n * row:n * row + len(want)], want, tolerance, f"output of sample {n}")
        assert not any(got[n * row + len(want):(n + 1) * row]), f"output of sample {n} beyond its end"


def tests():
    small = 8 if os.environ.get("CLRNN_TEST_SMALL") else 1
    for name, case in list(CASES.items())[::small]:
        def test(c, case=case):
            check(c, case)
        test.__name__ = name
        yield test


sys.exit(harness.main(list(tests())))
