# SPDX-License-Identifier: MIT
"""Why a model does not learn: the doctor, overfitting one batch, growing the model part by part, comparing devices."""
from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Optional, Sequence

import numpy as np

from ._data import ArrayLike, Config, ConfigLike, sets_of
from ._library import Log, check, findings, library
from ._model import Device
from ._structs import (CompareParams, CompareResult, DoctorParams, DoctorResult, GrowParams, GrowResult,
                       OverfitParams, OverfitResult, Record, plain)

_SEVERITIES = ("error", "warning", "note")
_OUTCOMES = (None, "helps", "nothing", "worse")
_VERDICTS = (None, "ok", "wrong", "broken")


def _run(name: str, config: Config, device: Optional[str], params: Any, result: Any, read: Any) -> Record:
    """Calls a function of (device, config, params, result), reads the result and frees it."""
    opened = Device.get(device)
    try:
        if opened.call(name, opened.handle, config.handle, ctypes.byref(params), ctypes.byref(result)) == 9:
            raise KeyboardInterrupt
        return read(result)
    finally:
        getattr(library(), name + "_finish")(ctypes.byref(result))


def _path(path: Any) -> Optional[bytes]:
    return None if path is None else os.fsencode(path)


def doctor(config: ConfigLike, X: Optional[ArrayLike] = None, y: Optional[ArrayLike] = None, *,
           valid: Optional[Sequence[Any]] = None, lengths: Optional[ArrayLike] = None,
           weights: Optional[ArrayLike] = None, device: Optional[str] = None, init: Any = None,
           static: bool = False, train: bool = True, seconds: float = 45, report: Any = None) -> Record:
    """What keeps a model from learning, as `clrnn doctor` finds it.

    Config and arrays as in clrnn.train. static: config and data only. train: try a short training. seconds: aim to end
    by then. report: an HTML file to write.
    Returns findings (gravest causes first: id, severity, where, evidence, cost, remedy, set, follows_from, outcome,
    tried, meaning, page), first (what to do first), verdict and fixed (the config with the certain remedies, YAML).
    """
    table = findings()

    def read(result: DoctorResult) -> Record:
        found = []
        for i in range(result.count):
            one = plain(result.finding[i])
            one["severity"], one["outcome"] = _SEVERITIES[one.severity], _OUTCOMES[one.outcome]
            one["meaning"], one["page"] = table[one.id][1], table[one.id][4]
            found.append(one)
        return Record(findings=found, **{k: v for k, v in plain(result).items() if k != "count"})
    params = DoctorParams(init=_path(init), report=_path(report), static_only=static, no_train=not train,
                          seconds=seconds)
    return _run("clrnn_doctor", Config(config, **sets_of(X, y, valid, lengths, weights)), device, params,
                DoctorResult(), read)


def overfit(config: ConfigLike, X: Optional[ArrayLike] = None, y: Optional[ArrayLike] = None, *,
            valid: Optional[Sequence[Any]] = None, lengths: Optional[ArrayLike] = None,
            weights: Optional[ArrayLike] = None, device: Optional[str] = None, init: Any = None, samples: int = 0,
            steps: int = 1000, target: float = 0, plain_model: bool = False) -> Record:
    """Trains on one batch until the loss is below the target, as `clrnn overfit`.

    samples: 0: one batch of the config. target: 0: the default. plain_model: without dropout and scheduler.
    Returns reached, steps, first_loss, lowest_loss, last_loss, accuracy, target, floor, curve (steps), ...
    """
    def read(result: OverfitResult) -> Record:
        made = plain(result)
        made["curve"] = np.array(result.curve[:made.pop("curve_count")])
        return made
    params = OverfitParams(init=_path(init), samples=samples, steps=steps, target=target, plain=plain_model)
    return _run("clrnn_overfit", Config(config, **sets_of(X, y, valid, lengths, weights)), device, params,
                OverfitResult(), read)


def grow(config: ConfigLike, X: Optional[ArrayLike] = None, y: Optional[ArrayLike] = None, *,
         valid: Optional[Sequence[Any]] = None, lengths: Optional[ArrayLike] = None,
         weights: Optional[ArrayLike] = None, device: Optional[str] = None, init: Any = None, steps: int = 500,
         train_steps: int = 300) -> Record:
    """Trains the model part by part from a linear one and names the part that breaks learning, as `clrnn grow`.

    Returns stages (name, description, overfits, learns, breaks, losses), first_broken (index, -1: none) and cause.
    """
    def read(result: GrowResult) -> Record:
        return Record(stages=[plain(result.stage[i]) for i in range(result.count)],
                      first_broken=result.first_broken, cause=plain(result.cause))
    params = GrowParams(init=_path(init), steps=steps, train_steps=train_steps)
    return _run("clrnn_grow", Config(config, **sets_of(X, y, valid, lengths, weights)), device, params,
                GrowResult(), read)


