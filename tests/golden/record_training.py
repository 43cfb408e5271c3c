#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records small training runs from PyTorch, in double, into training.json: configs, data, first weights, losses of all
steps, validation and last weights. tests/cli/test_recorded.py trains the same with clrnn. Needs PyTorch 2.15.

    record_training.py [OUT]"""
import base64
import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_dtype(torch.float64)
LAYERS = {"rnn": 1, "gru": 3, "lstm": 4}


def normalised(x):
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, unbiased=False, keepdim=True) + 1e-5)


class Cell(nn.Module):
    """One level and direction of a recurrent layer, step by step; layer_norm as in haste with PyTorch's gates."""

    def __init__(self, kind, inputs, hidden, proj=0, norm=False):
        super().__init__()
        self.kind, self.hidden, self.norm, self.out = kind, hidden, norm, proj or hidden
        gates = LAYERS[kind] * hidden
        self.weight_ih, self.weight_hh = self.new(gates, inputs), self.new(gates, self.out)
        self.bias_ih, self.bias_hh = self.new(gates), self.new(gates)
        if proj:
            self.weight_hr = self.new(proj, hidden)
        if norm:
            self.gamma_ih, self.gamma_hh = self.new(gates, about=1), self.new(gates, about=1)
        if norm and kind == "lstm":
            self.gamma_c, self.beta_c = self.new(hidden, about=1), self.new(hidden)

    def new(self, *shape, about=0):
        return nn.Parameter((about + torch.randn(*shape) * 0.4).float().double())

    def step(self, x, h, c):
        a, b = x @ self.weight_ih.T, h @ self.weight_hh.T
        if self.norm:
            a, b = self.gamma_ih * normalised(a), self.gamma_hh * normalised(b)
        a, b = a + self.bias_ih, b + self.bias_hh
        if self.kind == "rnn":
            return torch.tanh(a + b), c
        if self.kind == "gru":
            (ar, az, an), (br, bz, bn) = a.chunk(3, -1), b.chunk(3, -1)
            r, z = torch.sigmoid(ar + br), torch.sigmoid(az + bz)
            n = torch.tanh(an + r * bn)
            return (1 - z) * n + z * h, c
        i, f, g, o = (a + b).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(self.gamma_c * normalised(c) + self.beta_c if self.norm else c)
        return (h @ self.weight_hr.T if hasattr(self, "weight_hr") else h), c

    def forward(self, x, lengths, state, reverse=False):
        """y (N, T, out), 0 in padding, and the last state; a sample that has ended keeps its state."""
        steps, h, c = [None] * x.shape[1], *state
        for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
            valid = (t < lengths)[:, None]
            new_h, new_c = self.step(x[:, t], h, c)
            h, c = torch.where(valid, new_h, h), torch.where(valid, new_c, c)
            steps[t] = torch.where(valid, h, torch.zeros_like(h))
        return torch.stack(steps, 1), (h, c)


class Recurrent(nn.Module):
    def __init__(self, kind, inputs, a):
        super().__init__()
        self.directions = 2 if a.get("bidirectional") else 1
        self.cells = nn.ModuleList()
        for _ in range(a.get("num_layers", 1)):
            for _ in range(self.directions):
                self.cells.append(Cell(kind, inputs, a["hidden_size"], a.get("proj_size", 0), a.get("layer_norm")))
            inputs = self.cells[-1].out * self.directions
        self.outputs, self.state = inputs, None

    def named(self):
        for k, cell in enumerate(self.cells):
            end = f"_l{k // self.directions}" + ("_reverse" if k % self.directions else "")
            for name, value in cell.named_parameters():
                yield name + end, value

    def forward(self, x, lengths, keep):
        if not keep or self.state is None:
            self.state = [(x.new_zeros(len(x), c.out), x.new_zeros(len(x), c.hidden)) for c in self.cells]
        for level in range(0, len(self.cells), self.directions):
            outs = []
            for d in range(self.directions):
                y, state = self.cells[level + d](x, lengths, self.state[level + d], d == 1)
                self.state[level + d] = tuple(s.detach() for s in state)
                outs.append(y)
            x = torch.cat(outs, -1)
        return x


