# SPDX-License-Identifier: MIT
"""What a finding costs and what helps, in a script's words, and the report."""
from __future__ import annotations

import sys
import textwrap
from typing import Any

# id: (costs, remedy)
TEXTS = {
    "zero-grad-missing": ("each step follows the sum of all gradients so far", "call optimizer.zero_grad() before backward()"),
    "zero-grad-misplaced": ("every step is taken with gradient 0: nothing is learnt",
                            "call zero_grad() before backward(), or after step()"),
    "optimizer-misses-parameters": ("these parameters stay what they were drawn",
                                    "hand model.parameters() to the optimizer; keep layers in nn.ModuleList"),
    "optimizer-before-parameters-changed": ("the new parameters are never trained",
                                            "make the optimizer after the last change of the model"),
    "frozen-parameters": ("a part of the model keeps random weights",
                          "load weights before freezing, or leave requires_grad True"),
    "two-optimizers-fight": ("each undoes or doubles what the other does", "one optimizer for each parameter"),
    "training-in-eval-mode": ("dropout is off and batchnorm does not learn its statistics",
                              "call model.train() at the start of each epoch"),
    "validating-in-train-mode": ("dropout and batch statistics falsify what is measured",
                                 "call model.eval() before validating, model.train() after it"),
    "no-grad-around-training": ("this part never gets a gradient", "keep no_grad for validation"),
    "loss-detached": ("what lies before the cut never learns from this loss", "keep the tensor: no item(), detach(), numpy(), "
                      "argmax() before backward()"),
    "non-differentiable-op": ("nothing below it ever learns, whatever the optimizer",
                              "take it out of the loss's path; round predictions after the loss"),
    "loss-on-wrong-tensor": ("the model learns something else", "hand the target to the loss"),
    "hidden-not-detached": ("backward() runs through all earlier batches, or stops with an exception",
                            "h = h.detach() (each of a tuple) before the next batch"),
    "hidden-carried-across-shuffled-batches": ("sequences start from the state of others",
                                               "start each batch from zeros, or keep sample n of a batch going on in the next"),
    "retain-graph-growth": ("memory and time grow from step to step", "keep loss.item(), not the loss; no retain_graph"),
    "target-shape-broadcast": ("the model learns the mean of the targets", "squeeze or unsqueeze one of the two: same shapes"),
    "batch-axis-mixup": ("samples of a batch are read as time steps", "batch_first=True, or x.transpose(0, 1)"),
    "view-instead-of-permute": ("the layer reads scrambled data", "x.permute(...) or x.transpose(...)"),
    "input-size-mismatch": ("the script stops", "make the layer for the features that the data have"),
    "wrong-output-step": ("what is read is not the end of the sequence",
                          "pack_padded_sequence and h_n, or out[arange, lengths - 1]; both directions: h_n"),
    "padding-in-loss": ("the model is paid for answers to padding", "give padding the label -100 (ignore_index), or mask it"),
    "softmax-before-cross-entropy": ("the loss cannot fall to 0; learning is slow or stops",
                                     "hand the logits to the loss; softmax for probabilities only"),
    "sigmoid-before-bce-with-logits": ("the loss cannot fall to 0; learning is slow or stops",
                                       "hand the logits to the loss, or use BCELoss"),
    "activation-loss-mismatch": ("the loss cannot fall to 0, or its gradient is lost", "the activation that goes with the loss"),
    "softmax-wrong-dim": ("other things compete than the classes or steps", "dim=-1 for classes, or the axis of steps"),
    "softmax-of-one": ("the output is constant: nothing is learnt", "a sigmoid, or two outputs; for attention the axis of steps"),
    "float-label-cross-entropy": ("the script stops", "labels.long()"),
    "labels-shuffled-apart": ("there is nothing to learn: samples and labels do not belong together",
                              "one permutation for both"),
    "same-batch-every-time": ("the other samples are never seen", "for batch in loader: ..."),
    "data-leak-train-valid": ("validation measures what was learnt by heart", "split before making windows; keep the sets apart"),
    "majority-class-only": ("accuracy looks good while the rare class is never answered",
                            "weights in the loss (weight, pos_weight), and judge by recall of each class"),
    "unscaled-input": ("units sit at their ends, and gradients are as large as the inputs",
                       "(x - mean) / std by the training set"),
    "unscaled-target": ("the loss is huge, and the output has far to go", "(y - mean) / std by the training set"),
    "scheduler-per-batch": ("training stops early; all further epochs are wasted", "scheduler.step() once an epoch"),
    "scheduler-without-steps": ("the later epochs change nothing", "a gentler gamma, or a schedule as long as training"),
    "lr-out-of-range": ("steps throw away what weights held, or none of them moves", "the optimizer's usual lr, 1e-3 for Adam"),
    "gradient-clipped-to-nothing": ("the weights stay where they were drawn", "clip at about 1"),
    "dropout-too-high": ("too little gets through to learn from", "p of 0.5 or less"),
    "dead-relu-layer": ("nothing gets through the layer, and no gradient back", "another initialisation, or leaky_relu"),
    "vanishing-gradient": ("what the early steps say is not learnt", "nn.LSTM or nn.GRU, shorter sequences, or a mean over steps"),
    "exploding-gradient": ("single steps throw the weights far away", "clip_grad_norm_(model.parameters(), 1.0), a smaller lr"),
    "loss-not-finite": ("from there on every weight is NaN", "a smaller lr; look for log(0) and 0 / 0"),
    "weights-reinitialised-each-epoch": ("each epoch starts from nothing", "make model and optimizer before the loop"),
    "single-time-step": ("the layer never recurs; its weight_hh gets gradient 0", "put time steps into x, or use nn.Linear"),
    "accuracy-computed-wrong": ("the printed figure says nothing about the model", "count valid samples only, once each"),
    "token-range": ("the script stops", "num_embeddings of the vocabulary's size"),
    "label-range": ("the script stops", "labels from 0 to the outputs - 1, of shape (N)"),
    "non-finite-input": ("loss, gradients and weights turn NaN", "repair these samples"),
}


def finding(source: Any, f: Any) -> dict:
    """A finding as the report shows it."""
    costs, remedy = TEXTS.get(f.id, ("", ""))
    return {"id": f.id, "severity": f.severity, "where": ", ".join(source.shown(*line) for line in f.lines), "evidence": f.evidence,
            "costs": f.costs or costs, "remedy": f.remedy or remedy}


def show(result: Any, options: Any) -> None:
    """The report for people."""
    colour = sys.stdout.isatty()
    paint = {"error": "\033[1;31m", "warning": "\033[1;33m", "note": "\033[1;36m"}
    for d in result.findings:
        print(f"{paint[d['severity']] if colour else ''}{d['severity']}{chr(27) + '[0m' if colour else ''} {d['id']}")
        for key in ("where", "evidence", "costs", "remedy"):
            if d[key]:
                print(textwrap.fill(f"{d[key]}", 100, initial_indent=f"  {key:<10}", subsequent_indent=" " * 12))
        print()
    if result.exception:
        e = result.exception
        print(f"The script stopped with {e['type']}" + (f" at {e['where']}" if e["where"] else "") + ".")
    elif not result.steps:
        print("No training step was seen: no backward() was called.")
    elif not result.findings:
        print(f"Nothing found in {result.steps} training steps.")
    else:
        print(f"{len(result.findings)} found in {result.steps} training steps.")
    if options.to_config is not None:
        print(f"{options.to_config} holds the config." if result.converted else f"Not converted: {result.not_converted}")
