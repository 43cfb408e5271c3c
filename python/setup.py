# SPDX-License-Identifier: MIT
"""Puts the API number of the headers, and the library where it is built or can be built, into the package.

The library comes with what it links to beside libc (libyaml, jansson, libcsv, protobuf-c), and with CLBlast, which it
opens when a device is used: a wheel runs wherever glibc is at least the one it was made with, and has libOpenCL.
"""
import ctypes.util
import os
import platform
import re
import shutil
import subprocess
import sysconfig

from setuptools import setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:                     # setuptools before 70.1
    from wheel.bdist_wheel import bdist_wheel

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OF_LIBC = re.compile(r"(ld-linux|linux-vdso|lib(c|m|dl|pthread|rt|gcc_s)\.so)")
OF_HOST = re.compile(r"lib(OpenCL|stdc\+\+)\.so")    # drivers belong to it; manylinux has libstdc++


def api_number() -> str:
    """CLRNN_API_VERSION of the headers."""
    with open(os.path.join(ROOT, "include", "clrnn", "version.h"), encoding="utf-8") as f:
        return re.search(r"CLRNN_API_VERSION (\d+)", f.read()).group(1)


def built_library() -> str:
    """The built library of the headers' API, or one built now by meson; "" where neither is possible."""
    for build in ("build", "build-python"):
        found = os.path.join(ROOT, build, "src", f"libclrnn.so.{api_number()}")
        if os.path.exists(found) and not any("libmpi" in name for name in libraries_of(found)):
            return os.path.realpath(found)
    if not shutil.which("meson") or not shutil.which("ninja"):
        return ""
    build = os.path.join(ROOT, "build-python")
    made = os.path.join(build, "src", f"libclrnn.so.{api_number()}")
    setup = ["meson", "setup", build, "--buildtype=release", "-Dmpi=disabled"]  # MPI is the host's, not a wheel's
    if os.path.isdir(build) or subprocess.call(setup, cwd=ROOT) == 0:
        subprocess.call(["ninja", "-C", build, f"src/libclrnn.so.{api_number()}.0.0"])
    return os.path.realpath(made) if os.path.exists(made) else ""


def libraries_of(library: str) -> dict:
    """What it links to beside libc: file name to path, as the dynamic linker finds them."""
    try:
        lines = subprocess.run(["ldd", library], stdout=subprocess.PIPE, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    found = dict(re.findall(r"^\s*(\S+) => (/\S+)", lines, re.M))
    return {name: path for name, path in found.items() if not OF_LIBC.match(name) and not OF_HOST.match(name)}


def clblast() -> dict:
    """CLBlast as the dynamic linker finds it, and what it links to: file name to path."""
    name = ctypes.util.find_library("clblast")
    try:
        lines = subprocess.run(["ldconfig", "-p"], stdout=subprocess.PIPE, check=True, text=True,
                               env={"PATH": "/sbin:/usr/sbin:" + os.environ.get("PATH", "")}).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    machine = os.uname().machine.replace("_", "-")
    paths = [path for file, kind, path in re.findall(r"^\s*(\S+) \((.*)\) => (/\S+)", lines, re.M)
             if file == name and (machine in kind or machine != "x86-64")]
    return {name: paths[0], **libraries_of(paths[0])} if paths else {}


def find_each_other(library: str, needed: str) -> None:
    """Makes the files find each other where they lie, as auditwheel wants to see it, if patchelf is there. The package
    loads them in order, so that it works without."""
    if shutil.which("patchelf"):
        for file, path in [(library, "$ORIGIN/needed"), *((os.path.join(needed, name), "$ORIGIN")
                                                          for name in os.listdir(needed))]:
            subprocess.call(["patchelf", "--set-rpath", path, file])


class Build(build_py):
    """Adds what the package needs of the tree."""

    def run(self) -> None:
        super().run()
        package = os.path.join(self.build_lib, "clrnn")
        with open(os.path.join(package, "_api.py"), "w", encoding="utf-8") as f:
            f.write(f"API = {api_number()}\n")
        library, folder = built_library(), os.path.join(package, "lib")
        shutil.rmtree(folder, ignore_errors=True)
        if not library:
            return
        os.makedirs(os.path.join(folder, "needed"))
        shutil.copy(library, os.path.join(folder, f"libclrnn.so.{api_number()}"))
        for name, path in {**libraries_of(library), **clblast()}.items():
            shutil.copyfile(os.path.realpath(path), os.path.join(folder, "needed", name))
        find_each_other(os.path.join(folder, f"libclrnn.so.{api_number()}"), os.path.join(folder, "needed"))


class Wheel(bdist_wheel):
    """py3-none-PLATFORM: any Python, the machine and the glibc of the library."""

    def get_tag(self) -> tuple:
        if not built_library():
            return super().get_tag()
        machine = sysconfig.get_platform().split("-", 1)[1].replace("-", "_")
        name, version = platform.libc_ver()
        if name != "glibc":
            return "py3", "none", f"linux_{machine}"
        return "py3", "none", f"manylinux_{version.replace('.', '_')}_{machine}"


setup(cmdclass={"build_py": Build, "bdist_wheel": Wheel})
