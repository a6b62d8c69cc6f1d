"""No function, method or class of the product is used by its tests alone, or by nobody.

`vulture` looks for names that the four packages define and never mention. What something outside
them calls is listed with the caller. A name that is mentioned for another reason escapes it.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator

import pytest
from vulture import Vulture

from tests.architecture.tree import (
    PACKAGES,
    ROOT,
    listing,
    modules_of_tests,
    parsed,
    product_modules,
)

KINDS = {"function", "method", "class", "property", "import"}
DECORATORS = ["@*.command*", "@click.*", "@*_validator*"]
HOOKS = [
    *("on_*", "action_*", "compose", "format_commands"),  # textual, picows, click
    *("do_*", "log_message", "handle_error", "service_actions"),  # http.server
    *(
        "pause_writing",
        "resume_writing",
        "data_received",
        "eof_received",
        "connection_*",
    ),  # asyncio
    *("readable", "writable", "readinto"),  # io
    "*Line",  # evidence/read/journal_lines.py: collected as subclasses of JournalLine
]
CALLED_FROM_OUTSIDE = {
    "Heartbeat": "configurations name strategies",
    "MovingAverageCrossover": "configurations name strategies",
    "Anchor": "configurations name strategies",
    "Prober": "configurations name strategies",
    "Quiet": "configurations name strategies",
    "Quoter": "configurations name strategies",
    "working_qty": "strategies of others",
    "WriteableBuffer": "a quoted annotation",
    "rules_table": "writes docs/RULES.md",
    "refusals_table": "writes docs/gateway-refusals.md",
    "control_map_table": "writes docs/CONTROLS.md",
    "reasons_table": "writes deploy/caps/README.md",
    "alive": "tests of the control thread, from outside it",
    "state_hash": "the judge of recovery: equal states have equal hashes",
    "run_to_restep": "the judge of replay: what a run may be stepped again from",
    "open_worst_case": "the judge of exposure, which holds it against the venue's books",
    "order_result": "the judge of the codec: a reply and an event tell the same",
}


def unused(*paths: str) -> dict[str, str]:
    """Name -> place, of everything that is defined below the paths and never mentioned."""
    search = Vulture(ignore_names=HOOKS, ignore_decorators=DECORATORS)
    search.scavenge(paths)
    return {
        item.name: f"{item.filename.relative_to(item.filename.anchor)}:{item.first_lineno}"
        for item in search.get_unused_code(min_confidence=60)
        if item.typ in KINDS
    }


def test_whatever_the_product_defines_it_uses() -> None:
    found = unused(*(str(ROOT / package) for package in PACKAGES))
    problems = [
        f"{where}: {name}" for name, where in found.items() if name not in CALLED_FROM_OUTSIDE
    ]
    assert not problems, f"delete it, or say who calls it:{listing(problems)}"
    gone = set(CALLED_FROM_OUTSIDE) - set(found)
    assert not gone, f"used now, or gone: take it off the list: {sorted(gone)}"


@pytest.mark.parametrize("dead", ["def lost(): ...", "class Lost: ...", "import lost"])
def test_what_nobody_uses_is_found(dead: str, tmp_path) -> None:
    (tmp_path / "alive.py").write_text(f"{dead}\n\n\ndef used(): ...\n\n\nused()\n")
    assert set(unused(str(tmp_path))) == {dead.split()[1].strip("():")}


def unread(modules: dict[str, str], trees: dict[str, ast.Module]) -> list[str]:
    """Constants of the product that neither their own module nor any other mentions again.

    Vulture looks at names alone: one that another module uses, too, hides a dead one.
    """
    taken: set[str] = set()
    for node in (node for tree in trees.values() for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom):
            taken |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute):
            taken.add(node.attr)
    found = []
    for path, text in modules.items():
        if path.startswith(PACKAGES):
            words = Counter(re.findall(r"\w+", text))
            found += [
                f"{path}: {name}"
                for name in _constants(trees[path])
                if name not in taken and words[name] == 1
            ]
    return found


def _constants(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names = (one.id for one in targets if isinstance(one, ast.Name))
        yield from (name for name in names if name.isupper())


def test_whatever_constant_the_product_defines_is_read() -> None:
    names = (*product_modules(), *modules_of_tests())
    texts = {name: (ROOT / name).read_text() for name in names}
    problems = unread(texts, {name: parsed(name) for name in names})
    assert not problems, f"delete it:{listing(problems)}"


def test_a_constant_that_nobody_reads_is_found() -> None:
    modules = {
        "daemon/a.py": "USED = 1\nLOST: int = 2\nTAKEN = 3\nprint(USED)\n",
        "tests/b.py": "from daemon.a import TAKEN\n",
    }
    trees = {name: ast.parse(text) for name, text in modules.items()}
    assert unread(modules, trees) == ["daemon/a.py: LOST"]