class Convolution(nn.Conv1d):
    def forward(self, x):
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Attention(nn.Module):
    def __init__(self, inputs, size):
        super().__init__()
        self.weight, self.bias, self.v = (nn.Parameter(torch.randn(*shape) * 0.4) for shape in
                                          ((size, inputs), (size,), (size,)))

    def forward(self, x):
        share = torch.softmax(torch.tanh(x @ self.weight.T + self.bias) @ self.v, 1)
        return (share[..., None] * x).sum(1)


class Net(nn.Module):
    def __init__(self, layers, inputs):
        super().__init__()
        self.steps = nn.ModuleList()
        self.pool = None
        for entry in layers:
            (kind, a), = entry.items()
            if kind in LAYERS:
                self.steps.append(Recurrent(kind, inputs, a))
                inputs = self.steps[-1].outputs
            elif kind == "linear":
                self.steps.append(nn.Linear(inputs, a["out_features"]))
                inputs = a["out_features"]
            elif kind == "conv1d":
                self.steps.append(Convolution(inputs, **a))
                inputs = a["out_channels"]
            elif kind == "attention_pool":
                self.steps.append(Attention(inputs, a["attention_size"]))
            else:
                self.steps.append(nn.Identity())
                self.pool = (len(self.steps) - 1, a["over"])
        for p in self.parameters():
            p.data = p.data.float().double()

    def state_dict_flat(self):
        for index, module in enumerate(self.steps):
            named = module.named() if isinstance(module, Recurrent) else module.named_parameters()
            for name, value in named:
                yield f"{index}.{name}", value

    def forward(self, x, lengths, keep=False):
        for index, module in enumerate(self.steps):
            if isinstance(module, Recurrent):
                x = module(x, lengths, keep)
            elif self.pool and index == self.pool[0]:
                valid = torch.arange(x.shape[1])[None, :, None] < lengths[:, None, None]
                x = (x[torch.arange(len(x)), lengths - 1] if self.pool[1] == "last"
                     else (x * valid).sum(1) / lengths[:, None])
            else:
                x = module(x)
        return x


# ---------------------------------------------------------------- losses

def elements(case, out, y, w, lengths):
    """(sum of weighted losses, sum of weights) over what counts; w (N)."""
    kind, a = case["loss"]
    per_step = out.ndim == 3
    valid = torch.ones(out.shape[:-1], dtype=torch.bool)
    if per_step:
        valid = torch.arange(out.shape[1])[None] < lengths[:, None]
    w = (w[:, None] if per_step else w).expand(out.shape[:-1])
    if kind == "cross_entropy":
        counts = valid & (y != a.get("ignore_index", -100))
        y = torch.where(counts, y, 0)
        cw = torch.tensor(a["class_weight"]) if a.get("class_weight") else torch.ones(out.shape[-1])
        logp, s = F.log_softmax(out, -1), a.get("label_smoothing", 0)
        loss = -(1 - s) * cw[y] * logp.gather(-1, y[..., None])[..., 0] - s / out.shape[-1] * (cw * logp).sum(-1)
        return (loss * w)[counts].sum(), (cw[y] * w)[counts].sum()
    if kind == "bce_with_logits":
        pos = torch.tensor(a["pos"]) if a.get("pos") else torch.ones(out.shape[-1])
        loss = F.binary_cross_entropy_with_logits(out, y, pos_weight=pos, reduction="none")
        loss = loss * torch.tensor(a["weight"]) if a.get("weight") else loss
    else:
        if y.ndim < out.ndim:
            y = y[..., None]
        missing = torch.isnan(y)
        y = torch.where(missing, 0.0, y)
        if kind == "quantile":
            q = torch.tensor(a["quantiles"])
            e = y[..., None] - out.reshape(*y.shape, len(q))
            loss, missing = torch.maximum(q * e, (q - 1) * e), missing[..., None].expand(e.shape)
        else:
            e = (out - y).abs()
            k = a.get("beta", a.get("delta", 1.0))
            loss = {"mse": lambda: e * e, "l1": lambda: e,
                    "smooth_l1": lambda: torch.where(e < k, 0.5 * e * e / k, e - 0.5 * k),
                    "huber": lambda: torch.where(e < k, 0.5 * e * e, k * (e - 0.5 * k))}[kind]()
        w = w.reshape(*w.shape, *[1] * (loss.ndim - w.ndim)) * ~missing
        valid = valid.reshape(*valid.shape, *[1] * (loss.ndim - valid.ndim)).expand(loss.shape)
        return (loss * w)[valid].sum(), w.expand(loss.shape)[valid].sum()
    w, valid = w[..., None].expand(loss.shape), valid[..., None].expand(loss.shape)
    return (loss * w)[valid].sum(), w[valid].sum()


