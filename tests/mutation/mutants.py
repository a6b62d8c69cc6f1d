"""Every small change of a module's functions: where it is, what it says, and its compiled code.

Rules of this file:
1. A mutant is one change of one node inside a function; its number is its place in the walk, so
   that a report names it for as long as the module stays as it is.
2. What only people read is left alone: docstrings, annotations, messages of invariants and raises.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

Change = tuple[Callable[[], None], Callable[[], None], str]
"""How to make it, how to undo it, and what to call it."""

SWAPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.FloorDiv,),
    ast.Div: (ast.Mult,),
    ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.UAdd: (ast.USub,),
}
BUILTINS = {"min": "max", "max": "min", "any": "all", "all": "any"}
FOR_PEOPLE = {"invariant", "InvariantViolation"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change. `number` counts within the module; `last` is the last line of its statement."""

    module: str
    number: int
    function: str
    line: int
    last: int
    what: str

    @property
    def change(self) -> str:
        """What it changes where, whatever line that is on by now."""
        return f"{self.function}: {self.what}"


class Source:
    """A module's tree and its mutants."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text()
        self.tree = ast.parse(self.text)
        self._lines = self.text.splitlines()

    def mutants(self) -> list[Mutant]:
        """All of them, in the order of the walk."""
        found = []
        times: dict[tuple[str, str], int] = {}
        for number, (function, statement, node, (_do, _undo, what)) in enumerate(self._walk()):
            time = times[function, what] = times.get((function, what), 0) + 1
            # A constant in a tuple is folded into it: the line that runs is its statement's.
            first = getattr(statement, "lineno", node.lineno)
            last = getattr(statement, "end_lineno", node.lineno)
            once = what if time == 1 else f"{what} ({time})"
            found.append(Mutant(self.path.stem, number, function, first, last, once))
        return found

    def code(self, number: int) -> dict[str, CodeType]:
        """Compiled functions of the module with one mutant in it, by qualified name."""
        for at, (function, _statement, _node, (do, undo, _what)) in enumerate(self._walk()):
            if at == number:
                do()
                ast.fix_missing_locations(self.tree)
                made = compile(self.tree, str(self.path), "exec", dont_inherit=True)
                undo()
                return {name: code for name, code in functions_of(made) if name == function}
        raise LookupError(f"{self.path}: no mutant {number}")

    def _walk(self) -> Iterator[tuple[str, ast.AST, ast.expr | ast.stmt, Change]]:
        for name, function in self._functions(self.tree, ""):
            for statement in function.body:
                yield from self._statement(name, statement)

    def _functions(
        self, node: ast.AST, prefix: str
    ) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + child.name, child
            elif isinstance(child, ast.ClassDef):
                yield from self._functions(child, f"{prefix}{child.name}.")

    def _statement(
        self, name: str, statement: ast.stmt
    ) -> Iterator[tuple[str, ast.AST, ast.expr | ast.stmt, Change]]:
        if isinstance(statement, ast.Raise) or _is_for_people(statement):
            return
        for change in _of_statement(statement):
            yield name, _head(statement), statement, change
        for field, value in ast.iter_fields(statement):
            if field in {"annotation", "returns", "decorator_list", "type_params"}:
                continue
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, ast.stmt):
                    yield from self._statement(name, one)
                elif isinstance(one, ast.match_case | ast.excepthandler):
                    for inner in one.body:
                        yield from self._statement(name, inner)
                    if isinstance(one, ast.match_case) and one.guard is not None:
                        yield from self._expression(name, one.guard, one.guard)
                elif isinstance(one, ast.AST):
                    yield from self._expression(name, _head(statement), one)

    def _expression(
        self, name: str, statement: ast.AST, node: ast.AST
    ) -> Iterator[tuple[str, ast.AST, ast.expr | ast.stmt, Change]]:
        if isinstance(node, ast.JoinedStr):
            return
        if isinstance(node, ast.expr):
            for change in _of_expression(node):
                yield name, statement, node, change
        for child in ast.iter_child_nodes(node):
            yield from self._expression(name, statement, child)


def functions_of(code: CodeType, within: str = "") -> Iterator[tuple[str, CodeType]]:
    """Functions and methods of a compiled module, not what is nested in functions."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and "<" not in constant.co_name:
            name = within + constant.co_name
            if constant.co_flags & 0x2:  # CO_NEWLOCALS: a function; a class body has no such flag
                yield name, constant
            else:
                yield from functions_of(constant, f"{name}.")


