# SPDX-License-Identifier: MIT
"""The package without torch: the library is found and checked, ids stand in the table, errors are sentences.

    test_package.py ROOT LIBRARY
"""
import ast
import ctypes
import os
import pathlib
import subprocess
import sys

try:
    import numpy  # noqa: F401
except ImportError:
    print("skipped: this Python has no numpy")
    sys.exit(77)

ROOT = pathlib.Path(sys.argv[1]).resolve()
os.environ["CLRNN_LIBRARY"] = sys.argv[2]
sys.path.insert(0, str(ROOT / "python"))

import clrnn  # noqa: E402
from clrnn import _library  # noqa: E402


def table_holds_all_ids():
    """Every id that a check adds stands in the library's table, with a text of its own."""
    known, added = clrnn.findings(), set()
    for path in (ROOT / "python/clrnn/scripts").glob("check_*.py"):
        for n in ast.walk(ast.parse(path.read_text())):
            if isinstance(n, ast.Call) and getattr(n.func, "attr", "") == "add" and n.args:
                added.update(a.value for a in n.args[:1] if isinstance(a, ast.Constant))
    assert len(added) > 30
    assert added <= set(known), added - set(known)


def errors_are_sentences():
    log, config = _library.Log(), ctypes.c_void_p()
    status = _library.library().clrnn_config_parse(ctypes.byref(log), b"model: {layers: [lstmm: {}]}\n", None,
                                                   ctypes.byref(config))
    try:
        _library.check(status, log)
    except clrnn.ConfigError as e:
        assert "lstmm" in str(e) and "\n" not in str(e)
    else:
        raise AssertionError("a wrong config was taken")


def a_wheel_works_without_opencl(folder):
    """CLBlast in a wheel may lack libOpenCL, which only devices need; any other library must load."""
    (folder / "libclblast.so.1").write_text("no library")
    _library._load_needed(str(folder))
    (folder / "libyaml-0.so.2").write_text("no library")
    try:
        _library._load_needed(str(folder))
    except OSError:
        return
    raise AssertionError("a wheel that lacks a library was taken")


def another_api_is_refused(folder):
    other = folder / "libclrnn.so.99"
    other.symlink_to(os.path.realpath(sys.argv[2]))
    real = os.path.realpath
    os.path.realpath = lambda p: str(p)
    try:
        assert _library._api_of(str(other)) == 99 != _library.api()
    finally:
        os.path.realpath = real


def a_named_library_is_the_one_taken(folder):
    """CLRNN_LIBRARY stands in for no other library where it is missing or broken."""
    broken = folder / "libclrnn.so"
    broken.write_text("no library")
    for path in (str(folder / "missing.so"), str(broken)):
        run = subprocess.run([sys.executable, "-c", "import clrnn; clrnn.version()"], stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "PYTHONPATH": str(ROOT / "python"), "CLRNN_LIBRARY": path}, check=False)
        assert f"CLRNN_LIBRARY is {path}, which cannot be loaded: " in run.stderr, run.stderr


def usage(*argv):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    return subprocess.run([sys.executable, "-m", "clrnn", *argv], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


def main():
    import tempfile
    assert clrnn.version().count(".") == 2
    table_holds_all_ids()
    errors_are_sentences()
    with tempfile.TemporaryDirectory() as name:
        another_api_is_refused(pathlib.Path(name))
        a_named_library_is_the_one_taken(pathlib.Path(name))
    with tempfile.TemporaryDirectory() as name:
        a_wheel_works_without_opencl(pathlib.Path(name))
    assert usage("doctor", "none.py").returncode == 2 and "no such file" in usage("doctor", "none.py").stderr
    assert usage("doctor").returncode == 2 and usage().returncode == 2
    print("ok")


main()
