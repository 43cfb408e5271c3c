#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures one bench/ config with PyTorch, or an exported model with ONNX Runtime: what tools/bench-vs-pytorch runs.

    tools/peer_bench.py --versions
    tools/peer_bench.py CONFIG [--threads N] [--seconds S] [--cuda] [--profile]
    tools/peer_bench.py CONFIG --onnx MODEL [--threads N] [--seconds S]

Prints a line of JSON: the median milliseconds of a training step (PyTorch) and of an inference, the bytes of the
largest resident set that this process had, and with --profile PyTorch's tables. --versions: of the packages that are
there. Needs PyYAML beside them.
"""
import argparse
import importlib
import json
import os
import resource
import statistics
import sys
import time


def layer_norm_lstm(torch, features, hidden):
    """The lstm of `layer_norm: true` (doc/maths.md), step by step, as PyTorch has none."""
    nn, norm = torch.nn, torch.nn.functional.layer_norm

    class LayerNormLSTM(nn.Module):
        def __init__(self):
            super().__init__()
            bound = hidden ** -0.5
            for name, *shape in (("weight_ih", 4 * hidden, features), ("weight_hh", 4 * hidden, hidden),
                                 ("bias_ih", 4 * hidden), ("bias_hh", 4 * hidden)):
                setattr(self, name, nn.Parameter(torch.empty(*shape).uniform_(-bound, bound)))
            self.gamma_ih, self.gamma_hh = nn.Parameter(torch.ones(4 * hidden)), nn.Parameter(torch.ones(4 * hidden))
            self.gamma_c, self.beta_c = nn.Parameter(torch.ones(hidden)), nn.Parameter(torch.zeros(hidden))

        def forward(self, x, state=None):
            products = norm(x @ self.weight_ih.T, (4 * hidden,), self.gamma_ih, self.bias_ih)
            h, c = state or (x.new_zeros(len(x), hidden), x.new_zeros(len(x), hidden))
            outputs = []
            for product in products.unbind(1):
                gates = product + norm(h @ self.weight_hh.T, (4 * hidden,), self.gamma_hh, self.bias_hh)
                i, f, g, o = gates.chunk(4, 1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * norm(c, (hidden,), self.gamma_c, self.beta_c).tanh()
                outputs.append(h)
            return torch.stack(outputs, 1), (h, c)

    return LayerNormLSTM()


class Net:
    """Builds torch modules from the layers of a bench config."""

    def __init__(self, torch, layers, features):
        self.torch, self.steps = torch, []
        nn = torch.nn
        for layer in layers:
            (kind, options), = layer.items() if isinstance(layer, dict) else ((layer, {}),)
            options = dict(options or {})
            options.pop("name", None)
            if kind == "lstm" and options.pop("layer_norm", False):
                self.steps.append(("recurrent", layer_norm_lstm(torch, features, options["hidden_size"])))
                features = options["hidden_size"]
            elif kind in ("rnn", "lstm", "gru"):
                self.steps.append(("recurrent", getattr(nn, kind.upper())(features, batch_first=True, **options)))
                features = options["hidden_size"] * (2 if options.get("bidirectional") else 1)
            elif kind == "batchnorm":
                self.steps.append((kind, nn.BatchNorm1d(features)))
            elif kind == "dropout":
                self.steps.append((kind, nn.Dropout(options["p"])))
            elif kind == "relu":
                self.steps.append((kind, nn.ReLU()))
            elif kind == "linear":
                self.steps.append((kind, nn.Linear(features, options["out_features"])))
                features = options["out_features"]
            elif kind == "conv1d":
                self.steps.append(("channels", nn.Conv1d(features, **options)))
                features = options["out_channels"]
            elif kind == "max_pool1d":
                self.steps.append(("channels", nn.MaxPool1d(**options)))
            elif kind == "attention_pool":
                size = options["attention_size"]
                self.steps.append(("attention", nn.Sequential(nn.Linear(features, size), nn.Tanh(),
                                                              nn.Linear(size, 1, bias=False))))
            elif kind == "pool":
                self.steps.append((kind, nn.Identity()))
            else:
                sys.exit(f"bench-vs-pytorch: no torch module for {kind}")
        self.modules = nn.ModuleList(module for _, module in self.steps)

    def __call__(self, x, states=None):
        """The output, and the states at the end of each recurrent layer."""
        ended, states = [], list(states or ())
        for kind, module in self.steps:
            if kind == "recurrent":
                x, state = module(x, states.pop(0) if states else None)
                ended.append(state)
            elif kind == "batchnorm" and x.ndim == 3:
                x = module(x.flatten(0, 1)).view_as(x)
            elif kind == "channels":
                x = module(x.transpose(1, 2)).transpose(1, 2)
            elif kind == "attention":
                x = (module(x).softmax(1) * x).sum(1)
            elif kind == "pool":
                x = x[:, -1]
            else:
                x = module(x)
        return x[:, -1] if x.ndim == 3 and x.shape[1] == 1 else x, ended


def measure(action, seconds, finish):
    """Milliseconds of `action`: the median of windows."""
    for _ in range(3):
        action()
    finish()
    start = time.perf_counter()
    action()
    finish()
    count = max(1, int(seconds / 30 / max(time.perf_counter() - start, 1e-6)))
    windows, began = [], time.perf_counter()
    while len(windows) < 5 or (time.perf_counter() - began < seconds and len(windows) < 64):
        start = time.perf_counter()
        for _ in range(count):
            action()
        finish()
        windows.append((time.perf_counter() - start) / count * 1e3)
    return statistics.median(windows)


def detached(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def made_targets(torch, config, per_step, steps, where):
    """Random targets as clrnn makes them: classes, one a sample or a step; with ctc labels and how many there are."""
    data = config["data"]["train"]["synthetic"]
    if config["train"]["loss"] == "ctc":
        most = max(1, steps // 4)
        return (torch.randint(1, data["classes"] + 1, (data["samples"], most), device=where),
                torch.randint(1, most + 1, (data["samples"],)))
    shape = (data["samples"], steps) if per_step else (data["samples"],)
    return torch.randint(0, data["classes"], shape, device=where), None


class Training:
    """Steps of training as clrnn bench takes them: a batch, or with train.bptt a piece of one."""

    def __init__(self, torch, config, where):
        self.torch, self.train = torch, config["train"]
        data = config["data"]["train"]["synthetic"]
        self.net = Net(torch, config["model"]["layers"], data["features"])
        self.net.modules.to(where)
        self.x = torch.randn(data["samples"], data["steps"], data["features"], device=where)
        self.net.modules.eval()
        with torch.no_grad():
            like, _ = self.net(self.x[:1])
        per_step = like.ndim == 3
        self.y, self.counts = made_targets(torch, config, per_step, like.shape[1] if per_step else 1, where)
        self.optimizer = torch.optim.Adam(self.net.modules.parameters(), lr=1e-3)
        self.n, self.piece = self.train["batch_size"], self.train.get("bptt") or data["steps"]
        self.row, self.begin, self.states = 0, 0, None

    def loss(self, output, rows, steps):
        functional = self.torch.nn.functional
        if self.counts is not None:
            full = self.torch.full((len(output),), output.shape[1])
            return functional.ctc_loss(output.log_softmax(2).transpose(0, 1), self.y[rows], full, self.counts[rows])
        if output.ndim == 3:
            return functional.cross_entropy(output.flatten(0, 1), self.y[rows, steps].flatten())
        return functional.cross_entropy(output, self.y[rows])

    def next_batch(self):
        self.begin, self.row = 0, (self.row + self.n) % (len(self.x) - self.n + 1)
        if not self.train.get("stateful"):
            self.states = None

    def step(self):
        rows, steps = slice(self.row, self.row + self.n), slice(self.begin, self.begin + self.piece)
        self.optimizer.zero_grad()
        output, ended = self.net(self.x[rows, steps], self.states)
        self.loss(output, rows, steps).backward()
        self.optimizer.step()
        self.begin += self.piece
        if "bptt" in self.train:
            self.states = [detached(s) for s in ended]
        if self.begin >= self.x.shape[1]:
            self.next_batch()

    def infer(self):
        with self.torch.no_grad():
            self.net(self.x[self.row:self.row + self.n])
        self.next_batch()



# ------------------------------------------------------------------ measuring

def torch_actions(options, config):
    """(name, action, preparation) of what is measured of PyTorch, and what waits for its end."""
    import torch
    torch.set_flush_denormal(True)  # before torch starts threads, which inherit the setting
    torch.set_num_threads(options.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(1)
    training = Training(torch, config, "cuda" if options.cuda else "cpu")
    modules = training.net.modules
    return ((("train", training.step, modules.train), ("infer", training.infer, modules.eval)),
            torch.cuda.synchronize if options.cuda else lambda: None)


def onnx_actions(options, config):
    """The same of ONNX Runtime: one inference of a batch."""
    import numpy
    import onnxruntime
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.set_denormal_as_zero", "1")
    session = onnxruntime.InferenceSession(options.onnx, settings, providers=["CPUExecutionProvider"])
    data, n = config["data"]["train"]["synthetic"], config["train"]["batch_size"]
    x = numpy.random.default_rng(1).standard_normal((n, data["steps"], data["features"])).astype("float32")
    name = session.get_inputs()[0].name
    return (("infer", lambda: session.run(None, {name: x}), lambda: None),), lambda: None


def torch_profile(action, finish, cuda):
    """PyTorch's table of what an action spends its time in."""
    import torch
    activities = [torch.profiler.ProfilerActivity.CPU] + [torch.profiler.ProfilerActivity.CUDA] * cuda
    for _ in range(3):
        action()
    with torch.profiler.profile(activities=activities) as profile:
        for _ in range(10):
            action()
        finish()
    events = profile.key_averages()
    names = ("self_device_time_total", "self_cuda_time_total") if cuda else ("self_cpu_time_total",)
    order = next(name for name in names if hasattr(events[0], name))  # in newer and older versions
    return events.table(sort_by=order, row_limit=12, max_name_column_width=40)


def versions():
    """{package: version} of those that are there."""
    found = {}
    for name in ("torch", "onnxruntime", "yaml"):
        try:
            found[name] = importlib.import_module(name).__version__
        except ImportError:
            pass
    return found


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", nargs="?")
    parser.add_argument("--versions", action="store_true")
    parser.add_argument("--onnx", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--cuda", action="store_true")
    parser.add_argument("--profile", action="store_true", help="of PyTorch")
    return parser.parse_args()


def main():
    options = arguments()
    if options.versions:
        return print(json.dumps(versions()))
    import yaml
    with open(options.config, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    actions, finish = (onnx_actions if options.onnx else torch_actions)(options, config)
    result = {}
    for name, action, prepare in actions:
        prepare()
        result[f"{name}_ms"] = measure(action, options.seconds, finish)
    result["peak_host_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for name, action, prepare in actions if options.profile else ():
        prepare()
        result[f"{name}_profile"] = torch_profile(action, finish, options.cuda)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
