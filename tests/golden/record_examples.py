# SPDX-License-Identifier: MIT
"""Trains models of examples/ in PyTorch, for the figures of doc/examples.md: one line of JSON a run.

    python3 tests/golden/record_examples.py examples/NAME.yaml [--seeds 1,2,3] [--init FILE] [--threads N]

Model, data, loss, optimizer and epochs are read from the config; it covers what the configs of doc/examples.md use.
Needs torch, numpy, PyYAML; safetensors for --init, which loads the weights a run of clrnn begins with.
"""
import argparse
import csv
import json
import pathlib
import time

import numpy as np
import torch
import yaml
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    """attention_pool: the softmax of v^T tanh(W x + b) over the valid steps weighs their mean."""

    def __init__(self, features, size):
        super().__init__()
        first = nn.Linear(features, size)
        self.weight, self.bias = first.weight, first.bias
        self.v = nn.Parameter(torch.empty(size).uniform_(-size ** -0.5, size ** -0.5))

    def forward(self, x, valid):
        scores = torch.tanh(F.linear(x, self.weight, self.bias)) @ self.v
        return (scores.masked_fill(~valid, -torch.inf).softmax(1).unsqueeze(2) * x).sum(1)


class Concat(nn.Module):
    """Branches, each a list of layers, that read the same input: their outputs side by side."""

    def __init__(self, branches, shape):
        super().__init__()
        for index, layers in enumerate(branches):
            self.add_module(str(index), Net(layers, shape))

    def forward(self, x):
        return torch.cat([branch(x)[0] for branch in self.children()], -1)


class Net(nn.Module):
    """The layers of a config for x of a shape (T, C). forward gives output, valid steps, states of recurrent layers."""

    def __init__(self, layers, shape):
        super().__init__()
        features = shape[-1]
        self.kinds = []
        for index, layer in enumerate(layers):
            (kind, a), = layer.items() if isinstance(layer, dict) else ((layer, {}),)
            a = dict(a or {})
            name = a.pop("name", str(index))
            width = features
            if kind in ("rnn", "gru", "lstm"):
                module = getattr(nn, kind.upper())(features, batch_first=True, **a)
                width = a["hidden_size"] * (2 if a.get("bidirectional") else 1)
            elif kind == "embedding":
                module, width = nn.Embedding(**a), a["embedding_dim"]
            elif kind == "linear":
                module, width = nn.Linear(features, **a), a["out_features"]
            elif kind == "conv1d":
                module, width = nn.Conv1d(features, **a), a["out_channels"]
            elif kind == "concat":
                module = Concat(a["branches"], shape)
                width = sum(branch.features for branch in module.children())
            elif kind == "flatten":
                module, width = nn.Flatten(), shape[0] * features
            elif kind == "attention_pool":
                module = Attention(features, a["attention_size"])
            else:
                module = {"relu": nn.ReLU, "max_pool1d": nn.MaxPool1d}.get(kind, nn.Identity)(
                    **({} if kind == "pool" else a))
            self.add_module(name, module)
            self.kinds.append((kind, name, a))
            features = width
        self.features = features

    def forward(self, x, lengths=None, states=None):
        steps = torch.full((len(x),), x.shape[1]) if lengths is None else lengths
        ended = []
        for number, (kind, name, a) in enumerate(self.kinds):
            module = getattr(self, name)
            valid = torch.arange(x.shape[1]) < steps.unsqueeze(1) if x.ndim >= 2 else None
            if kind in ("rnn", "gru", "lstm"):
                packed = x if lengths is None else nn.utils.rnn.pack_padded_sequence(
                    x, lengths, batch_first=True, enforce_sorted=False)
                x, state = module(packed, states[len(ended)] if states else None)
                if lengths is not None:
                    x, _ = nn.utils.rnn.pad_packed_sequence(x, batch_first=True, total_length=valid.shape[1])
                ended.append(state)
            elif kind in ("conv1d", "max_pool1d"):
                x = module(x.transpose(1, 2)).transpose(1, 2)
                steps = torch.full((len(x),), x.shape[1])
            elif kind == "attention_pool":
                x = module(x, valid)
            elif kind == "pool":
                x = x[:, -1] if a["over"] == "last" else x.mean(1) if a["over"] == "mean" else x.amax(1)
            else:
                x = module(x)
        return x, steps, ended


def windows(path, a):
    """Training and validation windows of a series in one column, as data.train has them with `split`."""
    with open(path, encoding="utf-8") as file:
        series = np.array([float(row[a["target"][0]]) for row in csv.DictReader(file)], np.float64)
    split = len(series) - round(len(series) * a["split"]["valid"])
    out = {}
    for part, rows in (("train", series[:split]), ("valid", series[split:])):
        starts = range(len(rows) - a["window"] - a["horizon"] + 1)
        out[part] = {"x": np.array([rows[s:s + a["window"], None] for s in starts]),
                     "y": np.array([rows[s + a["window"]:s + a["window"] + a["horizon"]] for s in starts])}
    return out, series[:split, None]


