# SPDX-License-Identifier: MIT
"""A recorded script as a config: layers from the first step's calls, data from the first epoch's batches."""
from __future__ import annotations

import json
import os
import re
import struct
from typing import Any, Optional

import numpy as np
import torch
from torch import nn

from .check_model import _dim, _picked
from .facts import RNN_OPS, Facts, Node, through
from .graph import INDEX_OPS, SHAPE_OPS, tensors_in

_SAME = frozenset("contiguous clone float double to cpu cuda type alias data cast expand type_as requires_grad_".split())
_POINTWISE = {"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "round": "round", "relu_": "relu", "tanh_": "tanh",
              "sigmoid_": "sigmoid", "gelu": "gelu", "silu": "silu", "elu": "elu", "softplus": "softplus",
              "leaky_relu": "leaky_relu"}
_LOSSES = {"cross_entropy": "cross_entropy", "nll_loss": "nll", "binary_cross_entropy_with_logits": "bce_with_logits",
           "mse_loss": "mse", "l1_loss": "l1", "smooth_l1_loss": "smooth_l1", "huber_loss": "huber"}


class Refused(Exception):
    """What does not fit the grammar."""


class _Model:
    """The chain of layers while it is followed from the input to the loss."""

    def __init__(self, f: Facts, call: Any) -> None:
        self.f, self.call, self.layers = f, call, []
        self.names: dict = {}           # module prefix: layer name
        self.axes: list = []            # "N", "T", "C", "NT", "TN", "L", or a number: still an input's axis
        self.input_axes: Optional[list] = None
        self.tokens = False
        self.lengths: Optional[Node] = None
        self.final = False              # h_n of the layer before
        self.prefix = {id(m): name for name, m in call.module.named_modules()}
        self.sizes: list = []

    def refuse(self, n: Node, why: str) -> None:
        at = self.f.source.shown(*n.line) + ": " if n.line else ""
        raise Refused(f"{at}{n.op.strip('_')}: {why}")

    def add(self, kind: str, module: Any = None, **arguments: Any) -> None:
        if module is not None:
            prefix = self.prefix.get(id(module))
            if prefix is None:
                raise Refused(f"a layer {kind} that is no part of the model")
            name = re.sub(r"\W", "_", prefix) or "layer"
            name = "layer" + name if name[0].isdigit() or name == "optim" else name
            if name in self.names.values():
                raise Refused(f"{prefix} runs twice in a forward pass")
            self.names[prefix] = name
            arguments = {"name": name, **arguments}
        self.layers.append((kind, arguments))

    # ------------------------------------------------------------ axes

    def expect(self, n: Node, *order: str) -> None:
        """The current axes are these; numbers of the input's axes become names."""
        if len(self.axes) != len(order):
            self.refuse(n, f"reads {len(self.axes)} axes")
        if self.input_axes is None:
            self.input_axes = [None] * (max([a for a in self.axes if isinstance(a, int)] + [-1]) + 1)
            self.new_axes = [o for a, o in zip(self.axes, order) if not isinstance(a, int)]
            for a, o in zip(self.axes, order):
                if isinstance(a, int):
                    self.input_axes[a] = o
            self.axes = list(order)
        elif self.axes != list(order):
            self.refuse(n, f"runs over the axes {self.axes}")

    def layout(self, n: Node, channels_first: bool = False) -> None:
        k = len(self.axes)
        if k == 2:
            self.expect(n, *(("NT", "C") if self.axes[0] == "NT" else ("N", "C")))
        elif channels_first:
            self.expect(n, "N", "C", "T")
        elif self.input_axes is None and k == 3 and self._time_first(n):
            self.expect(n, "T", "N", "C")
        elif k == 3:
            self.expect(n, *(("T", "N", "C") if self.axes[0] == "T" else ("N", "T", "C")))
        else:
            self.refuse(n, f"reads {k} axes")

    def _time_first(self, n: Node) -> bool:
        """Whether a recurrent layer that reads time first comes before any that reads the batch first."""
        for m in self.call.module.modules():
            if isinstance(m, nn.RNNBase):
                return not m.batch_first
        return False

    # ------------------------------------------------------------ ops

    def step(self, n: Node) -> None:
        op = n.op
        if op in _SAME:
            return
        if op in RNN_OPS:
            return self.recurrent(n)
        handler = getattr(self, "op_" + op.strip("_"), None)
        if handler is not None:
            return handler(n)
        if op in _POINTWISE:
            kind = _POINTWISE[op]
            arguments = {}
            if kind == "leaky_relu" and len(n.args) > 1:
                arguments["negative_slope"] = n.args[1]
            if self.input_axes is None:
                self.layout(n)
            return self.add(kind, **arguments)
        self.refuse(n, "is not in the grammar")

    def op_permute(self, n: Node) -> None:
        dims = n.args[1] if len(n.args) > 1 and isinstance(n.args[1], tuple) else n.args[1:]
        self.axes = [self.axes[d] for d in dims]

    def op_transpose(self, n: Node) -> None:
        a, b = [x for x in n.args[1:] if isinstance(x, int)] or (n.kwargs.get("dim0"), n.kwargs.get("dim1"))
        self.axes[a], self.axes[b] = self.axes[b], self.axes[a]

    op_swapaxes = op_swapdims = op_transpose

    def op_unsqueeze(self, n: Node) -> None:
        d = n.args[1] if len(n.args) > 1 else n.kwargs.get("dim")
        self.axes.insert(d % (len(self.axes) + 1), "new")

    def op_squeeze(self, n: Node) -> None:
        shape, d = n.inputs[0].shape, n.args[1] if len(n.args) > 1 else n.kwargs.get("dim")
        gone = [i for i, s in enumerate(shape) if s == 1] if d is None else [d % len(shape)]
        for i in sorted(gone, reverse=True):
            if shape[i] == 1:
                self._drop(n, i)

    def _drop(self, n: Node, i: int) -> None:
        label = self.axes.pop(i)
        if label == "T":
            self.add("pool", over="last")
        elif label == "L" or label == "C" or label == "new":
            pass
        else:
            self.refuse(n, "takes out the axis of samples")

    def op_view(self, n: Node) -> None:
        a, b = n.inputs[0].shape, n.shape
        if a == b:
            return
        named = list(self.axes)
        if len(b) == len(named) - 1 and named[:2] in (["N", "T"], ["T", "N"]) and b[0] == a[0] * a[1] and b[1:] == a[2:]:
            self.axes = ["".join(named[:2]), *named[2:]]
        elif named == ["N", "T", "C"] and len(b) == 2 and b[0] == a[0] and b[1] == a[1] * a[2]:
            self.axes = ["N", "C"]
            if a[1] == 1:
                self.add("pool", over="last")
            else:
                self.add("flatten")
        elif [d for d in a if d != 1] == [d for d in b if d != 1]:
            self._ones(n, a, b)
        elif self.input_axes is None and len(a) == 2 and len(b) == 3 and b[0] == a[0]:
            self.refuse(n, "cuts rows into steps")
        else:
            self.refuse(n, f"a view from {a} to {b}")

    op_reshape = op_flatten = op_view

    def _ones(self, n: Node, a: tuple, b: tuple) -> None:
        """Axes of length 1 come and go."""
        left = [x for x, d in zip(self.axes, a) if d != 1]
        ones = [x for x, d in zip(self.axes, a) if d == 1]
        axes = []
        for d in b:
            axes.append(left.pop(0) if d != 1 else ones.pop(0) if ones else "new")
        for x in ones:
            if x == "T":
                self.add("pool", over="last")
        self.axes = axes

    def op_getitem(self, n: Node) -> None:
        picked = _picked(n)
        label = None
        if picked is not None and picked[2]:
            label = self.axes[picked[0]]
        steps = n.inputs[0].shape[picked[0]] if picked else 0
        if self.final and label == "L" and self.over_layers(picked[1], steps):
            self.axes.pop(picked[0])
        elif label == "T" and picked[1] in (-1, steps - 1):
            self.axes.pop(picked[0])
            self.add("pool", over="last")
            if n.shape and len(n.shape) == len(n.inputs[0].shape):
                self.axes.insert(picked[0], "new")
        elif label in ("C", "new") and steps == 1:
            self.axes.pop(picked[0])
        elif n.inputs[0].op in ("max", "lstm", "gru"):
            return
        else:
            self.refuse(n, "takes a part that no pool takes")

    op_select = op_getitem

    def over_layers(self, at: int, count: int) -> bool:
        """h_n[at] is the top layer's state of a layer with one direction."""
        return at in (-1, count - 1) and not self.last_rnn.bidirectional

    def op_index_select(self, n: Node) -> None:
        if self.lengths is None and not any(x.op == "_pack_padded_sequence" for x in self.nodes):
            self.refuse(n, "takes rows")

    def op_pack_padded_sequence(self, n: Node) -> None:
        self.lengths = n.inputs[1] if len(n.inputs) > 1 else None
        if self.lengths is None:
            self.refuse(n, "lengths are not seen")
        if n.args and n.args[-1] is False and self.input_axes is None:
            self.axes = [self.axes[1], self.axes[0], *self.axes[2:]]

    def op_pad_packed_sequence(self, n: Node) -> None:
        self.axes = ["N", "T", "C"] if self.last_rnn.batch_first else ["T", "N", "C"]

    def op_cat(self, n: Node) -> None:
        parts = [through(i, frozenset(["contiguous"])) for i in n.inputs]
        picks = [_picked(p) for p in parts if p.op in ("__getitem__", "select")]
        count = parts[0].inputs[0].shape[0] if parts[0].inputs and parts[0].inputs[0].shape else 0
        at = [p[1] % count for p in picks if p and p[0] == 0 and count]
        same = len({id(p.inputs[0]) for p in parts if p.inputs}) == 1
        if self.final and same and at == [count - 2, count - 1] and len(parts) == 2 and self.last_rnn.bidirectional:
            self.axes = ["N", "C"]
        else:
            self.refuse(n, "joins tensors")

    def op_mean(self, n: Node) -> None:
        self._over(n, "mean")

    def op_max(self, n: Node) -> None:
        if n.index == 0:
            self._over(n, "max")

    op_amax = op_max

    def _over(self, n: Node, kind: str) -> None:
        d = n.kwargs.get("dim", n.kwargs.get("axis", n.args[1] if len(n.args) > 1 else None))
        d = d[0] if isinstance(d, tuple) and len(d) == 1 else d
        if not isinstance(d, int) or self.axes[d] != "T":
            self.refuse(n, "over another axis than time")
        if n.kwargs.get("keepdim"):
            self.refuse(n, "keepdim")
        self.axes.pop(d)
        self.add("pool", over=kind)

    def op_dropout(self, n: Node) -> None:
        p = n.args[1] if len(n.args) > 1 else n.kwargs.get("p", 0.5)
        if self.input_axes is None:
            self.layout(n)
        self.add("dropout", p=float(p))

    def op_softmax(self, n: Node) -> None:
        if self.input_axes is None:
            self.layout(n)
        if self.axes[_dim(n)] != "C":
            self.refuse(n, f"over the axis {self.axes[_dim(n)]}, not over features")
        self.add(n.op)

    op_log_softmax = op_softmax

    def op_embedding(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.Embedding):
            self.refuse(n, "without a module")
        self.tokens = True
        if m.max_norm is not None or m.scale_grad_by_freq:
            self.refuse(n, "max_norm or scale_grad_by_freq")
        if self._time_first(n) and len(self.axes) == 2:
            self.expect(n, "T", "N")
        else:
            self.expect(n, "N", "T")
        self.axes = [*self.axes, "C"]
        arguments = {"num_embeddings": m.num_embeddings, "embedding_dim": m.embedding_dim}
        if m.padding_idx is not None:
            arguments["padding_idx"] = m.padding_idx
        self.add("embedding", m, **arguments)

    def op_linear(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.Linear):
            self.refuse(n, "without a module")
        self.layout(n)
        self.add("linear", m, out_features=m.out_features, **({} if m.bias is not None else {"bias": False}))

    def op_batch_norm(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.BatchNorm1d):
            self.refuse(n, "without a module")
        self.layout(n, True)
        arguments: dict = {"eps": m.eps, "momentum": m.momentum}
        if not m.affine:
            arguments["affine"] = False
        if not m.track_running_stats:
            arguments["track_running_stats"] = False
        self.add("batchnorm", m, **arguments)

    def op_layer_norm(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.LayerNorm) or len(m.normalized_shape) != 1:
            self.refuse(n, "over more than features")
        self.layout(n)
        self.add("layernorm", m, eps=m.eps, **({} if m.elementwise_affine else {"elementwise_affine": False}))

    def op_conv1d(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.Conv1d) or m.groups != 1 or m.padding_mode != "zeros":
            self.refuse(n, "groups or padding_mode")
        self.layout(n, True)
        padding = m.padding if isinstance(m.padding, str) else m.padding[0]
        self.add("conv1d", m, out_channels=m.out_channels, kernel_size=m.kernel_size[0], stride=m.stride[0], padding=padding,
                 dilation=m.dilation[0], **({} if m.bias is not None else {"bias": False}))

    def op_max_pool1d(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, (nn.MaxPool1d, nn.AvgPool1d)):
            self.refuse(n, "without a module")
        one = [x[0] if isinstance(x, tuple) else x for x in (m.kernel_size, m.stride, m.padding)]
        self.layout(n, True)
        self.add("max_pool1d" if isinstance(m, nn.MaxPool1d) else "avg_pool1d", kernel_size=one[0], stride=one[1],
                 **({"padding": one[2]} if one[2] else {}))

    op_avg_pool1d = op_max_pool1d

    def recurrent(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.RNNBase) or getattr(m, "proj_size", 0):
            self.refuse(n, "without a module, or with proj_size")
        self.last_rnn = m
        for hx in n.inputs[1:]:
            if hx.is_param():
                break
            if len(hx.shape) < 2:
                continue                # batch sizes of a packed sequence
            if through(hx, SHAPE_OPS | INDEX_OPS).op not in ("zeros", "zeros_like", "new_zeros"):
                self.refuse(n, "starts from a state")
        packed = self.lengths is not None and len(n.inputs[0].shape) == 2
        if packed and self.input_axes is None:
            self.expect(n, *(("N", "T", "C") if m.batch_first else ("T", "N", "C")))
        elif not packed:
            self.expect(n, *(("N", "T", "C") if m.batch_first else ("T", "N", "C")))
        arguments: dict = {"hidden_size": m.hidden_size}
        if m.num_layers > 1:
            arguments["num_layers"] = m.num_layers
        if m.bidirectional:
            arguments["bidirectional"] = True
        if not m.bias:
            arguments["bias"] = False
        if m.dropout:
            arguments["dropout"] = float(m.dropout)
        if isinstance(m, nn.RNN) and m.nonlinearity == "relu":
            arguments["nonlinearity"] = "relu"
        self.add(type(m).__name__.lower(), m, **arguments)
        self.final = n.index == 1
        if n.index == 2:
            self.refuse(n, "the cell state is read")
        if n.index == 1:
            self.axes = ["L", "N", "C"]
            self.add("pool", over="final")


