# SPDX-License-Identifier: MIT
"""clrnn.torch against torch.nn in double: outputs, states and every gradient, for all arguments and inputs.

    test_torch.py ROOT LIBRARY
"""
import copy
import itertools
import multiprocessing
import os
import pathlib
import pickle
import subprocess
import sys

try:
    import torch
    from torch import nn
    from torch.func import functional_call
    from torch.nn.utils.rnn import PackedSequence, pack_sequence
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

ROOT = pathlib.Path(sys.argv[1]).resolve()
os.environ["CLRNN_LIBRARY"] = sys.argv[2]
sys.path.insert(0, str(ROOT / "python"))

import clrnn  # noqa: E402
import clrnn.torch  # noqa: E402

C, H = 5, 7
DEVICES = ["ref"] + (["cpu"] if any(d.type == "CPU" and not d.trouble for d in clrnn.devices()) else [])


def flat(made):
    """Tensors of a nest of tuples and PackedSequences."""
    if isinstance(made, PackedSequence):
        return [made.data]
    return [made] if isinstance(made, torch.Tensor) else [t for part in made for t in flat(part)]


def near(what, got, want, units):
    """float32 against double: `units` in the last place of the largest value."""
    bound = units * 2.0 ** -23 * max(float(want.abs().max()), 1e-3)
    off = float((got.double() - want).abs().max())
    assert got.shape == want.shape and got.dtype == torch.float32, (what, got.shape, want.shape)
    assert off <= bound, f"{what}: {off} apart, expected at most {bound}"


def run(module, x, hx, weights):
    """Outputs, and gradients of x, hx and the parameters by the sum of all outputs times `weights`."""
    leaves = [t.requires_grad_() for t in flat(x) + flat(hx or ())]
    made = flat(module(x) if hx is None else module(x, hx if len(hx) > 1 else hx[0]))
    sum((t * w).sum() for t, w in zip(made, weights) if w is not None).backward()
    named = [(f"gradient {i}", t.grad) for i, t in enumerate(leaves)]
    named += [("gradient of " + name, p.grad) for name, p in module.named_parameters()]
    return [(f"output {i}", t.detach()) for i, t in enumerate(made)] + named


def doubled(x):
    if isinstance(x, PackedSequence):
        return PackedSequence(x.data.detach().double(), x.batch_sizes, x.sorted_indices, x.unsorted_indices)
    return x.detach().double()


def compare(kind, device, x, hx=None, skip=(), **arguments):
    torch.manual_seed(hash((kind, str(arguments))) % 1000)
    mine = getattr(clrnn.torch, kind)(C, H, device=device, **arguments)
    theirs = getattr(nn, kind)(C, H, **arguments).double()
    theirs.load_state_dict(mine.state_dict())
    shapes = [t.shape for t in flat(mine(x) if hx is None else mine(x, hx if len(hx) > 1 else hx[0]))]
    weights = [None if i in skip else torch.randn(s) for i, s in enumerate(shapes)]
    got = run(mine, x, hx, weights)
    want = run(theirs, doubled(x), hx and tuple(doubled(t) for t in hx), [w if w is None else w.double()
                                                                          for w in weights])
    assert [n for n, _ in got] == [n for n, _ in want]
    for (name, a), (_, b) in zip(got, want):
        near(f"{kind} on {device} {arguments} {name}", a, b, 400)


def states(kind, N, levels, width=None):
    made = [torch.randn(levels, *N, width or H)]
    return (*made, torch.randn(levels, *N, H)) if kind == "LSTM" else tuple(made)


def arguments_of_all(device):
    kinds = ("RNN", "GRU", "LSTM")
    for kind, layers, both, bias in itertools.product(kinds, (1, 2), (False, True), (True, False)):
        levels = layers * (2 if both else 1)
        given = {"num_layers": layers, "bidirectional": both, "bias": bias}
        compare(kind, device, torch.randn(6, 3, C), states(kind, (3,), levels), **given)
        compare(kind, device, torch.randn(3, 6, C), None, batch_first=True, **given)
    compare("RNN", device, torch.randn(6, 3, C), states("RNN", (3,), 1), nonlinearity="relu")


