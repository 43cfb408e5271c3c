# SPDX-License-Identifier: MIT
"""Weights that the script changes in place itself, and data that it has written itself."""
import numpy as np
import torch

torch.manual_seed(0)
np.savetxt("data.csv", torch.randn(200, 4).numpy(), delimiter=",")
x = torch.tensor(np.loadtxt("data.csv", delimiter=","), dtype=torch.float32)
y = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]])
w = (0.1 * torch.randn(4, 1)).requires_grad_()
b = torch.zeros(1, requires_grad=True)
for epoch in range(100):
    loss = ((x @ w + b - y) ** 2).mean()
    torch.autograd.backward(loss)
    with torch.no_grad():
        w -= 0.1 * w.grad
        b -= 0.1 * b.grad
        w.grad.zero_()
        b.grad.zero_()
