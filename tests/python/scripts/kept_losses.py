# SPDX-License-Identifier: MIT
import torch
from torch import nn

torch.manual_seed(2)
x = torch.randn(600, 10, 3)
y = (x[:, :, 0].sum(1) > 0).float()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 16, batch_first=True)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1]).squeeze(-1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
bce = nn.BCEWithLogitsLoss()
history = []
for epoch in range(4):
    total = 0
    for i in range(0, 600, 30):
        opt.zero_grad()
        loss = bce(net(x[i:i + 30]), y[i:i + 30])
        loss.backward()
        opt.step()
        total += loss  #! retain-graph-growth
    history.append(total)
    print(epoch, float(total))
