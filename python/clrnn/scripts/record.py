# SPDX-License-Identifier: MIT
"""Records a training script: torch calls by a function mode, modules and optimizers by their public hooks."""
from __future__ import annotations

import random
import sys
import time
import weakref
from typing import Any, Callable, Optional

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader

from .graph import CELL_OPS, LOSS_OPS, RNN_OPS, Graph, Node, tensors_in
from .source import LOOP, WHILE, WHILE_END, Source

DETAILED = 60           # steps whose gradients and weights are looked at
PASSIVE = frozenset("""shape dtype device is_cuda requires_grad is_leaf ndim layout is_sparse grad_fn size dim numel
    is_floating_point is_contiguous stride names is_quantized is_meta element_size data_ptr storage_offset
    untyped_storage __len__ retain_grad register_hook retains_grad output_nr is_nested itemsize nbytes
    is_complex __format__ __repr__ __hash__ is_pinned is_mps is_xpu _backward_hooks""".split())


class Ended(BaseException):
    """Raised inside the script when the recording is over."""


class LoopRun:
    """A loop of the script while it runs."""

    def __init__(self, number: int, node: Any, length: Optional[int]) -> None:
        self.number, self.node, self.length = number, node, length
        self.turn = self.steps = 0      # turns begun; training steps inside


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
    def __init__(self, scheduler: Any, line: Any) -> None:
        self.ref, self.line = weakref.ref(scheduler), line
        self.name = type(scheduler).__name__
        self.step_line: Any = None
        self.calls: list = []           # training steps done at each step()
        self.start: Any = None


