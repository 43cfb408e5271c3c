#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Devices side by side: self-tests, the same run on every implementation that is installed, and kernels made wrong
on purpose. `test_compare.py CLRNN CL [TEST...]`: CL is the folder of the kernels."""
import json
import os
import pathlib
import subprocess
import sys

import harness
from harness import Skip

KERNELS = pathlib.Path(sys.argv.pop(2)).resolve()
OCLGRIND = pathlib.Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")
MODEL = """\
model:
  layers:
  - rnn: {name: rnn, hidden_size: 6, bidirectional: true}
  - batchnorm: {name: norm}
  - rnn: {name: rnn2, hidden_size: 5}
  - dropout: {p: 0.5}
  - pool: {over: last}
  - linear: {name: fc7, out_features: 2}
train:
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
  epochs: 1
  batch_size: 8
  seed: 3
data:
  train: {synthetic: {samples: 20, steps: 2, features: 9, classes: 2, seed: 1}}
"""
LINEAR = """\
model: {layers: [linear: {name: only, out_features: 2}]}
train: {loss: cross_entropy, optimizer: {sgd: {lr: 0.1}}, batch_size: 8, seed: 3}
data: {train: {synthetic: {samples: 40, steps: 1, features: 5, classes: 2, seed: 1}}}
"""


def drivers(c, *names):
    """Shows the loader these drivers alone, as variables for the environment."""
    folder = c.folder / "icd"
    folder.mkdir(exist_ok=True)
    for name in names:
        found = [path.read_text() for path in pathlib.Path("/etc/OpenCL/vendors").glob(f"{name}*.icd")]
        if name == "oclgrind" and OCLGRIND.exists():
            found = [f"{OCLGRIND}\n"]
        if not found:
            raise Skip(f"{name} is not installed")
        (folder / f"{name}.icd").write_text(found[0])
    return {"OCL_ICD_VENDORS": str(folder), "RUSTICL_ENABLE": "llvmpipe"}


def damaged(c, name, old, new):
    """A folder with one kernel file changed, as the variable that gives it to device 0:0."""
    folder = c.folder / "damaged"
    folder.mkdir(exist_ok=True)
    text = (KERNELS / name).read_text()
    assert old in text, f"cl/{name} has no longer {old!r}: choose another fault"
    (folder / name).write_text(text.replace(old, new))
    return {"CLRNN_TEST_KERNEL_DIRS": f"0:0={folder}"}


DAMAGED_LINEAR = ("linear.cl", "total = LANE_SUM(sum_of(sum), scratch);",
                  "total = 1.001f * LANE_SUM(sum_of(sum), scratch);")
DAMAGED_ADAM = ("optim.cl", "p -= u->step_size * (mean", "p -= 1.01f * u->step_size * (mean")
HANGING = ("pool.cl", "// SPDX-License-Identifier: MIT\n",
           "size_t hang(void) { volatile int go = 1; while (go) ; return 0; }\n"
           "#define get_global_id(dimension) hang()\n")


def rows(text):
    """The devices of a JSON result by their numbers."""
    result = json.loads(text)
    return {row["device"]: row for row in (result if isinstance(result, list) else result["devices"])}


def listing(c):
    env = drivers(c, "pocl")
    out, _ = c.run("devices", "--no-test", "--json", env=env)
    row = rows(out)["0:0"]
    clinfo = subprocess.run(["clinfo", "--raw", "-d", "0:0"], capture_output=True, text=True, check=True,
                            env={**os.environ, **env}).stdout
    raw = {line.split()[1]: line.split(None, 2)[2] for line in clinfo.splitlines()
           if line.startswith("[") and len(line.split(None, 2)) == 3}
    assert row["driver"] == raw["CL_DRIVER_VERSION"] and row["name"] == raw["CL_DEVICE_NAME"], (row, raw)
    assert row["compute_units"] == int(raw["CL_DEVICE_MAX_COMPUTE_UNITS"])
    assert row["verdict"] is None and row["self_test"] is None and row["same_as"] is None
    assert "ref" in rows(out)


def aliases(c):
    out, _ = c.run("devices", "--no-test", "--json", env=drivers(c, "pocl", "oclgrind"))
    found = rows(out)
    assert sorted(str(found[d]["same_as"]) for d in found if d != "ref") == ["0:0", "None"], "one CPU, two platforms"
    assert "the same hardware as 0:0" in c.run("devices", "--no-test", env=drivers(c, "pocl", "oclgrind"))[0]


def self_test(c):
    out, _ = c.run("devices", "--json", env=drivers(c, "pocl"))
    row = rows(out)["0:0"]
    assert row["verdict"] == "ok", row["reason"]
    ops = {op["op"]: op for op in row["self_test"]["ops"]}
    assert len(ops) >= 20 and all(op["cases"] > 0 and op["share_of_bound"] < 0.5 for op in ops.values()), ops


def self_test_finds_a_wrong_kernel(c):
    out, _ = c.run("devices", "--json", "--device", "0:0", status=1,
                   env={**drivers(c, "pocl"), **damaged(c, *DAMAGED_LINEAR)})
    row = rows(out)["0:0"]
    assert row["verdict"] == "wrong" and "linear_fwd" in row["reason"], row["reason"]
    assert {op["op"] for op in row["self_test"]["ops"] if op["wrong"]} == {"linear_fwd"}


def a_hanging_device_is_a_row(c):
    out, _ = c.run("devices", "--timeout", "15", status=1, env={**drivers(c, "pocl"), **damaged(c, *HANGING)})
    assert "BROKEN: hung for 15 s while running pool" in out and "ref" in out, out


def all_implementations_agree(c):
    c.write("model.yaml", MODEL)
    out, _ = c.run("compare", "model.yaml", "--steps", "3", "--no-speed", "--json", "-", "--quiet",
                   env=drivers(c, "pocl", "rusticl", "oclgrind"))
    found = rows(out)
    assert len(found) == 4 and json.loads(out)["agree"]
    for row in found.values():
        assert row["verdict"] == "ok" and row["steps"] == 3 and row["leaves_at_step"] is None, row
        assert row["device"] == "ref" or row["self_test_verdict"] == "ok", row["self_test_reason"]
        for part in row["first_step"]["gradients"].values() if row["first_step"] else []:
            assert part["error"] <= part["bound"]


def a_config_after_json_is_read(c):
    """`--json a.yml`: the config is compared and the result printed; a.yml is not overwritten."""
    c.write("a.yml", MODEL)
    out, _ = c.run("compare", "--json", "a.yml", "--steps", "1", "--no-speed", "--no-test", "--quiet",
                   env=drivers(c, "pocl"))
    assert json.loads(out)["agree"] and (c.folder / "a.yml").read_text() == MODEL


def one_wrong_kernel_among_devices(c):
    """Its op is named, and the other device is not blamed."""
    c.write("model.yaml", MODEL)
    env = {**drivers(c, "pocl", "oclgrind"), **damaged(c, *DAMAGED_LINEAR)}
    out, _ = c.run("compare", "model.yaml", "--steps", "2", "--no-speed", "--no-test", "--json", "-", "--quiet",
                   status=1, env=env)
    found = rows(out)
    assert found["0:0"]["verdict"] == "wrong" and found["1:0"]["verdict"] == "ok" and found["ref"]["verdict"] == "ok"
    assert found["0:0"]["blamed_op"] == "linear_fwd fc7" and found["0:0"]["blamed_tensor"] == "fc7 y", found["0:0"]
    assert found["0:0"]["leaves_at_step"] == 1


def a_wrong_update_shows_later(c):
    c.write("model.yaml", MODEL)
    env = {**drivers(c, "pocl"), **damaged(c, *DAMAGED_ADAM)}
    out, _ = c.run("compare", "model.yaml", "--no-speed", "--no-test", "--quiet", "--json", "-", status=1, env=env)
    row = rows(out)["0:0"]
    assert row["leaves_at_step"] > 1 and row["blamed_op"].startswith("optim"), (row["leaves_at_step"], row["blame"])


def a_device_that_fails_stops_no_other(c):
    c.write("model.yaml", MODEL)
    env = {**drivers(c, "pocl", "oclgrind"), **damaged(c, "pool.cl", "kernel void pool_fwd", "kernel void nothing")}
    out, _ = c.run("compare", "model.yaml", "--steps", "1", "--no-speed", "--no-test", "--quiet", status=1, env=env)
    assert "0:0 BROKEN: cl/pool.cl" in out and "agrees" in out, out


def against_an_earlier_run(c):
    c.write("model.yaml", LINEAR)
    env = drivers(c, "pocl")
    common = ("compare", "model.yaml", "--steps", "4", "--no-test", "--quiet")
    c.run(*common, "--json", "then.json", "--plot", "--out", "pictures", env=env)
    then = json.loads((c.folder / "then.json").read_text())
    row = rows(json.dumps(then))["0:0"]
    for key in ("build_cold_s", "build_warm_s", "samples_per_s", "gflops", "gb_per_s", "peak_gflops", "peak_gb_per_s"):
        assert row[key] > 0, key
    assert row["step_ms"]["min"] <= row["step_ms"]["median"] <= row["step_ms"]["max"] and row["launches_per_step"] > 3
    assert (c.folder / "pictures" / "compare-loss.svg").exists() or not harness.shutil.which("gnuplot")
    if harness.shutil.which("gnuplot"):
        speeds = (c.folder / "pictures" / "compare-speed.svg").read_text()
        assert f"0:0 {row['name'][:20]}" in speeds and "ref double" in speeds, row["name"]
    out, _ = c.run(*common, "--no-speed", "--baseline", "then.json", env=env)
    assert "nothing changed" in out and "DIFFERENT" not in out, out
    for device in then["devices"]:
        device["loss"][2] += 0.01
        device["driver"] = "0.9"
    (c.folder / "other.json").write_text(json.dumps(then))
    out, _ = c.run(*common, "--no-speed", "--baseline", "other.json", env=env)
    assert "DIFFERENT: the loss of step 3" in out and "earlier 0.9" in out, out
    out, _ = c.run(*common, "--no-speed", "--baseline", "other.json", "--json", "-", env=env)
    assert any("DIFFERENT" in change for device in json.loads(out)["baseline"] for change in device["changes"]), out
    out, _ = c.run(*common, "--no-speed", "--baseline", "model.yaml", status=3, env=env)
    assert not out, "it was run before the baseline was read"


def mistakes(c):
    c.write("model.yaml", LINEAR)
    env = drivers(c, "pocl")
    c.run("compare", "model.yaml", "--devices", "nonesuch", status=2, env=env)
    c.run("compare", "model.yaml", "--devices", ",", status=2, env=env)
    _, err = c.run("compare", "model.yaml", "--devices", "0:0", "--device", "ref", status=2, env=env)
    assert "--device and --devices exclude each other" in err, err
    c.run("compare", "nonesuch.yaml", status=2, env=env)
    c.write("nodata.yaml", LINEAR[:LINEAR.index("data:")])
    c.run("compare", "nodata.yaml", status=2, env=env)
    out, _ = c.run("compare", "model.yaml", "--devices", "ref", "--steps", "2", "--quiet", env=env)
    assert "All devices agree" in out


if __name__ == "__main__":
    sys.exit(harness.main([listing, aliases, self_test, self_test_finds_a_wrong_kernel, a_hanging_device_is_a_row,
                           all_implementations_agree, a_config_after_json_is_read, one_wrong_kernel_among_devices,
                           a_wrong_update_shows_later, a_device_that_fails_stops_no_other, against_an_earlier_run,
                           mistakes]))
