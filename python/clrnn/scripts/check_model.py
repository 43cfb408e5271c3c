# SPDX-License-Identifier: MIT
"""What the forward pass and the loss do: axes, views, activations, steps that are read, shapes."""
from __future__ import annotations

from typing import Any, Optional

import torch

from .facts import LOSS_OPS, REGRESSION_LOSSES, RNN_OPS, SHAPE_OPS, Facts, Node, through
from .graph import PAIRED_LOSSES

_FLAT = frozenset("round floor ceil trunc sign sgn heaviside round_ floor_ ceil_ sign_ __floordiv__ floor_divide fix".split())
_SOFT = frozenset(["softmax", "softmin"])
_PASS = SHAPE_OPS | _FLAT | frozenset("__getitem__ dropout clamp select mean".split())


def flat_ops(f: Facts) -> None:
    """round, floor, sign in the loss's path."""
    seen = {}
    for n in f.path:
        if n.op in _FLAT and n.rg and any(a.is_param() for a in n.ancestors(True, 20000)):
            seen[n.line] = n
    for line, n in seen.items():
        f.add("non-differentiable-op", "error", [line], f"{n.op.strip('_')}() stands in the loss's path: its gradient is 0 "
              "everywhere, so nothing below it learns")


def activations(f: Facts) -> None:
    """Softmax or sigmoid in front of a loss that applies its own, softmax over a wrong axis or a single output."""
    done = set()
    for _, call in f.loss_ops[:20]:
        behind = through(call.given, _PASS)
        op = call.node.op
        key = (op, behind.op, behind.line)
        if key in done:
            continue
        done.add(key)
        if op == "cross_entropy" and behind.op in _SOFT and behind.shape and not _dim_size(behind) == 1:
            if _over_classes(behind, call):
                f.add("softmax-before-cross-entropy", "error", f.lines_of(behind),
                      "the loss applies log_softmax to what a softmax has squeezed into 0..1")
        elif op == "cross_entropy" and behind.op in ("sigmoid", "hardsigmoid"):
            f.add("activation-loss-mismatch", "error", f.lines_of(behind), "cross_entropy takes logits and is given a sigmoid")
        elif op == "binary_cross_entropy_with_logits" and behind.op in ("sigmoid", "hardsigmoid", "sigmoid_"):
            f.add("sigmoid-before-bce-with-logits", "error", f.lines_of(behind),
                  "the loss applies a sigmoid to what a sigmoid has squeezed into 0..1")
        elif op == "binary_cross_entropy_with_logits" and behind.op in _SOFT and _dim_size(behind) > 1:
            f.add("activation-loss-mismatch", "error", f.lines_of(behind), "the loss takes logits and is given a softmax")
        elif op == "nll_loss" and behind.op in _SOFT | {"linear", "addmm", "sigmoid"}:
            f.add("activation-loss-mismatch", "error", f.lines_of(behind) + [call.node.line],
                  f"nll_loss takes log-probabilities and is given the output of {behind.op}")
        elif op in REGRESSION_LOSSES and behind.op in ("relu", "sigmoid", "tanh", "softmax") and call.target is not None:
            low, high = {"relu": (0, float("inf")), "sigmoid": (0, 1), "softmax": (0, 1), "tanh": (-1, 1)}[behind.op]
            y = call.target.double()
            outside = float(((y < low) | (y > high)).double().mean())
            if outside > 0.2:
                f.add("activation-loss-mismatch", "error", f.lines_of(behind) + [call.node.line],
                      f"{100 * outside:.0f} % of the targets lie outside what {behind.op} can give")
        if op == "cross_entropy" and len(call.given.shape) >= 2 and call.given.shape[1] == 1:
            f.add("softmax-of-one", "error", [call.node.line, *f.lines_of(behind)], "cross_entropy over one output is 0 for any weights")
    for n in f.path:
        if n.op in ("softmax", "log_softmax", "softmin") and n.shape:
            if _dim_size(n) == 1 and n.rg:
                f.add("softmax-of-one", "error", list(reversed(f.lines_of(n))),
                      f"a softmax over a single value (shape {n.shape}, dim {_dim(n)}) is 1 whatever goes in")


def _dim(n: Node) -> Optional[int]:
    d = n.kwargs.get("dim", n.args[1] if len(n.args) > 1 else None)
    if not isinstance(d, int) or isinstance(d, bool):
        return 0 if len(n.shape) in (0, 1, 3) else 1        # torch's implicit axis
    return d % len(n.shape) if n.shape else 0


