# SPDX-License-Identifier: MIT
import torch
from torch import nn

torch.manual_seed(1)
x = torch.randn(400, 8, 3)
y = x[:, :, 0].sum(1, keepdim=True) * 0.3
lstm, head = nn.LSTM(3, 16, batch_first=True), nn.Linear(16, 1)
net = nn.ModuleList([lstm, head])
fast = torch.optim.Adam(net.parameters(), lr=1e-2)
slow = torch.optim.SGD(net.parameters(), lr=1e-3)  #! two-optimizers-fight
for epoch in range(5):
    for i in range(0, 400, 40):
        loss = ((head(lstm(x[i:i + 40])[0][:, -1]) - y[i:i + 40]) ** 2).mean()
        fast.zero_grad()
        slow.zero_grad()
        loss.backward()
        fast.step()
        slow.step()
    print(epoch, loss.item())
