# SPDX-License-Identifier: MIT
"""What the recorded model does with recorded batches once the script has ended: which samples and steps reach where."""
from __future__ import annotations

from typing import Any, Optional

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .check_model import _dim
from .facts import RNN_OPS, SHAPE_OPS, Facts
from .graph import tensors_in


class _Outputs(TorchFunctionMode):
    """Keeps the outputs of all calls of one forward pass, in order."""

    def __init__(self, rec: Any) -> None:
        super().__init__()
        self.rec, self.calls = rec, []

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if isinstance(result, (torch.Tensor, tuple)) and not name.startswith("__set") and len(self.calls) < 20000:
            outs = [t.detach() for t in tensors_in(result)]
            if outs:
                self.calls.append((name, self.rec.where(), [id(t) for t in tensors_in(args)], result, outs))
        return result


def _run(f: Facts, module: Any, inputs: list) -> list:
    mode = _Outputs(f.rec)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        with mode:
            module(*inputs)
    return mode.calls


def batch_axis(f: Facts, call: Any, target: Any) -> Optional[int]:
    """Which axis of a root call's input counts samples; None where it is not sure."""
    x = call.inputs[0]
    if x.dim() < 2 or target.dim() < 1:
        return None
    n = target.shape[0]
    node = call.nodes[0]
    if target.dim() == 1 or target.dim() == 2 and target.shape[1] == 1:
        if x.shape[0] == n and x.shape[1] != n:
            return 0
        if x.shape[1] == n and x.shape[0] != n:
            return 1
    if x.shape[0] != n:
        return None
    for a in node.lineage(SHAPE_OPS - {"permute", "transpose", "swapaxes", "t", "T", "movedim"} | {"__getitem__"}):
        if isinstance(a.note, tuple) and a.note[0] == "batch":
            loader = a.note[1]()
            own = getattr(loader, "collate_fn", None)
            return 0 if own is torch.utils.data.default_collate else None
        if a.op in ("__getitem__", "index_select") and len(a.inputs) > 1 and len(a.inputs[1].shape) == 1:
            return 0
    return None


def samples(f: Facts) -> None:
    """Where the output of one sample comes to depend on others."""
    if not f.loss_ops:
        return
    step, loss = f.loss_ops[0]
    roots = [c for c in step.root if c.inputs and c.grad and any(p.requires_grad for p in c.module.parameters())]
    if not roots or loss.target is None:
        return
    call = roots[0]
    axis = batch_axis(f, call, loss.target)
    x = call.inputs[0]
    if axis is None or x.shape[axis] < 4:
        return
    n = x.shape[axis]
    j = n // 4
    other = x.select(axis, (j + 1) % n)
    changed = x.clone()
    changed.select(axis, j).copy_(other * 0.9 + 0.1 if x.is_floating_point() else other)
    was = call.module.training
    state = {k: v.clone() for k, v in call.module.state_dict().items() if isinstance(v, torch.Tensor)}
    try:
        call.module.eval()
        one = _run(f, call.module, [x, *call.inputs[1:]])
        two = _run(f, call.module, [changed, *call.inputs[1:]])
    except Exception:
        return
    finally:
        call.module.train(was)
        with torch.no_grad():
            for k, v in call.module.state_dict().items():
                if k in state:
                    v.copy_(state[k])
    if len(one) != len(two):
        return
    touched: dict = {}
    for (name, line, ids, result, outs), (_, _, _, _, outs2) in zip(one, two):
        if any(t.is_floating_point() and not bool(torch.isfinite(t).all()) for t in outs + outs2):
            return
        shares = [float((a != b).double().mean()) if a.shape == b.shape and a.numel() else 1.0 for a, b in zip(outs, outs2)]
        before = max([touched.get(i, 0.0) for i in ids] + [0.0])
        for t, s in zip(tensors_in(result), shares):
            touched[id(t)] = s
        share = shares[0] if shares else 0.0
        if share > 1.9 / n and before <= 1.01 / n and outs[0].numel() >= n:
            _blame(f, name, line, outs[0].shape, share, n, axis)
            return