def _dim_size(n: Node) -> int:
    d = _dim(n)
    return n.shape[d] if n.shape and d is not None else 0


def _over_classes(n: Node, call: Any) -> bool:
    """Whether a softmax runs over the axis that the loss takes for classes."""
    classes = call.given.shape[1] if len(call.given.shape) > 1 else call.given.shape[0] if call.given.shape else 0
    return _dim_size(n) == classes


def views(f: Facts) -> None:
    """view or reshape where axes were to be swapped."""
    found: dict = {}
    nodes = list(f.first.loss.ancestors(limit=60000)) if f.first else []
    for n in nodes:
        if n.op not in ("view", "reshape", "view_as", "reshape_as", "resize_", "resize") or not n.inputs or not n.line:
            continue
        a, b = n.inputs[0].shape, n.shape
        if _mixes(a, b):
            found[n.line] = (a, b)
    for line, (a, b) in found.items():
        f.add("view-instead-of-permute", "error", [line],
              f"a view from {a} to {b} keeps the order in memory: values of different axes are mixed, not swapped")


def _mixes(a: tuple, b: tuple) -> bool:
    """Whether a view moves an axis to another place."""
    a, b = [d for d in a if d != 1], [d for d in b if d != 1]
    while a and b:                      # one block after another in which the products agree
        i = j = 1
        x, y = a[0], b[0]
        while x != y and (i < len(a) or j < len(b)):
            if x < y and i < len(a):
                x *= a[i]
                i += 1
            elif j < len(b):
                y *= b[j]
                j += 1
            else:
                break
        if i > 1 and j > 1:
            block_a, block_b = a[:i], b[:j]
            if sorted(block_a) == sorted(block_b):
                return True
            if len(block_a) > len(block_b) and (block_b[-1] in block_a[:-1] or block_b[0] in block_a[1:]):
                return True             # an axis in the middle is said to come first, or last
        a, b = a[i:], b[j:]
    return False


def broadcast(f: Facts) -> None:
    """(N, 1) against (N): all pairs."""
    found: dict = {}
    pool = list(f.path)
    for s in f.steps[:3]:
        pool += [c.node for c in s.losses]
    graph = {id(n) for n in f.path}
    for n in pool:
        if n.op in REGRESSION_LOSSES | {"sub", "__sub__", "__rsub__", "rsub"} and len(n.inputs) >= 2 and id(n) in graph:
            x, y = n.inputs[0].shape, n.inputs[1].shape
            if x != y and _numel(x) == _numel(y) > 1 and _numel(torch.broadcast_shapes(x, y) if _fits(x, y) else x) > _numel(x):
                made = [m.line for m in (through(i) for i in n.inputs[:1]) if m.line]
                found[n.line] = (x, y, made)
    for line, (x, y, made) in found.items():
        f.add("target-shape-broadcast", "error", [line, *made],
              f"{tuple(x)} against {tuple(y)} compares every prediction with every target")


def _numel(shape: tuple) -> int:
    n = 1
    for d in shape:
        n *= d
    return n


def _fits(x: tuple, y: tuple) -> bool:
    return all(p == q or p == 1 or q == 1 for p, q in zip(reversed(x), reversed(y)))


def one_step(f: Facts) -> None:
    """A recurrent layer over T = 1."""
    calls: dict = {}
    for n in f.path:
        if n.op in RNN_OPS and n.index == 0 and n.inputs:
            calls.setdefault(n.modules[-1] if n.modules else n.line, []).append(n)
    for group in calls.values():
        n = group[0]
        if len(group) > 1 or len(n.inputs[0].shape) != 3 or _carries(n):
            continue
        module = f.module_of(n)
        first = bool(getattr(module, "batch_first", True))
        if n.inputs[0].shape[1 if first else 0] == 1 and _sequence_length(f, module) == 1:
            f.add("single-time-step", "warning", f.lines_of(n), f"the layer reads {n.inputs[0].shape}: one time step")


def _carries(n: Node) -> bool:
    """Whether a recurrent call starts from a state that was computed."""
    state = [i for i in n.inputs[1:] if not i.is_param()]
    return any(a.op in RNN_OPS or a.is_param() for i in state for a in i.ancestors(limit=200))


