# SPDX-License-Identifier: MIT
"""What has no public hook in torch: wrapped while the recording lasts, then put back."""
from __future__ import annotations

import random
import sys
import warnings
import weakref
from typing import Any, Callable

import numpy as np
import torch
from torch.overrides import TorchFunctionMode, handle_torch_function, has_torch_function
from torch.utils.data import DataLoader

from .graph import tensors_in
from .seen import Scheduler


class Wraps:
    """The wrapping part of the recorder, whose fields it uses."""

    saved: list
    stance: Any                         # torch.compiler's stance that _compile has set, or None

    def _patch(self, owner: Any, name: str, make: Callable) -> None:
        old = owner.__dict__.get(name, getattr(owner, name)) if isinstance(owner, type) else getattr(owner, name)
        new = make(old)
        for k in ("__name__", "__doc__", "__module__", "__qualname__"):
            try:
                setattr(new, k, getattr(old, k))
            except (AttributeError, TypeError):
                pass
        new.__wrapped__ = old
        own = not isinstance(owner, type) or name in owner.__dict__
        self.saved.append((owner, name, old if own else _INHERITED))
        setattr(owner, name, new)

    def _patch_all(self) -> None:
        self._patch(torch.nn.Module, "__init__", self._module_init)
        self._patch(torch.nn.Module, "train", self._module_train)
        self._patch(torch.optim.Optimizer, "__init__", self._optimizer_init)
        for cls in _schedulers():
            if "step" in cls.__dict__:
                self._patch(cls, "step", self._scheduler_step)
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            self._patch(owner, "clip_grad_norm_", self._clip)
            self._patch(owner, "clip_grad_value_", self._clip_value)
        if not _sees_indexing():
            self._patch(torch.Tensor, "__getitem__", self._indexing)
            self._patch(torch.Tensor, "__setitem__", self._indexing)
        if hasattr(torch, "compile"):
            self._patch(torch, "compile", self._compile)
        self._patch(DataLoader, "__iter__", self._loader_iter)
        self._patch(random, "shuffle", self._shuffler("random", lambda: hash(random.getstate()[1])))
        self._patch(np.random, "shuffle", self._shuffler("numpy", lambda: hash(np.random.get_state()[1].tobytes())))

    def _module_init(rec, old: Callable) -> Callable:
        def __init__(self: Any, *args: Any, **kw: Any) -> None:
            old(self, *args, **kw)
            rec.graph.count += 1
            f: Any = sys._getframe(1)
            lines = []
            while f is not None:
                if rec.source.is_users(f.f_code.co_filename):
                    if not (f.f_locals.get("self") is self and f.f_code.co_name == "__init__"):
                        lines.append((f.f_code.co_filename, f.f_lineno))
                f = f.f_back
            rec.made[id(self)] = (weakref.ref(self), lines, rec.graph.count, len(rec.steps),
                                  [(r.number, r.turn) for r in rec.loop_stack])
        return __init__

    def _optimizer_init(rec, old: Callable) -> Callable:
        def __init__(self: Any, *args: Any, **kw: Any) -> None:
            old(self, *args, **kw)
            rec._life(self)
        return __init__

    def _module_train(rec, old: Callable) -> Callable:
        def train(self: Any, mode: bool = True) -> Any:
            line = rec.where()
            rec.modes.append((line, bool(mode), id(self), len(rec.steps)))
            return old(self, mode)
        return train

    def _scheduler_step(rec, old: Callable) -> Callable:
        def step(self: Any, *args: Any, **kw: Any) -> Any:
            life = rec.schedulers.get(id(self))
            fresh = life is None or life.ref() is not self
            if fresh:
                life = rec.schedulers[id(self)] = Scheduler(self, rec.where())
                life.in_init = True
            outer = getattr(life, "inside", False)
            life.inside = True
            try:
                result = old(self, *args, **kw)
            finally:
                life.inside = outer
            if not outer and rec._outside_init(self):
                if life.start is None:
                    life.start = True
                life.calls.append(len(rec.steps))
                life.step_line = rec.where() or life.step_line
            return result
        return step

    def _clip(rec, old: Callable) -> Callable:
        def clip_(parameters: Any, max_norm: float, norm_type: float = 2.0, *args: Any, **kw: Any) -> Any:
            parameters = list(parameters) if not isinstance(parameters, torch.Tensor) else parameters
            rec.quiet += 1
            try:
                result = old(parameters, max_norm, norm_type, *args, **kw)
            finally:
                rec.quiet -= 1
            kind = "norm" if norm_type == 2 else f"norm {norm_type:g}"
            rec.clips.append((rec.where(), kind, float(max_norm), float(result), len(rec.steps)))
            return result
        return clip_

    def _clip_value(rec, old: Callable) -> Callable:
        def clip_(parameters: Any, clip_value: float, *args: Any, **kw: Any) -> Any:
            parameters = list(parameters) if not isinstance(parameters, torch.Tensor) else parameters
            rec.clips.append((rec.where(), "value", float(clip_value), float("nan"), len(rec.steps)))
            return old(parameters, clip_value, *args, **kw)
        return clip_

    def _compile(rec, old: Callable) -> Callable:
        """Makes compiled code run uncompiled, because calls in compiled code are not seen. The script still gets the
        object that torch.compile makes."""
        def compile_(*args: Any, **kw: Any) -> Any:
            set_stance = getattr(getattr(torch, "compiler", None), "set_stance", None)
            if set_stance is None:          # torch before 2.6
                return old(*args, **{**kw, "disable": True})
            rec.stance = rec.stance or set_stance("force_eager")
            warnings.filterwarnings("ignore", message=r"Using .torch\.compile\(module\). when there are global hooks")
            return old(*args, **kw)
        return compile_

    def compile_again(self) -> None:
        """Restores the stance that _compile changed. Called after the checks, which run the script's modules, too."""
        if self.stance is not None:
            self.stance.__exit__(None, None, None)
            self.stance = None

    def _loader_iter(rec, old: Callable) -> Callable:
        def __iter__(self: Any) -> Any:
            number = len(rec.loaders)
            rec.loaders.append((weakref.ref(self), rec.where(), len(rec.steps), number))
            return _LoaderIterator(rec, old(self), self, number)
        return __iter__

    @staticmethod
    def _indexing(old: Callable) -> Callable:
        def index(self: torch.Tensor, *args: Any) -> Any:
            if has_torch_function((self,)):
                return handle_torch_function(old, (self,), self, *args)
            return old(self, *args)
        return index

    def _shuffler(self, kind: str, state: Callable) -> Callable:
        def make(old: Callable) -> Callable:
            def shuffle(x: Any, *args: Any, **kw: Any) -> Any:
                seed = hash((state(), len(x)))
                result = old(x, *args, **kw)
                self.random_calls.append((kind, self.where(), seed, id(x), len(x), len(self.steps)))
                return result
            return shuffle
        return make

    @staticmethod
    def _outside_init(scheduler: Any) -> bool:
        f: Any = sys._getframe(2)
        depth = 0
        while f is not None and depth < 8:
            if f.f_code.co_name in ("__init__", "_initial_step") and f.f_locals.get("self") is scheduler:
                return False
            f, depth = f.f_back, depth + 1
        return True


