# SPDX-License-Identifier: MIT
"""What the training loop does: gradients cleared, parameters held, modes, graphs, optimizers."""
from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .facts import Facts

_MODAL = (nn.modules.dropout._DropoutNd, nn.modules.batchnorm._BatchNorm)


def gradients(f: Facts) -> None:
    """zero_grad missing or misplaced."""
    for o in f.optimizers:
        if o.closure:
            continue
        if len(o.wiped) >= 2 and len(o.wiped) >= 0.8 * len(o.intervals):
            at = [line for _, line in o.wiped[:1]]
            f.add("zero-grad-misplaced", "error", at + [o.step_line],
                  f"in {len(o.wiped)} of {len(o.intervals)} steps the gradients were cleared after backward() and before "
                  f"{o.name}.step()")
            continue
        later = o.intervals[1:]
        if len(later) >= 2 and sum(later) <= 0.2 * len(later):
            lines = f.steps[-1].backward if f.steps else []
            f.add("zero-grad-missing", "error", [*lines, o.step_line],
                  f"{len(later) - sum(later)} of {len(later)} steps began with the gradients of the step before")


def parameters(f: Facts) -> None:
    """Parameters that no optimizer holds, that were replaced, or that two optimizers step."""
    if not f.steps or not f.optimizers:
        return
    held: dict = {}
    for o in f.optimizers:
        for p in o.alive():
            held.setdefault(id(p), []).append(o)
    used = [n for s in f.steps[:3] + f.steps[-2:] for n in s.loss.ancestors(True) if n.is_param()]
    used = {id(n.param()): n.param() for n in used if n.param() is not None}
    missed = [p for p in used.values() if p.requires_grad and id(p) not in held]
    last = max(f.optimizers, key=lambda o: o.order)
    replaced = []
    for p in missed:
        entry = f.rec.children.get(id(p))
        if entry and entry[0]() is p and entry[2] > last.order:
            replaced.append((p, entry))
    stale = [p for o in f.optimizers for p in o.alive() if id(p) not in used]
    gone = sum(r() is None for o in f.optimizers for r in o.params)
    if replaced and (stale or gone):
        lines = [last.line] + [e[1] for _, e in replaced]
        f.add("optimizer-before-parameters-changed", "error", lines,
              f"{len(replaced)} trained parameters ({f.name_of(replaced[0][0])}, ...) were made after the optimizer, which "
              "holds the ones that they replaced")
        missed = [p for p in missed if all(p is not q for q, _ in replaced)]
    if missed:
        layers = []
        for p in missed:
            entry = f.rec.children.get(id(p))
            module = entry[4]() if entry else None
            layers += f.made_at(module)[:1] if module is not None else []
        registered = {id(p) for m in f.used.values() for p in m.parameters()}
        lines = [o.line for o in f.optimizers]
        if any(id(p) not in registered for p in missed):
            lines += layers
        f.add("optimizer-misses-parameters", "error", lines,
              f"{len(missed)} of {len(used)} parameters get a gradient and stand in no optimizer ({f.name_of(missed[0])}, ...)")
    both = [ids for ids, os in held.items() if len({id(o) for o in os}) > 1]
    if both:
        pair = {id(o): o for i in both for o in held[i]}.values()
        shared_steps = [s for s in f.steps if len(set(s.stepped) & {o.key for o in pair}) > 1]
        if len(shared_steps) >= 2:
            lines = [x for o in pair for x in (o.line, o.step_line)]
            f.add("two-optimizers-fight", "error", lines,
                  f"{len(both)} parameters are stepped by {' and '.join(o.name for o in pair)} in the same training step")


def frozen(f: Facts) -> None:
    """requires_grad False on weights that are still random."""
    found, lines = [], []
    for module in f.used.values():
        for part in module.modules():
            if not type(part).__module__.startswith("torch.nn.modules"):
                continue
            for p in part.parameters(recurse=False):
                if p.requires_grad or p.dim() < 2 or id(p) in f.rec.loaded or id(p) not in f.rec.frozen:
                    continue
                found.append(p)
                lines += f.rec.frozen[id(p)]
    trained_before = {id(p) for o in f.rec.optimizers.values() if o.steps for p in o.alive()}
    found = [p for p in found if id(p) not in trained_before or len(f.optimizers) == 1]
    if found:
        f.add("frozen-parameters", "error", lines,
              f"{len(found)} weights have requires_grad False and were never loaded: they keep their random values")


