# SPDX-License-Identifier: MIT
"""Training from memory."""
from __future__ import annotations

import ctypes
import json
import os
from typing import Any, Callable, List, Optional, Sequence

from ._data import ArrayLike, Config, ConfigLike, scratch, sets_of
from ._model import Device, Model
from ._structs import Progress, Record, TrainParams, TrainResult, plain

_PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(Progress))


class Run:
    """A finished or interrupted run.

    folder: the run folder; without `out` a temporary one that lives as long as the Run. metrics: a dict an epoch, the
    lines of metrics.jsonl. result: figures of the whole run (best_epoch, steps, seconds, ...). model: the weights at
    the end. stopped: the callback ended it.
    """

    def __init__(self, device: Device, folder: str, result: TrainResult, stopped: bool, temporary: Any) -> None:
        self.folder, self.stopped, self._temporary, self._device = folder, stopped, temporary, device
        self.result: Record = plain(result)
        with open(os.path.join(folder, "metrics.jsonl"), encoding="utf-8") as f:
            self.metrics: List[Record] = [r for r in map(Record, map(json.loads, f)) if "epoch" in r]
        self.model = Model(device, os.path.join(folder, "last.safetensors"))

    @property
    def best(self) -> Model:
        """The model of the epoch with the lowest validation loss (without validation: training loss)."""
        return Model(self._device, os.path.join(self.folder, "best.safetensors"))

    def save(self, path: "str | os.PathLike[str]") -> None:
        """As Model.save."""
        self.model.save(path)


class _Watch:
    """Hears of progress; Ctrl-C and a callback that returns True end the run after a checkpoint."""

    def __init__(self, callback: Optional[Callable[[Record], Any]]) -> None:
        self.stop, self.error = ctypes.c_int(0), None
        self.stopped = False

        def receive(_user: Any, progress: Any) -> None:
            try:
                line = progress.contents.metrics
                if callback and line and not self.stop.value and callback(Record(json.loads(line))):
                    self.stopped = True
            except BaseException as e:  # KeyboardInterrupt too: it is raised again when the library is done
                self.error = self.error or e
            if self.stopped or self.error:
                self.stop.value = 1
        self.receive = _PROGRESS(receive)


def train(config: ConfigLike, X: Optional[ArrayLike] = None, y: Optional[ArrayLike] = None, *,
          valid: Optional[Sequence[Any]] = None, lengths: Optional[ArrayLike] = None,
          weights: Optional[ArrayLike] = None, y_lengths: Optional[ArrayLike] = None, device: Optional[str] = None,
          out: "str | os.PathLike[str] | None" = None, init: "str | os.PathLike[str] | None" = None,
          callback: Optional[Callable[[Record], Any]] = None) -> Run:
    """Trains a model. The metrics are bit for bit those of `clrnn train` with the same config and data.

    config: a dict with the sections of a config file, its path, or its text. X: (N, T, C), (N, C), tokens (N, T), or a
    list of N sequences (T_i, C); float32 in C order is read where it lies. y: (N), (N, O), or per step (N, T),
    (N, T, O); for ctc labels (N, L), with the number of each sample's labels in y_lengths (N). weights: (N). valid:
    (X, y), (X, y, lengths), or (X, y, lengths, weights, y_lengths) with None for what there is not. Without X the
    config's own data are read.
    out: the run folder; None: a temporary one. init: safetensors to start from. callback: called with each epoch's
    metrics; returning True ends the run. device: as in clrnn.load.
    Raises ConfigError, DataError, DeviceError, ArgumentError, ResourceError, each with one sentence.
    """
    made = Config(config, **sets_of(X, y, valid, lengths, weights, y_lengths))
    opened, watch, result = Device.get(device), _Watch(callback), TrainResult()
    temporary = scratch() if out is None else None
    folder = os.path.join(temporary.name, "run") if temporary else os.fspath(out)
    params = TrainParams(config=made.handle, out=os.fsencode(folder), init=None if init is None else os.fsencode(init),
                         progress=ctypes.cast(watch.receive, ctypes.c_void_p), stop=ctypes.addressof(watch.stop))
    opened.call("clrnn_train", opened.handle, ctypes.byref(params), ctypes.byref(result))
    if watch.error:
        raise watch.error
    return Run(opened, folder, result, watch.stopped, temporary)