def _head(statement: ast.stmt) -> ast.AST:
    """The part of a statement whose lines run when it runs: not the body of an `if`."""
    for field in ("test", "iter", "subject"):
        if (part := getattr(statement, field, None)) is not None:
            return part  # type: ignore[no-any-return]
    return statement


def _is_for_people(statement: ast.stmt) -> bool:
    if not isinstance(statement, ast.Expr):
        return False
    value = statement.value
    if isinstance(value, ast.Constant):
        return True
    return (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in FOR_PEOPLE
    )


def _set(node: ast.AST, field: str, value: object, what: str) -> Change:
    old = getattr(node, field)
    return (lambda: setattr(node, field, value), lambda: setattr(node, field, old), what)


def _swap_at(values: list[ast.AST], at: int, value: ast.AST, what: str) -> Change:
    old = values[at]
    return (lambda: values.__setitem__(at, value), lambda: values.__setitem__(at, old), what)


def _of_statement(statement: ast.stmt) -> Iterator[Change]:
    none = ast.Constant(None)
    match statement:
        case ast.Return(value=value) if value is not None and not _is(value, None):
            yield _set(statement, "value", none, f"return {_text(value)} -> None")
        case ast.Assign(value=value) | ast.AnnAssign(value=value) if value is not None:
            if not _is(value, None):
                yield _set(statement, "value", none, f"{_text(statement)} -> None")
        case ast.AugAssign(op=op):
            for other in SWAPS.get(type(op), ()):
                yield _set(statement, "op", other(), f"{_text(statement)} -> {other.__name__}")
            if isinstance(op, ast.Add | ast.Sub):
                yield _set(statement, "value", ast.Constant(0), f"{_text(statement)} -> unchanged")
        case ast.Expr(value=ast.Call()):
            yield _set(statement, "value", none, f"{_text(statement)} -> not called")
        case ast.If(test=test) | ast.While(test=test):
            if isinstance(statement, ast.If):
                yield _set(statement, "test", ast.Constant(True), f"if {_text(test)} -> if True")
            yield _set(statement, "test", ast.Constant(False), f"if {_text(test)} -> if False")
        case ast.Delete():
            yield _set(statement, "targets", [ast.Name("_gone", ast.Del())], "del -> error")


def _of_expression(node: ast.expr) -> Iterator[Change]:
    text = _text(node)
    match node:
        case ast.Compare(ops=ops):
            for at, op in enumerate(ops):
                for other in SWAPS.get(type(op), ()):
                    yield _swap_at(ops, at, other(), f"{text} -> {other.__name__}")  # type: ignore[arg-type]
        case ast.BinOp(op=op) | ast.BoolOp(op=op) | ast.UnaryOp(op=op):
            if isinstance(op, ast.Not):
                twice = ast.UnaryOp(ast.Not(), getattr(node, "operand"))  # noqa: B009 - of a union
                yield _set(node, "operand", twice, f"{text} -> without not")
            elif isinstance(op, ast.USub):
                yield _set(node, "op", ast.UAdd(), f"{text} -> without minus")
            for other in SWAPS.get(type(op), ()):
                yield _set(node, "op", other(), f"{text} -> {other.__name__}")
        case ast.Constant(value=bool() as value):
            yield _set(node, "value", not value, f"{text} -> {not value}")
        case ast.Constant(value=int() as value):
            yield _set(node, "value", value + 1, f"{text} -> {value + 1}")
        case ast.Constant(value=str() as value):
            yield _set(node, "value", value + "XX", f"{text} -> XX")
        case ast.IfExp():
            yield _set(node, "test", ast.Constant(True), f"{text} -> its first")
            yield _set(node, "test", ast.Constant(False), f"{text} -> its second")
        case ast.Call(func=ast.Name(id=name) as func) if name in BUILTINS:
            yield _set(func, "id", BUILTINS[name], f"{text} -> {BUILTINS[name]}")
        case ast.Attribute(attr="add" | "sub" | "multiply" | "divide" as attr):
            other_attr = {"add": "sub", "sub": "add", "multiply": "divide", "divide": "multiply"}
            yield _set(node, "attr", other_attr[attr], f"{text} -> {other_attr[attr]}")


def _is(node: ast.AST, value: object) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else text[:67] + "..."
