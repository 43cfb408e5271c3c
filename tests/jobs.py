#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The jobs of tools/check, and their sum.

    tests/jobs.py [--full] [JOB ...]

A job gives (passed, failed, skipped); one whose tool is missing is skipped. Exit status 0 where nothing failed.
"""
import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import run

ROOT = pathlib.Path(__file__).resolve().parent.parent
QUICK = ["base", "formats", "reference", "fuzz", "headers"]
THREADED = ["base", "device", "train"]
FUZZ = sorted(folder.name for folder in (ROOT / "tests/fuzz/corpus").iterdir())
CROSS = {"arm": "arm-linux-gnueabihf", "aarch64": "aarch64-linux-gnu"}
PASSED, FAILED, SKIPPED = (1, 0, 0), (0, 1, 0), (0, 0, 1)


def add(counts):
    """The sum of (passed, failed, skipped)."""
    return tuple(map(sum, zip((0, 0, 0), *counts)))


def judge(*command, folder=ROOT, **env):
    """PASSED where the command succeeds, SKIPPED at exit status 77, else FAILED and what it said."""
    result = subprocess.run(command, cwd=folder, env={**os.environ, **env}, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if result.returncode == 0:
        return PASSED
    if result.returncode == 77:
        print(result.stdout.strip())
        return SKIPPED
    print(f"failed: {shlex.join(map(str, command))[:300]}\n{result.stdout[-6000:]}", flush=True)
    return FAILED


def parallel(function, items):
    """The sum of function(item) over items, as many at a time as there are cores."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return add(pool.map(function, items))


def missing(*tools):
    """Says which tool is missing, if one is."""
    lacking = [tool for tool in tools if not shutil.which(tool)]
    if lacking:
        print(f"skipped: {', '.join(lacking)} not installed")
    return bool(lacking)


def build(name, *options, compiler="gcc"):
    """Compiles build-NAME with warnings as errors."""
    folder = ROOT / f"build-{name}"
    if not (folder / "build.ninja").exists():
        done = judge("meson", "setup", "--werror", *options, str(folder), CC=compiler)
        if done != PASSED:
            return done
    return judge("ninja", "-C", str(folder))


def sources(*folders):
    """{file: its command in build-check} of C files below the folders, each once."""
    base = ROOT / "build-check"
    found = {}
    for entry in json.loads((base / "compile_commands.json").read_text()):
        file = (base / entry["file"]).resolve()
        if file.suffix == ".c" and file.is_relative_to(ROOT) and file.relative_to(ROOT).parts[0] in folders:
            found.setdefault(file, shlex.split(entry["command"]))
    return found


def tests():
    """All tests on PoCL, those of the kernels on rusticl and Oclgrind."""
    return add([run.run(name, ROOT / "build-check") if run.installed(name) else SKIPPED for name in run.PASSES
                if name != "intel"])


def intel():
    """The kernels' tests on Intel's CPU runtime, which PyPI has for x86-64; it is kept in build-intel (0.8 GB)."""
    if not run.installed("intel"):
        for command in ([sys.executable, "-m", "venv", str(run.INTEL)],
                        [str(run.INTEL / "bin/python"), "-m", "pip", "install", "-q", "intel-opencl-rt",
                         "intel-cmplr-lib-rt"]):
            made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            if made.returncode:
                shutil.rmtree(run.INTEL, ignore_errors=True)
                print(f"skipped: {shlex.join(command[1:])}: {(made.stdout.strip().splitlines() or ['failed'])[-1]}")
                return SKIPPED
    return run.run("intel", ROOT / "build-check")


def release():
    """As a user builds it: optimised, no tests."""
    return build("release", "-Dbuildtype=release", "-Dtests=disabled")


def sanitized(name, sanitizers, suites, **env):
    """Suites in a build of clang with sanitizers, whose warnings are errors too."""
    if missing("clang"):
        return SKIPPED
    compiled = build(name, f"-Db_sanitize={sanitizers}", "-Db_lundef=false", compiler="clang")
    if compiled != PASSED:
        return compiled
    words = [word for suite in suites for word in ("--suite", suite)]
    # libstdc++ has no frame pointers, so that only the slow unwinder finds the driver which allocated; LeakSanitizer
    # of LLVM 14 ends with a signal 11 where it follows thread-local memory of libraries that were loaded late
    asan = "halt_on_error=1:abort_on_error=1:fast_unwind_on_malloc=0:intercept_tls_get_addr=0"
    return add([compiled, run.test(name, ROOT / f"build-{name}", words, {
        "CLRNN_DEVICE": "pocl", "ASAN_OPTIONS": asan, **env}, patience=16)])


