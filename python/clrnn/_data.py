# SPDX-License-Identifier: MIT
"""Configs and arrays on their way into the library."""
from __future__ import annotations

import ctypes
import json
import os
import re
import tempfile
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from ._library import Log, check, library, text_of
from ._structs import Array, Arrays, Source

ConfigLike = Union[Mapping[str, Any], str, "os.PathLike[str]"]
ArrayLike = Union[np.ndarray, Sequence[Any]]


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder, in memory where there is room: a checkpoint after each epoch need not reach a disk."""
    place = None
    if "TMPDIR" not in os.environ and os.access("/dev/shm", os.W_OK):
        room = os.statvfs("/dev/shm")
        place = "/dev/shm" if room.f_bavail * room.f_frsize >= 1 << 30 else None
    return tempfile.TemporaryDirectory(prefix="clrnn-", dir=place)


def pad(sequences: Sequence[Any], dtype: Any = np.float32) -> Tuple[np.ndarray, np.ndarray]:
    """Sequences of unequal length as one array and their lengths.

    sequences: n arrays (T_i, C), or (T_i) of tokens. Returns X (n, max T, C), zeros in padding, and lengths (n).
    Raises ValueError where the features differ or a sequence is empty.
    """
    rows = [np.asarray(s) for s in sequences]
    if not rows or any(r.ndim != rows[0].ndim or r.shape[1:] != rows[0].shape[1:] or not len(r) for r in rows):
        raise ValueError("sequences must have the shape (T_i, C) with one C and at least one step each")
    lengths = np.array([len(r) for r in rows], np.int64)
    made = np.zeros((len(rows), int(lengths.max()), *rows[0].shape[1:]), dtype)
    for row, to in zip(rows, made):
        to[:len(row)] = row
    return made, lengths


def prepare(X: ArrayLike, lengths: Optional[ArrayLike]) -> Tuple[np.ndarray, Optional[ArrayLike]]:
    """X as an array; a list of sequences is padded."""
    if isinstance(X, (list, tuple)) and X and all(np.ndim(s) >= 1 for s in X):
        if lengths is None and len({np.shape(s) for s in X}) > 1:
            return pad(X, np.result_type(*(np.asarray(s).dtype for s in X)))
    return np.asarray(X), lengths


def _array(value: Any, keep: List[Any]) -> Array:
    """Describes an array; only one that is not in C order or of the other byte order is copied."""
    if value is None:
        return Array()
    array = np.asarray(value)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    if array.ndim and not array.flags["C_CONTIGUOUS"]:
        array = np.ascontiguousarray(array)
    keep.append(array)
    shape = (ctypes.c_size_t * 8)(*array.shape[:8])
    return Array(array.dtype.str.encode(), array.ndim, shape, array.ctypes.data)


class Set:
    """A data set over arrays, which it keeps alive."""

    def __init__(self, X: ArrayLike, y: Any = None, lengths: Any = None, weights: Any = None,
                 y_lengths: Any = None) -> None:
        X, lengths = prepare(X, lengths)
        self.keep: List[Any] = []
        self.arrays = Arrays(*(_array(a, self.keep) for a in (X, y, lengths, weights, y_lengths)))
        self.shape = self.keep[0].shape
        self.source = Source(there=True, arrays=ctypes.pointer(self.arrays))

    def named(self) -> dict:
        """The arrays by the config's keys."""
        words = [w for w in ("x", "y", "lengths", "weights", "y_lengths") if getattr(self.arrays, w).data]
        return dict(zip(words, self.keep))


def _plain(value: Any) -> Any:
    """Converts a value of a type that JSON lacks into one that JSON has."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a config holds no {type(value).__name__}: {value!r}")


def _yaml(config: Mapping[str, Any]) -> str:
    """The config as JSON that is also YAML. Escapes of 8 digits replace JSON's surrogate pairs, which YAML rejects."""
    text = json.dumps(config, default=_plain, allow_nan=False, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda c: f"\\U{ord(c[0]):08x}", text)


class Config:
    """A config with its data sets. `config` is a dict, a path, or YAML text."""

    def __init__(self, config: ConfigLike, **sets: Optional[Set]) -> None:
        lib, self.log, self.handle = library(), Log(), ctypes.c_void_p()
        self.sets = {name: s for name, s in sets.items() if s is not None}
        if isinstance(config, Mapping):
            given = {k: v for k, v in config.items() if k != "data" or v}
            if self.sets and given.get("data"):
                given["data"] = {k: v for k, v in given["data"].items() if k not in self.sets}
            status = lib.clrnn_config_parse(ctypes.byref(self.log), _yaml(given).encode(), None,
                                            ctypes.byref(self.handle))
        elif isinstance(config, str) and ("\n" in config or ":" in config and not os.path.exists(config)):
            status = lib.clrnn_config_parse(ctypes.byref(self.log), config.encode(), None, ctypes.byref(self.handle))
        else:
            status = lib.clrnn_config_read(ctypes.byref(self.log), os.fsencode(config), ctypes.c_size_t(0), None,
                                           ctypes.byref(self.handle))
        check(status, self.log)
        for name, data in self.sets.items():
            check(lib.clrnn_config_set_arrays(ctypes.byref(self.log), self.handle, name.encode(),
                                              ctypes.byref(data.arrays)), self.log)

    def text(self) -> str:
        """The config as YAML with every argument written out."""
        return text_of(library().clrnn_config_text(self.handle))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            library().clrnn_config_destroy(ctypes.byref(self.handle))


def sets_of(X: Any, y: Any, valid: Optional[Sequence[Any]], lengths: Any = None, weights: Any = None,
            y_lengths: Any = None) -> dict:
    """The sets train and valid; valid is (X, y), or those and lengths, weights and y_lengths, each or None."""
    if X is None:
        if y is not None or valid is not None:
            raise ValueError("y or valid without X")
        return {}
    if y is None:
        raise ValueError("X without y")
    return {"train": Set(X, y, lengths, weights, y_lengths), "valid": Set(*valid) if valid is not None else None}