def _modal(module: Any) -> list:
    """The parts that behave otherwise in eval mode."""
    out = []
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd) and part.p > 0:
            out.append(part)
        elif isinstance(part, nn.modules.batchnorm._BatchNorm) and part.track_running_stats:
            out.append(part)
        elif isinstance(part, nn.RNNBase) and part.dropout > 0 and part.num_layers > 1:
            out.append(part)
        elif isinstance(part, (nn.MultiheadAttention, nn.TransformerEncoderLayer)) and getattr(part, "dropout", 0):
            out.append(part)
    return out


def _trains(f: Facts, call: Any) -> bool:
    """Whether the loss of the call's step has a gradient through the call; a teacher's detached output has none."""
    if call.step >= len(f.rec.steps) or not call.outputs:
        return call.step < len(f.rec.steps)
    outputs = {id(n) for n in call.outputs}
    return any(id(n) in outputs for n in f.rec.steps[call.step].loss.ancestors(True))


def modes(f: Facts) -> None:
    """Training in eval mode, validation in train mode."""
    calls = [c for c in f.train_calls if _modal(c.module) and any(p.requires_grad for p in c.module.parameters())]
    first = next((c for c in calls if not c.training and _trains(f, c)), None)
    if first is not None:
        evals = [e for e in f.rec.modes if e[2] == id(first.module) and not e[1] and e[3] <= first.step]
        lines = [evals[-1][0]] if evals else []
        lines += [first.line, *f.steps[min(first.step, len(f.steps) - 1)].backward]
        loop = f.rec.batch_loop
        if loop is not None:
            lines.append(f.source.loops[loop].place)
        kinds = sorted({type(m).__name__ for m in _modal(first.module)})
        f.add("training-in-eval-mode", "error", lines,
              f"from training step {first.step + 1} on the model is in eval mode; {', '.join(kinds)} behave otherwise there")
    trained = set(f.used)
    for c in f.eval_calls:
        if id(c.module) not in trained or not c.training or not _modal(c.module):
            continue
        if not c.outputs or not _judged(f, c):
            continue
        kinds = sorted({type(m).__name__ for m in _modal(c.module)})
        where = [c.line] + [x for x in c.lines[1:2]]
        guard = f.source.no_grad_at(c.line) if c.line else None
        where += [guard] if guard else []
        f.add("validating-in-train-mode", "error", where,
              f"a forward pass under no_grad, outside training, runs in train mode with {', '.join(kinds)}")
        break


def _judged(f: Facts, call: Any) -> bool:
    """Whether an output is compared, or enters a loss, outside training."""
    from .graph import LOSS_OPS
    outputs = {id(n) for n in call.outputs}
    kinds = {"eq", "__eq__", "argmax", "max", "gt", "__gt__", "round", "sub", "__sub__", "topk", "ge", "lt"} | set(LOSS_OPS)
    for n in f.rec.ops:
        if n.op in kinds and n.order > call.outputs[0].order and not n.grad_mode:
            if any(id(a) in outputs for i in n.inputs for a in i.lineage()):
                return True
    return False


def _from_earlier_steps(step: Any) -> list:
    """(node, input) pairs of the loss's graph whose input is of an earlier step, by falling step of the node."""
    found = []
    for n in step.loss.ancestors(True, limit=5000):
        if n.op != "param":
            found += [(n, i) for i in n.inputs if i.rg and i.grad_mode and i.op not in ("param", "leaf", "requires_grad_")
                      and i.step < step.index]
    return sorted(found, key=lambda pair: -pair[0].step)


