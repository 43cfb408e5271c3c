# SPDX-License-Identifier: MIT
# The script of the question that clRNN was born from, with data of its shape. doc/python.md mends it.
import torch
from torch import nn

torch.manual_seed(0)


class RNN(nn.Module):
    def __init__(self, input_dim):
        super(RNN, self).__init__()

        self.rnn = nn.RNN(input_size=input_dim, hidden_size=64,
                          num_layers=2,
                          batch_first=True, bidirectional=True)

        self.norm = nn.BatchNorm1d(128)

        self.rnn2 = nn.RNN(input_size=128, hidden_size=64,
                           num_layers=2,
                           batch_first=True, bidirectional=False)

        self.drop = nn.Dropout(0.5)

        self.fc7 = nn.Linear(64, 2)
        self.sigmoid2 = nn.Softmax(dim=2)

    def forward(self, x):
        out, h_n = self.rnn(x)
        out = out.permute(0, 2, 1)
        out = self.norm(out)
        out = out.permute(0, 2, 1)

        out, h_n = self.rnn2(out)
        out = self.drop(out)

        out = self.fc7(out)
        out = self.sigmoid2(out)
        return out.squeeze()


def make(n, direction):
    y = torch.arange(n).remainder(2)[torch.randperm(n)]
    x = torch.randn(n, 1, 2474)
    x += (y.float() * 2 - 1)[:, None, None] * direction
    return x, y.float().unsqueeze(1)


direction = torch.randn(2474) * (torch.rand(2474) < 0.05) * 0.25
X_train, y_train = make(1536, direction)
X_test, y_test = make(512, direction)
print(X_train.size(), X_test.size(), y_train.size(), y_test.size())

model = RNN(2476)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
loss_function = nn.CrossEntropyLoss()
lr_scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30, gamma=0.1)


model.train()

EPOCHS = 25
BATCH_SIZE = 64

epoch_loss = []
for ii in range(EPOCHS):
    for i in range(1, X_train.size()[0]//BATCH_SIZE+1):
        x_train = X_train[(i-1)*BATCH_SIZE:i*BATCH_SIZE]
        labels = y_train[(i-1)*BATCH_SIZE:i*BATCH_SIZE]

        optimizer.zero_grad()

        y_pred = model(x_train)
        y_pred = y_pred.round()

        single_loss = loss_function(y_pred, labels.long().squeeze())

        single_loss.backward()
        optimizer.step()
        lr_scheduler.step()

        print(f"\rBatch {i}/{X_train.size()[0]//BATCH_SIZE+1} Trained: {i*BATCH_SIZE}/{X_train.size()[0]} "
              f"Loss: {single_loss.item():10.8f} Step: {lr_scheduler.get_lr()}", end="")

    epoch_loss.append(single_loss.item())
    print(f'\nepoch: {ii:3} loss: {single_loss.item():10.8f}')
