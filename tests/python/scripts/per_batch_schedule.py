# SPDX-License-Identifier: MIT
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
x = torch.randn(640, 12, 3)
y = torch.randint(0, 3, (640,))
x[:, :, 0] += y[:, None] - 1.0
train = DataLoader(TensorDataset(x[:512], y[:512]), batch_size=16, shuffle=True)
valid = DataLoader(TensorDataset(x[512:], y[512:]), batch_size=64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 16, batch_first=True)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(16, 3)

    def forward(self, x):
        return self.fc(self.drop(self.lstm(x)[0][:, -1]))


net = Net()
opt = torch.optim.AdamW(net.parameters(), lr=1e-2)
sched = CosineAnnealingLR(opt, T_max=10)
for epoch in range(10):
    net.train()
    for xb, yb in train:
        opt.zero_grad()
        nn.functional.cross_entropy(net(xb), yb).backward()
        opt.step()
        sched.step()  #! scheduler-per-batch
right = 0
for xb, yb in valid:
    with torch.no_grad():
        right += (net(xb).argmax(1) == yb).sum().item()  #! validating-in-train-mode
print("accuracy", right / len(valid))  #! accuracy-computed-wrong
