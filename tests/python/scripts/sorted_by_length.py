# SPDX-License-Identifier: MIT
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

torch.manual_seed(7)
N, T = 600, 20
lengths = torch.randint(4, T + 1, (N,))
mask = torch.arange(T)[None] < lengths[:, None]
x = torch.randn(N, T, 2) * mask[..., None]
y = (x[..., 0].sum(1) > 0).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 16, batch_first=True)
        self.fc = nn.Linear(16, 2)

    def forward(self, x, lengths):
        lengths, order = lengths.sort(descending=True)
        packed = pack_padded_sequence(x[order], lengths, batch_first=True)  #! labels-shuffled-apart
        _, h = self.gru(packed)
        return self.fc(h[-1])


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(5):
    for i in range(0, N, 30):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(net(x[i:i + 30], lengths[i:i + 30]), y[i:i + 30])
        loss.backward()
        opt.step()
    print(epoch, loss.item())
