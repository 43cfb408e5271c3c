# SPDX-License-Identifier: MIT
"""A teacher in eval mode within training steps, and losses between two outputs."""
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x = torch.randn(400, 8, 4)
y = (x[..., 0].sum(1) > 0).long()


class Net(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gru = nn.GRU(4, size, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(size, 3)

    def forward(self, x):
        return self.fc(self.drop(self.gru(x)[1][-1]))


teacher, student = Net(24), Net(8)
teacher.eval()
opt = torch.optim.Adam(student.parameters(), lr=5e-3)
for epoch in range(4):
    student.train()
    for idx in torch.randperm(400).split(40):
        out, goal = student(x[idx]), teacher(x[idx]).detach()
        loss = F.cross_entropy(out, y[idx]) + F.mse_loss(out, goal)
        loss = loss + F.triplet_margin_loss(student(x[idx]), student(x[idx]), student(x[idx.flip(0)]))
        opt.zero_grad()
        loss.backward()
        opt.step()
