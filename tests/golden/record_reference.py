#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records what PyTorch computes in double precision, as tests/golden/reference.h.

    python3 tests/golden/record_reference.py > tests/golden/reference.h

Inputs are drawn by number(), the same in tests/reference/near.h; only results are recorded."""
import sys

import numpy as np
import torch
import torch.nn.functional as F
from record_numbers import draw, put

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

N, T, C, H = 3, 4, 3, 2
LENGTHS = [4, 2, 3]


def recurrent(name, layer):
    """y, dx, then dweight_ih, dweight_hh, dbias_ih, dbias_hh of both directions; loss = sum(y * dy)."""
    for i, p in enumerate(layer.parameters()):
        p.data = draw(10 + i, *p.shape, scale=0.8)
    x = draw(1, T, N, C, scale=1.5).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])
    (y * draw(2, T, N, 2 * H)).sum().backward()
    put(name + "_y", y)
    put(name + "_dx", x.grad)
    put(name + "_dweights", *[p.grad for p in layer.parameters()])


def valid_rows():
    return [t * N + n for t in range(T) for n in range(N) if t < LENGTHS[n]]


def spread(rows):
    """Valid rows back in their places, 0 in padding."""
    out = torch.zeros(T * N, rows.shape[1])
    out[valid_rows()] = rows.detach()
    return out


def batchnorm(name, momentum):
    layer = torch.nn.BatchNorm1d(C, momentum=momentum, eps=1e-3)
    layer.weight.data, layer.bias.data = draw(3, C), draw(4, C)
    for batch in range(2):  # the second batch is the one recorded
        layer.zero_grad()
        x = draw(1 + batch, T * N, C, scale=2.0)[valid_rows()].requires_grad_()
        y = layer(x)
        (y * draw(5, T * N, C)[valid_rows()]).sum().backward()
    put(name + "_y", spread(y))
    put(name + "_dx", spread(x.grad))
    put(name + "_dparams", layer.weight.grad, layer.bias.grad)
    put(name + "_running", layer.running_mean, layer.running_var)
    layer.eval()
    put(name + "_eval", spread(layer(x)))


def layernorm():
    layer = torch.nn.LayerNorm(C, eps=1e-3)
    layer.weight.data, layer.bias.data = draw(3, C), draw(4, C)
    x = draw(1, T * N, C, scale=2.0)[valid_rows()].requires_grad_()
    y = layer(x)
    (y * draw(5, T * N, C)[valid_rows()]).sum().backward()
    put("layernorm_y", spread(y))
    put("layernorm_dx", spread(x.grad))
    put("layernorm_dparams", layer.weight.grad, layer.bias.grad)


def pointwise(name, function):
    x = draw(1, T * N, C, scale=3.0)[valid_rows()].requires_grad_()
    y = function(x)
    (y * draw(5, T * N, C)[valid_rows()]).sum().backward()
    put(name, spread(y), spread(x.grad))


def loss(name, function, target, columns=4):
    """The loss, then dx."""
    x = draw(1, 6, columns, scale=3.0).requires_grad_()
    value = function(x if columns > 1 else x[:, 0], target)
    value.backward()
    put(name, value.reshape(1), x.grad)


def optimiser(name, make, max_norm=0):
    """Parameters after each of four steps."""
    w = draw(1, 5).requires_grad_()
    optim, seen = make([w]), []
    for step in range(4):
        w.grad = draw(20 + step, 5, scale=2.0)
        if max_norm:
            torch.nn.utils.clip_grad_norm_([w], max_norm)
        optim.step()
        seen.append(w.detach().clone())
    put(name, *seen)


def main():
    print("// SPDX-License-Identifier: MIT")
    print(f"// What PyTorch {torch.__version__} computes in double; made by record_reference.py.")
    print("#ifndef CLRNN_TESTS_GOLDEN_REFERENCE_H\n#define CLRNN_TESTS_GOLDEN_REFERENCE_H\n")
    recurrent("rnn_tanh", torch.nn.RNN(C, H, bidirectional=True))
    recurrent("rnn_relu", torch.nn.RNN(C, H, bidirectional=True, nonlinearity="relu"))
    recurrent("lstm", torch.nn.LSTM(C, H, bidirectional=True))
    recurrent("gru", torch.nn.GRU(C, H, bidirectional=True))
    batchnorm("batchnorm", 0.3)
    batchnorm("batchnorm_cumulative", None)
    layernorm()
    pointwise("relu", torch.relu)
    pointwise("tanh", torch.tanh)
    pointwise("sigmoid", torch.sigmoid)
    pointwise("round", torch.round)
    pointwise("softmax", lambda x: torch.softmax(x, -1))
    pointwise("log_softmax", lambda x: torch.log_softmax(x, -1))
    classes = torch.tensor([0, 3, 1, -100, 2, 2])
    weight = draw(6, 4).abs() + 0.1
    loss("cross_entropy", F.cross_entropy, classes)
    loss("cross_entropy_weighted", lambda x, y: F.cross_entropy(x, y, weight), classes)
    loss("cross_entropy_smooth", lambda x, y: F.cross_entropy(x, y, weight, label_smoothing=0.2), classes)
    loss("cross_entropy_ignore",
         lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1, ignore_index=2), classes.abs() % 7)
    loss("nll", lambda x, y: F.nll_loss(x, y, weight), classes)
    real = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.25])
    loss("bce", F.binary_cross_entropy_with_logits, real, 1)
    loss("bce_weighted",
         lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=torch.tensor(2.5)), real, 1)
    loss("mse", F.mse_loss, real, 1)
    O = torch.optim
    optimiser("sgd", lambda p: O.SGD(p, lr=0.1))
    optimiser("sgd_momentum", lambda p: O.SGD(p, lr=0.1, momentum=0.9, dampening=0.4, weight_decay=0.05))
    optimiser("sgd_nesterov", lambda p: O.SGD(p, lr=0.1, momentum=0.9, nesterov=True), 0.7)
    optimiser("adam", lambda p: O.Adam(p, lr=0.1, betas=(0.8, 0.95), eps=1e-4, weight_decay=0.05))
    optimiser("adam_amsgrad", lambda p: O.Adam(p, lr=0.1, betas=(0.8, 0.5), amsgrad=True), 0.7)
    optimiser("adamw", lambda p: O.AdamW(p, lr=0.1, weight_decay=0.2))
    optimiser("rmsprop", lambda p: O.RMSprop(p, lr=0.1, alpha=0.7, eps=1e-3, weight_decay=0.05))
    optimiser("rmsprop_centered", lambda p: O.RMSprop(p, lr=0.1, alpha=0.7, momentum=0.6, centered=True))
    print("\n#endif")


if __name__ == "__main__":
    sys.exit(main())
