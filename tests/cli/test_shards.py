#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Batches in shards (train.shards): the numbers of whole batches, the same after an interruption, as TAP.

    test_shards.py CLRNN [TEST...]"""
import json
import math
import random
import re
import signal
import sys
import time

from harness import QUIET, main, numbers, read_safetensors, write_npy

SAMPLES, STEPS = 29, 7  # the last of the batches of 12 has 5: fewer than 8 shards
LSTM = "{lstm: {hidden_size: 5, num_layers: 2, bidirectional: true, dropout: 0.3}}"
ADAM = "optimizer: {adam: {lr: 0.01}}"
LINEAR = "{linear: {out_features: 3}}"
# name: layers, train, data
CONFIGS = {
    "lengths": ([LSTM, "{pool: {over: last}}", LINEAR], f"{ADAM}, shuffle: true, clip_grad_norm: 0.5",
                "x: X.npy, y: y.npy, lengths: lengths.npy"),
    "ignored": (["{gru: {hidden_size: 4}}", "{dropout: {p: 0.4}}", "{dropout: {p: 0.2, variational: true}}", LINEAR],
                f"{ADAM}, loss: {{cross_entropy: {{weight: balanced, label_smoothing: 0.1}}}}",
                "x: X.npy, y: ys.npy, lengths: lengths.npy, weights: w.npy"),
    "cycle": (["{lstm: {hidden_size: 5, recurrent_dropout: 0.3}}", "{pool: {over: mean}}", LINEAR],
              "optimizer: {sgd: {lr: 0.05, momentum: 0.9}}, scheduler: {one_cycle_lr: {max_lr: 0.1, interval: batch}}",
              "x: X.npy, y: y.npy"),
    "missing": (["{conv1d: {out_channels: 4, kernel_size: 3}}", "{gru: {hidden_size: 4}}", "{pool: {over: max}}",
                 LINEAR], f"{ADAM}, loss: {{huber: {{delta: 0.7}}}}", "x: X.npy, y: yr.npy"),
    "ctc": (["{gru: {hidden_size: 6}}", LINEAR], f"{ADAM}, loss: {{ctc: {{zero_infinity: true}}}}",
            "x: X.npy, y: yc.npy, y_lengths: yl.npy, lengths: lengths.npy"),
    "norm": (["{lstm: {hidden_size: 4, bidirectional: true}}", "{batchnorm: {}}", "{gru: {hidden_size: 3}}",
              "{pool: {over: last}}", "{batchnorm: {affine: false}}", "{dropout: {p: 0.2}}", LINEAR],
             f"{ADAM}, shuffle: true", "x: X.npy, y: y.npy, lengths: lengths.npy"),
    "norms": (["{batchnorm: {momentum: null}}", "{gru: {hidden_size: 4}}",
               "{residual: {layers: [{batchnorm: {track_running_stats: false}}]}}", LINEAR],
              f"{ADAM}, bptt: 3, clip_grad_norm: 1", "x: X.npy, y: ys.npy, lengths: lengths.npy"),
    "pieces": (["{lstm: {hidden_size: 4}}", "{gru: {hidden_size: 3}}", LINEAR], f"{ADAM}, bptt: 3",
               "x: X.npy, y: ys.npy, lengths: lengths.npy"),
    "stateful": (["{lstm: {hidden_size: 4}}", LINEAR], f"{ADAM}, bptt: 3, stateful: true, drop_last: true",
                 "x: X.npy, y: ys.npy"),
}
VALID = "data.valid={x: X.npy, y: y.npy, lengths: lengths.npy}"
# for several devices or processes. name: one of CONFIGS or "own", what is set
CASES = {
    "lengths": ("lengths", VALID, "train.scheduler={reduce_lr_on_plateau: {patience: 0}}"),
    "stop early": ("lengths", VALID, "train.early_stopping={monitor: valid_loss, patience: 1}", "train.epochs=4"),
    "bucket": ("lengths", "data.bucket=true"),
    "standard": ("lengths", "data.normalize=standard", "train.clip_grad_norm=null", "train.batch_size=16"),
    "drop last": ("lengths", "train.drop_last=true", "train.optimizer={adamw: {lr: 0.01, weight_decay: 0.1}}"),
    "recompute": ("lengths", "train.recompute=3"),
    "ignored": ("ignored",),
    "class weights": ("ignored", "train.loss={cross_entropy: {weight: [0.2, 1, 3]}}", "train.shuffle=true"),
    "sample weights": ("lengths", "data.train.weights=w.npy", "train.optimizer={rmsprop: {lr: 0.01}}"),
    "one cycle": ("cycle", "data.valid={x: X.npy, y: y.npy}"),
    "cosine": ("cycle", "train.scheduler={cosine_annealing_lr: {T_max: 5, interval: batch}}"),
    "nesterov": ("cycle", "train.scheduler=null", "train.optimizer={sgd: {lr: 0.1, momentum: 0.9, nesterov: true}}"),
    "missing": ("missing",),
    "targets": ("missing", "data.normalize_targets=standard", "train.optimizer={adam: {lr: 0.01, amsgrad: true}}"),
    "ctc": ("ctc",),
    "norm": ("norm",),
    "own norm": ("own",),
    "norms": ("norms",),
    "pieces": ("pieces",),
    "whole": ("pieces", "train.batch_size=29", "train.bptt=null"),
    "stateful": ("stateful",),
    "stateful shuffle": ("stateful", "train.bptt=null"),
    "one batch each": ("lengths", "train.batch_size=8"),
    # the first workers have no sample
    "one sample": ("norms", "data.train={x: X1.npy, y: ys1.npy, lengths: lengths1.npy}"),
    "one in pieces": ("pieces", "data.train={x: X1.npy, y: ys1.npy, lengths: lengths1.npy}"),
}


def write_data(c):
    draw = random.Random(6)
    write_npy(c.folder / "X1.npy", "<f4", (1, STEPS, 4), [math.sin(i) for i in range(STEPS * 4)])
    write_npy(c.folder / "ys1.npy", "<i8", (1, STEPS), [i % 3 for i in range(STEPS)])
    write_npy(c.folder / "lengths1.npy", "<i8", (1,), [STEPS])

    def classes(count, ignored=0.0):
        return [-100 if draw.random() < ignored else draw.randrange(3) for _ in range(count)]

    write_npy(c.folder / "X.npy", "<f4", (SAMPLES, STEPS, 4), [draw.gauss(0, 1) for _ in range(SAMPLES * STEPS * 4)])
    write_npy(c.folder / "y.npy", "<i8", (SAMPLES,), classes(SAMPLES))
    write_npy(c.folder / "ys.npy", "<i8", (SAMPLES, STEPS), classes(SAMPLES * STEPS, 0.2))
    write_npy(c.folder / "yr.npy", "<f4", (SAMPLES, 3),
              [float("nan") if draw.random() < 0.2 else draw.gauss(0, 1) for _ in range(SAMPLES * 3)])
    write_npy(c.folder / "yc.npy", "<i8", (SAMPLES, 2), [draw.randrange(1, 3) for _ in range(SAMPLES * 2)])
    write_npy(c.folder / "yl.npy", "<i8", (SAMPLES,), [draw.randrange(3) for _ in range(SAMPLES)])
    write_npy(c.folder / "w.npy", "<f4", (SAMPLES,), [0.1 + draw.random() for _ in range(SAMPLES)])
    write_npy(c.folder / "lengths.npy", "<i8", (SAMPLES,), [draw.randrange(3, STEPS + 1) for _ in range(SAMPLES)])


def write_configs(c):
    write_data(c)
    for name, (layers, train, data) in CONFIGS.items():
        c.write(f"{name}.yaml", f"""\
