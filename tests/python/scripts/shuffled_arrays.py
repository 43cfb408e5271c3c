# SPDX-License-Identifier: MIT
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

np.random.seed(6)
torch.manual_seed(6)
X = np.random.randn(700, 10, 2).astype(np.float32)
y = (X[:, :, 0].sum(1) > 0).astype(np.int64)
np.random.shuffle(X)
np.random.shuffle(y)  #! labels-shuffled-apart
data = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), batch_size=35, shuffle=True)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(2, 16, batch_first=True)
        self.fc = nn.Linear(16, 2)

    def forward(self, x):
        return self.fc(self.rnn(x)[0].mean(1))


def main():
    net = Net()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(5):
        net.train()
        for xb, yb in data:
            loss = nn.functional.cross_entropy(net(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
