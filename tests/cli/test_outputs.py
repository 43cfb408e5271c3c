#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files that commands write: onto other people's files, what is read, links, devices; masks; locks; signals."""
import json
import os
import shutil
import signal
import sys
import time

import harness
from harness import read_npy, read_safetensors

QUIET = ("--quiet", "--no-plot", "--device", "ref", "--set", "train.epochs=1")


def snapshot(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names(c, folder="."):
    return {p.name for p in (c.folder / folder).iterdir()}


def refused(c, words, *arguments, folder=None):
    """Exit 2, the words in the message, and nothing changed."""
    before = snapshot(c.folder)
    c.refused(2, words, *arguments)
    after = snapshot(c.folder)
    assert {n: after.get(n) for n in before} == before, f"{arguments}: files changed"
    assert not set(after) - set(before), set(after) - set(before)


def foreign_folders(c):
    """A folder that holds other things and is no run is refused, whatever the things are."""
    for number, (name, text) in enumerate((("notes.txt", "mine"), ("config.yaml", "a: 1"), ("data.json", "{}"),
                                           ("loss.svg", "<svg/>"), ("summary.json", "{}"), (".hidden", "x"),
                                           ("metrics.jsonl", '{"loss": 1}\n'), ("last.safetensors", "x"))):
        (c.folder / f"d{number}").mkdir()
        (c.folder / f"d{number}" / name).write_text(text)
        refused(c, [f"d{number}", name], "train", "config.yaml", "--out", f"d{number}", *QUIET)
    refused(c, ["config.yaml", "config"], "train", "config.yaml", "--out", ".", *QUIET)
    (c.folder / "empty").mkdir()
    c.run("train", "config.yaml", "--out", "empty", *QUIET)
    # a run's model file among files of one's own does not make them a run's
    (c.folder / "mixed").mkdir()
    shutil.copy(c.folder / "empty" / "last.safetensors", c.folder / "mixed")
    (c.folder / "mixed" / "config.yaml").write_text("# my notes\n" + harness.CONFIG)
    refused(c, ["mixed"], "train", "config.yaml", "--out", "mixed", *QUIET)
    before = snapshot(c.folder)
    c.run("train", "--resume", "mixed", "--quiet", status=3)
    assert snapshot(c.folder) == before


def inputs_stay(c):
    """What a command reads is not replaced, by whatever name it is reached."""
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    refused(c, ["config"], "train", "run/config.yaml", "--out", "run", *QUIET)
    refused(c, ["init"], "train", "config.yaml", "--init", "run/best.safetensors", "--out", "run", *QUIET)
    refused(c, ["--resume run continues in that folder, not in --out other"],
            "train", "--resume", "run", "--out", "other", *QUIET[:-2], "--set", "train.epochs=2")
    refused(c, ["--resume and --init-partial exclude each other"], "train", "--resume", "run", "--init-partial", *QUIET)
    c.run("train", "--resume", "run", "--out", "./run", *QUIET)  # the same folder
    (c.folder / "alias.safetensors").symlink_to("run/last.safetensors")
    refused(c, ["init"], "train", "config.yaml", "--init", "alias.safetensors", "--out", "run", *QUIET)
    (c.folder / "hard.npy").hardlink_to(c.folder / "X_valid.npy")
    for out in ("X_valid.npy", "./X_valid.npy", "hard.npy"):
        refused(c, [out], "predict", "run", "--x", "X_valid.npy", "--out", out, "--device", "ref")
    for out in ("run/last.safetensors", "alias.safetensors"):
        refused(c, [out], "export", "run", "--to", "safetensors", "--out", out)
    (c.folder / "linked.onnx").symlink_to("run/best.safetensors")
    for out in ("run/best.safetensors", "run/config.yaml", "run/metrics.jsonl", "linked.onnx"):
        refused(c, [out, "run"], "export", "run", "--to", "onnx", "--out", out)
        refused(c, [out, "run"], "doctor", "config.yaml", "--static", "--report", out, "--device", "ref")
        refused(c, [out, "run"], "doctor", "config.yaml", "--static", "--fix", out, "--device", "ref")
        refused(c, [out, "run"], "compare", "config.yaml", "--no-speed", "--json", out, "--device", "ref")
    refused(c, ["run/metrics.jsonl", "run"], "predict", "run", "--x", "X_valid.npy", "--out", "run/metrics.jsonl",
            "--device", "ref")
    for out in ("config.yaml", "./config.yaml"):
        refused(c, [out], "doctor", "config.yaml", "--static", "--fix", out, "--device", "ref")
    (c.folder / "mine").mkdir()
    harness.write_npy(c.folder / "mine" / "X_test.npy", "<f4", (1,), [1.0])
    refused(c, ["X_test.npy"], "synth", "mine", "--samples", "4", "--test-samples", "4", "--features", "20")
    for _ in range(2):  # its own are replaced
        c.run("synth", "made", "--samples", "4", "--test-samples", "4", "--features", "20")


def data_stay(c):
    """No report or result replaces a data file that the config or an option names, nor weights."""
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    shutil.copy(c.folder / "run" / "last.safetensors", c.folder / "w.safetensors")
    (c.folder / "sub").mkdir()
    (c.folder / "sub" / "1.csv").write_text("a,b,y\n" + "1,2,0\n3,4,1\n" * 8)
    (c.folder / "hard.json").hardlink_to(c.folder / "X_train.npy")
    c.write("sub/many.yaml", "model: {layers: [linear: {out_features: 2}]}\ntrain: {loss: cross_entropy, optimizer: "
            "{adam: {}}, epochs: 1, batch_size: 4}\ndata: {train: {csv: '*.csv', label: y}}\n")
    static, ref = ("doctor", "config.yaml", "--static"), ("--device", "ref")
    for out in ("X_train.npy", "y_train.npy", "X_valid.npy", "./y_valid.npy", "hard.json"):
        refused(c, [out, "reads"], *static, "--fix", out, *ref)
        refused(c, [out, "reads"], *static, "--report", out, *ref)
        for command in ("doctor", "overfit", "grow", "lr-find", "plan", "compare", "tune", "bench", "data", "train"):
            refused(c, [out, "reads"], command, "config.yaml", f"--json={out}", *(() if command == "data" else ref))
        refused(c, [out, "reads"], "sweep", "config.yaml", "--vary", "train.seed=1,2", f"--json={out}", *ref)
    for out in ("X_valid.npy", "y_valid.npy"):
        refused(c, [out, "reads"], "eval", "run", f"--json={out}", *ref)
        refused(c, [out, "reads"], "eval", "run", "--x", "X_valid.npy", "--y", "y_valid.npy", f"--json={out}", *ref)
    refused(c, ["X_train.npy", "reads"], "train", "--resume", "run", "--json=X_train.npy", *ref)
    refused(c, ["sub/1.csv", "reads"], "doctor", "sub/many.yaml", "--static", "--fix", "sub/1.csv", *ref)
    refused(c, ["sub/1.csv", "reads"], "data", "sub/many.yaml", "--json=sub/1.csv")
    for command in ("overfit", "grow", "lr-find", "sweep"):
        refused(c, ["w.safetensors", "reads"], command, "config.yaml", "--init", "w.safetensors",
                "--json=w.safetensors", *ref)
    refused(c, ["w.safetensors", "reads"], *static, "--report", "w.safetensors", "--set", "train.init=w.safetensors",
            *ref)


def pictures(c):
    """A picture of the user's own is not replaced; one that gnuplot drew, as it draws ours, may be."""
    picture = c.folder / "gradient-by-time.svg"
    arguments = ("doctor", "config.yaml", "--no-train", "--quiet", "--device", "ref", "--plot", ".")
    picture.write_text("<svg>mine</svg>")
    refused(c, [picture.name], *arguments)
    picture.write_text("<svg><desc>Produced by GNUPLOT</desc></svg>")
    process = c.start(*arguments)
    _, err = process.communicate(timeout=300)
    assert process.returncode in (0, 1), err


def batches_of_one(c):
    """A batch that batchnorm cannot take is known before the earlier run is replaced."""
    small = ("--set", "model.layers=[pool: {over: mean}, batchnorm: {}, linear: {out_features: 2}]", *QUIET)
    c.run("train", "config.yaml", "--out", "run", *small)
    for changed in (("train.batch_size=69",), ("train.batch_size=1",),
                    ("train.batch_size=29", "model.layers.1.batchnorm.track_running_stats=false"),):
        sets = [word for text in changed for word in ("--set", text)]
        refused(c, ["batchnorm", "N=1"], "train", "config.yaml", "--out", "run", *small, *sets)
    c.run("train", "config.yaml", "--out", "run", *small, "--set", "train.batch_size=69", "--set",
          "train.drop_last=true")
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", "train.batch_size=69", "--set",
          "model.layers.1.batchnorm.momentum=0.1", "--set", "train.epochs=1")  # five steps


