# SPDX-License-Identifier: MIT
"""A recorded script as a config: layers from the first step's calls, data from the first epoch's batches."""
from __future__ import annotations

import json
import os
import re
import struct
import tempfile
from typing import Any

import numpy as np
import torch
from torch import nn

from .chain import Chain, Refused, nodes_of
from .facts import Facts, through

_LOSSES = {"cross_entropy": "cross_entropy", "nll_loss": "nll", "binary_cross_entropy_with_logits": "bce_with_logits",
           "mse_loss": "mse", "l1_loss": "l1", "smooth_l1_loss": "smooth_l1", "huber_loss": "huber"}
_FILES = ("X.npy", "y.npy", "lengths.npy", "init.safetensors", "config.yaml")
_MARK = "# {} as a config"              # the first line of a config that a conversion wrote


# ---------------------------------------------------------------- data

def _batches(f: Facts) -> list:
    """(inputs of the root call, target, loss call) of the first epoch's steps."""
    out = []
    for step, loss in f.loss_ops:
        if step.epoch > 1:
            break
        roots = [c for c in step.root if c.grad and c.inputs]
        if len(roots) != 1 or loss.target is None:
            if roots:
                raise Refused("several forward passes in a training step")
            raise Refused("the loss is computed without a module")
        out.append((roots[0], loss))
    if f.single and len(out) > 1 and all(torch.equal(out[0][0].inputs[0], r.inputs[0]) if r.inputs[0].shape ==
                                         out[0][0].inputs[0].shape else False for r, _ in out):
        out = out[:1]
    return out


def _target_of_steps(y: Any, model: Chain, shape: tuple, n: int) -> Any:
    """Reshapes per-step targets to (N, T) or (N, T, O). shape: the prediction's; n: number of samples."""
    flat = model.time_axis is None
    steps = shape[0] // n if flat else shape[model.time_axis]
    if model.time_axis == 2 and y.dim() == 3:
        y = y.transpose(1, 2)
    rest = y.shape[1 if flat else 2:]
    y = y.reshape(steps, n, *rest).transpose(0, 1) if model.out_order == "TN" else y.reshape(n, steps, *rest)
    return y[..., 0] if y.dim() == 3 and y.shape[2] == 1 else y


def _arrays(f: Facts, model: Chain, batches: list) -> dict:
    """X, y and lengths of the config."""
    xs, ys, lengths = [], [], []
    for root, loss in batches:
        x = root.inputs[0]
        axes = list(model.input_axes or [])
        axes += ["C"] * (x.dim() - len(axes))
        order = [axes.index(a) for a in ("N", "T", "C") if a in axes]
        x = x.permute(order)
        if "T" not in axes:
            x = x.unsqueeze(1)
        if "C" not in axes and not model.tokens:
            x = x.unsqueeze(2)
        xs.append(x)
        n, y = len(x), loss.target
        if model.per_step:
            y = _target_of_steps(y, model, loss.given.shape, n)
        elif y.dim() == 2 and y.shape[1] == 1:
            y = y[:, 0]
        ys.append(y)
        if model.lengths is not None:
            found = [i for i in root.inputs[1:] if i.dim() == 1 and len(i) == n and not i.is_floating_point()]
            if not found:
                raise Refused("the lengths of packed sequences are no input of the model")
            lengths.append(found[0])
    most = max(x.shape[1] for x in xs)
    if len({x.shape[1] for x in xs}) > 1:
        if model.lengths is None:
            raise Refused("batches are padded to their own longest sequence, without lengths")
        xs = [torch.cat([x, x.new_zeros(x.shape[0], most - x.shape[1], *x.shape[2:])], 1) for x in xs]
    sizes = [len(x) for x in xs]
    if len(set(sizes[:-1])) > 1 or sizes[-1] > sizes[0]:
        raise Refused("batches of different sizes")
    out = {"X": torch.cat(xs), "y": torch.cat(ys), "batch_size": sizes[0]}
    out["X"] = out["X"].to(torch.int64 if model.tokens else torch.float32)
    out["y"] = out["y"].to(torch.float32 if out["y"].is_floating_point() else torch.int64)
    if lengths:
        out["lengths"] = torch.cat(lengths).to(torch.int64)
    return out


