"""docs/CONTROL-PROTOCOL.md: it is the code's, and a real daemon answers as it says."""

from pathlib import Path
from typing import Any

import pytest

from control.control_errors import RpcError
from control.method_answers import ANSWERS, types_of
from control.methods import METHODS, schema
from control.tool.client import call
from tests.support.bot_box import BotBox
from tests.support.control_page import PAGE, page_text
from tests.support.raw_bot import RawBot

KINDS = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "text": lambda value: isinstance(value, str),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "list of object": lambda value: all(isinstance(one, dict) for one in value),
    "list of text": lambda value: all(isinstance(one, str) for one in value),
}


def test_the_page_is_not_stale_and_names_every_method() -> None:
    assert PAGE.read_text() == page_text(), "python -m tests.support.control_page"
    assert set(ANSWERS) == set(METHODS)
    assert set(schema()["methods"]["kill"]["result"]) == set(types_of(ANSWERS["kill"]))


def problems_of(method: str, answer: dict[str, Any]) -> list[str]:
    """What of an answer is not as declared."""
    told = dict(answer)
    if METHODS[method].kind in {"command", "kill"}:
        assert isinstance(told.pop("command_id"), str)
    declared = types_of(ANSWERS[method])
    found = [f"{name}: not declared" for name in told if name not in declared]
    for name, kind in declared.items():
        if name not in told:
            found += [] if kind.endswith("?") else [f"{name}: absent"]
        elif not any(KINDS[one](told[name]) for one in kind.rstrip("?").split(" or ")):
            found.append(f"{name}: {told[name]!r} is no {kind}")
    return [f"{method}: {one}" for one in found]


class Player:
    """Asks a daemon, and keeps what is not as declared."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.problems: list[str] = []
        self.played: set[str] = set()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        answer = call(self._socket, method, **params)
        self.played.add(method)
        self.problems += problems_of(method, answer)
        return answer

    def is_taken(self, method: str, **params: Any) -> bool:
        """Ask; False where it is refused now."""
        try:
            self.ask(method, **params)
        except RpcError:
            return False
        return True

    def refused(self, method: str, code: str, **params: Any) -> None:
        with pytest.raises(RpcError) as caught:
            call(self._socket, method, **params)
        assert caught.value.data.get("code", caught.value.data["name"]) == code
        assert f"`{code}`" in PAGE.read_text()


def test_a_real_daemon_answers_every_method_as_the_page_says(tmp_path: Path) -> None:
    with BotBox(tmp_path) as box:
        player = Player(box.socket)
        ask, refused = player.ask, player.refused
        bot = RawBot(box.address, box.keys["ft"].api_key, box.keys["ft"].secret)
        assert bot.buy().status == 200
        assert bot.limit("resting", bot.bid() * 0.999).status == 200
        box.until(lambda status: bool(status["open_orders"]) and bool(status["positions"]))
        for method in ("status", "orders", "positions", "caps", "incidents", "schema", "ping"):
            ask(method)
        ask("events", tail=5)
        ask("events", tail=0, follow=True)
        ask("bot-suspend", bot="ft")
        ask("bot-resume", bot="ft", reason="test")
        refused("bot-kill", "bad_params", bot="nobody")
        ask("reconcile")
        ask("cancel-all", symbol="BTCUSDT")
        ask("re-enable", reason="test")
        ask("confirm-token")
        ask("caps-tighten", reason="test", changes={"orders_per_second_max": 150})
        refused(
            "caps-tighten", "loosening_refused",
            reason="test", changes={"orders_per_second_max": 151},
        )  # fmt: skip
        ask("explain", seq=3, why="test")
        refused("explain", "invalid_params", seq=3)
        refused("re-arm", "reason_required")
        refused("nothing", "method_not_found")
        refused("flatten", "not_allowed", reason="test")
        ask("stop")
        refused("stop", "no_session")
        box.until(lambda status: not status["session_id"])
        refused("drill", "bad_params", drill="none")
        ask("drill", drill="cap-rejection")
        ask("start")
        refused("start", "already_active")
        ask("bot-kill", bot="ft")
        ask("bot-revoke", bot="ft")
        ask("kill", reason="test")
        box.until(lambda _: player.is_taken("re-arm", reason="test"))
        refused("re-arm", "not_latched", reason="test")
        box.sim.admin_post("strike", kind="foreign_order")
        ask("reconcile")
        (incident, *_) = box.until(lambda status: bool(status["incidents"]))["incidents"]
        named = {"incident_id": incident["incident_id"]}
        ask("incident", **named)
        refused("incident", "not_found", incident_id="none")
        ask("incident-note", **named, text="test")
        ask("incident-resolve", **named, root_cause="a", remediation="b", follow_up="c")
        ask("incidents")
        ask("shutdown")
        box.wait_daemon()
    assert player.problems == []
    assert player.played == set(METHODS) - {"flatten"}
