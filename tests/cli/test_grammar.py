#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the config can say, seen from outside: CSV, regression, early stopping, splitting, normalising, figures of
merit, predictions of every kind."""
import json
import math
import random
import re
import sys

import harness
from harness import CONFIG, QUIET, f32, near, numbers, read_npy, tensors, write_npy

# ---------------------------------------------------------------- CSV

CSV_CONFIG = CONFIG[:CONFIG.index("data:")] + """\
data:
  train: {csv: train.csv, label: kind, steps: 5}
  valid: {csv: valid.csv, label: kind, steps: 5}
"""


def write_csv(c, name, x, y, columns, label_at=7, header=True):
    """The same values as the npy files, the label in the middle."""
    names = [f"f{i}" for i in range(columns)]
    names.insert(label_at, "kind")
    lines = [",".join(f'"{n}"' if i % 2 else n for i, n in enumerate(names))] if header else []
    for n, label in enumerate(y):
        row = [repr(f32(v)) for v in x[n * columns:(n + 1) * columns]]
        row.insert(label_at, str(label))
        lines.append(",".join(row))
    (c.folder / name).write_text("\r\n".join(lines) + "\r\n")


def csv_input(c):
    """Rows folded into steps give the very run that the same numbers in .npy files give."""
    for prefix, seed, samples in (("train", 1, 70), ("valid", 2, 30)):
        x, y = harness.write_dataset(c.folder, samples, 5, 3, seed=seed, prefix=prefix)
        write_csv(c, f"{prefix}.csv", x, y, 15)
    c.write("csv.yaml", CSV_CONFIG)
    c.run("train", "config.yaml", "--out", "npy", *QUIET)
    c.run("train", "csv.yaml", "--out", "csv", *QUIET)
    assert tensors(c, "npy") == tensors(c, "csv")
    c.run("predict", "npy", "--x", "X_valid.npy", "--out", "a.npy", "--quiet")
    c.run("predict", "csv", "--csv", "valid.csv", "--label", "kind", "--steps", "5", "--out", "b.npy", "--quiet")
    assert read_npy(c.folder / "a.npy") == read_npy(c.folder / "b.npy")
    a = json.loads(c.run("eval", "npy", "--x", "X_valid.npy", "--y", "y_valid.npy", "--json")[0])
    b = json.loads(c.run("eval", "csv", "--csv", "valid.csv", "--label", "kind", "--steps", "5", "--json")[0])
    assert a == b
    c.run("predict", "csv", "--csv", "valid.csv", "--label", "kind", "--steps", "5", "--out", "b.csv", "--logits",
          "--quiet")
    lines = (c.folder / "b.csv").read_text().splitlines()
    values = read_npy(c.folder / "a.npy")[1]
    assert lines[0] == "sample,logit_0,logit_1" and len(lines) == 31
    for n, line in enumerate(lines[1:]):
        cells = line.split(",")
        assert int(cells[0]) == n and tuple(f32(float(v)) for v in cells[1:]) == values[2 * n:2 * n + 2], line


def csv_mistakes(c):
    """The row (of data, from 1) and the column are named."""
    x, y = harness.write_dataset(c.folder, 30, 5, 3, seed=2, prefix="valid")
    write_csv(c, "valid.csv", x, y, 15)
    write_csv(c, "train.csv", x, y, 15)
    c.write("csv.yaml", CSV_CONFIG)
    whole = (c.folder / "train.csv").read_text().splitlines()

    def wrong(words, change, status=3):
        lines = list(whole)
        change(lines)
        (c.folder / "train.csv").write_text("\r\n".join(lines))
        c.refused(status, words, "train", "csv.yaml", "--out", "run", *QUIET)

    def cell(row, column, text):
        def change(lines):
            cells = lines[row].split(",")
            cells[column] = text
            lines[row] = ",".join(cells)
        return change

    wrong(["train.csv", "row 12", '"f3"', "missing"], cell(12, 3, ""))
    wrong(["train.csv", "row 12", '"kind"', "missing"], cell(12, 7, ""))
    wrong(["train.csv", "row 3", '"f9"', "tall"], cell(3, 10, "tall"))
    wrong(["train.csv", "row 3", "f9", "nan"], cell(3, 10, "nan"))
    wrong(["train.csv", "row 5", "kind", "7"], cell(5, 7, "7"))
    wrong(["train.csv", "row 9", "15", "16"], lambda lines: lines.__setitem__(9, lines[9].rsplit(",", 1)[0]))
    wrong(["train.csv", "kind", "f0"], lambda lines: lines.__setitem__(0, lines[0].replace("kind", "sort")))
    c.write("csv.yaml", CSV_CONFIG.replace("steps: 5", "steps: 4"))
    wrong(["train.csv", "15", "4"], lambda lines: None)


# ---------------------------------------------------------------- regression

REGRESSION = CONFIG.replace("loss: cross_entropy", "loss: mse").replace("out_features: 2", "out_features: 1") \
                   .replace("  - dropout: {p: 0.25}\n", "")


def figures(predicted, truth):
    mean = sum(truth) / len(truth)
    errors = [p - t for p, t in zip(predicted, truth)]
    squared = sum(e * e for e in errors)
    return {"mae": sum(map(abs, errors)) / len(errors), "rmse": math.sqrt(squared / len(errors)),
            "r2": 1 - squared / sum((t - mean) ** 2 for t in truth), "loss": squared / len(errors)}


def regression(c):
    """MAE, RMSE and R2 in the metrics, on the screen and from eval are those of the predictions."""
    draw = random.Random(4)
    for prefix, samples in (("train", 70), ("valid", 30)):
        write_npy(c.folder / f"y_{prefix}.npy", "<f4", (samples, 1), [draw.gauss(1, 2) for _ in range(samples)])
    c.write("config.yaml", REGRESSION)
    _, err = c.run("train", "config.yaml", "--out", "run", "--no-plot", "--no-watch")
    last = c.epochs("run")[-1]
    assert last["valid_accuracy"] is None and last["train_accuracy"] is None
    c.run("predict", "run", "--x", "X_valid.npy", "--out", "p.npy", "--quiet")
    want = figures(read_npy(c.folder / "p.npy")[1], read_npy(c.folder / "y_valid.npy")[1])
    result = json.loads(c.run("eval", "run", "--x", "X_valid.npy", "--y", "y_valid.npy", "--json")[0])
    for key in ("mae", "rmse", "r2", "loss"):
        near(result[key], want[key], 1e-5, f"eval {key}")
        near(last[f"valid_{key}"], want[key], 1e-5, f"valid_{key}")
    assert last["train_mae"] > 0 and result["accuracy"] is None and result["roc_auc"] is None
    epoch = [line for line in err.splitlines() if line.startswith("Epoch 3/3")][0]
    for word in (f"MAE {last['valid_mae']:.6g}", f"RMSE {last['valid_rmse']:.6g}", f"R2 {last['valid_r2']:.4f}"):
        assert word in epoch, f"\"{word}\" is not in: {epoch}"
    text = c.run("eval", "run", "--x", "X_valid.npy", "--y", "y_valid.npy")[0]
    assert "MAE" in text and "RMSE" in text and "R2" in text and "accuracy" not in text
    for kind in ("--probs", "--classes"):
        assert "mse" in c.run("predict", "run", "--x", "X_valid.npy", "--out", "q.npy", kind, status=2)[1]


def regression_per_step(c):
    """The same per step under lengths: padded steps and their targets count nowhere."""
    draw = random.Random(5)
    for prefix, samples in (("train", 40), ("valid", 20)):
        lengths = [draw.randint(1, 6) for _ in range(samples)]
        write_npy(c.folder / f"X_{prefix}.npy", "<f4", (samples, 6, 2), [draw.gauss(0, 1) for _ in range(samples * 12)])
        write_npy(c.folder / f"y_{prefix}.npy", "<f4", (samples, 6),
                  [draw.gauss(1, 2) if t < lengths[n] else 1e9 for n in range(samples) for t in range(6)])
        write_npy(c.folder / f"l_{prefix}.npy", "<i8", (samples,), lengths)
    text = REGRESSION.replace("  - pool: {over: mean}\n", "")
    for prefix in ("train", "valid"):
        text = text.replace(f"y_{prefix}.npy}}", f"y_{prefix}.npy, lengths: l_{prefix}.npy}}")
    c.write("config.yaml", text)
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    data = ("--x", "X_valid.npy", "--lengths", "l_valid.npy")
    c.run("predict", "run", *data, "--out", "p.npy", "--quiet")
    shape, predicted = read_npy(c.folder / "p.npy")
    assert shape == (20, 6, 1)
    truth, valid = read_npy(c.folder / "y_valid.npy")[1], read_npy(c.folder / "l_valid.npy")[1]
    counted = [n * 6 + t for n in range(20) for t in range(valid[n])]
    want = figures([predicted[i] for i in counted], [truth[i] for i in counted])
    result = json.loads(c.run("eval", "run", *data, "--y", "y_valid.npy", "--json")[0])
    assert result["counted"] == len(counted)
    for key in ("mae", "rmse", "r2", "loss"):
        near(result[key], want[key], 1e-5, f"eval {key}")
        near(c.epochs("run")[-1][f"valid_{key}"], want[key], 1e-5, f"valid_{key}")


# ---------------------------------------------------------------- classes

def auc(scores, truth):
    """Share of (positive, negative) pairs in order, ties as halves."""
    pairs = [(p > q) + (p == q) / 2 for p, t in zip(scores, truth) if t for q, u in zip(scores, truth) if not u]
    return sum(pairs) / len(pairs)


def classification(c):
    """Confusion matrix, precision, recall, F1 and ROC AUC against a count by hand; ignored labels nowhere."""
    c.write("config.yaml", CONFIG.replace("loss: cross_entropy", "loss: {cross_entropy: {ignore_index: 9}}"))
    truth = list(read_npy(c.folder / "y_valid.npy")[1])
    truth[4] = truth[11] = 9
    write_npy(c.folder / "y_valid.npy", "<i8", (30,), truth)
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    data = ("run", "--x", "X_valid.npy")
    c.run("predict", *data, "--out", "logits.npy", "--quiet")
    c.run("predict", *data, "--out", "classes.npy", "--classes", "--quiet")
    logits, guesses = read_npy(c.folder / "logits.npy")[1], read_npy(c.folder / "classes.npy")[1]
    result = json.loads(c.run("eval", *data, "--y", "y_valid.npy", "--json")[0])
    counted = [n for n in range(30) if truth[n] != 9]
    confusion = [[sum(truth[n] == t and guesses[n] == g for n in counted) for g in (0, 1)] for t in (0, 1)]
    assert result["samples"] == 30 and result["counted"] == 28 and result["confusion"] == confusion
    for k in (0, 1):
        hits, guessed, support = confusion[k][k], confusion[0][k] + confusion[1][k], sum(confusion[k])
        row = result["classes"][k]
        assert row["support"] == support
        near(row["recall"], hits / support, 1e-12, "recall")
        near(row["precision"], hits / guessed, 1e-12, "precision")
        near(row["f1"], 2 * hits / (guessed + support), 1e-12, "F1")
    near(result["roc_auc"], auc([logits[2 * n + 1] - logits[2 * n] for n in counted], [truth[n] for n in counted]),
         1e-12, "ROC AUC")
    near(result["accuracy"], c.epochs("run")[-1]["valid_accuracy"], 1e-12, "accuracy")
    near(result["loss"], c.epochs("run")[-1]["valid_loss"], 1e-6, "loss")


def one_logit(c):
    """bce_with_logits: two classes from one output."""
    c.write("config.yaml", CONFIG.replace("loss: cross_entropy", "loss: {bce_with_logits: {pos_weight: [1.5]}}")
            .replace("out_features: 2", "out_features: 1"))
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    for kind in ("logits", "probs", "classes"):
        c.run("predict", "run", "--x", "X_valid.npy", "--out", f"{kind}.npy", f"--{kind}", "--quiet")
    logits, probs, classes = (read_npy(c.folder / f"{kind}.npy")[1] for kind in ("logits", "probs", "classes"))
    truth = read_npy(c.folder / "y_valid.npy")[1]
    for x, p, k in zip(logits, probs, classes):
        near(p, 1 / (1 + math.exp(-x)), 1e-6, "probability")
        assert k == (x > 0)
    result = json.loads(c.run("eval", "run", "--x", "X_valid.npy", "--y", "y_valid.npy", "--json")[0])
    near(result["roc_auc"], auc(logits, truth), 1e-12, "ROC AUC")
    near(result["accuracy"], sum(k == t for k, t in zip(classes, truth)) / 30, 1e-12, "accuracy")


# ---------------------------------------------------------------- training options

def early_stopping(c):
    """A run that stands still ends after `patience` epochs without improvement, whatever is monitored."""
    still = ("--set", "train.optimizer={sgd: {lr: 0.0}}", "--set", "model.layers.2.dropout.p=0",
             "--set", "model.layers.1.batchnorm.track_running_stats=false", "--set", "train.epochs=20")
    for monitor, patience in (("valid_loss", 2), ("valid_accuracy", 3), ("train_loss", 1)):
        c.run("train", "config.yaml", "--out", monitor, *QUIET, *still, "--set",
              f"train.early_stopping={{monitor: {monitor}, patience: {patience}, min_delta: 0.001}}")
        assert len(c.epochs(monitor)) == 1 + patience, (monitor, len(c.epochs(monitor)))
        assert json.loads((c.folder / monitor / "summary.json").read_text())["epochs"] == 1 + patience
    # as long as the loss falls by more than min_delta it goes on
    c.run("train", "config.yaml", "--out", "goes", *QUIET, "--set", "train.epochs=6", "--set",
          "train.early_stopping={monitor: train_loss, patience: 1, min_delta: 0.0001}")
    losses = [e["train_loss"] for e in c.epochs("goes")]
    assert len(losses) == 6 or losses[-1] > losses[-2] - 0.0001, losses
    assert len(losses) > 2 and all(b < a - 0.0001 for a, b in zip(losses, losses[1:-1])), losses
    c.run("train", "config.yaml", "--out", "large", *QUIET, "--set", "train.epochs=6", "--set",
          "train.early_stopping={monitor: train_loss, patience: 2, min_delta: 10, mode: min}")
    assert len(c.epochs("large")) == 3
    _, err = c.run("train", "config.yaml", "--out", "says", "--no-plot", "--no-watch", *still, "--set",
                   "train.early_stopping={patience: 1}")
    assert "early stopping after epoch 2" in err, err
    out, err = c.run("train", "--resume", "says", "--no-plot")  # finished: nothing is left to do
    assert len(c.epochs("says")) == 2 and "finished" in err, err


def valid_fraction(c):
    """Stratified, drawn from the seed, each sample in exactly one part."""
    text = CONFIG[:CONFIG.index("  valid:")]
    x, y = harness.write_dataset(c.folder, 60, 5, 3, seed=9)
    write_npy(c.folder / "y_train.npy", "<i8", (60,), [int(n % 6 == 0) for n in range(60)])  # 50 and 10
    c.write("config.yaml", text + "  valid_fraction: 0.3\n")
    _, err = c.run("train", "config.yaml", "--out", "a", "--no-plot", "--no-watch")
    sizes = dict(re.findall(r"(train|valid): (\d+) samples", err))
    assert sizes == {"train": "42", "valid": "18"}, sizes
    assert re.search(r"valid: .*0: 15 \(.*1: 3 \(", err), err
    c.run("train", "config.yaml", "--out", "b", *QUIET)
    assert c.bytes("a") == c.bytes("b")
    c.run("train", "config.yaml", "--out", "other", *QUIET, "--set", "train.seed=8", "--set", "train.epochs=1")
    assert c.epochs("other")[0]["valid_loss"] != c.epochs("a")[0]["valid_loss"]
    assert "valid_fraction" in c.run("train", "config.yaml", "--out", "none", *QUIET, "--set",
                                     "data.valid_fraction=0.001", status=3)[1]


def normalize(c):
    """Mean and deviation of the training set's valid steps, kept in the model and used by predict."""
    draw = random.Random(6)
    scale, shift = (100.0, 0.01, 1.0), (-500.0, 3.0, 0.0)
    lengths = [draw.randint(1, 5) for _ in range(70)]
    x = [f32(shift[f] + scale[f] * draw.gauss(0, 1)) for _ in range(70 * 5) for f in range(3)]
    write_npy(c.folder / "X_train.npy", "<f4", (70, 5, 3), x)
    write_npy(c.folder / "l.npy", "<i8", (70,), lengths)
    c.write("config.yaml", CONFIG.replace("y_train.npy}", "y_train.npy, lengths: l.npy}") + "  normalize: standard\n")
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    saved = tensors(c, "run")
    for f in range(3):
        rows = [x[(n * 5 + t) * 3 + f] for n in range(70) for t in range(lengths[n])]
        mean = sum(rows) / len(rows)
        std = math.sqrt(sum((v - mean) ** 2 for v in rows) / len(rows))
        near(numbers(saved["input.mean"])[f] / scale[f], mean / scale[f], 1e-6, "input.mean")
        near(numbers(saved["input.std"])[f] / std, 1, 1e-6, "input.std")
    # predict normalises by itself: data normalised by hand, and a model that does not, give the same
    c.run("predict", "run", "--x", "X_train.npy", "--lengths", "l.npy", "--out", "a.npy", "--quiet")
    mean, std = numbers(saved["input.mean"]), numbers(saved["input.std"])
    write_npy(c.folder / "X_hand.npy", "<f4", (70, 5, 3), [(v - mean[i % 3]) / std[i % 3] for i, v in enumerate(x)])
    c.run("export", "run", "--to", "safetensors", "--out", "plain.safetensors")
    assert "input.mean" not in tensors(c, ".", "plain.safetensors")
    c.write("plain.yaml", CONFIG)
    c.run("predict", "--init", "plain.safetensors", "--config", "plain.yaml", "--x", "X_hand.npy", "--lengths",
          "l.npy", "--out", "b.npy", "--quiet")
    for a, b in zip(read_npy(c.folder / "a.npy")[1], read_npy(c.folder / "b.npy")[1]):
        near(a, b, 1e-5, "logit")
    # padding taken for data would give other numbers without a word
    for command in (("predict", "--out", "n.npy"), ("eval", "--y", "y_train.npy")):
        arguments = (command[0], "run", "--x", "X_train.npy", *command[1:], "--quiet")
        c.refused(2, ["trained with lengths", "--no-lengths"], *arguments)
        c.run(*arguments, "--no-lengths")
        c.run(*arguments, "--no-lengths", "--lengths", "l.npy", status=2)
    assert read_npy(c.folder / "n.npy") != read_npy(c.folder / "a.npy")
    # a state dict without the statistics cannot be used under a config that wants them
    _, err = c.run("predict", "--init", "plain.safetensors", "--config", "config.yaml", "--x", "X_train.npy", "--out",
                   "c.npy", status=3)
    assert "input.mean" in err and "normalize" in err, err
    c.run("predict", "--init", "run/last.safetensors", "--config", "config.yaml", "--x", "X_train.npy", "--lengths",
          "l.npy", "--out", "c.npy", "--quiet")
    assert read_npy(c.folder / "a.npy") == read_npy(c.folder / "c.npy")


