#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Launches carried out as a chain give the same bytes as each by itself."""
import random
import sys

import harness
from harness import write_dataset, write_npy

CONFIG = """\
model:
  layers:
%s
train:
  loss: %s
  optimizer: {%s}
  scheduler: {step_lr: {step_size: 1, gamma: 0.5}}
  epochs: 2
  batch_size: 4
  shuffle: true
  seed: 3
%s
data:
  train: {x: X_train.npy, y: y_train.npy}
  valid: {x: X_train.npy, y: y_train.npy}
"""


def same_bytes(c, steps, layers, loss="cross_entropy", optimizer="adam: {lr: 0.01}", more=""):
    write_dataset(c.folder, 18, steps, 21)
    compare(c, CONFIG % ("\n".join("  - " + layer for layer in layers), loss, optimizer, more), [])


def compare(c, config, predict):
    """Train twice, the last batch smaller than the others; the second time every plan is chained from its first run."""
    c.write("net.yaml", config)
    for out, after in (("single", "never"), ("chain", "0")):
        env = {"CLRNN_CHAIN_AFTER": after}
        c.run("train", "net.yaml", "--out", out, "--quiet", "--no-plot", "--no-watch", env=env)
        c.run("predict", out, "--x", "X_train.npy", "--out", f"{out}.npy", "--quiet", *predict, env=env)
    for name in ("single/last.safetensors", "single.npy"):
        assert (c.folder / name).read_bytes() == (c.folder / name.replace("single", "chain")).read_bytes(), name
    times = ("seconds", "samples_per_s")
    single, chain = ([{k: v for k, v in line.items() if k not in times} for line in c.epochs(out)]
                     for out in ("single", "chain"))
    assert single == chain and len(single) == 2


def tokens(c):
    """Embedded sequences of different lengths."""
    rng = random.Random(1)
    write_npy(c.folder / "X_train.npy", "<i4", (18, 6), [rng.randrange(7) for _ in range(18 * 6)])
    write_npy(c.folder / "lengths.npy", "<i4", (18,), [rng.randrange(1, 7) for _ in range(18)])
    write_npy(c.folder / "y_train.npy", "<i4", (18,), [rng.randrange(2) for _ in range(18)])
    layers = ("  - embedding: {num_embeddings: 7, embedding_dim: 5}\n  - lstm: {hidden_size: 6}\n"
              "  - pool: {over: last}\n  - linear: {out_features: 2}")
    config = CONFIG % (layers, "cross_entropy", "sgd: {lr: 0.1, momentum: 0.9, nesterov: true}", "")
    compare(c, config.replace("y: y_train.npy}", "y: y_train.npy, lengths: lengths.npy}"),
            ["--lengths", "lengths.npy"])


def one_step(c):
    same_bytes(c, 1, ["rnn: {hidden_size: 17, num_layers: 2, bidirectional: true}", "batchnorm",
                      "gru: {hidden_size: 5}", "dropout: {p: 0.5}", "linear: {out_features: 2}"])


def sequences(c):
    same_bytes(c, 5, ["lstm: {hidden_size: 16, num_layers: 2, bidirectional: true, dropout: 0.2}", "layernorm",
                      "pool: {over: mean}", "linear: {out_features: 2}"],
               optimizer="adamw: {lr: 0.01, amsgrad: true}", more="  clip_grad_norm: 0.5")


def every_kind(c):
    same_bytes(c, 4, ["batchnorm", "gru: {hidden_size: 9}", "rnn: {hidden_size: 20, nonlinearity: relu}", "sigmoid",
                      "pool: {over: max}", "linear: {out_features: 30}", "tanh", "linear: {out_features: 2}",
                      "log_softmax"],
               loss="nll", optimizer="rmsprop: {lr: 0.001, momentum: 0.5, centered: true}")


if __name__ == "__main__":
    sys.exit(harness.main([one_step, sequences, every_kind, tokens]))
