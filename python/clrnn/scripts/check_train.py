# SPDX-License-Identifier: MIT
"""How training goes: schedule, learning rate, clipping, gradients, dead layers."""
from __future__ import annotations

import copy
import math
from typing import Any

import torch

from .facts import Facts, through

_ADAPTIVE = ("Adam", "AdamW", "RMSprop", "NAdam", "RAdam", "Adamax", "SparseAdam", "Lion")


def schedules(f: Facts) -> None:
    """Schedules meant for epochs and stepped per batch, or used up long before training ends."""
    if not f.total_steps:
        return
    for s in f.rec.schedulers.values():
        scheduler = s.ref()
        if scheduler is None or not s.calls:
            continue
        per_batch = _per_batch(f, s)
        epochs = max(f.rec.epochs or 1, 1)
        turns = f.total_steps if per_batch or f.single else epochs
        if per_batch or f.single:       # with gradients of several batches added up, one turn for all of them
            turns = max(round(turns * min(_rate(s.calls, len(f.steps)), 1.0)), 1)
        if turns < 5 and not per_batch:
            continue
        lrs = _simulate(scheduler, min(turns, 200000))
        if not lrs:
            continue
        top = max(lrs)
        low = [i for i, lr in enumerate(lrs) if lr < 0.01 * top and i > lrs.index(top)]
        used_up = low[0] / len(lrs) if low and lrs[-1] < 0.01 * top else 1.0
        waves = s.name == "CosineAnnealingLR" and getattr(scheduler, "T_max", turns) * 2 < turns
        if per_batch and not f.single and (used_up < 0.6 or waves):
            if s.name in ("OneCycleLR", "CyclicLR"):
                f.add("scheduler-without-steps", "error", [s.line, s.step_line],
                      f"{s.name} is over after {100 * used_up:.0f} % of the {turns} steps")
                continue
            what = (f"goes up and down {turns / (2 * scheduler.T_max):.0f} times" if waves else
                    f"falls below a hundredth after {low[0]} of {turns} steps")
            f.add("scheduler-per-batch", "error", [s.step_line, s.line],
                  f"{s.name} is stepped after every batch: the learning rate {what}")
        elif not per_batch or f.single:
            if used_up < 0.6:
                f.add("scheduler-without-steps", "error", [s.line, s.step_line],
                      f"the learning rate falls from {top:.3g} below {0.01 * top:.3g} after {low[0]} of {turns} epochs")


def _rate(calls: list, steps: int) -> float:
    """Turns of a schedule for each backward(), from one turn to the last."""
    apart = [b - a for a, b in zip(calls, calls[1:]) if b > a]
    return 1 / sorted(apart)[len(apart) // 2] if apart else len(calls) / max(steps, 1)


def _per_batch(f: Facts, s: Any) -> bool:
    calls = [c for c in s.calls if 0 < c]
    if f.single or not calls:
        return False
    inside = [c for c in calls if not f.rec.epoch_ends or c < f.rec.epoch_ends[0]]
    return len(inside) >= 2 or len(set(calls)) >= 0.7 * max(len(f.steps), 1) and len(calls) > 2


def _simulate(scheduler: Any, turns: int) -> list:
    """The learning rates that a schedule gives from its beginning on."""
    try:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0, momentum=0.9)
        real = scheduler.optimizer
        group = dict(real.param_groups[0])
        group["params"] = optimizer.param_groups[0]["params"]
        base = list(getattr(scheduler, "base_lrs", [])) or [group.get("initial_lr", group["lr"])]
        group["lr"] = group.get("initial_lr", base[0])
        optimizer.param_groups[0].update({k: v for k, v in group.items() if k != "params"})
        for k in ("betas", "momentum"):
            if k in group:
                optimizer.param_groups[0][k] = group[k]
        twin = _twin(scheduler, optimizer)
        if twin is None:
            return []
        lrs = [optimizer.param_groups[0]["lr"]]
        for _ in range(turns - 1):
            optimizer._opt_called = True
            try:
                twin.step()
            except ValueError:          # OneCycleLR beyond its steps
                lrs.append(0.0)
                continue
            lrs.append(optimizer.param_groups[0]["lr"])
        return [float(x) for x in lrs]
    except Exception:
        return []