def graphs(f: Facts) -> None:
    """State carried with its graph, graphs kept alive, state carried between shuffled batches."""
    carried, line, state = 0, [], None
    for s in f.steps[2:40]:
        earlier = _from_earlier_steps(s)
        if len({i.step for _, i in earlier}) > 1:       # if only one: two losses share tensors
            carried += 1
            node, state = earlier[0]
            line = f.lines_of(node)[:1] + s.backward
    alive = [r for r, index in f.rec.loss_refs[:-3] if r() is not None]
    if carried:
        kind = state.op
        if kind in ("add", "__add__", "__iadd__", "add_") and state.shape == ():
            f.add("retain-graph-growth", "error", line, "the loss of a step contains those of the steps before it")
        else:
            f.add("hidden-not-detached", "error", line,
                  f"in {carried} steps the forward pass went on from a state with the graph of the step before")
    elif len(alive) > 4:
        f.add("retain-graph-growth", "warning", _keepers(f), f"the graphs of {len(alive)} earlier losses are still alive")
    if not carried:
        _kept_sums(f)
    _carried_state(f)


def _keepers(f: Facts) -> list:
    """Where losses are appended or added up with their graph."""
    import ast
    names = set()
    for s in f.steps[:2]:
        for line in s.backward:
            st = f.source.statement_at(line)
            for n in ast.walk(st) if st else ():
                if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == "backward":
                    names |= {x.id for x in ast.walk(n.func.value) if isinstance(x, ast.Name)}
    lines = []
    for n, file in f.source.walk():
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == "append":
            if any(isinstance(a, ast.Name) and a.id in names for a in n.args):
                lines.append((file, n.lineno))
        elif isinstance(n, ast.AugAssign) and isinstance(n.value, ast.Name) and n.value.id in names:
            lines.append((file, n.lineno))
    return lines + (f.steps[0].backward if not lines else [])


def _kept_sums(f: Facts) -> None:
    """A running sum of losses that keeps every graph."""
    for n in f.rec.ops:
        if n.op in ("__iadd__", "add_", "add", "__add__", "__radd__") and n.rg and n.shape in ((), (1,)) and n.step > 3:
            t = n.ref()
            depth, at = 0, n
            while at is not None and at.op in ("__iadd__", "add_", "add", "__add__", "__radd__") and depth < 6:
                earlier = [i for i in at.inputs if i.step < at.step and i.rg and not i.is_param()]
                depth, at = depth + 1, earlier[0] if earlier else None
            if depth >= 4 and t is not None:
                f.add("retain-graph-growth", "warning", [n.line], "a running sum holds the graphs of all losses added to it")
                return


def _carried_state(f: Facts) -> None:
    """The state of one batch starts another that has nothing to do with it."""
    from .graph import CELL_OPS, RNN_OPS, SHAPE_OPS
    hits, line = 0, None
    ops = SHAPE_OPS | {"__getitem__", "zeros_like", "stack", "cat", "mul", "__mul__"}
    for s in f.steps[1:60]:
        for n in s.loss.ancestors(limit=5000):
            if n.op not in RNN_OPS | CELL_OPS or n.step != s.index:
                continue
            for hx in n.inputs[1:]:
                if hx.is_param():
                    break
                end = None
                for a in hx.lineage(ops):
                    end = a
                if end is not None and end.op in RNN_OPS | CELL_OPS and end.step < s.index:
                    hits, line = hits + 1, n
                    break
    if hits < 2 or line is None:
        return
    how = shuffled(f)
    if how:
        detach = [x.line for x in f.rec.ops if x.op in ("detach", "data", "detach_") and x.step > 0 and x.line][:1]
        loop = f.source.loops[f.rec.batch_loop].place if f.rec.batch_loop is not None else None
        f.add("hidden-carried-across-shuffled-batches", "error",
              [line.line, *detach, loop],
              f"in {hits} steps the state of the batch before starts the next, though {how}")


