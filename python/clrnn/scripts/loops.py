# SPDX-License-Identifier: MIT
"""The loops of a script while they run: which are over epochs and batches, and when the recording ends."""
from __future__ import annotations

import ast
import time
from typing import Any, Optional

from .seen import Ended, LoopRun

_EPOCH_WORDS = {"epoch", "epochs", "ep", "epoch_idx", "n_epoch", "epoch_i", "e", "iepoch", "epoch_num", "round_", "epoka"}


def _loop_names(node: Any) -> set:
    names = {n.id.lower() for n in ast.walk(getattr(node, "target", node)) if isinstance(n, ast.Name)}
    if isinstance(node, ast.For):
        names |= {n.id.lower() for n in ast.walk(node.iter) if isinstance(n, ast.Name) and "epoch" in n.id.lower()
                  and "per" not in n.id.lower()}
    return {"epoch" if "epoch" in n and "per" not in n else n for n in names}


class Loops:
    """What the compiled script calls at its loops; part of the recorder, whose fields it uses."""

    graph: Any
    source: Any
    loop_stack: list
    loop_runs: dict
    steps: list

    def loop(self, number: int, iterable: Any) -> Any:
        """Yields what a loop of the script runs over."""
        try:
            length: Optional[int] = len(iterable)
        except Exception:
            length = None
        run = LoopRun(number, self.source.loops[number], length)
        run.iterable = iterable
        iterator = iter(iterable)
        self.loop_stack.append(run)
        try:
            while True:
                if run in self.loop_stack:
                    del self.loop_stack[self.loop_stack.index(run) + 1:]
                else:                           # a generator's loop that goes on
                    self.loop_stack.append(run)
                if self.over and run.steps:
                    break
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                run.turn += 1
                yield item
        finally:
            if run in self.loop_stack:
                del self.loop_stack[self.loop_stack.index(run):]
            if run.steps:
                self.loop_runs.setdefault(number, []).append(run)

    def while_(self, number: int) -> bool:
        run = next((r for r in self.loop_stack if r.number == number), None)
        if run is None:
            run = LoopRun(number, self.source.loops[number], None)
            self.loop_stack.append(run)
        else:
            del self.loop_stack[self.loop_stack.index(run) + 1:]
        run.turn += 1
        return not (self.over and run.steps)

    def while_end(self, number: int) -> bool:
        run = next((r for r in self.loop_stack if r.number == number), None)
        if run is not None:
            del self.loop_stack[self.loop_stack.index(run):]
        return False

    def _epoch_of_step(self) -> None:
        """Names the loops over epochs and batches by the loops that run now."""
        runs = [r for r in self.loop_stack]
        if not runs:
            return
        named = [r for r in runs if _loop_names(r.node) & _EPOCH_WORDS]
        if named:
            epoch = named[-1]
            inner = [r for r in runs if runs.index(r) > runs.index(epoch)]
            batch = inner[0] if inner else epoch
        elif len(runs) > 1:
            epoch, batch = runs[-2], runs[-1]
        else:
            epoch = batch = runs[-1]
        self.epoch_loop, self.batch_loop = epoch.number, batch.number
        self.epochs = epoch.length
        if epoch is not batch:
            epoch.first = epoch.first or max(epoch.turn, 1)     # earlier turns had no training step
            number = max(epoch.turn, 1) - epoch.first + 1
            if number > self.epoch and self.steps and not self.over:
                self.epoch_ends.append(len(self.steps))
            self.epoch = number

    def _limit(self) -> None:
        done = len(self.steps)
        single = self.epoch_loop == self.batch_loop
        second = sum(1 for s in self.steps[-8:] if s.epoch > 1) if not single else 0
        if self.over:
            inside = any(r.steps for r in self.loop_stack)
            if not inside or done > self.over_at + 50:
                raise Ended()
        elif ((self.max_steps and done >= self.max_steps) or second >= 3 or (single and done >= 60)
              or time.monotonic() - self.started > self.seconds):
            self.over, self.over_at = True, done
            self.shortened = True
            self.over_time = time.monotonic()
            if not any(r.steps for r in self.loop_stack):
                raise Ended()
