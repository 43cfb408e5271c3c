# SPDX-License-Identifier: MIT
"""Runs a script under recording, checks the recording, and reports."""
from __future__ import annotations

import argparse
import builtins
import json
import os
import sys
import traceback
import types
import warnings
from importlib.machinery import SourceFileLoader
from typing import Any, Optional

from .._library import library
from . import texts
from .source import Source

_USAGE = """python3 -m clrnn doctor SCRIPT.py [ARGS...] [--steps N] [--json] [--to-config DIR]

Runs a PyTorch training script, unchanged, under recording for one epoch, and says what keeps its model from learning.
What the script writes goes nowhere. Exit status 0: no error or warning; 1: there are some; 2: wrong usage."""


def _arguments(argv: list) -> Any:
    """The doctor's own options, wherever they stand, and the script with its arguments."""
    parser = argparse.ArgumentParser(prog="clrnn doctor", usage=_USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--to-config", metavar="DIR")
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--help", action="store_true")
    known, rest = parser.parse_known_args(argv)
    if known.help or not rest:
        print(_USAGE)
        sys.exit(0 if known.help else 2)
    known.script, known.args = rest[0], rest[1:]
    if known.steps is not None and known.steps < 1:
        _stop("--steps must be at least 1")
    return known


def _stop(sentence: str, status: int = 2) -> None:
    print(f"clrnn: {texts.shown(sentence)}", file=sys.stderr)
    sys.exit(status)


class Result:
    """What was found: findings, the script's exception, the conversion."""

    def __init__(self) -> None:
        self.findings: list = []
        self.exception: Optional[dict] = None
        self.converted = False
        self.not_converted = ""
        self.steps = 0
        self.epochs = 0
        self.seconds = 0.0


def _execute(source: Source, argv: list, rec: Any) -> Optional[BaseException]:
    """Runs the script as __main__; returns the exception that ended it."""
    from .seen import Ended
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=source.path, __builtins__=__builtins__)
    rec.globals = module.__dict__
    saved = (sys.argv, sys.modules.get("__main__"), list(sys.path), sys.stdout)
    sys.argv, sys.modules["__main__"] = [source.path, *argv], module
    sys.path[0:1] = [source.folder]
    sys.stdout = sys.stderr
    error: Optional[BaseException] = None
    get_code, names = SourceFileLoader.get_code, rec.names()

    def recorded(self: Any, name: str) -> Any:
        """The user's modules report their loops, as the script does; the code of others is what it was."""
        path = self.get_filename(name)
        return source.compile(self.get_data(path), path) if source.is_users(path) else get_code(self, name)
    SourceFileLoader.get_code = recorded        # type: ignore[method-assign]
    vars(builtins).update(names)
    try:
        with rec:
            exec(source.code, module.__dict__)
    except Ended:
        pass
    except SystemExit as e:
        if e.code not in (None, 0) and not rec.shortened:
            error = e
    except KeyboardInterrupt:
        if not rec.shortened:
            raise
    except BaseException as e:
        if not rec.shortened:
            error = e
    finally:
        SourceFileLoader.get_code = get_code    # type: ignore[method-assign]
        for name in names:
            delattr(builtins, name)
        sys.stdout.flush()
        sys.argv, sys.path[:], sys.stdout = saved[0], saved[2], saved[3]
        if saved[1] is not None:
            sys.modules["__main__"] = saved[1]
    return error


def examine(script: str, argv: Optional[list] = None, steps: Optional[int] = None, seconds: float = 30.0,
            to_config: Optional[str] = None) -> Result:
    """Runs `script` under recording and returns what was found.

    `steps`      end after so many training steps; None: one epoch
    `to_config`  a folder for config.yaml, init.safetensors and the recorded data
    Raises FileNotFoundError, SyntaxError. The script's own exception is in the result.
    """
    import torch

    from . import check_data, check_error, check_loop, check_metric, check_model, check_train, probe
    from .facts import Facts
    from .overlay import Overlay
    from .record import Recorder
    os.environ.setdefault("MPLBACKEND", "Agg")
    source = Source(script)
    rec = Recorder(source, steps, seconds)
    with Overlay() as overlay, warnings.catch_warnings():
        overlay.patch_libraries()
        error = _execute(source, argv or [], rec)
    facts = Facts(rec)
    if error is not None:
        facts_error = traceback.TracebackException.from_exception(error)
        result_exception = {"type": type(error).__name__, "text": str(error), "where": _where(source, error)}
        frames = [f for f in facts_error.stack if source.is_users(f.filename) or "clrnn/scripts" not in f.filename]
        print("Traceback (most recent call last):\n" + "".join(traceback.format_list(frames))
              + "".join(facts_error.format_exception_only()), end="", file=sys.stderr)
        _check(facts, check_error.exceptions, error)
    else:
        result_exception = None
    if facts.steps and error is None:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            for check in (check_loop.CHECKS + check_model.CHECKS + check_data.CHECKS + probe.CHECKS + check_train.CHECKS
                          + check_metric.CHECKS):
                _check(facts, check)
    result = Result()
    result.exception = result_exception
    result.findings = [texts.finding(source, f) for f in facts.findings]
    order = {"error": 0, "warning": 1, "note": 2}
    result.findings.sort(key=lambda d: order[d["severity"]])
    result.steps = len(rec.steps)
    if to_config is not None:
        from .convert import convert
        result.not_converted = convert(facts, to_config, error)
        result.converted = not result.not_converted
    rec.compile_again()
    return result


def _where(source: Source, error: BaseException) -> str:
    where, tb = "", error.__traceback__
    while tb is not None:
        if source.is_users(tb.tb_frame.f_code.co_filename):
            where = source.shown(tb.tb_frame.f_code.co_filename, tb.tb_lineno)
        tb = tb.tb_next
    return where


def _check(facts: Any, check: Any, *args: Any) -> None:
    """One check; one that fails says so where CLRNN_DEBUG is set and finds nothing."""
    try:
        check(facts, *args)
    except Exception:
        if os.environ.get("CLRNN_DEBUG"):
            traceback.print_exc()


def main(argv: list) -> int:
    """The command; returns its exit status."""
    o = _arguments(argv)
    if not os.path.isfile(o.script):
        _stop(f"{o.script}: no such file")
    try:
        import torch  # noqa: F401
    except ImportError:
        _stop("the doctor of scripts needs PyTorch, which this Python does not have: pip install torch")
    try:
        library()                       # has the table of findings
        result = examine(o.script, o.args, o.steps, o.seconds, o.to_config)
    except ImportError as e:
        _stop(str(e))
    except SyntaxError as e:
        _stop(f"{o.script}:{e.lineno}: {e.msg}")
    except OSError as e:
        _stop(f"{o.script}: {e.strerror or e}", 5)
    if o.json:
        out: dict = {"findings": result.findings, "steps": result.steps}
        if result.exception:
            out["exception"] = result.exception
        if o.to_config is not None:
            out["converted"] = result.converted
            if not result.converted:
                out["not_converted"] = result.not_converted
        print(json.dumps(out, indent=2))
    else:
        texts.show(result, o)
    return 1 if any(d["severity"] != "note" for d in result.findings) or result.exception else 0
