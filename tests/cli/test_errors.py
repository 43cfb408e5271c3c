#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wrong usage, configs, data, models, devices and full disks: one clear sentence and the right status."""
import json
import math
import resource
import signal
import sys

import harness
from harness import CONFIG, write_npy

NO_OPENCL = {"OCL_ICD_VENDORS": "/nonexistent", "OCL_ICD_FILENAMES": "", "CLRNN_DEVICE": ""}


def usage(c):
    c.refused(2, ["unknown command", "frobnicate"], "frobnicate")
    c.refused(2, ["unknown option --frob"], "train", "config.yaml", "--frob")
    c.refused(2, ["--out needs a value"], "train", "config.yaml", "--out")
    for empty in (("train", "config.yaml", "--out", ""), ("export", "run", "--to", "onnx", "--out="),
                  ("lr-find", "config.yaml", "--json="), ("plan", "config.yaml", "--set", "")):
        c.refused(2, [f"{empty[-2 + empty[-1].endswith('=')].rstrip('=')} needs a value"], *empty)
    c.refused(2, ["an argument is empty", "train CONFIG.yaml"], "train", "")
    c.refused(2, ["an argument is missing", "train CONFIG.yaml"], "train")
    c.refused(2, ["an argument is missing", "synth OUTDIR"], "synth")
    c.refused(2, ["--to FORMAT is missing"], "export", "run")
    c.refused(2, ["one argument too many"], "train", "config.yaml", "config.yaml")
    c.refused(2, ["--samples abc", "whole number"], "synth", "d", "--samples", "abc")
    c.refused(2, ["--samples 0", "from 1"], "synth", "d", "--samples", "0")
    for seconds in ("0", "-1", "nan", "inf", "1s"):
        c.refused(2, [f"--seconds {seconds}", "above 0"], "bench", "config.yaml", "--seconds", seconds)
    c.refused(2, ["exclude each other"],
              "predict", "run", "--x", "X_train.npy", "--out", "p.npy", "--probs", "--classes")
    assert c.run("--help")[0].startswith("clrnn ")
    assert c.run("--version")[0].startswith("clrnn ")
    for name in ("devices", "train", "eval", "predict", "plan", "synth", "export"):
        out, _ = c.run(name, "--help")
        assert "usage: clrnn " + name in out and "Exit status" in out
        assert out == c.run("help", name)[0]
    c.refused(2, ["unknown command", "frobnicate"], "help", "frobnicate")


def options_without_effect(c):
    """Every command takes them; one that cannot heed them says so and does not list them."""
    small = ("synth", "d", "--samples", "4", "--test-samples", "2", "--features", "3")
    assert not c.run(*small)[1]
    _, err = c.run(*small, "--set", "train.epochs=2", "--device", "nonesuch")
    assert err.count("clrnn: warning:") == 2 and "--set" in err and "device" in err, err
    assert "--device" not in c.run("synth", "--help")[0] and "--set" not in c.run("synth", "--help")[0]
    _, err = c.run("train", "config.yaml", "--out", "run", "--quiet", "--no-watch", "--set", "train.epochs=1")
    assert "clrnn: warning" not in err, err
    _, err = c.run("eval", "run", "--x", "X_train.npy", "--y", "y_train.npy", "--set", "train.epochs=2")
    assert "--set changes nothing here: run has a config of its own" in err, err


