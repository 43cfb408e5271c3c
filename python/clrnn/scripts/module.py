# SPDX-License-Identifier: MIT
"""A torch module in hand as a config and weights: one training step of a copy is recorded and converted."""
from __future__ import annotations

import copy
import os
import weakref
from typing import Any, Callable, Dict, Optional, Tuple, Union

import torch
from torch import Tensor, nn

from .._library import ConfigError
from .chain import Refused
from .convert import accepted, made_of, optimizer_line
from .facts import Facts
from .record import Recorder

_LOSSES: Dict[str, Callable] = {
    "cross_entropy": nn.functional.cross_entropy, "nll": nn.functional.nll_loss, "mse": nn.functional.mse_loss,
    "bce_with_logits": nn.functional.binary_cross_entropy_with_logits, "l1": nn.functional.l1_loss,
    "smooth_l1": nn.functional.smooth_l1_loss, "huber": nn.functional.huber_loss}
_OWN = (os.path.dirname(torch.__file__), os.path.dirname(os.path.dirname(__file__)))


class _Everywhere:
    """In place of a script's text: every file but torch's and this package's is the user's."""

    path, loops = "module", ()

    def is_users(self, path: str) -> bool:
        return not path.startswith(_OWN) and not path.startswith("<")

    def shown(self, path: str, line: int) -> str:
        return f"{os.path.basename(path)}:{line}"


def _example(module: nn.Module) -> Tensor:
    """A batch that the first layer with a size reads."""
    time_first = next((not m.batch_first for m in module.modules() if isinstance(m, nn.RNNBase)), False)
    for m in module.modules():
        if isinstance(m, nn.Embedding):
            return torch.zeros((5, 3) if time_first else (3, 5), dtype=torch.int64)
        if isinstance(m, nn.RNNBase):
            return torch.randn(*((5, 3) if time_first else (3, 5)), m.input_size)
        if isinstance(m, nn.Conv1d):
            return torch.randn(3, m.in_channels, 64)
        if isinstance(m, nn.Linear):
            return torch.randn(3, m.in_features)
    raise Refused("no layer tells the input's size: give an example x")


def _target(out: Tensor, name: str) -> Tuple[Tensor, Tensor]:
    """The output as the loss reads it, and a target that fits."""
    if name not in ("cross_entropy", "nll"):
        return out, torch.zeros_like(out)
    flat = out.reshape(-1, out.shape[-1])
    return flat, torch.zeros(len(flat), dtype=torch.int64)


def to_config(module: nn.Module, x: Optional[Tensor] = None, *, loss: Union[str, nn.Module] = "cross_entropy",
              optimizer: Union[str, torch.optim.Optimizer] = "adam") -> Tuple[str, Dict[str, Any]]:
    """A module as a config's text, sections model and train, and its weights by the config's names (NumPy arrays).

    module: a chain of layers that the config's grammar has, with any forward that only hands on. x: an example batch;
    None: one is made for the first layer. loss: a loss of the config, or one of torch.nn's. optimizer: an optimizer of
    the config, or one of torch.optim's with its arguments. The module is not changed.
    Raises ConfigError with the line and the op that do not fit.
    """
    name = loss if isinstance(loss, str) else ""
    if name and name not in _LOSSES:
        raise ConfigError(f"loss is {name!r}, expected one of {', '.join(_LOSSES)}, or a loss of torch.nn")
    call: Any = _LOSSES[name] if name else loss
    if not name and isinstance(loss, (nn.CrossEntropyLoss, nn.NLLLoss)):
        name = "cross_entropy"
    twin = copy.deepcopy(module).train()
    rec = Recorder(_Everywhere(), 2, 60.0)      # type: ignore[arg-type]
    for m in twin.modules():
        m.__class__ = next((cls for cls in (nn.RNN, nn.GRU, nn.LSTM) if isinstance(m, cls)), m.__class__)
        rec.made[id(m)] = (weakref.ref(m), [], 0, 0, [])
    try:
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            given = _example(twin) if x is None else x.detach()
            with rec:
                out = twin(given)
                out = out[0] if isinstance(out, tuple) else out
                call(*_target(out, name)).backward()
        lines, weights, _, _ = made_of(Facts(rec))
    except (Refused, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as e:
        why = str(e) if isinstance(e, Refused) else f"the forward pass is not a chain of layers ({e})"
        raise ConfigError(f"{type(module).__name__} is not in the grammar: {why}") from None
    try:
        words = optimizer if isinstance(optimizer, str) else optimizer_line(type(optimizer).__name__,
                                                                            optimizer.param_groups)
    except Refused as e:
        raise ConfigError(str(e)) from None
    text = "\n".join(f"  optimizer: {words}" if line.startswith("  optimizer:") else line for line in lines
                     if not line.startswith(("  epochs:", "  batch_size:", "  shuffle:"))) + "\n"
    try:
        accepted(text)
    except Refused as e:
        raise ConfigError(str(e)) from None
    return text, {key: t.detach().cpu().numpy() for key, t in weights.items()}
