#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No circles of calls between source files, seen from the symbols of the object files, as TAP.

    check_calls.py ROOT ARCHIVE...

ARCHIVE is a layer's static library. A file uses another where it refers to a function or table that the other
defines. Files that use each other are allowed inside one folder only, and only where each says in its first
comment with which file it is one thing: "One thing with NAME.c".
"""
import collections
import pathlib
import re
import subprocess
import sys


def symbols(archives):
    """(file that defines each symbol, symbols that each file refers to); files as paths below src/."""
    defined, wanted = {}, collections.defaultdict(set)
    for archive in archives:
        folder = pathlib.Path(archive).parent.name
        listing = subprocess.run(["nm", "-A", "-g", "--format=posix", archive], capture_output=True, text=True,
                                 check=True).stdout
        for line in listing.splitlines():
            place, name, kind = line.replace("]:", "] ").split()[:3]
            member = re.search(r"\[(?:.*/)?(.*)\.o\]", place).group(1)
            path = folder + "/" + member.replace("_", "/") if False else folder + "/" + member
            if kind == "U":
                wanted[path].add(name)
            elif kind.isupper():
                defined[name] = path
    return defined, wanted


def components(graph):
    """Tarjan's strongly connected components with more than one member."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph[node]:
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            group = set()
            while node not in group:
                group.add(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def main():
    defined, wanted = symbols(sys.argv[2:])
    graph = collections.defaultdict(set)
    for path, names in wanted.items():
        graph[path] |= {defined[name] for name in names if name in defined and defined[name] != path}
    for g in components(graph): print(g)
    print(len(graph))

main()
