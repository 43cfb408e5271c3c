# SPDX-License-Identifier: MIT
import numpy as np
import torch
from torch import nn

torch.manual_seed(5)
rng = np.random.default_rng(5)
X = rng.normal(size=(600, 6)).astype("float32")
t = (X[:, 0] * X[:, 1] > 0).astype("int64")


class Stack(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        self.inner = [nn.Linear(6 if k == 0 else 24, 24) for k in range(depth)]  #! optimizer-misses-parameters
        self.last = nn.Linear(24, 2)

    def forward(self, x):
        for layer in self.inner:
            x = torch.tanh(layer(x))
        return self.last(x)


model = Stack()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss()
inputs, labels = torch.from_numpy(X), torch.from_numpy(t)
epoch = 0
while epoch < 8:
    for k in range(0, 600, 50):
        optimizer.zero_grad()
        loss = criterion(model(inputs[k:k + 50]), labels[k:k + 50])
        loss.backward()
        optimizer.step()
    epoch += 1
    print(epoch, loss.item())