class Recorder(TorchFunctionMode):
    """Runs the script and keeps what the checks look at."""

    def __init__(self, source: Source, steps: Optional[int], seconds: float) -> None:
        super().__init__()
        self.source, self.max_steps, self.seconds = source, steps, seconds
        self.graph = Graph()
        self.started = time.monotonic()
        self.calls = 0
        self.quiet = 0                  # inside an optimizer's step, or the recorder's own work
        self.steps: list = []
        self.step = Step(0)
        self.roots: list = []           # Call
        self.module_stack: list = []
        self.made: dict = {}            # id(module): (weak reference, lines, order)
        self.children: dict = {}        # id(parameter): (weak reference, line, order, step)
        self.optimizers: dict = {}
        self.schedulers: dict = {}
        self.loop_stack: list = []
        self.loop_runs: dict = {}
        self.over = False
        self.shortened = False
        self.epoch = 1
        self.epochs: Optional[int] = None
        self.epoch_loop: Optional[int] = None
        self.batch_loop: Optional[int] = None
        self.epoch_ends: list = []      # training steps at each epoch's end
        self.events: list = []          # (kind, line, step, what)
        self.ops: list = []             # nodes of calls that stand in the script, and those of its modules
        self.permutations: list = []    # Node of randperm and the like
        self.frozen: dict = {}          # id(parameter): line where requires_grad became False
        self.inits: dict = {}           # id(parameter): line of its last in-place initialisation
        self.loaded: set = set()        # parameters that were given values from elsewhere
        self.loaders: list = []         # (weak reference, line, step, number)
        self.failure: Optional[dict] = None
        self.cleared: Any = None        # the line that last cleared gradients
        self.first_state: dict = {}     # id(root): state dict before the first step
        self.kept_bytes = 0
        self.tensors: dict = {}         # of the detailed steps: id(node): copy
        self.loss_refs: list = []       # weak references to the losses that were differentiated
        self.clips: list = []           # (line, largest norm, norm before)
        self.modes: list = []           # (line, "eval" or "train", id(module), step)
        self.grad_now: set = set()
        self.random_calls: list = []
        self.relus: dict = {}           # (line, modules): (node, share of dead units, units) of the first steps
        self.globals: dict = {}
        self.saved: list = []
        self.handles: list = []

    # ------------------------------------------------------------ where the script stands

    def where(self, skip_self: Any = None) -> Optional[tuple]:
        """The innermost line of the user's that runs now."""
        f: Any = sys._getframe(1)
        users = self.source.is_users
        while f is not None:
            name = f.f_code.co_filename
            if name not in _user:
                _user[name] = users(name)
            if _user[name] and not (skip_self is not None and f.f_locals.get("self") is skip_self
                                    and f.f_code.co_name == "__init__"):
                return (name, f.f_lineno)
            f = f.f_back
        return None

    def stack(self) -> list:
        """All lines of the user's that run now, innermost first."""
        f: Any = sys._getframe(1)
        lines = []
        while f is not None:
            if _user.get(f.f_code.co_filename) or self.source.is_users(f.f_code.co_filename):
                lines.append((f.f_code.co_filename, f.f_lineno))
            f = f.f_back
        return lines

    # ------------------------------------------------------------ torch calls

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__", "__delete__"):
            prop = getattr(getattr(func, "__self__", None), "__name__", "")
            if name == "__set__":
                return self._set(prop, func, args, kwargs)
            name = prop
            if name == "grad":
                return func(*args, **kwargs)
        if self.quiet or name in PASSIVE:
            return func(*args, **kwargs)
        if name == "backward":
            return self._backward(func, args, kwargs)
        if self.shortened and time.monotonic() - self.started > 1.5 * self.seconds:
            raise Ended()
        self.calls += 1
        before = None
        if name.endswith("_") and not name.endswith("__") and args and isinstance(args[0], torch.Tensor):
            before = self.graph.node(args[0])
        try:
            result = func(*args, **kwargs)
        except Exception as e:
            self.failure = {"op": name, "line": self.where(), "args": args, "kwargs": kwargs, "error": e,
                            "modules": list(self.module_stack), "step": self.step.index,
                            "nodes": [self.graph.node(t) for t in tensors_in(list(args) + list(kwargs.values()))]}
            raise
        if not self.shortened or self.calls < 3000000:
            self._keep(name, args, kwargs, result, before)
        return result

    def _keep(self, name: str, args: tuple, kwargs: dict, result: Any, before: Optional[Node]) -> None:
        graph = self.graph
        line = self.where()
        inputs = [graph.node(t) for t in tensors_in(args)] + [graph.node(t) for t in tensors_in(kwargs)]
        if name in ("item", "tolist", "numpy", "__float__", "__int__", "__bool__", "__array__", "__index__"):
            self.events.append((name, line, self.step.index, inputs[0] if inputs else None))
            return
        if name == "__setitem__":
            before = inputs[0] if inputs else None
            result = args[0] if isinstance(args[0], torch.Tensor) else None
        if before is not None and before.is_param():
            self._changed(name, args[0], line)
            return
        outputs = list(tensors_in(result)) if not isinstance(result, torch.Tensor) else [result]
        if not outputs:
            return
        in_rg = any(i.rg for i in inputs)
        grad_mode = torch.is_grad_enabled()
        modules = tuple(id(m) for m, _ in self.module_stack)
        light = _light(args, graph), {k: _light(v, graph) for k, v in kwargs.items()}
        for index, t in enumerate(outputs):
            if isinstance(t, torch.nn.Parameter) or before is None and any(t is a for a in args[:1]):
                graph.node(t)                       # handed through, as float() of a float tensor
                continue
            node = Node(name)
            node.line, node.inputs, (node.args, node.kwargs) = line, inputs, light
            node.in_rg, node.grad_mode, node.step = in_rg, grad_mode, self.step.index
            node.call, node.index, node.modules = self.calls, index, modules
            graph.keep(t, node)
            if len(self.ops) < 400000:
                self.ops.append(node)
            if name in ("randperm", "argsort", "sort", "multinomial") or name in LOSS_OPS or name in RNN_OPS:
                self._special(name, node, args, kwargs, t, index)
            elif name in ("relu", "relu_") and grad_mode and self.step.index < 24:
                flat = (t.detach() > 0).flatten(0, -2) if t.dim() > 1 else (t.detach() > 0)[None]
                if t.dim() == 3 and any(i.op in ("conv1d", "batch_norm") for i in node.inputs):
                    flat = (t.detach() > 0).transpose(1, 2).flatten(0, 1)
                self.relus.setdefault((line, modules), []).append((node, 1 - float(flat.any(0).double().mean()), flat.shape[1]))
        if name in ("from_numpy", "tensor", "as_tensor") and args and not isinstance(args[0], torch.Tensor):
            self.graph.node(outputs[0]).note = ("array", id(args[0]))
        if not grad_mode and in_rg and name not in ("detach",):
            for n in inputs:
                if n.is_param():
                    self.step.no_grad_params.add(n)

    def _special(self, name: str, node: Node, args: tuple, kwargs: dict, t: torch.Tensor, index: int) -> None:
        if name in LOSS_OPS:
            tensors = [a for a in args if isinstance(a, torch.Tensor)]
            tensors += [kwargs[k] for k in ("input", "target") if isinstance(kwargs.get(k), torch.Tensor)]
            if len(tensors) < 2:
                return
            call = LossCall(node, self.graph.node(tensors[0]), self.graph.node(tensors[1]))
            if self._room(tensors[0]) and len(self.steps) < 20000:
                call.input, call.target = tensors[0].detach().clone(), tensors[1].detach().clone()
            if t.numel() == 1:
                call.value = float(t.detach())
            weight = kwargs.get("weight", kwargs.get("pos_weight"))
            node.note = {"weight": weight.detach().clone() if isinstance(weight, torch.Tensor) else None,
                         "pos_weight": kwargs["pos_weight"].detach().clone()
                         if isinstance(kwargs.get("pos_weight"), torch.Tensor) else None}
            self.step.losses.append(call)
        elif name in ("randperm", "argsort", "sort"):
            if t.dtype == torch.int64 and (name != "sort" or index == 1):
                node.note = ("permutation", t.detach().clone() if t.numel() < 2000000 else None)
                self.permutations.append(node)

    def _room(self, t: torch.Tensor) -> bool:
        self.kept_bytes += 2 * t.numel() * t.element_size()
        return self.kept_bytes < 1 << 29

    def _set(self, prop: str, func: Any, args: tuple, kwargs: dict) -> Any:
        result = func(*args, **kwargs)
        if self.quiet:
            return result
        if prop == "grad" and len(args) > 1 and args[1] is None:
            self.cleared = self.where() or self.cleared
        elif prop == "requires_grad" and len(args) > 1 and isinstance(args[0], torch.nn.Parameter):
            self._freeze(args[0], bool(args[1]))
        elif prop == "data" and isinstance(args[0], torch.nn.Parameter):
            self.loaded.add(id(args[0]))
        return result

    def _freeze(self, p: Any, on: bool) -> None:
        if on:
            self.frozen.pop(id(p), None)
        else:
            self.frozen[id(p)] = [x for x in self.stack()][:2]

    def _changed(self, name: str, p: Any, line: Any) -> None:
        """A parameter is written in place."""
        if name in ("requires_grad_",):
            self._freeze(p, p.requires_grad)
        elif name in ("copy_", "set_", "__setitem__", "add_", "mul_", "sub_", "div_"):
            self.loaded.add(id(p))
        elif name in ("zero_", "fill_", "uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_",
                      "kaiming_uniform_", "kaiming_normal_", "orthogonal_", "constant_", "zeros_", "ones_", "eye_",
                      "sparse_", "dirac_"):
            if line is not None:
                self.inits[id(p)] = line
                self.events.append(("init", line, self.step.index, id(p)))

    # ------------------------------------------------------------ steps

    def _backward(self, func: Any, args: tuple, kwargs: dict) -> Any:
        loss = args[0] if args else None
        if isinstance(loss, (list, tuple)):
            loss = loss[0]
        if not isinstance(loss, torch.Tensor):
            return func(*args, **kwargs)
        line = self.where()
        self._epoch_of_step()
        step, node = self.step, self.graph.node(loss)
        step.loss, step.epoch = node, self.epoch
        step.backward.append(line)
        for call in step.root:
            call.used = call.used or call.grad
        detailed = step.index < DETAILED or step.index % 16 == 0
        self.quiet += 1
        try:
            if loss.numel() == 1:
                step.loss_value = float(loss.detach())
            if detailed:
                for o in self.optimizers.values():
                    clean = all(p.grad is None or not bool(p.grad.any()) for p in o.alive())
                    o.clean = bool(o.clean) or clean
        finally:
            self.quiet -= 1
        try:
            result = func(*args, **kwargs)
        except Exception as e:
            self.failure = {"op": "backward", "line": line, "args": (), "kwargs": kwargs, "error": e, "modules": [],
                            "step": step.index, "nodes": [node]}
            raise
        self.loss_refs.append((weakref.ref(loss), step.index))
        self.quiet += 1
        try:
            if detailed:
                for o in self.optimizers.values():
                    params = o.alive()
                    grads = [p.grad for p in params if p.grad is not None]
                    o.had_grad = any(bool(g.any()) for g in grads)
                    if grads and not any(g.is_sparse for g in grads):
                        step.grad_norm = float(torch.linalg.vector_norm(
                            torch.stack([torch.linalg.vector_norm(g.double()) for g in grads])))
                    o.no_grad = [p for p in params if p.grad is None]
        finally:
            self.quiet -= 1
        self.steps.append(step)
        self.step = Step(step.index + 1)
        for run in self.loop_stack:
            run.steps += 1
        self._limit()
        return result

    def _epoch_of_step(self) -> None:
        """Names the loops over epochs and batches by the loops that run now."""
        runs = [r for r in self.loop_stack]
        if not runs:
            return
        named = [r for r in runs if _loop_names(r.node) & _EPOCH_WORDS]
        if named:
            epoch = named[-1]
            inner = [r for r in runs if runs.index(r) > runs.index(epoch)]
            batch = inner[0] if inner else epoch
        elif len(runs) > 1:
            epoch, batch = runs[-2], runs[-1]
        else:
            epoch = batch = runs[-1]
        self.epoch_loop, self.batch_loop = epoch.number, batch.number
        self.epochs = epoch.length
        if epoch is not batch:
            if epoch.turn > self.epoch and self.steps and not self.over:
                self.epoch_ends.append(len(self.steps))
            self.epoch = max(epoch.turn, 1)

    def _limit(self) -> None:
        done = len(self.steps)
        single = self.epoch_loop == self.batch_loop
        second = sum(1 for s in self.steps[-8:] if s.epoch > 1) if not single else 0
        if self.over:
            inside = any(r.steps for r in self.loop_stack)
            if not inside or done > self.over_at + 50:
                raise Ended()
        elif ((self.max_steps and done >= self.max_steps) or second >= 3 or (single and done >= 60)
              or time.monotonic() - self.started > self.seconds):
            self.over, self.over_at = True, done
            self.shortened = True
            self.over_time = time.monotonic()
            if not any(r.steps for r in self.loop_stack):
                raise Ended()

    # ------------------------------------------------------------ loops

    def loop(self, number: int, iterable: Any) -> Any:
        """Yields what a loop of the script runs over."""
        try:
            length: Optional[int] = len(iterable)
        except Exception:
            length = None
        run = LoopRun(number, self.source.loops[number], length)
        run.iterable = iterable
        iterator = iter(iterable)
        self.loop_stack.append(run)
        try:
            while True:
                if run in self.loop_stack:
                    del self.loop_stack[self.loop_stack.index(run) + 1:]
                else:                           # a generator's loop that goes on
                    self.loop_stack.append(run)
                if self.over and run.steps:
                    break
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                run.turn += 1
                yield item
        finally:
            if run in self.loop_stack:
                del self.loop_stack[self.loop_stack.index(run):]
            if run.steps:
                self.loop_runs.setdefault(number, []).append(run)

    def while_(self, number: int) -> bool:
        run = next((r for r in self.loop_stack if r.number == number), None)
        if run is None:
            run = LoopRun(number, self.source.loops[number], None)
            self.loop_stack.append(run)
        else:
            del self.loop_stack[self.loop_stack.index(run) + 1:]
        run.turn += 1
        return not (self.over and run.steps)

    def while_end(self, number: int) -> bool:
        run = next((r for r in self.loop_stack if r.number == number), None)
        if run is not None:
            del self.loop_stack[self.loop_stack.index(run):]
        return False

    # ------------------------------------------------------------ hooks

    def _pre_forward(self, module: Any, args: tuple) -> None:
        if self.quiet:
            return
        if not self.module_stack and not isinstance(module, torch.nn.modules.loss._Loss):
            self._root_call(module, args)
        self.module_stack.append((module, [tuple(t.shape) for t in tensors_in(args)]))
        return None

    def _root_call(self, module: Any, args: tuple) -> None:
        call = Call(module, self.where())
        call.lines = self.stack()
        call.step, call.epoch, call.after_training = self.step.index, self.epoch, self.shortened
        tensors = list(tensors_in(args))
        call.nodes = [self.graph.node(t) for t in tensors]
        self.quiet += 1
        try:
            if len(self.roots) < 20000 and tensors and self._room(tensors[0]):
                call.inputs = [t.detach().clone() for t in tensors]
            if id(module) not in self.first_state and call.grad and call.training:
                self.first_state[id(module)] = {k: v.detach().clone() for k, v in module.state_dict().items()
                                                if isinstance(v, torch.Tensor)}
        finally:
            self.quiet -= 1
        self.roots.append(call)
        self.step.root.append(call)

    def _post_forward(self, module: Any, args: tuple, output: Any) -> None:
        if self.quiet:
            return
        while self.module_stack:
            top, _ = self.module_stack.pop()
            if top is module:
                break
        if not self.module_stack and self.roots and self.roots[-1].module is module:
            call = self.roots[-1]
            for t in tensors_in(output):
                self.graph.node(t)
                call.outputs.append(self.graph.node(t))
        return None

    def _registered(self, module: Any, name: str, p: Any) -> None:
        if isinstance(p, torch.nn.Parameter):
            self.children[id(p)] = (weakref.ref(p), self.where(), self.graph.count, self.step.index, weakref.ref(module))
            self.graph.count += 1

    def _optimizer_pre(self, optimizer: Any, args: tuple, kwargs: dict) -> None:
        life = self._life(optimizer)
        life.step_line = self.where() or life.step_line
        life.closure = bool(args) and callable(args[0]) or callable(kwargs.get("closure"))
        if life.closure:
            return
        self.quiet += 1
        index = len(self.steps)
        detailed = index <= DETAILED or index % 16 == 1
        life.lrs.append([g.get("lr", 0.0) for g in optimizer.param_groups])
        if self.steps:
            self.steps[-1].stepped.append(life.key)
        if detailed:
            if getattr(life, "had_grad", False):
                empty = all(p.grad is None or not bool(p.grad.any()) for p in life.alive())
                if empty:
                    life.wiped.append((index, self.cleared))
            life.before = [p.detach().clone() for p in life.alive()] if index <= 12 else None
        else:
            life.before = None

    def _optimizer_post(self, optimizer: Any, args: tuple, kwargs: dict) -> None:
        life = self._life(optimizer)
        life.steps += 1
        if life.closure:
            return
        try:
            if life.before:
                moved = sum(float((a - b.detach()).double().square().sum()) for a, b in zip(life.before, life.alive()))
                size = sum(float(a.double().square().sum()) for a in life.before)
                life.movement.append((moved / size) ** 0.5 if size > 0 else 0.0)
            life.before = None
            if life.clean is not None:
                life.intervals.append(life.clean)
            life.clean, life.had_grad = None, False
        finally:
            self.quiet -= 1

    def _life(self, optimizer: Any) -> OptimizerLife:
        life = self.optimizers.get(id(optimizer))
        if life is None or life.ref() is not optimizer:
            self.graph.count += 1
            life = OptimizerLife(optimizer, self.where(), self.graph.count)
            life.at_step = len(self.steps)
            life.groups = len(optimizer.param_groups)
            if id(optimizer) in self.optimizers:
                self.optimizers[(id(optimizer), self.graph.count)] = self.optimizers.pop(id(optimizer))
            self.optimizers[id(optimizer)] = life
        return life

    # ------------------------------------------------------------ what has no public hook: wrapped, and put back

    def _patch(self, owner: Any, name: str, make: Callable) -> None:
        old = owner.__dict__.get(name, getattr(owner, name)) if isinstance(owner, type) else getattr(owner, name)
        new = make(old)
        for k in ("__name__", "__doc__", "__module__", "__qualname__"):
            try:
                setattr(new, k, getattr(old, k))
            except (AttributeError, TypeError):
                pass
        new.__wrapped__ = old
        self.saved.append((owner, name, old))
        setattr(owner, name, new)

    def _patch_all(self) -> None:
        rec = self

        def module_init(old: Callable) -> Callable:
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

        def optimizer_init(old: Callable) -> Callable:
            def __init__(self: Any, *args: Any, **kw: Any) -> None:
                old(self, *args, **kw)
                rec._life(self)
            return __init__

        def module_train(old: Callable) -> Callable:
            def train(self: Any, mode: bool = True) -> Any:
                line = rec.where()
                rec.modes.append((line, bool(mode), id(self), len(rec.steps)))
                return old(self, mode)
            return train

        def scheduler_step(old: Callable) -> Callable:
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

        def clip(old: Callable) -> Callable:
            def clip_(parameters: Any, max_norm: float, *args: Any, **kw: Any) -> Any:
                parameters = list(parameters) if not isinstance(parameters, torch.Tensor) else parameters
                rec.quiet += 1
                try:
                    result = old(parameters, max_norm, *args, **kw)
                finally:
                    rec.quiet -= 1
                rec.clips.append((rec.where(), "norm", float(max_norm), float(result), len(rec.steps)))
                return result
            return clip_

        def clip_value(old: Callable) -> Callable:
            def clip_(parameters: Any, clip_value: float, *args: Any, **kw: Any) -> Any:
                parameters = list(parameters) if not isinstance(parameters, torch.Tensor) else parameters
                rec.clips.append((rec.where(), "value", float(clip_value), float("nan"), len(rec.steps)))
                return old(parameters, clip_value, *args, **kw)
            return clip_

        def loader_iter(old: Callable) -> Callable:
            def __iter__(self: Any) -> Any:
                number = len(rec.loaders)
                rec.loaders.append((weakref.ref(self), rec.where(), len(rec.steps), number))
                return _LoaderIterator(rec, old(self), self, number)
            return __iter__

        self._patch(torch.nn.Module, "__init__", module_init)
        self._patch(torch.nn.Module, "train", module_train)
        self._patch(torch.optim.Optimizer, "__init__", optimizer_init)
        for cls in _schedulers():
            if "step" in cls.__dict__:
                self._patch(cls, "step", scheduler_step)
        for owner in (torch.nn.utils, torch.nn.utils.clip_grad):
            self._patch(owner, "clip_grad_norm_", clip)
            self._patch(owner, "clip_grad_value_", clip_value)
        self._patch(DataLoader, "__iter__", loader_iter)
        self._patch(random, "shuffle", self._shuffler("random", lambda: hash(random.getstate()[1])))
        self._patch(np.random, "shuffle", self._shuffler("numpy", lambda: hash(np.random.get_state()[1].tobytes())))

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

    # ------------------------------------------------------------ running

    def names(self) -> dict:
        """What the compiled script calls at its loops."""
        return {LOOP: self.loop, WHILE: self.while_, WHILE_END: self.while_end}

    def __enter__(self) -> "Recorder":
        m = torch.nn.modules.module
        self.handles = [m.register_module_forward_pre_hook(self._pre_forward),
                        m.register_module_forward_hook(self._post_forward),
                        register_optimizer_step_pre_hook(self._optimizer_pre),
                        register_optimizer_step_post_hook(self._optimizer_post)]
        if hasattr(m, "register_module_parameter_registration_hook"):
            self.handles.append(m.register_module_parameter_registration_hook(self._registered))
        self._patch_all()
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        super().__exit__(*exc)
        for owner, name, old in reversed(self.saved):
            setattr(owner, name, old)
        for h in self.handles:
            h.remove()
        self.saved, self.handles = [], []


