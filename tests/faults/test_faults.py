# SPDX-License-Identifier: MIT
"""Makes OpenCL calls of a short training run fail, one a run: the program must end with one sentence and status 4
or 5, or recover with the right numbers; never crash, hang, leak an object or damage the run folder.

    test_faults.py CLRNN LAYER [TEST...]

FAULTS_ALL=1 fails calls of every chain of four callers instead of one."""
import concurrent.futures
import json
import os
import pathlib
import signal
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "cli"))
import harness  # noqa: E402

LAYER = os.path.abspath(sys.argv.pop(2))
PATIENCE_S = 120  # of one run, which takes well below a second alone
OBJECTS = ["contexts", "queues", "memory objects", "programs", "kernels", "events"]
MODEL = """\
model:
  layers:
  - rnn: {name: rnn, hidden_size: 4}
  - batchnorm: {name: norm}
  - dropout: {p: 0.25}
  - pool: {over: mean}
  - linear: {name: head, out_features: 2}
train:
  loss: cross_entropy
  optimizer: {adam: {lr: 0.01}}
  epochs: 2
  batch_size: 16
  shuffle: true
  seed: 7
  clip_grad_norm: 1.0
data:
  train: {x: X_train.npy, y: y_train.npy}
  valid: {x: X_valid.npy, y: y_valid.npy}
"""
# What a driver that fails gives: an error that says much, one that says nothing, and no memory.
ERRORS = {"clCreateBuffer": -4, "clBuildProgram": -11, "clGetPlatformIDs": -1001, "clEnqueueNDRangeKernel": -5,
          "clWaitForEvents": -14, "clGetKernelArgInfo": -19}
OTHERS = [-6, -5, -9999]
WAITS = ["clGetEventInfo", "clWaitForEvents"]  # a run calls them as often as the device makes it wait


def only(driver, folder):
    """A folder that shows the loader one driver alone: others cost each run time."""
    vendors = folder / f"only-{driver}"
    vendors.mkdir(exist_ok=True)
    for icd in pathlib.Path("/etc/OpenCL/vendors").glob(f"{driver}*.icd"):
        (vendors / icd.name).write_bytes(icd.read_bytes())
    if not any(vendors.iterdir()):
        raise harness.Skip(f"{driver} is not installed")
    return str(vendors)