# ---------------------------------------------------------------- the config

def _scalar(v: Any) -> str:
    if v is None:
        return "null"
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, float):
        return repr(v) if "e" not in repr(v) or "." in repr(v) else repr(v).replace("e", ".0e")
    if isinstance(v, (list, tuple)):
        return "[" + ", ".join(_scalar(x) for x in v) + "]"
    return str(v)


def _map(d: dict) -> str:
    return "{" + ", ".join(f"{k}: {_scalar(v)}" for k, v in d.items()) + "}"


def _loss(f: Facts, call: Any) -> str:
    op, kw, note = call.node.op, call.node.kwargs, call.node.note or {}
    if op not in _LOSSES:
        raise Refused(f"{f.source.shown(*call.node.line)}: {op} is not in the grammar")
    if kw.get("reduction", "mean") != "mean":
        raise Refused(f"{f.source.shown(*call.node.line)}: reduction {kw.get('reduction')}")
    arguments: dict = {}
    if op in ("cross_entropy", "nll_loss"):
        if note.get("weight") is not None:
            arguments["weight"] = [float(x) for x in note["weight"]]
        if kw.get("label_smoothing"):
            arguments["label_smoothing"] = kw["label_smoothing"]
        if kw.get("ignore_index", -100) != -100:
            arguments["ignore_index"] = kw["ignore_index"]
    elif op == "binary_cross_entropy_with_logits":
        labels = call.given.shape[-1] if len(call.given.shape) > 1 else 1
        for key in ("weight", "pos_weight"):
            given = note.get(key)
            if given is None:
                continue
            if given.numel() not in (1, labels) or given.dim() and given.shape[-1] != given.numel():
                raise Refused(f"{f.source.shown(*call.node.line)}: {key} of {op} is not one for each label")
            arguments[key] = [float(x) for x in given.reshape(-1).expand(labels)]
    elif op == "huber_loss":
        arguments["delta"] = float(kw.get("delta", 1.0))
    elif op == "smooth_l1_loss":
        arguments["beta"] = float(kw.get("beta", 1.0))
    return _LOSSES[op] if not arguments else "{" + f"{_LOSSES[op]}: {_map(arguments)}" + "}"


def _optimizer(f: Facts) -> str:
    trained = [o for o in f.optimizers if o.ref() is not None] or f.optimizers
    if not trained:
        return "adam"
    if len(trained) > 1 and not all(o.cls is trained[0].cls for o in trained):
        raise Refused(f"{f.source.shown(*trained[1].line)}: a second optimizer")
    groups = []
    for o in trained:
        live = o.ref()
        groups += o.settings + ([] if live is None else live.param_groups[len(o.settings):])
    try:
        return optimizer_line(trained[0].name, groups)
    except Refused as e:
        raise Refused(f"{f.source.shown(*trained[0].line)}: {e}") from None


def optimizer_line(name: str, groups: list) -> str:
    """train.optimizer of an optimizer's parameter groups. Raises Refused where the grammar does not have it."""
    words = {"SGD": ("momentum", "dampening", "weight_decay", "nesterov"), "Adam": ("betas", "eps", "weight_decay", "amsgrad"),
             "AdamW": ("betas", "eps", "weight_decay", "amsgrad"),
             "RMSprop": ("alpha", "eps", "weight_decay", "momentum", "centered")}
    if name not in words:
        raise Refused(f"the optimizer {name} is not in the grammar")
    first = groups[0]
    for key in ("lr", *words[name], "maximize", "decoupled_weight_decay"):
        if any(g.get(key) != first.get(key) for g in groups):
            raise Refused(f"the optimizer's parameter groups differ in {key}, of which the config has one")
    if first.get("maximize"):
        raise Refused(f"{name} with maximize is not in the grammar")
    arguments = {"lr": float(first["lr"]), **{k: first[k] for k in words[name] if k in first}}
    kind = "adamw" if first.get("decoupled_weight_decay") else name.lower()
    return "{" + f"{kind}: {_map(arguments)}" + "}"


