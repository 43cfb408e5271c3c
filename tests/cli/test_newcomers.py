#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What somebody who is new to the command leaves out or gets wrong, and what it then does."""
import fcntl
import html
import json
import math
import os
import pathlib
import pty
import random
import re
import shutil
import signal
import struct
import sys
import termios
import time

import harness
from harness import QUIET

TABLE = """\
model: {layers: [{gru: {hidden_size: 4}}, {pool: {over: last}}, {linear: {out_features: 2}}]}
train: {loss: mse, optimizer: {adam: {lr: 0.01}}, epochs: 2, batch_size: 16}
data:
  train: {csv: s.csv, columns: [a], target: a, window: 6, horizon: 2, missing: mean}
  normalize: standard
"""


def own_data(c):
    """Without files eval and predict take data.test, else the validation set, read as in training."""
    def loss(run, *options):
        out, err = c.run("eval", run, "--json", *options)
        return json.loads(out)["loss"], err

    c.run("train", "config.yaml", "--out", "run", *QUIET)
    value, err = loss("run")
    harness.near(value, c.epochs("run")[-1]["valid_loss"], 1e-12, "loss")
    assert "on its validation set, 30 samples" in err, err
    c.run("predict", "run", "--out", "p.npy", "--quiet")
    c.run("predict", "run", "--x", "X_valid.npy", "--out", "q.npy", "--quiet")
    assert (c.folder / "p.npy").read_bytes() == (c.folder / "q.npy").read_bytes()
    assert "is what this command reads" in c.run("predict", "run", "--out", "X_valid.npy", status=2)[1]
    harness.write_dataset(c.folder, 20, 5, 3, seed=3, prefix="test")
    text = (c.folder / "config.yaml").read_text() + "  test: {x: X_test.npy, y: y_test.npy}\n"
    c.run("train", c.write("test.yaml", text), "--out", "tested", *QUIET)
    value, err = loss("tested")
    assert "on data.test, 20 samples" in err, err
    assert value == loss("run", "--x", "X_test.npy", "--y", "y_test.npy")[0]
    (c.folder / "sub").mkdir()
    out, _ = c.run("eval", "--init", "../run/best.safetensors", "--config", "../test.yaml", "--json",
                   cwd=c.folder / "sub")
    assert json.loads(out)["samples"] == 20
    part = text[:text.index("  valid:")] + "  valid_fraction: 0.2\n"
    c.run("train", c.write("part.yaml", part), "--out", "part", *QUIET)
    value, err = loss("part")
    harness.near(value, c.epochs("part")[-1]["valid_loss"], 1e-12, "loss")
    assert "14 samples" in err, err
    c.run("train", c.write("none.yaml", part.replace("valid_fraction: 0.2", "bucket: false")), "--out", "none", *QUIET)
    assert "neither data.test nor validation data" in c.run("eval", "none", status=2)[1]
    for wrong in (("--y", "y_test.npy"), ("--no-lengths",), ("--label", "a")):
        c.run("eval", "run", *wrong, status=2)


def own_table(c):
    """What data.valid and data.test of a table leave open is as in data.train: windows, columns, names, means."""
    rows = [f"{n},{'' if n == 9 else (7 * n) % 11},x\n" for n in range(60)]
    for name, part in (("s.csv", rows[:40]), ("v.csv", rows[20:]), ("t.csv", rows[30:])):
        (c.folder / name).write_text("n,a,b\n" + "".join(part))
    c.run("train", c.write("c.yaml", TABLE + "  valid: {csv: v.csv}\n  test: {csv: t.csv}\n"), "--out", "run", *QUIET)
    described = json.loads(c.run("data", "c.yaml", "--json")[0])
    assert [described[part]["samples"] for part in ("train", "valid", "test")] == [33, 33, 23]
    out, err = c.run("eval", "run", "--json")
    assert json.loads(out)["samples"] == 23 and "on data.test" in err, err
    assert json.loads(out)["loss"] == json.loads(c.run("eval", "run", "--csv", "t.csv", "--json")[0])["loss"]


