#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Processes that train together by MPI: the same bytes for any number of them, refusals, lost and stopped ones, as TAP.

    test_ranks.py CLRNN [TEST...]

RANKS_ALL=1 trains each config by 2, 3, 4 and 8 ranks, not by one of these numbers. RANK_KILLS=50 kills so many ranks,
when and which RANK_SEED chooses."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time

from harness import QUIET, Skip, main
from test_shards import CASES, case, write_all, write_configs

ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
               "OMPI_MCA_rmaps_base_oversubscribe": "1"}
BUCKETS = {"CLRNN_BUCKET_BYTES": "40"}  # gradients in several buckets, on their way while backward goes on


def start(c, ranks, *commands, env=None):
    """mpirun of one command for all ranks, or of one for each."""
    if not shutil.which("mpirun"):
        raise Skip("there is no mpirun")
    counts = [ranks] if len(commands) == 1 else [1] * ranks
    arguments = []
    for count, command in zip(counts, commands):
        arguments += [":"] if arguments else []
        arguments += ["-n", str(count), c.executable, *command]
    return subprocess.Popen(["mpirun", *arguments], cwd=c.folder, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, **ENVIRONMENT, **(env or {})})


def skip_without_mpi(err):
    if "built without MPI" in err:
        raise Skip("clrnn was built without MPI")


def finish(process, status=0):
    out, err = process.communicate(timeout=300)
    skip_without_mpi(err)
    if status == 4 and "BAD TERMINATION" in out:
        status = 9  # MPICH's mpirun gives what it ended the others with, where a rank has called MPI_Abort
    assert process.returncode == status, f"exit {process.returncode}, expected {status}\n{out}{err}"
    assert err.count("clrnn: error:") == (status not in (0, 130)), f"not one error sentence\n{err}"
    return err


def command(name, run, *more):
    return ("train", f"{name}.yaml", "--set", "train.shards=8", "--out", run, *QUIET, *more)


def same_bytes(c):
    write_all(c)
    for number, name in enumerate(CASES):
        c.run(*case(name, "one"))
        for ranks in (2, 3, 4, 8) if os.environ.get("RANKS_ALL") else [8 if number % 8 == 7 else 2 + number % 3]:
            finish(start(c, ranks, case(name, "several"), env=BUCKETS))
            assert c.bytes("several") == c.bytes("one"), f"{name}: other bytes by {ranks} ranks than by one process"
            assert [s["loss"] for s in c.steps("several")] == [s["loss"] for s in c.steps("one")]
    finish(start(c, 8, case(name, "several")))
    assert c.bytes("several") == c.bytes("one"), f"{name}: other bytes with gradients in one piece"


def refused(c):
    write_configs(c)
    err = finish(start(c, 2, ("train", "lengths.yaml", "--out", "run", *QUIET)), 2)
    assert "2 processes are to train together, but train.shards is 1" in err, err
    err = finish(start(c, 2, command("lengths", "run"), command("lengths", "run", "--set", "train.seed=6")), 2)
    assert "rank 1 on " in err and "its config is not that of rank 0" in err, err
    err = finish(start(c, 2, command("lengths", "run"), command("lengths", "run", "--set", "data.train.y=yr.npy")), 3)
    assert "rank 1 on " in err, err
    err = finish(start(c, 2, *[command("lengths", "run", "--device", device) for device in ("0:0", "ref")]), 2)
    assert "rank 1 on " in err and "its device places numbers in memory in other ways" in err, err
    data = bytearray((c.folder / "X.npy").read_bytes())
    data[-4:] = b"\0\0\0\0"
    (c.folder / "other.npy").write_bytes(data)

    def reads(x):
        return command("lengths", "run", "--set", f"data.train.x={x}.npy")
    err = finish(start(c, 3, reads("X"), reads("X"), reads("other")), 2)
    assert "rank 2 on " in err and "its data are not those of rank 0" in err, err
    err = finish(start(c, 2, reads("none"), reads("X")), 3)
    assert "none.npy" in err, err
    assert not (c.folder / "run" / "metrics.jsonl").exists()
    # where a host does not see the run folder that the others resume
    c.run(*command("lengths", "whole"))
    resume = ("train", "--resume", "whole", "--set", "train.epochs=3", *QUIET)
    for commands in ((resume, command("lengths", "run")), (command("lengths", "run"), resume)):
        err = finish(start(c, 2, *commands), 2)
        assert "rank 1 on " in err and "its config is not that of rank 0" in err, err
    assert not (c.folder / "run" / "metrics.jsonl").exists()


