# SPDX-License-Identifier: MIT
"""What an exception of the script says about model and data."""
from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .check_loop import _guards
from .facts import Facts, through
from .graph import CELL_OPS, RNN_OPS


def exceptions(f: Facts, error: Any) -> None:
    """Findings for the exception that ended the script."""
    failure = f.rec.failure if f.rec.failure and f.rec.failure["error"] is error else None
    text = str(error)
    if _sizes(f, error):
        return
    if failure is None:
        return
    if failure["op"] in ("cross_entropy", "nll_loss"):
        _labels(f, failure, text)
    if failure["op"] == "backward":
        _backward(f, failure, text)
    if failure["op"] == "embedding" and isinstance(error, IndexError):
        f.add("token-range", "error", [failure["line"], *_made(f)], "a token is not below num_embeddings")


def _made(f: Facts) -> list:
    stack = f.rec.module_stack
    return [x for m, _ in stack[-1:] for x in f.made_at(m)[:1]]


def _sizes(f: Facts, error: Any) -> bool:
    """A layer made for another number of features."""
    stack = f.rec.module_stack
    if not stack or not isinstance(error, (RuntimeError, ValueError)):
        return False
    module, shapes = stack[-1]
    if not shapes or not shapes[0]:
        return False
    shape, want, got = shapes[0], None, None
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        want, got = module.input_size, shape[-1]
        if want == got and len(shapes) > 1:
            want, got = module.hidden_size, shapes[1][-1]
    elif isinstance(module, nn.Linear):
        want, got = module.in_features, shape[-1]
    elif isinstance(module, (nn.Conv1d, nn.Conv2d)):
        want, got = module.in_channels, shape[1] if len(shape) > 1 else shape[0]
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        want, got = module.num_features, shape[1] if len(shape) > 1 else None
    elif isinstance(module, nn.LayerNorm):
        want, got = module.normalized_shape[-1], shape[-1]
    if want is None or want == got:
        return False
    lines = [x for x in _traceback(f, error)][-2:]
    for m, _ in reversed(stack):
        lines += f.made_at(m)[:2]
    f.add("input-size-mismatch", "error", lines,
          f"{type(module).__name__} is made for {want} features and is given {got} (a tensor of shape {tuple(shape)})")
    return True


def _traceback(f: Facts, error: Any) -> list:
    lines, tb = [], error.__traceback__
    while tb is not None:
        name = tb.tb_frame.f_code.co_filename
        if f.source.is_users(name):
            lines.append((name, tb.tb_lineno))
        tb = tb.tb_next
    return lines


def _labels(f: Facts, failure: dict, text: str) -> None:
    tensors = [a for a in list(failure["args"]) + list(failure["kwargs"].values()) if isinstance(a, torch.Tensor)]
    if len(tensors) < 2:
        return
    x, y = tensors[:2]
    if y.is_floating_point() and x.shape != y.shape:
        node = failure["nodes"][1]
        origin = [n.line for n in node.lineage() if n.line][-2:]
        f.add("float-label-cross-entropy", "error", [failure["line"], *origin],
              f"class labels are {str(y.dtype).replace('torch.', '')}; cross_entropy takes them as long")
    elif not y.is_floating_point() and y.numel() and (int(y.max()) >= x.shape[1] if x.dim() > 1 else False):
        f.add("label-range", "error", [failure["line"]], f"labels reach {int(y.max())}, the model has {x.shape[1]} outputs")
    elif "multi-target" in text or y.dim() == x.dim() and not y.is_floating_point():
        f.add("label-range", "error", [failure["line"]], f"labels of shape {tuple(y.shape)} against outputs of {tuple(x.shape)}")


def _backward(f: Facts, failure: dict, text: str) -> None:
    node = failure["nodes"][0]
    if "second time" in text or "already been freed" in text or "inplace operation" in text:
        step = failure["step"]
        for n in node.ancestors(True, 5000):
            if n.op != "param" and n.step == step:
                old = [i for i in n.inputs if i.rg and not i.is_param() and i.op != "leaf" and i.step < step]
                if old:
                    what = ("goes through the graph of the step before, whose weights the optimizer has changed since"
                            if "inplace" in text else "runs into the freed graph of the step before")
                    f.add("hidden-not-detached", "error", [n.line, *(c.line for c in f.rec.step.root[-1:]), failure["line"]],
                          f"the second backward() {what}, through the state that is carried")
                    return
    elif "does not require grad" in text:
        blind = [n for n in node.ancestors() if n.line and not n.grad_mode and any(i.is_param() for i in n.inputs)]
        if blind:
            first = min(blind, key=lambda n: n.order)
            f.add("no-grad-around-training", "error", _guards(f, blind) + [first.line, failure["line"]],
                  "the forward pass of a training step runs under no_grad: the loss has no graph")
            return
        cuts = [n for n in node.ancestors() if n.in_rg and not n.rg and n.line]
        lines = [min(cuts, key=lambda n: n.order).line] if cuts else [
            e[1] for e in f.rec.events if e[0] in ("numpy", "item", "tolist") and e[2] == failure["step"]][-1:]
        if not lines and node.ancestors and not any(a.is_param() and a.rg for a in node.ancestors()):
            lines = [failure["line"]]
        op = min(cuts, key=lambda n: n.order).op if cuts else "a number"
        f.add("loss-detached", "error", [*lines, failure["line"]], f"the loss has no graph: {op} cuts it")


__all__ = ["exceptions", "through", "RNN_OPS", "CELL_OPS"]
