#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Calls between source files, seen from the symbols of the object files, as TAP: no circles, nothing without a caller.

    check_calls.py ROOT ARCHIVE...

ARCHIVE is the static library of a layer or of the command. A file uses another where it refers to a function or table
that the other defines, and a folder another where one of its files does.
"""
import collections
import pathlib
import re
import subprocess
import sys


def read_symbols(root, archives):
    """({symbol: file that defines it}, {file: symbols it refers to}); files as paths from the root."""
    known = {}  # the names that meson gives to objects
    for below, files in (("src", (root / "src").rglob("*.c")), (".", (root / "tools").glob("*.c"))):
        for path in files:
            parts = path.relative_to(root / below).parts
            known[f"{parts[0]}/{'_'.join(parts[1:])}"] = str(path.relative_to(root))
    defined, wanted = {}, collections.defaultdict(set)
    for archive in archives:
        layer = pathlib.Path(archive).parent.name
        listing = subprocess.run(["nm", "-A", "-g", "--format=posix", archive], capture_output=True, text=True,
                                 check=True).stdout
        for line in listing.splitlines():
            member, name, kind = re.match(r".*\[(?:.*/)?(.*)\.o\]: (\S+) (\S)", line).groups()
            path = known.get(f"{layer}/{member}")
            if not path:  # the generated table of kernels: data, which calls nothing
                continue
            if kind == "U":
                wanted[path].add(name)
            elif kind.isupper():
                defined[name] = path
    return defined, wanted


def circles(graph):
    """Strongly connected components of more than one node (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def search(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                search(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            group = stack[stack.index(node):]
            del stack[-len(group):]
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(graph):
        if node not in index:
            search(node)
    return found


def unused(root, defined, wanted):
    """External functions and tables that no other file uses, no test and no user of the library."""
    used = set().union(*wanted.values())
    used |= set(re.findall(r"\w+", (root / "src" / "clrnn.syms").read_text(encoding="utf-8")))
    for path in (root / "tests").rglob("*.c"):
        used |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return sorted(set(defined) - used - {"main", "cmd_help"})  # declared with the other commands, called in its file


def main():
    root = pathlib.Path(sys.argv[1])
    defined, wanted = read_symbols(root, sys.argv[2:])
    files = {path: {defined[name] for name in names if name in defined} - {path} for path, names in wanted.items()}
    files = collections.defaultdict(set, files)
    folders = collections.defaultdict(set)
    for path, others in files.items():
        folder = path.rpartition("/")[0]
        folders[folder] |= {other.rpartition("/")[0] for other in others} - {folder}
    print("1..4")
    failed = 0
    for number, (what, graph) in enumerate((("files", files), ("folders", folders)), 1):
        found = circles(graph)
        for group in found:
            print(f"# these {what} use each other: {', '.join(group)}")
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - no circle of {what}")
    idle = unused(root, defined, wanted)
    for name in idle:
        print(f"# {defined[name]}: nobody else uses {name}: make it static or delete it")
    failed += bool(idle)
    print(f"{'not ok' if idle else 'ok'} 3 - every external symbol has a user")
    # what the test would miss: an archive that was not read
    known = len(files) > 100 and len(folders) >= 17
    failed += not known
    print(f"{'ok' if known else 'not ok'} 4 - read {len(files)} files of {len(folders)} folders")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