def planned(c):
    """clrnn plan measures the network between ranks; the first one prints."""
    write_configs(c)
    process = start(c, 3, ("plan", "lengths.yaml", "--set", "train.shards=8", "--json"))
    out, err = process.communicate(timeout=300)
    skip_without_mpi(err)
    assert process.returncode == 0, f"{out}{err}"
    part = json.loads(out)["shards"]
    assert part["bytes_per_s"] > 1e5 and 0 < part["latency_s"] < 10, part
    assert [row["ranks"] for row in part["ranks"]] == [1, 2, 4, 8], part


def wait_for_epoch(c, process, run):
    path = c.folder / run / "metrics.jsonl"
    while process.poll() is None and not (path.exists() and '"epoch"' in path.read_text()):
        time.sleep(0.01)


def of_process(pid, name):
    """The text of a file of a process; empty if the process has ended, as short-lived children do meanwhile."""
    try:
        with open(f"/proc/{pid}/{name}") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid):
    """The children of a process, in order of their start."""
    return [int(child) for child in of_process(pid, f"task/{pid}/children").split()]


def ranks_of(process):
    """For each rank the process that mpirun, or a process of it, started, and the one that trains."""
    guards, others = [], children(process.pid)
    while others:
        pid = others.pop(0)
        below = children(pid)
        if below and of_process(pid, "comm").strip() == "clrnn":
            guards.append((pid, below[0]))
        else:
            others += below
    return guards


def stopped(c):
    """A lost rank, and a request to stop: resumed with another number, the bits of an unbroken run. Gradients
    are in several buckets before, in one after."""
    write_configs(c)
    epochs = "--set", "train.epochs=60"
    c.run(*command("pieces", "whole", *epochs))
    process = start(c, 3, command("pieces", "killed", *epochs), env=BUCKETS)
    wait_for_epoch(c, process, "killed")
    began = time.monotonic()
    if process.poll() is None:
        os.kill(ranks_of(process)[1][1], signal.SIGKILL)
    err = finish(process, 4)
    assert time.monotonic() - began < 30
    assert "rank 1 on " in err and "signal 9" in err, err
    finish(start(c, 2, ("train", "--resume", "killed", *QUIET)))
    assert c.bytes("killed") == c.bytes("whole"), "other bytes after a lost rank"

    process = start(c, 2, command("pieces", "asked", *epochs), env=BUCKETS)
    wait_for_epoch(c, process, "asked")
    for guard, _ in ranks_of(process):
        os.kill(guard, signal.SIGUSR1)
    finish(process, 130)
    finish(start(c, 4, ("train", "--resume", "asked", *QUIET)))
    assert c.bytes("asked") == c.bytes("whole"), "other bytes after a stop"


def wait_for_end(process):
    """Output and errors of mpirun, and whether it had to be killed: where a rank is lost, Open MPI's may lock up in
    PMIx after all processes have ended."""
    for _ in range(100):  # by seconds, so that a machine that stands still for a while is no hang
        try:
            return *process.communicate(timeout=1), False
        except subprocess.TimeoutExpired:
            pass
    assert not ranks_of(process), "processes are still there"
    process.kill()
    return *process.communicate(), True


