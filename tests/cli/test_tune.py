#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""clrnn tune: what it remembers, who uses it, and that a damaged file costs time only."""
import json
import os
import pathlib
import sys

import harness


def remembered(command):
    """The environment of a cache of the test's own, with drivers' caches where they were, and the folder."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return {"XDG_CACHE_HOME": str(command.folder), "POCL_CACHE_DIR": os.environ.get("POCL_CACHE_DIR", f"{home}/pocl"),
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
    path = pathlib.Path(result["file"])
    assert path.parent == folder and len(list(folder.iterdir())) == 1
    assert result["shapes"] and all(shape["default_ms"] > 0 for shape in result["shapes"])
    walks = [choice for choice in result["choices"] if choice["choice"].endswith(" walk")]
    assert len(walks) == 3 and any("use_ms" in walk for walk in walks), result["choices"]
    assert is_tuned(command, env)

    # what the file says is done
    text = path.read_text()
    content = json.loads(text)
    for key, choice in content["choices"].items():
        if key.endswith(" walk"):
            choice["use"] = "steps"
    path.write_text(json.dumps(content))
    stepping = kernels(command, env)
    assert ("rnn_fwd", "rnn_step_fwd") in stepping
    command.run("train", "config.yaml", "--out", "steps", "--quiet", env=env)
    for choice in content["choices"].values():
        choice["use"] = choice["standard"]
    content["shapes"] = {}
    path.write_text(json.dumps(content))
    assert kernels(command, env) == untuned
    command.run("train", "config.yaml", "--out", "standard", "--quiet", env=env)
    for one, other in zip(command.epochs("steps"), command.epochs("standard")):
        assert abs(one["train_loss"] - other["train_loss"]) < 1e-3, (one, other)

    # a second call takes from there what the first one measured; --no-tune takes nothing, nor do damaged files
    path.write_text(text)
    again = json.loads(command.run("tune", "config.yaml", "--seconds", "0.1", "--json", env=env)[0])
    known = {choice["choice"]: choice["use"] for choice in result["choices"] if "use_ms" in choice}
    now = {choice["choice"]: choice["use"] for choice in again["choices"] if "use_ms" in choice}
    assert known.items() <= now.items()
    assert kernels(command, env, "--no-tune") == untuned
    for damaged in ("", text[: len(text) // 2], text.replace("{", "[", 3), '{"version": 1, "choices": 3, "use": []}'):
        path.write_text(damaged)
        assert kernels(command, env) == untuned, damaged
        assert not is_tuned(command, env)


def test_refuses(command):
    env, folder = remembered(command)
    for options in (["--seconds", "0"], ["--settings", "-1"], ["config.yaml", "more"]):
        command.run("tune", *options, status=2, env=env)
    command.run("tune", "config.yaml", "--device", "ref", status=2, env=env)
    command.run("tune", "missing.yaml", status=2, env=env)
    assert not folder.exists()


if __name__ == "__main__":
    sys.exit(harness.main([test_remembers, test_refuses]))