def small_options(c):
    """drop_last, clip_grad_norm, seed, quoted names, log_every."""
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", "train.drop_last=true", "--set", "train.log_every=1")
    assert len(c.steps("run")) == 12 and c.epochs("run")[-1]["step"] == 12
    c.run("train", "config.yaml", "--out", "clip", *QUIET, "--set", "train.clip_grad_norm=1e-6", "--set",
          "train.optimizer={sgd: {lr: 1.0}}")
    c.run("train", "config.yaml", "--out", "start", *QUIET, "--set", "train.epochs=1", "--set",
          "train.optimizer={sgd: {lr: 0.0}}")
    for name, tensor in tensors(c, "clip").items():
        if name.startswith(("rnn.", "head.")):
            moved = max(abs(a - b) for a, b in zip(numbers(tensor), numbers(tensors(c, "start")[name])))
            assert moved <= 16 * 1e-6, f"{name} moved by {moved} in 15 steps of norm 1e-6"
    assert c.epochs("clip")[0]["grad_norm"] > 1e-3  # before clipping
    c.run("train", "config.yaml", "--out", "seed", *QUIET, "--set", "train.epochs=1", "--set", "train.seed=8")
    assert c.bytes("seed") != c.bytes("start")
    c.write("quoted.yaml", CONFIG.replace("loss: cross_entropy", 'loss: "cross_entropy"'))
    c.run("train", "quoted.yaml", "--out", "quoted", *QUIET)
    c.run("train", "config.yaml", "--out", "plain", *QUIET)
    assert c.bytes("quoted") == c.bytes("plain")


if __name__ == "__main__":
    sys.exit(harness.main([csv_input, csv_mistakes, regression, regression_per_step, classification, one_logit,
                           early_stopping, valid_fraction, normalize, small_options]))
