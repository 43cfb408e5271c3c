#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files as an outsider may give them: huge, deep, shrinking while they are read, no files at all."""
import json
import os
import pathlib
import struct
import subprocess
import sys
import time

import harness
from harness import write_npy, write_safetensors

SPARE_SECONDS, SPARE_KB = 0.5, 64 << 10  # that a loaded machine, its caches and a sanitizer may take
MOST_SECONDS, MOST_KB = 1, 256 << 10
SANITIZED = 5  # times as much of both, where a sanitizer is built in


def cost(c, *arguments):
    """Runs it to whatever status but a signal's; CPU seconds, peak kB and the error line."""
    with open(c.folder / "err", "wb") as err:
        process = subprocess.Popen([c.executable, *arguments], cwd=c.folder, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=err)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    text = (c.folder / "err").read_bytes()
    what = " ".join(arguments)[:200]
    assert process.returncode in (0, 1, 2, 3), f"{what}: exit {process.returncode}\n{text[-1000:]}"
    assert len(text) < 64 << 10, f"{what}: a message of {len(text)} bytes: {text[:200]}"
    return used.ru_utime + used.ru_stime, used.ru_maxrss, text


def scales(c, name, make, sizes, *arguments):
    """make(size) writes the input; the last size is the limit, and the others double up to it or beyond."""
    idle_seconds, idle_kb, _ = cost(c, "--version")
    times = SANITIZED if b"__asan_init" in pathlib.Path(c.executable).read_bytes() else 1
    seconds = []
    for size in sizes:
        make(size)
        spent, peak, _ = cost(c, *arguments)
        assert peak - idle_kb <= times * (MOST_KB + SPARE_KB), f"{name} of {size}: {peak} kB"
        assert spent <= times * (2 * MOST_SECONDS + SPARE_SECONDS), f"{name} of {size}: {spent:.2f} s"
        seconds.append(spent - idle_seconds)
    for smaller, larger, a, b in zip(sizes, sizes[1:], seconds, seconds[1:]):
        assert b <= 2 * larger / smaller * max(a, 0) + times * SPARE_SECONDS, \
            f"{name}: {a:.2f} s for {smaller}, {b:.2f} s for {larger}"


PLAN = ("plan", "deep.yaml", "--device", "ref")


