# SPDX-License-Identifier: MIT
"""Batches from a worker process, which hands them over through a socket."""
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Sums(Dataset):
    def __init__(self):
        g = torch.Generator().manual_seed(0)
        self.x = torch.randn(128, 5, 3, generator=g)
        self.y = (self.x[..., 0].sum(1) > 0).long()

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(3, 8, batch_first=True)
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return self.fc(self.gru(x)[1][-1])


if __name__ == "__main__":
    torch.manual_seed(0)
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-2)
    for epoch in range(3):
        for x, y in DataLoader(Sums(), 16, shuffle=True, num_workers=1):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            opt.step()
        print(epoch, loss.item())
