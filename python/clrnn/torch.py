# SPDX-License-Identifier: MIT
"""Drop-ins for torch.nn.RNN, LSTM and GRU that run forward and backward on an OpenCL device.

    >>> from clrnn.torch import LSTM
    >>> rnn = LSTM(10, 20, num_layers=2, batch_first=True, device="gpu")
    >>> y, (hn, cn) = rnn(x)            # x: float32 (N, T, 10), a PackedSequence, or (T, 10)
"""
from __future__ import annotations

import ctypes
import os
import threading
from typing import Any, Callable, List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ._library import ArgumentError, library
from ._model import Device
from ._structs import LayerGradients, LayerInput, LayerOutput, LayerParams
from .scripts.module import to_config

__all__ = ["GRU", "LSTM", "RNN", "to_config"]

_KINDS = {"RNN_TANH": 0, "RNN_RELU": 0, "LSTM": 1, "GRU": 2}


def _at(tensor: Optional[Tensor]) -> Optional[int]:
    return None if tensor is None else tensor.data_ptr()


def _pointers(tensors: Sequence[Optional[Tensor]]) -> Any:
    return (ctypes.c_void_p * len(tensors))(*[_at(t) for t in tensors])


def _check_tensor(name: str, tensor: Tensor) -> None:
    if tensor.device.type != "cpu":
        raise ArgumentError(f"{name} is on {tensor.device}, expected on the CPU: clrnn.torch moves tensors to its OpenCL "
                            "device itself")
    if tensor.dtype != torch.float32:
        raise ArgumentError(f"{name} is {tensor.dtype}, expected torch.float32")


class _Workers:
    """torch's OpenMP threads. After each parallel operation they poll for more work for milliseconds, on cores that a
    CPU device's threads need."""

    def __init__(self) -> None:
        self.process = os.getpid()      # a forked one lacks the threads, and would wait for them
        try:
            openmp, libc = ctypes.CDLL(torch._C.__file__), ctypes.CDLL(None)    # the runtime that torch is linked to
            self.start, self.join = openmp.GOMP_parallel_start, openmp.GOMP_parallel_end
            self.block = ctypes.cast(libc.pthread_rwlock_rdlock, ctypes.c_void_p)
            self.lock, self.unlock = libc.pthread_rwlock_wrlock, libc.pthread_rwlock_unlock
        except (AttributeError, OSError):   # another runtime, another system
            self.start = None

    def asleep(self, call: Callable, *arguments: Any) -> Any:
        """What call(*arguments) returns; meanwhile they sleep, each waiting for a lock in a parallel region."""
        count = torch.get_num_threads()
        if self.start is None or count < 2 or os.getpid() != self.process:
            return call(*arguments)
        lock = ctypes.create_string_buffer(128)    # zeros: an unlocked pthread_rwlock_t
        self.lock(lock)
        try:
            self.start(self.block, lock, count)
            return call(*arguments)
        finally:
            self.unlock(lock)
            self.join()


_workers = _Workers()


class _Layer:
    """A layer of the library, made when it is first needed; copies and pickles of it are new ones."""

    _making = threading.Lock()

    def __init__(self, select: Optional[str], arguments: dict) -> None:
        self.select, self.arguments, self.handle = select, arguments, ctypes.c_void_p()
        self.names: List[str] = []
        self.shapes: List[Tuple[int, ...]] = []
        self.forwards = self.has = 0    # how many there were; the one whose weights the device has

    def make(self) -> None:
        """Makes it where it is not made. Raises DeviceError, ArgumentError, ConfigError."""
        with self._making:
            if self.handle:
                return
            self.device, params = Device.get(self.select), LayerParams(**self.arguments)
            self.device.call("clrnn_layer_create", self.device.handle, ctypes.byref(params), ctypes.byref(self.handle))
            lib = library()
            params = [lib.clrnn_layer_param(self.handle, ctypes.c_size_t(i)).contents
                      for i in range(lib.clrnn_layer_param_count(self.handle))]
            self.names = [p.name.decode() for p in params]
            self.shapes = [tuple(p.shape[:p.ndim]) for p in params]

    def call(self, name: str, *arguments: Any) -> None:
        """Calls clrnn_layer_forward or backward, and raises its error."""
        if self.device.type == "CPU":
            _workers.asleep(self.device.call, name, *arguments)
        else:
            self.device.call(name, *arguments)

    def __reduce__(self) -> tuple:
        return _Layer, (self.select, self.arguments)

    def __del__(self) -> None:
        if getattr(self, "handle", None) and self.device.is_here():
            with self.device.lock:
                library().clrnn_layer_destroy(ctypes.byref(self.handle))