def inputs_of_all(device):
    for kind in ("RNN", "GRU", "LSTM"):
        sequences = [torch.randn(n, C) for n in (2, 6, 4, 6)]
        packed = pack_sequence(sequences, enforce_sorted=False)
        compare(kind, device, packed, None, bidirectional=True)
        compare(kind, device, pack_sequence(sequences, enforce_sorted=False), states(kind, (4,), 4), num_layers=2,
                bidirectional=True)
        compare(kind, device, torch.randn(6, C), None)
        compare(kind, device, torch.randn(6, C), states(kind, (), 1))
        compare(kind, device, torch.randn(1, 3, C), states(kind, (3,), 2), bidirectional=True)
        compare(kind, device, torch.randn(6, 3, C), states(kind, (3,), 1), skip=(0,))  # only the final states count
        compare(kind, device, torch.randn(6, 3, C), states(kind, (3,), 1), skip=(1, 2))


def projections(device):
    for layers, both, bias in itertools.product((1, 2), (False, True), (True, False)):
        levels = layers * (2 if both else 1)
        compare("LSTM", device, torch.randn(6, 3, C), states("LSTM", (3,), levels, 3), proj_size=3, num_layers=layers,
                bidirectional=both, bias=bias)
    sequences = [torch.randn(n, C) for n in (2, 6, 4)]
    compare("LSTM", device, pack_sequence(sequences, enforce_sorted=False), states("LSTM", (3,), 2, 3), proj_size=3,
            bidirectional=True)