def _scheduler(f: Facts) -> tuple:
    """The scheduler's line, and a comment where there is one that the grammar lacks."""
    from .check_train import _per_batch
    words = {"StepLR": ("step_lr", ("step_size", "gamma")), "MultiStepLR": ("multistep_lr", ("milestones", "gamma")),
             "ExponentialLR": ("exponential_lr", ("gamma",)), "CosineAnnealingLR": ("cosine_annealing_lr", ("T_max", "eta_min")),
             "LinearLR": ("linear_lr", ("start_factor", "end_factor", "total_iters")),
             "ReduceLROnPlateau": ("reduce_lr_on_plateau", ("mode", "factor", "patience", "threshold", "threshold_mode",
                                                            "cooldown", "min_lr", "eps"))}
    for s in f.rec.schedulers.values():
        live = s.ref()
        if live is None:
            continue
        per_batch = _per_batch(f, s)
        if s.name == "ReduceLROnPlateau" and not per_batch:     # by epochs the config's follows validation data
            return None, f"# {f.source.shown(*s.line)}: {s.name} needs data.valid or data.valid_fraction here\n"
        interval = "batch" if per_batch else "epoch"
        if s.name == "OneCycleLR":
            arguments = _one_cycle(live)
            if arguments:
                return "{" + f"one_cycle_lr: {_map({**arguments, 'interval': interval})}" + "}", ""
        if s.name not in words:
            return None, f"# {f.source.shown(*s.line)}: {s.name} has no counterpart here\n"
        name, keys = words[s.name]
        arguments = {}
        for k in keys:
            v = live.min_lrs[0] if k == "min_lr" else getattr(live, k, None)
            if k == "milestones" and v is not None:
                v = sorted(v.elements())
            if v is not None:
                arguments[k] = v
        arguments["interval"] = interval
        return "{" + f"{name}: {_map(arguments)}" + "}", ""
    return None, ""


def _one_cycle(live: Any) -> dict:
    """The arguments of a OneCycleLR, computed from the values it stores; {} if the config cannot express them."""
    groups, phases = live.optimizer.param_groups, live._schedule_phases
    first = groups[0]
    keys = ("max_lr", "initial_lr", "min_lr", *(("base_momentum", "max_momentum") if live.cycle_momentum else ()))
    if len(phases) != 2 or any(g[k] != first[k] for g in groups for k in keys):
        return {}
    return {"max_lr": first["max_lr"], "total_steps": live.total_steps,
            "pct_start": (phases[0]["end_step"] + 1) / live.total_steps,
            "anneal_strategy": getattr(live, "_anneal_func_type", "cos"), "cycle_momentum": live.cycle_momentum,
            **({"base_momentum": first["base_momentum"], "max_momentum": first["max_momentum"]}
               if live.cycle_momentum else {}),
            "div_factor": first["max_lr"] / first["initial_lr"], "final_div_factor": first["initial_lr"] / first["min_lr"]}


def _trained_otherwise(f: Facts, module: nn.Module, model: Chain) -> str:
    """A comment on gradients that are added up and on weights that no optimizer changes: the config makes a step of
    each batch, and trains all weights. Refuses weights that two layers share."""
    waits = [s for s in f.steps[:-1] if not s.stepped] if f.optimizers else []
    comment = ""
    if waits:
        line = f.source.shown(*waits[0].backward[0])
        comment = f"# {line}: gradients of several backward() make one step, with this " \
                  "config those of one batch\n"
    trained = {id(p) for o in f.optimizers for p in o.alive()}
    trained |= {id(p) for o in f.optimizers if o.ref() is not None for g in o.ref().param_groups for p in g["params"]}
    names: dict = {}
    fixed = []
    for prefix in model.names:
        for key, p in module.get_submodule(prefix).named_parameters(recurse=False):
            name = f"{prefix}.{key}".lstrip(".")
            if names.setdefault(id(p), name) != name:
                raise Refused(f"{names[id(p)]} and {name} are one tensor, and the config would train two")
            if f.optimizers and not (p.requires_grad and id(p) in trained):
                fixed.append(name)
    if fixed:
        comment += f"# the script does not train {', '.join(fixed)}, the config trains all weights\n"
    return comment


