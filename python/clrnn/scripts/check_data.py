# SPDX-License-Identifier: MIT
"""What the data are: scale, order, balance, samples on both sides of a split."""
from __future__ import annotations

import ast
import re
from typing import Any, Optional

import torch
from torch.utils.data import WeightedRandomSampler

from .facts import REGRESSION_LOSSES, Facts, Node, through
from .graph import INDEX_OPS, SHAPE_OPS
from .source import call_name

_WEIGHTED = frozenset("linear conv1d conv2d lstm gru rnn_tanh rnn_relu matmul mm bmm addmm __matmul__ baddbmm lstm_cell "
                      "gru_cell rnn_tanh_cell rnn_relu_cell".split())
_NORMS = frozenset(["batch_norm", "layer_norm", "instance_norm", "group_norm"])


def unscaled_input(f: Facts) -> None:
    """Inputs far from mean 0 and deviation 1 where they meet the first weights."""
    if not f.first or not f.batches(1):
        return
    root = next(c for c in f.first.root if c.inputs and c.grad)
    x = root.inputs[0]
    if not x.is_floating_point() or x.numel() < 32:
        return
    start = {id(n) for n in root.nodes}
    nodes = [n for n in f.path if n.op in _WEIGHTED and n.inputs and not n.inputs[0].rg]
    if not any(id(a) in start for n in nodes for a in n.inputs[0].lineage(SHAPE_OPS | INDEX_OPS | {"_pack_padded_sequence"})):
        return                          # the model scales them itself
    if any(n.op in _NORMS and not n.inputs[0].rg for n in f.path):
        return
    features = x.reshape(-1, x.shape[-1]).double()
    if len(features) < 8:
        features = features.reshape(-1, 1)
    rms = features.square().mean(0).sqrt()
    largest = float(rms.max())
    if largest > 10 or 0 < largest < 0.01:
        worst = int(rms.argmax())
        f.add("unscaled-input", "warning", _origin(f, root.nodes[0]) + [root.line, *_loss_lines(f)],
              f"feature {worst} has mean {float(features[:, worst].mean()):.4g} and deviation "
              f"{float(features[:, worst].std()):.4g}")


def _loss_lines(f: Facts) -> list:
    return [f.loss_ops[0][1].node.line] if f.loss_ops else []


def _origin(f: Facts, node: Node) -> list:
    """The lines where data were made or read, nearest first."""
    lines, last = [], None
    for n in node.lineage(SHAPE_OPS | INDEX_OPS | frozenset(["stack", "cat", "pad_sequence"])):
        if n.line and n.step == 0 and n.line != last:
            lines.append(n.line)
            last = n.line
    return lines[-3:]


def unscaled_target(f: Facts) -> None:
    """Targets far from mean 0 and deviation 1 under a regression loss."""
    ys = [(c.input, c.target) for _, c in f.loss_ops[:50] if c.node.op in REGRESSION_LOSSES and c.target is not None]
    if not ys:
        return
    y = torch.cat([t.reshape(-1).double() for _, t in ys])
    out = ys[0][0].double()
    if y.numel() < 16:
        return
    mean, std = float(y.mean()), float(y.std())
    first = float((out.mean() - ys[0][1].double().mean()).abs())
    if std > 10 and first < std and float(out.std()) > 0.3 * std:
        return                          # the model's outputs are on that scale
    if std > 10 or abs(mean) > 10 and first > 5 * max(std, 1e-9):
        call = f.loss_ops[0][1]
        f.add("unscaled-target", "warning", _origin(f, call.wanted) + [call.node.line],
              f"targets have mean {mean:.4g} and deviation {std:.4g}; the model starts at {float(out.mean()):.3g}")
    elif 0 < std < 1e-3 and abs(mean) < 1e-2:
        call = f.loss_ops[0][1]
        f.add("unscaled-target", "warning", _origin(f, call.wanted) + [call.node.line],
              f"targets have deviation {std:.4g}: any answer near 0 has a small loss")


# ---------------------------------------------------------------- order

def _orders(node: Node, beyond: bool = False) -> dict:
    """The permutations that rows of a node's data were taken by: value or node, with the line."""
    found: dict = {}
    ops = SHAPE_OPS | INDEX_OPS | frozenset("stack cat pad_sequence _pack_padded_sequence".split())
    for n in (node.ancestors(limit=3000) if beyond else node.lineage(ops)):
        if n.op in ("__getitem__", "index_select") and len(n.inputs) > 1:
            for index in n.inputs[1:]:
                if index.dtype != torch.int64 or len(index.shape) != 1:
                    continue
                for a in index.ancestors(limit=100):
                    if isinstance(a.note, tuple) and a.note[0] == "permutation":
                        value = a.note[1]
                        key = hash(value.cpu().numpy().tobytes()) if value is not None else id(a)
                        found.setdefault(key, n)
    return found


