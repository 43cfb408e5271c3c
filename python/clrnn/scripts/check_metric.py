# SPDX-License-Identifier: MIT
"""Metrics that are wrong while the model learns."""
from __future__ import annotations

import ast
from typing import Any

from torch.utils.data import DataLoader

from .check_model import _fits, _numel, trailing
from .facts import Facts, Node, through
from .graph import SHAPE_OPS

_EQ = frozenset("eq __eq__ ne __ne__".split())
_MASKED = frozenset("__and__ logical_and __mul__ mul masked_select __getitem__ __iand__ bitwise_and where".split())


def accuracy(f: Facts) -> None:
    """Padded positions that count, all pairs compared, a wrong axis, a wrong threshold, a wrong denominator."""
    classes = _class_axis(f)
    children: dict = {}
    compared = [n for n in f.rec.ops if n.op in _EQ and len(n.inputs) == 2 and n.line]
    if not compared:
        return
    wanted = {id(n) for n in compared}
    for n in f.rec.ops:
        for i in n.inputs:
            for a in i.lineage(SHAPE_OPS | {"bool"}):
                if id(a) in wanted:
                    children.setdefault(id(a), []).append(n)
    outputs = _outputs(f)
    for n in compared:
        a, b = n.inputs
        answer = next((i for i in (a, b) if any(id(x) in outputs for x in i.ancestors(limit=300))), None)
        if answer is None:
            continue
        other = b if answer is a else a
        if any(id(x) in outputs for x in other.ancestors(limit=300)):
            continue
        x, y = a.shape, b.shape
        if x != y and _numel(x) == _numel(y) > 1 and _fits(x, y) and _numel(n.shape) > _numel(x):
            f.add("accuracy-computed-wrong", "error", [n.line], f"{tuple(x)} == {tuple(y)} compares all pairs: {tuple(n.shape)}")
        _axis(f, n, answer, classes)
        _threshold(f, n, answer)
        _padding(f, n, answer, children.get(id(n), []))
    _denominators(f)


def _outputs(f: Facts) -> set:
    return {id(n) for c in f.rec.roots for n in c.outputs}


def _class_axis(f: Facts) -> int:
    for _, c in f.loss_ops[:1]:
        if c.node.op in ("cross_entropy", "nll_loss") and len(c.given.shape) == 2:
            return 1
    return -1


def _axis(f: Facts, n: Node, answer: Node, classes: int) -> None:
    """argmax over the batch."""
    at = through(answer)
    if at.op not in ("argmax", "max") or not at.inputs or classes != 1 or len(at.inputs[0].shape) != 2:
        return
    dim = at.kwargs.get("dim", at.kwargs.get("axis", at.args[1] if len(at.args) > 1 else None))
    if isinstance(dim, int) and dim % 2 == 0 and at.inputs[0].shape[0] > 1:
        f.add("accuracy-computed-wrong", "error", [at.line, n.line],
              f"{at.op} over axis 0 of {at.inputs[0].shape} picks a sample for each class, not a class for each sample")


def _threshold(f: Facts, n: Node, answer: Node) -> None:
    """0.5 as the threshold of logits."""
    if not any(c.node.op == "binary_cross_entropy_with_logits" for _, c in f.loss_ops[:1]):
        return
    at = through(answer)
    if at.op in ("gt", "__gt__", "ge", "__ge__") and len(at.args) > 1 and at.args[1] == 0.5 or at.op == "round":
        behind = through(at.inputs[0])
        outputs = _outputs(f)
        if id(behind) in outputs or any(id(x) in outputs for x in at.inputs[0].lineage()):
            raw = through(behind)
            if raw.op in ("linear", "addmm", "add", "__add__", "sum", "mean", "matmul"):
                f.add("accuracy-computed-wrong", "error", [at.line, n.line],
                      "logits are held against 0.5: a probability of 0.5 is the logit 0")


def _padding(f: Facts, n: Node, answer: Node, users: list) -> None:
    """Padded positions that count as right answers."""
    roots = [c for c in f.rec.roots if c.inputs and not c.used and any(
        id(o) in {id(x) for x in answer.ancestors(limit=300)} for o in c.outputs)]
    if not roots or any(u.op in _MASKED and len(u.inputs) > 1 for u in users):
        return
    x = roots[0].inputs[0]
    lengths = trailing(x)
    if lengths is None or _numel(n.shape) != x.shape[0] * x.shape[1]:
        return
    if not any(u.op in ("mean", "sum", "all", "count_nonzero") for u in users):
        return
    used = max((u for u in users if u.op in ("mean", "sum", "count_nonzero")), key=lambda u: u.order)
    if used.op == "sum" and any(m.op in _MASKED for m in users):
        return
    share = 1 - float(lengths.double().mean()) / x.shape[1]
    f.add("accuracy-computed-wrong", "error", [n.line], f"{100 * share:.0f} % of the positions that are counted are padding")


def _denominators(f: Facts) -> None:
    """Sums of right answers over the number of batches, means over the number of samples."""
    values = f.rec.globals
    for scope, file in [(n, file) for n, file in f.source.walk() if isinstance(n, (ast.Module, ast.FunctionDef))]:
        sums: dict = {}
        inner = [n for n in ast.walk(scope) if not isinstance(scope, ast.Module) or f.source.enclosing(
            f.source.parent.get(n), (ast.FunctionDef, ast.Lambda)) is None]
        for n in inner:
            if isinstance(n, ast.AugAssign) and isinstance(n.op, ast.Add) and isinstance(n.target, ast.Name):
                text = ast.unparse(n.value)
                if "==" in text or ".eq(" in text:
                    kind = "mean" if "mean(" in text else "sum" if "sum(" in text else None
                    if kind and "/" not in text and "*" not in text:
                        sums[n.target.id] = (kind, n.lineno)
        for n in inner:
            if not (isinstance(n, ast.BinOp) and isinstance(n.op, ast.Div) and isinstance(n.left, ast.Name)
                    and n.left.id in sums):
                continue
            kind, line = sums[n.left.id]
            count = _counted(f, n.right, values)
            if count == "batches" and kind == "sum":
                f.add("accuracy-computed-wrong", "error", [(file, n.lineno)],
                      f"a number of right answers is divided by the number of batches, {ast.unparse(n.right)}")
            elif count == "samples" and kind == "mean":
                f.add("accuracy-computed-wrong", "error", [(file, n.lineno)],
                      f"a sum of batch means is divided by the number of samples, {ast.unparse(n.right)}")


def _counted(f: Facts, node: Any, values: dict) -> str:
    """What an expression len(...) counts: "batches", "samples", or "" where it is not known."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "len" and node.args):
        return ""
    a = node.args[0]
    if isinstance(a, ast.Attribute) and a.attr == "dataset":
        return "samples"
    value = values.get(a.id) if isinstance(a, ast.Name) else None
    if value is None and isinstance(a, ast.Name):
        for ref, *_ in f.rec.loaders:
            if "loader" in a.id.lower() or a.id.lower().endswith("dl"):
                return "batches"
        return ""
    if isinstance(value, DataLoader):
        return "batches" if (value.batch_size or 2) > 1 else ""
    return "samples" if value is not None and not isinstance(value, (list, tuple, dict)) else ""


CHECKS = [accuracy]
