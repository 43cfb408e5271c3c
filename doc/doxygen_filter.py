#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Doxygen's input filter: the plain comments after members and enumerators of a public header, as Doxygen's own.

    doxygen_filter.py HEADER
"""
import re
import sys

# "    double loss, lr; // of the last step", and lines below that go on with "            // and of the first"
MEMBER = re.compile(r"^(\s+[^/\s][^/]*[;,{}]|\s+[A-Z0-9_]+,?)\s*//\s?(.*)$")
MORE = re.compile(r"^\s{8,}//\s?(.*)$")


def escape(text):
    """Angle brackets are no markup here."""
    return text.replace("<", "\\<").replace(">", "\\>")


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = file.read().split("\n")
    in_comment, after_member = False, False
    for number, line in enumerate(lines):
        member, more = MEMBER.match(line), MORE.match(line)
        if in_comment or line.lstrip().startswith("/*"):
            in_comment = "*/" not in line
            lines[number] = escape(line)
        elif member:
            lines[number] = f"{member[1]} ///< {escape(member[2])}"
        elif more and after_member:
            lines[number] = f"    ///< {escape(more[1])}"
        after_member = not in_comment and bool(member or (more and after_member))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