def _chain(f: Facts, call: Any, given: Node) -> list:
    """The nodes from the model's input to the loss, in the order of computation."""
    start = {id(n): n for n in call.nodes[:1]}
    leads: dict = {}

    def reaches(n: Node) -> bool:
        if id(n) not in leads:
            leads[id(n)] = any(id(a) in start for a in n.ancestors(limit=20000))
        return leads[id(n)]
    nodes, n = [], given
    while id(n) not in start:
        nodes.append(n)
        data = [i for i in n.inputs if not i.is_param() and reaches(i)]
        if n.op in ("cat", "concat") and data:
            first = through(data[0], frozenset(["contiguous"]))
            data = first.inputs[:1]
        elif len({id(i) for i in data}) > 1:
            if n.op in RNN_OPS or n.op in ("_pack_padded_sequence", "__getitem__", "_pad_packed_sequence", "index_select"):
                data = data[:1]
            else:
                at = f.source.shown(*n.line) + ": " if n.line else ""
                raise Refused(f"{at}{n.op.strip('_')} joins two tensors")
        if not data:
            at = f.source.shown(*given.line) if given.line else "the loss"
            raise Refused(f"{at}: what the loss reads does not come from the model's input")
        n = data[0]
    return nodes[::-1]


# ---------------------------------------------------------------- data

