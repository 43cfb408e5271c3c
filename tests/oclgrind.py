# SPDX-License-Identifier: MIT
"""Oclgrind, a simulator that finds bad accesses, data races and uninitialised values, as the tests set it up."""
import pathlib

RUNTIME = pathlib.Path("/usr/lib/oclgrind/liboclgrind-rt-icd.so")
LAYER = "tests/simulator/simulator_layer.so"  # in a build folder; see tests/simulator/layer.c


def installed():
    return RUNTIME.exists()


def environment(build, folder):
    """Variables under which programs run on Oclgrind alone. `folder` is for the list of drivers, built kernels and
    findings."""
    folder = pathlib.Path(folder)
    (folder / "oclgrind.icd").write_text(f"{RUNTIME}\n")
    return {
        "CLRNN_DEVICE": "oclgrind",
        "CLRNN_TEST_SCRATCH": "1",
        "CLRNN_TEST_SMALL": "1",
        "OCL_ICD_VENDORS": str(folder),
        "OPENCL_LAYERS": str((pathlib.Path(build) / LAYER).resolve()),
        # The check for uninitialised values stops at LLVM's `freeze`, which optimising brings, and optimising takes
        # away what it should see. Forced inlining brings an intrinsic that Oclgrind does not know.
        "OCLGRIND_BUILD_OPTIONS": "-cl-opt-disable -DR123_FORCE_INLINE(decl)=decl",
        "OCLGRIND_DATA_RACES": "1",
        "OCLGRIND_LOG": str(folder / "findings"),  # the layer makes it one a context
        "OCLGRIND_MAX_ERRORS": "20",
        "OCLGRIND_MAX_WGSIZE": "16",  # large groups find no more, slowly
        "OCLGRIND_NUM_THREADS": "1",
        "OCLGRIND_UNINITIALIZED": "1",
        "XDG_CACHE_HOME": str(folder),
    }


def findings(folder):
    """What was found, by program; None where nothing was looked at."""
    logs = sorted(pathlib.Path(folder).glob("findings*"))
    if not any(log.name.startswith("findings.") for log in logs):
        return None
    texts = {log.name.removeprefix("findings."): log.read_text().strip() for log in logs}
    return "".join(f"{name}:\n{text}\n" for name, text in texts.items() if text)