def shuffled(f: Facts) -> str:
    """How training batches are shuffled; "" where they are not."""
    from torch.utils.data import RandomSampler, SubsetRandomSampler, WeightedRandomSampler
    for ref, line, step, number in f.rec.loaders:
        loader = ref()
        if loader is not None and step < len(f.steps):
            sampler = getattr(loader, "sampler", None)
            inner = getattr(getattr(loader, "batch_sampler", None), "sampler", None)
            if isinstance(sampler, (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)) or isinstance(
                    inner, (RandomSampler, SubsetRandomSampler)):
                if any(n.note and n.note[0] == "batch" and n.note[1]() is loader for c in f.train_calls[:5] for n in c.nodes
                       if isinstance(n.note, tuple)):
                    return "the DataLoader shuffles"
    for c in f.train_calls[:5]:
        for node in c.nodes:
            for a in node.lineage():
                if a.op in ("__getitem__", "index_select") and any(
                        b.op == "randperm" for i in a.inputs[1:] for b in i.ancestors(limit=50)):
                    if a.step > 0 or any(b.op == "randperm" for i in a.inputs[1:] for b in i.ancestors(limit=50)):
                        return "the batches are drawn by a permutation"
    for kind, line, seed, key, n, step in f.rec.random_calls:
        if step > 0 or f.rec.epoch_loop is not None:
            loop = f.source.loops[f.rec.epoch_loop] if f.rec.epoch_loop is not None else None
            if loop is not None and line and line[0] == loop.place[0] and loop.lineno <= line[1] <= (loop.end_lineno or 0):
                return "the samples are shuffled in each epoch"
    return ""


def cut(f: Facts) -> None:
    """A part of the loss, or of the model, has no graph."""
    if not f.steps or not f.optimizers:
        return
    s = f.steps[min(1, len(f.steps) - 1)]
    missing: dict = {}
    for o in f.optimizers:
        for p in getattr(o, "no_grad", []):
            if p.requires_grad:
                missing[id(p)] = p
    trained = {id(p) for o in f.optimizers for p in o.alive()}
    live = {id(n.param()) for st in f.steps[:4] + f.steps[-2:] for n in st.loss.ancestors(True) if n.is_param()}
    dead = {i for i in missing if i not in live}
    if not dead:
        return
    blind = [n for n in s.loss.ancestors() if n.line and not n.grad_mode and n.in_rg
             and any(i.is_param() and id(i.param()) in dead for i in n.inputs)]
    if blind:
        first = min(blind, key=lambda n: n.order)
        f.add("no-grad-around-training", "error", _guards(f, blind) + [first.line],
              f"{len(dead)} parameters that the optimizer holds run under no_grad in training steps and get no gradient")
        dead -= {id(i.param()) for n in blind for i in n.inputs if i.is_param()}
    dead &= trained
    if dead:
        _detached(f, s, dead)


def _guards(f: Facts, nodes: list) -> list:
    lines = []
    for n in sorted(nodes, key=lambda n: n.order):
        at = f.source.no_grad_at(n.line) if n.line else None
        if at:
            lines.append(at)
    if not lines:
        lines = f.source.calls_of("no_grad", "inference_mode", "set_grad_enabled")[:2]
    return lines[:3]


def _detached(f: Facts, s: Any, dead: set) -> None:
    """Parameters whose outputs enter the loss without a graph."""
    graph = {id(n) for n in s.loss.ancestors(True)}
    cuts = []
    for n in s.loss.ancestors():
        if id(n) in graph or not n.in_rg or n.rg or not n.line:
            continue
        for a in n.ancestors():
            if a.is_param() and a.param() is not None and id(a.param()) in dead:
                cuts.append(n)
                break
    cuts = [n for n in cuts if n.grad_mode]
    if cuts:
        first = min(cuts, key=lambda n: n.order)
        f.add("loss-detached", "error", [first.line],
              f"{first.op} cuts the graph: {len(dead)} parameters that the optimizer holds get no gradient")
        return
    lines, what = [], "item"
    for op, line, step, node in f.rec.events:
        if step != s.index or node is None or not line:
            continue
        if any(a.is_param() and a.param() is not None and id(a.param()) in dead for a in node.ancestors(True, 5000)) or (
                op in ("numpy", "tolist") and any(a.is_param() for a in node.ancestors(False, 5000))):
            lines.append(line)
            what = op
    if lines:
        f.add("loss-detached", "error", lines[:2],
              f"{what}() makes a plain number of a part of the loss: {len(dead)} parameters get no gradient")


