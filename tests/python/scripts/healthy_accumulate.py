# SPDX-License-Identifier: MIT
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(11)
g = torch.Generator().manual_seed(2)
X = torch.randn(480, 16, 5, generator=g)
Y = ((X[:, -1, 0] + X[:, -2, 1]) > 0).float()


def build():
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(5, 24, batch_first=True)
            self.lin = nn.Linear(24, 1)

        def forward(self, x):
            return self.lin(self.rnn(x)[0][:, -1]).squeeze(-1)
    return M()


net = build()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
EPOCHS, BS, ACC = 8, 20, 2
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=EPOCHS * (400 // BS) // ACC)
for epoch in range(EPOCHS):
    net.train()
    perm = torch.randperm(400)
    opt.zero_grad()
    for i in range(0, 400, BS):
        take = perm[i:i + BS]
        loss = F.binary_cross_entropy_with_logits(net(X[take]), Y[take]) / ACC
        loss.backward()
        if (i // BS + 1) % ACC == 0:
            opt.step()
            sched.step()
            opt.zero_grad()
    net.eval()
    with torch.inference_mode():
        p = torch.sigmoid(net(X[400:]))
        print(epoch, ((p > 0.5).float() == Y[400:]).float().mean().item())
