#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wrong usage, configs, data, models, devices and full disks: one clear sentence and the right status."""
import math
import resource
import signal
import sys

import harness
from harness import CONFIG, write_npy

NO_OPENCL = {"OCL_ICD_VENDORS": "/nonexistent", "OCL_ICD_FILENAMES": "", "CLRNN_DEVICE": ""}


def says(c, status, words, *arguments, **options):
    """Runs and demands that the one error sentence holds every word of `words`."""
    _, err = c.run(*arguments, status=status, **options)
    for word in words:
        assert word in err, f"{arguments}: \"{word}\" is not in: {err}"


def usage(c):
    says(c, 2, ["unknown command", "frobnicate"], "frobnicate")
    says(c, 2, ["unknown option --frob"], "train", "config.yaml", "--frob")
    says(c, 2, ["--out needs a value"], "train", "config.yaml", "--out")
    says(c, 2, ["an argument is missing", "train CONFIG.yaml"], "train")
    says(c, 2, ["an argument is missing", "synth OUTDIR"], "synth")
    says(c, 2, ["--to FORMAT is missing"], "export", "run")
    says(c, 2, ["one argument too many"], "train", "config.yaml", "config.yaml")
    says(c, 2, ["--samples abc", "whole number"], "synth", "d", "--samples", "abc")
    says(c, 2, ["--samples 0", "from 1"], "synth", "d", "--samples", "0")
    for seconds in ("0", "-1", "nan", "inf", "1s"):
        says(c, 2, [f"--seconds {seconds}", "above 0"], "bench", "config.yaml", "--seconds", seconds)
    says(c, 2, ["exclude each other"], "predict", "run", "--x", "X_train.npy", "--out", "p.npy", "--probs", "--classes")
    assert c.run("--help")[0].startswith("clrnn ")
    assert c.run("--version")[0].startswith("clrnn ")
    for name in ("devices", "train", "eval", "predict", "plan", "synth", "export"):
        out, _ = c.run(name, "--help")
        assert "usage: clrnn " + name in out and "Exit status" in out
        assert out == c.run("help", name)[0]
    says(c, 2, ["unknown command", "frobnicate"], "help", "frobnicate")


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
    says(c, 2, ["nowhere.yaml"], "train", "nowhere.yaml")

    def wrong(old, new, *words):
        assert old in CONFIG
        c.write("wrong.yaml", CONFIG.replace(old, new))
        says(c, 2, ["wrong.yaml:", *words], "train", "wrong.yaml")

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
    says(c, 2, ["broken.yaml:"], "train", "broken.yaml")
    c.write("empty.yaml", "")
    says(c, 2, ["empty.yaml"], "train", "empty.yaml")
    says(c, 2, ["--set", "train.epoch"], "train", "config.yaml", "--set", "train.epoch=3")


def shapes(c):
    """Layers that do not fit each other or the data."""
    c.write("wrong.yaml", CONFIG.replace("- pool: {over: mean}", "- pool: {over: final}"))
    says(c, 2, ["wrong.yaml:", "final"], "train", "wrong.yaml")
    write_npy(c.folder / "y_train.npy", "<i8", (69,), [0] * 69)
    says(c, 3, ["y_train.npy", "69", "70"], "train", "config.yaml")


def labels(c):
    write_npy(c.folder / "y_train.npy", "<i8", (70,), [0] * 41 + [2] + [1] * 28)
    says(c, 3, ["y_train.npy", "41", "2"], "train", "config.yaml")
    write_npy(c.folder / "y_train.npy", "<i8", (70,), [0] * 41 + [-1] + [1] * 28)
    says(c, 3, ["y_train.npy", "41", "-1"], "train", "config.yaml")


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
    says(c, 3, ["X_train.npy", "truncated"], "train", "config.yaml")
    (c.folder / "X_train.npy").write_bytes(b"PK\x03\x04" + whole)
    says(c, 3, ["X_train.npy", "no .npy file"], "train", "config.yaml")
    (c.folder / "X_train.npy").unlink()
    says(c, 3, ["X_train.npy", "No such file"], "train", "config.yaml")


def models(c):
    c.run("train", "config.yaml", "--out", "run", "--quiet", "--set", "train.epochs=1")
    file = c.folder / "run" / "last.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:len(whole) // 2])
    says(c, 3, ["last.safetensors"], "predict", "run", "--x", "X_valid.npy", "--out", "p.npy")
    says(c, 3, ["nowhere"], "eval", "nowhere", "--x", "X_valid.npy", "--y", "y_valid.npy")
    c.write("other.yaml", CONFIG.replace("hidden_size: 8", "hidden_size: 9"))
    file.write_bytes(whole)
    says(c, 3, ["rnn.weight_ih_l0"], "train", "other.yaml", "--init", "run/last.safetensors")
    c.run("train", "other.yaml", "--init", "run/last.safetensors", "--init-partial", "--out", "partial", "--quiet",
          "--set", "train.epochs=1")
    write_npy(c.folder / "X_wide.npy", "<f4", (4, 5, 4), [0.0] * 80)
    says(c, 3, ["X_wide.npy", "4", "3"], "predict", "run", "--x", "X_wide.npy", "--out", "p.npy")
    assert not (c.folder / "p.npy").exists()


def devices(c):
    says(c, 2, ["nonesuch", "0:0"], "train", "config.yaml", "--device", "nonesuch")
    says(c, 2, ["7:3"], "train", "config.yaml", "--device", "7:3")
    says(c, 4, ["OpenCL"], "train", "config.yaml", env=NO_OPENCL)
    c.run("train", "config.yaml", "--device", "ref", "--quiet", "--out", "run", env=NO_OPENCL)
    assert "ref" in c.run("devices", env=NO_OPENCL)[0]


def full_disk(c):
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    says(c, 5, ["run"], "train", "config.yaml", "--device", "ref", "--out", "run", preexec_fn=small_files)
    assert not list((c.folder / "run").glob("*.safetensors*")), "a model file is left half written"
    says(c, 5, ["d"], "synth", "d", "--samples", "100", "--test-samples", "10", preexec_fn=small_files)
    assert not list((c.folder / "d").glob("X_*"))
    (c.folder / "file").write_text("in the way")
    says(c, 5, ["file"], "train", "config.yaml", "--device", "ref", "--out", "file/run")


if __name__ == "__main__":
    sys.exit(harness.main([usage, options_without_effect, config, shapes, labels, not_finite, damaged, models, devices,
                           full_disk]))
