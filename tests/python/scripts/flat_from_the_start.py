# SPDX-License-Identifier: MIT
import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(256, 8, 3)
y = (x[:, :, 0].sum(1) > 0).float()
rnn, head = nn.GRU(3, 12, batch_first=True), nn.Linear(12, 1)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=1e-2)
for epoch in range(4):
    for xb, yb in zip(x.split(32), y.split(32)):
        answer = torch.sign(head(rnn(xb)[1][-1])).squeeze(1)  #! non-differentiable-op
        loss = nn.functional.mse_loss(answer, 2 * yb - 1)
        optimizer.zero_grad()
        loss.backward()  #! zero-gradient
        optimizer.step()
    print(epoch, loss.item())
