# SPDX-License-Identifier: MIT
"""Makes an allocation of every command fail: it succeeds all the same, or ends with one sentence that says memory, and
status 5; it never crashes, blames a file or a driver, or leaves anything half written.

    test_memory.py CLRNN SHIM [TEST...]

MEMORY_RUNS=N runs each command N times (16; 0: once for each of its allocations), MEMORY_SEED=N chooses others."""
import concurrent.futures
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import harness  # noqa: E402

SHIM = os.path.abspath(sys.argv.pop(2))
RUNS = int(os.environ.get("MEMORY_RUNS", "16"))
BLAMED = re.compile(r"no yaml|no json|not json|not yaml|install|invalid|broken|damaged|no safetensors|is no |driver",
                    re.I)
VARIES = re.compile(r"[\d.]+ ?m?s\b|/tmp/\S*")  # times; folders of the run
KEPT = {".clrnn-run", ".clrnn-synth", ".clrnn-lr-find"}
ON = ("--device", "ref")
ONE = ("--set", "train.epochs=1", "--set", "model.layers.0.rnn.hidden_size=2")
QUIET = ("--quiet", "--no-plot")
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
       "OMPI_MCA_rmaps_base_oversubscribe": "1"}
SHARDS = ("--set", "train.shards=4", "--set", "train.clip_grad_norm=1")


def environment(**more):
    env = {**os.environ, "LC_ALL": "C", "ASAN_OPTIONS": "verify_asan_link_order=0", **more}
    env.pop("MALLOC_PERTURB_", None)
    return env


def files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


