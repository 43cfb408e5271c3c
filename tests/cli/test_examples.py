#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The configs of examples/ on made-up data of the shapes that their comments name: each is planned and trained for an
epoch of a batch or two, and tools/example-data makes what the examples read. As TAP.

    test_examples.py CLRNN ROOT [TEST...]"""
import json
import math
import pathlib
import random
import re
import shutil
import subprocess
import sys

from harness import Skip, main, read_npy, write_npy

ROOT = pathlib.Path(sys.argv.pop(2)).resolve()
PYTHONS = [sys.executable, "/usr/bin/python3"]


def series(T, C, high, **more):
    """Shapes of an example: T steps of C features (0: tokens below `tokens`), y below `high`."""
    return {"T": T, "C": C, "high": high, **more}


SHAPES = {
    "attention": series(20, 0, 18, tokens=59),
    "characters": series(256, 0, 65, tokens=65, y="steps"),
    "convolution": series(128, 9, 6),
    "ctc": series(58, 9, 11, y="labels", L=6),
    "forecast": {"months": 144},
    "label-per-step": series(64, 14, 2, y="steps"),
    "multichannel-sequence": series(128, 9, 6),
    "regression": series(84, 1, 0, y="real"),
    "seed-broken": series(1, 2474, 2),
    "seed-fixed": series(1, 2474, 2),
    "several-labels": series(64, 1, 2, y="several", L=4),
    "tokens": series(20, 0, 18, tokens=59),
    "univariate-sequence": series(24, 1, 2),
    "variable-length": series(29, 12, 9),
    "variable-length-univariate": series(455, 1, 6),
    "wide-features": series(1, 57, 2),
}


def array(key, s, N, draw):
    """(descr, shape, values) of what a set of an example names by `key`."""
    def whole(shape, low, high):
        return "<i8", shape, [draw.randrange(low, high) for _ in range(math.prod(shape))]

    def real(*shape):
        return "<f4", shape, [draw.gauss(0, 1) for _ in range(math.prod(shape))]

    T = s["T"]
    if key == "x":
        return real(N, T, s["C"]) if s["C"] else whole((N, T), 1, s["tokens"])
    if key == "lengths":
        return "<i8", (N,), [draw.randrange(T * 3 // 4, T + 1) for _ in range(N)]
    if key == "y_lengths":
        return whole((N,), 1, s["L"] + 1)
    kind = s.get("y")
    if kind == "real":
        return real(N)
    if kind == "several":
        return "<f4", (N, s["L"]), [float(draw.randrange(2)) for _ in range(N * s["L"])]
    return whole({"steps": (N, T), "labels": (N, s.get("L"))}.get(kind, (N,)), 1 if kind == "labels" else 0, s["high"])


def make(c, path, text):
    """Copies an example and makes every file that it reads."""
    (c.folder / "examples").mkdir(exist_ok=True)
    (c.folder / "examples" / path.name).write_text(text)
    shape, draw = SHAPES[path.stem], random.Random(1)
    N = int(re.search(r"batch_size: (\d+)", text)[1])
    for key, name in re.findall(r"\b(x|y|lengths|y_lengths|csv): \.\./(data/[^,}\s]+)", text):
        file = c.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if key == "csv":
            rows = [f"{1949 + n // 12}-{n % 12 + 1:02},{100 + n + 20 * (n % 12)}" for n in range(shape["months"])]
            file.write_text("Month,Passengers\n" + "\n".join(rows) + "\n")
        else:
            write_npy(file, *array(key, shape, N, draw))


def test_of(path):
    def test(c):
        text = re.sub(r"#.*", "", path.read_text())
        make(c, path, text)
        config = f"examples/{path.name}"
        plan = json.loads(c.run("plan", config, "--json")[0])
        assert plan["ops"], plan
        c.run("train", config, "--set", "train.epochs=1", "--out", "run", "--quiet", "--no-plot", "--no-watch")
        epoch, = c.epochs("run")
        assert epoch["step"] >= 1 and math.isfinite(epoch["train_loss"]) and math.isfinite(epoch["valid_loss"]), epoch
    test.__name__ = path.stem
    return test


def example_data(c):
    """tools/example-data makes the files that its examples name, in the shapes above, twice the same."""
    for python in PYTHONS:
        if shutil.which(python) and subprocess.run([python, "-c", "import numpy"], capture_output=True,
                                                   check=False).returncode == 0:
            break
    else:
        raise Skip("no Python with numpy")
    (c.folder / "input.txt").write_text("To be, or not to be, that is the question:\n" * 900)
    few = ["--samples", "5", "--test-samples", "3"]
    for task, example, words in (("digits", "ctc", few), ("patterns", "several-labels", few),
                                 ("text", "characters", ["input.txt"])):
        for out in ("first", "second"):
            subprocess.run([python, ROOT / "tools/example-data", task, *words, f"{out}/{task}"], cwd=c.folder,
                           check=True, capture_output=True)
        s, text = SHAPES[example], (ROOT / "examples" / f"{example}.yaml").read_text()
        named = re.findall(r"\b(x|y|lengths|y_lengths): \.\./data/[^/]+/([^,}\s]+)", text)
        made = {path.name for path in (c.folder / "first" / task).iterdir()}
        assert made == {name for _, name in named}, (made, named)
        for key, name in named:
            file = c.folder / "first" / task / name
            assert file.read_bytes() == (c.folder / "second" / task / name).read_bytes(), name
            shape, values = read_npy(file)
            wanted = array(key, s, shape[0], random.Random(1))[1]
            assert shape == wanted, (name, shape, wanted)
            if key in ("lengths", "y_lengths"):
                assert 1 <= min(values) and max(values) <= (s["T"] if key == "lengths" else s["L"]), name
            if task == "text":
                assert min(values) == 0 and max(values) < s["high"], name
    x, y = (read_npy(c.folder / f"first/text/{name}_train.npy")[1] for name in "Xy")
    assert list(x[1:256]) == list(y[:255]), "y is not the next character"
    # sample n of a batch of 32 goes on where sample n of the batch before ended
    assert len(x) > 33 * 256 and y[255] == x[32 * 256] and y[256 + 255] == x[33 * 256]


PATHS = sorted((ROOT / "examples").glob("*.yaml"))
if __name__ == "__main__":
    unknown = [path.stem for path in PATHS if path.stem not in SHAPES]
    assert not unknown, f"no shapes for examples/{unknown[0]}.yaml"
    sys.exit(main([*map(test_of, PATHS), example_data]))