model: {{layers: [{', '.join(layers)}]}}
train: {{epochs: 2, batch_size: 12, seed: 5, log_every: 1, {train}}}
data: {{train: {{{data}}}, missing_targets: ignore}}
""")


def write_all(c):
    write_configs(c)
    text = (c.folder / "norms.yaml").read_text().replace("bptt: 3, ", "")
    c.write("own.yaml", text.replace("batchnorm: {", "batchnorm: {sync: false, "))


def case(name, run, *more):
    """The command that trains one of CASES in 8 shards."""
    base, *assignments = CASES[name]
    words = [word for assignment in ("train.shards=8", *assignments) for word in ("--set", assignment)]
    return ("train", f"{base}.yaml", *words, "--out", run, *QUIET, *more)


def train(c, name, shards, run, *more, env=None):
    c.run("train", f"{name}.yaml", "--set", f"train.shards={shards}", "--out", run, *QUIET, *more, env=env)


def as_whole(c):
    """Shards change rounding alone: means, masks and states are those of the whole batch."""
    write_configs(c)
    for name in CONFIGS:
        train(c, name, 1, f"{name}-whole")
        whole = read_safetensors(c.folder / f"{name}-whole" / "last.safetensors")[0]
        start = None
        for shards in (3, 8):
            run = f"{name}-{shards}"
            train(c, name, shards, run)
            parts = read_safetensors(c.folder / run / "last.safetensors")[0]
            assert list(parts) == list(whole)
            for tensor, (_, shape, _) in whole.items():
                if tensor.startswith("optim."):
                    continue
                assert parts[tensor][1] == shape
                if tensor.endswith("num_batches_tracked"):
                    assert parts[tensor] == whole[tensor], f"{run}: {tensor}"
                    continue
                for a, b in zip(numbers(parts[tensor]), numbers(whole[tensor])):
                    assert abs(a - b) < 1e-4, f"{run}: {tensor}: {a}, expected {b}"
            losses = [step["loss"] for step in c.steps(run)]
            for a, b in zip(losses, [step["loss"] for step in c.steps(f"{name}-whole")], strict=True):
                assert abs(a - b) < 1e-4, f"{run}: loss {a}, expected {b}"
            assert c.bytes(run) != start, f"{run}: the same bytes with another number of shards"
            start = c.bytes(run)


def own_statistics(c):
    """With sync: false each shard normalises by itself, and the first one's running statistics are kept."""
    write_configs(c)
    text = (c.folder / "norm.yaml").read_text().replace("batchnorm: {", "batchnorm: {sync: false, ")
    c.write("own.yaml", text)
    train(c, "own", 2, "own")
    train(c, "norm", 2, "norm")
    own = read_safetensors(c.folder / "own" / "last.safetensors")[0]
    norm = read_safetensors(c.folder / "norm" / "last.safetensors")[0]
    assert own["1.num_batches_tracked"] == norm["1.num_batches_tracked"]
    assert own["1.running_mean"] != norm["1.running_mean"]


