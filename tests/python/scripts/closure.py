# SPDX-License-Identifier: MIT
"""The optimizer calls the training step, at a learning rate far too large."""
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 6, 3)
y = x[..., 0].sum(1, keepdim=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 12, batch_first=True)
        self.fc = nn.Linear(12, 1)

    def forward(self, x):
        return self.fc(self.rnn(x)[0][:, -1])


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=1.0)  #! lr-out-of-range
for epoch in range(3):
    for idx in torch.randperm(256).split(64):
        def closure():
            opt.zero_grad()
            loss = nn.functional.mse_loss(net(x[idx]), y[idx])
            loss.backward()
            return loss
        opt.step(closure)
