# SPDX-License-Identifier: MIT
import copy
import torch
from torch import nn

torch.manual_seed(0)
enc = nn.GRU(4, 16, batch_first=True)
head0 = nn.Linear(16, 4)
X = torch.randn(300, 8, 4)
pre = torch.optim.Adam([*enc.parameters(), *head0.parameters()], lr=1e-2)
for _ in range(20):
    out, h = enc(X)
    loss = nn.functional.mse_loss(head0(out[:, :-1]), X[:, :-1])
    pre.zero_grad(); loss.backward(); pre.step()
state = copy.deepcopy(enc.state_dict())


class Clf(nn.Module):
    def __init__(self, state):
        super().__init__()
        self.enc = nn.GRU(4, 16, batch_first=True)
        self.enc.load_state_dict(state)
        for p in self.enc.parameters():
            p.requires_grad_(False)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        with torch.no_grad():
            o, _ = self.enc(x)
        return self.mlp(o.mean(1))


y = (X[:, :, 1].mean(1) > 0).long()
clf = Clf(state)
opt = torch.optim.Adam(filter(lambda p: p.requires_grad, clf.parameters()), lr=5e-3)
ce = nn.CrossEntropyLoss(label_smoothing=0.05)
for epoch in range(10):
    perm = torch.randperm(250)
    for chunk in perm.split(25):
        opt.zero_grad()
        l = ce(clf(X[chunk]), y[chunk])
        l.backward()
        opt.step()
    with torch.no_grad():
        acc = (clf(X[250:]).argmax(1) == y[250:]).float().mean()
    print(epoch, l.item(), float(acc))
