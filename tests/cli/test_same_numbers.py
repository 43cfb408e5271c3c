#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same tiny run on the test device and on the double-precision reference: losses differ by rounding only."""
import os
import sys

import harness
from harness import read_npy, write_dataset

# Every op of the seed's model, and one of the other cells.
SEED_LIKE = """\
model:
  layers:
  - rnn: {name: rnn, hidden_size: 3, num_layers: 2, bidirectional: true}
  - batchnorm: {name: norm}
  - %s: {name: rnn2, hidden_size: 4}
  - dropout: {p: 0.5}
  - pool: {over: last}
  - linear: {name: fc7, out_features: 2}
train:
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
  scheduler: {step_lr: {step_size: 1, gamma: 0.5}}
  epochs: 2
  batch_size: 4
  shuffle: true
  seed: 3
  clip_grad_norm: 1.0
  log_every: 1
data:
  train: {x: X_train.npy, y: y_train.npy}
"""
# Float32 keeps 24 bits; a loss is a few hundred operations deep here: 1e-5 leaves a factor of about ten.
BOUND = 1e-5


def same(c, steps, cell, env=None):
    write_dataset(c.folder, 6, steps, 5)
    c.write("tiny.yaml", SEED_LIKE % cell)
    device = os.environ.get("CLRNN_DEVICE") or "cpu"
    for name, out in ((device, "device"), ("ref", "ref")):
        c.run("train", "tiny.yaml", "--device", name, "--out", out, "--quiet", "--no-plot", "--no-watch", env=env)
        c.run("predict", out, "--device", name, "--x", "X_train.npy", "--out", f"{out}.npy", "--quiet")
    got, want = c.steps("device"), c.steps("ref")
    assert len(got) == len(want) == 4
    for a, b in zip(got, want):
        assert abs(a["loss"] - b["loss"]) <= BOUND * abs(b["loss"]), (a, b)
        assert a["lr"] == b["lr"]
    (shape, got), (wanted, want) = read_npy(c.folder / "device.npy"), read_npy(c.folder / "ref.npy")
    assert shape == wanted and max(abs(a - b) for a, b in zip(got, want)) <= 1e-4 * max(map(abs, want))


def one_step(c):
    same(c, 1, "rnn")


def several_steps(c):
    same(c, 3, "lstm")


def gated(c):
    same(c, 2, "gru")


def chained(c):
    same(c, 2, "rnn", {"CLRNN_CHAIN_AFTER": "0"})


if __name__ == "__main__":
    sys.exit(harness.main([one_step, several_steps, gated, chained]))
