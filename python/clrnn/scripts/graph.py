# SPDX-License-Identifier: MIT
"""The graph of recorded torch calls: what each tensor was made of, on which line."""
from __future__ import annotations

import weakref
from typing import Any, Iterator, Optional

import torch

# Ops that hand their first argument on: same values, perhaps in another shape.
SHAPE_OPS = frozenset("""view reshape squeeze unsqueeze permute transpose contiguous flatten clone t T mT swapaxes
    swapdims movedim moveaxis unflatten view_as reshape_as expand expand_as detach data to float double half cpu cuda
    type_as long int type requires_grad_ alias unbind split chunk squeeze_ unsqueeze_ narrow from_numpy tensor
    as_tensor detach_ pin_memory numpy cast""".split())
# Ops that take rows or elements of their first argument.
INDEX_OPS = frozenset("__getitem__ index_select gather take select narrow split unbind chunk masked_select".split())
RNN_OPS = frozenset("lstm gru rnn_tanh rnn_relu".split())
CELL_OPS = frozenset("lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell".split())
LOSS_OPS = frozenset("""cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy kl_div
    binary_cross_entropy_with_logits ctc_loss gaussian_nll_loss poisson_nll_loss margin_ranking_loss hinge_embedding_loss
    triplet_margin_loss cosine_embedding_loss multi_margin_loss multilabel_margin_loss soft_margin_loss
    multilabel_soft_margin_loss""".split())
# losses that compare outputs with each other
PAIRED_LOSSES = frozenset("margin_ranking_loss triplet_margin_loss cosine_embedding_loss".split())
REGRESSION_LOSSES = frozenset("mse_loss l1_loss smooth_l1_loss huber_loss".split())


class Node:
    """One output of one recorded call."""
    __slots__ = ("op", "line", "inputs", "args", "kwargs", "shape", "dtype", "rg", "in_rg", "grad_mode", "step", "call",
                 "index", "modules", "param", "note", "ref", "order", "__weakref__")

    def __init__(self, op: str) -> None:
        self.op = op
        self.line: Optional[tuple] = None       # (file, line) of the script
        self.inputs: list = []
        self.args: tuple = ()                   # tensors replaced by nodes
        self.kwargs: dict = {}
        self.shape: tuple = ()
        self.dtype: Any = None
        self.rg = self.in_rg = False            # requires_grad of the output; of any input
        self.grad_mode = True
        self.step = 0
        self.call = self.index = 0
        self.modules: tuple = ()                # ids of the modules whose forward runs, outermost first
        self.param: Any = None                  # weak reference to a parameter
        self.note: Any = None                   # what a hook knows of it: a permutation's values, a loader
        self.ref: Any = None                    # weak reference to the tensor
        self.order = 0

    def __deepcopy__(self, memo: Any) -> "Node":
        return self

    def ancestors(self, differentiable: bool = False, limit: int = 200000) -> Iterator["Node"]:
        """The node and all that it was made of; only along gradients where `differentiable`."""
        seen, stack = {id(self)}, [self]
        while stack and len(seen) < limit:
            n = stack.pop()
            yield n
            if differentiable and not n.grad_mode:
                continue                # made under no_grad, as a weight changed in place: no gradient flows further
            for i in n.inputs:
                if id(i) not in seen and (i.rg or not differentiable):
                    seen.add(id(i))
                    stack.append(i)

    def lineage(self, ops: frozenset = SHAPE_OPS | INDEX_OPS) -> Iterator["Node"]:
        """The node and its first inputs as long as the ops in between are among `ops`."""
        n = self
        while True:
            yield n
            if n.op not in ops or not n.inputs:
                return
            n = n.inputs[0]

    def is_param(self) -> bool:
        return self.op == "param"


class Graph:
    """Which node each living tensor is."""

    def __init__(self) -> None:
        self.of: dict = {}
        self.count = 0

    def find(self, t: torch.Tensor) -> Optional[Node]:
        entry = self.of.get(id(t))
        return entry[1] if entry and entry[0]() is t else None

    def node(self, t: torch.Tensor) -> Node:
        """The tensor's node; a new leaf for one that no recorded call has made."""
        found = self.find(t)
        if found is None:
            found = Node("param" if isinstance(t, torch.nn.Parameter) else "leaf")
            if found.op == "param":
                found.param = weakref.ref(t)
            self.keep(t, found)
        return found

    def keep(self, t: torch.Tensor, node: Node) -> None:
        key, of = id(t), self.of

        def gone(ref: Any) -> None:
            if key in of and of[key][0] is ref:
                del of[key]
        self.count += 1
        node.order = self.count
        node.shape, node.dtype, node.rg = tuple(t.shape), t.dtype, t.requires_grad
        node.ref = weakref.ref(t, gone)
        of[key] = (node.ref, node)


def tensors_in(values: Any, depth: int = 3) -> Iterator[torch.Tensor]:
    """The tensors in nested tuples, lists and dicts, and those of packed sequences."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, (list, tuple)) and depth:
        for v in values:
            yield from tensors_in(v, depth - 1)
    elif isinstance(values, dict) and depth:
        for v in values.values():
            yield from tensors_in(v, depth - 1)


def through(node: Node, ops: frozenset = SHAPE_OPS) -> Node:
    """What lies behind ops that hand their first argument on."""
    last = node
    for last in node.lineage(ops):
        pass
    return last
