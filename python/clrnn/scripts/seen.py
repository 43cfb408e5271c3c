# SPDX-License-Identifier: MIT
"""What a recording holds: loops, steps, calls of modules and losses, optimizers and schedulers."""
from __future__ import annotations

import weakref
from typing import Any, Optional

import torch

from .graph import Node


class Ended(BaseException):
    """Raised inside the script when the recording is over."""


class LoopRun:
    """A loop of the script while it runs."""

    def __init__(self, number: int, node: Any, length: Optional[int]) -> None:
        self.number, self.node, self.length = number, node, length
        self.turn = self.steps = 0      # turns begun; training steps inside
        self.first = 0                  # the turn of the first training step; 0: none yet


class Step:
    """What happened between one backward() and the next."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.backward: list = []        # lines
        self.root: list = []            # root module calls
        self.losses: list = []          # LossCall
        self.loss: Optional[Node] = None
        self.loss_value = float("nan")
        self.epoch = 1
        self.no_grad_params: set = set()
        self.grad_norm = float("nan")
        self.stepped: list = []


class Call:
    """A call of a module that no other module called."""

    def __init__(self, module: Any, line: Any) -> None:
        self.module, self.line = module, line
        self.training, self.grad = module.training, torch.is_grad_enabled()
        self.inputs: list = []          # tensors, copied
        self.nodes: list = []
        self.outputs: list = []
        self.rows: list = []            # hashes of the samples
        self.step = 0
        self.epoch = 1
        self.used = False               # a backward followed
        self.after_training = False
        self.lengths: Any = None


class LossCall:
    """A call of one of torch's losses."""

    def __init__(self, node: Node, given: Node, wanted: Node) -> None:
        self.node, self.given, self.wanted = node, given, wanted
        self.input: Any = None
        self.target: Any = None
        self.value = float("nan")


class OptimizerLife:
    """An optimizer and its steps."""

    def __init__(self, optimizer: Any, line: Any, order: int) -> None:
        self.ref, self.line, self.order = weakref.ref(optimizer), line, order
        self.cls, self.name = type(optimizer), type(optimizer).__name__
        self.lr = [g.get("lr", 0.0) for g in optimizer.param_groups]
        self.params = [weakref.ref(p) for g in optimizer.param_groups for p in g["params"]]
        self.defaults = dict(optimizer.defaults)
        self.settings = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
        self.step_line: Any = None
        self.steps = 0
        self.closure = False
        self.clean: Optional[bool] = None   # whether a backward of this interval began with clean gradients
        self.intervals: list = []           # clean, for each step
        self.wiped: list = []               # steps whose gradients were cleared between backward() and step()
        self.movement: list = []            # relative change of the weights
        self.lrs: list = []
        self.key = id(optimizer)

    def alive(self) -> list:
        return [p for p in (r() for r in self.params) if p is not None]


class Scheduler:
    """A scheduler and its steps."""

    def __init__(self, scheduler: Any, line: Any) -> None:
        self.ref, self.line = weakref.ref(scheduler), line
        self.name = type(scheduler).__name__
        self.step_line: Any = None
        self.calls: list = []           # training steps done at each step()
        self.start: Any = None
