#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs that are stopped, killed and resumed: the bytes of a run that never stopped; what may change, what may not."""
import os
import random
import signal
import statistics
import sys
import time

import harness
from harness import CONFIG


def interrupted_early(c):
    """Ctrl-C while kernels are being built must not break the build."""
    c.run("train", "config.yaml", "--out", "start", "--quiet")  # so that PoCL's own cache folder is there
    for early in (0.05, 0.3, 0.6):
        process = c.start("train", "config.yaml", "--out", f"early{early}", "--quiet", "--set", "train.epochs=100000")
        time.sleep(early)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode in (130, -signal.SIGINT), (process.returncode, out, err)


def interrupted(c):
    process = c.start("train", "config.yaml", "--out", "run", "--quiet", "--set", "train.epochs=100000")
    wait_for_epoch(c, "run", process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130, process.returncode
    done = len(c.epochs("run"))
    c.run("train", "--resume", "run", "--quiet", "--set", f"train.epochs={done + 2}")
    assert len(c.epochs("run")) == done + 2
    c.run("train", "config.yaml", "--out", "whole", "--quiet", "--set", f"train.epochs={done + 2}")
    assert c.weights("whole") == c.weights("run")


def wait_for_epoch(c, run, process):
    """Until the run has written a checkpoint."""
    for _ in range(1200):
        if (c.folder / run / "last.safetensors").exists() or process.poll() is not None:
            return
        time.sleep(0.05)
    raise AssertionError("no checkpoint in 60 s")


def killed_and_resumed(c):
    """kill -9 at random moments, then resume: the bytes of a run that never stopped."""
    text = CONFIG.replace("epochs: 3", "epochs: 12\n"
                          "  scheduler: {reduce_lr_on_plateau: {patience: 0, factor: 0.5}}\n"
                          "  early_stopping: {monitor: valid_loss, patience: 50}")
    c.write("long.yaml", text)
    c.run("train", "long.yaml", "--out", "whole", "--quiet")
    draw, kills = random.Random(3), 0
    process = c.start("train", "long.yaml", "--out", "run", "--quiet")
    wait_for_epoch(c, "run", process)
    while process.poll() is None and kills < 4:
        time.sleep(draw.uniform(0, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        kills += 1
        process = c.start("train", "--resume", "run", "--quiet")
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert c.bytes("run") == c.bytes("whole"), "last.safetensors differs"
    want, got = c.epochs("whole"), c.epochs("run")
    for line in (*want, *got):
        for key in ("seconds", "samples_per_s"):
            line.pop(key)
    assert want == got


# What a run remembers beyond weights: moments of every kind, schedules, order, dropout's counters.
VARIANTS = {
    "gru": ("""gru: {hidden_size: 24, num_layers: 2, bidirectional: true, dropout: 0.3}
  - dropout: {p: 0.2}
  - pool: {over: last}
  - linear: {out_features: 2}""",
            """optimizer: {adam: {lr: 0.01, amsgrad: true}}
  scheduler: {one_cycle_lr: {max_lr: 0.02, interval: batch}}
  clip_grad_norm: 0.5
  shuffle: true""", "bucket: true, normalize: standard"),
    "lstm": ("""lstm: {hidden_size: 24}
  - batchnorm: {momentum: null}
  - pool: {over: max}
  - linear: {out_features: 2}""",
             """optimizer: {sgd: {lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.001}}
  scheduler: {exponential_lr: {gamma: 0.99, interval: batch}}
  shuffle: true
  drop_last: true""", "valid_fraction: 0.2"),
    "rnn": ("""rnn: {hidden_size: 24, nonlinearity: relu}
  - layernorm: {}
  - pool: {over: mean}
  - linear: {out_features: 2}
  - dropout: {p: 0.1}""",
            """optimizer: {rmsprop: {lr: 0.002, momentum: 0.5, centered: true}}
  scheduler: {reduce_lr_on_plateau: {patience: 5, interval: batch}}
  early_stopping: {monitor: train_accuracy, patience: 100}""", "bucket: false"),
}


def grown(c, run, process, size):
    """Waits until the run's metrics are another size than `size`, or the process has ended."""
    path = c.folder / run / "metrics.jsonl"
    for _ in range(6000):
        if process.poll() is not None or (path.exists() and path.stat().st_size != size):
            return
        time.sleep(0.01)
    raise AssertionError("no step in 60 s")


def kill_often(c, run, draw, pause):
    """Trains, killed up to four times, each within `pause` seconds of a new step. Returns how often."""
    kills, size = 0, 0
    process = c.start("train", "long.yaml", "--out", run, "--quiet", "--no-plot")
    while kills < 4:
        grown(c, run, process, size)
        time.sleep(draw.uniform(0, pause))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        kills += 1
        size = (c.folder / run / "metrics.jsonl").stat().st_size
        process = c.start("train", "--resume", run, "--quiet", "--no-plot")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return kills


def killed_in(name):
    layers, train, data = VARIANTS[name]

    def test(c):
        harness.write_long(c.folder)
        c.write("long.yaml", f"model:\n  layers:\n  - {layers}\ntrain:\n  {train}\n  epochs: 6\n  batch_size: 16\n"
                "  log_every: 7\n  seed: 5\n"
                f"data: {{train: {{x: X_long.npy, y: y_long.npy, lengths: l_long.npy}}, {data}}}\n")
        c.run("train", "long.yaml", "--out", "whole", "--quiet", "--no-plot")
        draw = random.Random(name)
        third = 2 * statistics.median(line["seconds"] for line in c.epochs("whole"))  # of a run; the first builds
        for attempt in range(6):  # the machine may be quicker now
            run = f"run{attempt}"
            kills = kill_often(c, run, draw, third / 4**attempt)
            if kills:
                break
        assert kills, "the run was over before it could be killed"
        for file in ("last.safetensors", "best.safetensors"):
            assert c.bytes(run, file) == c.bytes("whole", file), f"{file} differs after {kills} kills"
        assert c.steps(run) == c.steps("whole")
        for got, want in zip(c.epochs(run), c.epochs("whole"), strict=True):
            for key in want.keys() - {"seconds", "samples_per_s"}:
                assert got[key] == want[key], (key, got, want)

    test.__name__ = "killed_in_" + name
    return test


def resume_changed(c):
    """What may change is said and done; what may not is named with both values, and nothing is touched."""
    c.run("train", "config.yaml", "--out", "run", "--quiet", "--no-plot")
    before = c.bytes("run"), (c.folder / "run" / "metrics.jsonl").read_bytes(), c.bytes("run", "config.yaml")
    _, err = c.run("train", "--resume", "run", "--set", "train.batch_size=8", "--set", "train.optimizer.adam.lr=0.5",
                   "--set", "model.layers.0.rnn.hidden_size=9", status=2)
    for words in ("train.batch_size (was 16, is 8)", "train.optimizer.adam.lr (was 0.01, is 0.5)",
                  "model.layers.0.rnn.hidden_size (was 8, is 9)"):
        assert words in err, err
    c.refused(2, ["data.normalize (was none, is standard)"],
              "train", "--resume", "run", "--set", "data.normalize=standard")
    assert before == (c.bytes("run"), (c.folder / "run" / "metrics.jsonl").read_bytes(), c.bytes("run", "config.yaml"))
    _, err = c.run("train", "--resume", "run", "--no-plot", "--set", "train.epochs=5", "--set", "train.log_every=1",
                   "--set", "train.early_stopping={patience: 9}")
    for words in ("train.epochs was 3, goes on as 5", "train.log_every was 0, goes on as 1", "train.early_stopping"):
        assert words in err, err
    assert len(c.epochs("run")) == 5 and len(c.steps("run")) == 10
    c.run("train", "config.yaml", "--out", "whole", "--quiet", "--no-plot", "--set", "train.epochs=5")
    assert c.weights("whole") == c.weights("run")
    # other data under the same names
    harness.write_dataset(c.folder, 70, 5, 3, seed=33)
    c.refused(2, ["data"], "train", "--resume", "run", "--set", "train.epochs=6")
    # one_cycle_lr is shaped by the number of epochs
    c.run("train", "config.yaml", "--out", "cycle", "--quiet", "--no-plot", "--set",
          "train.scheduler={one_cycle_lr: {max_lr: 0.1, interval: batch}}")
    c.refused(2, ["train.epochs (was 3, is 9)"], "train", "--resume", "cycle", "--set", "train.epochs=9")


def resume_refuses(c):
    c.run("train", "config.yaml", "--out", "run", "--quiet")
    for change in ("train.batch_size=8", "train.seed=8", "model.layers.0.rnn.hidden_size=9",
                   "train.optimizer.adam.lr=0.5"):
        c.refused(2, [change.split("=")[0].split(".")[-1]], "train", "--resume", "run", "--set", change)
    c.refused(3, ["nowhere: cannot be opened: No such file or directory"], "train", "--resume", "nowhere")


if __name__ == "__main__":
    sys.exit(harness.main([interrupted, interrupted_early, killed_and_resumed, *[killed_in(name) for name in VARIANTS],
                           resume_changed, resume_refuses]))
