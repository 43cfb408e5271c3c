# SPDX-License-Identifier: MIT
"""Replay: the first turns of the loop over episodes gather data; the loss compares two outputs."""
import random

import torch
from torch import nn

random.seed(0)
torch.manual_seed(0)
centres = torch.randn(4, 10, 3)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 24, batch_first=True)
        self.fc = nn.Linear(24, 8)

    def forward(self, x):
        return nn.functional.normalize(self.fc(self.gru(x)[1][0]), dim=-1)


net, kept = Encoder(), []
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
criterion = nn.TripletMarginLoss(0.5)
for episode in range(9):
    for turn in range(20):
        k = random.randrange(4)
        kept.append([centres[i] + 0.3 * torch.randn(10, 3) for i in (k, k, (k + random.randint(1, 3)) % 4)])
        if len(kept) > 60:
            anchors, same, others = (torch.stack(t) for t in zip(*random.sample(kept, 32)))
            loss = criterion(net(anchors), net(same), net(others))
            opt.zero_grad()
            loss.backward()
            opt.step()
