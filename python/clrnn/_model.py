# SPDX-License-Identifier: MIT
"""Devices and models."""
from __future__ import annotations

import ctypes
import math
import os
import threading
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from ._data import ArrayLike, Set, scratch
from ._library import DeviceError, Log, check, library, text_of
from ._structs import DeviceInfo, DeviceList, DeviceParams, EvalResult, Record, plain

_TYPES = ("CPU", "GPU", "accelerator", "reference")
_FEATURES = ("cl_khr_fp64", "cl_khr_fp16", "cl_khr_subgroups", "cl_intel_subgroups", "cl_khr_command_buffer",
             "cl_khr_il_program", "cl_khr_integer_dot_product", "cl_khr_pci_bus_info", "cl_nv_device_attribute_query",
             "cl_amd_device_attribute_query", "cl_khr_device_uuid")


def _spec(info: DeviceInfo) -> str:
    text = ctypes.create_string_buffer(24)
    return library().clrnn_device_spec(ctypes.byref(info), text).decode()


def _describe(info: DeviceInfo, all_: Any, default_why: Optional[str]) -> Record:
    text, step_ms = plain(info), library().clrnn_device_step_ms(ctypes.byref(info))
    words = text.extensions.split()
    return Record(
        version=library().clrnn_version().decode(), device=_spec(info), default=default_why is not None,
        default_why=default_why, platform_number=info.platform, device_number=info.device, type=_TYPES[info.type],
        name=text.name, vendor=text.vendor, platform=text.platform_name, driver=text.driver, opencl=text.version,
        opencl_c=text.opencl_c_version, extensions=text.extensions,
        features=[name for name in _FEATURES if name in words], compute_units=info.compute_units,
        global_bytes=info.global_bytes, max_alloc_bytes=info.max_alloc_bytes, local_bytes=info.local_bytes,
        fp64=info.has_fp64, tuned=library().clrnn_device_is_tuned(ctypes.byref(info)),
        step_ms=None if math.isnan(step_ms) else step_ms, trouble=text.trouble,
        same_as=_spec(all_[info.same_as]) if info.same_as >= 0 else None, verdict=None, reason=None, self_test=None)


def devices() -> List[Record]:
    """All OpenCL devices, then the reference, with the keys of `clrnn devices --json`.

    No device is tested: verdict, reason and self_test are None, as after `clrnn devices --no-test --json`.
    """
    lib, log, found = library(), Log(), ctypes.POINTER(DeviceList)()
    check(lib.clrnn_device_list_create(ctypes.byref(log), ctypes.byref(found)), log)
    try:
        all_, why = found.contents, ctypes.create_string_buffer(160)
        default = lib.clrnn_device_list_default(found, why)
        return [_describe(all_.info[i], all_.info, why.value.decode() if i == default else None)
                for i in range(all_.count)]
    finally:
        lib.clrnn_device_list_destroy(ctypes.byref(found))


class Device:
    """An open device. `with device:` excludes other threads."""

    _open: Dict[Optional[str], "Device"] = {}
    _opening = threading.Lock()

    def __init__(self, select: Optional[str]) -> None:
        self.select, self.process = select, os.getpid()
        self.log, self.handle, self.lock = Log(), ctypes.c_void_p(), threading.RLock()
        params = DeviceParams(select=None if select is None else select.encode(), log=ctypes.addressof(self.log))
        check(library().clrnn_device_open(ctypes.byref(params), ctypes.byref(self.handle)), self.log)
        self.type = _TYPES[self._info().type]

    @classmethod
    def get(cls, select: Optional[str]) -> "Device":
        """The device of a specification ("cpu", "gpu", "0:0", "ref", part of a name), opened once in a process."""
        select = select or os.environ.get("CLRNN_DEVICE") or None
        with cls._opening:
            for device in cls._open.values() if select != "ref" else ():
                device.check_process()
            if select not in cls._open:
                cls._open[select] = cls(select)
            return cls._open[select]

    def _info(self) -> DeviceInfo:
        return ctypes.cast(library().clrnn_device_info(self.handle), ctypes.POINTER(DeviceInfo)).contents

    @property
    def spec(self) -> str:
        """What selects it: "0:0", "ref"."""
        return _spec(self._info())

    def is_here(self) -> bool:
        """Whether it can be used in this process: drivers have threads, which a fork leaves behind."""
        return self.process == os.getpid() or self.spec == "ref"

    def check_process(self) -> None:
        """Raises DeviceError where it cannot."""
        if not self.is_here():
            raise DeviceError(f"device {self.spec} was opened before this process was forked, which OpenCL drivers do not "
                              "survive: start processes with \"spawn\", or use clRNN in the forked ones only")

    def call(self, name: str, *arguments: Any) -> int:
        """Calls a function of the library and raises its error. Returns the status: 0, 1 (FAILED), 9 (INTERRUPTED)."""
        self.check_process()
        with self.lock:
            status = getattr(library(), name)(*arguments)
            if status != 9:
                check(status, self.log)
            return status


