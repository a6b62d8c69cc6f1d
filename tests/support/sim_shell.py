"""What the shell of a daemon writes beside its engine, in a simulated world: commands and kills."""

from typing import TYPE_CHECKING, Any

from daemon.model.amounts import NS_PER_MS
from daemon.model.effects import Effect, Reply
from daemon.model.inputs import Command, Input, KillLatched
from daemon.model.plain_values import to_tagged
from evidence.read.told_inputs import TOLD

if TYPE_CHECKING:
    from tests.support.sim_runner import SimRun

LOOKS_EVERY_NS = 20 * NS_PER_MS


class ShellLines:
    """The lines of a control server and of an emergency stop."""

    def __init__(self, run: "SimRun") -> None:
        self.run = run
        self.noted: list[tuple[int, dict[str, Any]]] = []
        """Each with how many of the engine's facts stood before it."""
        self.rejects: list[dict[str, Any]] = []
        """Not the shell's: what the venue refused, as its ledger lists it."""

    def heard(self, item: Input, effects: tuple[Effect, ...], place: int) -> None:
        """A command is noted when it is taken, before the engine's own lines, and if refused.

        So are the inputs that lines state again, and those alone.
        """
        if isinstance(item, Command):
            told = {
                "command_id": f"sim-{len(self.noted)}", "method": item.method,
                "reason": item.reason, "by": item.actor.name, "uid": item.actor.uid,
            }  # fmt: skip
            self._note(place, "command", outcome="accepted", **told)
            self._note_input(place, item, command_id=told["command_id"])
            for one in effects:
                if isinstance(one, Reply) and one.error_code:
                    end = {"outcome": "refused", "msg": f"{one.error_code}: {one.error_message}"}
                    self._note(len(self.run.facts), "command", **told, **end)
        elif isinstance(item, KillLatched):
            told = {"command_id": f"sim-{len(self.noted)}", "method": "kill"}
            self._note(place, "command", reason=item.reason, outcome="accepted", **told)
            self._note(place, "kill", step="gate_closed", by=item.actor.name, reason=item.reason)
            self._note_input(place, item)
            self._note(len(self.run.facts), "kill", step="latched", reason=item.reason)
            self._watch_kill()
        elif type(item).__name__ in TOLD:
            self._note_input(place, item)

    def _note_input(self, place: int, item: Input, **fields: Any) -> None:
        self._note(place, "input", input={**to_tagged(item), **fields})

    def refused(self, order: Any, code: int, why: str) -> None:
        """The venue refused an order."""
        self._refused("order.place", order.client_order_id, code, why)

    def refused_request(self, endpoint: str, shown: str, error: Any) -> None:
        """The venue refused a cancel or an amend."""
        self._refused(endpoint, shown, error.code, error.msg)

    def _refused(self, endpoint: str, shown: str, code: int, msg: str) -> None:
        self.rejects.append({
            "endpoint": endpoint, "client_order_id": shown, "code": code, "msg": msg,
            "ts_ns": self.run.now_ns,
        })  # fmt: skip

    def _note(self, place: int, event_type: str, **fields: Any) -> None:
        self.noted.append((place, {"ts_ns": self.run.now_ns, "event_type": event_type, **fields}))

    def _watch_kill(self) -> None:
        """As the emergency session does: look until nothing of ours is open or under way."""
        if self.run.venue.accounts["main"].open_orders or self.run.wire.coming:
            self.run.later(LOOKS_EVERY_NS, self._watch_kill)
        else:
            self._note(len(self.run.facts), "kill", step="verified_empty", verified=True)
