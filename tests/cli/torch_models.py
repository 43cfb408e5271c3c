# SPDX-License-Identifier: MIT
"""A clrnn config's model in PyTorch: built, run, saved and loaded, and trained with the same losses, optimisers and
schedulers. `torch` is None where it is not installed."""
import math
import os
import subprocess
import sys

from harness import read_safetensors, write_safetensors

SYSTEM_PYTHON = "/usr/bin/python3"
try:
    import torch
    torch.set_num_threads(1)
except ImportError:
    torch = None
    if (os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and os.path.exists(SYSTEM_PYTHON) and
            subprocess.run([SYSTEM_PYTHON, "-c", "import torch"], capture_output=True, check=False).returncode == 0):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])  # Debian's packages are only for Debian's Python

BATCH = 8


def parts(entry):
    """(word, arguments) of an entry of model.layers."""
    return (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))


def build(layers, features):
    """The layers as a torch module whose state dict has the names that the config gives."""
    net = torch.nn.Module()
    for index, entry in enumerate(layers):
        word, a = parts(entry)
        a = dict(a)
        prefix = a.pop("name", str(index))
        module = None
        if word in ("rnn", "lstm", "gru"):
            module = getattr(torch.nn, word.upper())(features, batch_first=True, **a)
            features = a["hidden_size"] * (2 if a.get("bidirectional") else 1)
        elif word == "batchnorm":
            module = torch.nn.BatchNorm1d(features, **a)
        elif word == "layernorm":
            module = torch.nn.LayerNorm(features, **a)
        elif word == "linear":
            module = torch.nn.Linear(features, **a)
            features = a["out_features"]
        elif word == "embedding":
            module = torch.nn.Embedding(**a)
            features = a["embedding_dim"]
        elif word == "dropout":
            module = torch.nn.Dropout(**a)
        if module is not None:
            net.add_module(prefix, module)
    return net


def pool(over, x, state, valid, lengths):
    if over == "final":
        h = state[0] if isinstance(state, tuple) else state
        return h.transpose(0, 1).reshape(x.shape[0], -1)
    if over == "last":
        return x[torch.arange(x.shape[0]), lengths - 1]
    if over == "mean":
        return x.masked_fill(~valid[..., None], 0).sum(1) / lengths[:, None]
    return x.masked_fill(~valid[..., None], -math.inf).max(1).values


def forward(net, layers, x, lengths):
    """What the last layer puts out, (N, outputs) or (N, T, outputs); padding is kept out by packing and
    masks, as a PyTorch user would."""
    steps = x.shape[1]
    valid = torch.arange(steps)[None, :] < lengths[:, None]
    state = None
    pooled = False
    for index, entry in enumerate(layers):
        word, a = parts(entry)
        module = getattr(net, a.get("name", str(index)), None)
        if word in ("rnn", "lstm", "gru"):
            packed = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            packed, state = module(packed)
            x, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True, total_length=steps)
            h = state[0] if word == "lstm" else state
            state = h[-(2 if a.get("bidirectional") else 1):]
        elif word == "batchnorm" and not pooled:
            rows = module(x[valid])
            x = torch.zeros(x.shape).masked_scatter(valid[..., None].expand(x.shape), rows)
        elif word == "pool":
            x = pool(a.get("over", "last"), x, state, valid, lengths)
            pooled = True
        elif word in ("softmax", "log_softmax"):
            x = getattr(torch, word)(x, -1)
        elif module is not None:
            x = module(x)
        else:
            x = getattr(torch, word)(x)
    return x, pooled


def save(path, state):
    """A state dict as a safetensors file: by the safetensors package where it is installed."""
    try:
        from safetensors.torch import save_file
    except ImportError:
        words = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
        write_safetensors(path, {name: (words[t.dtype], t.shape, t.detach().contiguous().numpy().tobytes())
                                 for name, t in state.items()})
    else:
        save_file({name: t.detach().contiguous() for name, t in state.items()}, path)


