#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`clrnn export --to c --type int8`: every kind of layer compiles, and accuracy stays, as TAP.

    test_export_int8.py CLRNN ROOT [TEST...]

CLRNN_EXPORT_ALL: all reference sets beside the checkout."""
import math
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys

import export_cases as cases
from c_code import check, compile_c, export, read_npy_as, run_c
from harness import Skip, main, read_npy, write_npy

ROOT = pathlib.Path(sys.argv.pop(2))

# name: (layers, options): sets that are made here. Labels stand for a rhythm in noise, or for the commonest token.
LEARNED = {
    "rhythm_lstm": ("[lstm: {hidden_size: 16}, pool: {over: last}, linear: {out_features: 3}]", "standard"),
    "rhythm_gru_bi": ("[gru: {hidden_size: 12, num_layers: 2, bidirectional: true}, batchnorm, pool: {over: mean},"
                      " linear: {out_features: 3}]", "standard lengths"),
    "rhythm_conv": ("[conv1d: {out_channels: 12, kernel_size: 5, padding: same}, relu, gru: {hidden_size: 12,"
                    " layer_norm: true}, attention_pool: {attention_size: 6}, linear: {out_features: 3}]", ""),
    "tokens_lstm": (f"[embedding: {{num_embeddings: {cases.TOKENS}, embedding_dim: 8}}, lstm: {{hidden_size: 16,"
                    " proj_size: 8}, pool: {over: max}, linear: {out_features: 3}]", "tokens lengths"),
    "steps_rnn": ("[rnn: {hidden_size: 24, bidirectional: true}, layernorm, linear: {out_features: 3}]", "steps"),
}


def layers(c):
    """int8 weights keep the classes; every kind of layer compiles and steps like the whole."""
    for name in ("rnn_relu_2", "lstm_bi_last", "gru_max", "embedding_lstm", "embedding_bag", "behind_pool",
                 "concat_pools", "residual_conv", "flatten_bi", "ln_lstm_proj", "ln_gru", "attention_causal"):
        layers, options = cases.CASES[name]
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        cases.train(c, layers, options)
        export(c, "--type", "int8")
        compile_c(c)
        check(c, (3, 6), "tokens" in options, 1, bound=0.05)
        compile_c(c, program="example", source="net_main.c")
        subprocess.run(["./example"], cwd=c.folder / "c", check=True, capture_output=True)
    c.write("learned.yaml", (c.folder / "config.yaml").read_text().replace("epochs: 3", "epochs: 12"))
    c.run("train", "learned.yaml", "--device", "ref", "--out", "learned", "--quiet")
    export(c, "--type", "int8", run="learned")
    compile_c(c)
    shape, values = read_npy(c.folder / "X_valid.npy")
    _, labels = read_npy(c.folder / "y_valid.npy")
    _, expected = cases.predict(c, "learned", "X_valid.npy")
    outputs, _ = run_c(c, shape[:2], values, False)
    rights = [sum((v[2 * n + 1] > v[2 * n]) == label for n, label in enumerate(labels)) for v in (outputs, expected)]
    assert rights[1] > 0.8 * len(labels), "the float model has learned nothing: this test says nothing"
    assert rights[0] >= rights[1] - 0.01 * len(labels), f"{rights} of {len(labels)} right"


def made_set(c, part, options, seed):
    """Writes 400 samples of up to 20 steps with noise, of which about one in ten cannot be told."""
    draw, samples, steps = random.Random(seed), 400, 20
    x, y, lengths = [], [], []
    for _ in range(samples):
        label, phase = draw.randrange(3), draw.random() * 6
        lengths.append(draw.randrange(8, steps + 1) if "lengths" in options else steps)
        for t in range(steps):
            now = draw.randrange(3) if "steps" in options and draw.random() < 0.15 else label
            label = now if "steps" in options else label
            if "tokens" in options:
                x.append(3 * draw.randrange(3) + label if draw.random() < 0.25 else draw.randrange(9))
            else:
                x += [math.sin((0.4, 0.9, 1.5)[label] * t + phase) + draw.gauss(0, 0.8),
                      math.cos((0.4, 0.9, 1.5)[label] * t + phase) + draw.gauss(0, 0.8)]
            if "steps" in options:
                y.append(label)
        if "steps" not in options:
            y.append(label)
    tokens = "tokens" in options
    write_npy(c.folder / f"mX_{part}.npy", "<i4" if tokens else "<f4",
              (samples, steps) if tokens else (samples, steps, 2), x)
    write_npy(c.folder / f"my_{part}.npy", "<i8", (samples, steps) if "steps" in options else (samples,), y)
    write_npy(c.folder / f"ml_{part}.npy", "<i8", (samples,), lengths)
    return f"{{x: mX_{part}.npy, y: my_{part}.npy{', lengths: ml_' + part + '.npy' if 'lengths' in options else ''}}}"


def points(c, x, y, lengths, tokens):
    """Accuracies in per cent on a set of the float model and of the exported one."""
    shape, values = read_npy_as(x, tokens)
    shape = (shape[0], 1, shape[1]) if len(shape) == 2 and not tokens else shape
    labels = read_npy_as(y, True)[1]
    steps_of = read_npy_as(lengths, True)[1] if lengths else [shape[1]] * shape[0]
    _, expected = cases.predict(c, "run", str(x), lengths and str(lengths))
    size, outs, each = len(values) // shape[0], len(expected) // shape[0], len(labels) // shape[0]
    width, classes, right, count = size // shape[1], outs // each, [0, 0], 0
    for steps in sorted(set(steps_of)):  # sequences of one length at a time
        chosen = [n for n in range(shape[0]) if steps_of[n] == steps]
        inputs = [v for n in chosen for v in values[n * size:n * size + steps * width]]
        got, _ = run_c(c, (len(chosen), steps), inputs, tokens)
        wanted = min(each, steps)
        for i, n in enumerate(chosen):
            for t in range(wanted):
                truth = labels[n * each + t]
                for which, outputs, at in ((0, expected, n * outs + t * classes),
                                           (1, got, (i * wanted + t) * classes)):
                    scores = outputs[at:at + classes]
                    right[which] += scores.index(max(scores)) == truth
                count += 1
    return [100 * r / count for r in right]


def learned(c):
    """int8 loses at most 1 point of accuracy on five sets of different kinds that are made here."""
    for name, (layers, options) in LEARNED.items():
        sets = [made_set(c, part, options, seed) for part, seed in (("train", 1), ("valid", 2))]
        c.write("learned.yaml", f"""\
