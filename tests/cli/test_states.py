#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Carried states: runs with train.bptt and train.stateful that are interrupted in an epoch and resumed, and refusals,
as TAP.

    test_states.py CLRNN [TEST...]"""
import json
import random
import signal
import sys
import time

from harness import main, read_safetensors, write_npy

STEPS, SAMPLES = 600, 8
STATES = """\
model: {layers: [{lstm: {hidden_size: 5, num_layers: 2, dropout: 0.1}}, {gru: {hidden_size: 4, layer_norm: true}},
                 {linear: {out_features: 2}}]}
train: {loss: mse, optimizer: {adam: {lr: 0.01}}, epochs: 3, batch_size: 4, seed: 3, bptt: 7, stateful: true,
        log_every: 1}
data: {train: {x: X_long.npy, y: y_long.npy, lengths: lengths_long.npy}}
"""


def data(c):
    draw = random.Random(4)
    x = [draw.gauss(0, 1) for _ in range(SAMPLES * STEPS * 3)]
    write_npy(c.folder / "X_long.npy", "<f4", (SAMPLES, STEPS, 3), x)
    y = [draw.gauss(0, 1) for _ in range(SAMPLES * STEPS * 2)]
    write_npy(c.folder / "y_long.npy", "<f4", (SAMPLES, STEPS, 2), y)
    write_npy(c.folder / "lengths_long.npy", "<i8", (SAMPLES,), [STEPS, 5, 300, 596, STEPS, 1, 599, 400])
    c.write("states.yaml", STATES)


def lines(c, run):
    path = c.folder / run / "metrics.jsonl"
    return path.read_text().count("\n") if path.exists() else 0


def interrupted_and_resumed(c):
    data(c)
    c.run("train", "states.yaml", "--out", "whole", "--quiet")
    whole = len(c.steps("whole"))
    middle = False
    for number, share in enumerate((0.1, 0.5, 0.8)):
        run = f"cut{number}"
        process = c.start("train", "states.yaml", "--out", run, "--quiet")
        while process.poll() is None and lines(c, run) < share * whole:
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        process.communicate()
        states = [name for name in read_safetensors(c.folder / run / "last.safetensors")[0] if "state" in name]
        middle |= len(states) == 5  # h and c of two levels, h of the third
        c.run("train", "--resume", run, "--quiet")
        assert c.bytes(run) == c.bytes("whole"), f"{run} ends in other bits"
        assert [s["loss"] for s in c.steps(run)] == [s["loss"] for s in c.steps("whole")]
    assert middle, "no run was interrupted in an epoch"


def benched(c):
    """bench and compare: a step trains one piece, but samples per second are of whole samples."""
    data(c)
    for pieces, more in ((86, ()), (1, ("--set", "train.bptt=null"))):
        bench = json.loads(c.run("bench", "states.yaml", "--seconds", "0.05", "--no-start", "--json", "--quiet",
                                 *more)[0])
        compared = json.loads(c.run("compare", "states.yaml", "--devices", "ref", "--steps", "3", "--no-test", "--json",
                                    "--quiet", *more)[0])["devices"][0]
        for speed, time in ((bench["samples_per_s"], bench["train_ms"]),
                            (compared["samples_per_s"], compared["step_ms"])):
            per_step = speed * time["median"] / 1e3
            assert abs(per_step - bench["batch"] / pieces) < 1e-6 * per_step, (pieces, per_step)


def refused(c):
    data(c)

    def says(text, *sets):
        c.refused(2, [text], "train", "states.yaml", "--out", "no", *(part for s in sets for part in ("--set", s)))

    says("train.stateful: goes on where the batch before ended, but train.shuffle", "train.shuffle=true")
    says("data.bucket changes the order", "data.bucket=true")
    says("bidirectional lstm", "model.layers.0.lstm.bidirectional=true")
    says("the pool in layer 1 predicts once a sequence",
         "model.layers=[{rnn: {hidden_size: 3}}, pool, {linear: {out_features: 2}}]")
    says("the attention_pool in layer 1 predicts once a sequence",
         "model.layers=[{rnn: {hidden_size: 3}}, {attention_pool: {attention_size: 2}}, {linear: {out_features: 2}}]")
    says("layer 0 (conv1d) reads steps that come later",
         "model.layers=[{conv1d: {out_channels: 3, kernel_size: 1}}, {linear: {out_features: 2}}]")
    says("no multiple of batch_size 3", "train.batch_size=3")
    says("train.bptt: is 0", "train.bptt=0")
    c.run("train", "states.yaml", "--out", "yes", "--quiet", "--set", "train.batch_size=3", "--set",
          "train.drop_last=true", "--set", "train.epochs=1")


def same_for_one_piece(c):
    """A piece as long as the sequences gives the bits of training without pieces."""
    data(c)
    whole = ("--quiet", "--set", "train.stateful=false", "--set", "train.epochs=1", "--set", "data.train.lengths=null")
    c.run("train", "states.yaml", "--out", "none", *whole, "--set", "train.bptt=null")
    c.run("train", "states.yaml", "--out", "all", *whole, "--set", f"train.bptt={STEPS}")
    assert [s["loss"] for s in c.steps("none")] == [s["loss"] for s in c.steps("all")]


def computed_again(c):
    """train.recompute changes no bit, may change when a run goes on, and takes less memory."""
    data(c)
    long = ("--set", "train.bptt=150", "--quiet")

    def tensors(run):
        return read_safetensors(c.folder / run / "last.safetensors")[0]
    c.run("train", "states.yaml", "--out", "kept", *long, "--set", "train.epochs=2")
    c.run("train", "states.yaml", "--out", "again", *long, "--set", "train.epochs=1", "--set", "train.recompute=33")
    c.run("train", "--resume", "again", "--quiet", "--set", "train.epochs=2", "--set", "train.recompute=1")
    assert tensors("kept") == tensors("again"), "other bits"
    assert "recompute: 1" in (c.folder / "again" / "config.yaml").read_text(), "a resumed run kept its recompute"
    assert [s["loss"] for s in c.steps("kept")] == [s["loss"] for s in c.steps("again")]
    plans = [c.run("plan", "states.yaml", "--set", f"train.recompute={n}", *long[:2])[0] for n in ("null", "1")]
    assert "kept h [" in plans[1] and "kept h [" not in plans[0], plans[1]
    activations = [float(plan.split("activations ")[1].split()[0]) for plan in plans]
    assert activations[1] < activations[0], plans
    c.run("train", "states.yaml", "--out", "no", "--set", "train.recompute=0", status=2)


if __name__ == "__main__":
    sys.exit(main([interrupted_and_resumed, benched, refused, same_for_one_piece, computed_again]))