def config(c):
    c.refused(2, ["nowhere.yaml"], "train", "nowhere.yaml")

    def wrong(old, new, *words):
        assert old in CONFIG
        c.write("wrong.yaml", CONFIG.replace(old, new))
        c.refused(2, ["wrong.yaml:", *words], "train", "wrong.yaml")

    wrong("lr: 0.01", "lrr: 0.01", "lrr", '"lr"')
    wrong("lr: 0.01", "lr: fast", "lr", "fast")
    wrong("lr: 0.01", "lr: -1", "lr", "-1")
    wrong("hidden_size: 8", "hidden_size: 0", "hidden_size")
    wrong("hidden_size: 8, ", "", "hidden_size")
    wrong("dropout: {p: 0.25}", "dropout: {p: 1.5}", "1.5")
    wrong("- batchnorm", "- bathnorm", "bathnorm", "batchnorm")
    wrong("epochs: 3", "epochs: 3\n  epochs: 4", "epochs")
    wrong("loss: cross_entropy", "loss: hinge", "hinge", "cross_entropy")
    wrong("over: mean", "over: median", "median")
    wrong("out_features: 2", "out_features: 2.5", "2.5")
    wrong("name: head", "name: rnn", "rnn")
    c.write("broken.yaml", "model: {layers: [")
    c.refused(2, ["broken.yaml:"], "train", "broken.yaml")
    c.write("empty.yaml", "")
    c.refused(2, ["empty.yaml"], "train", "empty.yaml")
    c.refused(2, ["--set", "train.epoch"], "train", "config.yaml", "--set", "train.epoch=3")


def shapes(c):
    """Layers that do not fit each other or the data."""
    c.write("wrong.yaml", CONFIG.replace("- pool: {over: mean}", "- pool: {over: final}"))
    c.refused(2, ["wrong.yaml:", "final"], "train", "wrong.yaml")
    write_npy(c.folder / "y_train.npy", "<i8", (69,), [0] * 69)
    c.refused(3, ["y_train.npy", "69", "70"], "train", "config.yaml")


def labels(c):
    write_npy(c.folder / "y_train.npy", "<i8", (70,), [0] * 41 + [2] + [1] * 28)
    c.refused(3, ["y_train.npy", "41", "2"], "train", "config.yaml")
    write_npy(c.folder / "y_train.npy", "<i8", (70,), [0] * 41 + [-1] + [1] * 28)
    c.refused(3, ["y_train.npy", "41", "-1"], "train", "config.yaml")


def not_finite(c):
    for value, word in ((math.nan, "nan"), (math.inf, "inf")):
        x = [0.5] * (70 * 5 * 3)
        x[(13 * 5 + 2) * 3 + 1] = value
        write_npy(c.folder / "X_train.npy", "<f4", (70, 5, 3), x)
        _, err = c.run("train", "config.yaml", status=3)
        assert "X_train.npy" in err and "13" in err and word in err.lower(), err


def damaged(c):
    whole = (c.folder / "X_train.npy").read_bytes()
    (c.folder / "X_train.npy").write_bytes(whole[:-1])
    c.refused(3, ["X_train.npy", "truncated"], "train", "config.yaml")
    (c.folder / "X_train.npy").write_bytes(b"PK\x03\x04" + whole)
    c.refused(3, ["X_train.npy", "no .npy file"], "train", "config.yaml")
    (c.folder / "X_train.npy").unlink()
    c.refused(3, ["X_train.npy", "No such file"], "train", "config.yaml")


def torch_files(c):
    """What torch.save wrote is no safetensors file; the sentence says how to write one."""
    for head in (b"PK\x03\x04", b"\x80\x02"):
        (c.folder / "w.pt").write_bytes(head + bytes(range(200)))
        c.refused(3, ["w.pt: is no safetensors file", "torch.save", "save_file"],
                  "train", "config.yaml", "--init", "w.pt")
    (c.folder / "w.pt").write_bytes(bytes(range(7, 200)))
    _, err = c.run("train", "config.yaml", "--init", "w.pt", status=3)
    assert "is no safetensors file" in err and "torch" not in err, err


