#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/gpu-check with a clrnn that answers at once, as TAP: what it leaves, in time, whatever fails.

    test_gpu_check.py ROOT"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import harness  # noqa: E402

TOOL = pathlib.Path(sys.argv[1]).resolve() / "tools" / "gpu-check"
CONFIG = "lstm-64x100x128-256"
CLRNN = """\
#!/bin/sh
case "$1 $CLRNN_CHOICES" in
*weights=memory) exit 4 ;;
*items=256,rows=2) echo '{"train_ms": {"median": 2}, "infer_ms": {"median": 1}}' ;;
bench*) echo '{"train_ms": {"median": 4}, "infer_ms": {"median": 3}}' ;;
train*) echo 'profile of 1 s in training launches:' >&2 ;;
*) echo '{"verdict": "ok"}' ;;
esac
"""
TORCH = """\
#!/bin/sh
case "$*" in
*is_available*) echo True ;;
*--cuda*) echo '{"train_ms": 8, "infer_ms": 9}' ;;
*) exit 1 ;;
esac
"""
FILES = ["bench", "choices", "compare", "devices", "env", "profile", "tests", "tune"]


def executable(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def check(folder, clrnn, *arguments):
    """(exit status, what it printed, {file: what it holds}, seconds)."""
    executable(folder / "build/tools/clrnn", clrnn)
    executable(folder / "build/tests/ops/test_ops_rnn", "#!/bin/sh\n[ -z \"$CLRNN_CHOICES\" ]\n")
    python = executable(folder / "python", TORCH)
    began = time.monotonic()
    done = subprocess.run([sys.executable, TOOL, "--build", folder / "build", "--python", python, "--out",
                           folder / "out", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "PATH": "/nowhere:/bin:/usr/bin"}, check=False)
    found = {path.name: json.loads(path.read_text()) for path in sorted((folder / "out").iterdir())}
    assert sorted(found) == [f"{name}.json" for name in FILES], sorted(found)
    return done.returncode, done.stdout, {name: found[f"{name}.json"] for name in FILES}, time.monotonic() - began


def whole(folder):
    """Everything is measured; what fails is said, and a choice that the device cannot take is no failure."""
    status, out, found, _ = check(folder, CLRNN, CONFIG)
    assert found["bench"][CONFIG]["torch"] == {"train_ms": 8, "infer_ms": 9} and "torch: cuda" in out, out
    assert "    4.000     8.000   2.00      3.000     9.000   3.00" in out, out
    assert f"{CONFIG}: best of 13 choices variant=group,items=256,rows=2, 2.000 ms" in out, out
    assert found["choices"][CONFIG]["variant=group,weights=memory"] is None, found["choices"]
    assert found["tests"] == {"test_ops_rnn": True, "test_ops_rnn variant=steps": False}, found["tests"]
    assert status == 1 and "test_ops_rnn variant=steps: exit status 1; no output" in out, out
    assert found["profile"][CONFIG] and found["tune"][CONFIG]["bench"] and found["devices"]["warm"], found


def hanging(folder):
    """A device that hangs: the end is in time, and the files say what was not reached."""
    status, out, found, seconds = check(folder, "#!/bin/sh\nexec sleep 600\n", "--seconds", "5", CONFIG)
    assert status == 1 and seconds < 60, seconds  # of a busy machine
    assert "not reached in time" in out and found["bench"][CONFIG]["clrnn"] is None, out


def refused(_):
    done = subprocess.run([sys.executable, TOOL, "absent"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "bench/ has no absent" in done.stderr, done


def main():
    def run(test):
        with tempfile.TemporaryDirectory(prefix="clrnn-gpu-check-test-") as folder:
            test(pathlib.Path(folder))

    return harness.tap((whole, hanging, refused), run)


if __name__ == "__main__":
    sys.exit(main())
