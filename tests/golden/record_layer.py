#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records what PyTorch's recurrent layers compute in double, with initial states and gradients of all outputs, as
tests/golden/layer.h.

    python3 tests/golden/record_layer.py > tests/golden/layer.h

Inputs are drawn by number(), the same in tests/reference/near.h; they are float32 numbers."""
import torch
from record_numbers import draw, put

N, T, C, H, P = 3, 4, 3, 4, 2
LENGTHS = [4, 2, 3]


def record(name, layer):
    """y, hn, cn; dx, dh0, dc0, then the gradients of the weights in PyTorch's order."""
    for i, p in enumerate(layer.parameters()):
        p.data = draw(10 + i, *p.shape, scale=0.5)
    levels = layer.num_layers * (2 if layer.bidirectional else 1)
    lstm, width = isinstance(layer, torch.nn.LSTM), layer.proj_size or H
    x, h0 = draw(1, T, N, C).requires_grad_(), draw(3, levels, N, width).requires_grad_()
    c0 = draw(4, levels, N, H).requires_grad_()
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
    out, final = layer(packed, (h0, c0) if lstm else h0)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(out)
    hn, cn = final if lstm else (final, None)
    total = (y * draw(2, *y.shape)).sum() + (hn * draw(5, *hn.shape)).sum()
    if lstm:
        total = total + (cn * draw(6, *cn.shape)).sum()
    total.backward()
    made = [y, hn, *([cn] if lstm else []), x.grad, h0.grad, *([c0.grad] if lstm else [])]
    put(name, *made, *[p.grad for p in layer.parameters()])


def main():
    torch.set_default_dtype(torch.float64)
    print("// SPDX-License-Identifier: MIT")
    print(f"// What PyTorch {torch.__version__.split('+')[0]} computes in double; made by record_layer.py.")
    print("#ifndef CLRNN_TESTS_GOLDEN_LAYER_H\n#define CLRNN_TESTS_GOLDEN_LAYER_H\n")
    record("layer_rnn", torch.nn.RNN(C, H, nonlinearity="relu"))
    record("layer_gru", torch.nn.GRU(C, H, bidirectional=True, bias=False))
    record("layer_lstm", torch.nn.LSTM(C, H, num_layers=2, bidirectional=True))
    record("layer_projected", torch.nn.LSTM(C, H, num_layers=2, bidirectional=True, proj_size=P))
    print("\n#endif")


main()
