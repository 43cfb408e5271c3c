#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clrnn tune: what it remembers, who uses it, and that a damaged file costs time only."""
import json
import os
import pathlib
import signal
import sys

import harness


def remembered(command):
    """The environment of a cache of the test's own, with drivers' caches where they were, and the folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return {"XDG_CACHE_HOME": str(command.folder),
            "POCL_CACHE_DIR": os.environ.get("POCL_CACHE_DIR", f"{home}/pocl/kcache"),
            "MESA_SHADER_CACHE_DIR": os.environ.get("MESA_SHADER_CACHE_DIR", home)}, command.folder / "clrnn" / "tune"


def kernels(command, env, *options):
    """The kernels of a training step, by op."""
    plan = json.loads(command.run("plan", "config.yaml", "--json", *options, env=env)[0])
    return [(op["op"], launch["kernel"]) for op in plan["ops"] for launch in op["launches"]]


def is_tuned(command, env):
    """Whether `devices` says so of any."""
    rows = json.loads(command.run("devices", "--json", "--no-test", env=env)[0])
    return any(row["tuned"] for row in rows)


def test_remembers(command):
    env, folder = remembered(command)
    untuned = kernels(command, env)
    assert not is_tuned(command, env)
    result = json.loads(command.run("tune", "config.yaml", "--seconds", "12", "--settings", "1", "--json", env=env)[0])
    assert result["step_ms"] > 0
    path = pathlib.Path(result["file"])
    assert path.parent == folder and len(list(folder.iterdir())) == 1
    assert result["shapes"] and all(shape["default_ms"] > 0 for shape in result["shapes"])
    variants = [choice for choice in result["choices"] if choice["choice"].endswith(" variant")]
    assert len(variants) == 3 and any("use_ms" in variant for variant in variants), result["choices"]
    assert is_tuned(command, env)

    # a changed file is not believed: one warning, and the run is the untuned one
    text = path.read_text()
    command.run("train", "config.yaml", "--out", "untuned", "--quiet", "--no-tune", env=env)
    content = json.loads(text)
    for key, choice in content["choices"].items():
        if key.endswith(" variant"):
            choice["use"] = "steps"
    setting = {"WGD": 7, "MDIMCD": 8, "NDIMCD": 8, "MDIMAD": 8, "NDIMBD": 8, "KWID": 2, "VWMD": 0, "VWND": 1,
               "PADA": 0, "PADB": 0}
    content["use"] = {"GemmRoutine": {"XGEMM_MIN_INDIRECT_SIZE": 60000}, "XgemmDirect": setting}
    for shape in content["shapes"].values():
        shape["use"] = "clblast"
    path.write_text(json.dumps(content))
    assert kernels(command, env) == untuned
    _, err = command.run("train", "config.yaml", "--out", "changed", "--quiet", "--no-plot", env=env)
    assert err.count("\n") == 1 and str(path) in err and "run `clrnn tune` again" in err, err
    assert command.bytes("changed") == command.bytes("untuned")

    # a second call takes from there what the first one measured; --no-tune takes nothing, nor do damaged files
    path.write_text(text)
    again = json.loads(command.run("tune", "config.yaml", "--seconds", "0.1", "--json", env=env)[0])
    known = {choice["choice"]: choice["use"] for choice in result["choices"] if "use_ms" in choice}
    now = {choice["choice"]: choice["use"] for choice in again["choices"] if "use_ms" in choice}
    assert known.items() <= now.items()
    assert kernels(command, env, "--no-tune") == untuned
    old = json.loads(text)
    del old["hash"]
    for damaged in ("", text[: len(text) // 2], text.replace("{", "[", 3), '{"version": 1, "choices": 3, "use": []}',
                    json.dumps(old), json.dumps({**old, "version": 1})):
        path.write_text(damaged)
        assert kernels(command, env) == untuned, damaged
        assert not is_tuned(command, env)


def test_together(command):
    """Two calls at once: the file holds what both have measured."""
    env, _ = remembered(command)
    command.write("other.yaml", harness.CONFIG.replace("hidden_size: 8", "hidden_size: 24"))
    calls = [command.start("tune", name, "--seconds", "6", "--settings", "1", "--json", env=env)
             for name in ("config.yaml", "other.yaml")]
    results = []
    for call in calls:
        out, err = call.communicate(timeout=300)
        assert call.returncode == 0, err
        results.append(json.loads(out))
    content = json.loads(pathlib.Path(results[0]["file"]).read_text())
    for result in results:
        assert result["shapes"]
        for shape in result["shapes"]:
            assert shape["shape"] in content["shapes"], (shape, content["shapes"].keys())
        for choice in result["choices"]:
            assert "use_ms" not in choice or choice["choice"] in content["choices"], choice


def devices(command, env):
    """The rows of two PoCL devices by number, and the default's number and reason."""
    rows = {row["device"]: row for row in json.loads(command.run("devices", "--json", "--no-test", env=env)[0])}
    return rows, *next((name, row["default_why"]) for name, row in rows.items() if row["default"])


