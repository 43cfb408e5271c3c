# SPDX-License-Identifier: MIT
import torch
from torch import nn

torch.manual_seed(4)
x = torch.randn(640, 9, 4)
y = (x.mean((1, 2)) > 0).float().unsqueeze(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 12, batch_first=True)
        self.fc = nn.Linear(12, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return torch.softmax(self.fc(out[:, -1]), dim=1)  #! softmax-of-one


net, loss_fn = Net(), nn.BCELoss()
opt = torch.optim.Adam(net.parameters(), lr=1e-2)
for epoch in range(6):
    for i in range(0, 640, 32):
        opt.zero_grad()
        loss = loss_fn(net(x[i:i + 32]), y[i:i + 32])
        loss.backward()  #! zero-gradient
        opt.step()
    print(epoch, loss.item())
