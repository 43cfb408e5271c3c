#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An installed PyTorch and clrnn hold the same models: weights go over in both directions and give the same
predictions, and training gives the same losses. Without PyTorch every test is skipped."""
import json
import pathlib
import random
import sys

import harness
from harness import Skip, read_npy, write_npy
from torch_models import BATCH, build, forward, load, make_loss, parts, save, torch, torch_curves

LOGIT_TOLERANCE = 1e-5  # of the largest logit: float32 sums of up to 2,474 terms, in another order
LOSS_TOLERANCE = 1e-4   # relative, after up to 21 steps that carry such differences on
N = 23

# name: (layers, T, C; C None: tokens, lengths or not)
SEED = [{"rnn": {"name": "rnn", "hidden_size": 64, "num_layers": 2, "bidirectional": True}},
        {"batchnorm": {"name": "norm"}}, {"rnn": {"name": "rnn2", "hidden_size": 64, "num_layers": 2}},
        {"dropout": {"p": 0.5}}, {"linear": {"name": "fc7", "out_features": 2}}]
LAST, HEAD = {"pool": {"over": "last"}}, {"linear": {"out_features": 3}}
NETS = {
    "seed": (SEED, 1, 2474, False),
    "rnn": ([{"rnn": {"hidden_size": 17, "nonlinearity": "relu"}}, LAST, HEAD], 9, 5, False),
    "lstm_2x_bi": ([{"lstm": {"hidden_size": 15, "num_layers": 2, "bidirectional": True}},
                    {"pool": {"over": "final"}}, HEAD], 7, 6, False),
    "gru_2x": ([{"gru": {"hidden_size": 33, "num_layers": 2, "bias": False}}, {"pool": {"over": "max"}}, HEAD],
               8, 3, False),
    "gru_per_step": ([{"gru": {"hidden_size": 9, "bidirectional": True}}, {"layernorm": {"name": "norm"}}, HEAD],
                     6, 4, False),
    "stack": ([{"linear": {"out_features": 12}}, "tanh", {"batchnorm": {"momentum": None}},
               {"rnn": {"hidden_size": 8}}, "sigmoid", {"lstm": {"hidden_size": 10}}, "relu",
               {"batchnorm": {"affine": False}}, {"pool": {"over": "mean"}}, HEAD, "log_softmax"], 5, 7, False),
    "rnn_lengths": ([{"rnn": {"hidden_size": 16, "num_layers": 2, "bidirectional": True}}, {"batchnorm": {}},
                     {"pool": {"over": "mean"}}, HEAD], 12, 3, True),
    "lstm_lengths": ([{"lstm": {"hidden_size": 31, "num_layers": 2}}, LAST, HEAD], 11, 4, True),
    "gru_lengths": ([{"gru": {"hidden_size": 12, "num_layers": 2, "bidirectional": True}}, {"layernorm": {}},
                     {"pool": {"over": "max"}}, HEAD], 10, 2, True),
    "steps_lengths": ([{"gru": {"hidden_size": 7, "bidirectional": True}}, {"batchnorm": {}},
                       {"lstm": {"hidden_size": 6}}, HEAD], 13, 3, True),
    "tokens": ([{"embedding": {"num_embeddings": 19, "embedding_dim": 6}}, {"lstm": {"hidden_size": 14}},
                {"pool": {"over": "final"}}, HEAD], 9, None, False),
    "tokens_lengths": ([{"embedding": {"name": "words", "num_embeddings": 19, "embedding_dim": 6,
                                       "padding_idx": 0}},
                        {"gru": {"hidden_size": 14, "bidirectional": True}}, {"pool": {"over": "final"}}, HEAD],
                       9, None, True),
}


def write_data(c, prefix, layers, T, C, with_lengths, seed):
    """X, y and lengths files of a net; (x, lengths) as tensors."""
    draw = torch.Generator().manual_seed(seed)
    if C is None:
        x = torch.randint(0, 19, (N, T), generator=draw)
        write_npy(c.folder / f"X_{prefix}.npy", "<i8", (N, T), x.flatten().tolist())
    else:
        x = torch.randn(N, T, C, generator=draw)
        write_npy(c.folder / f"X_{prefix}.npy", "<f4", (N, T, C), x.flatten().tolist())
    lengths = torch.randint(1, T + 1, (N,), generator=draw) if with_lengths else torch.full((N,), T)
    if with_lengths:
        lengths[0] = T
        write_npy(c.folder / f"lengths_{prefix}.npy", "<i8", (N,), lengths.tolist())
    per_step = not any(parts(entry)[0] == "pool" for entry in layers) and T > 1
    y = torch.randint(0, 2, (N, T) if per_step else (N,), generator=draw)
    write_npy(c.folder / f"y_{prefix}.npy", "<i8", tuple(y.shape), y.flatten().tolist())
    return x, lengths


def write_config(c, layers, with_lengths, train):
    source = lambda name: {key: f"{word}_{name}.npy" for key, word in
                           [("x", "X"), ("y", "y")] + ([("lengths", "lengths")] if with_lengths else [])}
    c.write("config.yaml", json.dumps({"model": {"layers": layers}, "train": train,
                                       "data": {"train": source("train"), "valid": source("valid")}}))


def logits_near(c, got_file, net, layers, x, lengths, tolerance=LOGIT_TOLERANCE):
    """Holds predictions of clrnn against those of PyTorch."""
    net.eval()
    with torch.no_grad():
        want, pooled = forward(net, layers, x, lengths)
    shape, values = read_npy(c.folder / got_file)
    got = torch.tensor(values, dtype=want.dtype).reshape(shape)
    if not pooled:
        valid = torch.arange(x.shape[1])[None, :] < lengths[:, None]
        got, want = got.reshape(want.shape)[valid], want[valid]
    got = got.reshape(want.shape)
    off = ((got - want).abs().max() / want.abs().max()).item()
    assert off <= tolerance, f"logits differ by {off:.3g} of the largest, allowed {tolerance:.3g}"


def both_ways(name):
    layers, T, C, with_lengths = NETS[name]

    def test(c):
        if torch is None:
            raise Skip("PyTorch is not installed")
        write_data(c, "train", layers, T, C, with_lengths, 1)
        x, lengths = write_data(c, "valid", layers, T, C, with_lengths, 2)
        loss = "nll" if layers[-1] == "log_softmax" else "cross_entropy"
        write_config(c, layers, with_lengths,
                     {"loss": loss, "optimizer": {"adam": {"lr": 0.003}}, "epochs": 2, "batch_size": 8, "seed": 5})
        data = ["--x", "X_valid.npy"] + (["--lengths", "lengths_valid.npy"] if with_lengths else [])

        # trained here, evaluated there
        c.run("train", "config.yaml", "--out", "run", "--quiet", "--no-plot", "--no-watch")
        c.run("predict", "run", *data, "--out", "ours.npy", "--quiet")
        c.run("export", "run", "--to", "safetensors", "--out", "ours.safetensors")
        net = build(layers, C)
        net.load_state_dict(load(c.folder / "ours.safetensors"), strict=True)
        logits_near(c, "ours.npy", net, layers, x, lengths)

        # drawn there, evaluated here; batch norm with statistics that are not those it starts from
        torch.manual_seed(3)
        net = build(layers, C)
        for key, tensor in net.state_dict().items():
            if key.endswith("running_mean"):
                tensor.normal_()
            elif key.endswith("running_var"):
                tensor.uniform_(0.5, 2)
        save(c.folder / "theirs.safetensors", net.state_dict())
        c.run("predict", "--init", "theirs.safetensors", "--config", "config.yaml", *data, "--out", "theirs.npy",
              "--quiet")
        logits_near(c, "theirs.npy", net, layers, x, lengths)

    test.__name__ = "weights_" + name
    return test


# ---------------------------------------------------------------- the page

def blocks(path):
    """The indented blocks of a Markdown page, their indentation taken off."""
    found, block = [], []
    for line in path.read_text(encoding="utf-8").splitlines() + ["end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
        elif block:
            found.append("\n".join(block).rstrip() + "\n")
            block = []
    return found


def the_page(c):
    """doc/from-pytorch.md's own model and config are the same model, and its commands work."""
    if torch is None:
        raise Skip("PyTorch is not installed")
    page = blocks(pathlib.Path(__file__).resolve().parents[2] / "doc" / "from-pytorch.md")
    code, config = next(b for b in page if "class Net" in b), next(b for b in page if b.startswith("model:"))
    torch.manual_seed(6)
    scope = {}
    exec(compile(code, "doc/from-pytorch.md", "exec"), scope)
    net = scope["net"]
    c.write("seed.yaml", config.replace("epochs: 25", "epochs: 1"))
    for prefix, count in (("train", 70), ("test", 40)):
        x, y = torch.randn(count, 1, 2474), torch.randint(0, 2, (count,))
        write_npy(c.folder / f"X_{prefix}.npy", "<f4", tuple(x.shape), x.flatten().tolist())
        write_npy(c.folder / f"y_{prefix}.npy", "<i8", (count,), y.tolist())
    save(c.folder / "net.safetensors", net.state_dict())

    def same(file):
        net.eval()
        with torch.no_grad():
            want = net(x)
        got = torch.tensor(read_npy(c.folder / file)[1]).reshape(want.shape)
        assert (got - want).abs().max() <= LOGIT_TOLERANCE * want.abs().max(), (got - want).abs().max()

    commands = [line for b in page for line in b.splitlines() if line.startswith("clrnn ")]
    assert len(commands) == 4, commands
    for line in commands:
        c.run(*line.split()[1:], *(["--quiet", "--no-plot", "--no-watch"] if line.startswith("clrnn train") else []))
        if line.startswith("clrnn predict"):
            same("logits.npy")
    net.load_state_dict(load(c.folder / "net.safetensors"), strict=True)
    c.run("predict", "runs/seed", "--x", "X_test.npy", "--out", "logits.npy")
    same("logits.npy")


