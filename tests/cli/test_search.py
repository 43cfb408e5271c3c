#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lr-find and sweep: what they suggest and leave, the runs by hand, kills, failures, folders of others."""
import csv
import json
import math
import os
import resource
import shlex
import shutil
import signal
import sys
import time

import harness
from harness import CONFIG

REF = ("--quiet", "--device", "ref", "--no-plot")
LR = "train.optimizer.adam.lr"
VARY = ("--vary", f"{LR}=1e-4..1e-1:log", "--vary", "train.batch_size=8,16", "--trials", "6", "--seed", "5",
        "--set", "train.epochs=4")


def untouched(c):
    return {p.name: p.read_bytes() for p in c.folder.iterdir() if p.is_file()}


# ---------------------------------------------------------------- lr-find

def suggestion(c):
    """It is a rate that was tried, each try has the loss of the run by hand, and the files say what is printed."""
    before = untouched(c)
    out, _ = c.run("lr-find", "config.yaml", "--out", "lr", "--set", "train.epochs=6", *REF)
    found = json.loads((c.folder / "lr/lr-find.json").read_text())
    assert f"--set {LR}={found['suggestion']:.3g}" in out and found["key"] == LR, out
    assert found["judged_by"] == "valid_loss" and found["epochs"] == 5 and found["steps"] == 25
    rates = [trial["lr"] for trial in found["trials"]]
    assert rates == sorted(set(rates)) and found["suggestion"] in rates and len(rates) >= 5
    assert found["classic"] <= found["lowest"] / 10 * 1.0001 and found["classic"] <= found["steepest"]
    for trial in found["trials"][::2]:
        c.run("train", "config.yaml", "--out", "run", "--set", f"{LR}={trial['lr']}", "--set", "train.epochs=5", *REF)
        by_hand = c.epochs("run")[-1]["valid_loss"]
        assert math.isclose(trial["loss"], by_hand, rel_tol=1e-9), (trial, by_hand)
    shutil.rmtree(c.folder / "run")
    assert untouched(c) == before
    again = c.run("lr-find", "config.yaml", "--out", "lr", "--set", "train.epochs=6", "--json", *REF)[0]
    assert json.loads(again) == found and set(os.listdir(c.folder / "lr")) == {".clrnn-lr-find", "lr-find.json"}


def initial_weights(c):
    """The config's train.init is where all begin, as with --init, and train.init_partial lets it fit in part."""
    c.run("train", "config.yaml", "--out", "run", "--set", f"{LR}=0.1", *REF)
    (c.folder / "run/last.safetensors").rename(c.folder / "init.safetensors")
    weights = ("--init", "init.safetensors")
    key = ("--set", "train.init=init.safetensors")
    part = ("--set", "train.init_partial=true", "--set", "model.layers.4.linear.out_features=3")
    short = ("--steps", "10", "--json", *REF[:3])
    given, named = (c.run("lr-find", "config.yaml", "--out", "lr", "--no-plot", *short, *more)[0]
                    for more in (weights, key))
    assert json.loads(given) == json.loads(named)
    assert json.loads(c.run("lr-find", "config.yaml", "--out", "lr", "--no-plot", *short)[0]) != json.loads(given)
    for command in (("lr-find", "--out", "lr", *REF), ("overfit", *REF[:3]), ("doctor", *REF[:3]),
                    ("grow", "--train-steps", "20", *REF[:3]),
                    ("compare", "--quiet", "--devices", "ref", "--no-speed")):
        process = c.start(command[0], "config.yaml", *command[1:], *key, *part)
        _, err = process.communicate(timeout=300)
        assert process.returncode in (0, 1) and "error" not in err, (command, err)
        c.refused(3, ["does not fit"], command[0], "config.yaml", *command[1:], *key, *part[2:])
        c.refused(3, ["does not fit"], command[0], "config.yaml", *command[1:], *weights, *part)