model: {{layers: {layers}}}
train: {{loss: cross_entropy, optimizer: {{adam: {{lr: 0.01}}}}, epochs: 8, batch_size: 16, shuffle: true, seed: 1}}
data:
  train: {sets[0]}
  valid: {sets[1]}
  normalize: {"standard" if "standard" in options else "none"}
""")
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        c.run("train", "learned.yaml", "--device", "ref", "--out", "run", "--quiet")
        export(c, "--type", "int8")
        compile_c(c)
        real, whole = points(c, c.folder / "mX_valid.npy", c.folder / "my_valid.npy",
                             c.folder / "ml_valid.npy" if "lengths" in options else None, "tokens" in options)
        print(f"# {name}: {real:.2f}, int8 {whole:.2f}")
        assert real > 60, f"{name}: {real}: the float model has learned nothing: this test says nothing"
        assert whole >= real - 1, f"{name}: {whole}, as floats {real}"


REFERENCES = ("BreastCancerWDBC", "ItalyPowerDemand", "SyntheticControl", "Spambase", "JapaneseVowels")


def references(c):
    """int8 loses at most 1 point of accuracy on the reference sets beside the checkout, five of them, or all."""
    folder = ROOT.resolve().parent / "shared" / "refs"
    names = sorted(path.stem for path in folder.glob("*.yaml")
                   if "CLRNN_EXPORT_ALL" in os.environ or path.stem in REFERENCES)
    if not names:
        raise Skip("no reference sets beside this checkout")
    for name in names:
        text = (folder / f"{name}.yaml").read_text()
        paths = [folder / path for path in re.findall(r"\S+\.npy", text[text.index("valid:"):])]
        shutil.rmtree(c.folder / "run", ignore_errors=True)
        c.run("train", str(folder / f"{name}.yaml"), "--device", "cpu", "--out", "run", "--quiet", "--no-plot")
        export(c, "--type", "int8")
        compile_c(c)
        real, whole = points(c, paths[0], paths[1], paths[2] if len(paths) > 2 else None, "embedding" in text)
        print(f"# {name}: {real:.2f}, int8 {whole:.2f}")
        assert whole >= real - 1, f"{name}: {whole}, as floats {real}"


sys.exit(main([layers, learned, references]))