class Walk:
    """Runs of one command line, with a fault each."""

    def __init__(self, command, arguments, env=None, size=24):
        self.command, self.arguments, self.folder = command, arguments, command.folder
        self.env = env or {"OCL_ICD_VENDORS": only("pocl", self.folder), "CLRNN_DEVICE": "pocl"}
        self.env["CLRNN_CHAIN_AFTER"] = "1"  # each plan runs both ways
        harness.write_dataset(self.folder, size, 3, 3)
        harness.write_dataset(self.folder, 8, 3, 3, seed=2, prefix="valid")
        command.write("config.yaml", MODEL)
        self.run("warm", trace=False)  # whatever the driver caches
        self.expected = self.run("plain")
        assert self.expected["status"] == 0, self.expected
        assert not self.expected["left"], f"leaked without a fault: {self.expected['left']}"

    def run(self, name, trace=True, fault=None, where=None):
        """{status, err, left: {objects not released}, lines of the report}; the run folder is `name`."""
        report, counts = self.folder / f"{name}.report", self.folder / f"{name}.counts"
        for path in report, counts:
            path.unlink(missing_ok=True)
        env = {**self.env, "OPENCL_LAYERS": LAYER, "FAULT_REPORT": str(report), "FAULT_COUNTS": str(counts)}
        if trace and not fault:
            env["FAULT_TRACE"] = "1"
        if fault:
            env["FAULT"] = fault
        if where:
            env["FAULT_IN"] = where
        process = self.command.start(*[a.replace("RUN", name) for a in self.arguments], env=env,
                                     start_new_session=True)  # the layer tells it by that from its children
        try:
            _, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError(f"FAULT={fault}: still running after {PATIENCE_S} s") from None
        numbers = struct.unpack("<12Q", counts.read_bytes()) if counts.exists() else [0] * 12
        left = {OBJECTS[i]: numbers[2 * i] - numbers[2 * i + 1] for i in range(6)
                if numbers[2 * i] != numbers[2 * i + 1]}
        lines = report.read_text().splitlines() if report.exists() else []
        return {"status": process.returncode, "err": err, "left": left,
                "lines": [tuple(line.split(" ", 3)) for line in lines]}

    def check_folder(self, name):
        """What a run folder holds is whole, however the run ended."""
        folder = self.folder / name
        if not folder.exists():
            return
        for path in folder.rglob("*"):
            if path.suffix == ".safetensors":
                tensors, _ = harness.read_safetensors(path)
                for tensor, (dtype, shape, data) in tensors.items():
                    size = {"F32": 4, "F64": 8, "I64": 8, "U64": 8, "I32": 4, "U8": 1}[dtype]
                    for d in shape:
                        size *= d
                    assert len(data) == size, f"{path}: {tensor} is cut off"
            elif path.name == "metrics.jsonl":
                for line in path.read_text().splitlines():
                    json.loads(line)
            elif path.suffix == ".json":
                json.loads(path.read_text())
            else:
                assert path.name in ("config.yaml", ".clrnn-run"), f"{path} was left behind"

    def check_numbers(self, name):
        """A run that recovered computed as one without a fault; another way to cut work may round otherwise."""
        for line, plain in zip(self.command.epochs(name), self.command.epochs("plain"), strict=True):
            for key in ("train_loss", "valid_loss", "grad_norm"):
                assert abs(line[key] - plain[key]) < 1e-5, f"{key} is {line[key]}, expected {plain[key]}"

    def fail(self, fault, where=None, numbers=True):
        """Runs with the fault; gives (function, how it ended) or raises."""
        name = "fault-" + "".join(c if c.isalnum() else "_" for c in fault)
        result = self.run(name, fault=fault, where=where)
        status, err = result["status"], result["err"]
        hit = [line for line in result["lines"] if line[0] == "fault"]
        assert hit or where, f"FAULT={fault}: nothing failed"
        about = f"FAULT={fault} at {hit[0][2:] if hit else 'no call'}: exit {status}\n{err}"
        assert status in (0, 4, 5), about
        assert err.count("clrnn: error:") == (status != 0), f"one sentence expected; {about}"
        assert not result["left"], f"leaked {result['left']}; {about}"
        try:
            self.check_folder(name)
            if status == 0 and numbers and (self.folder / name).exists():
                self.check_numbers(name)
        except AssertionError as error:
            raise AssertionError(f"{error}; {about}") from None
        return hit[0][2:] if hit else (), status

    def walk(self, faults, **options):
        """Runs with each fault, two at a time; raises with all that went wrong."""
        wrong, ended = [], {}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for future in [pool.submit(self.fail, fault, **options) for fault in faults]:
                try:
                    site, status = future.result()
                    ended[status] = ended.get(status, 0) + 1
                    yield site
                except AssertionError as error:
                    wrong.append(str(error))
        counted = ", ".join(f"{count} with {status}" for status, count in sorted(ended.items()))
        print(f"# {len(faults)} runs, ended {counted}", flush=True)
        assert not wrong, "\n".join(wrong)


