# SPDX-License-Identifier: MIT
"""What several checks ask of a recording, and the findings that they add."""
from __future__ import annotations

import ast
import math
from typing import Any, Iterable, Optional

import torch

from .graph import CELL_OPS, LOSS_OPS, REGRESSION_LOSSES, RNN_OPS, SHAPE_OPS, Node, through
from .record import Recorder
from .seen import Call, LossCall, OptimizerLife, Step


class Finding:
    """One thing that keeps the model from learning, or falsifies what the script prints."""

    def __init__(self, id: str, severity: str, lines: list, evidence: str, costs: str = "", remedy: str = "") -> None:
        self.id, self.severity, self.lines, self.evidence = id, severity, lines, evidence
        self.costs, self.remedy = costs, remedy


class Facts:
    """A recording with the answers that checks share."""

    def __init__(self, rec: Recorder) -> None:
        self.rec, self.source = rec, rec.source
        self.findings: list = []
        self.steps: list = [s for s in rec.steps if s.loss is not None]
        self.first: Optional[Step] = self.steps[0] if self.steps else None
        self.optimizers: list = [o for o in rec.optimizers.values() if o.steps]
        self.single = rec.epoch_loop == rec.batch_loop      # one loop: each step is an epoch
        self.steps_per_epoch, self.total_steps = self._lengths()
        self.train_calls: list = [c for c in rec.roots if c.used]
        for c in self.train_calls:
            if c.step < len(rec.steps):
                c.epoch = rec.steps[c.step].epoch
        self.used = {id(c.module): c.module for c in self.train_calls}
        self.eval_calls: list = [c for c in rec.roots if not c.used and not c.grad]
        self.loss_ops: list = self._losses()
        self.path: list = self._path()

    def _lengths(self) -> tuple:
        rec = self.rec
        if not self.steps:
            return 0, 0
        if self.single:
            return 1, rec.epochs or len(self.steps)
        per_epoch = rec.epoch_ends[0] if rec.epoch_ends else 0
        if not per_epoch:
            runs = rec.loop_runs.get(rec.batch_loop, [])
            finished = [r.steps for r in runs if r.length and r.turn >= r.length]
            per_epoch = finished[0] if finished else max(len(self.steps), *[r.length or 0 for r in runs] or [0])
        return per_epoch, per_epoch * (rec.epochs or 1)

    def _losses(self) -> list:
        """(step, call) of torch's losses that were differentiated, for the first steps."""
        found = []
        for step in self.steps[:200]:
            if not step.losses:
                continue
            of = {id(n) for n in step.loss.ancestors(limit=4000)}
            found += [(step, c) for c in step.losses if id(c.node) in of]
        return found

    def _path(self) -> list:
        """The calls of the first step that its gradient runs through."""
        if not self.first:
            return []
        return [n for n in self.first.loss.ancestors(True) if n.line]

    # ------------------------------------------------------------ findings

    def add(self, id: str, severity: str, lines: Iterable, evidence: str, costs: str = "", remedy: str = "") -> None:
        clean: list = []
        for line in lines:
            if line and line not in clean:
                clean.append(line)
        for f in self.findings:
            if f.id == id:
                f.lines += [x for x in clean if x not in f.lines]
                return
        self.findings.append(Finding(id, severity, clean, evidence, costs, remedy))

    def has(self, *ids: str) -> bool:
        return any(f.id in ids for f in self.findings)

    # ------------------------------------------------------------ places

    def made_at(self, module: Any) -> list:
        """Where a module was made, innermost first."""
        entry = self.rec.made.get(id(module))
        if not entry or entry[0]() is not module:
            return []
        return entry[1]

    def module_of(self, node: Node) -> Any:
        """The innermost module whose forward made a node."""
        if not node.modules:
            return None
        entry = self.rec.made.get(node.modules[-1])
        return entry[0]() if entry else None

    def lines_of(self, node: Node, depth: int = 1) -> list:
        """A node's line and the line where its layer was made."""
        module = self.module_of(node)
        lines = [node.line]
        if module is not None and type(module).__module__.startswith("torch.nn"):
            lines += self.made_at(module)[:depth]
        return lines

    def name_of(self, p: Any) -> str:
        for m in self.used.values():
            for name, q in m.named_parameters():
                if q is p:
                    return name
        return f"a parameter of shape {tuple(p.shape)}"

    # ------------------------------------------------------------ data

    def batches(self, limit: int = 100) -> list:
        """(inputs, target, loss call) of the first training steps whose tensors were kept."""
        out = []
        for step, call in self.loss_ops[:limit]:
            roots = [c for c in step.root if c.inputs and c.grad]
            if roots and call.target is not None:
                out.append((roots[0].inputs, call.target, call))
        return out

    def constant_loss(self) -> float:
        """The loss of the best answer that does not look at the inputs; NaN where it is not known."""
        targets, kind = [], None
        for step, call in self.loss_ops:
            if call.target is None or step.epoch > 1 and not self.single:
                continue
            kind = call.node.op
            targets.append((call.target, call.input))
        if not targets:
            return math.nan
        y = torch.cat([t.reshape(-1).double() for t, _ in targets])
        if kind in ("cross_entropy", "nll_loss"):
            y = y[y >= 0]
            if not targets[0][0].dtype == torch.int64 or not len(y):
                return math.nan
            p = torch.bincount(y.long()).double()
            p = p[p > 0] / p.sum()
            return float(-(p * p.log()).sum())
        if kind == "mse_loss":
            return float(y.var(unbiased=False))
        if kind == "l1_loss":
            return float((y - y.median()).abs().mean())
        if kind in ("binary_cross_entropy_with_logits", "binary_cross_entropy"):
            p = float(y.mean())
            return -(p * math.log(p) + (1 - p) * math.log(1 - p)) if 0 < p < 1 else 0.0
        return math.nan


__all__ = ["Facts", "Finding", "CELL_OPS", "LOSS_OPS", "REGRESSION_LOSSES", "RNN_OPS", "SHAPE_OPS",
           "Call", "LossCall", "OptimizerLife", "Step", "Node", "through", "ast"]
