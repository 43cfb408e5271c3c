#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Several devices of one process (--devices): the same bytes for any number of them, refusals, failures, as TAP.

    test_together.py CLRNN [TEST...]

TOGETHER_ALL=1 trains each config on two and on four devices, not on these in turn."""
import json
import os
import re
import signal
import sys

from harness import QUIET, main
from test_ranks import BUCKETS, finish, start, wait_for_epoch
from test_shards import CASES, case, write_all, write_long

# PoCL shows each as a device of its own.
DEVICES = {"POCL_DEVICES": "pthread pthread pthread pthread"}
MIXED = {"POCL_DEVICES": "basic pthread pthread"}  # with one thread, with one for each core
OTHER_DRIVER = "lengths", "norm", "stateful"


def command(name, run, devices, *more):
    return case(name, run, "--devices", devices, *more)


def train(c, name, run, devices, env=None):
    return c.run(*command(name, run, devices), env=env or DEVICES)


def same_bytes(c):
    write_all(c)
    several = ["0:0,0:1", "0:1,0:0,0:3,0:2"]
    for number, name in enumerate(CASES):
        train(c, name, "one", "0:0")
        for devices in several if os.environ.get("TOGETHER_ALL") else [several[number % 2]]:
            _, err = train(c, name, "several", devices, {**DEVICES, **BUCKETS})
            assert "different kinds" not in err, err
            assert c.bytes("several") == c.bytes("one"), f"{name} on {devices}: other bytes than on one device"
            assert [s["loss"] for s in c.steps("several")] == [s["loss"] for s in c.steps("one")]


def other_driver(c):
    """PoCL's drivers for one core and for all run the same programs."""
    write_all(c)
    for name in OTHER_DRIVER:
        train(c, name, "one", "0:1", MIXED)
        _, err = train(c, name, "several", "0:1,0:0,0:2", MIXED)
        assert "0:1 (" in err and "0:0 (" in err and "of different kinds" in err, err
        assert c.bytes("several") == c.bytes("one"), f"{name}: other bytes than on one device"


def of_ranks(c):
    """Processes with devices each."""
    write_all(c)
    for name in ("lengths", "norm", "stateful"):
        train(c, name, "one", "0:0")
        arguments = [command(name, "several", devices) for devices in ("0:0,0:1", "0:2,0:3,0:1")]
        finish(start(c, 2, *arguments, env={**DEVICES, **BUCKETS}))
        assert c.bytes("several") == c.bytes("one"), f"{name}: other bytes than one process"


def divided(c):
    """Ranks of a host divide the devices that all of them name: there are as many workers as devices, or as ranks."""
    write_all(c)

    def workers(ranks, *arguments):
        """How many want to train together: more than there are shards."""
        shards = "--set", "train.shards=1"
        commands = [("train", "lengths.yaml", *shards, "--out", "run", *QUIET, *more) for more in arguments]
        err = finish(start(c, ranks, *commands, env={**DEVICES, "CLRNN_DEVICE": ""}), 2)
        found = re.search(r"error: (\d+) (?:processes|devices) are to train together", err)
        assert found, err
        return int(found[1])
    assert workers(2, ("--devices", "0:0,0:1,0:2,0:3")) == 4
    assert workers(3, ("--devices", "0:0,0:1,0:2,0:3")) == 4
    assert workers(3, ("--devices", "0:0,0:1")) == 3
    assert workers(2, ("--devices", "0:0,0:1"), ("--devices", "0:2,0:3")) == 4
    assert workers(2, ("--devices", "0:0,0:1"), ("--device", "0:2")) == 3
    assert workers(2, ()) == 2
    # each on its own: the last rank has the device that is not there
    err = finish(start(c, 3, command("lengths", "run", "0:0,0:1,0:77"), env=DEVICES), 2)
    assert "rank 2 on " in err and 'device "0:77" is not there' in err, err
    train(c, "lengths", "one", "0:0")
    finish(start(c, 3, command("lengths", "several", "0:0,0:1,0:2,0:3"), env=DEVICES))
    assert c.bytes("several") == c.bytes("one"), "other bytes than one process"