def error_for(function, number):
    """Mostly the function's own error, now and then another; the same for the same call."""
    return ERRORS.get(function, OTHERS[number % 3]) if number % 4 else OTHERS[number // 4 % 3]


def walk_sites(walk, wanted=lambda function, site: True):
    """Fails the first call of every site, and of busy sites one in the middle; demands that each did fail."""
    depth = 4 if os.environ.get("FAULTS_ALL") else 1
    calls, faults = {}, []
    for word, _, function, site in walk.expected["lines"]:
        if word == "call" and wanted(function, site):
            key = function, ",".join(site.split(",")[:depth])
            calls[key] = calls.get(key, 0) + 1
    assert calls, "no call of those wanted"
    for number, ((function, site), count) in enumerate(calls.items()):
        faults.append(f"{function}@{site}:1:{error_for(function, number)}")
        if count > 8:
            faults.append(f"{function}@{site}:{count // 2}:{error_for(function, number + 1)}")
    failed = {(function, ",".join(site.split(",")[:depth])) for function, site in walk.walk(faults)}
    assert failed == set(calls), f"call sites that no fault met: {set(calls) - failed}"
    for name in sorted({name for name, _ in failed}):
        print(f"# {name}: {sum(f == name for f, _ in failed)} call sites failed")


TRAIN = ["train", "config.yaml", "--out", "RUN", "--no-plot", "--quiet"]


def test_every_call_site_of_a_training_run(command):
    walk_sites(Walk(command, TRAIN))


def test_calls_in_between(command):
    walk = Walk(command, TRAIN)
    calls, busy = {}, []
    for function in [function for word, _, function, _ in walk.expected["lines"] if word == "call"]:
        calls[function] = calls.get(function, 0) + 1
        if function not in ("clGetKernelArgInfo", "clSetKernelArg", *WAITS):
            busy.append((function, calls[function]))
    faults = [f"{function}:{number}:{error_for(function, number)}"
              for function, number in busy[7::max(1, len(busy) // 24)]]
    list(walk.walk(faults))


def test_profiling(command):
    walk_sites(Walk(command, [*TRAIN, "--profile"]),
               lambda function, _: function in ("clGetEventProfilingInfo", "clFinish", "clReleaseEvent"))


def test_listing_in_children(command):
    """A driver that gives errors while it is being tried does not crash; what to do is settled later."""
    walk = Walk(command, TRAIN)
    list(walk.walk([f"{function}:{n}:-6" for function, n in
                    [("clGetPlatformIDs", 1), ("clGetPlatformInfo", 1), ("clGetDeviceIDs", 1), ("clGetDeviceInfo", 1)]],
                   where="child"))


def test_resuming_leaves_the_run_whole(command):
    """A run that fails while it goes on leaves what it started from."""
    walk = Walk(command, TRAIN)
    before = command.bytes("plain")
    walk.arguments = ["train", "--resume", "plain", "--set", "train.epochs=3", "--no-plot", "--quiet"]
    for fault in ("clEnqueueReadBuffer:1:-5", "clEnqueueNDRangeKernel:5:-5", "clEnqueueWriteBuffer:2:-6"):
        result = walk.run("resumed", fault=fault)
        assert result["status"] in (4, 5), result
        walk.check_folder("plain")
        assert command.bytes("plain") == before, f"FAULT={fault} changed last.safetensors"
    command.run("eval", "plain", "--x", "X_valid.npy", "--y", "y_valid.npy")


def test_error_in_mid_run(command):
    """The driver fails after the first epoch: the run says from which epoch --resume goes on, which it does."""
    walk = Walk(command, TRAIN)
    kernels = sum(line[2] == "clEnqueueNDRangeKernel" for line in walk.expected["lines"] if line[0] == "call")
    result = walk.run("broken", fault=f"clEnqueueNDRangeKernel:{kernels - 2}:-5")
    assert result["status"] == 4 and result["err"].count("clrnn: error:") == 1, result
    assert "`clrnn train --resume broken` goes on from epoch 2" in result["err"], result
    walk.check_folder("broken")
    assert len(command.epochs("broken")) == 1
    command.run("train", "--resume", "broken", "--no-plot", "--quiet", env=walk.env)
    assert command.bytes("broken") == command.bytes("plain")
    again = walk.run("plain", fault=f"clEnqueueNDRangeKernel:{kernels // 4}:-5")  # in place of a whole run
    assert again["status"] == 4 and "the earlier run as it was" in again["err"], again
    assert command.bytes("broken") == command.bytes("plain")


def test_driver_that_hangs(command):
    """The first interrupt says what it waits for, the second ends; the checkpoint stands and nothing is left behind."""
    walk = Walk(command, TRAIN)
    kernels = sum(line[2] == "clEnqueueNDRangeKernel" for line in walk.expected["lines"] if line[0] == "call")
    report = command.folder / "hung.report"
    env = {**walk.env, "OPENCL_LAYERS": LAYER, "FAULT": f"clEnqueueNDRangeKernel:{kernels - 2}:hang",
           "FAULT_REPORT": str(report)}
    process = command.start(*[a.replace("RUN", "hung") for a in TRAIN], env=env, start_new_session=True)
    try:
        end = time.monotonic() + PATIENCE_S
        while not (report.exists() and "fault" in report.read_text()):
            assert time.monotonic() < end and process.poll() is None, "no call hung"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        line = process.stderr.readline()
        assert "waiting for the device" in line and "interrupt again" in line, line
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, process.returncode
    finally:
        process.kill()
        process.communicate()
    walk.check_folder("hung")
    command.run("train", "--resume", "hung", "--no-plot", "--quiet", env=walk.env)
    assert command.bytes("hung") == command.bytes("plain")


def test_late_and_short(command):
    """Late calls change nothing. What a driver keeps back cannot always be noticed, but must not crash."""
    walk = Walk(command, TRAIN)
    list(walk.walk([f"{function}:2:delay" for function in
                    ("clEnqueueReadBuffer", "clFinish", "clBuildProgram", "clEnqueueWriteBuffer", "clWaitForEvents")]))
    list(walk.walk(["clEnqueueReadBuffer:1:short", "clEnqueueReadBuffer:3:short", "clEnqueueReadBuffer:30:short",
                    *[f"clGetDeviceInfo:{n}:short" for n in range(2, 25, 3)], "clGetPlatformInfo:2:short",
                    "clGetEventInfo:3:short"], numbers=False))


def test_clblast(command):
    """Its own calls to the driver, through its own error handling."""
    walk = Walk(command, [*TRAIN, "--gemm", "clblast", "--no-tune", "--set", "train.epochs=1"])
    walk_sites(walk, lambda _, site: "clblast" in site.split(",")[0])


def test_program_cache(command):
    """Binaries that a driver does not give or take cost time only; once kept, nothing is built again."""
    env = {"OCL_ICD_VENDORS": only("rusticl", command.folder), "RUSTICL_ENABLE": "llvmpipe", "CLRNN_DEVICE": "rusticl",
           "XDG_CACHE_HOME": str(command.folder / "cache")}
    plan = ["plan", "config.yaml"]  # builds what a run would, and runs nothing
    warm = Walk(command, plan, env)
    built = [line for line in warm.expected["lines"] if line[2] == "clCreateProgramWithSource"]
    assert not built, f"a warm start built {len(built)} programs"
    walk_sites(warm, lambda function, _: function in ("clCreateProgramWithBinary", "clBuildProgram"))
    cold = Walk(command, plan, {**env, "CLRNN_CACHE_BYTES": "0", "XDG_CACHE_HOME": str(command.folder / "empty")})
    walk_sites(cold, lambda function, _: function == "clGetProgramInfo")


def test_two_cold_starts_at_once(command):
    env = {"OCL_ICD_VENDORS": only("rusticl", command.folder), "RUSTICL_ENABLE": "llvmpipe", "CLRNN_DEVICE": "rusticl",
           "XDG_CACHE_HOME": str(command.folder / "cache")}
    command.write("config.yaml", MODEL)
    both = [command.start("plan", "config.yaml", env=env) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
    warm = Walk(command, ["plan", "config.yaml"], env)
    assert not [line for line in warm.expected["lines"] if line[2] == "clCreateProgramWithSource"]


def test_one_of_several_devices(command):
    """A call that fails in a device's thread ends all with a sentence that names it; the run goes on with another."""
    env = {"OCL_ICD_VENDORS": only("pocl", command.folder), "CLRNN_DEVICE": "",
           "POCL_DEVICES": "pthread pthread pthread"}
    walk = Walk(command, [*TRAIN, "--set", "train.shards=4", "--devices", "0:0,0:1,0:2"], env)
    calls = [line[2] for line in walk.expected["lines"] if line[0] == "call"]
    met = set()
    for number in range(calls.count("clEnqueueNDRangeKernel") - 12, calls.count("clEnqueueNDRangeKernel") - 33, -7):
        name = f"fault-{number}"
        result = walk.run(name, fault=f"clEnqueueNDRangeKernel:{number}:-5")
        assert result["status"] == 4 and not result["left"], result
        assert result["err"].count("clrnn: error:") == 1, result
        met |= {device for device in ("0:0", "0:1", "0:2") if f"clrnn: error: device {device} (" in result["err"]}
        assert f"`clrnn train --resume {name}` goes on from epoch 2" in result["err"], result
        walk.check_folder(name)
        command.run("train", "--resume", name, "--no-plot", "--quiet", "--devices", "0:1,0:0", env=walk.env)
        assert command.bytes(name) == command.bytes("plain"), f"{name}: other bytes than an unbroken run"
    assert met & {"0:1", "0:2"}, f"only {met} failed"


def test_gradients_on_their_way(command):
    """Calls that the threads make which read and sum gradients while backward goes on."""
    env = {"OCL_ICD_VENDORS": only("pocl", command.folder), "CLRNN_DEVICE": "pocl", "CLRNN_BUCKET_BYTES": "80"}
    shards = "--set", "train.shards=4"
    train = [*TRAIN, *shards]
    known = {line[2:] for line in Walk(command, train, {**env, "CLRNN_BUCKET_BYTES": "0"}).expected["lines"]}
    walk_sites(Walk(command, train, env), lambda function, site: (function, site) not in known)
    env = {**env, "CLRNN_DEVICE": "", "POCL_DEVICES": "pthread pthread"}
    walk = Walk(command, [*train, "--devices", "0:0,0:1"], env)
    reads = sum(line[2] == "clEnqueueReadBuffer" for line in walk.expected["lines"])
    list(walk.walk([f"clEnqueueReadBuffer:{number}:-5" for number in range(7, reads, max(1, reads // 12))]))


def test_small_devices(command):
    """What there is no memory to measure is a dash with a reason, and no verdict on what the device computes."""
    command.write("model.yaml", MODEL)
    env = {"OPENCL_LAYERS": LAYER, "OCL_ICD_VENDORS": only("pocl", command.folder), "CLRNN_DEVICE": ""}
    small = {**env, "FAULT_MOST_BYTES": "60000"}
    out, _ = command.run("compare", "model.yaml", "--steps", "2", "--no-test", "--quiet", "--json", "-", env=small)
    row = json.loads(out)["devices"][0]
    assert row["verdict"] == "ok" and row["peak_gb_per_s"] is None, row
    assert "no memory" in row["unmeasured"], row
    for most, is_measured in ((32 << 20, True), (60000, False)):
        out, _ = command.run("bench", "model.yaml", "--quiet", "--no-start", "--seconds", "0.2",
                             env={**env, "FAULT_MOST_BYTES": str(most)})
        assert "nan" not in out and ("no memory to measure" in out) != is_measured, out


if __name__ == "__main__":
    sys.exit(harness.main([test_every_call_site_of_a_training_run, test_calls_in_between, test_profiling,
                           test_listing_in_children, test_resuming_leaves_the_run_whole, test_error_in_mid_run,
                           test_driver_that_hangs, test_late_and_short, test_clblast, test_program_cache,
                           test_two_cold_starts_at_once, test_one_of_several_devices,
                           test_gradients_on_their_way, test_small_devices]))