def earlier_run_stays(c):
    """An earlier run is whole until the new one has a checkpoint, then the new one is."""
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    (c.folder / "run" / "notes.txt").write_text("mine")
    before = snapshot(c.folder / "run")
    c.write("last.yaml", harness.CONFIG.replace("- pool: {over: mean}\n  ", "- pool: {over: mean}\n  - batchnorm\n  ")
            .replace("batch_size: 16", "batch_size: 23"))  # 70 samples: the last batch has one
    c.run("train", "last.yaml", "--out", "run", *QUIET, status=2)
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", "model.layers.4.linear.out_features=1", status=3)
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--init", "X_train.npy", status=3)
    c.run("train", "config.yaml", "--out", "run", "--quiet", "--device", "nosuchdevice", status=2)
    assert snapshot(c.folder / "run") == before
    process = c.start("train", "config.yaml", "--out", "run", "--quiet", "--no-plot", "--device", "ref", "--set",
                      "model.layers.0.rnn.hidden_size=600", "--set", "train.epochs=1000")
    wait(lambda: ".clrnn-new" in names(c, "run") and "last.safetensors" in names(c, "run/.clrnn-new"), process)
    process.kill()
    process.communicate()
    after = {n: b for n, b in snapshot(c.folder / "run").items() if not n.startswith(".clrnn-new")}
    assert after == before, "killed in its first epoch"
    c.run("train", "config.yaml", "--out", "run", *QUIET, "--set", "train.seed=8")
    assert names(c, "run") - {"classes.svg", "loss.svg"} == {
        ".clrnn-run", "notes.txt", "config.yaml", "data.json", "metrics.jsonl", "last.safetensors", "best.safetensors",
        "summary.json"}
    assert "seed: 8" in (c.folder / "run" / "config.yaml").read_text() and len(c.epochs("run")) == 1


