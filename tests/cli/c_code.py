# SPDX-License-Identifier: MIT
"""Compiling exported C code and running it, for the tests of export."""
import resource
import struct
import subprocess

import export_cases as cases

STRICT = ["-Wall", "-Wextra", "-Werror", "-pedantic"]

# Reads N, T and the inputs, writes what predict gives and then, for causal models, what step gives.
DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
#ifdef NET_TOKENS
typedef int32_t input;
#else
typedef float input;
#endif
int main(void)
{
    int32_t head[2];
    int n, t;
    if (fread(head, 4, 2, stdin) != 2)
        return 2;
    for (n = 0; n < head[0]; n++) {
        const size_t count = (size_t)head[1] * NET_FEATURES;
#if NET_PER_STEP
        const size_t outs = (size_t)NET_OUT_STEPS(head[1]) * NET_OUTPUTS;
#else
        const size_t outs = NET_OUTPUTS;
#endif
        input *x = (input *)malloc(count * sizeof(*x));
        float *out = (float *)malloc(outs * sizeof(*out));
        if (fread(x, sizeof(*x), count, stdin) != count || net_predict(x, head[1], out))
            return 3;
        fwrite(out, sizeof(*out), outs, stdout);
#if NET_CAUSAL
        {
            net_state state;
            net_reset(&state);
            for (t = 0; t < head[1]; t++)
                net_step(&state, x + (size_t)t * NET_FEATURES, NET_PER_STEP ? out + (size_t)t * NET_OUTPUTS : out);
            fwrite(out, sizeof(*out), outs, stdout);
        }
#endif
        (void)t;
        free(x);
        free(out);
    }
    return net_predict(NULL, 0, NULL) == -1 ? 0 : 4;
}
"""


def export(c, *more, run="run", name="net", status=0, limit=None):
    def preexec():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    return c.run("export", run, "--to", "c", "--out", "c", "--name", name, *more, status=status, preexec_fn=preexec)


def compile_c(c, compiler="gcc", program="driver", source="driver.c", more=()):
    c.write("c/driver.c", DRIVER)
    language = [] if "++" in compiler else ["-std=c99"]
    subprocess.run([compiler, *language, "-O2", *STRICT, *more, "net.c", source, "-o", program, "-lm"],
                   cwd=c.folder / "c", check=True)


def run_c(c, shape, values, tokens, runner=()):
    """(whole, step by step or None): lists of each sample's outputs, one after the other."""
    data = struct.pack(f"<2i{len(values)}{'i' if tokens else 'f'}", *shape, *values)
    out = subprocess.run([*runner, "./driver"], input=data, capture_output=True, cwd=c.folder / "c", check=True).stdout
    floats = struct.unpack(f"<{len(out) // 4}f", out)
    if "#define NET_CAUSAL 0" in (c.folder / "c/net.h").read_text():
        return floats, None
    size = len(floats) // (2 * shape[0])
    parts = [floats[i:i + size] for i in range(0, len(floats), size)]
    return sum(parts[0::2], ()), sum(parts[1::2], ())


def check(c, shape, tokens, seed, bound=1e-5, runner=()):
    values = cases.write_inputs(c.folder / "in.npy", shape, tokens, seed)
    _, expected = cases.predict(c, "run")
    whole, steps = run_c(c, shape, values, tokens, runner)
    assert len(whole) == len(expected), f"{len(whole)} outputs, expected {len(expected)}"
    error = cases.difference(whole, expected)
    assert error <= bound, f"{error} of the largest output off, expected {bound}"
    assert steps is None or cases.difference(steps, whole) <= 1e-6, "step by step is not the whole"
    return error


def read_npy_as(path, tokens):
    """(shape, values) of any .npy of integers or reals, by the system's numpy where there is none here."""
    code = "import sys, numpy; x = numpy.load(sys.argv[1]); print(*x.shape); " \
           f"sys.stdout.flush(); sys.stdout.buffer.write(x.astype('{'<i4' if tokens else '<f4'}').tobytes())"
    out = subprocess.run(["/usr/bin/python3", "-c", code, path], capture_output=True, check=True).stdout
    line, data = out.split(b"\n", 1)
    return tuple(map(int, line.split())), struct.unpack(f"<{len(data) // 4}{'i' if tokens else 'f'}", data)