class Sweep:
    """A folder as each run of a command finds it, and what its runs have shown."""

    def __init__(self, command, launch=(), **env):
        self.command, self.launch, self.env, self.runs, self.failed = command, launch, env, 0, 0
        (command.folder / "tmp").mkdir()

    def start(self, arguments, folder, **env):
        """The command as a process; where it is launched, the launcher's allocations do not fail."""
        own = {"XDG_CACHE_HOME": str(folder / "cache"), "TMPDIR": str(folder / "tmp"), "LD_PRELOAD": SHIM, **env}
        launch = (*self.launch, "env", *(f"{name}={value}" for name, value in own.items())) if self.launch else ()
        return subprocess.run([*launch, self.command.executable, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=240, check=False, text=True, errors="replace",
                              env=environment(**self.env, **({} if launch else own)))

    def once(self, arguments, outputs, good, statuses, **env):
        """One run in a copy of the folder: what is wrong with it, or None."""
        with tempfile.TemporaryDirectory(prefix="clrnn-memory-") as temporary:
            folder = pathlib.Path(temporary) / "work"
            shutil.copytree(self.command.folder, folder)
            before = files(folder)
            done = self.start(arguments, folder, **env)
            if self.launch:  # what the launcher says
                done.stderr = "\n".join(line for line in done.stderr.splitlines() if line.startswith("clrnn"))
            made = {output: (folder / output).read_bytes() for output in outputs if (folder / output).is_file()}
            left = [name for name in files(folder) - before if pathlib.Path(name).name not in KEPT
                    and pathlib.Path(name).name.startswith(".clrnn-") or name.startswith("tmp/")]
            made["stdout"] = VARIES.sub("", done.stdout)
            if good is None:
                return done, made
            if done.returncode not in (*statuses, 5):
                return f"exit status {done.returncode}\n{done.stderr}"
            errors = [line for line in done.stderr.splitlines() if line.startswith("clrnn: error:")]
            if done.returncode == 5 and not errors or any("memory" not in line for line in errors):
                return f"{len(errors)} errors\n{done.stderr}"
            if BLAMED.search(done.stderr):
                return f"what is blamed?\n{done.stderr}"
            if left:
                return f"left behind: {left}\n{done.stderr}"
            if done.returncode == 5:
                del made["stdout"]
            if any(made[name] != good[name] for name in made) or done.returncode == 0 and set(made) != set(good):
                return f"outputs {sorted(made)} are not those without a failure\n{done.stderr}"
            self.failed += done.returncode == 5
            return None

    def sweep(self, *arguments, outputs=(), own=False, statuses=(0,), **env):
        """Fails allocations spread over all that the command makes, alone and with all that follow."""
        env |= {"FAIL_OWN": "1"} if own else {}
        report = self.command.folder / "report"
        done, good = self.once(arguments, outputs, None, statuses, FAIL_REPORT=str(report), **env)
        assert done.returncode in statuses, (arguments, done.stderr)
        total = int(report.read_text())
        report.unlink()
        draw = random.Random(int(os.environ.get("MEMORY_SEED", "1")) * 1000 + total)
        runs = [(n, then) for then in (False, True) for n in range(1, total + 1)]
        if RUNS and RUNS < len(runs):
            runs = [(1 + min(total - 1, int((i // 2 + draw.random()) * total / ((RUNS + 1) // 2))), bool(i % 2))
                    for i in range(RUNS)]

        def fail(run):
            then = {"FAIL_ALL": "1"} if run[1] else {}
            return self.once(arguments, outputs, good, statuses, FAIL_AT=str(run[0]), **then, **env)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            wrong = list(pool.map(fail, runs))
        self.runs += len(runs)
        bad = [(n, then, text) for (n, then), text in zip(runs, wrong) if text]
        for n, then, text in bad[:20]:
            print(f"# FAIL_AT={n}{' FAIL_ALL=1' if then else ''} of {total}, {' '.join(arguments)}: {text}")
        assert not bad, f"{len(bad)} of {len(runs)} runs of {' '.join(arguments)}"

    def finish(self):
        print(f"# {self.runs} allocations failed, {self.failed} of them ended a command")
        assert self.failed


def test_words(command):
    """Commands that need no device."""
    s = Sweep(command)
    for arguments in (("help",), ("tune", "--help"), ("help", "train.optimizer.adam"), ("--version",),
                      ("cache", "info"), ("doctor", "--list"), ("help", "--format", "man", "config")):
        s.sweep(*arguments)
    s.finish()


def test_devices(command):
    """Listing devices: only the program's own allocations, since drivers take theirs ill."""
    s = Sweep(command)
    s.sweep("devices", "--no-test", own=True)
    s.finish()


def test_data(command):
    """Making data, and plans."""
    s = Sweep(command)
    s.sweep("synth", "made", "--samples", "40", outputs=("made/X_train.npy", "made/y_train.npy"))
    s.sweep("plan", "config.yaml", *ON, *ONE)
    s.sweep("plan", "config.yaml", *ON, *ONE, "--json")
    s.finish()


def test_train(command):
    """Training, into a fresh folder and onto a run, and going on with one."""
    s = Sweep(command)
    command.run("train", "config.yaml", *ON, *ONE, "--quiet", "--no-plot", "--out", "earlier")
    for out in ("fresh", "earlier"):
        s.sweep("train", "config.yaml", *ON, *ONE, "--quiet", "--no-plot", "--out", out)
    s.sweep("train", "--resume", "earlier", *ON, "--quiet", "--no-plot", "--set", "train.epochs=2")
    s.finish()


def test_search(command):
    """A learning rate by a few steps."""
    s = Sweep(command)
    s.sweep("lr-find", "config.yaml", *ON, *ONE, "--quiet", "--no-plot", "--range-steps", "24", "--steps", "1", "--out",
            "found", outputs=("found/lr-find.json",))
    s.finish()


def test_use(command):
    """What is done with a trained model."""
    s = Sweep(command)
    command.run("train", "config.yaml", *ON, *ONE, "--quiet", "--no-plot", "--out", "run")
    s.sweep("eval", "run", *ON, "--x", "X_valid.npy", "--y", "y_valid.npy", "--json")
    s.sweep("predict", "run", *ON, "--x", "X_valid.npy", "--out", "p.npy", outputs=("p.npy",))
    s.sweep("predict", "run", *ON, "--x", "X_valid.npy", "--out", "p.csv", outputs=("p.csv",))
    s.sweep("export", "run", "--to", "safetensors", "--out", "m.safetensors", outputs=("m.safetensors",))
    s.sweep("overfit", "config.yaml", *ON, *ONE, "--steps", "2", "--quiet", statuses=(0, 1))
    s.sweep("doctor", "config.yaml", *ON, *ONE, "--static", statuses=(0, 1))
    s.finish()


def test_ranks(command):
    """Two processes that train together, with gradients in several buckets: the program's own allocations, of each of
    the two, in all threads and in those that carry gradients."""
    if not shutil.which("mpirun"):
        raise harness.Skip("there is no mpirun")
    s = Sweep(command, ("mpirun", "-n", "2"), **MPI, CLRNN_BUCKET_BYTES="100")
    arguments = "train", "config.yaml", *ON, *ONE, *SHARDS, *QUIET, "--out", "run"
    if "built without MPI" in s.start(arguments, command.folder).stderr:
        raise harness.Skip("clrnn was built without MPI")
    shutil.rmtree(command.folder / "run")
    for rank in "01":
        for more in ({}, {"FAIL_THREADS": "1"}):
            s.sweep(*arguments, own=True, FAIL_RANK=rank, **more)
    s.finish()


def test_together(command):
    """Two devices of a process, whose threads carry gradients in several buckets."""
    listed = subprocess.run(["clinfo", "-l"], capture_output=True, text=True, check=False).stdout.lower()
    if "portable computing language" not in listed:
        raise harness.Skip("PoCL is not installed")
    s = Sweep(command, POCL_DEVICES="pthread pthread", CLRNN_BUCKET_BYTES="100")
    arguments = "train", "config.yaml", "--devices", "0:0,0:1", *ONE, *SHARDS, *QUIET, "--out", "run"
    s.start(arguments, command.folder)  # fills the caches that each run gets a copy of
    shutil.rmtree(command.folder / "run")
    for more in ({}, {"FAIL_THREADS": "1"}):
        s.sweep(*arguments, own=True, **more)
    s.finish()


NESTED = """\
model:
  layers:
  - conv1d: {out_channels: 3, kernel_size: 2, padding: same}
  - residual: {layers: [linear: {out_features: 3}, gelu]}
  - concat:
      branches:
      - [lstm: {hidden_size: 2, layer_norm: true, bidirectional: true}, attention_pool: {attention_size: 2}]
      - [max_pool1d: {kernel_size: 3, stride: 1, padding: 1}, groupnorm: {num_groups: 3}, pool: {over: mean}]
  - linear: {out_features: 2}
train: {loss: cross_entropy, optimizer: {adam: {}}, epochs: 1}
data: {train: {x: X_train.npy, y: y_train.npy}}
"""


def test_export(command):
    """Writing a model as ONNX and as C."""
    s = Sweep(command)
    command.write("nested.yaml", NESTED)
    command.run("train", "nested.yaml", *ON, "--quiet", "--no-plot", "--out", "run")
    s.sweep("export", "run", "--to", "onnx", "--out", "m.onnx", outputs=("m.onnx",))
    s.sweep("export", "run", "--to", "c", "--out", "c", outputs=("c/model.c", "c/model.h"))
    s.finish()


if __name__ == "__main__":
    sys.exit(harness.main([test_words, test_devices, test_data, test_train, test_search, test_use, test_ranks,
                           test_together, test_export]))
