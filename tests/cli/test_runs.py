#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whole runs: what a run folder holds, the broken model, prediction."""
import json
import random
import statistics
import struct
import sys

import harness
from harness import CONFIG, read_npy, read_safetensors


def checkpoints(c):
    """eval, predict and export take the last checkpoint, or the best one where the run stops early; --best and --last
    choose, and one line says what the other one is."""
    c.run("train", "config.yaml", "--device", "ref", "--out", "run", "--no-plot", "--set", "train.epochs=8",
          "--set", "train.optimizer.adam.lr=0.3")
    epochs = c.epochs("run")
    losses = {"best": min(row["valid_loss"] for row in epochs), "last": epochs[-1]["valid_loss"]}
    assert losses["best"] < losses["last"], losses
    data = ("--x", "X_valid.npy", "--y", "y_valid.npy", "--device", "ref", "--json")
    for options, taken in (((), "last"), (("--last",), "last"), (("--best",), "best")):
        out, err = c.run("eval", "run", *data, *options)
        assert abs(json.loads(out)["loss"] - losses[taken]) < 1e-6, (options, out)
        assert f"takes {taken}.safetensors (epoch" in err and f"valid loss {losses[taken]:.4g})" in err, err
        c.run("predict", "run", *data[:2], "--device", "ref", "--out", f"{taken}.npy", *options)
        c.run("export", "run", "--to", "safetensors", "--out", f"{taken}.safetensors", *options)
    assert (c.folder / "best.npy").read_bytes() != (c.folder / "last.npy").read_bytes()
    tensors = {name: harness.read_safetensors(c.folder / f"{name}.safetensors")[0] for name in losses}
    assert tensors["last"] != tensors["best"]
    (c.folder / "run/config.yaml").write_text((c.folder / "run/config.yaml").read_text().replace(
        "early_stopping: null", "early_stopping: {patience: 5}"))
    out, _ = c.run("eval", "run", *data)
    assert abs(json.loads(out)["loss"] - losses["best"]) < 1e-6, out
    (c.folder / "run/best.safetensors").unlink()
    c.run("eval", "run", *data, "--best", status=3)
    c.run("eval", "run/last.safetensors", *data, "--best", status=2)
    c.run("eval", "run", *data, "--best", "--last", status=2)


def run_folder(c):
    out, _ = c.run("train", "config.yaml", "--out", "run", "--set", "train.log_every=2")
    assert "run:" in out
    names = {path.name for path in (c.folder / "run").iterdir()}
    assert {"config.yaml", "metrics.jsonl", "last.safetensors", "best.safetensors", "summary.json"} <= names, names
    epochs = c.epochs("run")
    assert [e["epoch"] for e in epochs] == [1, 2, 3] and epochs[-1]["step"] == 15
    for key in ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr", "grad_norm", "seconds",
                "samples_per_s"):
        assert isinstance(epochs[0][key], (int, float)), key
    assert [s["step"] for s in c.steps("run")] == [2, 4, 6, 8, 10, 12, 14]
    summary = json.loads((c.folder / "run" / "summary.json").read_text())
    for key in ("device", "platform", "driver", "parameters", "epochs", "steps", "best_epoch", "valid_loss",
                "valid_accuracy", "seconds", "ms_per_step_median", "samples_per_s", "build_seconds", "chained",
                "peak_device_bytes"):
        assert key in summary, key
    tensors, metadata = read_safetensors(c.folder / "run" / "last.safetensors")
    assert tensors["rnn.weight_ih_l0"][1] == [8, 3] and tensors["norm.num_batches_tracked"][0] == "I64"
    assert metadata and any(name.startswith("optim.") for name in tensors)
    out, _ = c.run("train", "run/config.yaml", "--out", "again", "--quiet", "--json")  # as resolved, it is a config
    assert json.loads(out) == json.loads((c.folder / "again" / "summary.json").read_text())
    assert c.epochs("again")[-1]["train_loss"] == epochs[-1]["train_loss"]


def same_twice(c):
    c.run("train", "config.yaml", "--out", "a", "--quiet")
    c.run("train", "config.yaml", "--out", "b", "--quiet")
    assert c.bytes("a") == c.bytes("b")
    c.run("train", "config.yaml", "--out", "staged", "--quiet", env={"CLRNN_RESIDENT_BYTES": "1"})
    assert c.bytes("a") == c.bytes("staged"), "staged batches give other bits than resident ones"


