#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Padding, whatever it holds, changes no number; weights to start from, of every type; much data in little memory."""
import math
import os
import random
import struct
import subprocess
import sys

import harness
from harness import QUIET, near, numbers, read_npy, read_safetensors, tensors, write_npy, write_safetensors

# ---------------------------------------------------------------- padding

PADDED = {  # layers, classes per step; tokens where an embedding comes first
    "pooled": ["lstm: {hidden_size: 7, bidirectional: true, num_layers: 2, dropout: 0.3}", "batchnorm",
               "dropout: {p: 0.2}", "pool: {over: mean}", "linear: {out_features: 2}"],
    "per_step": ["gru: {hidden_size: 6, bidirectional: true}", "layernorm", "rnn: {hidden_size: 5}", "tanh",
                 "batchnorm", "linear: {out_features: 2}"],
    "mlp": ["linear: {out_features: 5}", "batchnorm: {track_running_stats: false}", "relu", "pool: {over: max}",
            "linear: {out_features: 2}"],
    "last": ["rnn: {hidden_size: 33}", "sigmoid", "pool: {over: last}", "linear: {out_features: 2}"],
    "tokens": ["embedding: {num_embeddings: 11, embedding_dim: 4, padding_idx: 3}", "gru: {hidden_size: 6}",
               "pool: {over: final}", "linear: {out_features: 2}"],
}
T = 17


def write_padded(c, tokens, per_step, filler):
    """Data sets whose padding holds filler(draw); valid steps are always the same."""
    draw, noise = random.Random(7), random.Random(8)
    for prefix, samples in (("train", 45), ("valid", 20)):
        lengths = [T if n == 5 else draw.randint(1, 12) for n in range(samples)]
        x, y = [], []
        for length in lengths:
            for t in range(T):
                for _ in range(1 if tokens else 3):
                    value = draw.randrange(11) if tokens else draw.gauss(0, 1)
                    x.append(value if t < length else filler(noise))
                label = draw.randrange(2)
                if per_step:
                    y.append(label if t < length else noise.choice((0, 1, -100)))
                elif t == 0:
                    y.append(label)
        shape = (samples, T) if tokens else (samples, T, 3)
        write_npy(c.folder / f"X_{prefix}.npy", "<i8" if tokens else "<f4", shape, x)
        write_npy(c.folder / f"y_{prefix}.npy", "<i8", (samples, T) if per_step else (samples,), y)
        write_npy(c.folder / f"l_{prefix}.npy", "<i8", (samples,), lengths)


def padding(name):
    layers = PADDED[name]

    def test(c):
        tokens, per_step = layers[0].startswith("embedding"), not any(line.startswith("pool") for line in layers)
        fillers = {"zeros": lambda noise: 0, "tokens": lambda noise: noise.randrange(11),
                   "garbage": lambda noise: noise.choice((-5, 10 ** 9, -10 ** 12))} if tokens else \
            {"zeros": lambda noise: 0.0, "numbers": lambda noise: noise.uniform(-1e30, 1e30),
             "nan": lambda noise: noise.choice((math.nan, math.inf, -math.inf))}
        sources = "".join(f"  {p}: {{x: X_{p}.npy, y: y_{p}.npy, lengths: l_{p}.npy}}\n" for p in ("train", "valid"))
        c.write("config.yaml", "model:\n  layers:\n" + "".join(f"  - {line}\n" for line in layers) +
                "train:\n  epochs: 2\n  batch_size: 8\n  shuffle: true\n  seed: 3\n  clip_grad_norm: 1.0\n"
                f"  log_every: 1\ndata:\n{sources}" + ("" if tokens else "  normalize: standard\n"))
        for bucket in ("false", "true"):
            want = None
            for word, filler in fillers.items():
                write_padded(c, tokens, per_step, filler)
                c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", f"data.bucket={bucket}")
                got = [c.bytes("run"), c.bytes("run", "best.safetensors"), c.steps("run"),
                       [(e["train_loss"], e["valid_loss"], e["valid_accuracy"]) for e in c.epochs("run")]]
                data = ("--x", "X_valid.npy", "--lengths", "l_valid.npy")
                c.run("predict", "run", *data, "--out", "p.npy", "--quiet")
                got.append((c.folder / "p.npy").read_bytes())
                got.append(c.run("eval", "run", *data, "--y", "y_valid.npy", "--json")[0])
                assert want is None or got == want, \
                    f"bucket {bucket}: with {word} in the padding, result {[a == b for a, b in zip(got, want)]} differs"
                want = got

    test.__name__ = "padding_" + name
    return test