def clang():
    """clang's warnings; the quick suites with the address and undefined-behaviour sanitizers."""
    return sanitized("clang", "address,undefined", QUICK)


def fuzz():
    """Each fuzz target over its corpus, then for 6 s."""
    if missing("clang"):
        return SKIPPED
    if judge("tests/fuzz/run", "-n", "0") != PASSED:
        return FAILED
    return parallel(lambda name: judge("tests/fuzz/run", "-t", "6", name), FUZZ)


def scripts():
    """shellcheck over every shell script."""
    if missing("shellcheck"):
        return SKIPPED
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    shell = [name for name in listed if (ROOT / name).is_file()
             and (ROOT / name).read_bytes()[:20].startswith((b"#!/bin/sh", b"#!/bin/bash"))]
    return parallel(lambda name: judge("shellcheck", name), shell)


def cross(name):
    """clang compiles src/ and tools/ for another processor: its libc, this system's headers of the libraries."""
    libc = pathlib.Path("/usr") / CROSS[name] / "include"
    if missing("clang") or not libc.is_dir():
        print(f"skipped: clang or {libc} is not there")
        return SKIPPED

    def compiles(item):
        file, command = item
        flags = [word for word in command if word.startswith(("-I", "-D", "-W", "-std", "-f"))
                 and word != "-DCLRNN_HAVE_MPI"]  # whose headers are made for one processor
        return judge("clang", f"--target={CROSS[name]}", *flags, "-isystem", str(libc), "-idirafter", "/usr/include",
                     "-Werror", "-fsyntax-only", str(file), folder=ROOT / "build-check")
    return (1, 0, 0) if not parallel(compiles, sources("src", "tools").items())[1] else FAILED


def tidy(*folders):
    """clang-tidy with the list of .clang-tidy."""
    if missing("clang-tidy-14"):
        return SKIPPED
    return parallel(lambda file: judge("clang-tidy-14", "--quiet", "-p", "build-check", str(file)), sources(*folders))


def bench():
    """Every benchmark starts and ends, those of bench/ too."""
    own = [judge("build-check/tools/clrnn", "bench", str(config), "--device", "pocl", "--seconds", "0.1", "--no-start",
                 "--quiet", "--json") for config in sorted((ROOT / "bench").glob("*.yaml"))]
    return add([judge("meson", "test", "-C", "build-check", "--benchmark", "--no-rebuild", "--timeout-multiplier", "4",
                      CLRNN_DEVICE="pocl"), *own])


def kills():
    """Fifty lost ranks, one after the other."""
    return judge(sys.executable, str(ROOT / "tests/cli/test_ranks.py"), str(ROOT / "build-check/tools/clrnn"), "killed",
                 RANK_KILLS="50", RANK_SEED=str(time.time_ns()))


def memory():
    """A hundred allocations of each command fail."""
    return judge(sys.executable, str(ROOT / "tests/faults/test_memory.py"), str(ROOT / "build-check/tools/clrnn"),
                 str(ROOT / "build-check/tests/faults/fault_memory.so"), MEMORY_RUNS="100")


def package():
    """The Python package installs into an environment of its own and passes its tests there."""
    with tempfile.TemporaryDirectory(prefix="clrnn-python-") as folder:
        made = subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", f"{folder}/env"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if made.returncode:
            print("skipped: python3-venv not installed")
            return SKIPPED
        own = f"{folder}/env/bin/python"
        library, command = "build-check/src/libclrnn.so", str(ROOT / "build-check/tools/clrnn")
        tests = {"package": [library], "structs": ["cc"], "library": [library, command], "sklearn": [library],
                 "torch": [library], "doctor": [], "walkthrough": [library, command]}
        bundled = "import importlib.util as i, sys; i.find_spec('numpy') or sys.exit(77); " \
                  "import clrnn, pathlib; needed = pathlib.Path(clrnn.__file__).parent / 'lib/needed'; " \
                  "assert (needed / 'libclblast.so.1').exists() and clrnn.devices() is not None"
        return add([judge(own, "-m", "pip", "install", "-q", "--no-deps", "./python"),
                    judge(own, "-c", bundled, folder=folder),
                    *(judge(own, f"tests/python/test_{name}.py", ".", *words) for name, words in tests.items())])