def _batches(f: Facts) -> list:
    """(inputs of the root call, target, loss call) of the first epoch's steps."""
    out = []
    for step, loss in f.loss_ops:
        if step.epoch > 1:
            break
        roots = [c for c in step.root if c.grad and c.inputs]
        if len(roots) != 1 or loss.target is None:
            if roots:
                raise Refused("several forward passes in a training step")
            raise Refused("the loss is computed without a module")
        out.append((roots[0], loss))
    if f.single and len(out) > 1 and all(torch.equal(out[0][0].inputs[0], r.inputs[0]) if r.inputs[0].shape ==
                                         out[0][0].inputs[0].shape else False for r, _ in out):
        out = out[:1]
    return out


def _arrays(f: Facts, model: _Model, batches: list) -> dict:
    """X, y and lengths of the config."""
    xs, ys, lengths = [], [], []
    for root, loss in batches:
        x = root.inputs[0]
        axes = list(model.input_axes or [])
        axes += ["C"] * (x.dim() - len(axes))
        order = [axes.index(a) for a in ("N", "T", "C") if a in axes]
        x = x.permute(order)
        if "T" not in axes:
            x = x.unsqueeze(1)
        if "C" not in axes and not model.tokens:
            x = x.unsqueeze(2)
        xs.append(x)
        n, t = x.shape[:2]
        y = loss.target
        if model.per_step:
            y = y.reshape(t, n).t() if model.out_order == "TN" else y.reshape(n, t, *y.shape[2:]) if y.dim() <= 2 else y
        elif y.dim() == 2 and y.shape[1] == 1:
            y = y[:, 0]
        ys.append(y)
        if model.lengths is not None:
            found = [i for i in root.inputs[1:] if i.dim() == 1 and len(i) == n and not i.is_floating_point()]
            if not found:
                raise Refused("the lengths of packed sequences are no input of the model")
            lengths.append(found[0])
    most = max(x.shape[1] for x in xs)
    if len({x.shape[1] for x in xs}) > 1:
        if model.lengths is None:
            raise Refused("batches are padded to their own longest sequence, without lengths")
        xs = [torch.cat([x, x.new_zeros(x.shape[0], most - x.shape[1], *x.shape[2:])], 1) for x in xs]
    sizes = [len(x) for x in xs]
    if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
        raise Refused("batches of different sizes")
    out = {"X": torch.cat(xs), "y": torch.cat(ys), "batch_size": sizes[0]}
    out["X"] = out["X"].to(torch.int64 if model.tokens else torch.float32)
    out["y"] = out["y"].to(torch.float32 if out["y"].is_floating_point() else torch.int64)
    if lengths:
        out["lengths"] = torch.cat(lengths).to(torch.int64)
    return out


