# SPDX-License-Identifier: MIT
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
x = torch.randn(500, 12, 2)
y = torch.sin(x[:, :, 0].sum(1, keepdim=True))
loader = DataLoader(TensorDataset(x, y), batch_size=25, shuffle=True)
rnn, fc = nn.GRU(2, 16, batch_first=True), nn.Linear(16, 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.fc = rnn, fc

    def forward(self, x):
        return self.fc(self.rnn(x)[1][-1])


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(4):
    for xb, yb in loader:
        opt.zero_grad()
        pred = net(xb)
        loss = nn.functional.mse_loss(pred, xb[:, -1, :1])  #! loss-on-wrong-tensor
        loss.backward()
        opt.step()
    print(epoch, loss.item())