def staged(c):
    """The same bits where batches are read from the file part by part."""
    write_configs(c)
    for name in ("lengths", "pieces", "ctc", "norm"):
        train(c, name, 5, f"{name}-resident")
        train(c, name, 5, f"{name}-staged", env={"CLRNN_RESIDENT_BYTES": "1"})
        assert c.bytes(f"{name}-staged") == c.bytes(f"{name}-resident"), name


def buckets(c):
    """The same bits where gradients leave the device bucket by bucket, also of chains that end there."""
    write_configs(c)
    env = {"CLRNN_BUCKET_BYTES": "40"}
    for name, after in (("norm", "never"), ("cycle", "0")):
        train(c, name, 8, f"{name}-one", env={"CLRNN_BUCKET_BYTES": "0"})
        train(c, name, 8, f"{name}-many", env={**env, "CLRNN_CHAIN_AFTER": after})
        assert c.bytes(f"{name}-many") == c.bytes(f"{name}-one"), name
    _, err = c.run("train", "cycle.yaml", "--set", "train.shards=8", "--out", "told", "--verbose", env=env)
    found = re.search(r"([0-9]+) buckets", err)
    assert found and int(found.group(1)) >= 3, err
    assert c.bytes("told") == c.bytes("cycle-one")


def planned(c):
    """clrnn plan: the buckets of all gradients, and steps of more and more ranks on paper."""
    write_configs(c)
    shards = "plan", "lengths.yaml", "--set", "train.shards=12"
    plan = json.loads(c.run(*shards, "--network", "1Mb", "--json", env={"CLRNN_BUCKET_BYTES": "40"})[0])
    part, ranks = plan["shards"], plan["shards"]["ranks"]
    assert part["shards"] == 12 and part["samples"] == 1 and len(part["buckets"]) > 3, part
    assert plan["param_bytes"] <= part["bytes"] == sum(bucket["bytes"] for bucket in part["buckets"]), part
    ends = [bucket["launch"] for bucket in part["buckets"]]
    assert ends == sorted(ends) and 0 < ends[0] < ends[-1], ends
    assert [row["ranks"] for row in ranks] == [1, 2, 4, 8, 12], ranks
    assert ranks[0]["speedup"] == 1 and ranks[0]["waiting"] == 0, ranks
    for row in ranks[1:]:  # at least the way of all bytes
        assert row["waiting"] > 0 and row["seconds"] > 8e-6 * part["bytes"], ranks
    # a level's gradients are in one bucket, and final before it computes that of its input
    c.write("deep.yaml", (c.folder / "pieces.yaml").read_text().replace(
        "{lstm: {hidden_size: 4}}, {gru: {hidden_size: 3}}", "{lstm: {hidden_size: 32, num_layers: 2}}"))
    plan = json.loads(c.run("plan", "deep.yaml", "--set", "train.shards=12", "--set", "train.bptt=null", "--json",
                            env={"CLRNN_BUCKET_BYTES": "8000"})[0])
    launch = [op["op"] for op in plan["ops"] for _ in op["launches"]]
    top, hidden, inputs = (bucket["launch"] for bucket in plan["shards"]["buckets"])
    assert launch[top - 1] == launch[top] == "rnn_bwd", f"final after launch {top} of {launch}"
    # of the lowest level those of weight_ih are the last that are final, in buckets of their own
    assert launch[hidden - 1] == launch[hidden] == "rnn_bwd", f"final after launch {hidden} of {launch}"
    assert launch[inputs - 1] == "rnn_bwd" != launch[inputs], f"final after launch {inputs} of {launch}"
    out, _ = c.run("plan", "deep.yaml", "--set", "train.shards=12", "--set", "train.bptt=null",
                   "--set", "model.layers.0.lstm.bidirectional=true", env={"CLRNN_BUCKET_BYTES": "16000"})
    owners = re.findall(r"^ +[0-9]+ +[0-9.]+ +[0-9]+ of [0-9]+ +(.+)$", out, re.MULTILINE)
    assert [re.sub(r"\b0\.(.+?)_l0", r"\1", owner) for owner in owners[-4:]] == [
        "bias_hh_reverse to weight_hh_reverse", "bias_hh to weight_hh", "weight_ih_reverse", "weight_ih"], owners
    # at least two buckets where there are more bytes than for one
    c.write("flat.yaml", (c.folder / "deep.yaml").read_text().replace("num_layers: 2", "num_layers: 1"))
    plan = json.loads(c.run("plan", "flat.yaml", "--set", "train.shards=12", "--json",
                            env={"CLRNN_BUCKET_BYTES": "16000"})[0])
    assert len(plan["shards"]["buckets"]) == 3, plan["shards"]  # of linear, weight_hh and biases, weight_ih
    # a large bucket comes back while it goes: the way of all bytes takes a transfer, not two
    c.write("large.yaml", (c.folder / "flat.yaml").read_text().replace("hidden_size: 32", "hidden_size: 256"))
    plan = json.loads(c.run("plan", "large.yaml", "--set", "train.shards=2", "--network", "1Mb", "--json")[0])["shards"]
    assert 1 < plan["ranks"][1]["seconds"] / (8e-6 * plan["bytes"]) < 1.3, plan
    out, _ = c.run(*shards)
    assert "12 shards of up to 1 samples" in out and "speed-up" not in out, out
    assert "speed-up" in c.run(*shards, "--network", "10Gb")[0]
    assert "shards" not in json.loads(c.run("plan", "lengths.yaml", "--json")[0])
    for speed in ("10", "fast", "-1Gb", "0Gb"):
        _, err = c.run(*shards, "--network", speed, status=2)
        assert "expected a speed as 100Mb" in err, err
    # what would change nothing, and what no training does
    _, err = c.run("plan", "lengths.yaml", "--network", "10Gb", status=2)
    assert "set train.shards" in err, err
    _, err = c.run(*shards, "--network", "10Gb", "--predict", status=2)
    assert "leave out --predict" in err, err
    _, err = c.run("plan", "lengths.yaml", "--set", "train.shards=13", status=2)
    assert "train.shards is 13, but train.batch_size only 12" in err, err