_INHERITED = object()       # in place of an attribute that the class did not have


def put_back(saved: list) -> None:
    """Undoes what _patch did."""
    for owner, name, old in reversed(saved):
        if old is _INHERITED:
            delattr(owner, name)
        else:
            setattr(owner, name, old)


def _sees_indexing() -> bool:
    """Whether function modes are told of t[i]: those of torch 2.0 are not."""
    class Mode(TorchFunctionMode):
        seen = False

        def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
            self.seen = self.seen or getattr(func, "__name__", "") == "__getitem__"
            return func(*args, **(kwargs or {}))
    t = torch.zeros(1)
    with Mode() as mode:
        t[0]
    return mode.seen


class _LoaderIterator:
    """A DataLoader's iterator whose batches are marked with their loader."""

    def __init__(self, rec: Any, inner: Any, loader: Any, number: int) -> None:
        self.rec, self.inner, self.loader, self.number = rec, inner, weakref.ref(loader), number

    def __iter__(self) -> "_LoaderIterator":
        return self

    def __len__(self) -> int:
        return len(self.inner)

    def __next__(self) -> Any:
        batch = next(self.inner)
        tensors = list(tensors_in(batch))
        for i, t in enumerate(tensors):
            node = self.rec.graph.node(t)
            node.note = ("batch", self.loader, self.number, i, len(tensors))
        return batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _schedulers() -> list:
    """The scheduler classes that have a step of their own."""
    base = getattr(torch.optim.lr_scheduler, "LRScheduler", torch.optim.lr_scheduler._LRScheduler)
    found, todo = [], [base, torch.optim.lr_scheduler.ReduceLROnPlateau]
    while todo:
        cls = todo.pop()
        if cls not in found:
            found.append(cls)
            todo += cls.__subclasses__()
    return found
