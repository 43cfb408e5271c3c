# SPDX-License-Identifier: MIT
"""Keeps a script under recording from changing files: what it writes goes to a folder that is removed at the end."""
from __future__ import annotations

import builtins
import errno
import importlib
import io
import multiprocessing.util
import os
import shutil
import tempfile
from typing import Any, Callable, Iterator

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NAMELESS = getattr(os, "O_TMPFILE", 0)
# Modules that hold a function of their own which opens a file, by names that stand for writing and for reading.
_WRITERS = (("safetensors", "serialize_file", 1, "filename"), ("safetensors.torch", "serialize_file", 1, "filename"),
            ("safetensors.numpy", "serialize_file", 1, "filename"), ("torch", "save", 1, "f"),
            ("torch.jit", "save", 1, "f"), ("torch.jit", "ScriptModule.save", 1, "f"),
            ("torch.jit", "RecursiveScriptModule.save", 1, "f"), ("torch.export", "save", 1, "f"))
_READERS = (("safetensors", "safe_open", 0, "filename"), ("safetensors.torch", "safe_open", 0, "filename"),
            ("safetensors.numpy", "safe_open", 0, "filename"), ("torch", "load", 0, "f"), ("torch.jit", "load", 0, "f"),
            ("torch.export", "load", 0, "f"), ("numpy", "fromfile", 0, "file"))


class _Entry:
    """An entry of os.scandir that lies in the overlay, by the path that the script knows."""

    def __init__(self, entry: Any, folder: Any) -> None:
        self.name = os.fsencode(entry.name) if isinstance(folder, bytes) else entry.name
        self.path = os.path.join(folder, self.name)
        self.is_dir, self.is_file, self.is_symlink = entry.is_dir, entry.is_file, entry.is_symlink
        self.stat, self.inode = entry.stat, entry.inode

    def __fspath__(self) -> Any:
        return self.path