class _Pass:
    """What a forward left for its backward; holds the layer."""

    def __init__(self, layer: _Layer) -> None:
        self.layer, self.handle, self.number = layer, ctypes.c_void_p(), 0

    def __del__(self) -> None:
        if getattr(self, "handle", None) and self.layer.device.is_here():
            with self.layer.device.lock:
                library().clrnn_layer_pass_destroy(ctypes.byref(self.handle))


class _Once(torch.autograd.Function):
    """Returns the gradients of a backward. Differentiating them by any tensor that they depend on is an error."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Optional[Tensor]) -> Tuple[Optional[Tensor], ...]:
        """tensors: `count` gradients, then the tensors that they depend on."""
        return tuple(None if g is None else g.view_as(g) for g in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *_: Any) -> tuple:
        raise RuntimeError("the gradients of a layer of clrnn.torch cannot be differentiated again: where a loss holds "
                           "gradients (gradient penalty, Hessian), use torch.nn's layer")


class _Run(torch.autograd.Function):
    """y (T, N, D*P), hn (L*D, N, P), cn (L*D, N, H) of x (T, N, C), h0, c0 and the weights."""

    @staticmethod
    def forward(ctx: Any, layer: _Layer, options: dict, x: Tensor, h0: Optional[Tensor], c0: Optional[Tensor],
                *weights: Tensor) -> Tuple[Optional[Tensor], ...]:
        T, N, _ = x.shape
        inputs = [t for t, needed in zip((x, h0, c0), ctx.needs_input_grad[2:5]) if needed]
        levels, P, H, D = options["levels"], options["P"], options["H"], options["D"]
        x, h0, c0 = (None if t is None else t.detach().contiguous() for t in (x, h0, c0))
        held = [w.detach().contiguous() for w in weights]
        y, hn = x.new_empty(T, N, D * P), x.new_empty(levels, N, P)
        cn = x.new_empty(levels, N, H) if options["cell"] else None
        kept = _Pass(layer) if options["grad"] else None
        if kept:
            ctx.kept, ctx.shapes = kept, (x.shape, hn.shape, None if cn is None else cn.shape)
            ctx.save_for_backward(*weights, *inputs)    # torch refuses a backward after these change in place
            ctx.set_materialize_grads(False)
        if N == 0:
            return y, hn, cn
        lengths, pointers = options["lengths"], _pointers(held)
        given = LayerInput(T=T, N=N, x=_at(x), lengths=_at(lengths), h0=_at(h0), c0=_at(c0),
                           weights=ctypes.addressof(pointers), training=options["training"], seed=options["seed"],
                           no_dx=not ctx.needs_input_grad[2])
        made = LayerOutput(y=_at(y), hn=_at(hn), cn=_at(cn))
        with layer.device.lock:
            layer.call("clrnn_layer_forward", layer.handle, ctypes.byref(given), ctypes.byref(made),
                       ctypes.byref(kept.handle) if kept else None)
            layer.forwards = layer.has = layer.forwards + 1
            if kept:
                kept.number = layer.has
        return y, hn, cn

    @staticmethod
    def backward(ctx: Any, *given: Optional[Tensor]) -> tuple:
        needs, saved = ctx.needs_input_grad, ctx.saved_tensors
        weights = saved[:len(needs) - 5]
        dy, dhn, dcn = (None if t is None else t.detach().contiguous() for t in given)
        like = weights[0]
        dx, dh0, dc0 = (like.new_empty(shape) if needed and shape is not None else None
                        for needed, shape in zip(needs[2:5], ctx.shapes))
        dweights = [torch.empty_like(w, memory_format=torch.contiguous_format) if needed else None
                    for w, needed in zip(weights, needs[5:])]
        if ctx.kept.handle:
            pointers, held = _pointers(dweights), [w.detach().contiguous() for w in weights]
            theirs, layer = _pointers(held), ctx.kept.layer
            gradients = LayerGradients(dy=_at(dy), dhn=_at(dhn), dcn=_at(dcn), dx=_at(dx), dh0=_at(dh0), dc0=_at(dc0),
                                       dweights=ctypes.addressof(pointers) if any(needs[5:]) else None)
            with layer.device.lock:
                if layer.has != ctx.kept.number:
                    gradients.weights = ctypes.addressof(theirs)
                layer.call("clrnn_layer_backward", ctx.kept.handle, ctypes.byref(gradients))
                layer.has = ctx.kept.number
        else:  # no samples
            for t in dweights:
                if t is not None:
                    t.zero_()
        made = (dx, dh0, dc0, *dweights)
        if torch.is_grad_enabled():  # create_graph
            made = _Once.apply(len(made), *made, *given, *saved)
        return (None, None, *made)


def _autocasts() -> bool:
    try:
        return torch.is_autocast_enabled("cpu")
    except TypeError:  # torch before 2.4
        return torch.is_autocast_cpu_enabled()


class _OnDevice:
    """What the three have beside torch.nn's: the constructor's `device` and forward."""

    def __init__(self, *args: Any, device: Optional[str] = None, **kwargs: Any) -> None:
        """The arguments of torch.nn's. device: an OpenCL device, "cpu", "gpu", "0:0", "ref" or part of a name; None:
        the environment's CLRNN_DEVICE, else the fastest. Parameters are CPU tensors, of float32."""
        if isinstance(device, torch.device):
            raise ArgumentError(f"device is {device!r}, expected the name of an OpenCL device such as \"gpu\" or \"0:0\"")
        super().__init__(*args, **kwargs)
        self.opencl_device = device
        self._layer = _Layer(device, {
            "kind": _KINDS[self.mode], "input_size": self.input_size, "hidden_size": self.hidden_size,
            "num_layers": self.num_layers, "proj_size": self.proj_size, "no_bias": not self.bias,
            "bidirectional": self.bidirectional, "relu": self.mode == "RNN_RELU", "dropout": self.dropout})

    def extra_repr(self) -> str:
        """torch.nn's, and the device where it is named."""
        return super().extra_repr() + (f", device={self.opencl_device!r}" if self.opencl_device else "")

    def _run(self, x: Tensor, lengths: Optional[Tensor], states: List[Optional[Tensor]]) -> Tuple[Tensor, ...]:
        """y, hn and for an lstm cn of x (T, N, C) and states (L*D, N, ...)."""
        if self._layer.arguments["dropout"] != self.dropout:    # as with torch.nn's, the attribute counts
            self._layer = _Layer(self.opencl_device, {**self._layer.arguments, "dropout": self.dropout})
        self._layer.make()
        weights = [getattr(self, name) for name in self._layer.names]
        if _autocasts():
            x, *states = (t.float() if t is not None and t.is_floating_point() else t for t in (x, *states))
        self._check(x, states)
        for name, w, shape in zip(self._layer.names, weights, self._layer.shapes):
            _check_tensor(name, w)
            if tuple(w.shape) != shape:
                raise ArgumentError(f"{name} is {list(w.shape)}, expected {list(shape)}")
        drops = self.training and self.dropout > 0 and self.num_layers > 1
        D = 2 if self.bidirectional else 1
        options = {"levels": self.num_layers * D, "D": D, "P": self.proj_size or self.hidden_size,
                   "H": self.hidden_size, "cell": self.mode == "LSTM", "lengths": lengths, "training": drops,
                   "seed": int(torch.randint(2 ** 62, ())) if drops else 0,
                   "grad": torch.is_grad_enabled() and any(t is not None and t.requires_grad
                                                           for t in (x, *states, *weights))}
        made = _Run.apply(self._layer, options, x, *states, *weights)
        return made if self.mode == "LSTM" else made[:2]

    def _forward(self, x: Union[Tensor, PackedSequence], states: Optional[List[Tensor]]) -> Tuple[Any, List[Tensor]]:
        packed = isinstance(x, PackedSequence)
        batch_sizes = x.batch_sizes if packed else None
        order, back = (x.sorted_indices, x.unsorted_indices) if packed else (None, None)
        single, lengths = False, None
        if packed:
            x, lengths = pad_packed_sequence(PackedSequence(x.data, batch_sizes))
        elif x.dim() not in (2, 3):
            raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {x.dim()}D instead")
        else:
            single = x.dim() == 2
            if states is not None and any(s.dim() != x.dim() for s in states):
                raise RuntimeError(f"For {'un' if single else ''}batched {x.dim()}-D input, hx should also be "
                                   f"{x.dim()}-D but got {', '.join(str(s.dim()) for s in states)}-D tensors")
            if single:
                x = x.unsqueeze(1)
                states = None if states is None else [s.unsqueeze(1) for s in states]
            elif self.batch_first:
                x = x.transpose(0, 1)
        if states is not None and order is not None:
            states = [s.index_select(1, order) for s in states]
        y, *finals = self._run(x, None if lengths is None else lengths.to(torch.int32),
                               [None, None] if states is None else [*states, None][:2])
        if back is not None:
            finals = [s.index_select(1, back) for s in finals]
        if packed:
            rows = pack_padded_sequence(y, lengths)
            return PackedSequence(rows.data, batch_sizes, order, back), finals
        if single:
            return y.squeeze(1), [s.squeeze(1) for s in finals]
        return y.transpose(0, 1) if self.batch_first else y, finals

    def _check(self, x: Tensor, states: List[Optional[Tensor]]) -> None:
        """The types, and the shapes of x (T, N, C) and states; of shapes torch.nn's sentences."""
        _check_tensor("x", x)
        if x.shape[0] == 0:
            raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
        if x.shape[-1] != self.input_size:
            raise RuntimeError("input.size(-1) must be equal to input_size. "
                               f"Expected {self.input_size}, got {x.shape[-1]}")
        D = 2 if self.bidirectional else 1
        widths = (self.proj_size or self.hidden_size, self.hidden_size)
        for name, s, width in zip(("h0", "c0"), states, widths):
            if s is None:
                continue
            _check_tensor(name, s)
            wanted = (self.num_layers * D, x.shape[1], width)
            if tuple(s.shape) != wanted:
                raise RuntimeError(f"Expected hidden size {wanted}, got {list(s.shape)}")