class _LoaderIterator:
    """A DataLoader's iterator whose batches are marked with their loader."""

    def __init__(self, rec: Recorder, inner: Any, loader: Any, number: int) -> None:
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


_user: dict = {}
_EPOCH_WORDS = {"epoch", "epochs", "ep", "epoch_idx", "n_epoch", "epoch_i", "e", "iepoch", "epoch_num", "round_", "epoka"}


def _loop_names(node: Any) -> set:
    import ast
    names = {n.id.lower() for n in ast.walk(getattr(node, "target", node)) if isinstance(n, ast.Name)}
    if isinstance(node, ast.For):
        names |= {n.id.lower() for n in ast.walk(node.iter) if isinstance(n, ast.Name) and "epoch" in n.id.lower()
                  and "per" not in n.id.lower()}
    return {"epoch" if "epoch" in n and "per" not in n else n for n in names}


def _light(value: Any, graph: Graph, depth: int = 3) -> Any:
    """A call's argument without holding its tensors."""
    if isinstance(value, torch.Tensor):
        return graph.node(value)
    if isinstance(value, (tuple, list)) and depth:
        return tuple(_light(v, graph, depth - 1) for v in value[:64])
    if isinstance(value, (int, float, bool, str, slice, type(None), type(Ellipsis), torch.dtype)):
        return value
    return type(value).__name__


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


__all__ = ["Recorder", "Ended", "Step", "Call", "LossCall", "CELL_OPS"]