def same_numbers_as_before(device):
    """The state dict, initial weights, copies and pickles are torch's; a second backward and many passes work."""
    torch.manual_seed(3)
    mine = clrnn.torch.LSTM(C, H, num_layers=2, device=device)
    torch.manual_seed(3)
    theirs = nn.LSTM(C, H, num_layers=2)
    assert list(mine.state_dict()) == list(theirs.state_dict()) and isinstance(mine, nn.LSTM)
    assert all(torch.equal(a, b) for a, b in zip(mine.parameters(), theirs.parameters()))
    x = torch.randn(4, 2, C)
    y = mine(x)[0]
    for other in (copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
        assert torch.equal(other(x)[0], y) and other.opencl_device == device
    y.sum().backward(retain_graph=True)
    first = [p.grad.clone() for p in mine.parameters()]
    y.sum().backward()
    assert all(torch.equal(2 * a, p.grad) for a, p in zip(first, mine.parameters()))
    mine.zero_grad()
    parts, state = [], None
    for part in x.split(1):  # a pass a step, all of them open until backward
        out, state = mine(part, state)
        parts.append(out)
    torch.cat(parts).sum().backward()
    for a, p in zip(first, mine.parameters()):
        near("step by step", p.grad, a.double(), 400)
    with torch.no_grad():
        assert torch.equal(mine(x)[0], y)


def dropout(device):
    mine = clrnn.torch.GRU(C, 64, num_layers=2, dropout=0.5, device=device)
    x = torch.randn(5, 20, C)
    torch.manual_seed(1)
    a = mine(x)[0]
    torch.manual_seed(1)
    assert torch.equal(mine(x)[0], a) and not torch.equal(mine(x)[0], a)
    mine.eval()
    assert torch.equal(mine(x)[0], mine(x)[0])
    mine.train()
    x.requires_grad_()
    y = mine(x)[0]
    y.sum().backward(retain_graph=True)
    kept = x.grad.clone()
    x.grad = None
    y.sum().backward()
    assert torch.equal(x.grad, kept)
    theirs = nn.GRU(C, 64, num_layers=2)
    theirs.load_state_dict(mine.state_dict())
    mine.dropout = 0.0
    near("dropout set to 0", mine(x)[0], theirs(x)[0].double(), 64)
    mine.dropout = theirs.dropout = 1.0
    near("dropout set to 1", mine(x)[0], theirs(x)[0].double(), 64)


def other_weights_before_backward(device):
    """Forwards with several sets of weights, then all backwards: functional calls, weights that are computed."""
    mine, theirs = clrnn.torch.GRU(C, H, device=device), nn.GRU(C, H)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(4, 3, C)
    for rnn in (mine, theirs):
        factor = torch.tensor(2.0, requires_grad=True)
        first = rnn(x)[0]
        second = functional_call(rnn, {k: factor * v for k, v in rnn.named_parameters()}, x)[0]
        (first * second).sum().backward(retain_graph=True)
        (first * second).sum().backward()
        rnn.factor_grad = factor.grad
    for (name, a), b in zip([("factor", mine.factor_grad), *((n, p.grad) for n, p in mine.named_parameters())],
                            [theirs.factor_grad, *(p.grad for p in theirs.parameters())]):
        near(f"gradient of {name} after two sets of weights", a, b.double(), 400)


def no_samples(device):
    mine = clrnn.torch.LSTM(C, H, 2, bidirectional=True, batch_first=True, device=device)
    x = torch.randn(0, 4, C, requires_grad=True)
    y, (hn, cn) = mine(x)
    assert y.shape == (0, 4, 2 * H) and hn.shape == cn.shape == (4, 0, H)
    (y.sum() + hn.sum() + cn.sum()).backward()
    assert x.grad.shape == x.shape and all(not p.grad.any() for p in mine.parameters())


def autocast(device):
    """The layer runs in float32."""
    mine, fc, x = clrnn.torch.GRU(C, H, device=device), nn.Linear(C, C), torch.randn(4, 3, C)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = fc(x)
        y = mine(low, torch.zeros(1, 3, H, dtype=torch.bfloat16))[0]
    assert low.dtype == torch.bfloat16 and torch.equal(y, mine(low.float())[0])
    y.sum().backward()
    assert fc.weight.grad.abs().sum() > 0


def forked(mine, x, answers):
    try:
        answers.put(mine(x)[0].shape)
    except clrnn.DeviceError as e:
        answers.put(str(e))
    clrnn.torch.GRU(C, H, device="ref")(x)  # has no threads
    del mine


def after_a_fork(device):
    """A forked process says that it cannot use the device, and ends; so does one that only frees a layer."""
    mine, x, fork = clrnn.torch.GRU(C, H, device=device), torch.randn(4, 3, C), multiprocessing.get_context("fork")
    held, answers = mine(x), fork.SimpleQueue()
    child = fork.Process(target=forked, args=(mine, x, answers))
    child.start()
    child.join(60)
    assert child.exitcode == 0, child.exitcode
    answer = answers.get()
    assert answer == (4, 3, H) if device == "ref" else "forked" in answer, answer
    assert torch.equal(mine(x)[0], held[0])


POLLING = """
import ctypes, os, time, torch, clrnn.torch
torch.set_num_threads(2)
large, before = torch.randn(1 << 20), set(os.listdir("/proc/self/task"))
large.add(1)
clocks = [~int(thread) << 3 | 6 for thread in set(os.listdir("/proc/self/task")) - before]  # of processor time
mine, x = clrnn.torch.LSTM(64, 64, device="cpu"), torch.randn(600, 32, 64)
mine(x)[0].backward(x)      # builds
call, openmp, held = mine._layer.device.call, ctypes.CDLL(torch._C.__file__), []

def look(*arguments):
    held.append(openmp.omp_get_num_threads())   # 1 outside of a parallel region
    return call(*arguments)
mine._layer.device.call = look
y = mine(x)[0]
y.backward(x, retain_graph=True)
mine._layer.device.call = call
assert hasattr(openmp, "GOMP_parallel_start") <= (held == [2, 2]) and openmp.omp_get_num_threads() == 1, held

def median(call):
    found = []
    for _ in range(9):
        large.add(1)
        before = sum(map(time.clock_gettime, clocks))
        call()
        found.append(sum(map(time.clock_gettime, clocks)) - before)
    return sorted(found)[4]
for _ in range(3):
    print(median(lambda: time.sleep(0.02)), median(lambda: mine(x)), median(lambda: y.backward(x, retain_graph=True)))
"""


def run_by_itself(script):
    return subprocess.run([sys.executable, "-c", script], timeout=300, env={**os.environ, "PYTHONPATH": sys.path[0]},
                          stdout=subprocess.PIPE, text=True)


def torch_sleeps_meanwhile():
    """torch's thread, which polls after a parallel operation, takes no time from a layer on the CPU."""
    done = run_by_itself(POLLING)
    assert done.returncode == 0, done.returncode
    tries = [tuple(map(float, line.split())) for line in done.stdout.splitlines()]
    # Other programs may keep the thread from polling, or the layer from beginning.
    assert any(idle < 1e-3 or max(forward, backward) < 0.4 * idle for idle, forward, backward in tries), tries


FORK = """
import os, signal, sys, torch, clrnn.torch
torch.set_num_threads(2)
torch.randn(1 << 20).add(1)     # starts a thread, which the forked process lacks
child = os.fork()
if not child:
    signal.alarm(60)
    clrnn.torch.GRU(5, 7, device="cpu")(torch.randn(4, 3, 5))
    os._exit(3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def first_used_in_a_fork():
    """A forked process that opens the device itself does not wait for threads of torch that it lacks."""
    done = run_by_itself(FORK)
    assert done.returncode == 3, done.returncode


def refusals():
    mine = clrnn.torch.GRU(C, H, device="ref")
    shrunk, doubles = copy.deepcopy(mine), copy.deepcopy(mine)
    shrunk.weight_hh_l0.data = torch.zeros(H, H)
    doubles.bias_ih_l0.data = doubles.bias_ih_l0.data.double()
    lstm = clrnn.torch.LSTM(C, H, device="ref")
    for bad, words in ((lambda: mine(torch.randn(2, 3, C), torch.zeros(1, 3, H).double()), "h0 is torch.float64"),
                       (lambda: lstm(torch.randn(2, 3, C), (torch.zeros(1, 3, H), torch.zeros(1, 3, H).half())),
                        "c0 is torch.float16"),
                       (lambda: mine(torch.randn(2, 3, C), torch.zeros(1, 3, H, device="meta")), "h0 is on meta"),
                       (lambda: shrunk(torch.randn(2, 3, C)), "weight_hh_l0 is [7, 7], expected [21, 7]"),
                       (lambda: doubles(torch.randn(2, 3, C)), "bias_ih_l0 is torch.float64"),
                       (lambda: mine(torch.randn(0, 3, C)), "sequence length"),
                       (lambda: mine.double()(torch.randn(2, 3, C)), "weight_ih_l0 is torch.float64"),
                       (lambda: mine.float()(torch.randn(2, 3, C).long()), "x is torch.int64"),
                       (lambda: mine(torch.randn(2, 3, C + 1)), "input_size"),
                       (lambda: mine(torch.randn(2, 3, C).double()), "float64"),
                       (lambda: mine(torch.randn(2, 3, C), torch.randn(1, 2, H)), "hidden size"),
                       (lambda: clrnn.torch.GRU(C, H, device="no device")(torch.randn(2, 3, C)), "no device")):
        try:
            bad()
        except (RuntimeError, ValueError) as e:
            assert words in str(e) and "\n" not in str(e), str(e)
        else:
            raise AssertionError(words)
    x = torch.randn(2, 3, C)
    y = mine(x)[0]
    with torch.no_grad():
        mine.weight_hh_l0.add_(1)
    try:
        y.sum().backward()
    except RuntimeError as e:
        assert "modified" in str(e)
    else:
        raise AssertionError("a backward after a change of the weights")
    x.requires_grad_()

    def loss(x):
        return mine(x)[0].pow(2).sum()

    def penalty():
        y = loss(x)
        (y + torch.autograd.grad(y, x, create_graph=True)[0].pow(2).sum()).backward()
    functional = torch.autograd.functional
    for derive in (penalty, lambda: functional.hessian(loss, x), lambda: functional.hvp(loss, x, x),
                   lambda: functional.jvp(loss, x, x)):
        try:
            derive()
        except RuntimeError as e:
            assert "differentiated again" in str(e)
        else:
            raise AssertionError("a derivative of gradients")
    assert functional.jacobian(lambda x: mine(x)[0], x).any()


def learns(device):
    """A net of torch's with the layer inside, trained by torch's optimizer."""
    torch.manual_seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.fc = clrnn.torch.GRU(2, 16, batch_first=True, device=device), nn.Linear(16, 2)

        def forward(self, x):
            return self.fc(self.rnn(x)[1][-1])
    net = Net()
    x = torch.randn(64, 8, 2)
    y = (x[:, :, 0].sum(1) > 0).long()
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    for step in range(40):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimizer.step()
        first = float(loss.detach()) if step == 0 else first
    assert float(loss.detach()) < 0.3 * first, first


class Classifier(nn.Module):
    """What to_config converts."""

    def __init__(self, cell):
        super().__init__()
        self.rnn, self.drop, self.fc = cell, nn.Dropout(0.3), nn.Linear(cell.hidden_size, 4)

    def forward(self, x):
        return self.fc(self.drop(self.rnn(x)[0][:, -1]))


class Calls(nn.Module):
    """A forward that is a function of a recurrent layer, another module and x."""

    def __init__(self, forward, other=None, **options):
        super().__init__()
        self.rnn, self.other, self.call = nn.GRU(C, H, batch_first=True, **options), other, forward

    def forward(self, x):
        return self.call(self.rnn, self.other, x)


def optimizer_of(kind, *groups, **options):
    return kind([{"params": [nn.Parameter(torch.zeros(1))], **g} for g in groups or ({},)], **options)


def unpacked(rnn, x):
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3, 2]), batch_first=True)
    return nn.utils.rnn.pad_packed_sequence(rnn(packed)[0], batch_first=True)[0]


def arguments_as_configs():
    """What layers, functions, losses and optimizers were called with is written, or refused."""
    F, rows, Adam, SGD = nn.functional, torch.randn(3, 5, C), torch.optim.Adam, torch.optim.SGD
    for module, options, words in (
            (nn.Sequential(nn.Linear(C, H), nn.ELU(2.0), nn.GELU("tanh"), nn.Softplus(3.0, 5.0)), {},
             ("elu: {alpha: 2.0}", "gelu: {approximate: tanh}", "softplus: {beta: 3.0, threshold: 5.0}")),
            (Calls(lambda r, o, x: F.leaky_relu(r(x)[0], negative_slope=0.3)), {}, ("negative_slope: 0.3",)),
            (Calls(lambda r, o, x: F.elu(F.dropout(r(x)[0], training=False), 0.5)), {}, ("{alpha: 0.5}",)),
            (Calls(lambda r, o, x: r(o(x.transpose(1, 2)).transpose(1, 2))[0][:, -1],
                   nn.MaxPool1d(3, 1, dilation=2)), {}, ("stride: 1, dilation: 2",)),
            (Calls(lambda r, o, x: r(o(x.transpose(1, 2)).transpose(1, 2))[0][:, -1],
                   nn.AvgPool1d(3, padding=1, count_include_pad=False)), {}, ("count_include_pad: false",)),
            (nn.Linear(C, 2), {"loss": nn.BCEWithLogitsLoss(torch.tensor([1., 2.]), pos_weight=torch.tensor([3.]))},
             ("weight: [1.0, 2.0], pos_weight: [3.0, 3.0]",)),
            (nn.Linear(C, 2), {"optimizer": optimizer_of(Adam, {"lr": 0.5, "weight_decay": 0.25})},
             ("lr: 0.5", "weight_decay: 0.25")),
            (nn.ModuleDict({"b": nn.ModuleList([nn.Linear(C, C)]), "b_0": nn.Linear(C, 2)}), {},
             ("name: b_0,", "name: b_0_,"))):
        if isinstance(module, nn.ModuleDict):
            module = Calls(lambda r, o, x: o["b_0"](o["b"][0](x)), module)
            words = tuple(word.replace("name: ", "name: other_") for word in words)
        text = clrnn.torch.to_config(module, rows, **options)[0]
        assert all(word in text for word in words), (words, text)
    state = nn.Parameter(torch.zeros(1, 3, H))
    twice = nn.GRU(H, H, batch_first=True)
    for module, options, words in (
            (Calls(lambda r, o, x: unpacked(r, x).mean(1)), {}, "mean: reads the padding"),
            (Calls(lambda r, o, x: unpacked(r, x).amax(1)), {}, "amax: reads the padding"),
            (Calls(lambda r, o, x: unpacked(r, x)[:, -1]), {}, "getitem: reads the padding"),
            (Calls(lambda r, o, x: o(unpacked(r, x))[1][-1], twice), {}, "gru: reads the padding"),
            (Calls(lambda r, o, x: torch.round(r(x)[0], decimals=2)), {}, "decimals 2"),
            (Calls(lambda r, o, x: r(o(x.transpose(1, 2)).transpose(1, 2))[0], nn.MaxPool1d(4, ceil_mode=True)), {},
             "ceil_mode"),
            (Calls(lambda r, o, x: r(x, state)[0]), {}, "starts from a state"),
            (Calls(lambda r, o, x: r(x)[0][:, -3:-2].squeeze(1)), {}, "takes a part"),
            (nn.Linear(C, 2), {"optimizer": optimizer_of(SGD, maximize=True, lr=0.1)}, "maximize"),
            (nn.Linear(C, 2), {"optimizer": optimizer_of(Adam, {"lr": 0.1}, {"lr": 0.2})}, "differ in lr"),
            (nn.Linear(C, 2), {"optimizer": torch.optim.Rprop([state])}, "Rprop")):
        try:
            clrnn.torch.to_config(module, rows, **options)
        except clrnn.ConfigError as e:
            assert words in str(e) and "\n" not in str(e), (words, str(e))
        else:
            raise AssertionError(words)
    if "decoupled_weight_decay" in Adam([state]).defaults:
        text = clrnn.torch.to_config(nn.Linear(C, 2), rows, optimizer=Adam([state], decoupled_weight_decay=True))[0]
        assert "adamw: {" in text, text


def modules_as_configs():
    """The config and weights of a module make a model with its predictions; the module stays as it was."""
    for cell in (nn.LSTM(C, H, 2, batch_first=True), clrnn.torch.GRU(C, H, batch_first=True, device="ref")):
        net = Classifier(cell)
        before = {k: v.clone() for k, v in net.state_dict().items()}
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        text, weights = clrnn.torch.to_config(net, loss="cross_entropy", optimizer=optimizer)
        assert "sgd: {lr: 0.1" in text and "hidden_size: 7" in text and "dropout: {p: 0.3}" in text
        assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items()) and net.fc.weight.grad is None
        x, y = torch.randn(6, 5, C), torch.zeros(6, dtype=torch.int64)
        made = clrnn.train(text + "  epochs: 1\n", x.numpy(), y.numpy(), device="ref").model
        made.load_state_dict(weights)
        near("to_config", torch.from_numpy(made.predict(x.numpy())), net.eval()(x).detach().double(), 64)
    arguments_as_configs()
    try:
        clrnn.torch.to_config(nn.Bilinear(2, 2, 2), torch.randn(1, 2))
    except clrnn.ConfigError as e:
        assert "Bilinear" in str(e) and "\n" not in str(e), e
    else:
        raise AssertionError("a module that is no chain")


def main():
    modules_as_configs()
    for device in DEVICES:
        arguments_of_all(device)
        inputs_of_all(device)
        projections(device)
        same_numbers_as_before(device)
        dropout(device)
        learns(device)
        other_weights_before_backward(device)
        no_samples(device)
        autocast(device)
        after_a_fork(device)
    if "cpu" in DEVICES:
        torch_sleeps_meanwhile()
        first_used_in_a_fork()
    refusals()
    print("ok")


main()
