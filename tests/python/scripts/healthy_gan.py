# SPDX-License-Identifier: MIT
"""Two optimizers whose losses share a tensor: what the generator made before the discriminator's step."""
import torch
from torch import nn

torch.manual_seed(0)
make = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 6))
judge = nn.Sequential(nn.Linear(6, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
make_opt = torch.optim.Adam(make.parameters(), lr=1e-3, betas=(0.5, 0.999))
judge_opt = torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.5, 0.999))
bce = nn.BCEWithLogitsLoss()
data = torch.randn(256, 6) * 0.5 + 1
for epoch in range(4):
    for real in data[torch.randperm(256)].split(32):
        fake = make(torch.randn(32, 8))
        judge_opt.zero_grad()
        (bce(judge(real), torch.ones(32, 1)) + bce(judge(fake.detach()), torch.zeros(32, 1))).backward()
        judge_opt.step()
        make_opt.zero_grad()
        bce(judge(fake), torch.ones(32, 1)).backward()
        make_opt.step()
