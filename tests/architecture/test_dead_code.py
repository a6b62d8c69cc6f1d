"""No function, method or class of the product is used by its tests alone, or by nobody.

`vulture` looks for names that the four packages define and never mention. What something outside
them calls is listed with the caller. A name that is mentioned for another reason escapes it.
"""

import pytest
from vulture import Vulture

from tests.architecture.tree import PACKAGES, ROOT, listing

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