# ---------------------------------------------------------------- the config

def _scalar(v: Any) -> str:
    if v is None:
        return "null"
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, float):
        return repr(v) if "e" not in repr(v) or "." in repr(v) else repr(v).replace("e", ".0e")
    if isinstance(v, (list, tuple)):
        return "[" + ", ".join(_scalar(x) for x in v) + "]"
    return str(v)


def _map(d: dict) -> str:
    return "{" + ", ".join(f"{k}: {_scalar(v)}" for k, v in d.items()) + "}"


def _loss(f: Facts, call: Any) -> str:
    op, kw, note = call.node.op, call.node.kwargs, call.node.note or {}
    if op not in _LOSSES:
        raise Refused(f"{f.source.shown(*call.node.line)}: {op} is not in the grammar")
    if kw.get("reduction", "mean") != "mean":
        raise Refused(f"{f.source.shown(*call.node.line)}: reduction {kw.get('reduction')}")
    arguments: dict = {}
    if op in ("cross_entropy", "nll_loss"):
        if note.get("weight") is not None:
            arguments["weight"] = [float(x) for x in note["weight"]]
        if kw.get("label_smoothing"):
            arguments["label_smoothing"] = kw["label_smoothing"]
        if kw.get("ignore_index", -100) != -100:
            arguments["ignore_index"] = kw["ignore_index"]
    elif op == "binary_cross_entropy_with_logits":
        if note.get("pos_weight") is not None:
            arguments["pos_weight"] = [float(x) for x in note["pos_weight"].reshape(-1)]
        elif note.get("weight") is not None:
            raise Refused(f"{f.source.shown(*call.node.line)}: weight of {op}")
    elif op == "huber_loss":
        arguments["delta"] = float(kw.get("delta", 1.0))
    elif op == "smooth_l1_loss":
        arguments["beta"] = float(kw.get("beta", 1.0))
    return _LOSSES[op] if not arguments else "{" + f"{_LOSSES[op]}: {_map(arguments)}" + "}"