# ---------------------------------------------------------------- a run

def settle(case, data):
    """Balanced weights from the training set."""
    kind, a = case["loss"]
    y = data["y_train"]
    if a.get("weight") == "balanced":
        counts = y != a.get("ignore_index", -100)
        if "lengths_train" in data and y.ndim == 2:
            counts &= np.arange(y.shape[1])[None] < data["lengths_train"][:, None]
        k = case["classes"]
        a["class_weight"] = [counts.sum() / (k * max((y[counts] == c).sum(), 1)) for c in range(k)]
    elif kind == "cross_entropy" and a.get("weight"):
        a["class_weight"] = a["weight"]
    if a.get("pos_weight") == "balanced":
        a["pos"] = list((len(y) - y.sum(0)) / y.sum(0))
    elif a.get("pos_weight"):
        a["pos"] = a["pos_weight"]


def train(case, data):
    torch.manual_seed(case["seed"])
    settle(case, data)
    net = Net(case["layers"], data["X_train"].shape[-1])
    first = {k: v.detach().clone() for k, v in net.state_dict_flat()}
    t = {k: torch.tensor(v) for k, v in data.items()}
    for k in t:
        t[k] = t[k].double() if t[k].dtype == torch.float32 else t[k]
    o = case["train"]
    adam = "adam" in o["optimizer"]
    optimiser = (torch.optim.Adam if adam else torch.optim.SGD)(net.parameters(), **list(o["optimizer"].values())[0])
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, o["gamma"]) if o.get("gamma") else None
    N, T = t["X_train"].shape[:2]
    full, size, losses, epochs = torch.full((N,), T), o["batch_size"], [], []
    for _ in range(o["epochs"]):
        total = weight = 0.0
        for module in net.steps:
            module.state = None
        for b in range(0, N, size):
            rows = slice(b, min(b + size, N))
            for begin in range(0, T, o.get("bptt", T)):
                lengths = (t.get("lengths_train", full)[rows] - begin).clamp(0, min(o.get("bptt", T), T - begin))
                if lengths.max() <= 0:
                    continue
                piece = slice(begin, begin + o.get("bptt", T))
                x, y = t["X_train"][rows, piece], t["y_train"][rows]
                y = y[:, piece] if net.pool is None else y
                w = t["w_train"][rows] if "w_train" in t else torch.ones(len(x))
                out = net(x, lengths, keep=begin > 0 or o.get("stateful", False))
                top, bottom = elements(case, out, y, w, lengths)
                optimiser.zero_grad()
                (top / bottom).backward()
                if o.get("clip"):
                    nn.utils.clip_grad_norm_(net.parameters(), o["clip"])
                optimiser.step()
                if scheduler:
                    scheduler.step()
                losses.append((top / bottom).item())
                total += losses[-1] * len(x) * x.shape[1]
                weight += len(x) * x.shape[1]
        with torch.no_grad():
            lengths = t.get("lengths_valid", torch.full((len(t["X_valid"]),), T))
            out = net(t["X_valid"], lengths)
            top, bottom = elements(case, out, t["y_valid"], t.get("w_valid", torch.ones(len(out))), lengths)
        epochs.append([total / weight, (top / bottom).item()])
    return {"init": first, "final": dict(net.state_dict_flat()), "losses": losses, "epochs": epochs}


# ---------------------------------------------------------------- the cases

def real(rng, *shape):
    return rng.standard_normal(shape).astype(np.float32)