def padded_predictions(c):
    """Per step, in padding: zeros, class -1, no rows in CSV."""
    write_padded(c, False, True, lambda noise: math.nan)
    sources = "".join(f"  {p}: {{x: X_{p}.npy, y: y_{p}.npy, lengths: l_{p}.npy}}\n" for p in ("train", "valid"))
    c.write("config.yaml", "model:\n  layers:\n" + "".join(f"  - {line}\n" for line in PADDED["per_step"]) +
            f"train: {{epochs: 1, batch_size: 8}}\ndata:\n{sources}")
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    data = ("--x", "X_valid.npy", "--lengths", "l_valid.npy")
    lengths = read_npy(c.folder / "l_valid.npy")[1]
    c.run("predict", "run", *data, "--out", "classes.npy", "--classes", "--quiet")
    shape, classes = read_npy(c.folder / "classes.npy")
    assert shape == (20, T)
    c.run("predict", "run", *data, "--out", "logits.npy", "--quiet")
    shape, logits = read_npy(c.folder / "logits.npy")
    assert shape == (20, T, 2)
    for n in range(20):
        for t in range(T):
            a, b = logits[(n * T + t) * 2:(n * T + t) * 2 + 2]
            if t < lengths[n]:
                assert classes[n * T + t] == (b > a)
            else:
                assert classes[n * T + t] == -1 and a == b == 0, (n, t)
    c.run("predict", "run", *data, "--out", "probs.csv", "--probs", "--quiet")
    lines = (c.folder / "probs.csv").read_text().splitlines()
    assert lines[0] == "sample,step,prob_0,prob_1" and len(lines) == 1 + sum(lengths)
    assert [tuple(map(int, line.split(",")[:2])) for line in lines[1:]] == \
        [(n, t) for n in range(20) for t in range(lengths[n])]
    # a sample says the same alone as among longer ones
    for n in (0, 7):
        x = read_npy(c.folder / "X_valid.npy")[1][n * T * 3:(n + 1) * T * 3]
        write_npy(c.folder / "one.npy", "<f4", (1, lengths[n], 3), x[:lengths[n] * 3])
        c.run("predict", "run", "--x", "one.npy", "--no-lengths", "--out", "one_p.npy", "--quiet")
        for a, b in zip(read_npy(c.folder / "one_p.npy")[1], logits[n * T * 2:]):
            near(a, b, 1e-5, f"sample {n} alone")


# ---------------------------------------------------------------- weights to start from

def to_type(values, dtype):
    """Values as raw bytes of a safetensors type; BF16 by cutting float32."""
    if dtype == "BF16":
        return b"".join(struct.pack("<f", v)[2:] for v in values)
    return struct.pack(f"<{len(values)}{ {'F16': 'e', 'F32': 'f', 'F64': 'd'}[dtype]}", *values)


def init_types(c):
    """Numbers that all four types can hold give the same predictions, bit for bit, in each."""
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", "train.epochs=1")
    c.run("export", "run", "--to", "safetensors", "--out", "plain.safetensors")
    plain, _ = read_safetensors(c.folder / "plain.safetensors")
    want = None
    for dtype in ("F32", "F16", "BF16", "F64"):
        typed = {}
        for name, (old, shape, data) in plain.items():
            if old == "I64":
                typed[name] = (old, shape, data)
                continue
            values = [round(v * 64) / 64 for v in numbers((old, shape, data))]  # bfloat16 has 8 bits
            typed[name] = (dtype, shape, to_type([max(-3.0, min(3.0, v)) for v in values], dtype))
        write_safetensors(c.folder / f"{dtype}.safetensors", typed)
        c.run("predict", "--init", f"{dtype}.safetensors", "--config", "config.yaml", "--x", "X_valid.npy", "--out",
              "p.npy", "--quiet")
        c.run("train", "config.yaml", "--init", f"{dtype}.safetensors", "--out", "from", *QUIET)
        got = read_npy(c.folder / "p.npy"), c.bytes("from")
        assert want is None or got == want, f"{dtype} gives other numbers than F32"
        want = got


