# SPDX-License-Identifier: MIT
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from steps.training import fit

torch.manual_seed(0)


class Reg(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        h, _ = self.gru(x)
        return self.out(h.mean(1))  #! target-shape-broadcast


x = torch.randn(600, 12, 3)
y = x[:, :, 0].mean(1) * 3
model = Reg()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=5, gamma=0.3)
train = DataLoader(TensorDataset(x[:500], y[:500]), batch_size=25, shuffle=True)
valid = DataLoader(TensorDataset(x[500:], y[500:]), batch_size=50)
fit(model, train, valid, nn.MSELoss(), opt, sched, 20)
