# SPDX-License-Identifier: MIT
"""Times a training step of a recurrent layer, forward and backward, of torch.nn and of clrnn.torch on the same CPU.

    python3 bench/torch_layers.py [--device cpu] [--threads N] [--seconds S]

Both run in one process, in turns, so that what else the machine does falls on both alike; each time is the median. The
shapes are those of the configs beside this file: N x T x C - H, layers, directions.
"""
import argparse
import os
import statistics
import sys
import time

import torch
from torch import nn

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))

import clrnn.torch  # noqa: E402

SHAPES = [(128, 28, 28, 128, 1, False), (64, 32, 64, 128, 1, False), (64, 100, 128, 256, 1, False),
          (64, 50, 512, 512, 1, False), (32, 500, 1, 64, 2, False), (64, 100, 128, 256, 2, True)]


def step(module, x, dy):
    """One forward and backward."""
    module.zero_grad(set_to_none=True)
    x.grad = None
    module(x)[0].backward(dy)


def times(modules, x, dy, seconds):
    """Median seconds of a step of each module, taken in turns."""
    for module in modules:
        for _ in range(3):
            step(module, x, dy)
    found = [[] for _ in modules]
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(found[0]) < 5:
        for module, list_ in zip(modules, found):
            start = time.perf_counter()
            step(module, x, dy)
            list_.append(time.perf_counter() - start)
    return [statistics.median(list_) for list_ in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu", help="clRNN's device (cpu)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of torch (all)")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each shape (3)")
    o = parser.parse_args()
    torch.set_num_threads(o.threads)
    print(f"torch {torch.__version__} with {o.threads} threads, clRNN {clrnn.version()} on {o.device}; ms a step")
    print(f"{'layer':<6}{'N x T x C - H':<24}{'torch':>9}{'clRNN':>9}{'times':>7}")
    for kind in ("RNN", "GRU", "LSTM"):
        for N, T, C, H, layers, both in SHAPES:
            arguments = {"num_layers": layers, "bidirectional": both}
            theirs = getattr(nn, kind)(C, H, **arguments)
            mine = getattr(clrnn.torch, kind)(C, H, device=o.device, **arguments)
            mine.load_state_dict(theirs.state_dict())
            x = torch.randn(T, N, C, requires_grad=True)
            dy = torch.randn(T, N, H * (2 if both else 1))
            a, b = times([theirs, mine], x, dy, o.seconds)
            shape = f"{N} x {T} x {C} - {H}" + (f" x {layers}" if layers > 1 else "") + (" bi" if both else "")
            print(f"{kind:<6}{shape:<24}{1e3 * a:>9.2f}{1e3 * b:>9.2f}{a / b:>7.2f}", flush=True)


main()
