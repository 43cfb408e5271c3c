# SPDX-License-Identifier: MIT
import torch


def run_epoch(model, loader, loss_fn, opt=None, sched=None):
    total = 0.0
    for xb, yb in loader:
        out = model(xb)
        loss = loss_fn(out, yb)
        if opt is not None:
            opt.zero_grad()
            loss.backward()
            opt.step()
            if sched is not None:
                sched.step()  #! scheduler-per-batch
        total += loss.item()
    return total / len(loader)


def fit(model, train, valid, loss_fn, opt, sched, epochs):
    history = []
    for epoch in range(epochs):
        model.train()
        t = run_epoch(model, train, loss_fn, opt, sched)
        model.eval()
        with torch.no_grad():
            v = run_epoch(model, valid, loss_fn)
        history.append((t, v))
        print(f"{epoch} {t:.4f} {v:.4f}")
    return history
