# SPDX-License-Identifier: MIT
"""What the text of a script says: its loops, with blocks and names, and the code that reports each loop's turns."""
from __future__ import annotations

import ast
import os
import sysconfig
from types import CodeType
from typing import Iterator, Optional

LOOP, WHILE, WHILE_END = "__clrnn_loop__", "__clrnn_while__", "__clrnn_while_end__"


class _Loops(ast.NodeTransformer):
    """Hands each loop's iterable to the recorder. Lines and columns stay as they are."""

    def __init__(self, loops: list, file: str) -> None:
        self.loops, self.file = loops, file

    def _found(self, node: ast.AST) -> None:
        node.place = (self.file, node.lineno)           # type: ignore[attr-defined]
        self.loops.append(node)

    def _call(self, name: str, node: ast.AST, *args: ast.expr) -> ast.Call:
        call = ast.Call(ast.Name(name, ast.Load()), [ast.Constant(len(self.loops) - 1), *args], [])
        return ast.fix_missing_locations(ast.copy_location(call, node))

    def visit_For(self, node: ast.For) -> ast.AST:
        self._found(node)
        node.iter = self._call(LOOP, node.iter, node.iter)
        return self.generic_visit(node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.AST:
        """[train_step(x, y) for x, y in loader] is a loop too."""
        if any(isinstance(n, ast.Call) for n in ast.walk(node.elt)):
            inner = node.generators[-1]
            if not inner.is_async:
                inner.lineno, inner.end_lineno = node.lineno, node.end_lineno   # type: ignore[attr-defined]
                self._found(inner)
                inner.iter = self._call(LOOP, inner.iter, inner.iter)
        return self.generic_visit(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        self._found(node)
        begin, end = self._call(WHILE, node.test), self._call(WHILE_END, node.test)
        turn = ast.BoolOp(ast.And(), [begin, node.test])
        node.test = ast.fix_missing_locations(ast.copy_location(ast.BoolOp(ast.Or(), [turn, end]), node.test))
        return self.generic_visit(node)


class Source:
    """A script's text and that of the user's modules: syntax trees, and the compiled code under recording."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self.folder = os.path.dirname(self.path)
        self.trees: dict = {}           # by file
        self.parent: dict = {}
        self.loops: list = []
        with open(path, "rb") as f:
            self.code = self.compile(f.read(), self.path)

    def compile(self, data: bytes, path: str) -> CodeType:
        """Takes a file's text in; its loops report their turns."""
        tree = self.trees[path] = ast.parse(data, path)
        self.parent.update((child, node) for node in ast.walk(tree) for child in ast.iter_child_nodes(node))
        return compile(_Loops(self.loops, path).visit(ast.parse(data, path)), path, "exec", dont_inherit=True)

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

    # ------------------------------------------------------------ the syntax trees

    def walk(self) -> Iterator[tuple]:
        """All nodes, each with its file."""
        return ((n, file) for file, tree in self.trees.items() for n in ast.walk(tree))

    def statement_at(self, place: Optional[tuple]) -> Optional[ast.stmt]:
        """The innermost statement that covers a line, (file, number)."""
        best = None
        if place is None or place[0] not in self.trees:
            return None
        for n in ast.walk(self.trees[place[0]]):
            if isinstance(n, ast.stmt) and n.lineno <= place[1] <= (n.end_lineno or n.lineno):
                if best is None or n.lineno >= best.lineno:
                    best = n
        return best

    def enclosing(self, node: Optional[ast.AST], kinds: tuple) -> Optional[ast.AST]:
        """The innermost node of these kinds around a node."""
        while node is not None and not isinstance(node, kinds):
            node = self.parent.get(node)
        return node

    def no_grad_at(self, place: tuple) -> Optional[tuple]:
        """The place of the no_grad around a line: a with statement's, or a decorator's."""
        node: Optional[ast.AST] = self.statement_at(place)
        while node is not None:
            heads = []
            if isinstance(node, ast.With):
                heads = [i.context_expr for i in node.items]
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                heads = node.decorator_list
            for h in heads:
                if any(w in ast.dump(h) for w in ("no_grad", "inference_mode", "set_grad_enabled")):
                    return (place[0], h.lineno)
            node = self.parent.get(node)
        return None

    def calls_of(self, *names: str) -> list:
        """The places of all calls of functions or methods with one of these names."""
        return [(file, n.lineno) for n, file in self.walk() if isinstance(n, ast.Call) and call_name(n) in names]


def call_name(call: ast.Call) -> str:
    """The last name of a call's function: "step" of a.b.step()."""
    f = call.func
    return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""


def names_in(node: ast.AST) -> set:
    """The variables that an expression reads."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