# ---------------------------------------------------------------- training in both

ADAM = {"adam": {"lr": 0.01}}
TRAININGS = {  # name: what differs from cross entropy with Adam, for 4 epochs of 3 batches
    "smoothing": {"loss": {"cross_entropy": {"label_smoothing": 0.1, "weight": [0.5, 2, 1], "ignore_index": 1}}},
    "nll": {"loss": {"nll": {"weight": [0.5, 2, 1]}}},
    "bce": {"loss": {"bce_with_logits": {"pos_weight": [2.5]}}},
    "mse": {"loss": "mse"},
    "sgd": {"optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9, "dampening": 0.2, "weight_decay": 0.01}}},
    "nesterov": {"optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9, "nesterov": True}}},
    "adam": {"optimizer": {"adam": {"lr": 0.01, "betas": [0.8, 0.99], "eps": 1e-6, "weight_decay": 0.05,
                                    "amsgrad": True}}},
    "adamw": {"optimizer": {"adamw": {"lr": 0.01, "weight_decay": 0.1}}},
    "rmsprop": {"optimizer": {"rmsprop": {"lr": 0.003, "alpha": 0.9, "momentum": 0.5, "centered": True}}},
    "clip": {"clip_grad_norm": 0.1, "optimizer": {"sgd": {"lr": 0.5}}},
    "step_lr": {"scheduler": {"step_lr": {"step_size": 2, "gamma": 0.5}}},
    "multistep_lr": {"scheduler": {"multistep_lr": {"milestones": [2, 3, 7], "gamma": 0.3, "interval": "batch"}}},
    "exponential_lr": {"scheduler": {"exponential_lr": {"gamma": 0.7, "interval": "batch"}}},
    "cosine_annealing_lr": {"scheduler": {"cosine_annealing_lr": {"T_max": 5, "eta_min": 0.001,
                                                                  "interval": "batch"}}},
    "linear_lr": {"scheduler": {"linear_lr": {"start_factor": 0.2, "end_factor": 0.8, "total_iters": 3}}},
    "one_cycle_lr": {"scheduler": {"one_cycle_lr": {"max_lr": 0.05, "interval": "batch"}}},
    "one_cycle_sgd": {"scheduler": {"one_cycle_lr": {"max_lr": 0.2, "three_phase": True, "anneal_strategy": "linear",
                                                     "interval": "batch"}},
                      "optimizer": {"sgd": {"lr": 0.1, "momentum": 0.9}}},
    "plateau": {"scheduler": {"reduce_lr_on_plateau": {"patience": 0, "factor": 0.5, "threshold": 0.05}}},
    "plateau_batch": {"scheduler": {"reduce_lr_on_plateau": {"patience": 1, "factor": 0.5, "cooldown": 1,
                                                             "interval": "batch"}}},
}
TRAIN_LAYERS = [{"gru": {"name": "gru", "hidden_size": 6}}, LAST]


def write_sets(c, name, seed, T, C, per_step=False, with_lengths=False):
    """Files of a training set of 21 and a validation set of one batch; each as (x, lengths, y)."""
    draw = torch.Generator().manual_seed(seed)
    sets = []
    for prefix, count in (("train", 21), ("valid", BATCH)):  # one batch: its loss is the whole set's
        x = (torch.randn(count, T, C, generator=draw) if C else torch.randint(0, 19, (count, T), generator=draw))
        shape = (count, T) if per_step and T > 1 else (count,)
        y = (torch.randn(shape, generator=draw) if name == "mse" else
             torch.randint(0, 2 if name.startswith("bce") else 3, shape, generator=draw))
        lengths = torch.randint(1, T + 1, (count,), generator=draw) if with_lengths else torch.full((count,), T)
        if with_lengths:
            lengths[-1] = T
            write_npy(c.folder / f"lengths_{prefix}.npy", "<i8", (count,), lengths.tolist())
        write_npy(c.folder / f"X_{prefix}.npy", "<f4" if C else "<i8", tuple(x.shape), x.flatten().tolist())
        write_npy(c.folder / f"y_{prefix}.npy", "<f4" if name == "mse" else "<i8", shape, y.flatten().tolist())
        sets.append((x, lengths, y))
    return sets


def check_curves(c, got_steps, got_epochs, steps, epochs, tolerance):
    assert len(got_steps) == len(steps) and len(got_epochs) == len(epochs)
    for line, (loss, lr) in zip(got_steps, steps):
        assert abs(line["lr"] - lr) <= 1e-6 * lr, f"step {line['step']}: lr {line['lr']}, PyTorch {lr}"
        assert abs(line["loss"] - loss) <= tolerance * max(abs(loss), 0.01), \
            f"step {line['step']}: loss {line['loss']}, PyTorch {loss}"
    for line, losses in zip(got_epochs, epochs):
        for key, want in zip(("train_loss", "valid_loss"), losses):
            assert abs(line[key] - want) <= tolerance * max(abs(want), 0.01), \
                f"epoch {line['epoch']}: {key} {line[key]}, PyTorch {want}"


def same_training(name):
    def test(c):
        if torch is None:
            raise Skip("PyTorch is not installed")
        train = {"loss": "cross_entropy", "optimizer": ADAM, "epochs": 4, "batch_size": BATCH, "log_every": 1,
                 **TRAININGS[name]}
        outputs, _ = make_loss(train["loss"])
        layers = [*TRAIN_LAYERS, {"linear": {"name": "head", "out_features": outputs}}]
        if name == "nll":
            layers.append("log_softmax")
        sets = write_sets(c, name, 11, 6, 4)
        torch.manual_seed(4)
        net = build(layers, 4)
        save(c.folder / "start.safetensors", net.state_dict())
        write_config(c, layers, False, train)
        c.run("train", "config.yaml", "--init", "start.safetensors", "--out", "run", "--quiet", "--no-plot",
              "--no-watch")
        steps, epochs = torch_curves(train, layers, net, *sets)
        check_curves(c, c.steps("run"), c.epochs("run"), steps, epochs, LOSS_TOLERANCE)
        weights = load(c.folder / "run" / "last.safetensors")
        for key, want in net.state_dict().items():
            off = ((weights[key] - want).abs().max() / want.abs().max()).item()
            assert off <= 1e-3, f"{key} differs by {off:.3g} of its largest value"  # Adam divides by small roots

    test.__name__ = "schedule_" + name
    return test


# ---------------------------------------------------------------- models drawn by lot

RANDOM_TRAININGS = 8
RANDOM_TOLERANCE = 2e-3  # of losses and logits: against float64, whatever the draw amplifies in 6 steps


def random_layers(draw, T, tokens, outputs, loss):
    """A chain of layers that fit each other."""
    size = lambda: draw.choice((1, 2, 5, 8, 15, 17, 33))
    layers, pooled, recurrent = [], False, False
    if tokens:
        layers.append({"embedding": {"num_embeddings": 19, "embedding_dim": size(),
                                     **({"padding_idx": draw.choice((0, 3))} if draw.random() < 0.5 else {})}})
    for _ in range(draw.randint(1, 3)):
        word = draw.choice(("rnn", "lstm", "gru", "rnn", "lstm", "gru", "batchnorm", "layernorm", "linear", "tanh",
                            "sigmoid", "relu"))
        a = {}
        if word in ("rnn", "lstm", "gru"):
            a = {"hidden_size": size(), "num_layers": draw.choice((1, 1, 2, 3)),
                 "bidirectional": draw.random() < 0.4, "bias": draw.random() < 0.8}
            if word == "rnn" and draw.random() < 0.3:
                a["nonlinearity"] = "relu"
            if draw.random() < 0.4:
                a["name"] = f"{word}{len(layers)}"
        elif word == "batchnorm":
            a = {"momentum": draw.choice((0.1, 0.3, None)), "affine": draw.random() < 0.8,
                 "track_running_stats": draw.random() < 0.8, "eps": draw.choice((1e-5, 1e-3))}
        elif word == "layernorm":
            a = {"elementwise_affine": draw.random() < 0.8}
        elif word == "linear":
            a = {"out_features": size(), "bias": draw.random() < 0.8}
        recurrent = word in ("rnn", "lstm", "gru")
        layers.append({word: a} if a else word)
    if draw.random() < 0.65:
        layers.append({"pool": {"over": draw.choice(("last", "mean", "max") + (("final",) if recurrent else ()))}})
        pooled = True
        if draw.random() < 0.4:
            layers.append(draw.choice(({"linear": {"out_features": 7}}, "tanh", "batchnorm", "layernorm")))
    layers.append({"linear": {"out_features": outputs}})
    if loss == "nll":
        layers.append("log_softmax")
    elif loss == "cross_entropy" and draw.random() < 0.1:
        layers.append("softmax")
    return layers, pooled or T == 1


def random_train(draw, loss):
    arguments = {}
    if loss in ("cross_entropy", "nll") and draw.random() < 0.5:
        arguments["weight"] = [0.5, 2.0, 1.0]
    if loss in ("cross_entropy", "nll") and draw.random() < 0.3:
        arguments["ignore_index"] = 1
    if loss == "cross_entropy" and draw.random() < 0.4:
        arguments["label_smoothing"] = 0.2
    if loss == "bce_with_logits":
        arguments["pos_weight"] = [draw.choice((0.5, 3.0))]
    train = {"loss": {loss: arguments} if arguments else loss, "epochs": 2, "batch_size": BATCH, "log_every": 1}
    train["optimizer"] = draw.choice((
        {"sgd": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}}, {"sgd": {"lr": 0.1}},
        {"adam": {"lr": 0.002, "eps": 1e-4}}, {"adamw": {"lr": 0.002, "eps": 1e-4}},
        {"rmsprop": {"lr": 0.001, "eps": 1e-4}}))  # large eps: a gradient of rounding errors is not blown up
    if draw.random() < 0.4:
        train["clip_grad_norm"] = 0.3
    if draw.random() < 0.5:
        train["scheduler"] = draw.choice((
            {"step_lr": {"step_size": 1}}, {"exponential_lr": {"gamma": 0.8, "interval": "batch"}},
            {"cosine_annealing_lr": {"T_max": 4, "interval": "batch"}}, {"linear_lr": {"interval": "batch"}}))
    return train


def random_training(seed):
    def test(c):
        if torch is None:
            raise Skip("PyTorch is not installed")
        draw = random.Random(seed)
        T, tokens, loss = draw.choice((1, 2, 7, 12)), draw.random() < 0.25, draw.choice(
            ("cross_entropy", "cross_entropy", "nll", "bce_with_logits", "mse"))
        C, with_lengths = None if tokens else draw.choice((1, 3, 16, 31)), T > 1 and draw.random() < 0.5
        outputs = 3 if loss in ("cross_entropy", "nll") else 1
        layers, pooled = random_layers(draw, T, tokens, outputs, loss)
        train = random_train(draw, loss)
        sets = write_sets(c, loss, seed, T, C, not pooled, with_lengths)
        torch.manual_seed(seed)
        net = build(layers, C)
        save(c.folder / "start.safetensors", net.state_dict())
        write_config(c, layers, with_lengths, train)
        c.run("train", "config.yaml", "--init", "start.safetensors", "--out", "run", "--quiet", "--no-plot",
              "--no-watch")
        torch.set_default_dtype(torch.float64)
        try:
            wide = build(layers, C)
            wide.load_state_dict(net.state_dict())
            real = lambda t: t.double() if t.is_floating_point() else t
            sets = [tuple(map(real, part)) for part in sets]
            steps, epochs = torch_curves(train, layers, wide, *sets)
            check_curves(c, c.steps("run"), c.epochs("run"), steps, epochs, RANDOM_TOLERANCE)
            c.run("predict", "run", "--x", "X_valid.npy", "--out", "p.npy", "--quiet",
                  *(["--lengths", "lengths_valid.npy"] if with_lengths else []))
            logits_near(c, "p.npy", wide, layers, *sets[1][:2], RANDOM_TOLERANCE)
        except AssertionError as error:
            raise AssertionError(f"{json.dumps(layers)}\n{json.dumps(train)}\nT {T} C {C} lengths {with_lengths}\n"
                                 f"{error}") from None
        finally:
            torch.set_default_dtype(torch.float32)

    test.__name__ = f"random_{seed}"
    return test


if __name__ == "__main__":
    sys.exit(harness.main([both_ways(name) for name in NETS] + [the_page] +
                          [same_training(name) for name in TRAININGS] +
                          [random_training(seed) for seed in range(RANDOM_TRAININGS)]))
