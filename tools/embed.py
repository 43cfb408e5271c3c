#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes one C file with a table of kernel sources: name -> text (src/device/program/sources.h).

    embed.py OUTPUT COMPILER... -- FILE...

FILE appears under its base name. Of a C header outside cl/ the enums appear, in "enums.h", as macros:
CLRNN_POOL_LAST as POOL_LAST, so that kernels and the host count alike. Random123's headers, found where
COMPILER finds them, appear under "Random123/...". Texts stay as they are: includes are resolved when a
program is made.
"""
import os
import re
import subprocess
import sys

# The headers of Random123 that philox.h includes if __OPENCL_VERSION__ is defined.
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


def enum_macros(path):
    """The enums of a C header, without values of their own, as #define lines."""
    with open(path, encoding="utf-8") as f:
        text = re.sub(r"//.*|/\*.*?\*/", "", f.read())
    for names in re.findall(r"enum \w+ \{([^}=]*)\}", text):
        for value, name in enumerate(re.findall(r"CLRNN_(\w+)", names)):
            yield "#define %s %d" % (name, value)


def c_array(data):
    """Bytes as rows of numbers: C limits the length of string literals."""
    return "\n".join("    " + "".join("%d," % byte for byte in data[i:i + 32])
                     for i in range(0, len(data), 32))


def main():
    output, rest = sys.argv[1], sys.argv[2:]
    cut = rest.index("--")
    folder = random123_folder(rest[:cut])
    kernels = [path for path in rest[cut + 1:] if os.path.basename(os.path.dirname(path)) == "cl"]
    enums = [line for path in rest[cut + 1:] if path not in kernels for line in enum_macros(path)]
    sources = [(os.path.basename(path), path) for path in kernels]
    sources += [("Random123/" + name, os.path.join(folder, "Random123", name)) for name in RANDOM123]

    parts = ["// Made by tools/embed.py from cl/ and Random123's headers (their licence stands in them).",
             '#include "device/program/sources.h"', ""]
    texts = [("enums.h", "\n".join(enums + [""]).encode())]
    for name, path in sources:
        with open(path, "rb") as f:
            texts.append((name, f.read().replace(b"\r\n", b"\n")))
    for i, (name, data) in enumerate(texts):
        if b"\0" in data:
            sys.exit("embed.py: %s holds a zero byte, expected text" % name)
        parts.append("// %s\nstatic const char text_%d[] = {\n%s\n    0};\n" % (name, i, c_array(data)))
    parts.append("const struct clrnn_source_text clrnn_source_texts[] = {")
    parts += ['    {"%s", text_%d},' % (name, i) for i, (name, _) in enumerate(texts)]
    parts += ["};", "const size_t clrnn_source_text_count = %d;" % len(texts), ""]
    with open(output, "w", encoding="ascii") as f:
        f.write("\n".join(parts))


main()