class Model:
    """A model on a device, as clrnn.load and clrnn.train return it."""

    def __init__(self, device: Device, path: str) -> None:
        self.device, self.handle = device, ctypes.c_void_p()
        device.call("clrnn_model_open", device.handle, os.fsencode(path), ctypes.byref(self.handle))

    def __del__(self) -> None:
        if getattr(self, "handle", None) and self.device.is_here():
            with self.device.lock:
                library().clrnn_model_destroy(ctypes.byref(self.handle))

    def __reduce__(self) -> tuple:
        """Pickles the model file; the copy is on the same device specification."""
        with scratch() as folder:
            path = os.path.join(folder, "model.safetensors")
            self.save(path)
            with open(path, "rb") as f:
                return _unpickle, (f.read(), self.device.select)

    def __repr__(self) -> str:
        return f"<clrnn.Model: {self.parameters} parameters, {self.steps} steps, on {self.device.spec}>"

    @property
    def config(self) -> str:
        """The config, as YAML."""
        return text_of(library().clrnn_config_text(ctypes.c_void_p(library().clrnn_model_config(self.handle))))

    @property
    def outputs(self) -> int:
        """Features of the last layer's output."""
        return library().clrnn_model_outputs(self.handle)

    @property
    def per_step(self) -> bool:
        """Whether there is a prediction for every time step."""
        return library().clrnn_model_per_step(self.handle)

    @property
    def parameters(self) -> int:
        """Number of trained values."""
        return library().clrnn_model_size(self.handle)

    @property
    def steps(self) -> int:
        """Training steps done so far."""
        return library().clrnn_model_steps(self.handle)

    def predict(self, X: ArrayLike, lengths: Optional[ArrayLike] = None, kind: str = "logits") -> np.ndarray:
        """Predictions in eval mode, the numbers that `clrnn predict` writes.

        X: (N, T, C), (N, C), tokens (N, T), or a list of N sequences (T_i, C). lengths: (N), valid steps.
        kind: "logits", what the last layer puts out; "probs"; "classes".
        Returns float32 (N, outputs), or per step (N, T, outputs) with zeros in padding; classes int64 (N) or (N, T),
        -1 in padding; with several labels a class for each. T is what windows over time leave.
        Raises DataError, ArgumentError, DeviceError.
        """
        kinds = ("logits", "probs", "classes")
        if kind not in kinds:
            raise ValueError(f"kind is {kind!r}, expected one of {', '.join(kinds)}")
        data = Set(X, None, lengths)
        shape = [*data.shape[:1]]
        if self.per_step:
            T = data.shape[1] if len(data.shape) > 2 or self._reads_tokens() else 1
            shape.append(library().clrnn_model_output_steps(self.handle, ctypes.c_uint32(T)))
        labels = self.outputs if "bce_with_logits" in self._loss() else 1
        if kind != "classes" or labels > 1:
            shape.append(self.outputs)
        out = np.empty(shape, np.int64 if kind == "classes" else np.float32)
        self.device.call("clrnn_predict_array", self.handle, ctypes.byref(data.source), kinds.index(kind),
                         ctypes.c_void_p(out.ctypes.data), ctypes.c_size_t(out.size))
        return out

    def evaluate(self, X: ArrayLike, y: ArrayLike, lengths: Optional[ArrayLike] = None,
                 weights: Optional[ArrayLike] = None, y_lengths: Optional[ArrayLike] = None) -> Record:
        """Loss and metrics of a data set, as `clrnn eval`. NaN: no such metric for this loss.

        Returns samples, counted, loss, accuracy, balanced_accuracy, macro_f1, roc_auc, pr_auc, mae, rmse, r2,
        confusion (classes, classes) or None (over 1000 classes), per_class and per_output; with ctc cer and wer.
        """
        data, result = Set(X, y, lengths, weights, y_lengths), EvalResult()
        try:
            self.device.call("clrnn_eval", self.handle, ctypes.byref(data.source), ctypes.byref(result))
            made, k = plain(result), result.classes
            made["confusion"] = np.ctypeslib.as_array(result.confusion, (k, k)).copy() if result.confusion else None
            made["per_class"] = [plain(result.per_class[i]) for i in range(k)] if result.per_class else []
            made["per_output"] = [plain(result.per_output[i]) for i in range(result.outputs)]
            return made
        finally:
            library().clrnn_eval_finish(ctypes.byref(result))

    def _loss(self) -> str:
        """The line of the config's text that names the loss."""
        return self.config.split("\n  loss:", 1)[1].split("optimizer:", 1)[0]

    def _reads_tokens(self) -> bool:
        return "- embedding" in self.config.split("\n", 3)[2]

    def state_dict(self) -> Dict[str, np.ndarray]:
        """Parameters and buffers by PyTorch's names, float32 (num_batches_tracked int64)."""
        lib, made = library(), {}
        for i in range(lib.clrnn_model_param_count(self.handle)):
            param = lib.clrnn_model_param(self.handle, ctypes.c_size_t(i)).contents
            values = np.empty(max(param.count, 1), np.float64)
            self.device.call("clrnn_model_read", self.handle, ctypes.c_size_t(i), ctypes.c_void_p(values.ctypes.data))
            shape = tuple(param.shape[:param.ndim])
            made[param.name.decode()] = values.reshape(shape).astype(np.int64 if param.integer else np.float32)
        return made

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sets parameters and buffers by name. Raises KeyError for names, ValueError for shapes that do not fit;
        the model then stays as it was."""
        lib, names, given = library(), {}, {}
        for i in range(lib.clrnn_model_param_count(self.handle)):
            param = lib.clrnn_model_param(self.handle, ctypes.c_size_t(i)).contents
            names[param.name.decode()] = (i, tuple(param.shape[:param.ndim]))
        if set(names) != set(state):
            raise KeyError(f"missing: {sorted(set(names) - set(state))}, unknown: {sorted(set(state) - set(names))}")
        for name, (i, shape) in names.items():
            values = np.ascontiguousarray(state[name], np.float64)
            if values.shape not in (shape, shape or (1,)):
                raise ValueError(f"{name} has the shape {values.shape}, expected {shape}")
            given[i] = values
        for i, values in given.items():
            self.device.call("clrnn_model_write", self.handle, ctypes.c_size_t(i),
                             ctypes.c_void_p(values.ctypes.data))

    def save(self, path: "str | os.PathLike[str]") -> None:
        """Writes weights, config and optimiser state into one file, which clrnn.load and the command open."""
        self.device.call("clrnn_model_save", self.handle, os.fsencode(path))

    def export(self, path: "str | os.PathLike[str]") -> None:
        """Writes the weights with PyTorch's names as safetensors, for load_state_dict."""
        self.device.call("clrnn_model_export", self.handle, os.fsencode(path))


def _unpickle(content: bytes, select: Optional[str]) -> Model:
    with scratch() as folder:
        path = os.path.join(folder, "model.safetensors")
        with open(path, "wb") as f:
            f.write(content)
        return load(path, select)


def load(path: "str | os.PathLike[str]", device: Optional[str] = None) -> Model:
    """Opens a model file or a run folder (the weights at the end of training; best.safetensors by its path).

    device: "cpu", "gpu", "0:0", "ref" or part of a name; None: the environment's CLRNN_DEVICE, else the fastest.
    Raises DataError where it is no model file, DeviceError, ArgumentError.
    """
    return Model(Device.get(device), os.fspath(path))
