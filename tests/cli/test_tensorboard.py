#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`train.tensorboard`: the event file, read by a reader of its own here and by the tensorboard package where there is
one (CLRNN_ONNX_PYTHON names a Python that may have it), as TAP.

    test_tensorboard.py CLRNN [TEST...]"""
import json
import os
import struct
import subprocess
import sys
import time

from harness import Skip, main, read_safetensors
from protobuf import fields

FILE = "events.out.tfevents.clrnn"
METRICS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "lr", "grad_norm")
ON = ("--device", "ref", "--quiet", "--set", "train.tensorboard=true")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data, whole=True):
    """The messages of a TFRecord file; of one that is cut off (not `whole`) those before the cut."""
    at = 0
    while at < len(data):
        head, tail = data[at:at + 12], 0
        size = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
        tail = at + 12 + size
        if len(head) < 12 or tail + 4 > len(data):
            assert not whole, "the last record is cut off"
            return
        assert struct.unpack("<I", head[8:])[0] == crc32c(head[:8]), "a length's checksum is wrong"
        message = data[at + 12:tail]
        assert struct.unpack("<I", data[tail:tail + 4])[0] == crc32c(message), "a message's checksum is wrong"
        yield message
        at = tail + 4


def events(c, run, whole=True):
    """(scalars {tag: [(step, value)]}, histograms {tag: [(step, values)]}, texts {tag: text}, pictures {tag: [(step,
    width, height, png)]})"""
    scalars, histograms, texts, pictures = {}, {}, {}, {}
    for number, message in enumerate(records(c.bytes(run, FILE), whole)):
        event = fields(message)
        if number == 0:
            assert event[3] == [b"brain.Event:2"]
            continue
        step, value = event[2][0], fields(fields(event[5][0])[1][0])
        tag = value[1][0].decode()
        if 2 in value:
            scalars.setdefault(tag, []).append((step, struct.unpack("<f", value[2][0])[0]))
        elif 4 in value:
            image = fields(value[4][0])
            pictures.setdefault(tag, []).append((step, image[2][0], image[1][0], image[4][0]))
        elif 5 in value:
            histogram = fields(value[5][0])
            counts = struct.unpack(f"<{len(histogram[7][0]) // 8}d", histogram[7][0])
            histograms.setdefault(tag, []).append((step, counts))
        else:
            texts[tag] = fields(value[8][0])[8][0].decode()
    return scalars, histograms, texts, pictures


def told(c, run):
    """What metrics.jsonl says of the epochs, as the scalars should."""
    single = struct.Struct("<f")
    return {name: [(e["step"], single.unpack(single.pack(e[name]))[0]) for e in c.epochs(run)] for name in METRICS}


def content(c):
    c.run("train", "config.yaml", "--out", "run", *ON, "--set", "train.log_every=2")
    scalars, histograms, texts, _ = events(c, "run")
    assert {name: scalars[name] for name in METRICS} == told(c, "run")
    assert [step for step, _ in scalars["step/loss"]] == [line["step"] for line in c.steps("run")]
    tensors, _ = read_safetensors(c.folder / "run/last.safetensors")
    trained = [name for name in tensors if "running" not in name and "batches" not in name and
               not name.startswith(("optim.", "input."))]
    assert sorted(histograms) == sorted(f"{kind}/{name}" for name in trained for kind in ("weights", "gradients"))
    for name in trained:
        count = len(tensors[name][2]) // (8 if tensors[name][0] == "F64" else 4)
        assert [sum(counts) for _, counts in histograms[f"weights/{name}"]] == [count] * 3
    assert texts["config"] == "```yaml\n" + (c.folder / "run/config.yaml").read_text() + "```\n"


def pictures(c):
    """The run folder's pictures as PNG, of the last epoch; a resumed run adds those of its end, one with nothing to do
    and --no-plot add none."""
    if subprocess.run(["gnuplot", "-e", "set terminal pngcairo"], capture_output=True, check=False).returncode:
        raise Skip("no gnuplot with pngcairo")
    c.run("train", "config.yaml", "--out", "run", *ON)
    found = events(c, "run")[3]
    names = {path.stem for path in (c.folder / "run").glob("*.svg")}
    assert set(found) == names >= {"loss", "confusion", "classes"}, (set(found), names)
    for tag, ((step, width, height, png),) in found.items():
        assert step == c.epochs("run")[-1]["step"], tag
        assert png.startswith(b"\x89PNG\r\n") and png.endswith(b"IEND\xaeB`\x82"), tag
        assert (width, height) == struct.unpack(">2I", png[16:24]) and width == 800, (tag, width, height)
    c.run("train", "--resume", "run", "--device", "ref", "--quiet")
    assert events(c, "run")[3] == found
    c.run("train", "--resume", "run", "--device", "ref", "--quiet", "--set", "train.epochs=5")
    again = events(c, "run")[3]
    assert {tag: [step for step, *_ in seen] for tag, seen in again.items()} == {
        tag: [c.epochs("run")[2]["step"], c.epochs("run")[4]["step"]] for tag in found}
    c.run("train", "config.yaml", "--out", "run", *ON, "--no-plot")
    assert not events(c, "run")[3]


def same_run(c):
    """Nothing but the file differs with and without it; a run without it leaves none of an earlier run."""
    c.run("train", "config.yaml", "--out", "run", *ON)
    first, _ = read_safetensors(c.folder / "run/last.safetensors")
    c.run("train", "config.yaml", "--out", "run", "--device", "ref", "--quiet")
    assert read_safetensors(c.folder / "run/last.safetensors")[0] == first
    assert not (c.folder / "run" / FILE).exists()


def resumed(c):
    """A resumed run has the events of one that was never stopped, also where the file was left damaged or ahead."""
    c.run("train", "config.yaml", "--out", "whole", *ON, "--set", "train.epochs=4")
    expected = events(c, "whole")
    ahead = c.bytes("whole", FILE)
    for damage, lost in ((lambda data: data, 0), (lambda data: data + b"\x07" * 40, 0), (lambda data: ahead, 0),
                        (lambda data: data[:-9], 0), (lambda data: ahead[:-9], 0), (lambda data: b"", 2)):
        c.run("train", "config.yaml", "--out", "run", *ON, "--set", "train.epochs=2")
        path = c.folder / "run" / FILE
        path.write_bytes(damage(path.read_bytes()))
        c.run("train", "--resume", "run", "--device", "ref", "--quiet", "--set", "train.epochs=4")
        got = events(c, "run")
        assert {name: got[0][name] for name in METRICS} == {name: expected[0][name][lost:] for name in METRICS}
        c.run("train", "--resume", "run", "--device", "ref", "--quiet", "--set", "train.epochs=4")
        assert events(c, "run") == got, "resuming a finished run changes its events"


def begun_late(c):
    """train.tensorboard may be switched on when a run is resumed."""
    c.run("train", "config.yaml", "--out", "run", "--device", "ref", "--quiet", "--set", "train.epochs=1")
    c.run("train", "--resume", "run", *ON, "--set", "train.epochs=2")
    assert len(events(c, "run")[0]["train_loss"]) == 1


def killed(c):
    """A killed run leaves a file that can be read up to its end."""
    process = c.start("train", "config.yaml", "--out", "run", *ON, "--set", "train.epochs=100000",
                      "--set", "train.log_every=1")
    path = c.folder / "run" / FILE
    while process.poll() is None and (not path.exists() or path.stat().st_size < 50000):
        time.sleep(0.01)
    process.kill()
    process.communicate()
    scalars, *_ = events(c, "run", whole=False)
    assert len(scalars["train_loss"]) > 0
    c.run("train", "--resume", "run", "--device", "ref", "--quiet", "--set",
          f"train.epochs={len(c.epochs('run')) + 1}")
    scalars, *_ = events(c, "run")
    assert {name: scalars[name] for name in METRICS} == told(c, "run")


def package(c):
    """The tensorboard package reads the same."""
    code = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
e = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0, "tensors": 0})
e.Reload()
print(json.dumps({"scalars": {t: [(s.step, s.value) for s in e.Scalars(t)] for t in e.Tags()["scalars"]},
                  "histograms": sorted(e.Tags()["histograms"]), "tensors": e.Tags()["tensors"],
                  "images": {t: [(i.step, i.width, i.height, i.encoded_image_string.hex()) for i in e.Images(t)]
                             for t in e.Tags()["images"]}}))
"""
    for python in (os.environ.get("CLRNN_ONNX_PYTHON"), sys.executable, "/usr/bin/python3"):
        if python and subprocess.run([python, "-c", "import tensorboard"], capture_output=True,
                                     check=False).returncode == 0:
            break
    else:
        raise Skip("no Python with tensorboard")
    c.run("train", "config.yaml", "--out", "run", *ON, "--set", "train.log_every=1")
    out = subprocess.run([python, "-c", code, c.folder / "run"], check=True, capture_output=True, text=True).stdout
    got = json.loads(out.splitlines()[-1])
    scalars, histograms, texts, images = events(c, "run")
    assert {tag: [(step, width, height, bytes.fromhex(png)) for step, width, height, png in seen]
            for tag, seen in got["images"].items()} == images
    assert {tag: [tuple(pair) for pair in pairs] for tag, pairs in got["scalars"].items()} == scalars
    assert got["histograms"] == sorted(histograms) and got["tensors"] == list(texts)


if __name__ == "__main__":
    sys.exit(main([content, pictures, same_run, resumed, begun_late, killed, package]))
