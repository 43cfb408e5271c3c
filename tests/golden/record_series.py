#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records forecasts of series from PyTorch in float32, windows cut by NumPy, into series.json: the tables, configs,
first weights, and the error over the validation rows after each epoch. tests/cli/test_forecast.py trains the same with
clrnn from the tables. Needs PyTorch 2.15.

    record_series.py [OUT]
    record_series.py --real FOLDER OUT    the same of AirlinePassengers, MonthlySunspots and Covid3Month in FOLDER"""
import base64
import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

LAYERS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def spans_of(times, groups, share):
    """Runs of rows of a group without a gap in time, before and after the split point."""
    order = [i for g in dict.fromkeys(groups) for i in range(len(groups)) if groups[i] == g]
    steps = [times[b] - times[a] for a, b in zip(order, order[1:]) if groups[a] == groups[b]]
    usual = np.median(steps)
    parts = ([], [])
    for g in dict.fromkeys(groups):
        rows = [i for i in order if groups[i] == g]
        behind = round(share * len(rows))
        for part, some in zip(parts, (rows[:len(rows) - behind], rows[len(rows) - behind:])):
            run = some[:1]
            for a, b in zip(some, some[1:]):
                if times[b] - times[a] > 1.5 * usual:
                    part.append(run)
                    run = []
                run.append(b)
            part.append(run)
    return parts


def cut(values, targets, spans, window, horizon):
    """X (N, window, C) and y (N, horizon * targets) of the windows inside the spans."""
    x, y = [], []
    for rows in spans:
        for i in range(len(rows) - window - horizon + 1):
            x.append(values[rows[i:i + window]])
            y.append(values[rows[i + window:i + window + horizon]][:, targets].reshape(-1))
    return np.array(x, np.float32), np.array(y, np.float32)


class Net(nn.Module):
    def __init__(self, kind, features, hidden, outputs):
        super().__init__()
        self.cell = LAYERS[kind](features, hidden, batch_first=True)
        self.head = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def moments(a, axis):
    std = a.astype(np.float64).std(axis)
    return a.astype(np.float64).mean(axis), np.where(std > 0, std, 1)


def train(net, sets, x_moments, y_moments, lr, epochs, batch):
    """MAE and RMSE over the second set, as means over the outputs, in the target's units, after each epoch."""
    (x, y), (xv, yv) = [[torch.tensor(((a - m) / s).astype(np.float32)) for a, (m, s) in
                         zip(pair, (x_moments, y_moments))] for pair in sets]
    adam = torch.optim.Adam(net.parameters(), lr=lr)
    found = []
    for _ in range(epochs):
        net.train()
        for i in range(0, len(x), batch):
            adam.zero_grad()
            nn.functional.mse_loss(net(x[i:i + batch]), y[i:i + batch]).backward()
            adam.step()
        net.eval()
        with torch.no_grad():
            error = (net(xv).double().numpy() - yv.double().numpy()) * y_moments[1]
        found.append([np.abs(error).mean(0).mean(), np.sqrt((error ** 2).mean(0)).mean()])
    return found


def record(kind, hidden, sets, x_moments, y_moments, data, lr, epochs, batch):
    torch.manual_seed(3)
    outputs = sets[0][1].shape[1]
    net = Net(kind, sets[0][0].shape[2], hidden, outputs)
    init = {name: [list(p.shape), base64.b64encode(p.detach().numpy().tobytes()).decode()]
            for name, p in net.named_parameters()}
    config = {
        "model": {"layers": [{kind: {"name": "cell", "hidden_size": hidden}}, {"pool": {"over": "last"}},
                             {"linear": {"name": "head", "out_features": outputs}}]},
        "train": {"loss": "mse", "optimizer": {"adam": {"lr": lr}}, "epochs": epochs, "batch_size": batch},
        "data": data}
    errors = train(net, sets, x_moments, y_moments, lr, epochs, batch)
    return {"config": config, "init": init, "samples": [len(s[0]) for s in sets], "errors": errors}


def forecast(table, columns, targets, window, horizon, kind, hidden, lr=0.01, epochs=25, batch=16, **keys):
    """A case of a table, {name: values}; keys: time and group of the config."""
    values = np.array([table[c] for c in columns], np.float64).T
    rows = len(values)
    times = [float(t) for t in table[keys["time"]]] if "time" in keys else range(rows)
    groups = table[keys["group"]] if "group" in keys else ["all"] * rows
    spans = spans_of(times, groups, 0.25)
    sets = [cut(values, [columns.index(t) for t in targets], part, window, horizon) for part in spans]
    used = [i for rows in spans[0] if len(rows) >= window + horizon for i in rows]
    data = {"train": {"csv": "series.csv", "columns": columns, "target": targets, "window": window, "horizon": horizon,
                      "split": {"valid": 0.25}, **keys}, "normalize": "standard", "normalize_targets": "standard"}
    case = record(kind, hidden, sets, moments(values[used].astype(np.float32), 0), moments(sets[0][1], 0), data, lr,
                  epochs, batch)
    lines = [",".join(table)] + [",".join(map(str, row)) for row in zip(*table.values())]
    return {"csv": "\n".join(lines) + "\n", **case}


def made():
    draw = np.random.default_rng(5)
    days = np.arange(168)
    demand = 100 + 0.2 * days + 15 * np.sin(2 * np.pi * days / 7) + draw.normal(0, 3, 168)
    shops, table = ["north", "south"], {"day": [], "shop": [], "price": [], "units": []}
    for day in range(120):
        for shop in shops:
            if (shop, day) == ("north", 40) or 70 <= day < 73 and shop == "south":
                continue  # gaps in time
            price = draw.choice([1.5, 2.0, 2.5])
            units = 60 - 12 * price + 8 * np.sin(day / 4 + shops.index(shop)) + draw.normal()
            for name, value in zip(table, (day, shop, price, round(units, 3))):
                table[name].append(value)
    return {"demand": forecast({"demand": [round(v, 3) for v in demand]}, ["demand"], ["demand"], 14, 7, "lstm", 8),
            "shops": forecast(table, ["price", "units"], ["units"], 10, 3, "gru", 6, time="day", group="shop")}


def real(folder):
    series = {}
    for name, window, horizon, kind in (("AirlinePassengers", 24, 6, "lstm"), ("MonthlySunspots", 48, 12, "gru")):
        values = np.load(folder / name / "series.npy").astype(np.float64)
        series[name] = forecast({"v": list(values)}, ["v"], ["v"], window, horizon, kind, 16)
    x, y, xv, yv = [np.load(folder / "Covid3Month" / f"{n}.npy") for n in ("X_train", "y_train", "X_test", "y_test")]
    path = str(folder.resolve() / "Covid3Month")
    data = {"train": {"x": f"{path}/X_train.npy", "y": f"{path}/y_train.npy"},
            "valid": {"x": f"{path}/X_test.npy", "y": f"{path}/y_test.npy"},
            "normalize": "standard", "normalize_targets": "standard"}
    y, yv = y.reshape(-1, 1), yv.reshape(-1, 1)
    series["Covid3Month"] = {"csv": "", **record("gru", 8, ((x, y), (xv, yv)), moments(x, (0, 1)), moments(y, 0), data,
                                                0.01, 12, 16)}
    return series


if __name__ == "__main__":
    if sys.argv[1:2] == ["--real"]:
        cases, out = real(pathlib.Path(sys.argv[2])), sys.argv[3]
    else:
        cases, out = made(), sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("series.json")
    pathlib.Path(out).write_text(json.dumps(cases, indent=1) + "\n")
