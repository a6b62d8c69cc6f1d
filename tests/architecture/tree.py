"""The project's own files, as the architecture tests see them.

A file counts when git tracks it or would track it (untracked and not ignored), so that a rule
speaks before the commit, not after it.
"""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("daemon", "control", "riskcaps", "evidence")
PURE_FLOORS = (
    "daemon/model/",
    "daemon/core/",
    "daemon/strategies/",
    "daemon/venues/",
    "daemon/trials/judging/",
    "riskcaps/",
)


@cache
def files() -> tuple[str, ...]:
    """Paths relative to the root, sorted, of every file that is or would be in the repository."""
    answer = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    listed = [name for name in answer.stdout.split("\0") if name]
    if not listed:  # an unpacked source distribution: no git there
        listed = [
            str(path.relative_to(ROOT))
            for top in (*PACKAGES, "tests", "deploy", "docs", "systemd")
            for path in (ROOT / top).rglob("*")
            if "__pycache__" not in path.parts
        ]
        listed += [path.name for path in ROOT.iterdir()]
    return tuple(sorted(name for name in set(listed) if (ROOT / name).is_file()))


def product_files() -> tuple[str, ...]:
    """Every file outside `tests/`, whatever its kind."""
    return tuple(name for name in files() if not name.startswith("tests/"))


def product_modules() -> tuple[str, ...]:
    """Python files of the four packages."""
    return tuple(
        name for name in files() if name.endswith(".py") and name.partition("/")[0] in PACKAGES
    )


def modules_of_tests() -> tuple[str, ...]:
    """Python files under `tests/`."""
    return tuple(name for name in files() if name.endswith(".py") and name.startswith("tests/"))


def is_pure(name: str) -> bool:
    """Whether the file stands on a floor that does no I/O."""
    return name.startswith(PURE_FLOORS)


def text_of(name: str) -> str:
    """The text of a file; empty for what is not text."""
    try:
        return (ROOT / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@cache
def parsed(name: str) -> ast.Module:
    """The syntax tree of a Python file of the project."""
    return ast.parse(text_of(name), filename=name)


def imported_names(module: ast.Module) -> dict[str, str]:
    """What each imported local name stands for: `{"t": "time", "now": "datetime.datetime.now"}`."""
    names: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                names[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """A name or attribute chain with its import resolved, `""` for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = dotted(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def calls(module: ast.Module) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the resolved dotted name of what is called (`""` when it has none)."""
    names = imported_names(module)
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func, names)


def listing(problems: list[str]) -> str:
    """Problems one a line, for an assertion's message."""
    return "\n" + "\n".join(problems)