def configs(c):
    def repeated(head, text):
        return lambda size: c.write("deep.yaml", head + text * ((size - len(head)) // len(text)))

    def numbered(text):
        return lambda size: c.write("deep.yaml", "".join(text.format(i) for i in range(size // (len(text) + 3))))

    for text in ("[", "{", "- ", "? ", "[a,", "{a: ", "- a\n", "%TAG !a! b\n", "&a ", "!a ", '"', "# c\n", "| \n",
                 "[],", "\n", "a "):
        scales(c, repr(text), repeated("", text), [1 << 20, 2 << 20, 4 << 20, 8 << 20], *PLAN)
    for text in ("- &a{0} b\n", "k{0}: v\n", "- {{k{0}: v}}\n"):
        scales(c, repr(text), numbered(text), [1 << 20, 2 << 20, 4 << 20], *PLAN)
    scales(c, "layers", repeated("model:\n  layers:\n", "  - relu\n"), [1 << 18, 1 << 19, 1 << 20], *PLAN)
    scales(c, "tensors", repeated("model:\n  layers:\n", "  - lstm: {hidden_size: 1, num_layers: 1000}\n"),
           [1 << 10, 1 << 11, 1 << 15], *PLAN)
    scales(c, "names", numbered("  - linear: {{name: n{0}, out_features: 1}}\n"), [1 << 14, 1 << 15, 1 << 16], *PLAN)


def assignments(c):
    for text in ("[", "a.", "- ", "&a "):
        for most in (1 << 14, 1 << 15, 1 << 16):
            scales(c, "--set", lambda size: None, [most], "plan", "config.yaml", "--device", "ref", "--set",
                   "train." + text * (most // len(text)) + "=1")
            scales(c, "--set", lambda size: None, [most], "plan", "config.yaml", "--device", "ref", "--set",
                   "train.epochs=" + text * (most // len(text)))


def model_files(c):
    def entry(i):
        return f'"t{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'

    def write(text):
        (c.folder / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text.encode())

    init = ("train", "config.yaml", "--device", "ref", "--init", "m.safetensors", "--out", "run")
    scales(c, "tensors", lambda n: write("{" + ",".join(map(entry, range(n))) + "}"),
           [10000, 20000, 40000, 80000], *init)
    scales(c, "metadata", lambda n: write('{"__metadata__":{' + ",".join(f'"k{i}":"v"' for i in range(n)) + "}}"),
           [60000, 120000, 240000, 480000], *init)
    for text in ("[", "[],", "{},", '"', "1,", " ", '"\\u0041",'):
        scales(c, text, lambda n, text=text: write('{"a":[' + text * (n // len(text)) + "0]}"),
               [1 << 21, 1 << 22, 1 << 24, 1 << 25], *init)

    c.run("train", "config.yaml", "--device", "ref", "--out", "run", "--set", "train.epochs=1")
    tensors, metadata = harness.read_safetensors(c.folder / "run/last.safetensors")

    def inside(size):
        config = "model:\n  layers:\n" + "  - lstm: {hidden_size: 1, num_layers: 1000}\n" * (size // 45)
        write_safetensors(c.folder / "m.safetensors", tensors, {**metadata, "clrnn.config": config})

    scales(c, "the config inside", inside, [1 << 11, 1 << 12, 1 << 20],
           "eval", "m.safetensors", "--device", "ref", "--x", "X_valid.npy", "--y", "y_valid.npy")


def tables(c):
    config = c.write("csv.yaml", "model: {layers: [{linear: {out_features: 2}}]}\n"
                                 "train: {loss: cross_entropy, epochs: 1, batch_size: 65536}\n"
                                 "data: {train: {csv: t.csv, label: y}}\n")
    csv = ("plan", config, "--device", "ref")
    scales(c, "rows", lambda n: c.write("t.csv", "x,y\n" + "1,0\n" * n), [1 << 16, 1 << 17, 1 << 18], *csv)
    scales(c, "columns", lambda n: c.write("t.csv", "x," * n + "y\n" + "1," * n + "0\n"), [1 << 16, 1 << 17, 1 << 18],
           *csv)
    scales(c, "a cell", lambda n: c.write("t.csv", 'x,y\n"' + "1" * n), [1 << 20, 1 << 22, 1 << 24], *csv)
    scales(c, "a header's cell", lambda n: c.write("t.csv", '"' + "x" * n), [1 << 20, 1 << 22, 1 << 24], *csv)

    def header(n):
        (c.folder / "X_train.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", n) + b" " * n)

    scales(c, "an npy header", header, [1 << 16, 1 << 20, 1 << 24], "plan", "config.yaml", "--device", "ref")


def metrics(c):
    c.run("train", "config.yaml", "--device", "ref", "--out", "run", "--set", "train.epochs=1")
    line = json.dumps(c.epochs("run")[0]) + "\n"

    def lines(n):
        (c.folder / "run/metrics.jsonl").write_text(line * n)

    scales(c, "lines", lines, [4000, 8000, 16000], "train", "--resume", "run", "--device", "ref")
    for text in ("[", '{"a":', "1" * 1000 + "\n"):
        scales(c, text[:5], lambda n, text=text: (c.folder / "run/metrics.jsonl").write_text(text * (n // len(text))),
               [1 << 20, 1 << 21, 1 << 22], "train", "--resume", "run", "--device", "ref")


STAGED = {"CLRNN_RESIDENT_BYTES": "0"}  # batches are read from the file one by one


def shrinks(c, path, ready, *arguments):
    """Runs, and cuts the file once ready() holds; one sentence, exit 3, nothing new left in the folder."""
    whole, run = path.read_bytes(), c.folder / "run"
    before = {p.name for p in c.folder.iterdir()}
    process = c.start(*arguments, env=STAGED)
    end = time.time() + 200
    while not ready() and process.poll() is None and time.time() < end:
        time.sleep(0.01)
    assert process.poll() is None, f"ended before the file could be cut: {process.communicate()}"
    os.truncate(path, 4096)
    _, err = process.communicate(timeout=300)
    path.write_bytes(whole)
    assert process.returncode == 3, f"{arguments}: exit {process.returncode}\n{err}"
    assert err.count("clrnn: error:") == 1 and path.name in err and "became shorter" in err, err
    left = {p.name for p in c.folder.iterdir()} - before - {"run"}
    assert not left, left
    assert not list(run.glob(".clrnn-tmp-*"))


def shrinking(c):
    n, t, f = 4000, 30, 8
    write_npy(c.folder / "X_train.npy", "<f4", (n, t, f), [0.25] * (n * t * f))
    write_npy(c.folder / "y_train.npy", "<i8", (n,), [i % 2 for i in range(n)])
    run = c.folder / "run"

    def trained():
        return (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size > 0

    train = ("train", "config.yaml", "--device", "ref", "--out", "run", "--set", "train.epochs=100000",
             "--set", "train.log_every=1", "--set", "data.valid=null")
    shrinks(c, c.folder / "X_train.npy", trained, *train)
    harness.write_dataset(c.folder, 40, t, f, prefix="small")
    c.run("train", "config.yaml", "--device", "ref", "--out", "model", "--set", "train.epochs=1",
          "--set", "data.train={x: X_small.npy, y: y_small.npy}", "--set", "data.valid=null",
          "--set", "model.layers.0.rnn.hidden_size=256")
    there = set(c.folder.iterdir())
    shrinks(c, c.folder / "X_train.npy", lambda: set(c.folder.iterdir()) - there,  # what is being written
            "predict", "model", "--device", "ref", "--x", "X_train.npy", "--out", "p.npy")
    shrinks(c, c.folder / "y_train.npy", lambda: time.sleep(0.5) or True,
            "eval", "model", "--device", "ref", "--x", "X_train.npy", "--y", "y_train.npy")


def no_files(c):
    """Pipes, devices and folders where a file is expected end at once, and say what they are."""
    os.mkfifo(c.folder / "pipe")
    os.mkdir(c.folder / "folder")
    c.run("train", "config.yaml", "--device", "ref", "--out", "run", "--set", "train.epochs=1")
    for name in ("pipe", "folder", "/dev/zero", "/dev/null"):
        for key in ("x: {0}, y: y_train.npy", "x: X_train.npy, y: {0}", "x: X_train.npy, y: y_train.npy, lengths: {0}",
                    "csv: {0}, label: y"):
            _, err = c.run("train", "config.yaml", "--device", "ref", "--out", "r", "--set",
                           "data.train={" + key.format(name) + "}", status=3)
            assert name in err, err
        c.refused(3, [name], "train", "config.yaml", "--device", "ref", "--out", "r", "--init", name)
        if name != "folder":
            c.refused(3, [name], "eval", name, "--device", "ref", "--x", "X_train.npy", "--y", "y_train.npy")
    for name in ("folder", "/dev/zero"):
        c.refused(2, [name], "plan", name, "--device", "ref")


def streamed(c):
    """A config that comes through a pipe or a descriptor has its data in the working directory."""
    text = (c.folder / "config.yaml").read_text()
    for name in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
        for by_pipe in (True, False):
            with open(c.folder / "config.yaml", encoding="utf-8") as file:
                process = subprocess.Popen(
                    [c.executable, "plan", name, "--device", "ref"], cwd=c.folder, text=True,
                    stdin=subprocess.PIPE if by_pipe else file, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                _, err = process.communicate(text if by_pipe else None, timeout=60)
                assert process.returncode == 0, (name, by_pipe, err)


if __name__ == "__main__":
    sys.exit(harness.main([configs, assignments, model_files, tables, metrics, shrinking, no_files, streamed]))