def refused(c):
    write_all(c)

    def says(devices, words, *more, status=2):
        _, err = c.run(*command("lengths", "run", devices, *more), env=DEVICES, status=status)
        assert words in err and err.count("clrnn: error:") == 1, err
    says("0:0,0:1", "2 devices are to train together, but train.shards is 1", "--set", "train.shards=1")
    says("0:0,0:1,0:2", "3 devices are to train together, but train.shards is 2", "--set", "train.shards=2")
    says("0:0,0:1,0:0", "--devices 0:0,0:1,0:0: names 0:0 (")
    says("0:0,ref,ref", "names ref (ref) twice")
    says("0:0,0:77", "device \"0:77\" is not there")
    says("0:0,,0:1", "a name is missing")
    says("0:0,0:1", "--device and --devices exclude each other", "--device", "0:0")
    says("ref,0:0", "devices that train together must be of one kind")
    assert not (c.folder / "run" / "metrics.jsonl").exists()
    c.run("train", "lengths.yaml", "--devices", "ref", "--out", "ref", *QUIET)


def stopped(c):
    """A request to stop, and a killed process: resumed on another number of devices, the bits of an unbroken run."""
    write_all(c)
    write_long(c)
    often = "--set", "train.checkpoint_minutes=0.0001"
    c.run(*command("stateful", "whole", "0:0", *often), env=DEVICES)
    for number, devices in ((signal.SIGINT, "0:0,0:1,0:2"), (signal.SIGKILL, "0:0,0:1")):
        run = f"run{number}"
        process = c.start(*command("stateful", run, "0:0,0:1", *often), env=DEVICES)
        wait_for_epoch(c, process, run)
        process.send_signal(number)
        process.communicate()
        assert process.returncode in (130, -signal.SIGKILL), f"exit {process.returncode}: it has ended before"
        c.run("train", "--resume", run, "--devices", devices, *QUIET, env=DEVICES)
        assert c.bytes(run) == c.bytes("whole"), f"{run}: other bytes than an unbroken run"


def evaluated(c):
    """eval and predict: batches on several devices in turn, the output of one."""
    write_all(c)
    for name, more in {"lengths": ("--probs",), "missing": (), "ctc": ("--decode", "greedy")}.items():
        train(c, name, name, "0:0")
        data = ("--x", "X.npy", *(() if name == "missing" else ("--lengths", "lengths.npy")))
        labels = {"missing": ("--y", "yr.npy"), "ctc": ("--y", "yc.npy", "--y-lengths", "yl.npy")}
        results = []
        for number, devices in enumerate(("0:0", "0:0,0:1", "0:0,0:2,0:1,0:3")):
            out, _ = c.run("eval", name, *data, *labels.get(name, ("--y", "y.npy")), "--devices", devices, "--json",
                           env=DEVICES)
            c.run("predict", name, *data, *more, "--devices", devices, "--out", f"{number}.csv", env=DEVICES)
            results.append((out, (c.folder / f"{number}.csv").read_bytes()))
        assert results[0] == results[1] == results[2], f"{name}: {results}"
    c.refused(2, ["--stream runs on one device"], "predict", "lengths", "--stream", "--devices", "0:0,0:1", env=DEVICES)
    _, err = c.run("eval", "lengths", "--devices", "0:0,0:0", env=DEVICES, status=2)
    assert "names 0:0 (" in err, err


def benched(c):
    """bench: steps by shards, also of batchnorm's parts, through several epochs; refusals."""
    write_all(c)
    quick = "--seconds", "0.01", "--no-start", "--json", "--quiet"
    for name in ("lengths", "norm"):
        for devices in ("0:0", "0:0,0:1,0:2"):
            out, _ = c.run("bench", f"{name}.yaml", "--set", "train.shards=8", "--devices", devices, *quick,
                           env=DEVICES)
            result = json.loads(out)
            assert result["devices"] == devices.split(","), result
            # a shard's launches at least, eight times
            assert result["launches_per_step"] > 8 * 10 and result["gflops"] > 0, result
            assert result["train_ms"]["median"] > 0 and result["infer_ms"]["median"] > 0, result
    c.refused(2, ["2 devices are to train together, but train.shards is 1"],
              "bench", "lengths.yaml", "--devices", "0:0,0:1", *quick, env=DEVICES)
    _, err = c.run("bench", "lengths.yaml", "--devices", "0:0,0:0", *quick, env=DEVICES, status=2)
    assert "names 0:0 (" in err, err


if __name__ == "__main__":
    sys.exit(main([same_bytes, other_driver, of_ranks, divided, refused, stopped, evaluated, benched]))