def test_default(command):
    """Of two devices the one whose measured step is faster is the default; damaged measurements decide nothing."""
    env, _ = remembered(command)
    env |= {"POCL_DEVICES": "basic pthread", "CLRNN_DEVICE": ""}
    rows, unmeasured, why = devices(command, env)
    if sum(row["platform"] == "Portable Computing Language" for row in rows.values()) != 2:
        raise harness.Skip("PoCL is not installed")
    pair = [name for name, row in rows.items() if row["platform"] == "Portable Computing Language"]
    other = pair[pair[0] == unmeasured]
    files = {}
    for name in (other, unmeasured):
        result = json.loads(command.run("tune", "config.yaml", "--device", name, "--seconds", "0.1", "--settings", "1",
                                        "--json", env=env)[0])
        files[name] = pathlib.Path(result["file"])
        rows, default, now = devices(command, env)
        assert result["device"] == name and abs(result["step_ms"] / rows[name]["step_ms"] - 1) < 1e-4, rows[name]
        if name == other:  # alone it decides nothing
            assert (default, now) == (unmeasured, why), (default, now)
    assert files[other] != files[unmeasured]

    def decided(fast, slow):
        rows, default, now = devices(command, env)
        times = [rows[name]["step_ms"] for name in (fast, slow)]
        assert default == fast and times[0] < times[1], (default, times)
        assert now == f"the fastest measured, {times[0]:.3g} ms a step ({slow} takes {times[1]:.3g} ms)", now
        text, _ = command.run("devices", "--no-test", env=env)
        assert f"the default: {now}" in text and text.count("a training step (lstm") == 2, text
        _, err = command.run("train", "config.yaml", "--out", f"run-{fast}", "--no-plot", env=env)
        assert f"on {fast} " in err, err

    fast, slow = sorted(pair, key=lambda name: rows[name]["step_ms"])
    decided(fast, slow)
    texts = {name: path.read_text() for name, path in files.items()}
    for name, path in files.items():
        path.write_text(texts[pair[pair[0] == name]])  # now each has the other's
    decided(slow, fast)

    text = texts[unmeasured]
    for damaged in ("", text[: len(text) // 2], text.replace('"step_ms": ', '"step_ms": 0.000'),
                    text.replace('"step_ms"', '"steps"'), None):
        if damaged is None:
            files[unmeasured].unlink()
        else:
            files[unmeasured].write_text(damaged)
        rows, default, now = devices(command, env)
        assert (default, now) == (unmeasured, why) and rows[unmeasured]["step_ms"] is None, (damaged, default, now)
        assert rows[other]["step_ms"]
    command.run("train", "config.yaml", "--out", "untuned", "--quiet", "--no-plot", env=env)

    # a device that fails its self-test is not measured, and loses what was measured before
    folder = command.folder / "kernels"
    folder.mkdir()
    source = (pathlib.Path(__file__).parents[2] / "cl/optim.cl").read_text()
    wrong = source.replace("p -= u->step_size * (mean", "p -= 1.01f * u->step_size * (mean")
    assert wrong != source
    (folder / "optim.cl").write_text(wrong)
    out, err = command.run("tune", "config.yaml", "--device", other, "--seconds", "0.1", "--settings", "1", "--json",
                           status=1, env=env | {"CLRNN_KERNEL_DIR": str(folder)})
    assert json.loads(out)["step_ms"] is None and f"device {other} fails its self-test" in err and "optim" in err, err
    assert devices(command, env)[0][other]["step_ms"] is None


def test_interrupted(command):
    """Ctrl-C while the step is measured ends the child; the command itself ends with status 130, not killed."""
    env, _ = remembered(command)
    process = command.start("tune", "config.yaml", "--seconds", "0.1", "--settings", "1", env=env,
                            start_new_session=True)
    for line in process.stderr:
        if line.startswith("testing"):
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130, process.returncode
    assert all(row["step_ms"] is None for row in json.loads(command.run("devices", "--json", "--no-test", env=env)[0]))


def test_refuses(command):
    env, folder = remembered(command)
    for options in (["--seconds", "0"], ["--settings", "-1"], ["config.yaml", "more"]):
        command.run("tune", *options, status=2, env=env)
    command.run("tune", "config.yaml", "--device", "ref", status=2, env=env)
    command.run("tune", "missing.yaml", status=2, env=env)
    assert not folder.exists()


if __name__ == "__main__":
    sys.exit(harness.main([test_remembers, test_together, test_default, test_interrupted, test_refuses]))