def init_mismatch(c):
    """All that does not fit stands in one error; --init-partial loads the rest and says what it left."""
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", "train.epochs=1")
    c.run("export", "run", "--to", "safetensors", "--out", "plain.safetensors")
    plain, _ = read_safetensors(c.folder / "plain.safetensors")
    marked = {name: t for name, t in plain.items() if name not in ("rnn.bias_hh_l0_reverse", "norm.weight")}
    marked["rnn.weight_ih_l0"] = ("F32", [8, 2], b"\0" * 64)
    marked["head.bias"] = ("F32", [3], b"\0" * 12)
    marked["attention.weight"] = ("F32", [1], b"\0" * 4)
    marked["head.weight"] = ("F32", [2, 16], struct.pack("<32f", *range(32)))
    write_safetensors(c.folder / "odd.safetensors", marked)
    names = ("rnn.bias_hh_l0_reverse", "norm.weight", "rnn.weight_ih_l0 [8, 2] (expected [8, 3])",
             "head.bias [3] (expected [2])", "attention.weight")
    for command in (("train", "config.yaml", "--init", "odd.safetensors", "--out", "odd", *QUIET),
                    ("predict", "--init", "odd.safetensors", "--config", "config.yaml", "--x", "X_valid.npy", "--out",
                     "p.npy")):
        _, err = c.run(*command, status=3)
        error = [line for line in err.splitlines() if "error:" in line]
        assert len(error) == 1 and all(name in error[0] for name in names), error
        for word in ("missing rnn", "extra attention", "wrongly shaped"):
            assert word in error[0], error
    _, err = c.run("train", "config.yaml", "--init", "odd.safetensors", "--init-partial", "--out", "odd", "--no-plot",
                   "--no-watch", "--set", "train.optimizer={sgd: {lr: 0.0}}", "--set", "train.epochs=1")
    warning = [line for line in err.splitlines() if "warning:" in line and "odd.safetensors" in line]
    assert len(warning) == 1 and all(name in warning[0] for name in names), err
    got = tensors(c, "odd")
    assert got["head.weight"] == marked["head.weight"] and got["rnn.weight_hh_l0"] == plain["rnn.weight_hh_l0"]
    c.run("train", "config.yaml", "--set", "train.init=odd.safetensors", "--init-partial", "--out", "named", *QUIET,
          "--no-watch", "--set", "train.optimizer={sgd: {lr: 0.0}}", "--set", "train.epochs=1")
    assert tensors(c, "named") == got
    c.refused(2, ["init_partial", "without initial weights"], "train", "config.yaml", "--init-partial", "--out", "no")
    c.run("train", "config.yaml", "--out", "fresh", *QUIET, "--set", "train.optimizer={sgd: {lr: 0.0}}", "--set",
          "train.epochs=1")
    assert got["rnn.weight_ih_l0"] == tensors(c, "fresh")["rnn.weight_ih_l0"]  # what does not fit is drawn
    write_safetensors(c.folder / "none.safetensors", {"other": ("F32", [1], b"\0" * 4)})
    c.run("train", "config.yaml", "--init", "none.safetensors", "--init-partial", "--out", "none", *QUIET, status=3)


def init_units(c):
    """Moments in a file of weights that the config leaves unused are said, of the data and of the targets."""
    c.write("real.yaml", harness.CONFIG.replace("out_features: 2", "out_features: 1").replace("cross_entropy", "mse"))
    both = "--set", "data.normalize=standard", "--set", "data.normalize_targets=standard"
    options = "--out", "from", *QUIET, "--no-watch", "--set", "train.epochs=1"
    c.run("train", "real.yaml", "--out", "run", *QUIET, *both, "--set", "train.epochs=1")
    init = "--init", "run/last.safetensors"
    _, err = c.run("train", "real.yaml", *init, *options)
    assert err.count("not loaded") == 2 and "its input.mean and input.std are not loaded" in err, err
    assert "no 'normalize_targets: standard': its target.mean and target.std are not loaded" in err, err
    assert "not loaded" not in c.run("train", "real.yaml", *init, *options, *both)[1]
    _, err = c.run("train", "config.yaml", *init, "--init-partial", *options)  # classes have no units
    assert "target.mean" not in err and "input.mean" in err, err


# ---------------------------------------------------------------- much data

def write_zeros(path, samples, features):
    """A .npy file of zeros that takes no room on the disk."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({samples}, {features}), }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.truncate(10 + len(header) + 4 * samples * features)


def predict_streams(c):
    """A million samples need no more memory than a thousand, in whichever form they come out."""
    c.write("wide.yaml", "model: {layers: [{linear: {out_features: 2}}]}\n"
            "train: {batch_size: 4096, epochs: 1}\ndata: {train: {synthetic: {samples: 64, features: 64}}}\n")
    c.run("train", "wide.yaml", "--out", "run", *QUIET)
    write_zeros(c.folder / "few.npy", 10 ** 4, 64)
    write_zeros(c.folder / "many.npy", 10 ** 6, 64)  # 256 MB
    c.run("predict", "run", "--x", "many.npy", "--out", "p.npy", "--quiet")  # compilers need memory: built now
    for out in ("p.npy", "p.csv"):
        few = c.peak_kib("predict", "run", "--x", "few.npy", "--out", out, "--quiet")
        many = c.peak_kib("predict", "run", "--x", "many.npy", "--out", out, "--quiet")
        assert many < few + 80 * 1024, f"{out}: {few} KiB for 10,000 samples, {many} KiB for 1,000,000"
    assert sum(1 for _ in open(c.folder / "p.csv", encoding="ascii")) == 10 ** 6 + 1
    (c.folder / "many.npy").unlink()


if __name__ == "__main__":
    sys.exit(harness.main([*[padding(name) for name in PADDED], padded_predictions, init_types, init_mismatch,
                           init_units, predict_streams]))
