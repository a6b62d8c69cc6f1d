"""Where nothing goes wrong nothing stops us, and the page of triggers is the code's."""

import ast
import json

import pytest

from daemon.model.balance_changes import CHANGE_TEXT, BalanceChange
from daemon.model.stop_triggers import StopTrigger
from tests.architecture.tree import parsed, product_modules
from tests.sim.write_tripwires import FIGURES, PAGE, measured_in_worlds, page

NEVER_HONEST = {"position_mismatch", "testnet_wipe", "foreign_order", "overfill"}
"""What no honest venue brings about, whatever the network does."""


def test_calm_worlds_stop_for_nothing() -> None:
    found = measured_in_worlds(range(300_000, 300_008), 30, calm=True)
    assert found["stops"] == {}
    assert found["fills"] > 100, "a world in which nothing happens proves nothing"


def test_weather_brings_no_mismatch_of_books_that_are_right() -> None:
    found = measured_in_worlds(range(310_000, 310_020), 10, calm=False)
    assert not NEVER_HONEST & set(found["stops"])
    assert found["fills"] > 100


def test_the_page_is_not_stale_and_what_was_measured_in_calm_is_nothing() -> None:
    figures = json.loads(FIGURES.read_text())
    assert PAGE.read_text() == page(figures), "python -m tests.sim.write_tripwires page"
    assert figures["calm"]["stops"] == {}
    assert figures["demo"]["stops"] == {}
    assert not NEVER_HONEST & set(figures["weather"]["stops"])
    assert figures["demo"]["seconds"] >= 600


def test_every_trigger_and_every_change_has_its_row() -> None:
    assert set(CHANGE_TEXT) == set(BalanceChange)
    for one in StopTrigger:
        assert StopTrigger(str(one)) is one
        assert all((one.trips, one.confirmation, one.follows, one.cost))


@pytest.mark.xdist_group("architecture")  # the parsed tree is there
def test_nothing_opens_an_incident_but_by_a_name_of_the_list() -> None:
    """Every call of `trouble` names a member, and every member of the list is used somewhere.

    Only what `trouble` was asked for, a line of the journal, and a checkpoint become an `Incident`.
    """
    used: set[str] = set()
    makers: set[str] = set()
    for name in product_modules():
        for node in ast.walk(parsed(name)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "StopTrigger":
                used.add(node.attr)
            is_call = isinstance(node, ast.Call) and ast.unparse(node.func) == "Incident"
            if is_call and name.startswith("daemon/"):
                makers.add(name)
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr == "trouble":
                first = node.args[0]
                assert not isinstance(first, ast.Constant), f"{name}:{node.lineno}: a text"
    # Written as the gate's own state, not as an incident.
    assert set(StopTrigger.__members__) - used <= {"GATE_NOT_READY"}
    assert makers == {"daemon/core/incidents.py"}
