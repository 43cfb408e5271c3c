# SPDX-License-Identifier: MIT
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self, n_in, n_hid):
        super().__init__()
        self.lstm = nn.LSTM(n_in, n_hid, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(n_hid, 3))

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.head(h[-1])


class Trainer:
    def __init__(self, model, lr=1e-3):
        self.model = model
        self.opt = torch.optim.AdamW(model.parameters(), lr=lr)
        self.crit = nn.CrossEntropyLoss()

    def train_step(self, xb, yb):
        loss = self.crit(self.model(xb), yb)
        loss.backward()
        self.opt.step()  #! zero-grad-missing
        return loss.item()

    def validate(self, loader):
        self.model.eval()
        hits = total = 0
        with torch.no_grad():
            for xb, yb in loader:
                hits += (self.model(xb).argmax(1) == yb).sum().item()
                total += len(yb)
        return hits / total

    def fit(self, train, val, epochs):
        self.model.train()
        for epoch in range(epochs):
            losses = [self.train_step(xb, yb) for xb, yb in train]  #! training-in-eval-mode
            print(epoch, sum(losses) / len(losses), self.validate(val))


if __name__ == "__main__":
    torch.manual_seed(1)
    x = torch.randn(400, 9, 4)
    y = x[:, :, 0].sum(1).div(3).round().clamp(-1, 1).long() + 1
    ds = TensorDataset(x[:320], y[:320])
    dv = TensorDataset(x[320:], y[320:])
    Trainer(Net(4, 16)).fit(DataLoader(ds, 32, shuffle=True), DataLoader(dv, 64), 5)