def read(path, config):
    """{part: {x y lengths y_lengths weights: tensor}} normalised, and the targets' mean and deviation."""
    data, folder = config["data"], path.parent
    if "csv" in data["train"]:
        sets, rows = windows(folder / data["train"]["csv"], data["train"])
    else:
        sets = {part: {key: np.load(folder / file) for key, file in data[part].items()} for part in ("train", "valid")}
        rows = sets["train"]["x"].reshape(-1, sets["train"]["x"].shape[-1])
    if data.get("normalize") == "standard":
        mean, deviation = rows.mean(0), rows.std(0)
        for part in sets.values():
            part["x"] = (part["x"] - mean) / deviation
    unit = (0.0, 1.0)
    if data.get("normalize_targets") == "standard":
        unit = sets["train"]["y"].mean(0), sets["train"]["y"].std(0)
    real = next(iter(config["train"]["loss"])) if isinstance(config["train"]["loss"], dict) else config["train"]["loss"]
    for part in sets.values():
        for key, array in part.items():
            kept = array.dtype.kind in "iu" and not (key == "y" and real in ("mse", "bce_with_logits"))
            part[key] = torch.tensor(array.astype(np.int64 if kept else np.float32))
    return sets, tuple(torch.tensor(v, dtype=torch.float32) for v in unit)


def loss_of(config, sets, unit):
    """A function of outputs, their steps and a batch."""
    given = config["train"]["loss"]
    (kind, a), = given.items() if isinstance(given, dict) else ((given, {}),)
    if kind == "mse":
        return kind, lambda out, steps, b: F.mse_loss(out, ((b["y"] - unit[0]) / unit[1]).view_as(out))
    if kind == "bce_with_logits":
        y = sets["train"]["y"]
        weight = (len(y) - y.sum(0)) / y.sum(0) if a.get("pos_weight") == "balanced" else None
        return kind, lambda out, steps, b: F.binary_cross_entropy_with_logits(out, b["y"], pos_weight=weight)
    if kind == "ctc":
        return kind, lambda out, steps, b: F.ctc_loss(out.log_softmax(2).transpose(0, 1), b["y"], steps, b["y_lengths"])
    return kind, lambda out, steps, b: F.cross_entropy(out.flatten(0, -2), b["y"].flatten())


def edits(a, b):
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (left != right))
    return row[-1]


def figures(kind, out, steps, b, loss, unit):
    """What doc/examples.md shows of the validation set."""
    y = b["y"]
    if kind == "mse":
        error = out * unit[1] + unit[0] - y.view_as(out)
        own = y.view_as(out)
        r2 = 1 - (error ** 2).sum(0) / ((own - own.mean(0)) ** 2).sum(0)
        rmse = (error ** 2).mean(0).sqrt().mean()
        return {"mae": error.abs().mean().item(), "rmse": rmse.item(), "r2": r2.mean().item()}
    if kind == "bce_with_logits":
        said = (out > 0).float()
        f1 = 2 * (said * y).sum(0) / (said + y).sum(0)
        return {"accuracy": (said == y).float().mean().item(), "macro_f1": f1.mean().item()}
    if kind == "ctc":
        wrong = total = 0
        for path, n, target, length in zip(out.argmax(2), steps, y, b["y_lengths"]):
            merged = torch.unique_consecutive(path[:n])
            wrong += edits(merged[merged != 0].tolist(), target[:length].tolist())
            total += int(length)
        return {"cer": wrong / total}
    return {"accuracy": (out.argmax(-1) == y).float().mean().item(), "perplexity": float(np.exp(loss))}


def train(config, sets, unit, seed, init):
    """A run; its figures after the last epoch."""
    torch.manual_seed(seed)
    t, data = config["train"], sets["train"]
    net = Net(config["model"]["layers"], data["x"].shape[1:])
    if init:
        from safetensors.torch import load_file
        own = net.state_dict()
        net.load_state_dict({k: v for k, v in load_file(init).items() if k in own})
    kind, loss = loss_of(config, sets, unit)
    (name, a), = t["optimizer"].items()
    optimizer = {"adam": torch.optim.Adam}[name](net.parameters(), **a)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, **t["scheduler"]["cosine_annealing_lr"]) \
        if "scheduler" in t else None
    began = time.process_time()
    for _ in range(t["epochs"]):
        states = None
        order = torch.randperm(len(data["x"])) if t.get("shuffle") else torch.arange(len(data["x"]))
        for batch in order.split(t["batch_size"]):
            whole = {key: array[batch] for key, array in data.items()}
            size = t.get("bptt") or whole["x"].shape[1]
            states = states if t.get("stateful") else None
            for begin in range(0, whole["x"].shape[1], size):
                piece = {key: array[:, begin:begin + size] for key, array in whole.items()} if t.get("bptt") else whole
                optimizer.zero_grad()
                out, steps, states = net(piece["x"], piece.get("lengths"), states)
                states = [tuple(v.detach() for v in s) if isinstance(s, tuple) else s.detach() for s in states]
                loss(out, steps, piece).backward()
                if "clip_grad_norm" in t:
                    nn.utils.clip_grad_norm_(net.parameters(), t["clip_grad_norm"])
                optimizer.step()
        if schedule:
            schedule.step()
    seconds = time.process_time() - began
    net.eval()
    with torch.no_grad():
        out, steps, _ = net(sets["valid"]["x"], sets["valid"].get("lengths"))
        last = loss(out, steps, sets["valid"]).item()
        return {"seed": seed, "cpu_s": round(seconds, 1), "valid_loss": last,
                **figures(kind, out, steps, sets["valid"], last, unit)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=pathlib.Path)
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--init", help="a .safetensors file with the first weights")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    torch.set_flush_denormal(True)
    config = yaml.safe_load(o.config.read_text(encoding="utf-8"))
    sets, unit = read(o.config, config)
    for seed in o.seeds.split(","):
        print(json.dumps({"torch": torch.__version__, **train(config, sets, unit, int(seed), o.init)}), flush=True)


if __name__ == "__main__":
    main()
