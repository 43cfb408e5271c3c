# SPDX-License-Identifier: MIT
"""The forward pass of a recorded step as a chain of the config's layers."""
from __future__ import annotations

import re
from typing import Any, Optional

from torch import nn

from .check_model import _dim, _picked
from .facts import RNN_OPS, Facts, Node, through
from .graph import INDEX_OPS, SHAPE_OPS

_SAME = frozenset("contiguous clone float double to cpu cuda type alias data cast expand type_as requires_grad_".split())
_POINTWISE = {"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid", "round": "round", "relu_": "relu", "tanh_": "tanh",
              "sigmoid_": "sigmoid", "gelu": "gelu", "silu": "silu", "elu": "elu", "softplus": "softplus",
              "leaky_relu": "leaky_relu"}
_ARGUMENTS = {"leaky_relu": (("negative_slope", 0.01),), "elu": (("alpha", 1.0),), "gelu": (("approximate", "none"),),
              "softplus": (("beta", 1.0), ("threshold", 20.0))}     # torch's, in its order, with defaults


class Refused(Exception):
    """What does not fit the grammar."""


class Chain:
    """The chain of layers while it is followed from the input to the loss."""

    def __init__(self, f: Facts, call: Any) -> None:
        self.f, self.call, self.layers = f, call, []
        self.names: dict = {}           # module prefix: layer name
        self.axes: list = []            # "N", "T", "C", "NT", "TN", "L", or a number: still an input's axis
        self.input_axes: Optional[list] = None
        self.tokens = False
        self.lengths: Optional[Node] = None
        self.padded = False             # a packed sequence has become steps with padding again
        self.final = False              # h_n of the layer before
        self.prefix = {id(m): name for name, m in call.module.named_modules()}
        self.sizes: list = []
        self.time_axis: Optional[int] = None    # time axis of per-step predictions; None: merged with N

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
            if prefix in self.names:
                raise Refused(f"{prefix} runs twice in a forward pass")
            while name in self.names.values():      # of b.0 and b_0
                name += "_"
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
            for at, (key, default) in enumerate(_ARGUMENTS.get(kind, ()), 1):
                value = n.args[at] if len(n.args) > at else n.kwargs.get(key, default)
                if value != default:
                    arguments[key] = value
            for key, value in n.kwargs.items():
                if value and key not in ("inplace", "input", *(key for key, _ in _ARGUMENTS.get(kind, ()))):
                    self.refuse(n, f"{key} {value} is not in the grammar")
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
            self.valid_steps(n)
            self.axes.pop(picked[0])
            self.add("pool", over="last")
            if n.shape and len(n.shape) == len(n.inputs[0].shape):
                self.axes.insert(picked[0], "new")
        elif label in ("C", "new") and steps == 1:
            self.axes.pop(picked[0])
        elif n.shape == n.inputs[0].shape and _slices(n):
            return
        else:
            self.refuse(n, "takes a part that no pool takes")

    op_select = op_getitem

    def valid_steps(self, n: Node) -> None:
        """The config's pools read valid steps alone."""
        if self.padded:
            self.refuse(n, "reads the padding of packed sequences, which the config's pool leaves out")

    def over_layers(self, at: int, count: int) -> bool:
        """h_n[at] is the top layer's state of a layer with one direction."""
        return at in (-1, count - 1) and not self.last_rnn.bidirectional

    def op_index_select(self, n: Node) -> None:
        if self.lengths is None and not any(x.op == "_pack_padded_sequence" for x in self.nodes):
            self.refuse(n, "takes rows")

    def op_pack_padded_sequence(self, n: Node) -> None:
        self.lengths, self.padded = n.inputs[1] if len(n.inputs) > 1 else None, False
        if self.lengths is None:
            self.refuse(n, "lengths are not seen")
        if n.args and n.args[-1] is False and self.input_axes is None:
            self.axes = [self.axes[1], self.axes[0], *self.axes[2:]]

    def op_pad_packed_sequence(self, n: Node) -> None:
        self.padded = True
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
        self.valid_steps(n)
        if n.kwargs.get("keepdim"):
            self.refuse(n, "keepdim")
        self.axes.pop(d)
        self.add("pool", over=kind)

    def op_dropout(self, n: Node) -> None:
        p = n.args[1] if len(n.args) > 1 else n.kwargs.get("p", 0.5)
        if not (n.args[2] if len(n.args) > 2 else n.kwargs.get("training", True)):
            return
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
        if m.elementwise_affine and m.bias is None:
            self.refuse(n, "without a bias is not in the grammar")
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
        one = [x[0] if isinstance(x, tuple) else x
               for x in (m.kernel_size, m.stride, m.padding, getattr(m, "dilation", 1))]
        if m.ceil_mode:
            self.refuse(n, "ceil_mode is not in the grammar")
        arguments = {"kernel_size": one[0], "stride": one[1], **({"padding": one[2]} if one[2] else {})}
        if one[3] != 1:
            arguments["dilation"] = one[3]
        if not getattr(m, "count_include_pad", True):
            arguments["count_include_pad"] = False
        self.layout(n, True)
        self.add("max_pool1d" if isinstance(m, nn.MaxPool1d) else "avg_pool1d", **arguments)

    op_avg_pool1d = op_max_pool1d

    def recurrent(self, n: Node) -> None:
        m = self.f.module_of(n)
        if not isinstance(m, nn.RNNBase):
            self.refuse(n, "without a module")
        self.last_rnn = m
        for hx in n.inputs[1:]:
            if hx.is_param() and any(hx.param() is p for p in m.parameters()):
                break                   # the weights follow
            if len(hx.shape) < 2:
                continue                # batch sizes of a packed sequence
            if through(hx, SHAPE_OPS | INDEX_OPS).op not in ("zeros", "zeros_like", "new_zeros"):
                self.refuse(n, "starts from a state")
        packed = self.lengths is not None and len(n.inputs[0].shape) == 2
        if not packed and (m.bidirectional or n.index):
            self.valid_steps(n)
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
        if getattr(m, "proj_size", 0):
            arguments["proj_size"] = m.proj_size
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


def _slices(n: Node) -> bool:
    """Whether an index has slices alone."""
    index = n.args[1] if len(n.args) > 1 else None
    return all(isinstance(i, slice) or i is Ellipsis for i in (index if isinstance(index, tuple) else (index,)))


def nodes_of(f: Facts, call: Any, given: Node) -> list:
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