def gpu():
    """GPUs' compilers keep what plans choose in registers."""
    return judge("tools/gpu-compile", "--build", "build-check")


def dist():
    """The archive of the committed tree builds, and its quick suites pass."""
    with tempfile.TemporaryDirectory(prefix="clrnn-dist-") as folder:
        clone = pathlib.Path(folder) / "clone"
        done = judge("git", "clone", "-q", str(ROOT), str(clone))
        for command in (("meson", "setup", "build"), ("meson", "dist", "-C", "build", "--no-tests"),
                        ("sh", "-c", "tar -xf build/meson-dist/*.tar.xz --strip-components=1 --one-top-level=made"),
                        ("meson", "setup", "made/build", "made"), ("ninja", "-C", "made/build")):
            done = judge(*command, folder=clone) if done == PASSED else done
        if done != PASSED:
            return done
        words = [word for suite in QUICK for word in ("--suite", suite)]
        return run.test("dist", clone / "made" / "build", words, {"CLRNN_DEVICE": "pocl"})


def debian():
    """Debian's packages of the committed tree build, lintian has no error, and the command in them runs."""
    if missing("dpkg-buildpackage", "dh", "lintian", "doxygen"):
        return SKIPPED
    with tempfile.TemporaryDirectory(prefix="clrnn-debian-") as folder:
        clone = pathlib.Path(folder) / "clone"
        done = judge("git", "clone", "-q", str(ROOT), str(clone))
        version = re.search(r"^project\(.* version: '([^']+)'", (ROOT / "meson.build").read_text(), re.M).group(1)
        for command in (("grep", "-q", f"^clrnn ({version}-", "debian/changelog"),
                        ("dpkg-buildpackage", "-us", "-uc", "-b", f"-j{os.cpu_count()}"),
                        ("sh", "-c", "lintian --allow-root --fail-on error ../*.changes"),
                        ("sh", "-c", "for name in clrnn libclrnn0 libclrnn-dev clrnn-doc; "
                                     "do dpkg -x ../${name}_*.deb ../made; done"),
                        ("../made/usr/bin/clrnn", "--version"), ("test", "-e", "../made/usr/include/clrnn.h"),
                        ("test", "-e", "../made/usr/share/doc/clrnn/html/index.html")):
            done = judge(*command, folder=clone) if done == PASSED else done
        return done


# In the order of running: what fails soonest first.
JOBS = {
    "scripts": scripts,
    "build": functools.partial(build, "check"),
    "tests": tests,
    "python": package,
    "release": release,
    "arm": functools.partial(cross, "arm"),
    "aarch64": functools.partial(cross, "aarch64"),
    "clang": clang,
    "fuzz": fuzz,
}
FULL = {
    "tidy": functools.partial(tidy, "src", "tools", "tests"),
    "addresses": functools.partial(sanitized, "clang", "address,undefined", []),
    "threads": functools.partial(sanitized, "threads", "thread", THREADED,
                                 # leaving a signal handler by siglongjmp looks to it as if the handler never ended
                                 TSAN_OPTIONS=f"report_signal_unsafe=0:suppressions={ROOT}/tests/tsan.supp"),
    "intel": intel,
    "bench": bench,
    "kills": kills,
    "memory": memory,
    "gpu": gpu,
    "dist": dist,
    "debian": debian,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--full", action="store_true", help="also " + ", ".join(FULL))
    parser.add_argument("job", nargs="*", help="only these, build first: " + ", ".join({**JOBS, **FULL}))
    options = parser.parse_args()
    unknown = [name for name in options.job if name not in {**JOBS, **FULL}]
    if unknown:
        parser.error(f"there is no job {', '.join(unknown)}")
    counts = []
    for name in options.job or ({**JOBS, **FULL} if options.full else JOBS):
        started = time.monotonic()
        print(f"== {name}", flush=True)
        counts.append({**JOBS, **FULL}[name]())
        passed, failed, skipped = counts[-1]
        print(f"== {name}: {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - started:.0f} s",
              flush=True)
    passed, failed, skipped = add(counts)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
