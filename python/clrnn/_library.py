# SPDX-License-Identifier: MIT
"""libclrnn by ctypes: finding it, its functions, and its errors as exceptions."""
from __future__ import annotations

import ctypes
import ctypes.util
import glob
import logging
import os
import re
from typing import Any, Optional

from ._structs import Param

_STATUS = ("OK", "FAILED", "ERR_ARG", "ERR_CONFIG", "ERR_DATA", "ERR_DEVICE", "ERR_BUILD", "ERR_MEMORY", "ERR_DISK",
           "INTERRUPTED")


class Error(Exception):
    """What the library refused, in its one sentence."""


class ArgumentError(Error, ValueError):
    """A wrong argument."""


class ConfigError(Error, ValueError):
    """A wrong config."""


class DataError(Error, ValueError):
    """Bad data or model file."""


class DeviceError(Error, RuntimeError):
    """An OpenCL device or driver failed, or a program does not build."""


class ResourceError(Error, OSError):
    """Out of memory, or a file cannot be written."""


_ERRORS = {2: ArgumentError, 3: ConfigError, 4: DataError, 5: DeviceError, 6: DeviceError, 7: ResourceError,
           8: ResourceError}

LOG_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)


_logger = logging.getLogger("clrnn")


class Log(ctypes.Structure):
    """struct clrnn_log that keeps errors and hands warnings and messages to the logger "clrnn"."""
    _fields_ = [("fn", LOG_FN), ("user", ctypes.c_void_p), ("level", ctypes.c_int), ("progress", ctypes.c_void_p)]

    def __init__(self) -> None:
        self.errors: list = []

        def receive(_user: Any, level: int, line: bytes) -> None:
            text = line.decode("utf-8", "replace")
            if level == 0:
                self.errors.append(text)
            else:
                _logger.log(logging.WARNING if level == 1 else logging.INFO, "%s", text)
        self.keep = LOG_FN(receive)
        super().__init__(self.keep, None, 2)


class FindingInfo(ctypes.Structure):
    """struct clrnn_finding_info."""
    _fields_ = [("id", ctypes.c_char_p), ("severity", ctypes.c_int), ("meaning", ctypes.c_char_p),
                ("cost", ctypes.c_char_p), ("remedy", ctypes.c_char_p), ("page", ctypes.c_char_p)]


def candidates() -> list:
    """Where the library may lie, in the order of search."""
    here = os.path.dirname(os.path.abspath(__file__))
    if os.environ.get("CLRNN_LIBRARY"):
        return [os.environ["CLRNN_LIBRARY"]]
    found = sorted(glob.glob(os.path.join(here, "lib", "libclrnn.so*")))
    found += sorted(glob.glob(os.path.join(here, "..", "..", "build*", "src", "libclrnn.so")))
    found.append(f"libclrnn.so.{api()}")
    by_name = ctypes.util.find_library("clrnn")
    return found + ([by_name] if by_name else [])


def api() -> int:
    """CLRNN_API_VERSION of the headers that this package belongs to: kept by setup.py, else read from the tree."""
    try:
        from ._api import API
        return API
    except ImportError:
        here = os.path.dirname(os.path.abspath(__file__))
        with open(os.path.join(here, "..", "..", "include", "clrnn", "version.h"), encoding="utf-8") as f:
            found = re.search(r"CLRNN_API_VERSION (\d+)", f.read())
        assert found
        return int(found.group(1))


_loaded: Optional[ctypes.CDLL] = None
_needed: list = []      # what a wheel's library needs


def library() -> ctypes.CDLL:
    """The loaded library. Raises ImportError where there is none, or one of another API number."""
    global _loaded
    if _loaded is not None:
        return _loaded
    named, why = os.environ.get("CLRNN_LIBRARY"), ""
    for path in candidates():
        if not named and os.sep in path and not os.path.exists(path):
            continue
        try:
            _load_needed(os.path.join(os.path.dirname(path), "needed"))
            lib = ctypes.CDLL(path)
        except OSError as e:
            why = str(e) if named or os.path.exists(path) else why
            continue
        number = _api_of(path)
        if number is not None and number != api():
            raise ImportError(f"{path} has API {number}, and this package is made for API {api()}: install both from the same release")
        lib.clrnn_version.restype = ctypes.c_char_p
        lib.clrnn_status_text.restype = ctypes.c_char_p
        lib.clrnn_findings.restype = ctypes.POINTER(FindingInfo)
        for name in ("clrnn_config_text", "clrnn_model_config", "clrnn_device_info"):
            getattr(lib, name).restype = ctypes.c_void_p
        for name in ("clrnn_model_param_count", "clrnn_model_size", "clrnn_model_steps"):
            getattr(lib, name).restype = ctypes.c_uint64
        lib.clrnn_model_param.restype = lib.clrnn_layer_param.restype = ctypes.POINTER(Param)
        lib.clrnn_layer_param_count.restype = ctypes.c_uint64
        lib.clrnn_model_outputs.restype = lib.clrnn_model_output_steps.restype = ctypes.c_uint32
        lib.clrnn_model_per_step.restype = lib.clrnn_device_is_tuned.restype = ctypes.c_bool
        lib.clrnn_device_spec.restype = ctypes.c_char_p
        lib.clrnn_device_list_default.restype = ctypes.c_size_t
        lib.clrnn_device_step_ms.restype = ctypes.c_double
        _loaded = lib
        return lib
    if named:
        raise ImportError(f"CLRNN_LIBRARY is {named}, which cannot be loaded: {why}")
    raise ImportError(f"libclrnn cannot be loaded: {why}" if why else
                      "libclrnn was not found: install clRNN, or name the library in CLRNN_LIBRARY")


def _load_needed(folder: str) -> None:
    """Loads what a wheel's library needs: the linker takes a library that is loaded by its name."""
    for path in sorted(glob.glob(os.path.join(folder, "*.so*"))):
        try:
            _needed.append(ctypes.CDLL(path))
        except OSError:
            if not os.path.basename(path).startswith("libclblast"):     # it needs libOpenCL: there may be none
                raise


def _api_of(path: str) -> Optional[int]:
    """The API number, from the soname that the file's name or link carries."""
    match = re.search(r"\.so\.(\d+)", os.path.realpath(path) if os.sep in path else path)
    return int(match.group(1)) if match else None


def check(status: int, log: Log) -> None:
    """Raises the exception of a status with the library's sentence."""
    if status in _ERRORS:
        text = log.errors[-1] if log.errors else library().clrnn_status_text(status).decode()
        log.errors.clear()
        raise _ERRORS[status](text)
    if status == 9:
        raise KeyboardInterrupt


def findings() -> dict:
    """The table of findings: id to (severity, meaning, cost, remedy, page)."""
    count = ctypes.c_size_t()
    table = library().clrnn_findings(ctypes.byref(count))
    words = ("error", "warning", "note")
    return {table[i].id.decode(): (words[table[i].severity], *(getattr(table[i], k).decode() for k in
                                                              ("meaning", "cost", "remedy", "page")))
            for i in range(count.value)}


def text_of(pointer: Optional[int]) -> str:
    """The text at a pointer from malloc, which is freed."""
    if not pointer:
        raise ResourceError("out of memory")
    text = ctypes.string_at(pointer).decode()
    free = ctypes.CDLL(None).free
    free.argtypes = [ctypes.c_void_p]
    free(pointer)
    return text
