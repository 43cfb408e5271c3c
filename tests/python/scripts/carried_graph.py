# SPDX-License-Identifier: MIT
import torch
from torch import nn

torch.manual_seed(0)
text = torch.randint(0, 8, (4000,)).tolist()
for i in range(2, 4000):
    text[i] = (text[i - 1] + text[i - 2]) % 8 if i % 7 else text[i]
ids = torch.tensor(text)
B, T = 10, 20
stream = ids[: B * (len(ids) // B)].view(B, -1)


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(8, 16)
        self.rnn = nn.RNN(16, 32, batch_first=True)
        self.dec = nn.Linear(32, 8)

    def forward(self, x, h=None):
        o, h = self.rnn(self.emb(x), h)
        return self.dec(o), h


lm = LM()
crit = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(lm.parameters(), lr=0.05, momentum=0.9)
for ep in range(2):
    h = None
    for k in range(0, stream.size(1) - T - 1, T):
        xb, yb = stream[:, k:k + T], stream[:, k + 1:k + T + 1]
        out, h = lm(xb, h)  #! hidden-not-detached
        loss = crit(out.flatten(0, 1), yb.flatten())
        sgd.zero_grad()
        loss.backward(retain_graph=True)
        sgd.step()
    print(ep, loss.item())