def horizon(c):
    """A constant rate is lowered for a training that is longer than the short ones; early stopping and schedulers keep
    the best of these."""
    for epochs, more, lowered in ((100, (), True), (5, (), False),
                                  (100, ("--set", "train.early_stopping={patience: 3}"), False),
                                  (100, ("--set", "train.scheduler={exponential_lr: {gamma: 0.9}}"), False)):
        out, _ = c.run("lr-find", "config.yaml", "--out", "lr", "--steps", "25", *more,
                       "--set", f"train.epochs={epochs}", *REF)
        found = json.loads((c.folder / "lr/lr-find.json").read_text())
        assert found["steps"] == 25 and found["best_trial"] in [trial["lr"] for trial in found["trials"]], found
        share = found["suggestion"] / found["best_trial"] / ((25 / 500) ** 0.32 if lowered else 1)
        assert 0.6 < share < 1.7 if lowered else share == 1, (epochs, more, found["suggestion"], found["best_trial"])
        assert ("whole training is longer" in out) == lowered and f"{LR}={found['suggestion']:.3g}" in out, out


def curve(c):
    """The rates grow by a constant factor, the test ends where the loss diverges."""
    found = json.loads(c.run("lr-find", "config.yaml", "--out", "lr", "--range-only", "--from", "1e-5", "--to", "1e4",
                             "--range-steps", "120", "--json", *REF)[0])
    points = found["curve"]
    factor = (1e4 / 1e-5) ** (1 / 119)
    for a, b in zip(points, points[1:]):
        assert math.isclose(b["lr"] / a["lr"], factor, rel_tol=1e-9) and b["step"] == a["step"] + 1
    assert points[0]["lr"] == 1e-5 and len(points) < 120 and found["diverged"] == points[-1]["lr"]
    lowest = min(p["smoothed"] for p in points[10:])
    assert points[-1]["loss"] is None or points[-1]["smoothed"] > 4 * lowest
    assert not found["trials"] and found["suggestion"] == found["classic"] < found["diverged"]


def other_configs(c):
    """One cycle has its rate elsewhere; without validation the training loss judges; sgd has a key of its own."""
    c.write("cycle.yaml", CONFIG.replace("  epochs: 3", "  scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}\n"
                                         "  epochs: 3"))
    found = json.loads(c.run("lr-find", "cycle.yaml", "--out", "a", "--json", *REF)[0])
    assert found["key"] == "train.scheduler.one_cycle_lr.max_lr"
    c.run("train", "cycle.yaml", "--out", "run", "--set", f"{found['key']}={found['trials'][0]['lr']}", *REF)
    assert math.isclose(c.epochs("run")[-1]["valid_loss"], found["trials"][0]["loss"], rel_tol=1e-9)
    c.write("bare.yaml", CONFIG.replace("  valid: {x: X_valid.npy, y: y_valid.npy}\n", "").replace("adam", "sgd"))
    found = json.loads(c.run("lr-find", "bare.yaml", "--out", "b", "--json", "--steps", "3", *REF)[0])
    assert (found["judged_by"], found["key"], found["steps"]) == ("train_loss", "train.optimizer.sgd.lr", 3), found


def nothing_learns(c):
    """Where no rate changes the loss, none is suggested: exit 1."""
    c.write("still.yaml", CONFIG.replace("  - linear: {name: head, out_features: 2}\n",
                                         "  - linear: {name: head, out_features: 2}\n  - round\n"))
    out, _ = c.run("lr-find", "still.yaml", "--steps", "5", "--out", "lr", *REF, status=1)
    found = json.loads((c.folder / "lr/lr-find.json").read_text())
    assert found["suggestion"] is None and found["best_trial"] is None, found
    assert len({trial["loss"] for trial in found["trials"]}) == 1
    assert "no suggestion" in out and "<-" not in out, out
    harness.write_npy(c.folder / "y_none.npy", "<i8", (70,), [0] * 70)
    out, _ = c.run("lr-find", "config.yaml", "--steps", "5", "--out", "lr", *REF, "--set", "data.train.y=y_none.npy",
                   "--set", "train.loss={cross_entropy: {ignore_index: 0}}", status=1)
    assert "no suggestion" in out and "nan" in out and "-nan" not in out, out


