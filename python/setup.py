# SPDX-License-Identifier: MIT
"""Puts the API number of the headers, and the library where it is built or can be built, into the package."""
import glob
import os
import re
import shutil
import subprocess

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def built_library() -> str:
    """The built library, or one built now by meson; "" where neither is possible."""
    found = sorted(glob.glob(os.path.join(ROOT, "build*", "src", "libclrnn.so")))
    if not found and shutil.which("meson") and shutil.which("ninja"):
        build = os.path.join(ROOT, "build-python")
        if (subprocess.call(["meson", "setup", build, "--buildtype=release"], cwd=ROOT) == 0
                and subprocess.call(["ninja", "-C", build, "src/libclrnn.so"]) == 0):
            found = [os.path.join(build, "src", "libclrnn.so")]
    return found[0] if found else ""


class Build(build_py):
    """Adds what the package needs of the tree."""

    def run(self) -> None:
        super().run()
        package = os.path.join(self.build_lib, "clrnn")
        with open(os.path.join(ROOT, "include", "clrnn", "version.h"), encoding="utf-8") as f:
            number = re.search(r"CLRNN_API_VERSION (\d+)", f.read()).group(1)
        with open(os.path.join(package, "_api.py"), "w", encoding="utf-8") as f:
            f.write(f"API = {number}\n")
        library = built_library()
        if library:
            os.makedirs(os.path.join(package, "lib"), exist_ok=True)
            shutil.copy(os.path.realpath(library), os.path.join(package, "lib", f"libclrnn.so.{number}"))


setup(cmdclass={"build_py": Build})
