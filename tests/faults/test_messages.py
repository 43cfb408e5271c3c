#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes MPI fail in the threads that carry gradients between processes: one sentence that says which process, status 4,
no hang, and a run that goes on to the bits of an unbroken one; counts messages, as TAP.

    test_messages.py CLRNN SHIM [TEST...]"""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
from harness import QUIET, main  # noqa: E402
from test_ranks import BUCKETS, command, finish, start  # noqa: E402
from test_shards import write_configs  # noqa: E402

SHIM = os.path.abspath(sys.argv.pop(2))
# Of three ranks with eight shards: the first receives, the second sends and receives, the third sends.
FAULTS = [("MPI_Irecv", 0), ("MPI_Irecv", 1), ("MPI_Isend", 1), ("MPI_Isend", 2), ("MPI_Isend", 0), ("MPI_Irecv", 2),
          ("MPI_Test", 0), ("MPI_Test", 1), ("MPI_Iprobe", 0)]


def resume(c, run):
    """Goes on with a run. mpirun may end a moment before the last of its processes, which has the folder until then."""
    deadline = time.monotonic() + 30
    while True:
        process = c.start("train", "--resume", run, *QUIET)
        _, err = process.communicate(timeout=300)
        if process.returncode == 0:
            return
        assert "another run writes there now" in err and time.monotonic() < deadline, err
        time.sleep(0.2)


def failed(c):
    write_configs(c)
    more = "--set", "train.epochs=6"
    c.run(*command("pieces", "whole", *more))
    kept = set(os.listdir(c.folder / "whole"))
    report = c.folder / "report"
    for number, (function, rank) in enumerate(FAULTS):
        run = f"run{number}"
        call = 4 if function == "MPI_Iprobe" else 60 + 7 * number  # there are few looks between messages
        env = {**BUCKETS, "LD_PRELOAD": SHIM, "FAIL_MPI": f"{function}:{call}", "FAIL_RANK": str(rank),
               "FAIL_REPORT": str(report)}
        err = finish(start(c, 3, command("pieces", run, *more), env=env), 4)
        assert report.exists(), f"{function} did not fail in rank {rank}"
        report.unlink()
        assert "error: MPI: " in err if rank == 0 else f"error: rank {rank} on " in err and ": MPI: " in err, err
        left = set(os.listdir(c.folder / run))
        assert left <= kept, f"{function} of rank {rank}: {left - kept} left behind"
        resume(c, run)
        assert c.bytes(run) == c.bytes("whole"), f"{function} of rank {rank}: other bytes than an unbroken run"


def at_once(c):
    """Many messages are on their way at once, so that a connection is not idle while one is answered."""
    write_configs(c)
    finish(start(c, 2, command("pieces", "run"),
                 env={**BUCKETS, "LD_PRELOAD": SHIM, "COUNT_MPI": str(c.folder / "count")}))
    for rank in range(2):
        most = int((c.folder / f"count-{rank}").read_text())
        assert most >= 8, f"rank {rank} had {most} messages on their way at once"


if __name__ == "__main__":
    sys.exit(main([failed, at_once]))
