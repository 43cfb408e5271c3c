#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks ONNX files and runs them in ONNX Runtime, for test_export_onnx.py: one job a line of standard input.

A job is JSON: {"model": FILE, "inputs": {NAME: NPY}, "out": NPY, "stepwise": bool}; one line answers it: "ok", or what
is wrong. With stepwise the model has states, and the sequence is given step by step."""
import json
import sys

import numpy
import onnx
import onnxruntime

TYPES = {"tensor(float)": "f4", "tensor(int64)": "i8"}


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def run(job):
    check(job["model"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(job["model"], options, providers=["CPUExecutionProvider"])
    types = {i.name: TYPES[i.type] for i in session.get_inputs()}
    shapes = {i.name: i.shape for i in session.get_inputs()}
    given = {name: numpy.load(path).astype(types[name]) for name, path in job["inputs"].items()}
    if given["x"].ndim < len(shapes["x"]):
        given["x"] = given["x"][:, None]  # (N, C) is one step
    if not job["stepwise"]:
        out = session.run(["out"], given)[0]
    else:
        states = [name for name in types if name not in ("x", "lengths")]
        x = given["x"]
        feed = {name: numpy.zeros([len(x) if d == "N" else d for d in shapes[name]], "f4") for name in states}
        steps = []
        for t in range(x.shape[1]):
            got = session.run(["out", *(name + "_out" for name in states)], {"x": x[:, t:t + 1], **feed})
            steps.append(got[0])
            feed = dict(zip(states, got[1:]))
        out = steps[-1] if steps[-1].ndim == 2 else numpy.concatenate(steps, 1)
    numpy.save(job["out"], numpy.ascontiguousarray(out.astype("<f4")))


for line in sys.stdin:
    try:
        run(json.loads(line))
        print("ok", flush=True)
    except Exception as error:  # told to the test
        print(" ".join(f"{type(error).__name__}: {error}".split()), flush=True)