def _optimizer(f: Facts) -> str:
    trained = [o for o in f.optimizers if o.ref() is not None] or f.optimizers
    if not trained:
        return "adam"
    if len(trained) > 1 and not all(o.cls is trained[0].cls for o in trained):
        raise Refused(f"{f.source.shown(*trained[1].line)}: a second optimizer")
    o = trained[0]
    words = {"SGD": ("momentum", "dampening", "weight_decay", "nesterov"), "Adam": ("betas", "eps", "weight_decay", "amsgrad"),
             "AdamW": ("betas", "eps", "weight_decay", "amsgrad"),
             "RMSprop": ("alpha", "eps", "weight_decay", "momentum", "centered")}
    if o.name not in words:
        raise Refused(f"{f.source.shown(*o.line)}: the optimizer {o.name} is not in the grammar")
    arguments = {"lr": float(o.lr[0]), **{k: o.defaults[k] for k in words[o.name] if k in o.defaults}}
    return "{" + f"{o.name.lower()}: {_map(arguments)}" + "}"


def _scheduler(f: Facts) -> tuple:
    """The scheduler's line, and a comment where there is one that the grammar lacks."""
    from .check_train import _per_batch
    words = {"StepLR": ("step_lr", ("step_size", "gamma")), "MultiStepLR": ("multistep_lr", ("milestones", "gamma")),
             "ExponentialLR": ("exponential_lr", ("gamma",)), "CosineAnnealingLR": ("cosine_annealing_lr", ("T_max", "eta_min")),
             "LinearLR": ("linear_lr", ("start_factor", "end_factor", "total_iters")),
             "ReduceLROnPlateau": ("reduce_lr_on_plateau", ("mode", "factor", "patience", "threshold", "cooldown"))}
    for s in f.rec.schedulers.values():
        live = s.ref()
        if live is None:
            continue
        if s.name not in words:
            return None, f"# {f.source.shown(*s.line)}: {s.name} has no counterpart here\n"
        name, keys = words[s.name]
        arguments = {}
        for k in keys:
            v = getattr(live, k, None)
            if k == "milestones" and v is not None:
                v = sorted(v.elements())
            if v is not None:
                arguments[k] = v
        if s.name != "ReduceLROnPlateau":
            arguments["interval"] = "batch" if _per_batch(f, s) else "epoch"
        return "{" + f"{name}: {_map(arguments)}" + "}", ""
    return None, ""