def make_data(case, rng):
    kind, a = case["loss"]
    n, m, T, O = case.get("n", 12), 6, case.get("T", 5), case.get("outputs", 3)
    steps = not any(kind.endswith("pool") for layer in case["layers"] for kind in layer)
    data = {}
    for part, count in (("train", n), ("valid", m)):
        data[f"X_{part}"] = real(rng, count, T, 3)
        if case.get("lengths"):
            data[f"lengths_{part}"] = rng.integers(1, T + 1, count)
        shape = (count, T) if steps else (count,)
        if kind == "cross_entropy":
            y = rng.integers(0, case["classes"], shape)
            if case.get("ignored"):
                y[rng.random(shape) < 0.3] = a.get("ignore_index", -100)
        elif kind == "bce_with_logits":
            y = rng.random((*shape, O)).astype(np.float32)
            y = y if case.get("soft") else (y < 0.4).astype(np.float32)
        else:
            y = real(rng, *shape, O)
            if case.get("missing"):
                y[rng.random(y.shape) < 0.25] = np.nan
        data[f"y_{part}"] = y
        if case.get("weights"):
            data[f"w_{part}"] = (rng.integers(0, 5, count) / 2).astype(np.float32)
    return data


HEAD = [{"pool": {"over": "last"}}]


def cases():
    """name -> case, each word alone and in pairs."""
    out = {}

    def add(name, loss, layers, **more):
        more.setdefault("train", {})
        out[name] = {"loss": loss, "layers": layers, **more}

    def net(kind="gru", outputs=3, pool=True, **a):
        return [{kind: {"hidden_size": 4, **a}}, *(HEAD if pool else []), {"linear": {"out_features": outputs}}]

    reals = {"mse": {}, "l1": {}, "smooth_l1": {"beta": 0.5}, "huber": {"delta": 0.7},
             "quantile": {"quantiles": [0.2, 0.5, 0.9]}}
    for kind, a in reals.items():
        width = 3 * len(a.get("quantiles", [1]))
        for name, more in {"vector": {}, "steps_lengths": {"lengths": True, "steps": True}, "weights": {"weights": True},
                           "missing": {"missing": True}, "weights_missing": {"weights": True, "missing": True}}.items():
            add(f"{kind}_{name}", (kind, dict(a)), net(outputs=width, pool=not more.pop("steps", False)), **more)
    for name, a, more in (("labels", {}, {}), ("labels_weight", {"weight": [1.0, 0.5, 2.0]}, {}),
                          ("labels_pos_weight", {"pos_weight": [2.0, 0.5, 1.5]}, {"weights": True}),
                          ("labels_balanced", {"pos_weight": "balanced"}, {}), ("labels_soft", {}, {"soft": True}),
                          ("labels_lengths", {"weight": [1.0, 0.5, 2.0]}, {"lengths": True, "weights": True})):
        add(name, ("bce_with_logits", a), net("lstm"), **more)
    for name, a, more in (("classes_balanced", {"weight": "balanced"}, {}),
                          ("classes_balanced_ignored", {"weight": "balanced", "ignore_index": 7}, {"ignored": True}),
                          ("classes_weights", {}, {"weights": True}),
                          ("classes_weights_smoothing", {"label_smoothing": 0.2}, {"weights": True}),
                          ("classes_balanced_lengths", {"weight": "balanced"}, {"lengths": True, "weights": True})):
        add(name, ("cross_entropy", a), net("rnn", 4, pool="lengths" not in name), classes=4, **more)
    classes = ("cross_entropy", {})
    for name, kind, a, more in (("norm_rnn", "rnn", {}, {}), ("norm_gru", "gru", {"num_layers": 2}, {}),
                                ("norm_lstm", "lstm", {}, {"lengths": True}),
                                ("norm_gru_bidirectional", "gru", {"bidirectional": True}, {"lengths": True}),
                                ("norm_lstm_proj", "lstm", {"proj_size": 2, "num_layers": 2}, {}),
                                ("norm_lstm_bidirectional", "lstm", {"bidirectional": True}, {})):
        add(name, classes, net(kind, 4, layer_norm=True, **a), classes=4, **more)
    for name, a, more in (("proj", {}, {}), ("proj_lengths", {"bidirectional": True}, {"lengths": True}),
                          ("proj_levels", {"num_layers": 2}, {"lengths": True})):
        add(name, classes, net("lstm", 4, proj_size=2, **a), classes=4, **more)
    states = {"rnn": ("rnn", {}), "lstm": ("lstm", {"num_layers": 2}), "gru": ("gru", {}),
              "lstm_proj": ("lstm", {"proj_size": 2}), "lstm_norm": ("lstm", {"layer_norm": True}),
              "gru_norm": ("gru", {"layer_norm": True, "num_layers": 2})}
    for name, (kind, a) in states.items():
        add(f"bptt_{name}", classes, net(kind, 4, pool=False, **a), classes=4, T=7, train={"bptt": 3})
        add(f"bptt_{name}_lengths", ("l1", {}), net(kind, 3, pool=False, **a), T=8, lengths=True, train={"bptt": 3})
        add(f"stateful_{name}", ("mse", {}), net(kind, 3, **a), train={"stateful": True})
        add(f"bptt_stateful_{name}", ("mse", {}), net(kind, 3, pool=False, **a), T=6,
            train={"bptt": 2, "stateful": True, "gamma": 0.95, "clip": 0.5})
    windows = [{"conv1d": {"out_channels": 4, "kernel_size": 3, "padding": 1}}, {"lstm": {"hidden_size": 4}}]
    add("stateful_conv", ("mse", {}), [*windows, {"linear": {"out_features": 3}}], train={"stateful": True})
    add("stateful_attention", ("mse", {}), [*windows, {"attention_pool": {"attention_size": 3}},
                                            {"linear": {"out_features": 3}}], train={"stateful": True})
    return out