def write_long(c):
    """Makes stateful.yaml a run of 80 steps an epoch."""
    draw = random.Random(8)
    write_npy(c.folder / "X_long.npy", "<f4", (24, 120, 4), [draw.gauss(0, 1) for _ in range(24 * 120 * 4)])
    write_npy(c.folder / "y_long.npy", "<i8", (24, 120), [draw.randrange(3) for _ in range(24 * 120)])
    text = (c.folder / "stateful.yaml").read_text().replace("X.npy", "X_long.npy").replace("ys.npy", "y_long.npy")
    c.write("stateful.yaml", text.replace("epochs: 2", "epochs: 4"))


def interrupted(c):
    """Carried states of all shards stand in the checkpoint."""
    write_configs(c)
    write_long(c)
    train(c, "stateful", 4, "whole")
    whole = len(c.steps("whole"))
    middle = False
    for share in (0.1, 0.4, 0.7):
        run = f"cut{share}"
        process = c.start("train", "stateful.yaml", "--set", "train.shards=4", "--out", run, *QUIET)
        path = c.folder / run / "metrics.jsonl"
        while process.poll() is None and not (path.exists() and len(path.read_text().splitlines()) > share * whole):
            time.sleep(0.001)
        process.send_signal(signal.SIGINT)
        process.communicate()
        middle |= any("state" in name for name in read_safetensors(c.folder / run / "last.safetensors")[0])
        c.run("train", "--resume", run, *QUIET)
        assert c.bytes(run) == c.bytes("whole"), f"{run} ends in other bits"
    assert middle, "no run was interrupted in an epoch"