def broken_as_asked(c):
    """The question's training: no gradient, no learning, a learning rate that falls to nothing."""
    text = CONFIG.replace("head, out_features: 2}", "head, out_features: 2}\n  - softmax\n  - round")
    text = text.replace("adam: {lr: 0.01}", "adam: {lr: 0.0001}")
    text = text.replace("epochs: 3", "epochs: 30\n  log_every: 1\n"
                        "  scheduler: {step_lr: {step_size: 3, gamma: 0.1, interval: batch}}")
    c.write("broken.yaml", text)
    c.run("train", "broken.yaml", "--out", "run", "--no-watch", "--quiet")
    epochs, steps = c.epochs("run"), c.steps("run")
    assert len(steps) == 150 and all(e["grad_norm"] == 0 for e in epochs)
    for e in epochs:  # softmax rounds to one-hot: 0.3133 where it is right, 1.3133 where it is wrong
        assert abs(e["valid_loss"] - 0.31326169 - (1 - e["valid_accuracy"])) < 1e-5, e
    for s in steps:
        want = 1e-4 * 0.1 ** ((s["step"] - 1) // 3)
        assert abs(s["lr"] / want - 1) < 1e-9, s
    tensors, _ = read_safetensors(c.folder / "run" / "last.safetensors")
    c.run("train", "broken.yaml", "--out", "one", "--no-watch", "--quiet", "--set", "train.epochs=1")
    first, _ = read_safetensors(c.folder / "one" / "last.safetensors")
    for name in tensors:
        if "running" not in name and "num_batches" not in name and not name.startswith("optim."):
            assert tensors[name] == first[name], f"{name} has changed"


def predictions(c):
    c.run("train", "config.yaml", "--out", "run", "--quiet")
    x = ["run", "--x", "X_valid.npy"]
    c.run("predict", *x, "--out", "logits.npy", "--quiet")
    c.run("predict", *x, "--out", "probs.npy", "--probs", "--quiet")
    c.run("predict", *x, "--out", "classes.npy", "--classes", "--quiet")
    c.run("predict", *x, "--out", "probs.csv", "--probs", "--quiet")
    shape, logits = read_npy(c.folder / "logits.npy")
    assert shape == (30, 2)
    probs, classes = read_npy(c.folder / "probs.npy")[1], read_npy(c.folder / "classes.npy")[1]
    for n in range(30):
        assert abs(probs[2 * n] + probs[2 * n + 1] - 1) < 1e-6
        assert classes[n] == int(logits[2 * n + 1] > logits[2 * n])
    rows = (c.folder / "probs.csv").read_text().splitlines()
    assert len(rows) == 31
    result = json.loads(c.run("eval", *x, "--y", "y_valid.npy", "--json")[0])
    truth = read_npy(c.folder / "y_valid.npy")[1]
    accuracy = sum(a == b for a, b in zip(truth, classes)) / 30
    assert abs(result["accuracy"] - accuracy) < 1e-9
    assert abs(result["loss"] - c.epochs("run")[-1]["valid_loss"]) < 1e-6
    assert sum(map(sum, result["confusion"])) == 30
    assert "ROC AUC" in c.run("eval", *x, "--y", "y_valid.npy")[0]
    c.run("export", "run", "--to", "safetensors", "--out", "plain.safetensors")
    tensors, metadata = read_safetensors(c.folder / "plain.safetensors")
    assert not any(name.startswith("optim.") for name in tensors) and "config" not in metadata
    c.run("predict", "--init", "plain.safetensors", "--config", "config.yaml", "--x", "X_valid.npy", "--out",
          "again.npy", "--quiet")
    assert read_npy(c.folder / "again.npy") == (shape, logits)


def no_best_epoch(c):
    """Where no validation loss is finite, the last line says so instead of naming an epoch 0."""
    c.write("far.yaml", CONFIG.replace("out_features: 2", "out_features: 1").replace("cross_entropy", "mse"))
    harness.write_npy(c.folder / "y_valid.npy", "<f8", (30,), [1e30] * 30)
    out, _ = c.run("train", "far.yaml", "--out", "run", "--no-plot")
    assert "no best epoch: the validation loss was never finite; last: " in out and "epoch 0" not in out, out


def plans(c):
    out, _ = c.run("plan", "config.yaml")
    assert "rnn_fwd" in out and "launches" in out
    plan = json.loads(c.run("plan", "config.yaml", "--json")[0])
    assert plan["launches"] > 0 and {op["op"] for op in plan["ops"]} >= {"rnn_fwd", "rnn_bwd", "loss", "optim"}
    _, err = c.run("train", "config.yaml", "--out", "run", "--profile", "--set", "train.epochs=1")
    assert "rnn" in err and "optim" in err
    harness.write_long(c.folder, 200, 40)  # 50 steps of 2 shards, in more plans than are kept: every launch is counted
    many = ("--set", "train={shards: 2, epochs: 4, batch_size: 4}", "--set",
            "data.train={x: X_long.npy, y: y_long.npy, lengths: l_long.npy}")
    _, err = c.run("train", "config.yaml", "--out", "run", "--profile", "--no-plot", *many)
    assert f"    {'feed':40} {400:10}" in err and f"    {'optim':40} {200:10}" in err, err


def curve(c, run):
    return [{key: value for key, value in epoch.items() if key not in ("seconds", "samples_per_s")}
            for epoch in c.epochs(run)]


def normalized_targets(c):
    """The net learns standardised targets; what is read is in their units, here, in a file and after a resume."""
    x, _ = harness.write_dataset(c.folder, 70, 5, 3)
    y = [5000 + 300 * sum(x[n * 15:n * 15 + 15:3]) for n in range(70)]
    mean = sum(y) / 70
    std = (sum((v - mean) ** 2 for v in y) / 70) ** 0.5
    harness.write_npy(c.folder / "y_train.npy", "<f8", (70,), y)
    harness.write_npy(c.folder / "y_scaled.npy", "<f8", (70,), [(v - mean) / std for v in y])
    c.write("units.yaml", CONFIG.replace("out_features: 2", "out_features: 1").replace("cross_entropy", "mse").replace(
        "_valid", "_train") + "  normalize_targets: standard\n")
    c.run("train", "units.yaml", "--out", "run", "--quiet", "--no-plot")
    c.run("train", "units.yaml", "--out", "scaled", "--quiet", "--no-plot", "--set",
          "data.train={x: X_train.npy, y: y_scaled.npy}", "--set", "data.valid={x: X_train.npy, y: y_scaled.npy}")
    for ours, theirs in zip(c.epochs("run"), c.epochs("scaled")):
        for key, scale in (("train_loss", std ** 2), ("valid_loss", std ** 2), ("valid_mae", std), ("valid_rmse", std),
                           ("valid_r2", 1)):
            assert abs(ours[key] - scale * theirs[key]) < 1e-4 * scale * max(abs(theirs[key]), 1), (key, ours, theirs)
    tensors, _ = read_safetensors(c.folder / "run" / "last.safetensors")
    for name, value in (("target.mean", mean), ("target.std", std)):
        dtype, shape, data = tensors[name]
        assert shape == [1] and abs(struct.unpack({"F64": "<d", "F32": "<f"}[dtype], data)[0] - value) < 1e-4 * value
    result = json.loads(c.run("eval", "run", "--x", "X_train.npy", "--y", "y_train.npy", "--json")[0])
    c.run("predict", "run", "--x", "X_train.npy", "--out", "p.npy", "--quiet")
    errors = [(p - v) ** 2 for p, v in zip(read_npy(c.folder / "p.npy")[1], y)]
    assert abs(sum(errors) / 70 - result["loss"]) < 1e-4 * result["loss"], (sum(errors) / 70, result)
    assert abs(result["rmse"] - result["loss"] ** 0.5) < 1e-4 * result["rmse"]
    c.run("train", "units.yaml", "--out", "part", "--quiet", "--no-plot", "--set", "train.epochs=2")
    c.run("train", "--resume", "part", "--quiet", "--no-plot", "--set", "train.epochs=3")
    assert curve(c, "part") == curve(c, "run") and c.weights("part") == c.weights("run")
    _, err = c.run("train", "config.yaml", "--out", "classes", "--no-plot", "--set", "data.normalize_targets=standard",
                   "--set", "train.epochs=1", "--set", "data.train={x: X_valid.npy, y: y_valid.npy}")
    assert "no effect on classes" in err, err


def series_split(c):
    """valid_fraction of windows of one series takes the last ones, and leaves those out that share steps with them."""
    draw = random.Random(3)
    series = [draw.gauss(0, 1) for _ in range(65)]
    config = CONFIG.replace("out_features: 2", "out_features: 1").replace("cross_entropy", "mse")
    c.write("series.yaml", config[:config.index("  valid:")] + "  valid_fraction: 0.25\n")
    harness.write_npy(c.folder / "y_train.npy", "<f4", (60,), [series[n + 5] for n in range(60)])
    for name, x, left in (("windows", [series[n + t] for n in range(60) for t in range(5)], 60 - 15 - 4),
                          ("rows", [draw.gauss(0, 1) for _ in range(300)], 60 - 15)):
        harness.write_npy(c.folder / "X_train.npy", "<f4", (60, 5, 1), x)
        c.run("train", "series.yaml", "--out", name, "--quiet", "--no-plot")
        data = json.loads((c.folder / name / "data.json").read_text())
        assert data["train"]["samples"] == left and data["valid"]["samples"] == 15, data


def balanced_weights(c):
    """`balanced` is n / (k count) of the training set without ignored labels: the same run as with these numbers."""
    _, y = harness.write_dataset(c.folder, 70, 5, 3)
    y = [-100 if n < 3 else label if n % 3 else 0 for n, label in enumerate(y)]
    ones, zeros = y.count(1), y.count(0)
    assert 0 < ones < zeros
    harness.write_npy(c.folder / "y_train.npy", "<i8", (70,), y)
    numbers = [(ones + zeros) / 2 / zeros, (ones + zeros) / 2 / ones]
    for name, weight in (("word", "balanced"), ("list", numbers)):
        c.run("train", "config.yaml", "--out", name, "--quiet", "--no-plot", "--set",
              f"train.loss={{cross_entropy: {{weight: {weight}}}}}")
    assert curve(c, "word") == curve(c, "list")
    assert "weight: balanced" in (c.folder / "word" / "config.yaml").read_text()
    evaluate = ["--x", "X_valid.npy", "--y", "y_valid.npy", "--json"]
    assert c.run("eval", "word", *evaluate)[0] == c.run("eval", "list", *evaluate)[0]
    c.run("train", "config.yaml", "--out", "part", "--quiet", "--no-plot", "--set", "train.epochs=2", "--set",
          "train.loss={cross_entropy: {weight: balanced}}")
    c.run("train", "--resume", "part", "--quiet", "--no-plot", "--set", "train.epochs=3")
    assert curve(c, "part") == curve(c, "word")
    c.write("bce.yaml", CONFIG.replace("out_features: 2", "out_features: 1"))
    harness.write_npy(c.folder / "y_train.npy", "<i8", (70,), [max(label, 0) for label in y])
    zeros += 3
    for name, weight in (("bce_word", "balanced"), ("bce_list", [zeros / ones])):
        c.run("train", "bce.yaml", "--out", name, "--quiet", "--no-plot", "--set",
              f"train.loss={{bce_with_logits: {{pos_weight: {weight}}}}}")
    assert curve(c, "bce_word") == curve(c, "bce_list")
    c.refused(2, ["balanced"], "train", "config.yaml", "--set", "train.loss={cross_entropy: {weight: balnced}}")


def batches_without_labels(c):
    """A batch in which no label counts has no loss: the epoch's mean and a plateau of batches pass over it."""
    _, y = harness.write_dataset(c.folder, 24, 5, 3)
    harness.write_npy(c.folder / "y_train.npy", "<i8", (24,), [label if n < 4 or n >= 20 else -100
                                                              for n, label in enumerate(y)])
    scheduler = "{reduce_lr_on_plateau: {patience: 3, factor: 0.5, interval: batch}}"
    c.run("train", "config.yaml", "--out", "run", "--quiet", "--no-plot", "--no-watch", "--set", "train.epochs=1",
          "--set", "train.batch_size=4", "--set", "train.shuffle=false", "--set", "train.log_every=1", "--set",
          f"train.scheduler={scheduler}")
    steps, epoch = c.steps("run"), c.epochs("run")[0]
    losses = [s["loss"] for s in steps if s["loss"] is not None]
    assert len(steps) == 6 and len(losses) == 2, steps
    assert abs(epoch["train_loss"] - statistics.mean(losses)) < 1e-6, (epoch, losses)
    assert epoch["lr"] == steps[0]["lr"], "four batches without a loss are no plateau"


def vector_targets(c):
    """Three targets a sample, some missing, weighted samples: metrics are those of the predictions; resume is exact."""
    x, _ = harness.write_dataset(c.folder, 40, 5, 3)
    y = [float("nan") if (n + 2 * o) % 7 == 0 else (o + 1) * x[n * 15 + o] + n % 2 for n in range(40) for o in range(3)]
    harness.write_npy(c.folder / "y_train.npy", "<f8", (40, 3), y)
    harness.write_npy(c.folder / "w.npy", "<f4", (40,), [n % 3 / 2 for n in range(40)])
    config = CONFIG.replace("out_features: 2", "out_features: 3").replace("_valid", "_train")
    c.write("v.yaml", config + "  missing_targets: ignore\n")
    source = "{x: X_train.npy, y: y_train.npy, weights: w.npy}"
    train = ["--quiet", "--no-plot", "--set", f"data.train={source}", "--set", f"data.valid={source}"]
    _, err = c.run("train", "v.yaml", "--out", "bad", *train, "--set", "train.loss=mse", "--set",
                   "data.missing_targets=error", status=3)
    assert "row 0 (counted from 0), output 0" in err and "missing_targets: ignore" in err, err
    for loss in ("mse", "l1", "{smooth_l1: {beta: 0.5}}", "{huber: {delta: 0.5}}"):
        c.run("train", "v.yaml", "--out", "run", *train, "--set", f"train.loss={loss}")
        last = c.epochs("run")[-1]
        c.run("predict", "run", "--x", "X_train.npy", "--out", "p.npy", "--quiet")
        shape, p = read_npy(c.folder / "p.npy")
        assert shape == (40, 3)
        sums = [[0, 0] for _ in range(2)]
        per_output = [[] for _ in range(3)]
        for i, (a, b) in enumerate(zip(p, y)):
            if b != b:
                continue
            d, w = abs(a - b), i // 3 % 3 / 2
            value = {"m": d * d, "l": d, "s": d * d if d < 0.5 else d - 0.25,
                     "h": d * d / 2 if d < 0.5 else 0.5 * (d - 0.25)}[loss.strip("{")[0]]
            sums[0][0] += w * value
            sums[0][1] += w
            per_output[i % 3].append(d)
        mae = [sum(d) / len(d) for d in per_output]
        assert abs(last["valid_loss"] - sums[0][0] / sums[0][1]) < 1e-5 * last["valid_loss"], (loss, last)
        assert all(abs(a - b) < 1e-5 * b for a, b in zip(last["valid_mae_per_output"], mae)), (loss, last, mae)
        assert abs(last["valid_mae"] - sum(mae) / 3) < 1e-5
        c.run("train", "v.yaml", "--out", "part", *train, "--set", f"train.loss={loss}", "--set", "train.epochs=2")
        c.run("train", "--resume", "part", "--quiet", "--no-plot", "--set", "train.epochs=3")
        assert curve(c, "part") == curve(c, "run") and c.weights("part") == c.weights("run")
    c.run("predict", "run", "--x", "X_train.npy", "--out", "p.npy", "--classes", status=2)
    c.write("two.yaml", config.replace("out_features: 3", "out_features: 2"))
    c.refused(3, ["expected (40, 2)"], "train", "two.yaml", "--out", "bad", *train, "--set", "train.loss=mse")


def synthetic_data(c):
    c.run("synth", "d", "--samples", "60", "--test-samples", "20", "--features", "100")
    c.run("synth", "e", "--samples", "60", "--test-samples", "20", "--features", "100")
    assert (c.folder / "d" / "X_train.npy").read_bytes() == (c.folder / "e" / "X_train.npy").read_bytes()
    shape, x = read_npy(c.folder / "d" / "X_train.npy")
    assert shape == (60, 1, 100) and len(set(x)) > 1000
    shape, y = read_npy(c.folder / "d" / "y_train.npy")
    assert shape == (60, 1) and sum(y) == 30
    for task in ("adding", "parity", "copy-first"):
        c.run("synth", task, "--task", task, "--samples", "20", "--test-samples", "10", "--steps", "12")
        assert read_npy(c.folder / task / "X_train.npy")[0][:2] == (20, 12)


def terminal_words(c):
    """Elsewhere than on a terminal: plain lines, and with --quiet the run folder alone."""
    _, err = c.run("train", "config.yaml", "--out", "run", "--set", "train.epochs=1")
    assert "Batch 5/5 Trained: 70/70 Loss: " in err and "lr: 1e-02\n" in err, err
    assert "classes" in err and "Epoch 1/1" in err
    out, err = c.run("train", "config.yaml", "--out", "quiet", "--quiet")
    assert out == "quiet\n" and err == "", err


if __name__ == "__main__":
    sys.exit(harness.main([run_folder, checkpoints, same_twice, broken_as_asked, predictions, plans,
                           normalized_targets, series_split, balanced_weights, no_best_epoch, batches_without_labels,
                           vector_targets, synthetic_data, terminal_words]))