def swap_goes_on(c):
    """A replacement that was broken off, at any of its steps, is ended by the next command."""
    c.run("train", "config.yaml", "--out", "old", *QUIET, "--set", "train.epochs=2")
    c.run("train", "config.yaml", "--out", "new", *QUIET, "--set", "train.seed=9")
    want = {n: b for n, b in snapshot(c.folder / "new").items() if n not in (".clrnn-run", "summary.json")}
    files = sorted(want)
    for part in (".clrnn-ready", ".clrnn-moving"):
        for moved in range(len(files) + 1 if part == ".clrnn-moving" else 1):
            shutil.rmtree(c.folder / "run", ignore_errors=True)
            shutil.copytree(c.folder / "old", c.folder / "run")
            (c.folder / "run" / part).mkdir()
            for i, name in enumerate(files):
                (c.folder / "run" / ("." if i < moved else part) / name).write_bytes(want[name])
            c.run("train", "--resume", "run", *QUIET)
            assert c.bytes("run") == c.bytes("new"), (part, moved)
            assert c.epochs("run") == c.epochs("new") and not names(c, "run") & {part, ".clrnn-new"}


def unmarked_runs(c):
    """Runs of versions that left no mark are runs as well: they resume and are replaced."""
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    (c.folder / "run" / ".clrnn-run").unlink()
    c.run("train", "--resume", "run", "--quiet", "--no-plot", "--device", "ref", "--set", "train.epochs=2")
    (c.folder / "run" / ".clrnn-run").unlink()
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    assert len(c.epochs("run")) == 1


def links_and_devices(c):
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    predict = ("predict", "run", "--x", "X_valid.npy", "--device", "ref", "--quiet", "--out")
    export = ("export", "run", "--to", "safetensors", "--out")
    (c.folder / "far").mkdir()
    for command, end, read in ((predict, ".npy", read_npy), (export, ".safetensors", read_safetensors)):
        for dangling in (False, True):
            target, link = c.folder / "far" / f"{dangling}{end}", c.folder / f"{dangling}{end}"
            if not dangling:
                target.write_text("before")
            link.symlink_to(target)
            c.run(*command, link.name)
            assert link.is_symlink() and read(target), link
    c.run(*export, "/dev/null")
    c.run(*export, "/dev/full", status=5)
    assert not os.path.isfile("/dev/null") and not os.path.isfile("/dev/full")
    os.mkfifo(c.folder / "pipe.npy")
    reader = os.open(c.folder / "pipe.npy", os.O_RDWR)
    c.run(*predict, "pipe.npy")
    assert os.read(reader, 6) == b"\x93NUMPY"
    os.close(reader)
    assert c.run(*predict, "/dev/stdout")[0].startswith("sample,")
    c.run(*predict, "p.txt", status=2)
    c.run(*export, "far", status=5)
    c.run("synth", "data", "--samples", "4", "--test-samples", "4", "--features", "20")
    (c.folder / "data" / "X_test.npy").rename(c.folder / "far" / "X.npy")
    (c.folder / "data" / "X_test.npy").symlink_to("../far/X.npy")
    c.run("synth", "data", "--samples", "5", "--test-samples", "6", "--features", "20")
    assert (c.folder / "data" / "X_test.npy").is_symlink() and read_npy(c.folder / "far" / "X.npy")[0][0] == 6