def _twin(scheduler: Any, optimizer: Any) -> Any:
    """A scheduler of the same arguments at its beginning."""
    import warnings
    cls, lr = type(scheduler), torch.optim.lr_scheduler
    if cls is lr.ReduceLROnPlateau or cls in (lr.SequentialLR, lr.ChainedScheduler):
        return None
    twin = copy.copy(scheduler)
    twin.optimizer = optimizer
    twin.base_lrs = list(scheduler.base_lrs)[:1]
    for name in ("lr_lambdas", "max_lrs"):
        if isinstance(getattr(twin, name, None), list):
            setattr(twin, name, getattr(twin, name)[:1])
    twin.last_epoch = -1
    twin._step_count = 0
    if cls is lr.OneCycleLR:
        twin.cycle_momentum = False
    warnings.simplefilter("ignore")
    twin.step()
    return twin


def learning_rate(f: Facts) -> None:
    """A learning rate far too large or small for its optimizer."""
    for o in f.optimizers:
        lrs = [x for row in o.lrs for x in row if isinstance(x, (int, float))] or [x for x in o.lr if isinstance(x, (int, float))]
        if not lrs:
            continue
        top = max(lrs + [x for x in o.lr if isinstance(x, (int, float))])
        for s in f.rec.schedulers.values():
            sch = s.ref()
            if sch is not None and getattr(sch, "optimizer", None) is o.ref():
                top = max([top] + _simulate(sch, min(f.total_steps or 1, 2000)))
        moved = sorted(o.movement)[len(o.movement) // 2] if o.movement else math.nan
        total = max(f.total_steps, len(f.steps))
        adaptive = o.name in _ADAPTIVE
        momentum = o.defaults.get("momentum", 0.0) or 0.0
        lines = [o.line]
        if adaptive and top >= 0.1 or o.name == "SGD" and top / (1 - min(momentum, 0.99)) >= 30:
            f.add("lr-out-of-range", "error", lines, f"{o.name} with lr {top:g} changes the weights by "
                  f"{100 * moved:.2g} % of their size in a step")
        elif adaptive and top * total < 2e-3 or o.name == "SGD" and not math.isnan(moved) and not f.has(
                "gradient-clipped-to-nothing", "zero-grad-misplaced") and o.movement and \
                max(o.movement) * total / (1 - min(momentum, 0.99)) < 2e-3 and any(
                s.grad_norm > 1e-3 for s in f.steps[:20]):
            f.add("lr-out-of-range", "error", lines, f"{o.name} with lr {top:g} changes the weights by {100 * moved:.2g} % of "
                  f"their size in a step; {total} steps are asked for")


def clipping(f: Facts) -> None:
    """Clipping that leaves steps which change nothing."""
    if not f.rec.clips or not f.optimizers:
        return
    line, kind, limit, norm, _ = f.rec.clips[0]
    norms = [c[3] for c in f.rec.clips if c[1] == "norm" and math.isfinite(c[3])]
    for o in f.optimizers:
        if not o.movement:
            continue
        momentum = o.defaults.get("momentum", 0.0) or 0.0
        moved = max(o.movement) * max(f.total_steps, len(f.steps)) / (1 - min(momentum, 0.99))
        if kind == "norm" and norms and sorted(norms)[len(norms) // 2] > 20 * limit and moved < 0.1 or \
                kind == "value" and limit < 1e-4 and moved < 0.1:
            f.add("gradient-clipped-to-nothing", "error", [line],
                  f"clipping at {limit:g}" + (f" of gradients with norm {sorted(norms)[len(norms) // 2]:.3g}" if norms else "")
                  + f" leaves steps of {100 * max(o.movement):.2g} % of the weights' size")
            return


def dead_layers(f: Facts) -> None:
    """A ReLU that no sample passes."""
    for calls in f.rec.relus.values():
        share = min(c[1] for c in calls)
        if share < 0.95 or len(calls) < 3:
            continue
        n, _, units = calls[0]
        lines = f.lines_of(n)
        front = through(n.inputs[0]) if n.inputs else None
        if front is not None:
            lines += f.lines_of(front)
            for i in front.inputs:
                if i.is_param() and i.param() is not None and id(i.param()) in f.rec.inits:
                    lines.append(f.rec.inits[id(i.param())])
        f.add("dead-relu-layer", "error", lines, f"of {units} units {100 * share:.0f} % are 0 for every sample of a batch")


def explosion(f: Facts) -> None:
    """Loss inf or nan, or gradients that grow without bound."""
    values = [s.loss_value for s in f.steps]
    if not values:
        return
    bad = next((i for i, v in enumerate(values) if not math.isfinite(v)), None)
    norms = [s.grad_norm for s in f.steps if not math.isnan(s.grad_norm)]
    inputs = [c.inputs[0] for c in f.train_calls[:50] if c.inputs and c.inputs[0].is_floating_point()]
    if any(not bool(torch.isfinite(x).all()) for x in inputs):
        root = f.train_calls[0]
        f.add("non-finite-input", "error", [root.line], "the inputs hold NaN or infinity")
        return
    size = [o for o in f.optimizers]
    huge = max(norms) if norms else 0.0
    grown = bad is not None and bad > 0 and len(norms) > 1
    if huge > 1e4 * max(1.0, abs(values[0])) ** 0.5 and not f.has("unscaled-target") or grown and huge > 1e3 or huge > 1e8 \
            and not f.has("unscaled-target"):
        lines = []
        for n in f.path:
            if n.op.startswith(("rnn_", "lstm", "gru")) and n.index == 0:
                lines += f.lines_of(n)
                for i in n.inputs:
                    if i.is_param() and i.param() is not None and id(i.param()) in f.rec.inits:
                        lines.append(f.rec.inits[id(i.param())])
        lines += f.steps[0].backward + [o.line for o in size]
        f.add("exploding-gradient", "error", lines, f"the gradient's norm reaches {huge:.3g}"
              + (f", and the loss is {values[bad]} in step {bad + 1}" if bad is not None else ""))
    elif bad is not None:
        f.add("loss-not-finite", "error", f.steps[bad].backward, f"the loss is {values[bad]} in step {bad + 1}")


def nothing(f: Facts) -> None:
    """No parameter gets a gradient, whatever the loss is."""
    norms = [s.grad_norm for s in f.steps if not math.isnan(s.grad_norm)]
    if len(norms) >= 3 and not any(norms):
        cause = next((c.id for c in f.findings if c.severity == "error"), "")
        f.add("zero-gradient", "note" if cause else "error", [*f.steps[0].backward, f.optimizers[0].line if f.optimizers else None],
              f"after each of {len(norms)} backward() every gradient was exactly 0" + (f", which follows from {cause}" if cause else ""))


def vanishing(f: Facts) -> None:
    """Early steps get no gradient, and the loss stays high."""
    probe = getattr(f, "time_probe", None)
    constant = f.constant_loss()
    if not probe or math.isnan(constant) or f.findings:
        return
    early, late, steps, node = probe
    recent = [s.loss_value for s in f.steps[-12:]]
    mean = sum(recent) / len(recent)
    if steps >= 30 and early < 1e-6 * late and mean > 0.97 * constant:
        f.add("vanishing-gradient", "warning", f.lines_of(node) + [x for x in getattr(f, "reads", [])],
              f"the gradient of the first steps is {early / max(late, 1e-300):.2g} of the last one's over {steps} steps, and "
              f"after {len(f.steps)} steps the loss is {mean:.4g}, where a constant answer has {constant:.4g}")


CHECKS = [schedules, clipping, learning_rate, dead_layers, explosion, vanishing, nothing]