def shuffled_apart(f: Facts) -> None:
    """Samples and labels in different orders."""
    for step, call in f.loss_ops[:3]:
        roots = [c for c in step.root if c.nodes and c.grad]
        if not roots:
            continue
        x, y = roots[0].nodes[0], call.wanted
        xs, ys = _orders(x), _orders(y)
        for inside in call.given.ancestors(True, 5000):       # rows that the model itself put in order
            if inside.op in ("__getitem__", "index_select") and len(inside.inputs) > 1 and inside.step == step.index:
                xs = {k: v for k, v in xs.items() if k not in _orders(inside)}
        only_x = {k: n for k, n in xs.items() if k not in _orders(y, True)}
        only_y = {k: n for k, n in ys.items() if k not in _orders(x, True)}
        inside = _left_in_order(call.given, step.index, y)
        if inside is not None:
            f.add("labels-shuffled-apart", "error", [inside.line], "the model puts samples in order, and neither the labels are "
                  "nor the outputs put back")
            return
        if only_x or only_y:
            lines = [n.line for n in list(only_x.values()) + list(only_y.values())]
            f.add("labels-shuffled-apart", "error", lines, "samples and labels are put in order by different permutations")
            return
        nx, ny = _loader(x), _loader(y)
        if nx and ny and nx[0] is not ny[0] and _random(nx[0]) and _random(ny[0]):
            f.add("labels-shuffled-apart", "error", [x2 for x2 in _loader_lines(f, nx, ny)] + _loss_lines(f),
                  "samples and labels come from two DataLoaders that shuffle each for itself")
            return
    _shuffled_in_text(f)


def _left_in_order(given: Node, step: int, y: Node) -> Optional[Node]:
    """A sort of samples inside the forward pass that is not undone, and that the labels lack."""
    done, undone = {}, set()
    for n in given.ancestors(limit=5000):
        if n.op not in ("__getitem__", "index_select") or n.step != step or len(n.inputs) < 2:
            continue
        index = n.inputs[-1]
        if index.dtype != torch.int64 or len(index.shape) != 1 or n.shape[:1] != n.inputs[0].shape[:1] or not n.shape:
            continue
        direct = through(index)
        orders = [a for a in index.ancestors(limit=200) if isinstance(a.note, tuple) and a.note[0] == "permutation"
                  and a.op in ("sort", "argsort") and a.step == step]
        undone |= {id(a) for a in orders if a is not direct}
        if orders == [direct] and n.inputs[0].shape[:1] == y.shape[:1] and len(n.shape) > 1:
            done[id(direct)] = n
    used = {id(a) for a in y.ancestors(limit=500)}
    left = [n for key, n in done.items() if key not in undone and key not in used]
    return left[0] if left else None


def _loader(node: Node) -> Optional[tuple]:
    for n in node.lineage():
        if isinstance(n.note, tuple) and n.note[0] == "batch":
            return n.note[1](), n.note[2]
    return None


def _random(loader: Any) -> bool:
    return type(getattr(loader, "sampler", None)).__name__ in ("RandomSampler", "SubsetRandomSampler") and not isinstance(
        getattr(loader, "generator", None), torch.Generator)


def _loader_lines(f: Facts, *found: tuple) -> list:
    numbers = {n for _, n in found}
    return [line for _, line, _, n in f.rec.loaders if n in numbers]


_SHUFFLES = ("shuffle", "permutation", "randperm", "permuted", "sample")


def _shuffled_in_text(f: Facts) -> None:
    """NumPy arrays and lists that two statements shuffle, each with a fresh order."""
    for body, file in ((b, file) for file, tree in f.source.trees.items() for b in _bodies(tree)):
        named: dict = {}                # variables that hold an order
        before: list = []               # (line, what is shuffled, which order)
        for st in body:
            text = ast.dump(st)
            if "'seed'" in text or "manual_seed" in text or "set_state" in text or "setstate" in text:
                before = []
            for target, order in _shufflings(st, named):
                for line, other, its in before:
                    if other != target and its != order and st.lineno - line <= 4 and _pair(f, other, target):
                        f.add("labels-shuffled-apart", "error", [(file, line), (file, st.lineno)],
                              f"{other} and {target} are shuffled each in an order of its own")
                        return
                before.append((st.lineno, target, order))