def _blame(f: Facts, name: str, line: Any, shape: Any, share: float, n: int, axis: int) -> None:
    node = next((m for m in f.path if m.line == line and m.op == name), None)
    lines = f.lines_of(node) if node is not None else [line]
    said = f"a change of one sample of {n} changes {100 * share:.0f} % of what {name} returns"
    if name in ("softmax", "log_softmax"):
        f.add("softmax-wrong-dim", "error", lines, f"{said}: it runs over the batch")
    elif name in RNN_OPS or name == "multi_head_attention_forward":
        f.add("batch-axis-mixup", "error", lines,
              f"{said}: it takes axis {axis}, the samples, for time")
    elif name in ("view", "reshape", "flatten") and not f.has("view-instead-of-permute"):
        f.add("view-instead-of-permute", "error", lines, f"{said}: it mixes samples")


def softmax_axis(f: Facts) -> None:
    """A softmax before the loss that does not run over the classes."""
    for _, call in f.loss_ops[:1]:
        if call.input is None or call.input.dim() < 2 or call.node.op not in ("nll_loss", "cross_entropy"):
            continue
        behind = None
        for a in call.given.lineage(SHAPE_OPS | {"log", "__getitem__", "round"}):
            if a.op in ("softmax", "log_softmax"):
                behind = a
        if behind is None or behind.shape[_dim(behind)] == 1:
            continue
        p = call.input.double()
        p = p.exp() if call.node.op == "nll_loss" or behind.op == "log_softmax" else p
        if any(a.op == "round" for a in call.given.lineage(SHAPE_OPS | {"round"})):
            continue
        total = p.sum(1)
        if float((total - 1).abs().max()) > 1e-3:
            f.add("softmax-wrong-dim", "error", f.lines_of(behind),
                  f"it runs over axis {_dim(behind)} of {behind.shape}; the probabilities of a sample's classes sum to "
                  f"{float(total.min()):.3g} to {float(total.max()):.3g}")


def time_steps(f: Facts) -> None:
    """How much gradient reaches the first and the last steps of a recurrent layer's input."""
    calls = [c for c in f.train_calls if c.inputs and not c.after_training]
    if not calls:
        return
    call = calls[-1]
    layers = [m for m in call.module.modules() if isinstance(m, nn.RNNBase) and not m.bidirectional]
    if not layers:
        return
    layer, kept = layers[0], []

    def hook(module: Any, args: tuple) -> Any:
        if isinstance(args[0], torch.Tensor) and args[0].dim() == 3:
            x = args[0].detach().requires_grad_(True)
            kept.append(x)
            return (x, *args[1:])
        return None
    handle = layer.register_forward_pre_hook(hook)
    was = [(m, m.training) for m in call.module.modules()]
    try:
        call.module.eval()
        with torch.enable_grad(), torch.random.fork_rng(devices=[]):
            out = next(tensors_in(call.module(*call.inputs)))
            if out.requires_grad and kept:
                weight = torch.linspace(-1, 1, out.numel()).view_as(out)
                g = torch.autograd.grad((out * weight).sum(), kept[0], allow_unused=True)[0]
                if g is not None:
                    time = 1 if layer.batch_first else 0
                    norms = g.double().square().sum([a for a in range(3) if a != time]).sqrt()
                    k = max(len(norms) // 10, 1)
                    node = next((n for n in f.path if n.op in RNN_OPS and n.modules and n.modules[-1] == id(layer)), None)
                    if node is not None:
                        f.time_probe = (float(norms[:k].mean()), float(norms[-k:].mean()), len(norms), node)
    except Exception:
        pass
    finally:
        handle.remove()
        for m, mode in was:
            m.training = mode


CHECKS = [softmax_axis, samples, time_steps]