def checkpoints(c):
    """train.checkpoint_minutes writes a checkpoint within an epoch, which a killed run goes on from."""
    write_configs(c)
    write_long(c)
    for shards in (1, 4):
        more = "--set", "train.checkpoint_minutes=0.0001"
        train(c, "stateful", shards, f"whole{shards}", *more)
        run, states = f"killed{shards}", []
        process = c.start("train", "stateful.yaml", "--set", f"train.shards={shards}", "--out", run, *QUIET, *more)
        path = c.folder / run / "last.safetensors"
        while process.poll() is None and not states:
            states = [name for name in (read_safetensors(path)[0] if path.exists() else []) if "state" in name]
        process.kill()
        process.communicate()
        assert states, "no checkpoint within an epoch was seen"
        c.run("train", "--resume", run, *QUIET)
        assert c.bytes(run) == c.bytes(f"whole{shards}"), f"{run} ends in other bits"


def refused(c):
    write_configs(c)
    c.write("own.yaml", (c.folder / "norm.yaml").read_text().replace("affine: false", "sync: false"))
    _, err = c.run("train", "own.yaml", "--set", "train.shards=8", "--set", "train.drop_last=true", status=2)
    assert "layers[4] (batchnorm)" in err and "each cut into train.shards" in err, err
    _, err = c.run("train", "lengths.yaml", "--set", "train.shards=13", status=2)
    assert "train.shards is 13, but train.batch_size only 12" in err, err


if __name__ == "__main__":
    sys.exit(main([as_whole, own_statistics, staged, buckets, planned, interrupted, checkpoints, refused]))