def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def files_people_have(c):
    """The error says what a file is and what to do, from train as from doctor."""
    def refused(words, *assignments):
        arguments = ["config.yaml", "--device", "ref", *(a for s in assignments for a in ("--set", s))]
        c.refused(3, words, "train", *arguments)
        c.refused(3, words, "doctor", *arguments)

    floats = b"\0\0\x80?" * (70 * 5 * 3)
    for shape, words in (((5, 70, 3), ["(T, N, C)", "transpose(1, 0, 2)"]), ((3, 5, 70), ["samples last"]),
                         ((1050,), ["windows"]), ((70, 5, 3, 1), ["images"])):
        (c.folder / "X.npy").write_bytes(npy("<f4", shape, floats))
        refused(["X.npy", *words], "data.train.x=X.npy")
    for descr, size, words in (("<U3", 12, ["text", "numpy.unique"]), ("|S3", 3, ["text", "numpy.unique"]),
                               ("|O", 8, ["Python objects", "unequal length"]),
                               (">i8", 8, ["big-endian", "astype"])):
        (c.folder / "y.npy").write_bytes(npy(descr, "(70,)", bytes(70 * size)))
        refused(["y.npy", *words], "data.train.y=y.npy")
    write_npy(c.folder / "y.npy", "<f8", (70, 2), [float(i % 2) for i in range(70 * 2)])
    refused(["y.npy", "one-hot", "argmax"], "data.train.y=y.npy")
    write_npy(c.folder / "y.npy", "<f8", (70, 3), [i / 7 for i in range(70 * 3)])
    refused(["y.npy", "for several labels", "bce_with_logits"], "data.train.y=y.npy")
    write_npy(c.folder / "y.npy", "<f8", (70, 3), [float("nan")] * (70 * 3))
    layers = "model.layers=[{gru: {hidden_size: 3}}, pool, {linear: {out_features: %d}}]"
    refused(["y.npy", "for 3 targets a sample use out_features: 6"], "data.train.y=y.npy", layers % 2,
            "train.loss={quantile: {quantiles: [0.1, 0.9]}}")
    write_npy(c.folder / "w.npy", "<f4", (70,), [0.0] * 70)
    for words, *settings in (
            (["y.npy", "all targets are missing"], "data.train.y=y.npy", layers % 3, "train.loss=mse",
             "data.missing_targets=ignore", "data.valid=null"),
            (["w.npy", "all weights are 0"], "data.train.weights=w.npy")):
        c.refused(3, words, "train", "config.yaml", "--device", "ref",
                  *(a for s in settings for a in ("--set", s)))  # the doctor has a finding for it
    tokens = "model.layers=[{embedding: {num_embeddings: 4, embedding_dim: 2}}, {gru: {hidden_size: 3}}, pool, " \
             "{linear: {out_features: 2}}]"
    for value, words in ((4.4, ["measurements", "take the embedding out"]), (4, ["above the largest token"])):
        write_npy(c.folder / "tokens.npy", "<f8", (70, 5), [float(value)] * (70 * 5))
        c.refused(3, ["tokens.npy", *words], "train", "config.yaml", "--device", "ref", "--set", tokens,
                  "--set", "data={train: {x: tokens.npy, y: y_train.npy}}")

    rows = [f"{i / 8},{i % 3},{i % 2}" for i in range(70)]
    text = "\n".join(["a,b,label", *rows]) + "\n"
    for name, data, words in (
            ("t.csv", text.replace(",", "|").encode(), ["bars", 'delimiter: "|"']),
            ("t.csv", text.encode("utf-16"), ["UTF-16", "iconv"]),
            ("t.csv", text.replace(",0,", ",cat,").encode(), ["cat", "no number", "pandas.factorize"]),
            ("t.csv", "\n".join(rows).encode(), ["the first line holds numbers"]),
            ("t.csv", npy("<f4", (70, 15), floats), ["a .npy file"]),
            ("t.npz", b"PK\x03\x04" + bytes(99), ["no CSV file", "zip archive", ".npz"])):
        (c.folder / name).write_bytes(data)
        refused([name, *words], f"data.train={{csv: {name}, label: label}}")
    for name, data, words in (("X.npz", b"PK\x03\x04" + bytes(99), ["zip archive", "numpy.load"]),
                              ("X.h5", b"\x89HDF\r\n" + bytes(99), ["HDF5"]),
                              ("X.gz", b"\x1f\x8b" + bytes(99), ["gzip"]),
                              ("X.mat", b"MATLAB 5.0 MAT-file" + bytes(99), ["scipy"]),
                              ("X.csv", text.encode(), ["it is text", "csv: FILE"])):
        (c.folder / name).write_bytes(data)
        refused([name, "no .npy file", *words], f"data.train.x={name}")

    small = ("train", "config.yaml", "--device", "ref", "--quiet", "--no-plot", "--set", "train.epochs=1",
             "--set", "data.valid=null", "--set", "data.train={csv: t.csv, label: label}")
    written = []
    for data in (text.encode(), text.encode("utf-8-sig"), text.replace("\n", "\r\n").encode(),
                 text.replace(",", ";").encode(), text.replace(",", "\t").encode()):
        (c.folder / "t.csv").write_bytes(data)
        c.run(*small, "--out", f"run{len(written)}")
        written.append((c.folder / f"run{len(written)}/last.safetensors").read_bytes())
    assert len(set(written)) == 1, "a byte order mark, line ends or delimiters change what is read"