class _Entries:
    """What os.scandir returns."""

    def __init__(self, entries: list) -> None:
        self._left = iter(entries)

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        return next(self._left)

    def __enter__(self) -> "_Entries":
        return self

    def __exit__(self, *exc: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _fails(code: int, path: Any) -> OSError:
    return OSError(code, os.strerror(code), path)


class Overlay:
    """While entered, files are opened for writing, made, moved and removed in a folder of their own. Reading sees
    what was written there. Streams, descriptors, /dev and the folder of multiprocessing's sockets are left alone."""

    def __init__(self) -> None:
        self.root = self.sockets = ""
        self.gone: set = set()          # paths that the script removed: what really lies there and below is not seen
        self._saved: list = []

    def _inside(self, path: Any) -> str:
        """Where a path lies in the overlay; "" for what is no path, or lies in /dev, /proc or the overlay itself."""
        try:
            path = os.path.abspath(os.fsdecode(path))
        except TypeError:
            return ""
        if path.startswith(("/dev/", "/proc/", self.root, self.sockets)):
            return ""
        return self.root + path

    def _hidden(self, real: str) -> bool:
        """Whether the script has removed this path or a folder above it."""
        while self.gone and real not in self.gone and real != "/":
            real = os.path.dirname(real)
        return real in self.gone

    def _write(self, path: Any, keep: bool) -> Any:
        """Where to write a file; `keep`: with its content."""
        inside = self._inside(path)
        if not inside:
            return path
        real = inside[len(self.root):]
        if os.path.isdir(os.path.dirname(real) or "/"):
            self._makedirs(os.path.dirname(inside))
        if keep and not self._exists(inside) and self._exists(real) and not self._hidden(real):
            self._copy(real, inside)
        return inside

    def _read(self, path: Any) -> Any:
        inside = self._inside(path)
        return inside if inside and (self._exists(inside) or self._hidden(inside[len(self.root):])) else path

    def _hold(self, path: Any) -> Any:
        """Where the overlay has a copy of a file, or of a folder with all that the script sees in it."""
        inside = self._inside(path)
        if not inside or not os.path.isdir(path):
            return self._write(path, True)
        self._makedirs(inside)
        for name in os.listdir(os.fsdecode(path)):
            self._hold(os.path.join(os.fsdecode(path), name))
        return inside

    def _makedirs(self, inside: str) -> None:
        at = self.root
        for part in inside[len(self.root):].split(os.sep):
            at = os.path.join(at, part)
            if not self._exists(at):
                self._mkdir(at)

    def _exists(self, path: Any) -> bool:
        try:
            self._lstat(path)
            return True
        except (OSError, ValueError):
            return False

    def _copy(self, a: str, b: str) -> None:
        with self._open(a, "rb") as f, self._open(b, "wb") as g:
            shutil.copyfileobj(f, g)

    def _patch(self, owner: Any, name: str, make: Callable) -> None:
        old = getattr(owner, name)
        self._saved.append((owner, name, old, name in vars(owner)))
        setattr(owner, name, make(old))

    # ---------------------------------------------------------------- in place of functions

    def _opener(self, old: Callable) -> Callable:
        def open_(file: Any, mode: str = "r", *args: Any, **kw: Any) -> Any:
            if isinstance(file, int):
                return old(file, mode, *args, **kw)
            if any(c in mode for c in "wax+"):
                if "x" in mode and self._exists(self._read(file)):
                    raise _fails(errno.EEXIST, file)
                return old(self._write(file, "w" not in mode), mode, *args, **kw)
            return old(self._read(file), mode, *args, **kw)
        return open_

    def _descriptor(self, old: Callable) -> Callable:
        def open_(path: Any, flags: int, *args: Any, **kw: Any) -> Any:
            if kw.get("dir_fd") is not None or (_NAMELESS and flags & _NAMELESS == _NAMELESS):
                return old(path, flags, *args, **kw)
            if not flags & _WRITES:
                return old(self._read(path), flags, *args, **kw)
            there = self._exists(self._read(path))
            if flags & os.O_EXCL and flags & os.O_CREAT and there:
                raise _fails(errno.EEXIST, path)
            if not there and not flags & os.O_CREAT:
                raise _fails(errno.ENOENT, path)
            return old(self._write(path, not (flags & os.O_TRUNC and flags & os.O_CREAT)), flags, *args, **kw)
        return open_

    def _reader(self, old: Callable) -> Callable:
        def read(path: Any = ".", *args: Any, **kw: Any) -> Any:
            left = isinstance(path, int) or kw.get("dir_fd") is not None
            return old(path if left else self._read(path), *args, **kw)
        return read

    def _changer(self, old: Callable) -> Callable:
        """In place of what changes a file or folder that is there: truncate, chmod, utime."""
        def change(path: Any, *args: Any, **kw: Any) -> Any:
            inside = "" if isinstance(path, int) or kw.get("dir_fd") is not None else self._inside(path)
            if not inside:
                return old(path, *args, **kw)
            if not self._exists(self._read(path)):
                raise _fails(errno.ENOENT, path)
            if os.path.isdir(path):
                self._makedirs(inside)
                return old(inside, *args, **kw)
            return old(self._write(path, True), *args, **kw)
        return change

    def _remover(self, old: Callable) -> Callable:
        def remove(path: Any, *args: Any, **kw: Any) -> Any:
            inside = self._inside(path)
            if not inside or kw.get("dir_fd") is not None:
                return old(path, *args, **kw)
            if not self._exists(self._read(path)):
                raise _fails(errno.ENOENT, path)
            folder = os.path.isdir(path) and not os.path.islink(path)
            if folder and old.__name__ == "rmdir" and os.listdir(path):
                raise _fails(errno.ENOTEMPTY, path)
            if folder != (old.__name__ == "rmdir"):
                raise _fails(errno.EISDIR if folder else errno.ENOTDIR, path)
            if self._exists(inside):
                old(inside)
            self.gone.add(inside[len(self.root):])
            return None
        return remove

    def _maker(self, old: Callable) -> Callable:
        def mkdir(path: Any, *args: Any, **kw: Any) -> Any:
            inside = self._inside(path)
            if not inside or kw.get("dir_fd") is not None:
                return old(path, *args, **kw)
            if self._exists(self._read(path)):
                raise _fails(errno.EEXIST, path)
            if not os.path.isdir(os.path.dirname(inside[len(self.root):])):
                raise _fails(errno.ENOENT, path)
            self._makedirs(os.path.dirname(inside))
            return old(inside, *args, **kw)
        return mkdir

    def _mover(self, old: Callable) -> Callable:
        def move(a: Any, b: Any, *args: Any, **kw: Any) -> Any:
            if any(v is not None for v in kw.values()):
                return old(a, b, *args, **kw)
            if not self._exists(self._read(a)):
                raise _fails(errno.ENOENT, a)
            old(self._hold(a), self._write(b, False))
            for path in (a, b):
                if self._inside(path):
                    self.gone.add(os.path.abspath(os.fsdecode(path)))
            return None
        return move

    def _linker(self, old: Callable) -> Callable:
        """os.link and os.symlink: what the link names is held in the overlay, so that writing to it stays there."""
        def link(a: Any, b: Any, *args: Any, **kw: Any) -> Any:
            if kw.get("dir_fd") is not None or kw.get("src_dir_fd") is not None or kw.get("dst_dir_fd") is not None:
                return old(a, b, *args, **kw)
            if self._exists(self._read(b)):
                raise _fails(errno.EEXIST, b)
            if old.__name__ == "symlink":
                a = os.path.join(os.path.dirname(os.path.abspath(os.fsdecode(b))), os.fsdecode(a))
            return old(self._hold(a), self._write(b, False), *args, **kw)
        return link

    def _lister(self, old: Callable) -> Callable:
        def listdir(path: Any = ".") -> list:
            inside = "" if isinstance(path, int) else self._inside("." if path is None else path)
            if not inside or not (self._exists(inside) or self.gone):
                return old(path)
            with os.scandir("." if path is None else path) as entries:
                return [e.name for e in entries]
        return listdir

    def _scanner(self, old: Callable) -> Callable:
        def scandir(path: Any = ".") -> Any:
            inside = "" if isinstance(path, int) else self._inside("." if path is None else path)
            if not inside or not (self._exists(inside) or self.gone):
                return old(path)
            real = inside[len(self.root):]
            if not self._exists(inside):
                if self._hidden(real):
                    raise _fails(errno.ENOENT, path)
                found = []
            else:
                with old(inside) as entries:
                    found = [_Entry(e, os.fspath("." if path is None else path)) for e in entries]
            own = {os.fsdecode(e.name) for e in found}
            if self._exists(real) and not self._hidden(real):
                with old(path) as entries:
                    found += [e for e in entries if os.fsdecode(e.name) not in own
                              and os.path.join(real, os.fsdecode(e.name)) not in self.gone]
            return _Entries(found)
        return scandir

    def _trees(self, old: Callable) -> Callable:
        def rmtree(path: Any, ignore_errors: bool = False, *args: Any, **kw: Any) -> Any:
            inside = self._inside(path)
            if not inside or not self._exists(self._read(path)):
                return old(self._read(path), ignore_errors, *args, **kw)
            if not os.path.isdir(path):
                if ignore_errors:
                    return None
                raise _fails(errno.ENOTDIR, path)
            if self._exists(inside):
                old(inside)
            self.gone.add(inside[len(self.root):])
            return None
        return rmtree

    def __enter__(self) -> "Overlay":
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="clrnn-doctor-"))
        self.sockets = os.path.abspath(multiprocessing.util.get_temp_dir())     # removed by multiprocessing at exit
        self._lstat, self._open, self._mkdir = os.lstat, builtins.open, os.mkdir
        self._patch(builtins, "open", self._opener)
        self._patch(io, "open", lambda old: builtins.open)
        for module, name in (("bz2", "_builtin_open"), ("tarfile", "bltn_open")):
            self._patch_in(module, name, lambda old: builtins.open)
        for names, make in ((("stat", "lstat", "access", "readlink"), self._reader), (("open",), self._descriptor),
                            (("truncate", "chmod", "utime"), self._changer), (("mkdir",), self._maker),
                            (("remove", "unlink", "rmdir"), self._remover), (("rename", "replace"), self._mover),
                            (("link", "symlink"), self._linker), (("listdir",), self._lister),
                            (("scandir",), self._scanner)):
            for name in names:
                self._patch(os, name, make)
        self._patch(shutil, "rmtree", self._trees)
        return self

    def _patch_in(self, module: str, name: str, make: Callable) -> None:
        """Patches a function, or CLASS.METHOD, of a module where there are both."""
        try:
            owner: Any = importlib.import_module(module)
        except ImportError:
            return
        *classes, name = name.split(".")
        for cls in classes:
            owner = getattr(owner, cls, None)
        if hasattr(owner, name):
            self._patch(owner, name, make)

    def patch_libraries(self) -> None:
        """Redirects also the files that torch, safetensors and NumPy open by themselves."""
        self._patch_in("numpy.lib._datasource", "open", self._opener)
        for table, where in ((_WRITERS, lambda path: self._write(path, False)), (_READERS, self._read)):
            for module, name, at, keyword in table:
                self._patch_in(module, name, lambda old, at=at, keyword=keyword, where=where: _redirected(
                    old, at, keyword, where))

    def __exit__(self, *exc: Any) -> None:
        for owner, name, old, own in reversed(self._saved):
            if own:
                setattr(owner, name, old)
            else:
                delattr(owner, name)
        self._saved.clear()
        shutil.rmtree(self.root, ignore_errors=True)


def _redirected(old: Callable, at: int, keyword: str, where: Callable) -> Callable:
    """A function whose path, an argument by position or keyword, is that of `where`."""
    def call(*args: Any, **kw: Any) -> Any:
        if len(args) > at and isinstance(args[at], (str, os.PathLike)):
            args = (*args[:at], where(args[at]), *args[at + 1:])
        elif isinstance(kw.get(keyword), (str, os.PathLike)):
            kw = {**kw, keyword: where(kw[keyword])}
        return old(*args, **kw)
    return call
