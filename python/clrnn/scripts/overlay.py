# SPDX-License-Identifier: MIT
"""Keeps a script under recording from changing files: what it writes goes to a folder that is removed at the end."""
from __future__ import annotations

import builtins
import io
import os
import shutil
import tempfile
from typing import Any, Callable


class Overlay:
    """While entered, files are opened for writing, made, moved and removed in a folder of their own. Reading sees
    what was written there. Streams, descriptors and /dev are left alone."""

    def __init__(self) -> None:
        self.root = ""
        self.gone: set = set()          # paths that the script removed
        self._saved: list = []

    def _inside(self, path: Any) -> str:
        """Where a path lies in the overlay; "" for what is no path, or lies in /dev, /proc or a temporary folder."""
        try:
            path = os.path.abspath(os.fsdecode(path))
        except TypeError:
            return ""
        if path.startswith(("/dev/", "/proc/", self.root)):
            return ""
        return self.root + path

    def _write(self, path: Any, keep: bool) -> Any:
        inside = self._inside(path)
        if not inside:
            return path
        if os.path.isdir(os.path.dirname(inside[len(self.root):]) or "/"):
            self._makedirs(os.path.dirname(inside), exist_ok=True)
        real = inside[len(self.root):]
        if keep and not self._exists(inside) and self._exists(real) and real not in self.gone:
            self._copy(real, inside)
        self.gone.discard(real)
        return inside

    def _read(self, path: Any) -> Any:
        inside = self._inside(path)
        if inside and self._exists(inside):
            return inside
        if inside and inside[len(self.root):] in self.gone:
            return inside
        return path

    def _patch(self, owner: Any, name: str, make: Callable) -> None:
        old = getattr(owner, name)
        self._saved.append((owner, name, old))
        setattr(owner, name, make(old))

    def __enter__(self) -> "Overlay":
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="clrnn-doctor-"))
        self._makedirs, self._exists, self._copy = os.makedirs, os.path.lexists, shutil.copy2
        real_stat, real_open = os.stat, builtins.open
        self._exists = lambda p: _there(real_stat, p)
        self._copy = lambda a, b: _copy(real_open, a, b)
        real_mkdir = os.mkdir

        def makedirs(path: str, exist_ok: bool = True) -> None:
            parts, at = path[len(self.root):].split(os.sep), self.root
            for part in parts:
                at = os.path.join(at, part)
                if not self._exists(at):
                    real_mkdir(at)
        self._makedirs = makedirs

        def opener(old: Callable) -> Callable:
            def open_(file: Any, mode: str = "r", *args: Any, **kw: Any) -> Any:
                if isinstance(file, int):
                    return old(file, mode, *args, **kw)
                if any(c in mode for c in "wax+"):
                    if "x" in mode and self._exists(self._read(file)):
                        raise FileExistsError(17, os.strerror(17), file)
                    return old(self._write(file, "w" not in mode), mode, *args, **kw)
                return old(self._read(file), mode, *args, **kw)
            return open_

        def reader(old: Callable) -> Callable:
            def read(path: Any = ".", *args: Any, **kw: Any) -> Any:
                return old(path if isinstance(path, int) else self._read(path), *args, **kw)
            return read

        def remover(old: Callable) -> Callable:
            def remove(path: Any, *args: Any, **kw: Any) -> Any:
                inside = self._inside(path)
                if not inside:
                    return old(path, *args, **kw)
                if self._exists(inside):
                    old(inside)
                elif not self._exists(path):
                    return old(path)
                self.gone.add(inside[len(self.root):])
                return None
            return remove

        def maker(old: Callable) -> Callable:
            def mkdir(path: Any, *args: Any, **kw: Any) -> Any:
                inside = self._inside(path)
                if inside and not self._exists(path):
                    makedirs(os.path.dirname(inside))
                    return old(inside, *args, **kw)
                return old(path, *args, **kw)
            return mkdir

        def mover(old: Callable) -> Callable:
            def move(a: Any, b: Any, *args: Any, **kw: Any) -> Any:
                if not self._inside(a):
                    return old(a, b, *args, **kw)
                source, target = self._write(a, True), self._write(b, False)
                old(source, target)
                self.gone.add(os.path.abspath(os.fsdecode(a)))
                return b
            return move

        self._patch(builtins, "open", opener)
        self._patch(io, "open", lambda old: builtins.open)
        for name in ("stat", "listdir", "scandir"):
            if name == "stat":
                self._patch(os, name, reader)
        for name in ("remove", "unlink", "rmdir"):
            self._patch(os, name, remover)
        self._patch(os, "mkdir", maker)
        for name in ("rename", "replace"):
            self._patch(os, name, mover)
        self._patch(shutil, "rmtree", lambda old: lambda path, *a, **kw: self._rmtree(old, path, *a, **kw))
        return self

    def patch_torch(self, torch: Any) -> None:
        """Also torch.save and torch.load, which open files by themselves."""
        def save(old: Callable) -> Callable:
            def save_(obj: Any, f: Any, *args: Any, **kw: Any) -> Any:
                return old(obj, self._write(f, False) if isinstance(f, (str, os.PathLike)) else f, *args, **kw)
            return save_

        def load(old: Callable) -> Callable:
            def load_(f: Any, *args: Any, **kw: Any) -> Any:
                return old(self._read(f) if isinstance(f, (str, os.PathLike)) else f, *args, **kw)
            return load_
        self._patch(torch, "save", save)
        self._patch(torch, "load", load)

    def _rmtree(self, old: Callable, path: Any, *args: Any, **kw: Any) -> Any:
        inside = self._inside(path)
        if inside:
            self.gone.add(inside[len(self.root):])
            return None
        return old(path, *args, **kw)

    def __exit__(self, *exc: Any) -> None:
        for owner, name, old in reversed(self._saved):
            setattr(owner, name, old)
        self._saved.clear()
        shutil.rmtree(self.root, ignore_errors=True)


def _there(stat: Callable, path: Any) -> bool:
    try:
        stat(path)
        return True
    except (OSError, ValueError):
        return False


def _copy(open_: Callable, a: str, b: str) -> None:
    with open_(a, "rb") as f, open_(b, "wb") as g:
        g.write(f.read())
