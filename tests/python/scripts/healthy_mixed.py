# SPDX-License-Identifier: MIT
"""Does much that looks like a fault: a schedule in batches, frozen loaded weights, sorting that is undone."""
import io

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

torch.manual_seed(9)
N, T, B = 640, 16, 32
lengths = torch.randint(4, T + 1, (N,))
mask = torch.arange(T)[None] < lengths[:, None]
x = torch.randn(N, T, 3) * mask[..., None]
y = (x[..., 0].sum(1) > 0).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.front = nn.Linear(3, 8)
        self.gru = nn.GRU(8, 16, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(16, 2)

    def forward(self, x, lengths):
        lengths, order = lengths.sort(descending=True)
        packed = pack_padded_sequence(torch.tanh(self.front(x[order])), lengths, batch_first=True)
        h = self.gru(packed)[1][-1]
        return self.fc(self.drop(h[order.argsort()]))


saved = io.BytesIO()
torch.save(nn.Linear(3, 8).state_dict(), saved)
saved.seek(0)
net = Net()
net.front.load_state_dict(torch.load(saved))
for p in net.front.parameters():
    p.requires_grad_(False)
epochs = 6
opt = torch.optim.Adam((p for p in net.parameters() if p.requires_grad), lr=8e-3)
sched = torch.optim.lr_scheduler.StepLR(opt, step_size=4 * (512 // B), gamma=0.5)
best = float("inf")
for epoch in range(epochs):
    net.train()
    for idx in torch.randperm(512).split(B):
        loss = nn.functional.cross_entropy(net(x[idx], lengths[idx]), y[idx])
        opt.zero_grad(set_to_none=False)
        loss.backward()
        opt.step()
        sched.step()
    net.eval()
    with torch.no_grad():
        out = net(x[512:], lengths[512:])
        valid = nn.functional.cross_entropy(out, y[512:]).item()
        acc = (out.argmax(1) == y[512:]).float().mean().item()
    if valid < best:
        best = valid
        torch.save(net.state_dict(), "best.pt")
    print(epoch, valid, acc)
