"""No module raises an exception that it made once, when it was imported.

Each raise appends to the traceback of that one object, so it keeps the frames of all raises alive,
with everything in them: memory that a peer can fill by asking for the same refusal again and again.
"""

import ast
import re

from tests.architecture.tree import listing, parsed, product_modules

EXCEPTION = re.compile(r"(Error|Exception|Warning|Timeout|Fault)$")


def constants(module: ast.Module) -> set[str]:
    """Module-level names that hold an exception, or a collection of exceptions."""
    found = set()
    for node in module.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        made = [
            call
            for call in ast.walk(node.value)
            if isinstance(call, ast.Call)
            and EXCEPTION.search(ast.unparse(call.func).rpartition(".")[2])
        ]
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if made:
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def shared_raises(name: str, module: ast.Module) -> list[str]:
    """Places that raise one of the module's constants, or what is taken out of one."""
    shared = constants(module)
    return [
        f"{name}:{node.lineno}: raises {ast.unparse(node.exc)}, made once for all"
        for node in ast.walk(module)
        if isinstance(node, ast.Raise)
        and node.exc is not None
        and any(isinstance(one, ast.Name) and one.id in shared for one in ast.walk(node.exc))
    ]


def test_no_exception_is_raised_from_a_constant() -> None:
    problems = [
        problem for name in product_modules() for problem in shared_raises(name, parsed(name))
    ]
    assert not problems, listing(problems)


def test_the_rule_catches_what_it_is_for() -> None:
    for bad in (
        'BUSY = VenueError(1, "x")\ndef f():\n    raise BUSY',
        'BUSY: Error = errors.VenueError(1, "x")\ndef f():\n    raise BUSY from None',
        'TABLE = {"a": VenueError(1)}\ndef f(key):\n    raise TABLE[key]',
    ):
        assert shared_raises("bad.py", ast.parse(bad)), bad
    good = 'TABLE = {"a": (1, "x")}\ndef f(key):\n    raise VenueError(*TABLE[key])'
    assert not shared_raises("good.py", ast.parse(good))
