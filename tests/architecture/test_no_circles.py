"""No circle of imports, those under TYPE_CHECKING and inside functions included.

A circle that only a type checker walks is a circle for the reader all the same: none of its modules
can be understood, moved or tested without the others.
"""

import ast

from tests.architecture.tree import listing, parsed, product_modules

Graph = dict[str, set[str]]
KNOWN: dict[frozenset[str], str] = {}
"""A circle that stands, with its reason; a line that is no longer true fails."""


def module_name(path: str) -> str:
    """`riskcaps/state/risk_books.py` -> `riskcaps.state.risk_books`; a package is its folder."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def imports_of(name: str, module: ast.Module, known: set[str]) -> set[str]:
    """The modules of ours that one module names in an import statement, wherever that stands."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in known else node.module)
    return (found & known) - {name}


def circles(graph: Graph) -> list[frozenset[str]]:
    """The strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(start: str) -> None:
        work = [(start, iter(sorted(graph[start])))]
        index[start] = low[start] = len(index)
        stack.append(start)
        while work:
            name, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    work.append((other, iter(sorted(graph[other]))))
                    break
                if other in stack:
                    low[name] = min(low[name], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    place = stack.index(name)
                    ring = frozenset(stack[place:])
                    del stack[place:]
                    if len(ring) > 1:
                        found.append(ring)

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def the_graph() -> Graph:
    """Who names whom, over the whole product."""
    paths = {module_name(path): path for path in product_modules()}
    return {name: imports_of(name, parsed(path), set(paths)) for name, path in paths.items()}


def test_no_modules_import_one_another_in_a_circle() -> None:
    found = circles(the_graph())
    new = [" <-> ".join(sorted(ring)) for ring in found if ring not in KNOWN]
    assert not new, listing(new)
    assert not KNOWN.keys() - set(found), "a circle that is gone stands in KNOWN"


def test_a_circle_of_types_is_found() -> None:
    book = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from a.keeper import Keeper"
    keeper = "from a import book"
    late = "def f():\n    import a.book"
    known = {"a.book", "a.keeper", "a.late"}
    graph = {
        name: imports_of(name, ast.parse(text), known)
        for name, text in (("a.book", book), ("a.keeper", keeper), ("a.late", late))
    }
    assert circles(graph) == [frozenset({"a.book", "a.keeper"})]
    assert graph["a.late"] == {"a.book"}
