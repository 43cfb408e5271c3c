# SPDX-License-Identifier: MIT
"""Inputs of recorded cases, the same as tests/reference/near.h draws, and results as C."""
import numpy as np
import torch


def number(seed, count, scale=1.0):
    m = np.uint64(0xFFFFFFFF)
    z = np.arange(count, dtype=np.uint64) * np.uint64(2654435761)
    z = (z + np.uint64(seed * 2246822519 & 0xFFFFFFFF) + np.uint64(374761393)) & m
    z = ((z ^ (z >> np.uint64(15))) * np.uint64(2246822519)) & m
    z = ((z ^ (z >> np.uint64(13))) * np.uint64(3266489917)) & m
    z ^= z >> np.uint64(16)
    return ((z >> np.uint64(8)).astype(np.float64) * 2.0**-23 - 1) * scale


def draw(seed, *shape, scale=1.0):
    return torch.tensor(number(seed, int(np.prod(shape)), scale).reshape(shape))


def put(name, *tensors):
    values = np.concatenate([t.detach().numpy().reshape(-1) for t in tensors])
    print(f"static const double golden_{name}[{len(values)}] = {{")
    for i in range(0, len(values), 4):
        print("    " + ", ".join(repr(float(v)) for v in values[i:i + 4]) + ",")
    print("};")
