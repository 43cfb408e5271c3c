#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills training, resume, predict, tune and synth at random moments: nothing is lost, nothing is left behind.

usage: test_kills.py CLRNN [COUNT [SEED]]   COUNT kills (100) in all
"""
import json
import pathlib
import random
import shutil
import signal
import sys
import time

import harness
from harness import read_npy, read_safetensors

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
OURS = {".clrnn-run", "config.yaml", "data.json", "metrics.jsonl", "last.safetensors", "best.safetensors",
        "summary.json"}
DEVICE = ("--quiet", "--device", "ref")


def write_config(c, seed):
    c.write(f"seed{seed}.yaml", harness.CONFIG.replace("seed: 7", f"seed: {seed}")
            .replace("hidden_size: 8", "hidden_size: 3").replace("epochs: 3", "epochs: 4"))


class Killer:
    """Starts a command and sends it a signal within the time that it takes."""

    def __init__(self, command, draw):
        self.c, self.draw = command, draw
        self.taken, self.kills, self.early = {}, 0, 0

    def kill(self, what, *arguments, env=None, signals=SIGNALS):
        """True where the signal came before the end. The first of a kind is timed, not killed."""
        start = time.monotonic()
        process = self.c.start(*arguments, env=env)
        if what in self.taken:
            time.sleep(self.draw.uniform(0, self.taken[what]))
            process.send_signal(number := self.draw.choice(signals))
            _, err = process.communicate(timeout=120)
            assert process.returncode in (0, 130, -signal.SIGKILL, -number), (what, number, process.returncode, err)
            self.kills += 1
            self.early += process.returncode != 0
            return process.returncode != 0
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, (what, process.returncode, err)
        self.taken[what] = time.monotonic() - start
        return False


def left_behind(folder):
    """Temporary files and parts of a replacement, but for the cache's, which tune's next call removes."""
    return sorted(str(p) for p in pathlib.Path(folder).rglob(".clrnn-*")
                  if p.name not in (".clrnn-run", ".clrnn-synth") and "cache" not in p.relative_to(folder).parts)


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def train(k):
    """Onto an earlier run, which stays whole until the new one takes its place; then on to its end."""
    c, run = k.c, k.c.folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(c.folder / "whole7", run)
    early = k.kill("train", "train", "seed8.yaml", "--out", "run", "--no-plot", *DEVICE)
    read_safetensors(run / "last.safetensors")
    read_safetensors(run / "best.safetensors") if (run / "best.safetensors").exists() else None
    if early and "seed: 7" in (run / "config.yaml").read_text() and not (run / ".clrnn-ready").exists() \
            and not (run / ".clrnn-moving").exists():
        before = contents(c.folder / "whole7")
        assert contents(run) == before, "the earlier run is not whole"
    k.kill("resume", "train", "--resume", "run", "--no-plot", *DEVICE)
    c.run("train", "--resume", "run", "--no-plot", *DEVICE)
    seed = 8 if "seed: 8" in (run / "config.yaml").read_text() else 7
    for name in ("last.safetensors", "best.safetensors"):
        assert (run / name).read_bytes() == (c.folder / f"whole{seed}" / name).read_bytes(), (name, seed)
    got, want = c.epochs("run"), c.epochs(f"whole{seed}")
    assert [e["train_loss"] for e in got] == [e["train_loss"] for e in want]
    assert {p.name for p in run.iterdir()} == OURS, {p.name for p in run.iterdir()}


def predict(k):
    c = k.c
    arguments = ("predict", "whole7", "--x", "X_train.npy", "--out", "p.npy", *DEVICE)
    k.kill("predict", *arguments)
    if (c.folder / "p.npy").exists():
        assert read_npy(c.folder / "p.npy")[0] == (70, 2)
    c.run(*arguments)
    assert not left_behind(c.folder), left_behind(c.folder)


def synth(k):
    arguments = ("synth", "made", "--samples", "300", "--test-samples", "50")
    k.kill("synth", *arguments)
    for path in (k.c.folder / "made").glob("*.npy"):
        read_npy(path)
    k.c.run("synth", "made", "--samples", "4", "--test-samples", "4", "--features", "20")
    assert not left_behind(k.c.folder), left_behind(k.c.folder)


def tune(k):
    """What is remembered stays whole; it is not waited for, since building each setting takes a CPU seconds."""
    cache = k.c.folder / "cache" / "clrnn" / "tune"
    k.taken["tune"] = 2
    k.kill("tune", "tune", "seed7.yaml", "--quiet", env={"XDG_CACHE_HOME": str(k.c.folder / "cache")},
           signals=(signal.SIGKILL,))
    for path in cache.glob("*.json"):
        json.loads(path.read_text())
    assert len(left_behind(cache)) <= 1, left_behind(cache)  # the next call that writes removes it


def has_opencl(c):
    devices = json.loads(c.run("devices", "--no-test", "--json")[0])
    return any(d["type"] != "reference" and not d["trouble"] for d in devices)


def begun_anew(c):
    """Killed before its first checkpoint, a run begins anew, and ends with the bytes of one that was not."""
    c.run("train", "config.yaml", "--device", "ref", "--out", "whole", *harness.QUIET)
    c.run("train", "config.yaml", "--device", "ref", "--out", "run", *harness.QUIET)
    for path in (c.folder / "run").iterdir():
        if path.suffix not in (".yaml", "") and path.name != "data.json":
            path.unlink()
    _, err = c.run("train", "--resume", "run", "--device", "ref", *harness.QUIET)
    assert "has no checkpoint yet, the run begins anew" in err, err
    assert c.bytes("run") == c.bytes("whole")


def main():
    executable, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    draw = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)

    def kills(c):
        for seed in (7, 8):
            write_config(c, seed)
            c.run("train", f"seed{seed}.yaml", "--out", f"whole{seed}", "--no-plot", *DEVICE)
        k, start, rounds = Killer(c, draw), time.monotonic(), 0
        kinds = (train, predict, synth, train, predict, synth, tune) if has_opencl(c) else (train, predict, synth)
        while k.kills < count:
            kinds[rounds % len(kinds)](k)
            rounds += 1
        print(f"# {k.kills} kills, {k.early} before the end, {time.monotonic() - start:.0f} s")
        assert k.early > k.kills // 4, "most commands were over before they could be killed"

    sys.argv[1:] = [executable]
    return harness.main([kills, begun_anew])


if __name__ == "__main__":
    sys.exit(main())