def load(path):
    try:
        from safetensors.torch import load_file
    except ImportError:
        words = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64}
        return {name: torch.frombuffer(bytearray(data), dtype=words[dtype]).reshape(shape)
                for name, (dtype, shape, data) in read_safetensors(path)[0].items()}
    return load_file(path)


def make_loss(config):
    """(outputs, loss function of raw outputs and targets)."""
    word, a = parts(config)
    a = dict(a)
    if "weight" in a:
        a["weight"] = torch.tensor(a["weight"])
    if word == "cross_entropy":
        return 3, torch.nn.CrossEntropyLoss(**a)
    if word == "nll":
        return 3, torch.nn.NLLLoss(**a)
    if word == "bce_with_logits":
        criterion = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor(a["pos_weight"]))
        return 1, lambda out, y: criterion(out[:, 0], y.float())
    return 1, lambda out, y: torch.nn.functional.mse_loss(out[:, 0], y)


def make_optimizer(config, net):
    word, a = parts(config)
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW,
               "rmsprop": torch.optim.RMSprop}
    return classes[word](net.parameters(), **a)


def make_scheduler(config, optimizer, steps):
    """(step after each batch, step after each epoch), functions of a loss."""
    nothing = lambda loss: None
    if config is None:
        return nothing, nothing
    word, a = parts(config)
    a = dict(a)
    per_batch = a.pop("interval", "epoch") == "batch"
    classes = {"step_lr": "StepLR", "multistep_lr": "MultiStepLR", "exponential_lr": "ExponentialLR",
               "cosine_annealing_lr": "CosineAnnealingLR", "linear_lr": "LinearLR", "one_cycle_lr": "OneCycleLR",
               "reduce_lr_on_plateau": "ReduceLROnPlateau"}
    if word == "one_cycle_lr":
        a["total_steps"] = steps
    scheduler = getattr(torch.optim.lr_scheduler, classes[word])(optimizer, **a)
    plateau = word == "reduce_lr_on_plateau"
    step = (lambda loss: scheduler.step(loss)) if plateau else (lambda loss: scheduler.step())
    return (step, nothing) if per_batch else (nothing, step)


def loss_of(criterion, net, layers, x, lengths, y):
    """The loss over what counts: samples, or the valid steps of each."""
    out, pooled = forward(net, layers, x, lengths)
    if not pooled:
        valid = torch.arange(x.shape[1])[None, :] < lengths[:, None]
        out, y = out[valid], y.reshape(valid.shape)[valid]
    return criterion(out, y)


def torch_curves(train, layers, net, data, valid):
    """Trains in PyTorch; ([(loss, lr) of each step], [(train_loss, valid_loss) of each epoch])."""
    _, criterion = make_loss(train["loss"])
    x, lengths, y = data
    optimizer = make_optimizer(train["optimizer"], net)
    batches = math.ceil(len(x) / BATCH)
    after_batch, after_epoch = make_scheduler(train.get("scheduler"), optimizer, train["epochs"] * batches)
    steps, epochs = [], []
    for _ in range(train["epochs"]):
        total = 0.0
        net.train()
        for first in range(0, len(x), BATCH):
            part = slice(first, first + BATCH)
            optimizer.zero_grad()
            loss = loss_of(criterion, net, layers, x[part], lengths[part], y[part])
            loss.backward()
            if train.get("clip_grad_norm"):
                torch.nn.utils.clip_grad_norm_(net.parameters(), train["clip_grad_norm"])
            steps.append((loss.item(), optimizer.param_groups[0]["lr"]))
            optimizer.step()
            after_batch(loss.item())
            total += loss.item() * len(x[part])
        net.eval()
        with torch.no_grad():
            valid_loss = loss_of(criterion, net, layers, *valid).item()
        epochs.append((total / len(x), valid_loss))
        after_epoch(valid_loss)
    return steps, epochs