# ---------------------------------------------------------------- compare

def compare(config: ConfigLike, X: Optional[ArrayLike] = None, y: Optional[ArrayLike] = None, *,
            valid: Optional[Sequence[Any]] = None, lengths: Optional[ArrayLike] = None,
            weights: Optional[ArrayLike] = None, devices: Sequence[str] = (), init: Any = None, steps: int = 20,
            speed: bool = True, test: bool = True) -> Record:
    """Runs the same training on several devices and the reference and compares them, as `clrnn compare`.

    devices: specifications; empty: every device that can be used. speed: measure it. test: self-tests first.
    Runs in a process of its own, as OpenCL does not outlive a fork.
    Returns agree, steps, batch, loss_bound (steps) and devices: device, name, verdict, reason, loss (steps),
    leaves_at_step, blamed_op, final_loss, samples_per_s, ...
    """
    made = Config(config, **sets_of(X, y, valid, lengths, weights))
    with tempfile.TemporaryDirectory(prefix="clrnn-") as folder:
        text = made.text()
        for name, data in made.sets.items():
            for key, array in data.named().items():
                np.save(os.path.join(folder, f"{name}_{key}.npy"), array)
        with open(os.path.join(folder, "config.yaml"), "w", encoding="utf-8") as f:
            f.write(text)
        order = {"sets": {name: list(data.named()) for name, data in made.sets.items()}, "devices": list(devices),
                 "init": None if init is None else os.path.abspath(init), "steps": steps, "speed": speed,
                 "test": test, "folder": folder}
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        path = os.pathsep.join(p for p in (package, os.environ.get("PYTHONPATH")) if p)
        done = subprocess.run([sys.executable, "-c", "from clrnn._diagnose import _compare; _compare()"],
                              input=json.dumps(order), stdout=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": path})
        if done.returncode:
            raise subprocess.SubprocessError("the process that compares ended with status %d" % done.returncode)
        answer = json.loads(done.stdout, object_hook=Record)
    if "status" in answer:
        log = Log()
        log.errors.append(answer["error"])
        check(answer["status"], log)
    return answer


def _compare() -> None:
    """The child process: reads an order from standard input, writes the answer to standard output."""
    order = json.load(sys.stdin)
    lib, log = library(), Log()
    sets = {}
    for name, keys in order["sets"].items():
        arrays = {k: np.load(os.path.join(order["folder"], f"{name}_{k}.npy"), mmap_mode="r") for k in keys}
        sets[name] = tuple(arrays.get(k) for k in ("x", "y", "lengths", "weights"))
    from ._data import Set
    config = Config(os.path.join(order["folder"], "config.yaml"), **{k: Set(*v) for k, v in sets.items()})
    words = [d.encode() for d in order["devices"]]
    array = (ctypes.c_char_p * max(len(words), 1))(*words)
    params = CompareParams(device_count=len(words), device=ctypes.cast(array, ctypes.c_void_p),
                           init=_path(order["init"]), steps=order["steps"], no_speed=not order["speed"],
                           no_test=not order["test"])
    result = CompareResult()
    status = lib.clrnn_compare(ctypes.byref(log), config.handle, ctypes.byref(params), ctypes.byref(result))
    if status:
        answer: Any = {"status": status, "error": log.errors[-1] if log.errors else ""}
    else:
        answer = {"agree": result.agree, "steps": result.steps, "batch": result.batch, "config_key": plain(result.config_key),
                  "judged_samples": result.judged, "judged": "valid" if result.judged_valid else "train",
                  "loss_bound": result.bound[:result.steps],
                  "devices": [_row(result, i) for i in range(result.row_count)]}
    json.dump(answer, sys.stdout)


def _row(result: CompareResult, i: int) -> dict:
    row = result.row[i]
    made = plain(row)
    spec, leaves = made.pop("spec"), made.pop("leaves")
    for key in ("test", "worst_gradient", "step_ms", "peak", "loss", "logits", "final", "is_ref"):
        made.pop(key)
    return {**made, "device": spec, "verdict": _VERDICTS[row.verdict],
            "self_test_verdict": _VERDICTS[row.test.verdict], "self_test_reason": plain(row.test.reason),
            "step_ms": row.step_ms.median, "final": plain(row.final), "first_step": {
                "loss": plain(row.loss), "logits": plain(row.logits)},
            "loss": row.curve[:row.steps], "leaves_at_step": leaves or None}
