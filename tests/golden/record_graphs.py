#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records small training runs of convolutions, pools over time, attention, residual, concat and ctc with PyTorch.

    python3 record_graphs.py > graphs.json          (PyTorch 2.15, float64)

Every sample is run alone, cut to its own length, so that no padding exists; what clRNN must give for padded batches.
tests/cli/test_graphs.py holds clRNN against the numbers. "drift" is how far the same run in float32 is from them.
"""
import copy
import json

import torch
from torch import nn
from torch.nn import functional as F

N, T, C, CLASSES, EPOCHS, BATCH, LR = 6, 7, 3, 3, 2, 4, 0.1
torch.set_default_dtype(torch.float64)


class Net(nn.Module):
    """A list of layers in clRNN's grammar, on one sample (T, C); parameters under clRNN's names."""

    def __init__(self, layers, width, steps):
        super().__init__()
        self.layers, self.kinds = nn.ModuleDict(), []
        for place, entry in enumerate(layers):
            (kind, a), = entry.items() if isinstance(entry, dict) else ((entry, {}),)
            a = dict(a)
            name = a.pop("name", str(place))
            module, width, steps = make(kind, a, width, steps)
            if module is not None:
                self.layers[name] = module
            self.kinds.append((kind, a, name))
        self.width, self.steps = width, steps

    def forward(self, x):
        state = None
        for kind, a, name in self.kinds:
            module = self.layers[name] if name in self.layers else None
            if kind in ("rnn", "lstm", "gru"):
                x, state = module(x)
                state = state[0] if kind == "lstm" else state
            elif kind == "conv1d":
                x = module(x.T[None])[0].T
            elif kind in ("max_pool1d", "avg_pool1d"):
                x = module(x.T[None])[0].T
            elif kind == "pool":
                over = a["over"]
                x = (x[-1] if over == "last" else x.mean(0) if over == "mean" else x.max(0).values if over == "max"
                     else state.reshape(-1))
            elif kind == "flatten":
                x = x.reshape(-1)
            elif kind == "residual":
                x = x + module(x)
            elif kind == "concat":
                x = torch.cat([branch(x) for branch in module], -1)
            elif kind == "groupnorm":
                x = module(x[None] if x.ndim == 1 else x).reshape(x.shape)
            else:
                x = module(x)
        return x


class Attention(nn.Module):
    def __init__(self, width, size):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size, width))
        self.bias, self.v = nn.Parameter(torch.empty(size)), nn.Parameter(torch.empty(size))

    def forward(self, x):
        share = torch.softmax(torch.tanh(x @ self.weight.T + self.bias) @ self.v, 0)
        return share @ x


class Branches(nn.ModuleList):
    pass


def windows(a, steps):
    k, d = a["kernel_size"], a.get("dilation", 1)
    if a.get("padding") == "same":
        return steps
    return (steps + 2 * a.get("padding", 0) - d * (k - 1) - 1) // (a.get("stride") or a["default"]) + 1


def make(kind, a, width, steps):
    if kind == "linear":
        return nn.Linear(width, a["out_features"]), a["out_features"], steps
    if kind in ("rnn", "lstm", "gru"):
        both = 2 if a.get("bidirectional") else 1
        return getattr(nn, kind.upper())(width, batch_first=False, **a), a["hidden_size"] * both, steps
    if kind == "conv1d":
        a = {k: 0 if v == "valid" else v for k, v in a.items()}
        return nn.Conv1d(width, **a), a["out_channels"], windows({**a, "default": 1}, steps)
    if kind in ("max_pool1d", "avg_pool1d"):
        module = (nn.MaxPool1d if kind[0] == "m" else nn.AvgPool1d)(**a)
        return module, width, windows({**a, "default": a["kernel_size"]}, steps)
    if kind == "attention_pool":
        return Attention(width, a["attention_size"]), width, 1
    if kind == "groupnorm":
        return nn.GroupNorm(a["num_groups"], width), width, steps
    if kind == "layernorm":
        return nn.LayerNorm(width), width, steps
    if kind == "residual":
        inner = Net(a["layers"], width, steps)
        return inner, width, steps
    if kind == "concat":
        nets = [Net(branch, width, steps) for branch in a["branches"]]
        return Branches(nets), sum(n.width for n in nets), nets[0].steps
    if kind == "flatten":
        return None, width * steps, 1
    if kind == "pool":
        return None, width, 1
    return {"tanh": nn.Tanh, "relu": nn.ReLU, "silu": nn.SiLU}[kind](), width, steps


def clrnn_name(name):
    return name.replace("layers.", "")


K3 = {"conv1d": {"out_channels": 4, "kernel_size": 3, "padding": 1}}
SAME = {"conv1d": {"out_channels": 4, "kernel_size": 4, "padding": "same", "dilation": 2}}
STRIDE = {"conv1d": {"out_channels": 4, "kernel_size": 3, "stride": 2, "padding": 2, "dilation": 2, "bias": False,
                     "name": "conv"}}
VALID = {"conv1d": {"out_channels": 4, "kernel_size": 2, "padding": "valid"}}
MAX, MAXP = {"max_pool1d": {"kernel_size": 2}}, {"max_pool1d": {"kernel_size": 3, "stride": 2, "padding": 1}}
MAXD = {"max_pool1d": {"kernel_size": 2, "stride": 1, "dilation": 2, "padding": 1}}
AVG = {"avg_pool1d": {"kernel_size": 2}}
AVGP = {"avg_pool1d": {"kernel_size": 3, "stride": 1, "padding": 1, "count_include_pad": False}}
AVGQ = {"avg_pool1d": {"kernel_size": 3, "stride": 2, "padding": 1}}
ATT = {"attention_pool": {"attention_size": 3, "name": "attend"}}
GRU, LSTM, RNN = ({k: {"hidden_size": 4}} for k in ("gru", "lstm", "rnn"))
MEAN, LAST, FINAL = ({"pool": {"over": o}} for o in ("mean", "last", "final"))
GROUP = {"groupnorm": {"num_groups": 2}}
RES = {"residual": {"layers": [{"layernorm": {}}, {"lstm": {"hidden_size": 4}}], "name": "skip"}}
RESC = {"residual": {"layers": [{"conv1d": {"out_channels": 4, "kernel_size": 3, "padding": "same"}}, "tanh"]}}
IN = {"linear": {"out_features": 4}}
CAT = {"concat": {"branches": [[{"gru": {"hidden_size": 3, "name": "side"}}, "silu"], [], [{"linear": {"out_features": 1}}]]}}
CATP = {"concat": {"branches": [[GRU, FINAL], [{"attention_pool": {"attention_size": 2}}], [MEAN]]}}
CATW = {"concat": {"branches": [[MAXP, GRU], [{"avg_pool1d": {"kernel_size": 3, "stride": 2, "padding": 1}}]]}}

# name: layers before the last linear one, loss, whether it goes with lengths (a minimum), and without
CASES = {
    "conv": ([K3], "steps", 1), "conv_same": ([SAME], "steps", 1), "conv_stride": ([STRIDE], "steps", 1),
    "conv_valid": ([VALID, GRU, LAST], "class", 2), "max": ([GRU, MAX], "steps", 2), "max_pad": ([GRU, MAXP], "steps", 1),
    "max_dilated": ([GRU, MAXD], "steps", 2), "avg": ([GRU, AVG], "steps", 2), "avg_valid": ([GRU, AVGP], "steps", 1),
    "avg_pad": ([GRU, AVGQ], "steps", 1), "attention": ([GRU, ATT], "class", 1), "attention_alone": ([ATT], "class", 1),
    "groupnorm": ([IN, GROUP, RNN, MEAN], "class", 1), "groupnorm_pooled": ([GRU, MEAN, GROUP], "class", 1),
    "residual": ([IN, RES], "steps", 1), "concat": ([IN, CAT], "steps", 1), "concat_pooled": ([IN, CATP], "class", 1),
    "flatten": (["tanh", "flatten"], "class", None), "conv_flatten": ([STRIDE, "flatten"], "class", None),
    "max_flatten": ([K3, MAX, "flatten"], "class", None), "residual_flatten": ([IN, RES, "flatten"], "class", None),
    "conv_max": ([K3, MAX, LSTM, LAST], "class", 2), "conv_avg": ([SAME, AVGQ, GRU], "steps", 1),
    "conv_attention": ([STRIDE, ATT], "class", 1), "conv_groupnorm": ([K3, GROUP, "relu", MEAN], "class", 1),
    "conv_residual": ([STRIDE, RESC], "steps", 1), "residual_conv": ([IN, RESC, RES, LAST], "class", 1),
    "conv_concat": ([K3, CAT, ATT], "class", 1), "concat_windows": ([IN, CATW], "steps", 1),
    "max_avg": ([MAXP, AVGP, RNN], "steps", 1), "max_attention": ([IN, MAXP, ATT], "class", 1),
    "avg_residual": ([IN, AVGQ, RES, MEAN], "class", 1), "avg_concat": ([IN, AVGQ, CATP], "class", 1),
    "attention_residual": ([IN, RES, ATT], "class", 1),
    "attention_groupnorm": ([IN, ATT, GROUP], "class", 1), "groupnorm_residual": ([IN, {"residual": {"layers": [GROUP, GRU]}}], "steps", 1),
    "groupnorm_concat": ([IN, {"concat": {"branches": [[GROUP], [RNN]]}}, GROUP], "steps", 1),
    "residual_in_concat": ([IN, {"concat": {"branches": [[RES], [RESC, "tanh"]]}}], "steps", 1),
    "concat_in_residual": ([IN, {"residual": {"layers": [{"concat": {"branches": [[{"linear": {"out_features": 1}}], [{"gru": {"hidden_size": 3}}]]}}]}}], "steps", 1),
    "residual_in_residual": ([IN, {"residual": {"layers": [RES, {"residual": {"layers": [RESC]}}]}}, MEAN], "class", 1),
    "ctc": ([{"gru": {"hidden_size": 4, "bidirectional": True}}], "ctc", 3), "ctc_conv": ([K3, "tanh"], "ctc", 3),
    "ctc_max": ([{"conv1d": {"out_channels": 4, "kernel_size": 2, "padding": 1}}, MAXD], "ctc", 4), "ctc_residual": ([IN, RES], "ctc", 3),
    "ctc_concat": ([IN, CAT], "ctc", 3), "ctc_groupnorm": ([IN, GROUP], "ctc", 3), "ctc_avg": ([IN, AVGP, GRU], "ctc", 3),
    "ctc_blank": ([GRU], "ctc_blank", 3), "ctc_zero": ([GRU], "ctc_zero", 1),
}


def rounded(tensor, digits):
    return [round(float(v), digits) for v in tensor.reshape(-1)]


def losses_of(net, batch, data):
    """(sum of losses, count) of a batch."""
    total, count = 0, 0
    for n in batch:
        out = net(data["x"][n, :data["lengths"][n]])
        y = data["y"][n]
        if data["loss"].startswith("ctc"):
            blank = CLASSES if data["loss"] == "ctc_blank" else 0
            one = F.ctc_loss(F.log_softmax(out, -1)[:, None], y[None, :data["y_lengths"][n]], [len(out)],
                             [data["y_lengths"][n]], blank=blank, zero_infinity=data["loss"] == "ctc_zero")
            total, count = total + one, count + 1
        elif out.ndim == 2:
            total, count = total + F.cross_entropy(out, y[:len(out)], reduction="sum"), count + len(out)
        else:
            total, count = total + F.cross_entropy(out[None], y[:1], reduction="sum"), count + 1
    return total, count


def train(net, data):
    """The losses of every step, the weights at the end and the outputs."""
    optimizer, made = torch.optim.SGD(net.parameters(), LR), {"losses": []}
    for _ in range(EPOCHS):
        for first in range(0, N, BATCH):
            total, count = losses_of(net, range(first, min(first + BATCH, N)), data)
            optimizer.zero_grad()
            (total / count).backward()
            optimizer.step()
            made["losses"].append(round(float(total / count), 10))
    made["final"] = {clrnn_name(k): rounded(p, 9) for k, p in net.named_parameters()}
    with torch.no_grad():
        made["logits"] = [rounded(net(data["x"][n, :data["lengths"][n]]), 8) for n in range(N)]
    return made


def difference(got, want):
    """The largest difference of two nested lists of numbers, relative where the wanted one is above 1."""
    if isinstance(want, dict):
        return max(difference(got[key], want[key]) for key in want)
    if isinstance(want, list):
        return max((difference(a, b) for a, b in zip(got, want)), default=0.0)
    return abs(got - want) / max(1, abs(want))


def record(name, layers, loss, least, lengths):
    torch.manual_seed(sum(map(ord, name)) + lengths)
    ctc = loss.startswith("ctc")
    net = Net([*layers, {"linear": {"out_features": CLASSES + ctc}}], C, T)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_((torch.randn(p.shape) * 0.6).mul(256).round().div(256))
    data = {"x": torch.randn(N, T, C).mul(64).round().div(64), "loss": loss}
    data["lengths"] = [T, *torch.randint(least, T + 1, (N - 1,)).tolist()] if lengths else [T] * N
    steps = max(len(net(data["x"][n, :data["lengths"][n]])) for n in range(N)) if loss == "steps" else 1
    with torch.no_grad():
        if loss == "steps":
            steps = len(net(data["x"][0]))
    if ctc:
        data["y"] = torch.randint(0, CLASSES, (N, 3)) + (loss != "ctc_blank")
        data["y_lengths"] = torch.randint(0, 3 if loss != "ctc_zero" else 4, (N,)).tolist()
        with torch.no_grad():
            for n in range(N if loss != "ctc_zero" else 0):  # as many labels as fit the steps
                while data["y_lengths"][n] and len(net(data["x"][n, :data["lengths"][n]])) < 2 * data["y_lengths"][n] - 1:
                    data["y_lengths"][n] -= 1
    else:
        data["y"] = torch.randint(0, CLASSES, (N, steps))
    made = {"layers": [*layers, {"linear": {"out_features": CLASSES + ctc}}], "loss": loss,
            "x": rounded(data["x"], 6), "shape": [N, T, C], "y": data["y"].reshape(-1).tolist(),
            "y_shape": list(data["y"].shape),
            "lengths": data["lengths"] if lengths else None, "y_lengths": data.get("y_lengths"),
            "init": {clrnn_name(k): [list(p.shape), rounded(p, 8)] for k, p in net.named_parameters()}}
    single = train(copy.deepcopy(net).float(), {**data, "x": data["x"].float()})
    made.update(train(net, data))
    made["drift"] = max(difference(single[key], made[key]) for key in ("losses", "final", "logits"))
    return made


def main():
    made = {}
    for name, (layers, loss, least) in CASES.items():
        for lengths in (False, True):
            if not lengths or least:
                made[name + "_lengths" * lengths] = record(name, layers, loss, least or T, lengths)
    print("{" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in made.items()) + "}")


main()