def _safetensors(path: str, tensors: dict) -> None:
    """Writes a state dict as safetensors."""
    kinds = {np.dtype("float32"): "F32", np.dtype("int64"): "I64", np.dtype("float64"): "F64"}
    header, data, at = {}, [], 0
    for name, t in tensors.items():
        a = np.ascontiguousarray(t.detach().cpu().numpy())
        if t.dim() == 0:
            a = a.reshape(())
        raw = a.tobytes()
        header[name] = {"dtype": kinds[a.dtype], "shape": list(t.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def convert(f: Facts, folder: str, error: Any) -> str:
    """Writes the config, weights and data into `folder`; returns what does not fit, "" where all fits."""
    if error is not None:
        return f"the script stopped with {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if not f.steps:
        return "no training step was seen"
    try:
        _write(f, folder)
        return ""
    except Refused as e:
        return str(e)
    except OSError as e:
        return f"{folder}: {e.strerror}"
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as e:
        if os.environ.get("CLRNN_DEBUG"):
            import traceback
            traceback.print_exc()
        return f"the forward pass is not a chain of layers ({e})"


def _write(f: Facts, folder: str) -> None:
    steps = f.steps[:1]
    losses = [c for s, c in f.loss_ops if s is steps[0]]
    if len(losses) != 1:
        raise Refused(f"{len(losses)} of torch's losses in a training step; the config has one")
    call = losses[0]
    if through(f.first.loss) is not call.node:
        n = f.first.loss
        raise Refused(f"{f.source.shown(*n.line) if n.line else 'the loss'}: {n.op.strip('_')}: the loss is more than "
                      f"{call.node.op}")
    batches = _batches(f)
    root = batches[0][0]
    if not root.training and any(isinstance(m, (nn.modules.batchnorm._BatchNorm, nn.Dropout)) for m in root.module.modules()):
        raise Refused(f"{f.source.shown(*root.line)}: training steps run in eval mode")
    model = _Model(f, root)
    model.axes = list(range(root.inputs[0].dim()))
    model.nodes = _chain(f, root, call.given)
    for n in model.nodes:
        model.step(n)
    _outputs(f, model, call)
    data = _arrays(f, model, batches)
    loss, optimizer, (scheduler, comment) = _loss(f, call), _optimizer(f), _scheduler(f)
    lines = [f"# {os.path.basename(f.source.path)} as a config", "model:", "  layers:"]
    lines += [f"    - {kind}: {_map(a)}" for kind, a in model.layers]
    lines += ["train:", f"  loss: {loss}", f"  optimizer: {optimizer}"]
    if scheduler:
        lines.append(f"  scheduler: {scheduler}")
    lines += [f"  epochs: {f.rec.epochs or 1}", f"  batch_size: {data['batch_size']}", "  shuffle: false"]
    clips = [c for c in f.rec.clips if c[1] == "norm"]
    if clips and 0 < clips[0][2] < float("inf"):
        lines.append(f"  clip_grad_norm: {_scalar(clips[0][2])}")
    files = {"x": "X.npy", "y": "y.npy", **({"lengths": "lengths.npy"} if "lengths" in data else {})}
    lines += ["data:", f"  train: {_map(files)}"]
    text = comment + "\n".join(lines) + "\n"
    _accepted(text)
    state = f.rec.first_state.get(id(root.module)) or {}
    wanted = {}
    for key, t in state.items():
        prefix, _, last = key.rpartition(".")
        if prefix in model.names:
            wanted[f"{model.names[prefix]}.{last}"] = t
    os.makedirs(folder, exist_ok=True)
    _safetensors(os.path.join(folder, "init.safetensors"), wanted)
    for name in ("X", "y", "lengths"):
        if name in data:
            np.save(os.path.join(folder, f"{name}.npy"), data[name].cpu().numpy())
    with open(os.path.join(folder, "config.yaml"), "w", encoding="utf-8") as out:
        out.write(text)


def _outputs(f: Facts, model: _Model, call: Any) -> None:
    """Whether the loss is one of samples or of steps, and whether predictions and targets have the same shape."""
    axes = [a for a in model.axes if a != "new"]
    op = call.node.op
    model.per_step, model.out_order = False, "NT"
    kinds = [k for k, a in model.layers]
    pooled = any(k in ("pool", "flatten") for k in kinds)
    if op not in ("cross_entropy", "nll_loss") and call.given.shape != call.wanted.shape:
        raise Refused(f"{f.source.shown(*call.node.line)}: {tuple(call.given.shape)} against {tuple(call.wanted.shape)}")
    if call.wanted.dtype.is_floating_point and op in ("cross_entropy", "nll_loss"):
        raise Refused(f"{f.source.shown(*call.node.line)}: probabilities as targets")
    if axes in (["N", "C"], ["N"]):
        if not pooled:
            model.add("pool", over="last")
    elif axes and axes[0] in ("NT", "TN"):
        model.per_step, model.out_order = True, axes[0]
    elif "T" in axes and "N" in axes:
        model.per_step = True
        model.out_order = "TN" if axes.index("T") < axes.index("N") else "NT"
    else:
        raise Refused(f"{f.source.shown(*call.node.line)}: the loss reads the axes {axes}")


def _accepted(text: str) -> None:
    """Asks the library, where it is there, whether it reads the config."""
    import ctypes

    from .. import _library as lib
    try:
        library = lib.library()
    except ImportError:
        return
    log, config = lib.Log(), ctypes.c_void_p()
    status = library.clrnn_config_parse(ctypes.byref(log), text.encode(), None, ctypes.byref(config))
    if status:
        raise Refused(f"the config: {log.errors[-1] if log.errors else 'refused'}")
    library.clrnn_config_destroy(ctypes.byref(config))


__all__ = ["convert", "tensors_in"]
