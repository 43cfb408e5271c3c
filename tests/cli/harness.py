# SPDX-License-Identifier: MIT
"""What the tests of the command share: running it, small data sets, reading what it wrote, TAP."""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import traceback


class Skip(Exception):
    """Raised by a test that lacks something; shows as skipped."""


def write_npy(path, descr, shape, values):
    """A version-1 .npy file; descr "<f4", "<i8" and such."""
    shape_text = "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape_text}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    code = {"<f4": "f", "<f8": "d", "<i8": "q", "<i4": "i", "|u1": "B"}[descr]
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode())
        file.write(struct.pack(f"<{len(values)}{code}", *values))


QUIET = ("--quiet", "--no-plot", "--no-watch")


def f32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def tensors(c, run, name="last.safetensors"):
    return read_safetensors(c.folder / run / name)[0]


def numbers(tensor):
    dtype, _, data = tensor
    return struct.unpack(f"<{len(data) // {'F32': 4, 'F64': 8}[dtype]}{ {'F32': 'f', 'F64': 'd'}[dtype]}", data)


def near(got, want, tolerance, what):
    assert abs(got - want) <= tolerance * max(1, abs(want)), f"{what}: {got}, expected {want}"


def read_npy(path):
    """(shape, values) of a .npy file in C order."""
    raw = pathlib.Path(path).read_bytes()
    length = struct.unpack("<H", raw[8:10])[0]
    header = eval(raw[10:10 + length], {"__builtins__": {}}, {"True": True, "False": False})  # our own file
    code = {"<f4": "f", "<i8": "q", "<f8": "d"}[header["descr"]]
    data = raw[10 + length:]
    return header["shape"], struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data)


def read_safetensors(path):
    """{name: (dtype, shape, bytes)} and the metadata of a safetensors file."""
    raw = pathlib.Path(path).read_bytes()
    start = 8 + struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8:start])
    metadata = header.pop("__metadata__", {})
    tensors = {name: (entry["dtype"], entry["shape"],
                      raw[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]])
               for name, entry in header.items()}
    return tensors, metadata


def write_safetensors(path, tensors, metadata=None):
    """A safetensors file of {name: (dtype, shape, bytes)}."""
    header, offset = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            file.write(data)


def write_dataset(folder, samples, steps, features, seed=1, prefix="train"):
    """A learnable two-class set: the label is whether feature 0, summed over the steps, is positive."""
    draw = random.Random(seed)
    x = [draw.gauss(0, 1) for _ in range(samples * steps * features)]
    y = [int(sum(x[(n * steps + t) * features] for t in range(steps)) > 0) for n in range(samples)]
    write_npy(folder / f"X_{prefix}.npy", "<f4", (samples, steps, features), x)
    write_npy(folder / f"y_{prefix}.npy", "<i8", (samples,), y)
    return x, y


def write_long(folder, samples=1600, steps=12):
    """Data that take an epoch of less than a tenth of a second."""
    draw = random.Random(12)
    write_dataset(folder, samples, steps, 3, seed=12, prefix="long")
    write_npy(folder / "l_long.npy", "<i8", (samples,), [draw.randint(1, steps) for _ in range(samples)])


CONFIG = """\
model:
  layers:
  - rnn: {name: rnn, hidden_size: 8, bidirectional: true}
  - batchnorm: {name: norm}
  - dropout: {p: 0.25}
  - pool: {over: mean}
  - linear: {name: head, out_features: 2}
train:
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
  epochs: 3
  batch_size: 16
  shuffle: true
  seed: 7
data:
  train: {x: X_train.npy, y: y_train.npy}
  valid: {x: X_valid.npy, y: y_valid.npy}
"""


class Command:
    """The clrnn executable, run in a folder of its own that holds a config and its data."""

    def __init__(self, executable):
        self.executable = os.path.abspath(executable)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="clrnn-cli-"))
        write_dataset(self.folder, 70, 5, 3)
        write_dataset(self.folder, 30, 5, 3, seed=2, prefix="valid")
        self.write("config.yaml", CONFIG)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name

    def start(self, *arguments, env=None, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE,
                   "cwd": self.folder, **options}
        return subprocess.Popen([self.executable, *arguments], text=True,
                                env={**os.environ, **(env or {})}, **options)

    def run(self, *arguments, status=0, env=None, **options):
        """Runs it, demands the exit status, gives (stdout, stderr)."""
        process = self.start(*arguments, env=env, **options)
        out, err = process.communicate(timeout=300)
        assert process.returncode == status, \
            f"clrnn {' '.join(arguments)}: exit {process.returncode}, expected {status}\n{out}{err}"
        assert process.returncode == 0 or status in (1, 130) or err.count("clrnn: error:") == 1, \
            f"clrnn {' '.join(arguments)}: one error sentence expected\n{err}"
        return out, err

    def refused(self, status, words, *arguments, **options):
        """Runs it, demands the exit status, and that the error sentence holds every word of `words`."""
        _, err = self.run(*arguments, status=status, **options)
        for word in words:
            assert word in err, f"{arguments}: \"{word}\" is not in: {err}"

    def peak_kib(self, *arguments, env=None):
        """Runs it, gives the most memory that was resident, pages of mapped files included."""
        # no chains: on a slow machine one would be compiled in this very process, which takes 200 MB
        process = self.start(*arguments, env={"CLRNN_CHAIN_AFTER": "never", **(env or {})},
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, arguments
        return usage.ru_maxrss

    def epochs(self, run):
        """The epoch lines of a run's metrics."""
        lines = [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if "epoch" in line]

    def steps(self, run):
        lines = [json.loads(line) for line in (self.folder / run / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if "epoch" not in line]

    def bytes(self, run, name="last.safetensors"):
        return (self.folder / run / name).read_bytes()

    def weights(self, run):
        """The tensors of a run's last checkpoint."""
        return read_safetensors(self.folder / run / "last.safetensors")[0]

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def tap(tests, run):
    """Prints TAP of run(test) for each of the tests; the exit status."""
    print(f"1..{len(tests)}")
    failed = 0
    for number, test in enumerate(tests, 1):
        try:
            run(test)
            print(f"ok {number} - {test.__name__}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {test.__name__} # SKIP {reason}", flush=True)
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {test.__name__}", flush=True)
    return 1 if failed else 0


def main(tests):
    """Runs the tests, each with a fresh Command, and prints TAP. argv[1] is the executable; names after it
    choose among the tests."""
    def run(test):
        command = Command(sys.argv[1])
        try:
            test(command)
        finally:
            command.remove()

    return tap([test for test in tests if len(sys.argv) < 3 or test.__name__ in sys.argv[2:]], run)
