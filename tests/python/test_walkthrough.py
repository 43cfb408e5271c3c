# SPDX-License-Identifier: MIT
"""The walk-through of doc/python.md: its commands print what stands there, and the mended config learns.

    test_walkthrough.py ROOT LIBRARY COMMAND

Of training the numbers depend on the device: they are held to be near.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

try:
    import torch  # noqa: F401
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

ROOT, LIBRARY, COMMAND = (pathlib.Path(word).resolve() for word in sys.argv[1:4])
ENV = {**os.environ, "CLRNN_LIBRARY": str(LIBRARY), "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}
sys.path.insert(0, str(ROOT / "python"))
os.environ["CLRNN_LIBRARY"] = str(LIBRARY)

import clrnn  # noqa: E402

DEVICE = "cpu" if any(d.type == "CPU" and not d.trouble for d in clrnn.devices()) else "ref"
EPOCH = re.compile(r"Epoch (\d+)/25  train loss (\S+) accuracy (\S+)")


def blocks():
    """(command, what it prints) in the order of the document."""
    text = (ROOT / "doc/python.md").read_text(encoding="utf-8")
    section = text.split("## From a script that does not learn")[1].split("\n## ")[0]
    shown = "".join(textwrap.dedent(b) for b in re.findall(r"(?:^(?:    .*)?\n)+", section, re.M))
    return [(part.split("\n", 1)[0], part.split("\n", 1)[1].strip("\n")) for part in shown.split("$ ")[1:]]


def run(words, folder):
    """Runs a command of the document; returns what it prints."""
    own = words.replace("clrnn doctor", f"{sys.executable} -m clrnn doctor --seconds 600")
    own = own.replace("clrnn train", f"{COMMAND} train").replace("--device cpu", f"--device {DEVICE}")
    own = own.replace("examples/", f"{ROOT}/examples/")
    end = "" if "/dev/null" in own else " 2>&1"
    return subprocess.run(own + end, shell=True, cwd=folder, env=ENV, stdout=subprocess.PIPE, text=True,
                          check=False).stdout


def compare_training(words, printed, expected):
    got = {m[1]: (float(m[2]), float(m[3])) for m in EPOCH.finditer(printed)}
    wanted = {m[1]: (float(m[2]), float(m[3])) for m in EPOCH.finditer(expected)}
    assert len(wanted) > 2, expected
    for epoch, (loss, accuracy) in wanted.items():
        assert abs(got[epoch][0] - loss) < 0.02 and abs(got[epoch][1] - accuracy) < 0.03, (words, epoch, got[epoch])
    assert ("zero-gradient" in printed) == ("zero-gradient" in expected), printed


def main():
    found = blocks()
    assert len(found) == 8, [words for words, _ in found]
    with tempfile.TemporaryDirectory() as folder:
        for words, expected in found:
            printed = run(words, folder)
            if words.startswith("clrnn train"):
                compare_training(words, printed, expected)
            else:
                assert printed.strip("\n") == expected, f"{words} prints\n{printed}\nand the document has\n{expected}"
            print("ok", words)


main()