def masks(c):
    for mask in (0o022, 0o027, 0o077):
        run = f"run{mask}"
        c.run("train", "config.yaml", "--out", run, *QUIET, preexec_fn=lambda mask=mask: os.umask(mask))
        c.run("predict", run, "--x", "X_valid.npy", "--out", f"{mask}.npy", "--device", "ref", "--quiet",
              preexec_fn=lambda mask=mask: os.umask(mask))
        for path in (*(c.folder / run).iterdir(), c.folder / f"{mask}.npy"):
            assert path.stat().st_mode & 0o777 == 0o666 & ~mask, (path, oct(path.stat().st_mode))


def wait(until, process):
    for _ in range(2400):
        if until():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    raise AssertionError("nothing happened in 48 s")


def one_run_at_a_time(c):
    """The lock of a run's folder cannot be had twice, also while it is resumed."""
    long = ("--quiet", "--no-plot", "--device", "ref", "--set", "train.epochs=100000")
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    process = c.start("train", "--resume", "run", *long)
    wait(lambda: len(c.epochs("run")) > 2, process)
    for _ in range(3):
        assert "another run" in c.run("train", "--resume", "run", *long, status=2)[1]
        assert "another run" in c.run("train", "config.yaml", "--out", "run", *QUIET, status=2)[1]
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert [e["epoch"] for e in c.epochs("run")] == list(range(1, len(c.epochs("run")) + 1))


def signals(c):
    """HUP, TERM and INT end training with a checkpoint, and others without temporary files; nohup holds."""
    long = ("--quiet", "--no-plot", "--device", "ref", "--set", "train.epochs=100000")
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        process = c.start("train", "config.yaml", "--out", number.name, *long)
        wait(lambda: (c.folder / number.name / "best.safetensors").exists(), process)
        process.send_signal(number)
        process.communicate(timeout=60)
        assert process.returncode == 130, (number, process.returncode)
        read_safetensors(c.folder / number.name / "last.safetensors")
        c.run("train", "--resume", number.name, *QUIET)  # done already
        process = c.start("synth", f"d{number.name}", "--samples", "4000000")
        wait(lambda: any(n.startswith(".clrnn-tmp-") for n in names(c, f"d{number.name}"))
             if (c.folder / f"d{number.name}").exists() else False, process)
        process.send_signal(number)
        process.communicate(timeout=60)
        left = names(c, f"d{number.name}")
        assert process.returncode == 130 and left <= {".clrnn-synth"}, (process.returncode, left)
    process = c.start("train", "config.yaml", "--out", "nohup", *long,
                      preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    wait(lambda: (c.folder / "nohup" / "best.safetensors").exists(), process)
    process.send_signal(signal.SIGHUP)
    done = len(c.epochs("nohup"))
    wait(lambda: len(c.epochs("nohup")) > done + 1, process)
    process.kill()
    process.communicate()


def small_files():
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def limits(c):
    """ulimit -f: a sentence, exit 5, nothing left."""
    _, err = c.run("synth", "d", "--samples", "5000", status=5, preexec_fn=small_files)
    assert "d/X_train.npy" in err and names(c, "d") == {".clrnn-synth"}, (err, names(c, "d"))


def odd_metrics(c):
    """Lines of metrics.jsonl that no run writes are dropped when it goes on."""
    c.run("train", "config.yaml", "--out", "run", *QUIET)
    with open(c.folder / "run" / "metrics.jsonl", "a") as file:
        for epoch, step in ((-1, 1), (-1e300, -1e300), (1e300, 1), (0, 0), (1, -5), (2, 1)):
            file.write(json.dumps({"epoch": epoch, "step": step, "seconds": -1e308}) + "\n")
    c.run("train", "--resume", "run", "--quiet", "--no-plot", "--device", "ref", "--set", "train.epochs=2")
    assert [e["epoch"] for e in c.epochs("run")] == [1, 2]


if __name__ == "__main__":
    sys.exit(harness.main([foreign_folders, inputs_stay, data_stay, pictures, batches_of_one, earlier_run_stays,
                           swap_goes_on, unmarked_runs, links_and_devices, masks, one_run_at_a_time, signals, limits,
                           odd_metrics]))