class RNN(_OnDevice, nn.RNN):
    """torch.nn.RNN on an OpenCL device: its arguments, state dict, inputs and outputs."""

    def forward(self, input: Any, hx: Optional[Tensor] = None) -> Tuple[Any, Tensor]:
        """As torch.nn.RNN: output and h_n. Raises ArgumentError for tensors that are not float32 on the CPU."""
        y, finals = self._forward(input, None if hx is None else [hx])
        return y, finals[0]


class GRU(_OnDevice, nn.GRU):
    """torch.nn.GRU on an OpenCL device: its arguments, state dict, inputs and outputs."""

    def forward(self, input: Any, hx: Optional[Tensor] = None) -> Tuple[Any, Tensor]:
        """As torch.nn.GRU: output and h_n. Raises ArgumentError for tensors that are not float32 on the CPU."""
        y, finals = self._forward(input, None if hx is None else [hx])
        return y, finals[0]


class LSTM(_OnDevice, nn.LSTM):
    """torch.nn.LSTM on an OpenCL device: its arguments, state dict, inputs and outputs."""

    def forward(self, input: Any, hx: Optional[Tuple[Tensor, Tensor]] = None) -> Tuple[Any, Tuple[Tensor, Tensor]]:
        """As torch.nn.LSTM: output, (h_n, c_n). Raises ArgumentError for tensors that are not float32 on the CPU."""
        y, finals = self._forward(input, None if hx is None else list(hx))
        return y, (finals[0], finals[1])
