# SPDX-License-Identifier: MIT
"""Records a training script: torch calls by a function mode, modules and optimizers by their public hooks."""
from __future__ import annotations

import sys
import time
import weakref
from typing import Any, Optional

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.overrides import TorchFunctionMode

from .graph import LOSS_OPS, RNN_OPS, Graph, Node, tensors_in
from .loops import Loops
from .seen import Call, Ended, LossCall, OptimizerLife, Step
from .source import LOOP, WHILE, WHILE_END, Source
from .wraps import Wraps, put_back

DETAILED = 60           # steps whose gradients and weights are looked at
PASSIVE = frozenset("""shape dtype device is_cuda requires_grad is_leaf ndim layout is_sparse grad_fn size dim numel
    is_floating_point is_contiguous stride names is_quantized is_meta element_size data_ptr storage_offset
    untyped_storage __len__ retain_grad register_hook retains_grad output_nr is_nested itemsize nbytes
    is_complex __format__ __repr__ __hash__ is_pinned is_mps is_xpu _backward_hooks""".split())


class Recorder(Loops, Wraps, TorchFunctionMode):
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
        self.stance: Any = None

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
        life.closure = any(callable(a) for a in (*args[1:], kwargs.get("closure")))     # args[0] is the optimizer
        index = len(self.steps)
        detailed = index <= DETAILED or index % 16 == 1
        life.lrs.append([g.get("lr", 0.0) for g in optimizer.param_groups])
        self.quiet += 1
        life.before = [p.detach().clone() for p in life.alive()] if index <= 12 else None
        if life.closure:
            self.quiet -= 1             # step() calls the closure, whose ops are recorded
            return
        if self.steps:
            self.steps[-1].stepped.append(life.key)
        if detailed and getattr(life, "had_grad", False):
            empty = all(p.grad is None or not bool(p.grad.any()) for p in life.alive())
            if empty:
                life.wiped.append((index, self.cleared))

    def _optimizer_post(self, optimizer: Any, args: tuple, kwargs: dict) -> None:
        life = self._life(optimizer)
        life.steps += 1
        if life.closure:
            self.quiet += 1
            if self.steps:
                self.steps[-1].stepped.append(life.key)
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
        put_back(self.saved)
        for h in self.handles:
            h.remove()
        self.saved, self.handles = [], []


_user: dict = {}
def _light(value: Any, graph: Graph, depth: int = 3) -> Any:
    """A call's argument without holding its tensors."""
    if isinstance(value, torch.Tensor):
        return graph.node(value)
    if isinstance(value, (tuple, list)) and depth:
        return tuple(_light(v, graph, depth - 1) for v in value[:64])
    if isinstance(value, (int, float, bool, str, slice, type(None), type(Ellipsis), torch.dtype)):
        return value
    return type(value).__name__
