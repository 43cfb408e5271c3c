#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes one C file with a table of kernel sources: name -> text (src/device/program/sources.h).

    embed.py OUTPUT COMPILER... -- FILE...

FILE appears under its base name. Random123's headers, found where COMPILER finds them, appear under
"Random123/...". Texts stay as they are: includes are resolved when a program is made.
"""
import os
import subprocess
import sys

# What philox.h needs of Random123 where __OPENCL_VERSION__ is defined.
RANDOM123 = ["philox.h", "array.h", "features/compilerfeatures.h", "features/openclfeatures.h",
             "features/sse.h"]


def random123_folder(compiler):
    """The folder that holds Random123/, as the compiler's dependency listing tells it."""
    rule = subprocess.run(compiler + ["-x", "c", "-M", "-"], input="#include <Random123/philox.h>\n",
                          stdout=subprocess.PIPE, text=True, check=True).stdout
    for word in rule.replace("\\\n", " ").split():
        if word.endswith("Random123/philox.h"):
            return os.path.dirname(os.path.dirname(word)) or "."
    sys.exit("embed.py: Random123/philox.h is not among the compiler's headers: " + rule)


def c_array(data):
    """Bytes as rows of numbers: C limits the length of string literals."""
    return "\n".join("    " + "".join("%d," % byte for byte in data[i:i + 32])
                     for i in range(0, len(data), 32))


def main():
    output, rest = sys.argv[1], sys.argv[2:]
    cut = rest.index("--")
    folder = random123_folder(rest[:cut])
    sources = [(os.path.basename(path), path) for path in rest[cut + 1:]]
    sources += [("Random123/" + name, os.path.join(folder, "Random123", name)) for name in RANDOM123]

    parts = ["// Made by tools/embed.py from cl/ and Random123's headers (their licence stands in them).",
             '#include "device/program/sources.h"', ""]
    for i, (name, path) in enumerate(sources):
        with open(path, "rb") as f:
            data = f.read().replace(b"\r\n", b"\n")
        if b"\0" in data:
            sys.exit("embed.py: %s holds a zero byte, expected text" % path)
        parts.append("// %s\nstatic const char text_%d[] = {\n%s\n    0};\n" % (name, i, c_array(data)))
    parts.append("const struct clrnn_source_text clrnn_source_texts[] = {")
    parts += ['    {"%s", text_%d},' % (name, i) for i, (name, _) in enumerate(sources)]
    parts += ["};", "const size_t clrnn_source_text_count = %d;" % len(sources), ""]
    with open(output, "w", encoding="ascii") as f:
        f.write("\n".join(parts))


main()