def _sequence_length(f: Facts, module: Any) -> int:
    """The largest T that a layer was called with."""
    sizes = [1]
    first = bool(getattr(module, "batch_first", True))
    for n in f.rec.ops:
        if n.op in RNN_OPS and n.modules and n.modules[-1] == id(module) and n.inputs and len(n.inputs[0].shape) == 3:
            sizes.append(n.inputs[0].shape[1 if first else 0])
    return max(sizes)


# ---------------------------------------------------------------- padding and the step that is read

def trailing(x: torch.Tensor, axis: int = 1) -> Optional[torch.Tensor]:
    """Valid steps of each sample of (N, T[, C]) where rows end in one repeated value, each for another while."""
    if x.dim() not in (2, 3) or x.shape[0] < 3 or x.shape[1] < 3:
        return None
    last = x[:, -1:]
    same = (x == last).flatten(2).all(2) if x.dim() == 3 else x == last
    run = same.flip(1).long().cumprod(1).sum(1)
    ends = x[run > 1, -1]
    if not len(ends) or len(ends.flatten(1).unique(dim=0) if x.dim() == 3 else ends.unique()) != 1:
        return None                     # rows end in different values: no padding
    if x.dim() == 2 and x.is_floating_point():
        return None
    pad = ends[0]
    ended = (x[:, -1] == pad).flatten(1).all(1) if x.dim() == 3 else x[:, -1] == pad
    run = torch.where(ended, run, torch.zeros_like(run))
    if (run > 1).double().mean() < 0.3 or len(run.unique()) < 3:
        return None
    return x.shape[1] - run.clamp(max=x.shape[1] - 1)


def steps_read(f: Facts) -> None:
    """out[:, -1] of padded batches, or of a bidirectional layer; out[:, 0]; out[-1] of the batch axis."""
    if not f.steps:
        return
    padded = None
    for inputs, _, _ in f.batches(8):
        lengths = trailing(inputs[0])
        if lengths is not None:
            padded = lengths
            break
    for n in f.path:
        if n.op not in ("__getitem__", "select") or not n.inputs:
            continue
        source = through(n.inputs[0], (SHAPE_OPS - {"permute", "transpose"}) | {"dropout", "layer_norm", "relu", "batch_norm"})
        packed = source.op == "_pad_packed_sequence"
        if source.op not in RNN_OPS and not packed or source.index != 0:
            continue
        module = f.module_of(source if not packed else n)
        rnn = source if not packed else next((a for a in source.ancestors(True, 100) if a.op in RNN_OPS), None)
        module = f.module_of(rnn) if rnn is not None else None
        if not isinstance(module, torch.nn.RNNBase) or len(n.inputs[0].shape) != 3:
            continue
        picked = _picked(n)
        if picked is None:
            continue
        axis, at, whole = picked
        time = 1 if module.batch_first else 0
        steps = n.inputs[0].shape[axis]
        if axis != time:
            if axis == 0 and module.batch_first and n.inputs[0].shape[0] > 1 and len(n.inputs[0].shape) == 3 and not packed:
                f.add("batch-axis-mixup", "error", [n.line, *f.made_at(module)[:1]],
                      "the layer is batch_first, and [-1] takes the last sample of the batch, not the last step")
            continue
        if steps < 2:
            continue
        last = at in (-1, steps - 1)
        if packed and last:
            f.add("wrong-output-step", "error", [n.line], "the last step of a padded sequence is padding for all but the longest")
        elif padded is not None and last and whole:
            short = float((padded < steps).double().mean())
            f.add("wrong-output-step", "error", [n.line],
                  f"{100 * short:.0f} % of the samples end before the last step ({int(padded.min())} to {int(padded.max())} of "
                  f"{steps}): what is read comes after their padding")
        elif module.bidirectional and last and whole:
            f.add("wrong-output-step", "error", [n.line],
                  "at the last step the backward direction has read one step only")
        elif not module.bidirectional and at in (0, -steps) and whole:
            f.add("wrong-output-step", "error", [n.line], "at the first step the layer has read one step only")


def _picked(n: Node) -> Optional[tuple]:
    """(axis, index, whether all features are taken) of an index with one whole number."""
    if n.op == "select":
        rest = [a for a in n.args[1:] if isinstance(a, int)]
        return (rest[0] % len(n.inputs[0].shape), rest[1], True) if len(rest) == 2 else None
    index = n.args[1] if len(n.args) > 1 else None
    index = index if isinstance(index, tuple) else (index,)
    whole = slice(None)
    for axis, i in enumerate(index):
        if isinstance(i, bool) or i is Ellipsis:
            return None
        if isinstance(i, slice) and i == slice(-1, None, None):
            i = -1
        if isinstance(i, int):
            rest = index[axis + 1:]
            return axis, i, all(isinstance(r, slice) and r == whole or r is Ellipsis for r in rest)
        if not (isinstance(i, slice) and i == whole):
            return None
    return None