def killed(c):
    """A random rank killed in its start or at a random step: resumed with a rank less, the bits of an unbroken run."""
    write_configs(c)
    draw = random.Random(os.environ.get("RANK_SEED", "1"))
    setting = "--set", "train.epochs=40", "--set", "train.checkpoint_minutes=0.0001"
    c.run(*command("pieces", "whole", *setting))
    steps = len(c.steps("whole"))
    ended = {"without a folder": 0, "before a step": 0, "before a checkpoint": 0, "after one": 0, "at the end": 0,
             "with a hanging mpirun": 0}
    for number in range(int(os.environ.get("RANK_KILLS", "2"))):
        run, ranks = f"run{number}", draw.randrange(2, 5)
        process = start(c, ranks, command("pieces", run, *setting))
        lost, after = draw.randrange(ranks), draw.randrange(-steps // 4, steps)
        metrics = c.folder / run / "metrics.jsonl"
        while process.poll() is None and len(ranks_of(process)) < ranks:
            time.sleep(0.001)
        if after < 0:
            time.sleep(draw.random())
        while process.poll() is None and after > 0 and not (metrics.exists() and
                                                            metrics.read_bytes().count(b"\n") >= after):
            time.sleep(draw.random() / 100)
        if process.poll() is None:
            os.kill(ranks_of(process)[lost][1], signal.SIGKILL)
        out, err, hangs = wait_for_end(process)
        skip_without_mpi(err)
        ended["with a hanging mpirun"] += hangs
        done = process.returncode == 0
        assert hangs or process.returncode in (0, 4, 9), f"exit {process.returncode}\n{out}{err}"
        if not done:
            assert f"rank {lost} on " in err and err.count("clrnn: error:") == 1, err
        there = (c.folder / run / "config.yaml").exists()
        begun = there and '"step"' in c.bytes(run, "metrics.jsonl").decode()
        kept = (c.folder / run / "last.safetensors").exists()
        ended["at the end" if done else "after one" if kept else "before a checkpoint" if begun else
              "before a step" if there else "without a folder"] += 1
        finish(start(c, ranks - 1, ("train", "--resume", run, *QUIET) if there else command("pieces", run, *setting)))
        assert c.bytes(run) == c.bytes("whole"), f"{run}: other bytes after rank {lost} of {ranks} was lost"
        assert [s["loss"] for s in c.steps(run)] == [s["loss"] for s in c.steps("whole")], f"{run}: other steps"
    print("# killed", ", ".join(f"{count} {when}" for when, count in ended.items()))


def starting(c):
    """Signals before the ranks have joined: at rank 0 a request to stop, at others nothing, where all go on."""
    write_configs(c)
    for lost, status in ((0, 130), (1, 0)):
        for number in (signal.SIGUSR1, signal.SIGTERM):
            process = start(c, 2, command("pieces", f"run{lost}{number}", "--set", "train.epochs=2"))
            while process.poll() is None and len(ranks_of(process)) < 2:
                time.sleep(0.001)
            ranks = ranks_of(process)
            assert len(ranks) == 2, finish(process, status)
            os.kill(ranks[lost][1], number)
            finish(process, status)


def launcher_told(c):
    """A rank that ends before it has joined has the launcher end all, by PMI's request: MPICH's does not notice it."""
    write_configs(c)

    def run(kill, *arguments):
        """Exit status, errors, and what the launcher is told."""
        ours, its = socket.socketpair()
        process = subprocess.Popen([c.executable, *arguments], cwd=c.folder, stderr=subprocess.PIPE, text=True,
                                   pass_fds=[its.fileno()], env={**os.environ, "PMI_RANK": "1", "PMI_SIZE": "2",
                                                                 "PMI_FD": str(its.fileno())})
        its.close()
        while kill and process.poll() is None and not children(process.pid):
            pass
        if kill and process.poll() is None:
            os.kill(children(process.pid)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=300)
        told = ours.recv(1000).decode()
        ours.close()
        return process.returncode, err, told
    assert run(False, "train", "--nothing")[::2] == (2, "cmd=abort exitcode=2\n")
    status, err, told = run(True, *command("pieces", "run"))
    assert (status, told.splitlines()[-1]) == (4, "cmd=abort exitcode=4") and "rank 1 on " in err, (status, err, told)


if __name__ == "__main__":
    sys.exit(main([same_bytes, refused, planned, stopped, killed, starting, launcher_told]))