def remade(f: Facts) -> None:
    """The model, or its weights, are made anew in the loop over epochs."""
    loop = f.rec.epoch_loop
    if loop is None or len(f.steps) < 2:
        return
    batch = f.rec.batch_loop
    early = {id(c.module): c for c in f.train_calls if c.epoch == 1 and not c.after_training or f.single and c.step == 0}
    late = [c for c in f.train_calls if (c.epoch > 1 or f.single and c.step > 0) and id(c.module) not in early]
    for c in late:
        entry = f.rec.made.get(id(c.module))
        if entry and entry[0]() is c.module and entry[3] > 0:
            inside = {number for number, _ in entry[4]}
            if loop in inside and (batch not in inside or batch == loop):
                f.add("weights-reinitialised-each-epoch", "error", [*entry[1][:2]],
                      f"the model of epoch {c.epoch} was made after {entry[3]} training steps; what it replaces is lost")
                return
    inits = [line for kind, line, step, key in f.rec.events if kind == "init" and step > 0 and line
             and line[0] in f.source.trees]
    if inits and f.optimizers:
        held = {id(p) for o in f.optimizers for p in o.alive()}
        again = [(line, step) for kind, line, step, key in f.rec.events
                 if kind == "init" and step > 0 and key in held and not f.rec.shortened or kind == "init" and step in
                 f.rec.epoch_ends and key in held]
        if again:
            lines = [x[0] for x in again[:3]]
            f.add("weights-reinitialised-each-epoch", "error", lines,
                  f"weights are drawn anew after {again[0][1]} training steps")


def same_batch(f: Facts) -> None:
    """The same samples in every step though there are more."""
    steps = [s for s in f.steps[:40] if s.root and s.root[0].inputs]
    if len(steps) < 4:
        return
    first = steps[0].root[0].inputs[0]
    same = all(s.root[0].inputs[0].shape == first.shape and torch.equal(s.root[0].inputs[0], first) for s in steps[1:])
    if not same:
        return
    loaders = [x for x in f.rec.loaders if x[2] < len(f.steps)]
    for ref, line, step, number in loaders:
        loader = ref()
        if loader is not None and len(loaders) >= len(steps) - 1:
            try:
                more = len(loader.dataset) > first.shape[0] * 1.5
            except TypeError:
                more = True
            if more:
                f.add("same-batch-every-time", "error", [line],
                      f"{len(steps)} steps saw the same {first.shape[0]} samples: the iterator is made anew each time")
            return
    node = steps[1].root[0].nodes[0]
    for n in node.lineage():
        if n.op in ("__getitem__", "narrow", "index_select") and n.inputs:
            source = n.inputs[0]
            if source.shape and n.shape and source.shape[0] > n.shape[0] * 1.5 and n.line and n.step > 0:
                f.add("same-batch-every-time", "error", [n.line],
                      f"{len(steps)} steps saw the same {n.shape[0]} of {source.shape[0]} samples")
                return


def dropout(f: Facts) -> None:
    found: dict = {}
    for n in f.path:
        if n.op in ("dropout", "feature_dropout", "alpha_dropout", "dropout1d", "dropout_"):
            p = n.args[1] if len(n.args) > 1 and isinstance(n.args[1], float) else n.kwargs.get("p", 0.5)
            if isinstance(p, float) and p >= 0.9 and (n.kwargs.get("training", True) is True):
                found[p] = n
    for module in f.used.values():
        for part in module.modules():
            if isinstance(part, nn.RNNBase) and part.dropout >= 0.9 and part.num_layers > 1:
                f.add("dropout-too-high", "error", f.made_at(part)[:1], f"dropout={part.dropout:g} between the layers")
    for p, n in found.items():
        f.add("dropout-too-high", "error", list(reversed(f.lines_of(n))), f"dropout takes out {100 * p:g} % of the values")


CHECKS = [gradients, parameters, frozen, modes, graphs, cut, remade, same_batch, dropout]