def padding_in_loss(f: Facts) -> None:
    """Padded positions that count in the loss."""
    for step, call in f.loss_ops[:10]:
        roots = [c for c in step.root if c.inputs and c.grad]
        if not roots or call.target is None or call.node.kwargs.get("reduction", "mean") == "none":
            continue
        x = roots[0].inputs[0]
        lengths = trailing(x)
        if lengths is None:
            continue
        y, n, t = call.target, x.shape[0], x.shape[1]
        if y.numel() != n * t:
            continue
        y = y.reshape(n, t)
        pad = torch.arange(t)[None, :] >= lengths[:, None]
        values = y[pad].unique()
        if len(values) != 1:
            continue
        value = float(values[0])
        if call.node.op in ("cross_entropy", "nll_loss"):
            if value == call.node.kwargs.get("ignore_index", -100) or value < 0:
                continue
            weight = (call.node.note or {}).get("weight")
            if weight is not None and float(weight[int(value)]) == 0:
                continue
        elif call.node.op not in REGRESSION_LOSSES | {"binary_cross_entropy_with_logits", "binary_cross_entropy"}:
            continue
        made = through(call.wanted)
        share = float(pad.double().mean())
        f.add("padding-in-loss", "error", [call.node.line, made.line],
              f"{100 * share:.0f} % of the positions in the loss are padding, with the target {value:g}")
        return


# ---------------------------------------------------------------- targets

def _own_target(call: Any, roots: list) -> bool:
    """Whether the target is the output that the loss judges, or another output of the same forward pass."""
    wanted = {id(n) for n in call.wanted.lineage()}
    if any(id(n) in wanted for n in call.given.lineage() if n.rg):
        return True
    behind = {id(n) for n in call.given.ancestors(limit=5000)}
    return any(not wanted.isdisjoint(outputs) and not behind.isdisjoint(outputs)
               for outputs in ({id(o) for o in c.outputs} for c in roots))


def wrong_tensor(f: Facts) -> None:
    """The loss holds the output against another tensor than the target."""
    hits, found = 0, None
    for step, call in f.loss_ops[:8]:
        roots = [c for c in step.root if c.nodes and c.grad]
        if not roots or call.wanted is call.given:
            continue
        if call.node.op in PAIRED_LOSSES:
            continue
        if all(_own_target(c, roots) for s, c in f.loss_ops if s is step):
            f.add("loss-on-wrong-tensor", "error", [call.node.line], "the target of the loss is the model's own output")
            return
        unused = _unused_target(f, step, call, roots)
        if unused:
            hits, found = hits + 1, (call, unused)
    if found and hits >= min(3, len(f.loss_ops)):
        call, unused = found
        f.add("loss-on-wrong-tensor", "error", [call.node.line, call.wanted.line],
              f"the loss is held against the inputs, and the batch's own target {tuple(unused.shape)} is not used")


def _unused_target(f: Facts, step: Any, call: Any, roots: list) -> Any:
    """A tensor of the batch that nothing reads, where the loss takes the input in its place."""
    inputs = {id(a) for n in roots[0].nodes for a in n.lineage()}
    wanted = [n for n in call.wanted.lineage()]
    shared = [n for n in wanted if id(n) in inputs and (n.step == step.index or n.note)]
    if not shared:
        return None
    if tuple(call.given.shape) == tuple(roots[0].nodes[0].shape):
        return None                     # reconstructs its input
    note = next((n.note for n in shared if isinstance(n.note, tuple) and n.note[0] == "batch"), None)
    used = {id(n) for n in step.loss.ancestors(limit=20000)}
    for n in f.rec.ops:
        if n.step != step.index or id(n) in used:
            continue
        if note and isinstance(n.note, tuple) and n.note[0] == "batch" and n.note[2] == note[2] and n.shape:
            if n.shape[0] == call.wanted.shape[0] and _numel(n.shape) == _numel(call.wanted.shape):
                return n
    return None


CHECKS = [flat_ops, activations, views, broadcast, one_step, steps_read, padding_in_loss, wrong_tensor]
__all__ = ["CHECKS", "trailing", "LOSS_OPS"]