def picture(c):
    """gnuplot draws both."""
    if not shutil.which("gnuplot"):
        raise harness.Skip("gnuplot not installed")
    c.run("lr-find", "config.yaml", "--out", "lr", *REF[:-1])
    c.run("sweep", "config.yaml", "--vary", f"{LR}=0.01,0.1", "--out", "s", *REF[:-1])
    for path, word in (("lr/lr-find.svg", "suggestion"), ("s/sweep.svg", "trial 2"), ("s/trial-001/loss.svg", "epoch")):
        text = (c.folder / path).read_text()
        assert text.startswith("<?xml") and word in text, path


# ---------------------------------------------------------------- sweep

def table(c, folder):
    with open(c.folder / folder / "sweep.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same_run(c, folder, by_hand):
    """All that a run leaves, but for times."""
    for name in ("last.safetensors", "best.safetensors", "config.yaml", "data.json"):
        assert c.bytes(folder, name) == c.bytes(by_hand, name), f"{folder}/{name}"
    timed = ("seconds", "samples_per_s")
    ours, theirs = ([{k: v for k, v in row.items() if k not in timed} for row in c.epochs(run)]
                    for run in (folder, by_hand))
    assert ours == theirs, folder


def by_hand(c):
    """Every trial is bit for bit the run with its values; the table follows from their metrics."""
    out, _ = c.run("sweep", "config.yaml", *VARY, "--reduction", "2", "--out", "s", "--jobs", "2", *REF)
    found = json.loads((c.folder / "s/sweep.json").read_text())
    assert found["budgets"] == [1, 2, 4] and found["finished"] and len(found["trials"]) == 6
    assert sorted(t["epochs"] for t in found["trials"]) == [1, 1, 1, 2, 2, 4]
    for trial in found["trials"]:
        values = [word for key, value in trial["set"].items() for word in ("--set", f"{key}={value}")]
        c.run("train", "config.yaml", *values, "--set", f"train.epochs={trial['epochs']}", "--out", "run", *REF)
        same_run(c, f"s/{trial['folder']}", "run")
        assert trial["valid_loss"] == c.epochs("run")[-1]["valid_loss"] == trial["rungs"][-1]
    first = sorted(found["trials"], key=lambda t: t["rungs"][0])
    assert {t["trial"] for t in first[:3]} == {t["trial"] for t in found["trials"] if t["epochs"] > 1}
    rows = table(c, "s")
    assert [int(row["trial"]) for row in rows] == [t["trial"] for t in found["trials"]]
    assert f"best of those trained longest: s/{found['trials'][0]['folder']}: --set {LR}={rows[0][LR]}" in out
    assert sorted(row["train.batch_size"] for row in rows) == ["16"] * 3 + ["8"] * 3
    strata = sorted(math.floor(6 * (math.log10(float(row[LR])) + 4) / 3) for row in rows)
    assert strata == list(range(6)), strata


def killed(c):
    """Killed at many moments, it ends with the table and the runs of one that was let alone."""
    taken = -time.monotonic()
    c.run("sweep", "config.yaml", *VARY, "--out", "whole", *REF)
    taken += time.monotonic()
    whole = (c.folder / "whole/sweep.csv").read_text()
    cut = 0
    for share in (0.03, 0.1, 0.15, 0.2, 0.25, 0.3):
        shutil.rmtree(c.folder / "s", ignore_errors=True)
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
            process = c.start("sweep", "config.yaml", *VARY, "--out", "s", "--jobs", "2", *REF)
            time.sleep(share * taken)
            process.send_signal(number)
            process.communicate(timeout=60)
            assert process.returncode in (0, 130, -number), process.returncode
            cut += process.returncode != 0
        out, _ = c.run("sweep", "config.yaml", *VARY, "--out", "s", *REF)
        assert (c.folder / "s/sweep.csv").read_text() == whole, share
        for trial in json.loads((c.folder / "s/sweep.json").read_text())["trials"]:
            same_run(c, f"s/{trial['folder']}", f"whole/{trial['folder']}")
        again, _ = c.run("sweep", "config.yaml", *VARY, "--out", "s", *REF)
        assert again == out
    assert cut >= 6, cut


def lists(c):
    """Fewer trials than combinations: none twice, each value about equally often, and a word on it."""
    values = {"train.batch_size": (4, 8, 16), "train.seed": (1, 2, 3, 4), LR: (0.01, 0.1)}
    vary = [word for key, many in values.items() for word in ("--vary", f"{key}={','.join(map(str, many))}")]
    for trials in (6, 12, 19):
        _, err = c.run("sweep", "config.yaml", *vary, "--trials", str(trials), "--budget", "1", "--out", f"s{trials}",
                       *REF[1:])
        assert f"{trials} of 24 combinations" in err, err
        rows = [tuple(row[key] for key in values) for row in table(c, f"s{trials}")]
        assert len(rows) == len(set(rows)) == trials, rows
        for k, many in enumerate(values.values()):
            times = [[float(row[k]) for row in rows].count(value) for value in many]
            assert max(times) - min(times) <= 2 and min(times) >= trials // len(many) - 1, (trials, times)
    c.run("sweep", "config.yaml", *vary, "--trials", "99", "--budget", "1", "--out", "all", *REF)
    assert len({tuple(row[key] for key in values) for row in table(c, "all")}) == len(table(c, "all")) == 24


def narrow(c):
    """Values of a narrow range differ, each in a part of its own, and both ends are held against the config."""
    key, trials = "train.optimizer.rmsprop.alpha", 5
    optimizer = ("--set", "train.optimizer={rmsprop: {lr: 0.01}}", "--budget", "1", "--trials", str(trials))
    for low, high, log in ((0.9999, 0.99999, ""), (0.5, 0.50000001, ""), (0.12345, 0.1235, ":log"), (0, 1e-7, "")):
        folder = f"s{low}"
        c.run("sweep", "config.yaml", "--vary", f"{key}={low}..{high}{log}", *optimizer, "--out", folder, *REF)
        shares = sorted((float(row[key]) - low) / (high - low) for row in table(c, folder))
        assert [math.floor(trials * share + 1e-6) for share in shares] == list(range(trials)), (low, high, shares)
    c.refused(2, ["1.00001"], "sweep", "config.yaml", "--vary", "model.layers.2.dropout.p=0.5..1.00001", "--out", "t",
              *REF)


def quoted(c):
    """What it calls best can be pasted into a shell."""
    out, _ = c.run("sweep", "config.yaml", "--vary", "train.optimizer={adam: {lr: 0.02}},{sgd: {lr: 0.1}}", "--vary",
                   "train.loss='cross_entropy'", "--budget", "1", "--out", "s", *REF)
    words = shlex.split(out.split("best of those trained longest: ")[1].splitlines()[0])
    assert words[0] == f"s/trial-{int(table(c, 's')[0]['trial']):03}:" and words[1::2] == ["--set"] * 2, words
    c.run("train", "config.yaml", *words[1:], "--set", "train.epochs=1", "--out", "run", *REF)
    same_run(c, words[0][:-1], "run")


def no_validation(c):
    """Without validation data the training loss decides; a metric of theirs is refused."""
    c.write("bare.yaml", CONFIG.replace("  valid: {x: X_valid.npy, y: y_valid.npy}\n", ""))
    bare = ("sweep", "bare.yaml", "--vary", f"{LR}=0.001,0.01,0.1")
    c.run(*bare, "--out", "s", *REF)
    rows = table(c, "s")
    losses = [float(row["train_loss"]) for row in rows if row["epochs"] == rows[0]["epochs"]]
    assert len(rows) == 3 and losses == sorted(losses), rows
    _, err = c.run(*bare, "--metric", "valid_accuracy", "--out", "t", *REF, status=2)
    assert "--metric valid_accuracy: there are no validation data" in err and not (c.folder / "t").exists(), err


def failures(c):
    """Trials that fail are rows with the reason; where all do, exit 1."""
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    (probe := c.start("--version", preexec_fn=limit)).communicate()
    if probe.returncode:
        raise harness.Skip("a build with sanitizers cannot live with so little memory")
    c.run("sweep", "config.yaml", "--vary", f"{LR}=0.01,1e300", "--vary",
          "model.layers.0.rnn.hidden_size=4,20000", "--out", "s", *REF, preexec_fn=limit)
    rows = table(c, "s")
    assert len(rows) == 4 and not rows[0]["reason"] and rows[0]["model.layers.0.rnn.hidden_size"] == "4"
    reasons = {(row[LR], row["model.layers.0.rnn.hidden_size"]): row["reason"] for row in rows}
    assert "not finite" in reasons["1e300", "4"], reasons
    assert "memory" in reasons["0.01", "20000"].lower(), reasons
    out, _ = c.run("sweep", "config.yaml", "--vary", f"{LR}=1e299,1e300", "--out", "t", *REF, status=1)
    assert "every trial has failed" in out and out.count("failed: the training loss is not finite") == 2, out
    c.run("sweep", "config.yaml", "--vary", f"{LR}=0.01,0.1", "--out", "u", "--quiet", "--device", "nonesuch", status=2)
    (c.folder / "X_train.npy").unlink()
    c.run("sweep", "config.yaml", "--vary", f"{LR}=0.01,0.1", "--out", "v", *REF, status=3)
    assert not (c.folder / "v").exists()


def one_cycle(c):
    """A schedule that train.epochs sets begins anew on each rung, and is still the run by hand."""
    c.write("cycle.yaml", CONFIG.replace("  epochs: 3", "  scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}\n"
                                         "  epochs: 3"))
    key = "train.scheduler.one_cycle_lr.max_lr"
    c.run("sweep", "cycle.yaml", "--vary", f"{key}=0.001,0.01,0.1", "--out", "s", *REF)
    best = table(c, "s")[0]
    assert best["epochs"] == "3"
    c.run("train", "cycle.yaml", "--set", f"{key}={best[key]}", "--out", "run", *REF)
    same_run(c, f"s/trial-{int(best['trial']):03}", "run")


def metrics(c):
    """Another metric turns the order; with early stopping it is that of the best epoch."""
    c.run("sweep", "config.yaml", "--vary", "train.seed=1..1000", "--trials", "4", "--budget", "2", "--metric",
          "valid_accuracy", "--out", "s", *REF)
    values = [float(row["valid_accuracy"]) for row in table(c, "s")]
    assert len(values) == 4 and values == sorted(values, reverse=True)
    assert len({row["train.seed"] for row in table(c, "s")}) == 4
    early = ("--set", "train.early_stopping={monitor: valid_loss, patience: 1}")
    c.run("sweep", "config.yaml", "--vary", f"{LR}=0.3,0.5,0.7", "--budget", "5,8", *early, "--out", "t", *REF)
    for row in table(c, "t"):
        folder = f"t/trial-{int(row['trial']):03}"
        losses = [epoch["valid_loss"] for epoch in c.epochs(folder)]
        assert math.isclose(float(row["valid_loss"]), min(losses), rel_tol=1e-8), (row, losses)
        c.run("train", "config.yaml", "--set", f"{LR}={row[LR]}", "--set", f"train.epochs={row['epochs']}", *early,
              "--out", "run", *REF)
        same_run(c, folder, "run")
    assert len(c.epochs(f"t/trial-{int(table(c, 't')[0]['trial']):03}")) < 5  # has stopped in the first rung


def early_stopping_varied(c):
    """A trial with early stopping is judged by its best epoch, one without by its last; what is said counts its own."""
    key = "train.early_stopping"
    stopping = "{monitor: valid_loss, patience: 1}"
    _, err = c.run("sweep", "config.yaml", "--vary", f"{key}=null,{stopping}", "--vary", f"{LR}=0.3,0.5", "--budget",
                   "8", "--out", "s", *REF[1:])
    for row in table(c, "s"):
        losses = [epoch["valid_loss"] for epoch in c.epochs(f"s/trial-{int(row['trial']):03}")]
        value = min(losses) if row[key] == stopping else losses[-1]
        assert math.isclose(float(row["valid_loss"]), value, rel_tol=1e-8), (row, losses)
        assert f"trial {row['trial']}: valid_loss {value:.6g} after {len(losses)} epochs" in err, (row, err)
        assert (len(losses) < 8) == (row[key] == stopping), (row, losses)


def usage(c):
    """One sentence, exit 2, and nothing is written."""
    def wrong(words, *arguments):
        c.refused(2, [words], *arguments, "--out", "none")
        assert not (c.folder / "none").exists(), arguments

    for vary, words in (("train.optimizer.adam.lrr=1..2", 'did you mean "lr"'), (f"{LR}=1e-2..1e-4", "is empty"),
                        (f"{LR}=0..1:log", "above 0"), (f"{LR}=1e-4..x", "no range"), (f"{LR}=1..2:lg", ":log"),
                        ("train.batch_size=16,-1", "is -1"), ("train.batch_size=8,,16", "missing"),
                        ("train.batch_size", "expected KEY="), ("train.epochs=1,2", "--budget"),
                        ("model.layers.9.rnn.hidden_size=1,2", "no entry")):
        wrong(words, "sweep", "config.yaml", "--vary", vary)
    wrong("nothing to vary", "sweep", "config.yaml")
    wrong("twice", "sweep", "config.yaml", "--vary", f"{LR}=1,2", "--vary", f"{LR}=1,2")
    wrong("rising", "sweep", "config.yaml", "--vary", f"{LR}=1,2", "--budget", "3,2")
    wrong("valid_accuracy", "sweep", "config.yaml", "--vary", f"{LR}=1,2", "--metric", "valid_acuracy")
    wrong("larger end", "lr-find", "config.yaml", "--from", "1", "--to", "0.1", *REF)


def folders(c):
    """What is not ours is never written over."""
    (c.folder / "mine").mkdir()
    (c.folder / "mine/sweep.json").write_text("precious")
    (c.folder / "mine/lr-find.json").write_text("precious")
    one = ("sweep", "config.yaml", "--vary", f"{LR}=0.01,0.1", *REF)
    for command in (one, ("lr-find", "config.yaml", *REF)):
        for folder in ("mine", "."):
            _, err = c.run(*command, "--out", folder, status=2)
            assert "name a new or empty folder" in err, err
    assert {p.name: p.read_text() for p in (c.folder / "mine").iterdir()} == {
        "sweep.json": "precious", "lr-find.json": "precious"}
    c.run(*one, "--out", "s")
    before = (c.folder / "s/sweep.json").read_bytes()
    _, err = c.run(*one, "--seed", "2", "--out", "s", status=2)
    assert "another sweep, which differs in seed" in err and (c.folder / "s/sweep.json").read_bytes() == before
    c.run("train", "config.yaml", "--out", "run", *REF)
    kept = c.bytes("run")
    c.run(*one, "--out", "run", status=2)
    c.run("lr-find", "config.yaml", "--out", "run", *REF, status=2)
    assert c.bytes("run") == kept
    (c.folder / "t/trial-001").mkdir(parents=True)
    shutil.copy(c.folder / "s/.clrnn-sweep", c.folder / "t")
    (c.folder / "t/trial-001/notes.txt").write_text("precious")
    c.run(*one, "--out", "t")
    assert "notes.txt" in {row["trial"]: row["reason"] for row in table(c, "t")}["1"]
    assert os.listdir(c.folder / "t/trial-001") == ["notes.txt"]


if __name__ == "__main__":
    sys.exit(harness.main([suggestion, initial_weights, horizon, curve, other_configs, nothing_learns, picture,
                           by_hand, killed, lists, narrow, quoted, no_validation, failures, one_cycle, metrics,
                           early_stopping_varied, usage, folders]))