def _clipping(f: Facts) -> tuple:
    """The value of clip_grad_norm or None, and a comment, maybe empty, on clipping that the config cannot express."""
    for line, kind, limit, *_ in f.rec.clips:
        if kind == "norm":
            return (limit if 0 < limit < float("inf") else None), ""
        return None, f"# {f.source.shown(*line)}: clipping by {kind} has no counterpart here\n"
    return None, ""


def safetensors(path: str, tensors: dict) -> None:
    """Writes a state dict as safetensors."""
    kinds = {np.dtype("float32"): "F32", np.dtype("int64"): "I64", np.dtype("float64"): "F64"}
    header, data, at = {}, [], 0
    for name, t in tensors.items():
        a = np.ascontiguousarray(t.detach().cpu().numpy())
        if t.dim() == 0:
            a = a.reshape(())
        raw = a.tobytes()
        header[name] = {"dtype": kinds[a.dtype], "shape": list(t.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def convert(f: Facts, folder: str, error: Any) -> str:
    """Writes the config, weights and data into `folder`; returns what does not fit, "" where all fits."""
    if error is not None:
        return f"the script stopped with {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    if not f.steps:
        return "no training step was seen"
    try:
        _write(f, folder)
        return ""
    except Refused as e:
        return str(e)
    except OSError as e:
        return f"{folder}: {e.strerror}"
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as e:
        if os.environ.get("CLRNN_DEBUG"):
            import traceback
            traceback.print_exc()
        return f"the forward pass is not a chain of layers ({e})"


def made_of(f: Facts) -> tuple:
    """The sections model and train as lines, the weights before the first step by the config's names, the data, and a
    comment on what has no counterpart. Raises Refused."""
    steps = f.steps[:1]
    losses = [c for s, c in f.loss_ops if s is steps[0]]
    if len(losses) != 1:
        raise Refused(f"{len(losses)} of torch's losses in a training step; the config has one")
    call = losses[0]
    if through(f.first.loss) is not call.node:
        n = f.first.loss
        raise Refused(f"{f.source.shown(*n.line) if n.line else 'the loss'}: {n.op.strip('_')}: the loss is more than "
                      f"{call.node.op}")
    batches = _batches(f)
    root = batches[0][0]
    if not root.training and any(isinstance(m, (nn.modules.batchnorm._BatchNorm, nn.Dropout)) for m in root.module.modules()):
        raise Refused(f"{f.source.shown(*root.line)}: training steps run in eval mode")
    model = Chain(f, root)
    model.axes = list(range(root.inputs[0].dim()))
    model.nodes = nodes_of(f, root, call.given)
    for n in model.nodes:
        model.step(n)
    _outputs(f, model, call)
    otherwise = _trained_otherwise(f, root.module, model)
    data = _arrays(f, model, batches)
    loss, optimizer, (scheduler, comment) = _loss(f, call), _optimizer(f), _scheduler(f)
    lines = ["model:", "  layers:"]
    lines += [f"    - {kind}: {_map(a)}" for kind, a in model.layers]
    lines += ["train:", f"  loss: {loss}", f"  optimizer: {optimizer}"]
    if scheduler:
        lines.append(f"  scheduler: {scheduler}")
    lines += [f"  epochs: {f.rec.epochs or 1}", f"  batch_size: {data['batch_size']}", "  shuffle: false"]
    limit, lacks = _clipping(f)
    if limit is not None:
        lines.append(f"  clip_grad_norm: {_scalar(limit)}")
    state = f.rec.first_state.get(id(root.module)) or {}
    wanted = {}
    for key, t in state.items():
        prefix, _, last = key.rpartition(".")
        if prefix in model.names:
            wanted[f"{model.names[prefix]}.{last}"] = t
    return lines, wanted, data, comment + lacks + otherwise


def _own(folder: str) -> bool:
    """Whether the folder has none of the files that a conversion writes, or has those of an earlier conversion."""
    if not any(os.path.lexists(os.path.join(folder, name)) for name in _FILES):
        return True
    try:
        with open(os.path.join(folder, "config.yaml"), encoding="utf-8", errors="replace") as text:
            return re.fullmatch(_MARK.format(".*"), text.readline().rstrip("\n")) is not None
    except FileNotFoundError:
        return False


def _write(f: Facts, folder: str) -> None:
    lines, wanted, data, comment = made_of(f)
    files = {"x": "X.npy", "y": "y.npy", **({"lengths": "lengths.npy"} if "lengths" in data else {})}
    lines += ["data:", f"  train: {_map(files)}"]
    text = _MARK.format(os.path.basename(f.source.path)) + "\n" + comment + "\n".join(lines) + "\n"
    accepted(text)
    if not _own(folder):
        there = [name for name in _FILES if os.path.lexists(os.path.join(folder, name))]
        raise Refused(f"{folder} has a {there[0]} that no conversion wrote: give another folder")
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".clrnn-", dir=folder) as made:
        safetensors(os.path.join(made, "init.safetensors"), wanted)
        for name in ("X", "y", "lengths"):
            if name in data:
                np.save(os.path.join(made, f"{name}.npy"), data[name].cpu().numpy())
        with open(os.path.join(made, "config.yaml"), "w", encoding="utf-8") as out:
            out.write(text)
        for name in _FILES:
            if os.path.exists(os.path.join(made, name)):
                os.replace(os.path.join(made, name), os.path.join(folder, name))


def _outputs(f: Facts, model: Chain, call: Any) -> None:
    """Whether the loss is one of samples or of steps, and whether predictions and targets have the same shape."""
    axes = [a for a in model.axes if a != "new"]
    op = call.node.op
    model.per_step, model.out_order = False, "NT"
    kinds = [k for k, a in model.layers]
    pooled = any(k in ("pool", "flatten") for k in kinds)
    if op not in ("cross_entropy", "nll_loss") and call.given.shape != call.wanted.shape:
        raise Refused(f"{f.source.shown(*call.node.line)}: {tuple(call.given.shape)} against {tuple(call.wanted.shape)}")
    if call.wanted.dtype.is_floating_point and op in ("cross_entropy", "nll_loss"):
        raise Refused(f"{f.source.shown(*call.node.line)}: probabilities as targets")
    if axes in (["N", "C"], ["N"]):
        if not pooled:
            model.add("pool", over="last")
    elif axes and axes[0] in ("NT", "TN"):
        model.per_step, model.out_order, model.time_axis = True, axes[0], None
    elif "T" in axes and "N" in axes:
        model.per_step, model.time_axis = True, axes.index("T")
        model.out_order = "TN" if axes.index("T") < axes.index("N") else "NT"
    else:
        raise Refused(f"{f.source.shown(*call.node.line)}: the loss reads the axes {axes}")


def accepted(text: str) -> None:
    """Asks the library, where it is there, whether it reads the config."""
    import ctypes

    from .. import _library as lib
    try:
        library = lib.library()
    except ImportError:
        return
    log, config = lib.Log(), ctypes.c_void_p()
    status = library.clrnn_config_parse(ctypes.byref(log), text.encode(), None, ctypes.byref(config))
    if status:
        raise Refused(f"the config: {log.errors[-1] if log.errors else 'refused'}")
    library.clrnn_config_destroy(ctypes.byref(config))