def series_as_rows(c):
    """Rows that are a series, each taken as a sample by itself: a warning, and none where they are not."""
    draw = random.Random(1)
    config = TABLE.replace(" window: 6, horizon: 2,", "").replace("out_features: 2", "out_features: 1")

    def warned(header, rows, *changes):
        (c.folder / "s.csv").write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))
        text = config
        for change in changes:
            text = text.replace(*change)
        err = [c.run(*arguments)[1] for arguments in (
            ("data", c.write("s.yaml", text)), ("train", "s.yaml", "--out", "run", "--no-plot", "--no-watch"))]
        assert ["T = 1" in part for part in err] in ([True] * 2, [False] * 2), err
        return err[0] if "T = 1" in err[0] else ""

    def noise(rows, first=lambda n: n):
        return [(first(n), draw.gauss(0, 1), draw.gauss(0, 1)) for n in range(rows)]

    days = noise(28, lambda n: f"2024-02-{n + 1:02}")
    assert 'order of "day"' in warned("day,a,b", days) and "time: day" in warned("day,a,b", days)
    assert 'order of "t"' in warned("t,a,b", noise(30))
    assert 'order of "clock"' in warned("clock,a,b", noise(30, lambda n: n * 0.02))
    commas = [[f'"{cell:.3f}"'.replace(".", ",") for cell in row] for row in noise(30, lambda n: n * 0.02)]
    assert 'order of "clock"' in warned("clock,a,b", commas, ("missing: mean", "missing: mean, decimal: ','"))
    waves = [(math.sin(n / 5), math.cos(n / 7)) for n in range(100)]
    assert "resembles the row before it (correlation 0.9" in warned("a,b", waves)
    assert not warned("id,a,b", noise(300))  # counts samples
    draw.shuffle(days)
    assert not warned("day,a,b", days)
    assert not warned("a,b,c", noise(300, lambda n: draw.gauss(0, 1)))
    assert not warned("t,a,b", noise(40), ("missing: mean", "missing: mean, window: 6, horizon: 1"))
    classes = (("columns: [a], target: a", "label: k"), ("mse", "cross_entropy"), ("features: 1", "features: 3"))
    by_class = [(n // 100 + draw.gauss(0, 0.3), n // 100 + draw.gauss(0, 0.3), n // 100) for n in range(300)]
    assert not warned("a,b,k", by_class, *classes)


def on_terminal(c, columns, *arguments, env=None, meanwhile=lambda process: None):
    """What a command writes to a terminal of so many columns, as lines: a bar is drawn over itself."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = c.start(*arguments, stdout=theirs, stderr=theirs, env={"NO_COLOR": "1", **(env or {})})
    os.close(theirs)
    meanwhile(process)
    text = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            part = b""
        if not part:
            break
        text += part
    os.close(ours)
    process.wait()
    return text.decode().replace("\r", "\n").split("\n")


def reading(c):
    """Reading a CSV file for more than a second draws a bar on a terminal, and says one line elsewhere."""
    block = "".join(f"{n % 7 / 8:.3f},{n % 11 / 8:.3f},{n % 5 / 8:.3f},{n % 2}\n" for n in range(10000))
    (c.folder / "big.csv").write_text("a,b,c,k\n" + 160 * block)  # 32 MB
    c.write("c.yaml", "model: {layers: [{linear: {out_features: 2}}]}\n"
            "train: {loss: cross_entropy, epochs: 1}\ndata: {train: {csv: big.csv, label: k}}\n")
    tables = c.folder / "cache/clrnn/tables"
    env = {"XDG_CACHE_HOME": str(c.folder / "cache")}

    def stall(process):
        """Stops the process for a second while it reads."""
        while process.poll() is None and not (tables.is_dir() and any(tables.iterdir())):
            time.sleep(0.005)
        time.sleep(0.05)  # the file is there a moment before reading begins
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.2)
        process.send_signal(signal.SIGCONT)

    for columns in (40, 100):
        bars = []
        for _ in range(6):  # the stop may still come too early or too late
            shutil.rmtree(tables, ignore_errors=True)
            lines = on_terminal(c, columns, "data", "c.yaml", env=env, meanwhile=stall)
            bars = [line for line in lines if line.startswith("reading ./big.csv")]
            if bars:
                break
        assert bars and all("% left" in re.sub(r", \d+s", "", bar) for bar in bars[1:]), lines
        assert all(("32 MB [" in bar) == (columns == 100) for bar in bars), bars
        assert all(len(line) <= columns for line in bars), bars
        shutil.rmtree(tables)
    said = []
    for quiet in ("--quiet", *[""] * 5):
        process = c.start("data", "c.yaml", *filter(None, [quiet]), env=env)
        stall(process)
        err = process.communicate()[1]
        said.append(err.count("reading ./big.csv, 32 MB\n"))
        assert process.returncode == 0 and "%" not in err and said[-1] <= (not quiet), err
        shutil.rmtree(tables)
        if said[-1]:
            break
    assert said[-1] == 1, said


def widths(c):
    """On a terminal no line of an epoch, the bar or the doctor is wider than it and the time left stays; in a pipe an
    epoch is one line."""
    for columns in (60, 80, 120):
        lines = on_terminal(c, columns, "train", "config.yaml", "--out", "run", "--no-plot", "--no-watch",
                            "--set", "train.batch_size=1")
        shown = [line for line in lines if line.startswith(("Epoch", "epoch", "  "))]
        assert max(map(len, shown)) <= columns, [line for line in shown if len(line) > columns]
        bars = [line for line in shown if line.startswith("epoch")]
        assert bars and all(" left" in bar and "loss" in bar for bar in bars), bars
        assert any(" lr " in line for line in shown), shown
        lines = on_terminal(c, columns, "doctor", "config.yaml", "--static", "--set", "data.normalize=none",
                            "--set", "train.shuffle=false", "--set", "train.optimizer.adam.lr=30")
        assert len(lines) > 5 and max(map(len, lines)) <= columns, lines
    out, err = c.run("train", "config.yaml", "--out", "run", "--no-plot", "--no-watch")
    lines = [line for line in err.splitlines() if line.startswith("Epoch")]
    assert len(lines) == 3 and all("train loss" in line and " lr " in line for line in lines), err
    assert "lr: 1e-02" in err and "Step" not in err + out, err
    out = c.run("doctor", "config.yaml", "--static", "--set", "train.optimizer.adam.lr=30", status=1)[0]
    assert max(map(len, out.splitlines())) <= 80, out
    assert max(map(len, c.run("doctor", "--list")[0].splitlines())) <= 80


def environment(c):
    """A wrong value in an environment variable is an error that names it, whatever the command."""
    wrong = {"CLRNN_GEMM": "foo", "CLRNN_CACHE_BYTES": "10MB", "CLRNN_RESIDENT_BYTES": "-1",
             "CLRNN_KERNEL_DIR": "/nowhere", "CLRNN_CHAIN_AFTER": "soon", "CLRNN_BUILDERS": "many",
             "CLRNN_BUCKET_BYTES": "4MB", "CLRNN_CHOICES": "walk=foo", "CLRNN_KERNEL_FORM": "tpu",
             "CLRNN_TEST_KERNEL_DIRS": "x", "CLRNN_TEST_SCRATCH": "yes", "CLRNN_TEST_SMALL": "maybe",
             "CLRNN_DEVICE": "nosuchdevice"}
    table = (pathlib.Path(__file__).parents[2] / "doc/environment.md").read_text()
    assert set(re.findall(r"^\| `(CLRNN_\w+)`", table, re.M)) == set(wrong)
    for name, value in wrong.items():
        for command in (("plan", "config.yaml"), ("train", "config.yaml", "--out", "run"), ("cache", "info")):
            if (name, command[0]) != ("CLRNN_DEVICE", "cache"):
                err = c.run(*command, status=2, env={name: value})[1]
                assert value in err and (name in err or name == "CLRNN_DEVICE"), err
        c.run("cache", "info", env={name: ""})
    assert not (c.folder / "run").exists()
    for value in ("variant=quick", "group=x", "group=64,", "lanes"):
        c.run("cache", "info", status=2, env={"CLRNN_CHOICES": value})
    c.run("cache", "info", env={"CLRNN_CHOICES": "variant=steps,group=64,weights=memory", "CLRNN_CHAIN_AFTER": "never"})


def after_each_epoch(c):
    """summary.json and the pictures are there after the first epoch, not only after the last."""
    big = ("--set", "train.epochs=100000", "--set", "model.layers.0.rnn.hidden_size=64")
    process = c.start("train", "config.yaml", "--out", "run", "--quiet", "--device", "ref", *big)
    wanted = ["summary.json"] + ["loss.svg", "metrics.svg", "confusion.svg"] * bool(shutil.which("gnuplot"))
    end = time.monotonic() + 60
    while not all((c.folder / "run" / name).exists() for name in wanted):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    summary = json.loads((c.folder / "run/summary.json").read_text())
    assert summary["epochs"] >= 1 and summary["folder"] == "run" and summary["device"] == "ref"
    for name in wanted[1:]:
        assert "GNUPLOT" in (c.folder / "run" / name).read_text(), name
    if "confusion.svg" in wanted:
        c.run("train", "config.yaml", "--out", "small", "--quiet")
        counts = json.loads(c.run("eval", "small", "--json")[0])["confusion"]
        shown = re.findall(r">\s*(\d+)</text>", (c.folder / "small/confusion.svg").read_text())
        assert all(str(n) in shown for row in counts for n in row), (counts, shown)
        c.write("c.yaml", "model: {layers: [{linear: {out_features: 2}}]}\ntrain: {loss: cross_entropy, epochs: 1}\n"
                "data: {train: {csv: t.csv, label: k}, valid: {csv: t.csv}}\n")
        names = ["it's 5% & <b>", "a long name that goes on and on"]
        (c.folder / "t.csv").write_text("a,k\n" + "".join(f'{n % 2},"{names[n % 2]}"\n' for n in range(40)))
        c.run("train", "c.yaml", "--out", "named", "--quiet", "--plot")
        for picture in ("confusion", "classes"):
            text = html.unescape((c.folder / f"named/{picture}.svg").read_text())
            assert names[0] in text and names[1][:19] in text and names[1] not in text, picture
    assert "ref is plain C" in c.run("bench", "config.yaml", "--device", "ref", "--quiet")[0]


def init_is_kept(c):
    """A run folder's config repeats the run, its --init included."""
    c.run("train", "config.yaml", "--out", "first", *QUIET, "--set", "train.seed=3")
    for options in (("--init", "first/best.safetensors"), ("--init", "first/best.safetensors", "--init-partial")):
        c.run("train", "config.yaml", "--out", "run", *QUIET, *options)
        (c.folder / "sub").mkdir(exist_ok=True)
        c.run("train", "../run/config.yaml", "--out", "../again", *QUIET, cwd=c.folder / "sub")
        assert harness.tensors(c, "run") == harness.tensors(c, "again")
        assert [e["train_loss"] for e in c.epochs("run")] == [e["train_loss"] for e in c.epochs("again")]
    c.run("train", "--resume", "again", *QUIET, "--set", "train.epochs=4")
    c.run("train", "config.yaml", "--out", "plain", *QUIET)
    assert harness.tensors(c, "plain") != harness.tensors(c, "run")
    c.refused(3, ["none.safetensors"],
              "train", "config.yaml", "--out", "none", *QUIET, "--set", "train.init=none.safetensors")
    c.run("train", "run/config.yaml", "--out", "first", *QUIET, status=2)  # reads what it would replace


def keys_of(value):
    """Every key at any depth; those of a map from names to numbers are not ours."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if isinstance(value, dict):
        return set(value).union(*(keys_of(v) for k, v in value.items() if k not in ("gradients", "tensors")))
    return set()


def json_schema(c):
    """doc/json.md has every key that the commands print, and the common ones are in all of them."""
    text = (pathlib.Path(__file__).parents[2] / "doc/json.md").read_text()
    rows = {m[1]: set(re.findall(r"`(\w+)`", m[2])) for m in re.finditer(r"^\| `([a-z-]+)` \| (.*)\|$", text, re.M)}
    small = ("--set", "train.epochs=1")
    commands = {"train": ("config.yaml", "--out", "run", *small), "eval": ("run",), "data": ("config.yaml",),
                "overfit": ("config.yaml",), "grow": ("config.yaml", "--steps", "3", "--train-steps", "3"),
                "doctor": ("config.yaml", "--static", "--set", "train.optimizer.adam.lr=30"), "plan": ("config.yaml",),
                "bench": ("config.yaml", "--seconds", "0.05", "--no-start"), "cache": ("info",),
                "lr-find": ("config.yaml", "--out", "lr", "--range-steps", "5", "--range-only"),
                "devices": ("--device", "ref"), "compare": ("config.yaml", "--devices", "ref", "--steps", "2")}
    assert set(rows) - set(commands) == {"version", "config", "tune", "sweep"}, set(rows) - set(commands)
    for name, arguments in commands.items():
        device = () if name in ("compare", "devices") else ("--device", "ref")
        process = c.start(name, *arguments, "--json", *device)
        out, err = process.communicate(timeout=300)
        assert process.returncode in (0, 1), err
        result = json.loads(out)
        entries = result if isinstance(result, list) else [result]
        assert all(e["version"] for e in entries), name
        assert name in ("devices", "cache") or result["config"] == (None if name == "eval" else "config.yaml"), name
        for entry in result.get("devices", ()) if name == "compare" else () if name in ("cache", "data") else entries:
            assert entry["device"] == "ref" and {"name", "platform", "driver"} <= set(entry), (name, entry)
        own = set().union(*map(set, entries)) - {"version", "config", "device", "name", "platform", "driver"}
        assert own <= rows[name], f"doc/json.md lacks {own - rows[name]} of {name}"
        lists = {"ops", "shards", "self_test", "first_step", "step_ms", "final", "baseline", "baselines"}
        absent = rows[name] - keys_of(result) - lists
        assert name in ("data", "eval", "doctor", "cache", "lr-find") or not absent, f"{name} does not print {absent}"
    c.run("eval", "run", "--json", "e.json", "--quiet")
    assert json.loads((c.folder / "e.json").read_text())["samples"] == 30
    out, _ = c.run("eval", "run", "--json=e.txt")
    assert "30 samples" in out and json.loads((c.folder / "e.txt").read_text())["samples"] == 30
    assert json.loads(c.run("eval", "run", "--json", "-")[0])["samples"] == 30
    c.run("cache", "info", "--json", "run/summary.json", status=2)  # a file of a run
    out, err = c.run("train", "config.yaml", "--out", "quiet", *QUIET)
    assert (out, err) == ("quiet\n", "")
    assert c.run("eval", "quiet", "--quiet")[0] and not c.run("predict", "quiet", "--out", "p.npy", "--quiet")[0]


def left_out(c):
    """What was not asked for is not there: times, empty folders."""
    out, _ = c.run("compare", "config.yaml", "--devices", "ref", "--steps", "2", "--no-speed", "--json", "c.json")
    assert "ms/step" not in out and "samples/s" not in out and "GFLOP" not in out, out
    row = json.loads((c.folder / "c.json").read_text())["devices"][0]
    assert row["step_ms"]["median"] is None and row["samples_per_s"] is None
    for options in (("--static",), ("--no-train", "--set", "model.layers.4.linear.init=zeros", "--set",
                                    "model.layers.0.rnn.init=zeros")):
        process = c.start("doctor", "config.yaml", "--plot", "pictures", "--seconds", "3", *options)
        process.communicate(timeout=120)
        folder = c.folder / "pictures"
        assert not folder.exists() or list(folder.iterdir())
    (c.folder / "kernels/kcache").mkdir(parents=True)
    (c.folder / "kernels/kcache/k.so").write_bytes(b"x" * 5000)
    env = {"POCL_CACHE_DIR": str(c.folder / "kernels")}
    found = json.loads(c.run("cache", "info", "--json", env=env)[0])
    assert (found["pocl_folder"], found["pocl_bytes"]) == (str(c.folder / "kernels"), 5000)
    assert "PoCL's own cache of its kernels, 5.0 kB" in c.run("cache", "info", env=env)[0]


def first_start(c):
    """A start that builds kernels says so, and how far it is."""
    if not any(d["platform"] == "Portable Computing Language" for d in json.loads(
            c.run("devices", "--no-test", "--json")[0])):
        raise harness.Skip("no PoCL")
    rows = json.loads(c.run("devices", "--no-test", "--json")[0])
    assert [bool(d["default_why"]) for d in rows] == [d["default"] for d in rows]
    assert sum(d["default"] for d in rows) == 1
    env = {"POCL_CACHE_DIR": str(c.folder / "pocl"), "CLRNN_DEVICE": "pocl"}
    err = c.run("plan", "config.yaml", env=env)[1]
    assert err.count("building the kernels for") == 1, err
    assert not c.run("plan", "config.yaml", "--quiet", env={**env, "POCL_CACHE_DIR": str(c.folder / "other")})[1]


if __name__ == "__main__":
    sys.exit(harness.main([own_data, own_table, series_as_rows, reading, widths, environment, after_each_epoch,
                           init_is_kept, json_schema, left_out, first_start]))
