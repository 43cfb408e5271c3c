#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Forecasts of series recorded from PyTorch with windows cut by NumPy (tests/golden/record_series.py), trained with
clrnn from the tables themselves, on ref and on the device of CLRNN_DEVICE: errors after each epoch, as TAP.

    test_forecast.py CLRNN RECORDED.json [CASE...]"""
import base64
import json
import pathlib
import sys

from harness import main, near, write_safetensors

TOLERANCE = 1e-4  # relative; float32 on both sides


def test_of(name, case):
    def test(c):
        (c.folder / "series.csv").write_text(case["csv"])
        write_safetensors(c.folder / "init.safetensors", {key: ("F32", shape, base64.b64decode(text))
                                                          for key, (shape, text) in case["init"].items()})
        c.write("case.json", json.dumps(case["config"]))
        described = json.loads(c.run("data", "case.json", "--json")[0])
        assert [described[part]["samples"] for part in ("train", "valid")] == case["samples"]
        for device in ("ref", None):
            c.run("train", "case.json", "--init", "init.safetensors", "--out", "run", "--quiet", "--no-plot",
                  *(("--device", device) if device else ()))
            epochs = c.epochs("run")
            assert len(epochs) == len(case["errors"])
            for number, (epoch, (mae, rmse)) in enumerate(zip(epochs, case["errors"]), 1):
                for key, want in (("valid_mae", mae), ("valid_rmse", rmse)):
                    near(epoch[key] / want, 1, TOLERANCE, f"{device}: {key} of epoch {number}, against PyTorch's")
            print(f"# {name} on {device or 'the device'}: RMSE {epochs[-1]['valid_rmse']:.7g}, PyTorch {rmse:.7g}")
    test.__name__ = name
    return test


if __name__ == "__main__":
    recorded = json.loads(pathlib.Path(sys.argv.pop(2)).read_text())
    sys.exit(main([test_of(name, case) for name, case in recorded.items()]))
