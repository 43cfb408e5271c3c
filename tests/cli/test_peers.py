#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/bench-vs-pytorch: its help and errors, how it chooses the best peer, and one row where torch is at hand.

    test_peers.py CLRNN ROOT"""
import json
import os
import pathlib
import subprocess
import sys

from harness import Skip, main

TOOL = pathlib.Path(sys.argv.pop(2)).resolve() / "tools" / "bench-vs-pytorch"
CONFIG = """\
model:
  layers:
  - lstm: {hidden_size: 4}
  - pool: {over: last}
  - linear: {out_features: 2}
train: {loss: cross_entropy, batch_size: 4, seed: 1}
data: {train: {synthetic: {samples: 8, steps: 3, features: 2, classes: 2, seed: 1}}}
"""
# A Python that answers as one with torch and ONNX Runtime would: their best is 3 ms with one thread and 1 with two.
ANSWERS = """\
#!/bin/sh
case "$*" in
*--versions*) echo '{"torch": "9.0", "onnxruntime": "8.0", "yaml": "7.0"}' ;;
*"--threads 1"*--onnx*) echo '{"infer_ms": 4000, "peak_host_bytes": 5000000}' ;;
*--onnx*) echo '{"infer_ms": 1000, "peak_host_bytes": 6000000}' ;;
*"--threads 1"*) echo '{"train_ms": 3000, "infer_ms": 2000, "peak_host_bytes": 70000000}' ;;
*) echo '{"train_ms": 5000, "infer_ms": 2500, "peak_host_bytes": 60000000}' ;;
esac
"""


def tool(c, *arguments, env=None):
    """(exit status, stdout, stderr) of the tool on the config, with the shortest measurements."""
    c.write("peers.yaml", CONFIG)
    process = subprocess.run([sys.executable, TOOL, "--clrnn", c.executable, "--rounds", "1", "--seconds", "0.01",
                              *arguments], cwd=c.folder, env={**os.environ, **(env or {})}, capture_output=True,
                             text=True, check=False)
    return process.returncode, process.stdout, process.stderr


def python(c, text):
    """An executable that stands for a Python."""
    (c.folder / c.write("python", text)).chmod(0o755)
    return "./python"


def test_help(c):
    status, out, _ = tool(c, "--help")
    assert status == 0 and all(word in out for word in ("--python PATH", "--profile", "--upgrade", "--cuda")), out


def test_errors(c):
    """One sentence each, before anything is measured."""
    for arguments, want, sentence in (
            (("--python", python(c, "#!/bin/sh\necho '{\"yaml\": \"7.0\"}'\n"), "peers.yaml"), 1,
             "bench-vs-pytorch: ./python has no torch; without --python they are installed into a virtual environment"),
            (("--python", "nowhere/python", "peers.yaml"), 1,
             "bench-vs-pytorch: nowhere/python cannot be run: No such file or directory"),
            (("--clrnn", "nowhere/clrnn", "peers.yaml"), 1,
             "bench-vs-pytorch: nowhere/clrnn cannot be run; build first, or name it by --clrnn"),
            (("absent.yaml",), 2, "there is no config absent.yaml"),
            (("--threads", "1,x", "peers.yaml"), 2, "--threads 1,x: whole numbers with commas between are expected"),
            (("--rounds", "0", "peers.yaml"), 2, "--rounds 0: at least 1 is expected")):
        status, out, err = tool(c, *arguments)
        assert (status, out) == (want, "") and err.strip().endswith(sentence), (status, out, err)


def test_broken_environment(c):
    """Where the virtual environment cannot be made, a sentence names it, and the next run begins it anew."""
    (c.folder / "clrnn").write_text("in the way of the folder")
    status, _, err = tool(c, "peers.yaml", env={"XDG_CACHE_HOME": str(c.folder)})
    assert status == 1 and f"{c.folder}/clrnn/peers cannot be made" in err and "--python takes" in err, err


def test_best(c):
    """The best of all peers is compared with: here one thread for training, ONNX Runtime with two for inference."""
    status, out, err = tool(c, "--python", python(c, ANSWERS), "--threads", "1,2", "--json", "o.json", "peers.yaml")
    assert (status, err) == (0, ""), err
    row, = json.loads((c.folder / "o.json").read_text())
    assert set(row["peers"]) == {"torch/1", "torch/2", "onnx/1", "onnx/2"}, row
    assert (row["train_peer"], row["train_peer_ms"]) == ("torch/1", 3000), row
    assert (row["infer_peer"], row["infer_peer_ms"]) == ("onnx/2", 1000), row
    assert abs(row["train_ratio"] * row["train_ms"] - 3000) < 1e-6, row
    assert row["torch_peak_host_bytes"] == 60000000 and row["peak_host_bytes"] > 1000000, row
    assert out.startswith("torch 9.0, onnxruntime 8.0\n") and "torch/1" in out.splitlines()[-1], out


def test_row(c):
    """One row with a torch that is here, and where it lies both profiles."""
    try:
        import torch
        import yaml
    except ImportError as missing:
        raise Skip(f"no {missing.name}") from missing
    status, out, err = tool(c, "--python", sys.executable, "--profile", "--json", "o.json", "peers.yaml")
    assert status == 0 and yaml.__version__ in (c.folder / "o.json").read_text(), err
    assert f"torch {torch.__version__}" in out and "clrnn, peers: profile of" in out and "aten::" in out, out
    row, = json.loads((c.folder / "o.json").read_text())
    assert row["train_ratio"] > 0 and row["peers"]["torch/1"]["peak_host_bytes"] > 20e6, row


if __name__ == "__main__":
    sys.exit(main([test_help, test_errors, test_broken_environment, test_best, test_row]))
