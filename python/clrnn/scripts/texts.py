# SPDX-License-Identifier: MIT
"""What a finding costs and what helps, in a script's words, and the report."""
from __future__ import annotations

import re
import shutil
import sys
import textwrap
from typing import Any

from .._library import findings

# id: (costs, remedy), where the table of findings, train/findings.def, speaks of a config
TEXTS = {
    "non-differentiable-op": ("nothing below it ever learns, whatever the optimizer",
                              "take it out of the loss's path; round predictions after the loss"),
    "softmax-before-cross-entropy": ("the loss cannot fall to 0; learning is slow or stops",
                                     "hand the logits to the loss; softmax for probabilities only"),
    "activation-loss-mismatch": ("the loss cannot fall to 0, or its gradient is lost",
                                 "the activation that goes with the loss"),
    "majority-class-only": ("accuracy looks good while the rare class is never answered",
                            "weights in the loss (weight, pos_weight), and judge by recall of each class"),
    "unscaled-input": ("units sit at their ends, and gradients are as large as the inputs",
                       "(x - mean) / std by the training set"),
    "unscaled-target": ("the loss is huge, and the output has far to go", "(y - mean) / std by the training set"),
    "scheduler-per-batch": ("training stops early; all further epochs are wasted", "scheduler.step() once an epoch"),
    "lr-out-of-range": ("steps throw away what weights held, or none of them moves",
                        "the optimizer's usual lr, 1e-3 for Adam"),
    "dropout-too-high": ("too little gets through to learn from", "p of 0.5 or less"),
    "vanishing-gradient": ("what the early steps say is not learnt",
                           "nn.LSTM or nn.GRU, shorter sequences, or a mean over steps"),
    "exploding-gradient": ("single steps throw the weights far away",
                           "clip_grad_norm_(model.parameters(), 1.0), a smaller lr"),
    "loss-not-finite": ("from there on every weight is NaN", "a smaller lr; look for log(0) and 0 / 0"),
    "single-time-step": ("the layer never recurs; its weight_hh gets gradient 0",
                         "put time steps into x, or use nn.Linear"),
    "token-range": ("the script stops", "num_embeddings of the vocabulary's size"),
    "label-range": ("the script stops", "labels from 0 to the outputs - 1, of shape (N)"),
    "non-finite-input": ("loss, gradients and weights turn NaN", "repair these samples"),
}


def finding(source: Any, f: Any) -> dict:
    """A finding as the report shows it."""
    costs, remedy = TEXTS.get(f.id) or findings()[f.id][2:4]
    costs = f.costs or costs
    return {"id": f.id, "severity": f.severity, "where": ", ".join(source.shown(*line) for line in f.lines),
            "evidence": f.evidence, "cost": costs, "costs": costs, "remedy": f.remedy or remedy}


def shown(text: str) -> str:
    """The text with control characters, line separators, changes of direction and bytes that are no UTF-8 as \\xNN:
    names come from outside, and a terminal obeys what they hold."""
    def escape(c: re.Match) -> str:
        return "".join(f"\\x{byte:02x}" for byte in c.group().encode(errors="surrogateescape"))
    return re.sub("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\udc80-\\udcff]",
                  escape, text)


def show(result: Any, options: Any) -> None:
    """The report for people."""
    colour = sys.stdout.isatty()
    width = shutil.get_terminal_size((80, 24)).columns if colour else 80
    paint = {"error": "\033[1;31m", "warning": "\033[1;33m", "note": "\033[1;36m"}
    for d in result.findings:
        print(f"{paint[d['severity']] if colour else ''}{d['severity']}{chr(27) + '[0m' if colour else ''} {d['id']}")
        for key in ("where", "evidence", "costs", "remedy"):
            if d[key]:
                print(textwrap.fill(shown(d[key]), width, initial_indent=f"  {key:<10}", subsequent_indent=" " * 12,
                                    break_long_words=False, break_on_hyphens=False))
        print()
    if result.exception:
        e = result.exception
        print(f"The script stopped with {e['type']}" + (f" at {shown(e['where'])}" if e["where"] else "") + ".")
    elif not result.steps:
        print("No training step was seen: no backward() was called.")
    elif not result.findings:
        print(f"Nothing found in {result.steps} training steps.")
    else:
        print(f"{len(result.findings)} found in {result.steps} training steps.")
    if options.to_config is not None:
        print(shown(f"{options.to_config} holds the config." if result.converted
                    else f"Not converted: {result.not_converted}"))
