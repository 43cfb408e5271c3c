# SPDX-License-Identifier: MIT
"""What the text of a script says: its loops, with blocks and names, and the code that reports each loop's turns."""
from __future__ import annotations

import ast
import os
import sysconfig
from typing import Iterator, Optional

LOOP, WHILE, WHILE_END = "__clrnn_loop__", "__clrnn_while__", "__clrnn_while_end__"


class _Loops(ast.NodeTransformer):
    """Hands each loop's iterable to the recorder. Lines and columns stay as they are."""

    def __init__(self) -> None:
        self.loops: list = []

    def _call(self, name: str, node: ast.AST, *args: ast.expr) -> ast.Call:
        call = ast.Call(ast.Name(name, ast.Load()), [ast.Constant(len(self.loops) - 1), *args], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def visit_For(self, node: ast.For) -> ast.AST:
        self.loops.append(node)
        node.iter = self._call(LOOP, node.iter, node.iter)
        return self.generic_visit(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        self.loops.append(node)
        begin, end = self._call(WHILE, node.test), self._call(WHILE_END, node.test)
        turn = ast.BoolOp(ast.And(), [begin, node.test])
        node.test = ast.fix_missing_locations(ast.copy_location(ast.BoolOp(ast.Or(), [turn, end]), node.test))
        return self.generic_visit(node)


class Source:
    """A script's text, its syntax tree, and the compiled code under recording."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.folder = os.path.dirname(self.path)
        with open(path, "rb") as f:
            data = f.read()
        self.text = data.decode("utf-8", "replace")
        self.lines = self.text.splitlines()
        self.tree = ast.parse(data, self.path)
        self.parent = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        rewritten = ast.parse(data, self.path)
        transformer = _Loops()
        self.code = compile(transformer.visit(rewritten), self.path, "exec", dont_inherit=True)
        self.loops = transformer.loops

    # ------------------------------------------------------------ files and lines

    _library = tuple({sysconfig.get_paths()[k] for k in ("stdlib", "platstdlib", "purelib", "platlib")})

    def is_users(self, filename: str) -> bool:
        """Whether a file is the script or lies beside it, and is no installed package."""
        if filename == self.path:
            return True
        return (filename.startswith(self.folder + os.sep) and not filename.startswith(self._library)
                and "site-packages" not in filename and "dist-packages" not in filename)

    def shown(self, filename: str, line: int) -> str:
        """A place as findings name it: "train.py:41"."""
        if filename.startswith(self.folder + os.sep):
            filename = os.path.relpath(filename, self.folder)
        return f"{filename}:{line}"

    # ------------------------------------------------------------ the syntax tree

    def nodes_at(self, line: int) -> Iterator[ast.AST]:
        """The nodes that begin on a line."""
        return (n for n in ast.walk(self.tree) if getattr(n, "lineno", None) == line)

    def statement_at(self, line: int) -> Optional[ast.stmt]:
        """The innermost statement that covers a line."""
        best = None
        for n in ast.walk(self.tree):
            if isinstance(n, ast.stmt) and n.lineno <= line <= (n.end_lineno or n.lineno):
                if best is None or n.lineno >= best.lineno:
                    best = n
        return best

    def enclosing(self, node: Optional[ast.AST], kinds: tuple) -> Optional[ast.AST]:
        """The innermost node of these kinds around a node."""
        while node is not None and not isinstance(node, kinds):
            node = self.parent.get(node)
        return node

    def no_grad_at(self, line: int) -> Optional[int]:
        """The line of the no_grad around a line: a with statement's, or a decorator's."""
        node: Optional[ast.AST] = self.statement_at(line)
        while node is not None:
            heads = []
            if isinstance(node, ast.With):
                heads = [i.context_expr for i in node.items]
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                heads = node.decorator_list
            for h in heads:
                if any(w in ast.dump(h) for w in ("no_grad", "inference_mode", "set_grad_enabled")):
                    return h.lineno
            node = self.parent.get(node)
        return None

    def calls_of(self, *names: str) -> list:
        """All calls of functions or methods with one of these names."""
        return [n for n in ast.walk(self.tree) if isinstance(n, ast.Call) and call_name(n) in names]


def call_name(call: ast.Call) -> str:
    """The last name of a call's function: "step" of a.b.step()."""
    f = call.func
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def names_in(node: ast.AST) -> set:
    """The variables that an expression reads."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