def packed(values):
    values = {k: np.asarray(v.detach() if isinstance(v, torch.Tensor) else v) for k, v in values.items()}
    return {k: [v.dtype.str, v.shape, base64.b64encode(v.tobytes()).decode()] for k, v in values.items()}


def config_of(case, loss):
    o = case["train"]
    t = {"loss": {case["loss"][0]: loss}, "optimizer": o["optimizer"], "epochs": o["epochs"], "log_every": 1,
         "batch_size": o["batch_size"]}
    t.update({k: o[k] for k in ("bptt", "stateful") if k in o})
    if o.get("gamma"):
        t["scheduler"] = {"exponential_lr": {"gamma": o["gamma"], "interval": "batch"}}
    if o.get("clip"):
        t["clip_grad_norm"] = o["clip"]
    data = {"missing_targets": "ignore"} if case.get("missing") else {}
    for part in ("train", "valid"):
        data[part] = {"x": f"X_{part}.npy", "y": f"y_{part}.npy"}
        if case.get("lengths"):
            data[part]["lengths"] = f"lengths_{part}.npy"
        if case.get("weights"):
            data[part]["weights"] = f"w_{part}.npy"
    return {"model": {"layers": case["layers"]}, "train": t, "data": data}


def main():
    out = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "training.json")
    recorded = {}
    for number, (name, case) in enumerate(cases().items()):
        rng = np.random.default_rng(100 + number)
        loss = dict(case["loss"][1])
        optimizer = {"adam": {"lr": 0.02}} if number % 2 else {"sgd": {"lr": 0.1, "momentum": 0.9}}
        case["train"] = {"optimizer": optimizer, "epochs": 2, "batch_size": 4 if number % 3 else 6, **case["train"]}
        case["seed"] = number
        data = make_data(case, rng)
        run = train(case, data)
        recorded[name] = {"config": config_of(case, loss), "data": packed(data),
                          "init": packed({k: v.float() for k, v in run["init"].items()}),
                          "final": packed({k: v.float() for k, v in run["final"].items()}),
                          "losses": run["losses"], "epochs": run["epochs"]}
    out.write_text(json.dumps(recorded, separators=(",", ":")).replace('},"', '},\n"') + "\n")
    print(f"{len(recorded)} runs, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
