# SPDX-License-Identifier: MIT
"""A compiled model and a compiled loss, at a learning rate far too large."""
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 7)
y = torch.sin(x.sum(1, keepdim=True))
net = torch.compile(nn.Sequential(nn.Linear(7, 32), nn.Tanh(), nn.Linear(32, 1)), backend="eager")
opt = torch.optim.Adam(net.parameters(), lr=1.0)  #! lr-out-of-range


@torch.compile(backend="eager")
def loss_of(a, b):
    return nn.functional.mse_loss(net(a), b)


for epoch in range(4):
    for idx in torch.randperm(256).split(32):
        loss = loss_of(x[idx], y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
assert all(name.startswith("_orig_mod.") for name in net.state_dict())