def other_labels(c):
    """Labels from 1, or -1 and 1: train refuses them, doctor finds them, and both say how to mend them."""
    for labels, advice in (((1, 2), "y = y - 1"), ((-1, 1), "y = (y + 1) / 2")):
        write_npy(c.folder / "y.npy", "<i8", (70,), [labels[i % 2] for i in range(70)])
        c.write("bce.yaml", CONFIG.replace("cross_entropy", "bce_with_logits").replace("features: 2", "features: 1"))
        for name in ("config.yaml", "bce.yaml"):
            arguments = (name, "--device", "ref", "--set", "data.train.y=y.npy")
            c.refused(3, ["y.npy", advice], "train", *arguments)
            out, _ = c.run("doctor", *arguments, "--json", status=1)
            found = {f["id"]: f["remedy"] for f in json.loads(out)["findings"]}
            assert advice in found["label-range"], found


def models(c):
    c.run("train", "config.yaml", "--out", "run", "--quiet", "--set", "train.epochs=1")
    file = c.folder / "run" / "last.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:len(whole) // 2])
    c.refused(3, ["last.safetensors"], "predict", "run", "--x", "X_valid.npy", "--out", "p.npy")
    c.refused(3, ["nowhere"], "eval", "nowhere", "--x", "X_valid.npy", "--y", "y_valid.npy")
    c.write("other.yaml", CONFIG.replace("hidden_size: 8", "hidden_size: 9"))
    file.write_bytes(whole)
    c.refused(3, ["rnn.weight_ih_l0"], "train", "other.yaml", "--init", "run/last.safetensors")
    c.run("train", "other.yaml", "--init", "run/last.safetensors", "--init-partial", "--out", "partial", "--quiet",
          "--set", "train.epochs=1")
    write_npy(c.folder / "X_wide.npy", "<f4", (4, 5, 4), [0.0] * 80)
    c.refused(3, ["X_wide.npy", "4", "3"], "predict", "run", "--x", "X_wide.npy", "--out", "p.npy")
    assert not (c.folder / "p.npy").exists()


def devices(c):
    c.refused(2, ["nonesuch", "0:0"], "train", "config.yaml", "--device", "nonesuch")
    c.refused(2, ["7:3"], "train", "config.yaml", "--device", "7:3")
    c.refused(4, ["OpenCL"], "train", "config.yaml", env=NO_OPENCL)
    c.run("train", "config.yaml", "--device", "ref", "--quiet", "--out", "run", env=NO_OPENCL)
    assert "ref" in c.run("devices", env=NO_OPENCL)[0]


def full_disk(c):
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    c.refused(5, ["run"], "train", "config.yaml", "--device", "ref", "--out", "run", preexec_fn=small_files)
    assert not list((c.folder / "run").glob("*.safetensors*")), "a model file is left half written"
    c.refused(5, ["d"], "synth", "d", "--samples", "100", "--test-samples", "10", preexec_fn=small_files)
    assert not list((c.folder / "d").glob("X_*"))
    (c.folder / "file").write_text("in the way")
    c.refused(5, ["file"], "train", "config.yaml", "--device", "ref", "--out", "file/run")


if __name__ == "__main__":
    sys.exit(harness.main([usage, options_without_effect, config, shapes, labels, not_finite, damaged,
                           torch_files, files_people_have, other_labels, models, devices, full_disk]))