def _pair(f: Facts, a: str, b: str) -> bool:
    """Whether two names are those of samples and their labels: not of two sets."""
    sets = [set(re.findall(r"train|tr|test|te|valid|val|dev", n.lower())) for n in (a, b)]
    sides = [{"train": 0, "tr": 0}.get(next(iter(s)), 1) if s else None for s in sets]
    return sides[0] == sides[1]


def _bodies(tree: Any) -> Any:
    for n in ast.walk(tree):
        for name in ("body", "orelse"):
            body = getattr(n, name, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                yield body


def _fresh(call: Any) -> bool:
    return (isinstance(call, ast.Call) and call_name(call) in _SHUFFLES
            and not any(k.arg in ("random_state", "generator") for k in call.keywords))


def _shufflings(st: Any, named: dict) -> list:
    """(name, order) of what a statement shuffles."""
    found = []
    if isinstance(st, ast.Expr) and _fresh(st.value) and call_name(st.value) == "shuffle" and st.value.args:
        if isinstance(st.value.args[0], ast.Name):
            found.append((st.value.args[0].id, st.lineno))
    if isinstance(st, ast.Assign) and len(st.targets) == 1:
        target, value = st.targets[0], st.value
        pairs = [(target, value)]
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            pairs = list(zip(target.elts, value.elts))
        for t, v in pairs:
            if isinstance(t, ast.Name) and _fresh(v):
                argument = v.args[0] if v.args else None
                if isinstance(argument, ast.Name) and call_name(v) in ("shuffle", "permutation", "permuted") and \
                        argument.id == t.id:
                    found.append((t.id, id(v)))
                else:
                    named[t.id] = id(v)
            elif isinstance(t, ast.Name) and isinstance(v, ast.Subscript):
                base, index = v.value, v.slice
                if isinstance(base, ast.Name) and isinstance(index, ast.Name) and index.id in named:
                    found.append((base.id, named[index.id]))
                elif isinstance(base, ast.Name) and _fresh(index):
                    found.append((base.id, id(index)))
    return found


# ---------------------------------------------------------------- balance

def majority(f: Facts) -> None:
    """Imbalance unanswered: the model gives the larger class only."""
    ys, outs, last = [], [], None
    for step, c in f.loss_ops:
        if c.target is None or c.node.op not in ("cross_entropy", "nll_loss", "binary_cross_entropy",
                                                 "binary_cross_entropy_with_logits"):
            return
        if step.epoch > 1 and not f.single or c.node.kwargs.get("reduction", "mean") == "none":
            break
        ys.append(c.target.reshape(-1).double())
        last = c
    if last is None or sum(len(y) for y in ys) < 64:
        return
    note = last.node.note or {}
    if note.get("weight") is not None or note.get("pos_weight") is not None:
        return
    for ref, *_ in f.rec.loaders:
        loader = ref()
        if loader is not None and isinstance(getattr(loader, "sampler", None), WeightedRandomSampler):
            return
    y = torch.cat(ys)
    if "cross_entropy" in last.node.op and "binary" not in last.node.op or last.node.op == "nll_loss":
        y = y[y >= 0]
        ignore = last.node.kwargs.get("ignore_index", -100)
        y = y[y != ignore]
        if last.node.shape != () or not len(last.given.shape) == 2:
            return
    elif not bool(((y == 0) | (y == 1)).all()):
        return
    values, counts = y.unique(return_counts=True)
    if len(values) < 2 or len(values) > 20:
        return
    share = float(counts.max() / counts.sum())
    if share < 0.88:
        return
    common = values[counts.argmax()]
    answers = _answers(f, last)
    if answers is None or float((answers == common).double().mean()) < 0.999:
        return
    f.add("majority-class-only", "error", [last.node.line, *_origin(f, last.wanted), *_criterion(f, last)],
          f"{100 * share:.0f} % of the labels are {common:g}; the loss has no weights, and after {len(f.steps)} steps the "
          f"model answers {common:g} for every sample")


def _criterion(f: Facts, call: Any) -> list:
    for m, (ref, lines, *_) in f.rec.made.items():
        module = ref()
        if isinstance(module, torch.nn.modules.loss._Loss) and lines:
            return lines[:1]
    return []


def _answers(f: Facts, last: Any) -> Optional[torch.Tensor]:
    """The classes that the model answers in its last steps."""
    got = []
    for step, c in f.loss_ops[-12:]:
        if c.input is None:
            continue
        if c.node.op in ("cross_entropy", "nll_loss"):
            got.append(c.input.argmax(1).reshape(-1).double())
        else:
            behind = through(c.given)
            probability = c.node.op == "binary_cross_entropy" or behind.op == "sigmoid"
            got.append((c.input > (0.5 if probability else 0.0)).reshape(-1).double())
    return torch.cat(got) if got else None


# ---------------------------------------------------------------- both sides of a split

def leak(f: Facts) -> None:
    """The same samples in training and validation."""
    trained: dict = {}                  # by model: another one may have been trained on these samples before
    for c in f.train_calls:
        if c.inputs and (c.epoch == 1 or f.single):
            trained.setdefault(id(c.module), set()).update(_rows(c))
    groups: dict = {}
    for c in f.eval_calls:
        if c.inputs and id(c.module) in f.used:
            groups.setdefault((id(c.module), _source_of(c)), []).append(c)
    for (model, _), calls in groups.items():
        train = trained.get(model, set())
        if len(train) < 8:
            continue
        rows = [h for c in calls for h in set(_rows(c))]
        if len(set(rows)) < 4:
            continue
        both = {h for h in rows if h in train}
        share = len(both) / len(set(rows))
        if share < 0.1:
            continue
        names = _names(f, calls)
        said = " ".join(names).lower()
        if re.search(r"train|\btr\b|_tr\b|fit", said) and not re.search(r"val|test|dev|hold", said):
            continue
        if len(both) >= 0.97 * len(train) and not re.search(r"val|test|dev|hold", said):
            continue                    # the training set itself, to see how it is learnt
        lines = _origin(f, calls[0].nodes[0]) + _loader_made(f, calls[0]) + [x for x in calls[0].lines[:3]]
        f.add("data-leak-train-valid", "error", lines,
              f"{100 * share:.0f} % of the {len(set(rows))} samples that are validated on are training samples")
        return


def _rows(call: Any) -> list:
    if not call.rows and call.inputs:
        x = call.inputs[0]
        if x.dim() >= 1 and x.numel() and x.dim() > 1:
            axis = 0
            flat = x.reshape(x.shape[axis], -1).contiguous().cpu().numpy()
            if flat.shape[1] >= 3:
                call.rows = [hash(r.tobytes()) for r in flat]
    return call.rows


def _source_of(call: Any) -> Any:
    node = call.nodes[0] if call.nodes else None
    if node is None:
        return None
    for n in node.lineage():
        if isinstance(n.note, tuple) and n.note[0] == "batch":
            return ("loader", id(n.note[1]()))
    last = None
    for n in node.lineage():
        last = n
        if n.step == 0:
            break
    return ("tensor", id(last))


def _names(f: Facts, calls: list) -> set:
    """The variables that hold what an evaluation runs over."""
    names: set = set()
    objects = []
    for c in calls[:1]:
        for n in c.nodes[:1]:
            for a in n.lineage():
                if isinstance(a.note, tuple) and a.note[0] == "batch":
                    objects.append(a.note[1]())
                    objects.append(getattr(a.note[1](), "dataset", None))
                if a.ref is not None and a.ref() is not None:
                    objects.append(a.ref())
    for name, value in f.rec.globals.items():
        if any(value is o for o in objects if o is not None):
            names.add(name)
    if not names:
        for c in calls[:1]:
            for place in c.lines[:3]:
                st = f.source.statement_at(place)
                if st is not None and not isinstance(st, (ast.FunctionDef, ast.ClassDef, ast.For, ast.With)):
                    names |= {n.id for n in ast.walk(st) if isinstance(n, ast.Name)}
    return names


def _loader_made(f: Facts, call: Any) -> list:
    """The lines that make the DataLoader, and the data set in it, by their names."""
    found = _loader(call.nodes[0]) if call.nodes else None
    if not found:
        return []
    loader = found[0]
    wanted = [n for n, v in f.rec.globals.items() if v is loader or v is getattr(loader, "dataset", loader)]
    return [(file, st.lineno) for st, file in f.source.walk() if isinstance(st, ast.Assign)
            and any(isinstance(n, ast.Name) and n.id in wanted for t in st.targets for n in ast.walk(t))]


CHECKS = [unscaled_input, unscaled_target, shuffled_apart, majority, leak]
