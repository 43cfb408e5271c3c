#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Records schedules.json: what torch.optim.lr_scheduler (PyTorch 1.13) makes of every scheduler that a config
can name. Run it where torch is installed; the test only reads its output.

    python3 schedules.py > schedules.json

A case holds the `train` section as a config spells it, the batches of an epoch, and (step, lr, momentum)
after so many calls of step(); momentum is beta1 for Adam. `raises_at` is the call that PyTorch refuses.
"""
import json
import math
import warnings

import torch
from torch.optim import lr_scheduler as schedulers

warnings.simplefilter("ignore")
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
              "rmsprop": torch.optim.RMSprop}
SCHEDULERS = {"step_lr": schedulers.StepLR, "multistep_lr": schedulers.MultiStepLR,
              "exponential_lr": schedulers.ExponentialLR, "cosine_annealing_lr": schedulers.CosineAnnealingLR,
              "linear_lr": schedulers.LinearLR, "one_cycle_lr": schedulers.OneCycleLR,
              "reduce_lr_on_plateau": schedulers.ReduceLROnPlateau}


def run(name, optimizer, scheduler, steps, every=1, metrics=None, batches=0, run_epochs=10, ours=None):
    (opt_word, opt_args), = optimizer.items()
    (word, args), = scheduler.items()
    weight = torch.nn.Parameter(torch.zeros(1))
    opt = OPTIMIZERS[opt_word]([weight], **opt_args)
    sched = SCHEDULERS[word](opt, **args)
    group = opt.param_groups[0]

    def row(step):
        momentum = group["betas"][0] if "betas" in group else group["momentum"]
        return [step, float(group["lr"]), float(momentum)]

    rows, raises_at = [row(0)], 0
    for step in range(1, steps + 1):
        try:
            if word == "reduce_lr_on_plateau":
                sched.step(metrics[step - 1])
            else:
                sched.step()
        except ValueError:
            raises_at = step
            break
        if step % every == 0 or step == steps:
            rows.append(row(step))
    train = {"optimizer": optimizer, "scheduler": {word: args if ours is None else ours}, "epochs": run_epochs}
    return {"name": name, "train": train, "batches": batches, "metrics": metrics or [], "raises_at": raises_at,
            "rows": rows}


sgd = {"sgd": {"lr": 0.1, "momentum": 0.9}}
adam = {"adam": {"lr": 1e-4}}
noisy = [1.0, 0.9, 0.95, 0.94, 0.8999, 0.91, 0.7, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76, 0.6, 0.61, 0.62, 0.6, 0.6,
         0.59999, 0.6, 0.6, 0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57, 0.58, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
rising = [1.0 - m for m in noisy]


def plateau(name, **args):
    return run("plateau " + name, {"sgd": {"lr": 0.1}}, {"reduce_lr_on_plateau": args}, len(noisy),
               metrics=rising if args.get("mode") == "max" else noisy)


def one_cycle(name, optimizer, steps, ours=None, batches=0, run_epochs=10, **args):
    return run("one cycle " + name, optimizer, {"one_cycle_lr": args}, steps, ours=ours, batches=batches,
               run_epochs=run_epochs)


cases = [
    run("the seed: per batch, 25 epochs of 353", adam, {"step_lr": {"step_size": 30, "gamma": 0.1}}, 8825, 353),
    run("step by step", sgd, {"step_lr": {"step_size": 3, "gamma": 0.7}}, 20),
    run("step of one", sgd, {"step_lr": {"step_size": 1}}, 12),
    run("multistep", sgd, {"multistep_lr": {"milestones": [2, 5, 11], "gamma": 0.3}}, 14),
    run("multistep, doubled, unsorted, from 0", sgd, {"multistep_lr": {"milestones": [7, 3, 3, 0]}}, 9),
    run("exponential", adam, {"exponential_lr": {"gamma": 0.93}}, 60),
    run("cosine beyond T_max", sgd, {"cosine_annealing_lr": {"T_max": 7, "eta_min": 0.01}}, 45),
    run("cosine to zero", adam, {"cosine_annealing_lr": {"T_max": 10}}, 35),
    run("cosine, T_max 1", sgd, {"cosine_annealing_lr": {"T_max": 1, "eta_min": 0.001}}, 7),
    run("cosine, T_max 2", sgd, {"cosine_annealing_lr": {"T_max": 2}}, 9),
    run("cosine, long", sgd, {"cosine_annealing_lr": {"T_max": 500, "eta_min": 1e-5}}, 1300, 37),
    run("linear, defaults", adam, {"linear_lr": {}}, 8),
    run("linear, falling", sgd, {"linear_lr": {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 6}}, 9),
    run("linear to zero", sgd, {"linear_lr": {"start_factor": 0.5, "end_factor": 0.0, "total_iters": 4}}, 7),
    run("linear, no steps", sgd, {"linear_lr": {"start_factor": 0.25, "total_iters": 0}}, 4),
    one_cycle("on sgd", sgd, 22, max_lr=0.05, total_steps=20),
    one_cycle("on adam", adam, 22, max_lr=0.01, total_steps=20),
    one_cycle("on adamw, beta2 kept", {"adamw": {"lr": 1e-3, "betas": [0.5, 0.6]}}, 12, max_lr=0.01,
              total_steps=11),
    one_cycle("on rmsprop", {"rmsprop": {"lr": 0.01}}, 12, max_lr=0.01, total_steps=11),
    one_cycle("momentum alone", sgd, 22, max_lr=0.05, total_steps=20, cycle_momentum=False),
    one_cycle("three phases", sgd, 32, max_lr=0.05, total_steps=30, three_phase=True),
    one_cycle("three phases, linear", adam, 32, max_lr=0.05, total_steps=30, three_phase=True,
              anneal_strategy="linear", pct_start=0.4),
    one_cycle("linear, all arguments", sgd, 40, max_lr=0.3, total_steps=37, pct_start=0.45,
              anneal_strategy="linear", base_momentum=0.7, max_momentum=0.92, div_factor=10.0,
              final_div_factor=100.0),
    one_cycle("epochs times batches", sgd, 21, max_lr=0.05, epochs=4, steps_per_epoch=5),
    one_cycle("as long as the run, per batch", sgd, 21, max_lr=0.05, total_steps=20,
              ours={"max_lr": 0.05, "interval": "batch"}, batches=5, run_epochs=4),
    one_cycle("as long as the run, per epoch", sgd, 10, max_lr=0.05, total_steps=9, ours={"max_lr": 0.05},
              batches=5, run_epochs=9),
    plateau("defaults"),
    plateau("patience 1", factor=0.5, patience=1),
    plateau("no patience, cooldown", factor=0.3, patience=0, cooldown=3),
    plateau("absolute", factor=0.2, patience=1, threshold=0.05, threshold_mode="abs"),
    plateau("maximum", mode="max", factor=0.5, patience=2, threshold=0.01),
    plateau("maximum, absolute", mode="max", factor=0.5, patience=2, threshold=0.03, threshold_mode="abs"),
    plateau("floor", factor=0.1, patience=0, min_lr=0.0004),
    plateau("drops too small", factor=0.1, patience=0, eps=1e-4),
]
assert all(math.isfinite(v) for c in cases for r in c["rows"] for v in r)
print("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]")
