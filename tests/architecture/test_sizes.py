"""Files, classes, functions and lines stay small enough to hold in one head (hard stops)."""

import ast
import re

from tests.architecture.tree import (
    ROOT,
    is_pure,
    listing,
    modules_of_tests,
    parsed,
    product_modules,
    text_of,
)

PURE_FILE_LINES_MAX = 400
FILE_LINES_MAX = 500
TEST_FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 70
CLASS_LINES_MAX = 350
LINE_COLUMNS_MAX = 100
PRAGMA = re.compile(r"\s+# (noqa|type: ignore|fmt: )\b.*$")
"""A pragma and its reason stand beyond the line, as for the linter."""


def file_limit(name: str) -> int:
    """The hard stop of a file: tests, pure floors (codecs have the shell's), everything else."""
    if name.startswith("tests/"):
        return TEST_FILE_LINES_MAX
    is_codec = name.startswith("daemon/venues/") and "codec" in name
    return PURE_FILE_LINES_MAX if is_pure(name) and not is_codec else FILE_LINES_MAX


def size_problems(name: str, text: str) -> list[str]:
    """What is too large in one file."""
    lines = text.splitlines()
    problems = []
    if len(lines) > file_limit(name):
        problems.append(
            f"{name}: {len(lines)} lines, stop {file_limit(name)}: split it by what changes"
        )
    problems += [
        f"{name}:{number}: {len(line)} columns, stop {LINE_COLUMNS_MAX}"
        for number, line in enumerate(lines, start=1)
        if len(PRAGMA.sub("", line)) > LINE_COLUMNS_MAX
    ]
    return problems


def block_problems(name: str, module: ast.Module) -> list[str]:
    """Functions and classes of product code that are too long."""
    problems = []
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            what, limit, mend = "function", FUNCTION_LINES_MAX, "give its steps names"
        elif isinstance(node, ast.ClassDef):
            what, limit, mend = "class", CLASS_LINES_MAX, "it has more than one job"
        else:
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > limit:
            problems.append(
                f"{name}:{node.lineno}: {what} {node.name} has {length} lines, stop {limit}: {mend}"
            )
    return problems


def test_no_file_is_too_long_and_no_line_too_wide() -> None:
    problems = [
        problem
        for name in (*product_modules(), *modules_of_tests())
        for problem in size_problems(name, text_of(name))
    ]
    assert not problems, listing(problems)


def test_no_function_or_class_of_the_product_is_too_long() -> None:
    problems = [
        problem for name in product_modules() for problem in block_problems(name, parsed(name))
    ]
    assert not problems, listing(problems)


def test_the_rules_see_the_whole_product() -> None:
    seen = set(product_modules())
    on_disk = {str(path.relative_to(ROOT)) for path in (ROOT / "daemon" / "model").glob("*.py")}
    assert on_disk <= seen


def test_each_hard_stop_stops() -> None:
    assert size_problems("daemon/core/engine.py", "x = 1\n" * 401)
    assert not size_problems("daemon/core/engine.py", "x = 1\n" * 400)
    assert not size_problems("daemon/venues/binance_spot/codec_rest.py", "x = 1\n" * 500)
    assert size_problems("daemon/shell/pump.py", "x = 1\n" * 501)
    assert size_problems("tests/unit/test_x.py", "x = 1\n" * 801)
    assert size_problems("control/tool/root_command.py", "#" * 101)
    assert not size_problems("control/tool/root_command.py", "x" * 99 + "  # noqa: S101 - a reason")
    body = "    x = 1\n" * 70
    assert block_problems("a.py", ast.parse(f"def long():\n{body}"))
    assert not block_problems("a.py", ast.parse(f"def long():\n{body[:-10]}"))
    assert block_problems("a.py", ast.parse("class Long:\n" + "    x = 1\n" * 350))
